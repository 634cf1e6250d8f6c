//! The committed vectors: what the generator writes, and what the engine answers.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::sync::LazyLock;
use std::time::Duration;

use common::{Reservations, decision, snapshot, time};
use serde_json::Value;
use tidegate::{Limiter, ManualClock};
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

/// Replays a file with a clock that stands at each step's time. The first difference is told.
fn replay(file: &str) -> Result<(), String> {
    let file: Value = serde_json::from_str(file).expect("JSON");
    let clock = ManualClock::default();
    let mut limiter: Option<Limiter> = None;
    let mut reservations = Reservations::new();
    for (number, step) in file["steps"].as_array().expect("steps").iter().enumerate() {
        clock.set(time(nanos(step, "now").into()));
        if step["call"] == "new" {
            let policy = step["policy"].as_str().expect("text");
            let made = Limiter::builder(policy).clock(clock.clone()).build();
            limiter = Some(made.map_err(|error| format!("step {number}: {error}"))?);
            reservations.clear();
            continue;
        }
        let limiter = limiter.as_ref().expect("the first step makes one");
        let answer = call(limiter, &mut reservations, step)
            .map_err(|error| format!("step {number}: {error}"))?;
        let expected = step.get("expect").cloned().unwrap_or(Value::Null);
        if answer != expected {
            return Err(format!("step {number}: {step}\n   answered {answer}"));
        }
    }
    Ok(())
}

fn call(
    limiter: &Limiter,
    reservations: &mut Reservations,
    step: &Value,
) -> Result<Value, tidegate::Error> {
    let key = key(step);
    let units = |field: &str| step[field].as_u64().expect("a number");
    let span = |field: &str| Duration::from_nanos(nanos(step, field));
    let id = || step["id"].as_str().expect("an id").to_owned();
    Ok(match step["call"].as_str().expect("a call") {
        "acquire" => decision(&limiter.acquire(key, units("cost"))?),
        "acquire_many" => {
            let decisions = limiter.acquire_many(keys(step), units("cost"))?;
            decisions.iter().map(decision).collect()
        }
        "peek" => decision(&limiter.peek(key, units("cost"))?),
        "try_acquire" => limiter.try_acquire(key, units("cost")).into(),
        "record_latency" => limiter.record_latency(key, span("latency_ns"))?.into_value(),
        "penalize" => limiter.penalize(key, units("units"))?.into_value(),
        "refund" => limiter.refund(key, units("cost"))?.into_value(),
        "release" => limiter.release(key)?.into_value(),
        "reset" => limiter.reset(key)?.into_value(),
        "block" => limiter.block(key, span("duration_ns"))?.into_value(),
        "update" => limiter.update(step["policy"].as_str().expect("text"))?.into_value(),
        "snapshot" => snapshot(&limiter.snapshot(key)?),
        "reserve" => {
            let reservation = limiter.reserve(key, units("cost"))?;
            let answer = decision(&reservation.decision());
            reservations.insert(id(), reservation);
            answer
        }
        "settle" => {
            let reservation = reservations.remove(&id()).expect("reserved before");
            reservation.settle(units("actual"))?.into_value()
        }
        "cancel" => reservations.remove(&id()).expect("reserved before").cancel()?.into_value(),
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
