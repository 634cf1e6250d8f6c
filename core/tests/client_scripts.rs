//! The scripts of `tests/client/scripts.json`, which all hosts replay.
//!
//! `TIDEGATE_RECORD=1` writes what comes out into the file: for new scripts, to be read and agreed with.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tidegate::client::{Call, CallOptions, Class, Finish, Pacer, PacerError, Step, read_headers};
use tidegate::{ManualClock, Timestamp};

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/client/scripts.json");

fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

fn span(value: &Value) -> Option<Duration> {
    number(value).map(Duration::from_nanos)
}

fn ns(span: Duration) -> Value {
    json!(span.as_nanos().to_string())
}

struct Replay {
    clock: ManualClock,
    pacer: Pacer,
    calls: BTreeMap<String, Call>,
}

impl Replay {
    fn new(options: &Value, start: u64) -> Replay {
        let clock = ManualClock::new(Timestamp::from_nanos(start).unwrap());
        let mut builder = Pacer::builder().clock(clock.clone()).events(1000);
        for (name, value) in options.as_object().unwrap() {
            let count = || number(value).unwrap();
            let small = || count() as u32;
            let time = || span(value).unwrap();
            builder = match name.as_str() {
                "policy" => builder.policy(value.as_str().unwrap()),
                "concurrency" => builder.concurrency(small()),
                "headroom" => builder.headroom(count()),
                "max_retries" => builder.max_retries(small()),
                "max_failures" => builder.max_failures(small()),
                "near_limit" => builder.near_limit(count()),
                "seed" => builder.seed(count()),
                "base_ns" => builder.base(time()),
                "max_retry_after_ns" => builder.max_retry_after(time()),
                "deadline_ns" => builder.deadline(time()),
                other => panic!("unknown option {other}"),
            };
        }
        Replay { clock, pacer: builder.build().unwrap(), calls: BTreeMap::new() }
    }

    /// What a step comes to; null: nothing to tell.
    fn step(&mut self, step: &Value) -> Value {
        let name = step["call"].as_str().unwrap_or("").to_owned();
        match step["do"].as_str().unwrap() {
            "begin" => {
                let options = CallOptions {
                    label: step["label"].as_str().unwrap_or(""),
                    cost: number(&step["cost"]).unwrap_or(1),
                    max_retries: number(&step["max_retries"]).map(|retries| retries as u32),
                    deadline: span(&step["deadline_ns"]),
                };
                self.calls.insert(name, self.pacer.begin(options));
                Value::Null
            }
            "check" => shown_step(self.calls.get_mut(&name).unwrap().check()),
            "finish" => self.finish(&name, step),
            "drop" => {
                self.calls.remove(&name);
                Value::Null
            }
            "advance" => {
                self.clock.advance(span(&step["ns"]).unwrap());
                Value::Null
            }
            "tick" => self.tick(),
            "stats" => self.stats(),
            "events" => self.pacer.events().iter().map(|event| json!(event.kind())).collect(),
            "close" => {
                self.pacer.close();
                Value::Null
            }
            other => panic!("unknown step {other}"),
        }
    }

    fn finish(&mut self, name: &str, step: &Value) -> Value {
        let fields = step["headers"].as_array().into_iter().flatten();
        let fields = fields.map(|field| (field[0].as_str().unwrap(), field[1].as_str().unwrap()));
        let limits = read_headers(fields, self.clock.now());
        let status = step["status"].as_u64().unwrap() as u16;
        let call = self.calls.get_mut(name).unwrap();
        let finish = match step["class"].as_str() {
            Some(class) => call.finish_as(Class::from_name(class).unwrap(), status, &limits),
            None => call.finish(status, &limits),
        };
        match finish {
            Finish::Done => json!({"finish": "done"}),
            Finish::Retry { after } => json!({"finish": "retry", "after_ns": ns(after)}),
            Finish::Raise(error) => told(json!({"finish": "raise"}), &error),
        }
    }

    fn tick(&self) -> Value {
        let tick = self.pacer.tick();
        let name = |number: &u64| {
            let mut calls = self.calls.iter();
            json!(calls.find(|(_, call)| call.number() == *number).unwrap().0)
        };
        let mut shown = json!({"ready": tick.ready.iter().map(name).collect::<Value>()});
        if let Some(next) = tick.next {
            shown["next_ns"] = ns(next);
        }
        shown
    }

    fn stats(&self) -> Value {
        let stats = self.pacer.stats();
        let waits = stats.waits.iter().map(|(name, waits)| (name.clone(), json!(waits)));
        json!({
            "calls": stats.calls, "attempts": stats.attempts, "retries": stats.retries,
            "limited": stats.limited, "wait_ns": ns(stats.wait),
            "waits": waits.collect::<Map<_, _>>(), "pauses": stats.pauses,
            "exhausted": stats.exhausted, "breaker_opened": stats.breaker_opened,
            "in_flight": stats.in_flight, "waiting": stats.waiting,
        })
    }
}

fn shown_step(step: Step) -> Value {
    match step {
        Step::Go => json!({"step": "go"}),
        Step::Wait(None) => json!({"step": "wait"}),
        Step::Wait(Some(span)) => json!({"step": "wait", "ns": ns(span)}),
        Step::Fail(error) => told(json!({"step": "fail"}), &error),
    }
}

fn told(mut shown: Value, error: &PacerError) -> Value {
    shown["kind"] = json!(error.kind());
    shown["message"] = json!(error.to_string());
    if let Some(attempts) = error.attempts() {
        shown["attempts"] = json!(attempts);
        shown["label"] = json!(error.label());
    }
    if let Some(after) = error.retry_after() {
        shown["retry_after_ns"] = ns(after);
    }
    shown
}

#[test]
fn scripts_of_calls() {
    let text = std::fs::read_to_string(PATH).unwrap();
    let file: Value = serde_json::from_str(&text).unwrap();
    let start = number(&file["start_ns"]).unwrap();
    let record = std::env::var_os("TIDEGATE_RECORD").is_some();
    let mut recorded = text.clone();
    let mut wrong = 0;
    for script in file["scripts"].as_array().unwrap() {
        let mut replay = Replay::new(&script["options"], start);
        for (index, step) in script["steps"].as_array().unwrap().iter().enumerate() {
            let seen = replay.step(step);
            if seen == step["expect"] {
                continue;
            }
            wrong += 1;
            let (name, expected) = (&script["name"], &step["expect"]);
            println!("{name}, step {index}: {step}\n  expected {expected}\n  seen     {seen}");
            if record {
                let bare = serde_json::to_string(step).unwrap();
                recorded = with_expectation(&recorded, name.as_str().unwrap(), index, &bare, &seen);
            }
        }
    }
    if record {
        std::fs::write(PATH, recorded).unwrap();
    }
    assert!(record || wrong == 0, "{wrong} steps come to something else");
}

/// The text of the file with this step's line told anew: a step is a line.
fn with_expectation(text: &str, script: &str, index: usize, step: &str, seen: &Value) -> String {
    let mut step: Map<String, Value> = serde_json::from_str(step).unwrap();
    step.insert("expect".to_owned(), seen.clone());
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let head = format!("{{\"name\":\"{script}\",");
    let first = lines.iter().position(|line| line.starts_with(&head)).unwrap() + 2;
    let line = &mut lines[first + index];
    // The last step of a script ends the script as well.
    let end = ["}]},", "}]}"].iter().find(|end| line.ends_with(*end)).map_or(",", |end| &end[1..]);
    *line = format!("  {}{end}", serde_json::to_string(&step).unwrap());
    lines.join("\n") + "\n"
}
