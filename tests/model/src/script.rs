//! A script of calls for all hosts: each step with its time, its arguments and what the oracle
//! expects of it.

use std::collections::HashMap;
use std::fmt::Write;

use serde_json::{Map, Value, json};

use crate::oracle::{Answer, Oracle, Reservation, Shown};
use crate::policy::Policy;
use crate::{Time, Units};

/// A vector file in the making.
#[derive(Debug)]
pub struct Script {
    /// The file's name, without its ending.
    pub name: String,
    about: String,
    steps: Vec<Value>,
    oracle: Oracle,
    now: Time,
    reservations: HashMap<String, Reservation>,
}

/// The time of an RFC 3339 text.
pub fn utc(text: &str) -> Time {
    text.parse::<jiff::Timestamp>().expect("a literal").as_nanosecond()
}

impl Script {
    /// The first step: a limiter. `text` says what `policy` says.
    pub fn new(name: &str, about: &str, text: &str, policy: &Policy, now: Time) -> Script {
        let mut script = Script {
            name: name.to_owned(),
            about: about.to_owned(),
            steps: Vec::new(),
            oracle: Oracle::new(policy),
            now,
            reservations: HashMap::new(),
        };
        script.renew(text, policy);
        script
    }

    /// As [`Script::new`], with the policy as TOML.
    pub fn toml(name: &str, about: &str, policy: &Policy, now: Time) -> Script {
        Script::new(name, about, &policy.toml(), policy, now)
    }

    /// Another limiter takes the place of the one before; nothing is kept.
    pub fn renew(&mut self, text: &str, policy: &Policy) {
        self.oracle = Oracle::new(policy);
        self.reservations.clear();
        self.steps.push(json!({ "call": "new", "policy": text, "now": self.now.to_string() }));
    }

    /// Goes to a time.
    pub fn at(&mut self, now: Time) -> &mut Script {
        self.now = now;
        self
    }

    /// Goes to a time given as RFC 3339.
    pub fn at_utc(&mut self, now: &str) -> &mut Script {
        self.at(utc(now))
    }

    /// Lets nanoseconds pass.
    pub fn after(&mut self, nanos: u64) -> &mut Script {
        self.at(self.now + Time::from(nanos))
    }

    fn step(&mut self, call: &str, key: &[u8], args: Value, expect: Option<Value>) -> &mut Script {
        let (name, key) = match plain(key) {
            Some(text) => ("key", text.into()),
            None => ("key_hex", hex(key).into()),
        };
        self.step_of(call, name, key, args, expect)
    }

    /// A step whose key, or whose keys, are written as `keys` under `name`.
    fn step_of(
        &mut self,
        call: &str,
        name: &str,
        keys: Value,
        args: Value,
        expect: Option<Value>,
    ) -> &mut Script {
        let mut step = Map::new();
        step.insert("call".to_owned(), call.into());
        step.insert(name.to_owned(), keys);
        if let Value::Object(args) = args {
            step.extend(args);
        }
        step.insert("now".to_owned(), self.now.to_string().into());
        if let Some(expect) = expect {
            step.insert("expect".to_owned(), expect);
        }
        self.steps.push(step.into());
        self
    }

    pub fn acquire(&mut self, key: impl AsRef<[u8]>, cost: u64) -> &mut Script {
        let expect = decision(&self.oracle.acquire(key.as_ref(), cost, self.now));
        self.step("acquire", key.as_ref(), json!({ "cost": cost }), Some(expect))
    }

    /// Many keys in one call; all are written as hexadecimal digits when one has to be.
    pub fn acquire_many(&mut self, keys: &[impl AsRef<[u8]>], cost: u64) -> &mut Script {
        let answers = self.oracle.acquire_many(keys, cost, self.now);
        let expect = answers.iter().map(decision).collect();
        let texts: Option<Vec<_>> = keys.iter().map(|key| plain(key.as_ref())).collect();
        let (name, keys) = match texts {
            Some(texts) => ("keys", texts.into()),
            None => ("keys_hex", keys.iter().map(|key| hex(key.as_ref())).collect()),
        };
        self.step_of("acquire_many", name, keys, json!({ "cost": cost }), Some(expect))
    }

    /// The same request again and again.
    pub fn acquire_times(&mut self, times: usize, key: impl AsRef<[u8]>, cost: u64) -> &mut Script {
        for _ in 0..times {
            self.acquire(key.as_ref(), cost);
        }
        self
    }

    /// Asks again one nanosecond before the advised time, and at it; at once if it
    /// passes now, or never.
    pub fn obey(&mut self, key: impl AsRef<[u8]>, cost: u64) -> &mut Script {
        let answer = self.oracle.peek(key.as_ref(), cost, self.now);
        let wait = answer.retry_after.unwrap_or(0);
        let then = self.now + wait;
        if wait > 0 {
            self.at(then - 1).acquire(key.as_ref(), cost);
        }
        self.at(then).acquire(key.as_ref(), cost)
    }

    pub fn peek(&mut self, key: impl AsRef<[u8]>, cost: u64) -> &mut Script {
        let expect = decision(&self.oracle.peek(key.as_ref(), cost, self.now));
        self.step("peek", key.as_ref(), json!({ "cost": cost }), Some(expect))
    }

    pub fn try_acquire(&mut self, key: impl AsRef<[u8]>, cost: u64) -> &mut Script {
        let allowed = self.oracle.acquire(key.as_ref(), cost, self.now).allowed;
        self.step("try_acquire", key.as_ref(), json!({ "cost": cost }), Some(allowed.into()))
    }

    pub fn record_latency(&mut self, key: impl AsRef<[u8]>, nanos: u64) -> &mut Script {
        self.oracle.record_latency(key.as_ref(), nanos, self.now);
        let args = json!({ "latency_ns": nanos.to_string() });
        self.step("record_latency", key.as_ref(), args, None)
    }

    pub fn penalize(&mut self, key: impl AsRef<[u8]>, units: u64) -> &mut Script {
        self.oracle.penalize(key.as_ref(), units, self.now);
        self.step("penalize", key.as_ref(), json!({ "units": units }), None)
    }

    pub fn refund(&mut self, key: impl AsRef<[u8]>, cost: u64) -> &mut Script {
        self.oracle.refund(key.as_ref(), cost, self.now);
        self.step("refund", key.as_ref(), json!({ "cost": cost }), None)
    }

    pub fn release(&mut self, key: impl AsRef<[u8]>) -> &mut Script {
        self.oracle.release(key.as_ref(), self.now);
        self.step("release", key.as_ref(), json!({}), None)
    }

    pub fn reset(&mut self, key: impl AsRef<[u8]>) -> &mut Script {
        self.oracle.reset(key.as_ref());
        self.step("reset", key.as_ref(), json!({}), None)
    }

    pub fn block(&mut self, key: impl AsRef<[u8]>, nanos: u64) -> &mut Script {
        self.oracle.block(key.as_ref(), nanos, self.now);
        self.step("block", key.as_ref(), json!({ "duration_ns": nanos.to_string() }), None)
    }

    pub fn reserve(&mut self, id: &str, key: impl AsRef<[u8]>, cost: u64) -> &mut Script {
        let reservation = self.oracle.reserve(key.as_ref(), cost, self.now);
        let expect = decision(&reservation.answer);
        self.reservations.insert(id.to_owned(), reservation);
        self.step("reserve", key.as_ref(), json!({ "id": id, "cost": cost }), Some(expect))
    }

    pub fn settle(&mut self, id: &str, actual: u64) -> &mut Script {
        let reservation = self.reservations.remove(id).expect("reserved before");
        self.oracle.settle(&reservation, actual, self.now);
        let now = self.now.to_string();
        self.steps.push(json!({ "call": "settle", "id": id, "actual": actual, "now": now }));
        self
    }

    pub fn cancel(&mut self, id: &str) -> &mut Script {
        let reservation = self.reservations.remove(id).expect("reserved before");
        self.oracle.cancel(&reservation, self.now);
        self.steps.push(json!({ "call": "cancel", "id": id, "now": self.now.to_string() }));
        self
    }

    pub fn update(&mut self, policy: &Policy) -> &mut Script {
        self.update_text(&policy.toml(), policy)
    }

    /// As [`Script::update`], where `text` says what `policy` says.
    pub fn update_text(&mut self, text: &str, policy: &Policy) -> &mut Script {
        self.oracle.update(policy, self.now);
        self.steps.push(json!({ "call": "update", "policy": text, "now": self.now.to_string() }));
        self
    }

    pub fn snapshot(&mut self, key: impl AsRef<[u8]>) -> &mut Script {
        let (blocked_for, buckets) = self.oracle.snapshot(key.as_ref(), self.now);
        let expect = snapshot(blocked_for, &buckets);
        self.step("snapshot", key.as_ref(), json!({}), Some(expect))
    }

    /// The file: one step a line.
    pub fn file(&self) -> String {
        let steps: Vec<_> = self.steps.iter().map(Value::to_string).collect();
        format!(
            "{{\"name\": {},\n \"about\": {},\n \"steps\": [\n{}\n]}}\n",
            json!(self.name),
            json!(self.about),
            steps.join(",\n")
        )
    }
}

/// A key that can be written as it is.
fn plain(key: &[u8]) -> Option<&str> {
    std::str::from_utf8(key).ok().filter(|text| !text.contains('\0'))
}

fn hex(key: &[u8]) -> String {
    key.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// A span, or `never`.
pub fn span(nanos: Option<Time>) -> Value {
    nanos.map_or("never".to_owned(), |nanos| nanos.to_string()).into()
}

fn number(units: Units) -> Value {
    units.to_string().into()
}

/// A decision as the files write it.
pub fn decision(answer: &Answer) -> Value {
    json!({
        "allowed": answer.allowed,
        "reason": answer.reason,
        "limit": number(answer.limit),
        "remaining": number(answer.remaining),
        "retry_after_ns": span(answer.retry_after),
        "reset_after_ns": span(answer.reset_after),
        "name": answer.name,
    })
}

/// A snapshot as the files write it.
pub fn snapshot(blocked_for: Time, buckets: &[Shown]) -> Value {
    let bucket = |shown: &Shown| {
        json!({
            "limit": shown.limit,
            "name": shown.name,
            "method": shown.method,
            "quota": number(shown.quota),
            "capacity": number(shown.capacity),
            "used": number(shown.used),
            "remaining": number(shown.remaining),
            "refresh_after_ns": span(shown.refresh_after),
        })
    };
    json!({
        "blocked_for_ns": blocked_for.to_string(),
        "buckets": buckets.iter().map(bucket).collect::<Vec<_>>(),
    })
}
