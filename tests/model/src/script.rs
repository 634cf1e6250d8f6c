//! A script of calls for all hosts: each step with its time, its arguments and what the oracle
//! expects of it.

use std::collections::HashMap;
use std::fmt::Write;

use serde_json::{Map, Value, json};

use crate::oracle::{Alert, Answer, Oracle, Refused, Report, Reservation, Shown};
use crate::policy::Policy;
use crate::request::Request;
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

    // --- requests with attributes --------------------------------------------------------------

    fn step_about(
        &mut self,
        call: &str,
        request: &Request,
        args: Value,
        expect: Option<Value>,
    ) -> &mut Script {
        self.step_of(call, "request", attributes(request), args, expect)
    }

    /// What the request comes to, in full.
    pub fn ask(&mut self, request: &Request, cost: u64) -> &mut Script {
        let expect = answered(self.oracle.try_acquire(request.clone(), cost, self.now), full);
        self.step_about("acquire", request, json!({ "cost": cost }), Some(expect))
    }

    /// As [`Script::ask`], and what the answer says over HTTP.
    pub fn ask_http(&mut self, request: &Request, cost: u64) -> &mut Script {
        let answer = self.oracle.try_acquire(request.clone(), cost, self.now);
        let expect = answered(answer, over_http);
        self.step_about("acquire", request, json!({ "cost": cost }), Some(expect))
    }

    /// As [`Script::ask`], of a key alone.
    pub fn ask_key(&mut self, key: &str, cost: u64) -> &mut Script {
        let expect = full(&self.oracle.acquire(key, cost, self.now));
        self.step("acquire", key.as_bytes(), json!({ "cost": cost }), Some(expect))
    }

    /// As [`Script::ask_http`], of a key alone.
    pub fn ask_key_http(&mut self, key: &str, cost: u64) -> &mut Script {
        let expect = over_http(&self.oracle.acquire(key, cost, self.now));
        self.step("acquire", key.as_bytes(), json!({ "cost": cost }), Some(expect))
    }

    /// As [`Script::obey`], of a request.
    pub fn obey_about(&mut self, request: &Request, cost: u64) -> &mut Script {
        let answer = self.oracle.peek(request.clone(), cost, self.now);
        let then = self.now + answer.retry_after.unwrap_or(0);
        if then > self.now {
            self.at(then - 1).ask(request, cost);
        }
        self.at(then).ask(request, cost)
    }

    /// Yes or no, again and again.
    pub fn try_about(&mut self, times: usize, request: &Request, cost: u64) -> &mut Script {
        for _ in 0..times {
            let allowed = self.oracle.acquire(request.clone(), cost, self.now).allowed;
            let args = json!({ "cost": cost });
            self.step_about("try_acquire", request, args, Some(allowed.into()));
        }
        self
    }

    pub fn peek_about(&mut self, request: &Request, cost: u64) -> &mut Script {
        let expect = answered(self.oracle.try_peek(request.clone(), cost, self.now), decision);
        self.step_about("peek", request, json!({ "cost": cost }), Some(expect))
    }

    pub fn record_latency_about(&mut self, request: &Request, nanos: u64) -> &mut Script {
        let refused = self.oracle.refuses(request.clone(), self.now);
        if refused.is_none() {
            self.oracle.record_latency(request.clone(), nanos, self.now);
        }
        let args = json!({ "latency_ns": nanos.to_string() });
        self.step_about("record_latency", request, args, refused.as_ref().map(error))
    }

    pub fn penalize_about(&mut self, request: &Request, units: u64) -> &mut Script {
        self.oracle.penalize(request.clone(), units, self.now);
        self.step_about("penalize", request, json!({ "units": units }), None)
    }

    pub fn refund_about(&mut self, request: &Request, cost: u64) -> &mut Script {
        self.oracle.refund(request.clone(), cost, self.now);
        self.step_about("refund", request, json!({ "cost": cost }), None)
    }

    pub fn release_about(&mut self, request: &Request) -> &mut Script {
        self.oracle.release(request.clone(), self.now);
        self.step_about("release", request, json!({}), None)
    }

    pub fn renew_about(&mut self, request: &Request) -> &mut Script {
        let all = self.oracle.renew(request.clone(), self.now);
        self.step_about("renew", request, json!({}), Some(all.into()))
    }

    /// The oldest permits of a key.
    pub fn renew_key(&mut self, key: &str) -> &mut Script {
        let all = self.oracle.renew(key, self.now);
        self.step("renew", key.as_bytes(), json!({}), Some(all.into()))
    }

    pub fn reset_about(&mut self, request: &Request) -> &mut Script {
        self.oracle.reset_at(request.clone(), self.now);
        self.step_about("reset", request, json!({}), None)
    }

    /// Blocks whoever has the one attribute of the request.
    pub fn block_about(&mut self, request: &Request, nanos: u64) -> &mut Script {
        self.oracle.block(request.clone(), nanos, self.now);
        let args = json!({ "duration_ns": nanos.to_string() });
        self.step_about("block", request, args, None)
    }

    pub fn snapshot_about(&mut self, request: &Request) -> &mut Script {
        let (blocked_for, buckets) = self.oracle.snapshot(request.clone(), self.now);
        let expect = snapshot(blocked_for, &buckets);
        self.step_about("snapshot", request, json!({}), Some(expect))
    }

    pub fn reserve_about(&mut self, id: &str, request: &Request, cost: u64) -> &mut Script {
        let reservation = self.oracle.reserve(request.clone(), cost, self.now);
        let expect = decision(&reservation.answer);
        self.reservations.insert(id.to_owned(), reservation);
        self.step_about("reserve", request, json!({ "id": id, "cost": cost }), Some(expect))
    }

    pub fn assign(&mut self, value: &str, plan: &str, nanos: Option<u64>) -> &mut Script {
        let assigned = self.oracle.assign(value.as_bytes(), plan, nanos, self.now);
        let mut args = json!({ "plan": plan });
        if let Some(nanos) = nanos {
            args["duration_ns"] = nanos.to_string().into();
        }
        let expect = assigned.err().as_ref().map(error);
        self.step_of("assign", "value", value.into(), args, expect)
    }

    pub fn unassign(&mut self, value: &str) -> &mut Script {
        self.oracle.unassign(value.as_bytes());
        self.step_of("unassign", "value", value.into(), json!({}), None)
    }

    pub fn plan_of(&mut self, request: &Request) -> &mut Script {
        let plan = self.oracle.plan_of(request.clone(), self.now);
        self.step_about("plan_of", request, json!({}), Some(json!({ "plan": plan })))
    }

    pub fn usage(&mut self, request: &Request, window: Option<u64>) -> &mut Script {
        let expect = answered(self.oracle.usage(request.clone(), window, self.now), report);
        let args = match window {
            Some(window) => json!({ "window_ns": window.to_string() }),
            None => json!({}),
        };
        self.step_about("usage", request, args, Some(expect))
    }

    /// All alerts since this was asked last.
    pub fn alerts(&mut self) -> &mut Script {
        let expect: Value = self.oracle.take_alerts().iter().map(alert).collect();
        let now = self.now.to_string();
        self.steps.push(json!({ "call": "alerts", "now": now, "expect": expect }));
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

/// A call that may be refused.
pub fn answered<T>(answer: Result<T, Refused>, write: impl Fn(&T) -> Value) -> Value {
    match answer {
        Ok(answer) => write(&answer),
        Err(refused) => error(&refused),
    }
}

pub fn error(refused: &Refused) -> Value {
    json!({ "error": { "field": refused.field } })
}

/// A decision with all that it says.
pub fn full(answer: &Answer) -> Value {
    let mut decision = decision(answer);
    let units = |units: Option<Units>| units.map_or(Value::Null, number);
    decision["plan"] = json!(answer.plan);
    decision["burst_remaining"] = units(answer.burst_remaining);
    decision["shadow"] = json!(answer.shadow);
    decision["message"] = json!(answer.message);
    decision["closes"] = json!(answer.closes);
    decision["status"] = json!(answer.status());
    decision
}

/// As [`full`], with headers and bodies of all styles.
pub fn over_http(answer: &Answer) -> Value {
    let mut decision = full(answer);
    let headers = |style: &&str| ((*style).to_owned(), json!(answer.headers(style)));
    let body = |style: &&str| ((*style).to_owned(), json!(answer.body(style)));
    decision["headers"] = HEADER_STYLES.iter().map(headers).collect::<Map<_, _>>().into();
    decision["body"] = BODY_STYLES.iter().map(body).collect::<Map<_, _>>().into();
    decision
}

pub const HEADER_STYLES: [&str; 3] = ["legacy", "draft", "both"];
pub const BODY_STYLES: [&str; 3] = ["error", "message", "problem"];

/// A report of use as the files write it.
pub fn report(report: &Report) -> Value {
    let kind = |(kind, units): &(String, Units)| json!([kind, number(*units)]);
    let limit = report.limit.as_ref().map(|limit| {
        json!({
            "name": limit.name,
            "quota": number(limit.quota),
            "remaining": number(limit.remaining),
            "utilization_permille": limit.utilization_permille as u64,
        })
    });
    json!({
        "plan": report.plan,
        "window_ns": number(report.window),
        "total": number(report.total),
        "by_kind": report.by_kind.iter().map(kind).collect::<Vec<_>>(),
        "limit": limit,
        "dropped": "0",
    })
}

/// An alert as the files write it.
pub fn alert(alert: &Alert) -> Value {
    json!({
        "limit": alert.limit,
        "threshold_permille": alert.threshold_permille,
        "used": number(alert.used),
        "capacity": number(alert.capacity),
    })
}

/// The attributes of a request; all of them are texts.
fn attributes(request: &Request) -> Value {
    let text = |(name, value): &(String, Vec<u8>)| {
        let value = std::str::from_utf8(value).expect("a text");
        (name.clone(), value.into())
    };
    Value::Object(request.attributes().iter().map(text).collect())
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
