//! The committed vectors: what the generator writes, and what the engine answers.

mod common;
#[path = "common/facts.rs"]
mod facts;

use std::collections::BTreeSet;
use std::fs;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use common::{Reservations, alert, decision, error, over_http, report, snapshot, time};
use serde_json::{Value, json};
use tidegate::{Limiter, ManualClock, Request};
use tidegate_model::vectors;

/// (name, text) of every file; made once, the oracle is slow.
static FILES: LazyLock<Vec<(String, String)>> = LazyLock::new(|| {
    vectors::all()
        .into_iter()
        .map(|script| (format!("{}.json", script.name), script.file()))
        .collect()
});

#[test]
fn committed_vectors_are_what_the_generator_writes() {
    let mut expected = BTreeSet::new();
    for (name, file) in &*FILES {
        let committed = fs::read_to_string(vectors::folder().join(name)).unwrap_or_default();
        assert!(committed == *file, "{name}: run `cargo run -p tidegate-model --bin make-vectors`");
        assert!(expected.insert(name.clone()), "two scripts are named {name}");
    }
    let present: BTreeSet<_> = fs::read_dir(vectors::folder())
        .expect("the folder of vectors")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .filter(|name| name.ends_with(".json"))
        .collect();
    assert_eq!(present, expected);
}

#[test]
fn times_never_go_back_but_where_that_is_the_subject() {
    for (name, file) in FILES.iter().filter(|(name, _)| name != "times-go-back.json") {
        let file: Value = serde_json::from_str(file).expect("JSON");
        let mut latest = 0;
        for step in file["steps"].as_array().expect("steps") {
            let now = nanos(step, "now");
            assert!(now >= latest, "{name}: {step}");
            latest = now;
        }
    }
}

#[test]
fn the_engine_answers_every_vector() {
    let mut wrong = Vec::new();
    for (name, file) in &*FILES {
        if let Err(difference) = replay(file) {
            wrong.push(format!("{name}: {difference}"));
        }
    }
    assert!(wrong.is_empty(), "{} files differ\n{}", wrong.len(), wrong.join("\n"));
}

/// Every decision differs from its expectation when one unit is spent behind the script's back.
#[test]
fn a_replay_notices_one_unit() {
    let named = FILES.iter().find(|(name, _)| name == "count-gcra.json");
    let (_, file) = named.expect("a file of this name");
    assert_eq!(replay(file), Ok(()));
    assert!(replay(&file.replacen("\"cost\":1", "\"cost\":2", 1)).is_err());
}

/// A fact that its policy does not say any more is missed by its vector.
#[test]
fn each_fact_is_noticed_when_its_policy_is_broken() {
    let mut unnoticed = Vec::new();
    for &(name, of, from, to) in facts::BROKEN {
        let named = FILES.iter().find(|(file, _)| file.strip_suffix(".json") == Some(name));
        let (_, file) = named.unwrap_or_else(|| panic!("no file {name}"));
        let mut file: Value = serde_json::from_str(file).expect("JSON");
        let mut broken = false;
        for step in file["steps"].as_array_mut().expect("steps") {
            let meant = of == facts::Of::All || step["call"] == "update";
            let policy = step["policy"].as_str().filter(|policy| meant && policy.contains(from));
            if let Some(policy) = policy.map(|policy| policy.replace(from, to)) {
                policy
                    .parse::<tidegate::Policy>()
                    .unwrap_or_else(|error| panic!("{name}: {error}"));
                step["policy"] = policy.into();
                broken = true;
            }
        }
        assert!(broken, "{name}: no policy says {from:?}");
        if replay(&file.to_string()).is_ok() {
            unnoticed.push(format!("{name}: {to:?} for {from:?}"));
        }
    }
    assert!(unnoticed.is_empty(), "{} go unnoticed\n{}", unnoticed.len(), unnoticed.join("\n"));
}

#[test]
fn each_fact_has_a_vector_that_is_broken_once() {
    for (letter, numbers) in facts::FACTS {
        for number in numbers.clone() {
            let begin = format!("{letter}{number:02}-");
            assert!(FILES.iter().any(|(name, _)| name.starts_with(&begin)), "no vector of {begin}");
            let tried = facts::BROKEN.iter().any(|(name, ..)| name.starts_with(&begin));
            assert!(tried, "nobody breaks {begin}");
        }
    }
}

fn nanos(step: &Value, field: &str) -> u64 {
    step[field].as_str().expect("a string").parse().expect("nanoseconds")
}

fn key(step: &Value) -> Vec<u8> {
    match step["key"].as_str() {
        Some(text) => text.as_bytes().to_vec(),
        None => bytes(step["key_hex"].as_str().unwrap_or_default()),
    }
}

/// The keys of a batch.
fn keys(step: &Value) -> Vec<Vec<u8>> {
    let texts = |field: &str| {
        let texts = step[field].as_array()?.iter();
        Some(texts.map(|text| text.as_str().expect("a string")).collect::<Vec<_>>())
    };
    match texts("keys") {
        Some(keys) => keys.into_iter().map(|key| key.as_bytes().to_vec()).collect(),
        None => texts("keys_hex").expect("keys").into_iter().map(bytes).collect(),
    }
}

fn bytes(hex: &str) -> Vec<u8> {
    let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex");
    (0..hex.len()).step_by(2).map(byte).collect()
}

/// The request of a step that has one.
fn request(step: &Value) -> Option<Request<'_>> {
    let mut request = Request::new();
    for (name, value) in step.get("request")?.as_object().expect("attributes") {
        request.set(name, value.as_str().expect("a text").as_bytes());
    }
    Some(request)
}

/// A limiter of a script, and what it holds.
struct Player {
    limiter: Limiter,
    reservations: Reservations,
    alerts: Arc<Mutex<Vec<Value>>>,
}

impl Player {
    fn new(policy: &str, clock: &ManualClock) -> Result<Player, tidegate::Error> {
        let limiter = Limiter::builder(policy).clock(clock.clone()).build()?;
        let alerts = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&alerts);
        limiter.on_alert(move |seen| told.lock().expect("no panic").push(alert(seen)));
        Ok(Player { limiter, reservations: Reservations::new(), alerts })
    }
}

/// Replays a file with a clock that stands at each step's time. The first difference is told.
fn replay(file: &str) -> Result<(), String> {
    let file: Value = serde_json::from_str(file).expect("JSON");
    let clock = ManualClock::default();
    let mut player: Option<Player> = None;
    for (number, step) in file["steps"].as_array().expect("steps").iter().enumerate() {
        clock.set(time(nanos(step, "now").into()));
        if step["call"] == "new" {
            let made = Player::new(step["policy"].as_str().expect("text"), &clock);
            player = Some(made.map_err(|error| format!("step {number}: {error}"))?);
            continue;
        }
        let player = player.as_mut().expect("the first step makes one");
        let answer = call(player, step);
        let expected = step.get("expect").cloned().unwrap_or(Value::Null);
        let answer = match answer {
            Ok(answer) => asked_for(answer, &expected),
            Err(wrong) if expected.get("error").is_some() => error(&wrong),
            Err(wrong) => return Err(format!("step {number}: {wrong}\n   {step}")),
        };
        if answer != expected {
            return Err(format!("step {number}: {step}\n   answered {answer}"));
        }
    }
    Ok(())
}

/// Of an answer with all fields, those that are expected.
fn asked_for(answer: Value, expected: &Value) -> Value {
    match (answer, expected) {
        (Value::Object(mut all), Value::Object(expected)) => {
            all.retain(|name, _| expected.contains_key(name));
            all.into()
        }
        (Value::Array(all), Value::Array(expected)) if all.len() == expected.len() => {
            all.into_iter().zip(expected).map(|(all, expected)| asked_for(all, expected)).collect()
        }
        (answer, _) => answer,
    }
}

fn call(player: &mut Player, step: &Value) -> Result<Value, tidegate::Error> {
    let Player { limiter, alerts, .. } = &*player;
    let units = |field: &str| step[field].as_u64().expect("a number");
    let value = || step["value"].as_str().expect("a text");
    Ok(match step["call"].as_str().expect("a call") {
        "acquire_many" => {
            let decisions = limiter.acquire_many(keys(step), units("cost"))?;
            decisions.iter().map(decision).collect()
        }
        "update" => limiter.update(step["policy"].as_str().expect("text"))?.into_value(),
        "settle" | "cancel" => {
            let id = step["id"].as_str().expect("an id");
            let reservation = player.reservations.remove(id).expect("reserved before");
            match step["call"] == "settle" {
                true => reservation.settle(units("actual"))?.into_value(),
                false => reservation.cancel()?.into_value(),
            }
        }
        "assign" => {
            let plan = step["plan"].as_str().expect("a plan");
            let nanos = step.get("duration_ns").map(|_| nanos(step, "duration_ns"));
            limiter.assign(value(), plan, nanos.map(Duration::from_nanos))?.into_value()
        }
        "unassign" => {
            limiter.unassign(value());
            Value::Null
        }
        "alerts" => std::mem::take(&mut *alerts.lock().expect("no panic")).into(),
        _ => match request(step) {
            Some(request) => call_about(player, step, &request)?,
            None => call_about(player, step, key(step))?,
        },
    })
}

/// A call about a key, or a request.
fn call_about(
    player: &mut Player,
    step: &Value,
    subject: impl tidegate::Subject,
) -> Result<Value, tidegate::Error> {
    let Player { limiter, reservations, .. } = player;
    let units = |field: &str| step[field].as_u64().expect("a number");
    let span = |field: &str| Duration::from_nanos(nanos(step, field));
    Ok(match step["call"].as_str().expect("a call") {
        "acquire" => over_http(&limiter.acquire(subject, units("cost"))?),
        "peek" => decision(&limiter.peek(subject, units("cost"))?),
        "try_acquire" => limiter.try_acquire(subject, units("cost")).into(),
        "record_latency" => limiter.record_latency(subject, span("latency_ns"))?.into_value(),
        "penalize" => limiter.penalize(subject, units("units"))?.into_value(),
        "refund" => limiter.refund(subject, units("cost"))?.into_value(),
        "release" => limiter.release(subject)?.into_value(),
        "renew" => limiter.renew(subject)?.into(),
        "reset" => limiter.reset(subject)?.into_value(),
        "block" => limiter.block(subject, span("duration_ns"))?.into_value(),
        "snapshot" => snapshot(&limiter.snapshot(subject)?),
        "plan_of" => json!({ "plan": limiter.plan_of(subject) }),
        "usage" => {
            let window = step.get("window_ns").map(|_| span("window_ns"));
            report(&limiter.usage(subject, window)?)
        }
        "reserve" => {
            let reservation = limiter.reserve(subject, units("cost"))?;
            let answer = decision(&reservation.decision());
            reservations.insert(step["id"].as_str().expect("an id").to_owned(), reservation);
            answer
        }
        other => panic!("no call is named {other}"),
    })
}

/// A call without an answer.
trait IntoValue {
    fn into_value(self) -> Value;
}

impl IntoValue for () {
    fn into_value(self) -> Value {
        Value::Null
    }
}
