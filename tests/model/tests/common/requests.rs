//! Random policies about requests with attributes, and random calls.

use std::sync::{Arc, Mutex};

use serde_json::Value;
use tidegate_model::policy::{Bypass, Listed, Missing, Terms, Usage, When};
use tidegate_model::script;
use tidegate_model::{DAY, HOUR, MINUTE, Refused, Request};

use super::common::{alert, error, over_http, report};
use super::policies::{self, halved};
use super::*;

const PLANS: [&str; 3] = ["a", "b", "c"];
const KEYS: [&str; 2] = ["k", "l"];
const ACCOUNTS: [&str; 2] = ["x", "y"];
const USERS: [&str; 4] = ["ann", "svc-1", "svc-", "bad"];
const IPS: [&str; 5] = ["10.1.0.1", "10.2.0.1", "2001:db8::1", "2001:db8::2", "2001:db8:0:1::1"];
const ROUTES: [&str; 5] = ["GET /a", "GET /a/b?c", "GET /a/d", "POST /a", "PUT /"];
const PATTERNS: [&str; 5] = ["GET /a", "GET /a/:id", "GET /*", "* /a", "*"];
const NETWORKS: [&str; 5] = ["10.1.0.1", "10.0.0.0/8", "10.2.*", "2001:db8::/64", "2001:db8::*"];
const SECRET: (&str, &str) =
    ("open sesame", "41ef4bb0b23661e66301aac36066912dac037827b4ae63a7b1165a5aa93ed4eb");

fn one_of(texts: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop::sample::select(texts).prop_map(str::to_owned)
}

fn some_of(texts: &'static [&'static str]) -> impl Strategy<Value = Vec<String>> {
    prop::sample::subsequence(texts, 1..3)
        .prop_map(|texts| texts.into_iter().map(str::to_owned).collect())
}

fn by() -> impl Strategy<Value = Vec<String>> {
    let choices: [&[&str]; 7] =
        [&["key"], &["key"], &["account"], &["ip"], &["key", "account"], &["user"], &[]];
    let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    prop::sample::select(choices.map(owned).to_vec())
}

fn condition() -> impl Strategy<Value = When> {
    let of = |name: &'static str| move |patterns| vec![(name.to_owned(), patterns)];
    prop_oneof![
        3 => some_of(&PATTERNS).prop_map(of("route")),
        1 => some_of(&["svc-*", "ann", "*"]).prop_map(of("user")),
        1 => some_of(&NETWORKS).prop_map(of("ip")),
        1 => (some_of(&PATTERNS), some_of(&["svc-*", "ann"])).prop_map(|(routes, users)| {
            vec![("route".to_owned(), routes), ("user".to_owned(), users)]
        }),
    ]
}

fn terms() -> BoxedStrategy<Terms> {
    let missing = prop::sample::select(vec![
        Missing::Error,
        Missing::Skip,
        Missing::Skip,
        Missing::Skip,
        Missing::Deny,
    ]);
    let when = prop_oneof![3 => Just(When::new()), 2 => condition()];
    let alerts = prop_oneof![
        2 => Just(Vec::new()),
        1 => prop::collection::btree_set(1u64..=1000, 1..4).prop_map(|set| set.into_iter().collect()),
    ];
    let message = prop::option::weighted(0.3, Just("Slow down.".to_owned()));
    let shadow = prop::bool::weighted(0.15);
    (by(), when, missing, shadow, alerts, message, any::<bool>())
        .prop_map(|(by, when, missing, shadow, alerts, message, close)| Terms {
            plan: None,
            missing: if by.is_empty() { Missing::Error } else { missing },
            by,
            when,
            shadow,
            alerts,
            message,
            close,
        })
        .boxed()
}

/// One to five limits of which some are of one scope.
fn limits() -> BoxedStrategy<Vec<Limit>> {
    let limit = |index: usize| (policies::limit(index).boxed(), terms(), any::<bool>());
    let limits = (limit(0), limit(1), limit(2), limit(3), 1usize..16);
    limits
        .prop_map(|(first, second, third, fourth, which)| {
            let mut scope: Option<Terms> = None;
            let limits = [first, second, third, fourth].into_iter().enumerate();
            let chosen = limits.filter(|(bit, _)| which >> bit & 1 == 1);
            let with_terms = |(_, (mut limit, terms, shares)): (usize, (Limit, Terms, bool))| {
                limit.terms = terms;
                if let (Some(earlier), true) = (&scope, shares) {
                    let Terms { by, when, missing, .. } = earlier.clone();
                    limit.terms = Terms { by, when, missing, ..limit.terms };
                }
                scope = Some(limit.terms.clone());
                limit
            };
            distinct(chosen.map(with_terms).collect())
        })
        // Boxed, here and below: the nest of strategies is larger than a thread's stack.
        .boxed()
}

/// Gives a name to a limit whose own is taken.
fn distinct(mut limits: Vec<Limit>) -> Vec<Limit> {
    for index in 1..limits.len() {
        let (earlier, later) = limits.split_at_mut(index);
        if earlier.iter().any(|limit| limit.name == later[0].name) {
            (later[0].name, later[0].named) = (format!("another {index}"), true);
        }
    }
    limits
}

fn listed(name: &'static str) -> impl Strategy<Value = Vec<Listed>> {
    let listed = condition().prop_map(move |when| Listed { name: name.to_owned(), when });
    prop_oneof![4 => Just(Vec::new()), 1 => prop::collection::vec(listed, 1)]
}

fn usage() -> impl Strategy<Value = Option<Usage>> {
    let window = prop::sample::select(vec![MINUTE, HOUR, DAY]);
    let usage = (
        window,
        prop::sample::select(vec![1u64, 2, 5, 24, 60]),
        prop::option::of(one_of(&["route", "user", "kind", "ip"])),
    )
        .prop_map(|(window, parts, by)| Usage {
            window,
            resolution: window.div_ceil(parts),
            by,
        });
    prop::option::weighted(0.4, usage)
}

pub fn policy() -> BoxedStrategy<Policy> {
    let bits = prop::option::weighted(0.3, prop::sample::select(vec![1u32, 48, 64, 127, 128]));
    let bypass = prop::option::weighted(0.3, any::<bool>());
    (limits(), bits, listed("exempt"), listed("block"), bypass, usage())
        .prop_map(|(limits, ipv6_prefix, exempt, block, bypass, usage)| Policy {
            limits,
            ipv6_prefix,
            exempt,
            block,
            bypass: bypass.into_iter().map(dev).collect(),
            usage,
            ..Policy::default()
        })
        .boxed()
}

fn dev(enabled: bool) -> Bypass {
    let secrets = vec![(SECRET.0.to_owned(), SECRET.1.to_owned())];
    Bypass { name: "dev".to_owned(), attribute: "dev_key".to_owned(), secrets, enabled }
}

/// Some limits of a policy become those of plans: each has its own numbers, or none.
pub fn planned_policy() -> BoxedStrategy<Policy> {
    let others = (policies::policy().boxed(), policies::policy().boxed());
    let default = prop::option::weighted(0.7, 0usize..3);
    let by = prop::option::of(one_of(&["account", "user", "ip"]));
    (policy(), others, any::<u32>(), 1usize..4, default, by)
        .prop_map(|(policy, others, choices, count, default, plan_by)| {
            let plans: Vec<String> = PLANS[..count].iter().map(|&plan| plan.to_owned()).collect();
            let rates = [&others.0, &others.1].map(|policy| policy.limits.clone());
            let (mut shared, mut own) = (Vec::new(), vec![Vec::new(); count]);
            for (index, limit) in policy.limits.iter().enumerate() {
                if choices >> index & 1 == 0 {
                    shared.push(limit.clone());
                    continue;
                }
                for (number, plan) in plans.iter().enumerate() {
                    if choices >> (4 + 4 * number + index) & 3 > 0 {
                        own[number].push(of_plan(limit, plan, number, &rates));
                    }
                }
            }
            if shared.is_empty() && own.iter().all(Vec::is_empty) {
                shared = policy.limits.clone();
            }
            let default_plan = default.and_then(|number| plans.get(number).cloned());
            let limits = shared.into_iter().chain(own.into_iter().flatten()).collect();
            Policy { limits, plans, default_plan, plan_by, ..policy }
        })
        .boxed()
}

/// The limit under a plan: named, with other rates where there are some of its method.
fn of_plan(limit: &Limit, plan: &str, number: usize, others: &[Vec<Limit>; 2]) -> Limit {
    let mut limit = Limit { named: true, ..limit.clone() }.of_plan(plan);
    let other = number.checked_sub(1).and_then(|number| {
        let same = |other: &&Limit| {
            std::mem::discriminant(&other.method) == std::mem::discriminant(&limit.method)
        };
        others[number].iter().find(same)
    });
    if let Some(other) = other {
        (limit.method, limit.rates) = (other.method, other.rates.clone());
    }
    limit
}

#[derive(Clone, Debug)]
pub enum Call {
    Pass(Step),
    Acquire(Request, u64),
    TryAcquire(Request, u64),
    Obey(Request, u64),
    Charge(Request, Method, u64),
    Refund(Request, u64),
    Release(Request),
    Renew(Request),
    Reserve(Request, u64),
    /// The oldest reservation, at this share of the estimate in percent.
    Settle(u64),
    Cancel,
    Reset(Request),
    Block(Request, Step),
    Assign(String, String, Option<Step>),
    Unassign(String),
    Usage(Request, Option<Step>),
    Update(Box<Policy>),
    /// Halves the quotas, turns the order of the limits, takes a plan away: what the number says.
    Change(u8),
}

fn request() -> BoxedStrategy<Request> {
    let mostly = |texts| prop::option::weighted(0.9, one_of(texts));
    let ip = prop_oneof![30 => mostly(&IPS), 1 => Just(Some("nowhere".to_owned()))];
    let plan = prop_oneof![
        10 => Just(None),
        10 => one_of(&PLANS).prop_map(Some),
        1 => Just(Some("gold".to_owned())),
    ];
    let secret = prop_oneof![20 => Just(None), 1 => one_of(&[SECRET.0, "sesame"]).prop_map(Some)];
    let (key, account) = (mostly(&KEYS), mostly(&ACCOUNTS));
    (key, account, mostly(&USERS), ip, mostly(&ROUTES), plan, secret)
        .prop_map(|(key, account, user, ip, route, plan, dev_key)| {
            let attributes = [
                ("key", key),
                ("account", account),
                ("user", user),
                ("ip", ip),
                ("route", route),
                ("plan", plan),
                ("dev_key", dev_key),
            ];
            let given =
                attributes.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?)));
            Request::new(&given.collect::<Vec<_>>())
        })
        .boxed()
}

/// A request with nothing wrong in it.
fn good_request() -> BoxedStrategy<Request> {
    request()
        .prop_map(|request| match request.get("ip") {
            Some(b"nowhere") => request.with("ip", IPS[0]),
            _ => request,
        })
        .boxed()
}

fn one_attribute() -> impl Strategy<Value = Request> {
    prop_oneof![
        one_of(&KEYS).prop_map(|value| Request::new(&[("key", &value)])),
        one_of(&USERS).prop_map(|value| Request::new(&[("user", &value)])),
        one_of(&IPS).prop_map(|value| Request::new(&[("ip", &value)])),
    ]
}

pub fn call() -> BoxedStrategy<Call> {
    let plan = || one_of(&["a", "b", "c", "gold"]);
    let value = || one_of(&["k", "x", "ann", "y", IPS[0], IPS[2], IPS[4], "2001:DB8:0::9"]);
    let method = prop::sample::select(vec![Method::Count, Method::Latency, Method::Latency]);
    prop_oneof![
        8 => step().prop_map(Call::Pass),
        16 => (request(), units()).prop_map(|(request, cost)| Call::Acquire(request, cost)),
        3 => (request(), units()).prop_map(|(request, cost)| Call::TryAcquire(request, cost)),
        5 => (good_request(), units()).prop_map(|(request, cost)| Call::Obey(request, cost)),
        8 => (request(), method, units()).prop_map(|(request, method, units)| {
            Call::Charge(request, method, units)
        }),
        3 => (request(), units()).prop_map(|(request, units)| Call::Refund(request, units)),
        3 => request().prop_map(Call::Release),
        2 => request().prop_map(Call::Renew),
        4 => (request(), units()).prop_map(|(request, cost)| Call::Reserve(request, cost)),
        4 => (0u64..250).prop_map(Call::Settle),
        1 => Just(Call::Cancel),
        1 => good_request().prop_map(Call::Reset),
        1 => (one_attribute(), step()).prop_map(|(request, span)| Call::Block(request, span)),
        4 => (value(), plan(), prop::option::of(step())).prop_map(|(value, plan, span)| {
            Call::Assign(value, plan, span)
        }),
        1 => value().prop_map(Call::Unassign),
        3 => (request(), prop::option::of(step())).prop_map(|(request, span)| {
            Call::Usage(request, span)
        }),
        1 => planned_policy().prop_map(|policy| Call::Update(Box::new(policy))),
        1 => policy().prop_map(|policy| Call::Update(Box::new(policy))),
        3 => any::<u8>().prop_map(Call::Change),
    ]
    .boxed()
}

/// The engine's request of the same attributes.
fn asked(request: &Request) -> tidegate::Request<'_> {
    let mut asked = tidegate::Request::new();
    request.attributes().iter().for_each(|(name, value)| asked.set(name, value));
    asked
}

/// The answers of both, as the vector files write them.
fn written<T>(answer: Result<T, tidegate::Error>, write: impl Fn(&T) -> Value) -> Value {
    match answer {
        Ok(answer) => write(&answer),
        Err(wrong) => error(&wrong),
    }
}

fn refusal(refused: Option<Refused>) -> Value {
    refused.as_ref().map_or(Value::Null, script::error)
}

struct Both {
    world: World,
    told: Arc<Mutex<Vec<Value>>>,
}

impl Both {
    fn new(policy: Policy, start: Time) -> Both {
        let world = World::new(policy, start);
        let told = Arc::new(Mutex::new(Vec::new()));
        let list = Arc::clone(&told);
        world.engine.on_alert(move |seen| list.lock().unwrap().push(alert(seen)));
        Both { world, told }
    }

    fn apply(&mut self, call: &Call) -> Result<(), TestCaseError> {
        let (now, at) = (self.world.now, time(self.world.now));
        let units = |units: u64| self.world.units(units);
        let span = |step: Step| u64::try_from(self.world.span(step)).unwrap_or(u64::MAX);
        let nothing = |(): &()| Value::Null;
        match call {
            Call::Pass(step) => {
                self.world.now = (now + self.world.span(*step)).min((1 << 62) - 1);
            }
            Call::Acquire(request, cost) => {
                self.acquire(request, units(*cost))?;
            }
            Call::TryAcquire(request, cost) => {
                let cost = units(*cost);
                let expected = self.world.oracle.try_acquire(request.clone(), cost, now);
                let allowed = expected.is_ok_and(|answer| answer.allowed);
                let answer = self.world.engine.try_acquire_at(asked(request), cost, at);
                prop_assert_eq!(answer, allowed);
            }
            Call::Obey(request, cost) => self.obey(request, units(*cost))?,
            Call::Charge(request, method, amount) => {
                let amount = units(*amount);
                let World { oracle, engine, .. } = &mut self.world;
                let refused = oracle.refuses(request.clone(), now);
                let charged = match method {
                    Method::Count => engine.penalize_at(asked(request), amount, at),
                    _ => {
                        let latency = Duration::from_nanos(amount);
                        engine.record_latency_at(asked(request), latency, at)
                    }
                };
                match (&refused, method) {
                    (Some(_), _) => {}
                    (None, Method::Count) => oracle.penalize(request.clone(), amount, now),
                    (None, _) => oracle.record_latency(request.clone(), amount, now),
                }
                prop_assert_eq!(written(charged, nothing), refusal(refused));
            }
            Call::Refund(request, amount) => {
                let amount = units(*amount);
                let refused = self.world.oracle.refuses(request.clone(), now);
                if refused.is_none() {
                    self.world.oracle.refund(request.clone(), amount, now);
                }
                let given = self.world.engine.refund_at(asked(request), amount, at);
                prop_assert_eq!(written(given, nothing), refusal(refused));
            }
            Call::Release(request) => {
                let refused = self.world.oracle.refuses(request.clone(), now);
                if refused.is_none() {
                    self.world.oracle.release(request.clone(), now);
                }
                let given = self.world.engine.release_at(asked(request), at);
                prop_assert_eq!(written(given, nothing), refusal(refused));
            }
            Call::Renew(request) => {
                let expected = match self.world.oracle.refuses(request.clone(), now) {
                    None => self.world.oracle.renew(request.clone(), now).into(),
                    refused => refusal(refused),
                };
                let renewed = self.world.engine.renew_at(asked(request), at);
                prop_assert_eq!(written(renewed, |all| (*all).into()), expected);
            }
            Call::Reserve(request, cost) => {
                let cost = units(*cost);
                let expected = self.world.oracle.try_reserve(request.clone(), cost, now);
                let reserved = self.world.engine.reserve_at(asked(request), cost, at);
                match (expected, reserved) {
                    (Ok(expected), Ok(reserved)) => {
                        let answer = over_http(&reserved.decision());
                        prop_assert_eq!(answer, script::over_http(&expected.answer));
                        self.world.reservations.push((cost, expected, reserved));
                    }
                    (expected, reserved) => {
                        let answer = written(reserved, |reserved| over_http(&reserved.decision()));
                        prop_assert_eq!(answer, refusal(expected.err()));
                    }
                }
            }
            Call::Settle(_) | Call::Cancel if self.world.reservations.is_empty() => {}
            Call::Settle(share) => {
                let (cost, expected, reserved) = self.world.reservations.remove(0);
                let actual = u128::from(cost) * u128::from(*share) / 100;
                let actual = u64::try_from(actual).unwrap_or(u64::MAX);
                self.world.oracle.settle(&expected, actual, now);
                prop_assert_eq!(written(reserved.settle_at(actual, at), nothing), Value::Null);
            }
            Call::Cancel => {
                let (_, expected, reserved) = self.world.reservations.remove(0);
                self.world.oracle.cancel(&expected, now);
                prop_assert_eq!(written(reserved.cancel_at(at), nothing), Value::Null);
            }
            Call::Reset(request) => {
                self.world.oracle.reset_at(request.clone(), now);
                self.world.engine.reset_at(asked(request), at).unwrap();
            }
            Call::Block(request, step) => {
                let span = span(*step);
                self.world.oracle.block(request.clone(), span, now);
                let span = Duration::from_nanos(span);
                self.world.engine.block_at(asked(request), span, at).unwrap();
            }
            Call::Assign(value, plan, step) => {
                let span = step.map(span);
                let expected = self.world.oracle.assign(value.as_bytes(), plan, span, now);
                let span = span.map(Duration::from_nanos);
                let assigned = self.world.engine.assign_at(value, plan, span, at);
                prop_assert_eq!(written(assigned, nothing), refusal(expected.err()));
            }
            Call::Unassign(value) => {
                self.world.oracle.unassign(value.as_bytes());
                self.world.engine.unassign(value);
            }
            Call::Usage(request, step) => {
                let span = step.map(span);
                let expected = self.world.oracle.usage(request.clone(), span, now);
                let span = span.map(Duration::from_nanos);
                let answer = self.world.engine.usage_at(asked(request), span, at);
                prop_assert_eq!(
                    written(answer, report),
                    script::answered(expected, script::report)
                );
            }
            Call::Update(policy) => self.world.update(policy),
            Call::Change(what) => self.world.update(&changed(&self.world.policy, *what)),
        }
        let told = std::mem::take(&mut *self.told.lock().unwrap());
        let expected: Vec<_> = self.world.oracle.take_alerts().iter().map(script::alert).collect();
        prop_assert_eq!(told, expected, "alerts");
        self.compare()
    }

    fn acquire(&mut self, request: &Request, cost: u64) -> Result<bool, TestCaseError> {
        let World { oracle, engine, now, .. } = &mut self.world;
        let expected = oracle.try_acquire(request.clone(), cost, *now);
        let answer = engine.acquire_at(asked(request), cost, time(*now));
        let allowed = answer.as_ref().is_ok_and(tidegate::Decision::allowed);
        let expected = script::answered(expected, script::over_http);
        prop_assert_eq!(written(answer, over_http), expected, "acquire {} {:?}", cost, request);
        Ok(allowed)
    }

    fn obey(&mut self, request: &Request, cost: u64) -> Result<(), TestCaseError> {
        let now = self.world.now;
        let answer = self.world.oracle.try_peek(request.clone(), cost, now);
        let wait = answer.as_ref().ok().and_then(|answer| answer.retry_after).unwrap_or(0);
        if wait == 0 || now + wait >= 4_000_000_000_000_000_000 {
            self.acquire(request, cost)?;
            return Ok(());
        }
        // A look leaves records under the plans that they are under; for permits and blocks see `World::obey`.
        let Policy { limits, plans, .. } = &self.world.policy;
        let permits = |limit: &Limit| matches!(limit.method, Method::Concurrency(_));
        let limited = answer.is_ok_and(|answer| answer.reason == "limited");
        let exact = limited && plans.is_empty() && !limits.iter().any(permits);
        self.world.now += wait - 1;
        let early = self.acquire(request, cost)?;
        self.world.now += 1;
        let in_time = self.acquire(request, cost)?;
        prop_assert!(!exact || (!early && in_time), "early {}, in time {}", early, in_time);
        Ok(())
    }

    /// Every bucket, what a request would be told, and its plan: of some requests that share records.
    fn compare(&self) -> Result<(), TestCaseError> {
        let World { oracle, engine, now, .. } = &self.world;
        let at = time(*now);
        for index in 0..8 {
            let attributes = [
                ("key", KEYS[index % 2]),
                ("account", ACCOUNTS[index / 2 % 2]),
                ("user", USERS[index % 4]),
                ("ip", IPS[index % 5]),
                ("route", ROUTES[index % 5]),
                ("plan", PLANS[index % 3]),
            ];
            let request = Request::new(&attributes[..if index < 6 { 6 } else { 5 }]);
            let seen = engine.snapshot_at(asked(&request), at).unwrap();
            let (blocked_for, buckets) = oracle.snapshot(request.clone(), *now);
            let expected = model_snapshot(blocked_for, &buckets);
            prop_assert_eq!(snapshot(&seen), expected, "{:?}", request);
            let answer = written(engine.peek_at(asked(&request), 1, at), over_http);
            let expected = oracle.try_peek(request.clone(), 1, *now);
            let expected = script::answered(expected, script::over_http);
            prop_assert_eq!(answer, expected, "peek {:?}", request);
        }
        Ok(())
    }
}

fn changed(policy: &Policy, what: u8) -> Policy {
    let mut policy = policy.clone();
    if what & 1 == 1 {
        policy.limits = distinct_in_plans(policy.limits.into_iter().map(halved).collect());
    }
    if what & 2 == 2 {
        let shared = policy.limits.iter().filter(|limit| limit.terms.plan.is_none()).count();
        policy.limits[..shared].rotate_left(usize::from(shared > 0));
    }
    if what & 12 == 12 && policy.plans.len() > 1 {
        let plan = policy.plans.pop().expect("more than one");
        if policy.limits.iter().any(|limit| limit.terms.plan.as_ref() != Some(&plan)) {
            policy.limits.retain(|limit| limit.terms.plan.as_ref() != Some(&plan));
            policy.default_plan = policy.default_plan.filter(|default| *default != plan);
        } else {
            policy.plans.push(plan);
        }
    }
    policy
}

/// Halved limits of every request may have come to one name.
fn distinct_in_plans(limits: Vec<Limit>) -> Vec<Limit> {
    let (shared, own): (Vec<_>, Vec<_>) =
        limits.into_iter().partition(|limit| limit.terms.plan.is_none());
    distinct(shared).into_iter().chain(own).collect()
}

pub fn agree(policy: Policy, start: Time, calls: &[Call]) -> Result<(), TestCaseError> {
    let text = policy.toml();
    let mut both = Both::new(policy, start);
    for (number, call) in calls.iter().enumerate() {
        let now = both.world.now;
        both.apply(call).map_err(|error| {
            let begun = both.world.policy.toml();
            TestCaseError::fail(format!(
                "{text}\nnow {begun}\nat {now}, step {number}, {call:?}: {error}"
            ))
        })?;
    }
    Ok(())
}
