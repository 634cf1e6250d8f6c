//! Random policies and random calls: the engine and the oracle agree in every field.

mod common;
#[path = "common/policies.rs"]
mod policies;
#[path = "common/requests.rs"]
mod requests;

use std::time::Duration;

use common::{decision, snapshot, time};
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use tidegate::Limiter;
use tidegate_model::script::{decision as model_decision, snapshot as model_snapshot};
use tidegate_model::{
    Algorithm, Growth, Limit, Method, Oracle, Period, Policy, Rate, SECOND, Time,
};

#[derive(Clone, Debug)]
enum Op {
    Pass(Step),
    Back(Step),
    Acquire(u8, u64),
    AcquireMany(Vec<u8>, u64),
    TryAcquire(u8, u64),
    Peek(u8, u64),
    /// Peek, then ask one nanosecond before the advised time and at it.
    Obey(u8, u64),
    RecordLatency(u8, u64),
    Penalize(u8, u64),
    Refund(u8, u64),
    Release(u8),
    Reserve(u8, u64),
    /// The oldest reservation, at this share of the estimate in percent.
    Settle(u64),
    Cancel,
    Reset(u8),
    Block(u8, Step),
    Update(Box<Policy>),
    Change(policies::Change),
}

/// A span of time, told by the policy's own periods.
#[derive(Clone, Copy, Debug)]
enum Step {
    Nanos(u64),
    /// Thousandths of the n-th period of the policy, and nanoseconds more or less.
    Period(usize, u64, i64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        1 => (0u64..3).prop_map(Step::Nanos),
        1 => (0u64..10_000_000_000).prop_map(Step::Nanos),
        4 => (0usize..9, 0u64..2_500, -2i64..3).prop_map(|(n, share, more)| Step::Period(n, share, more)),
        1 => (0usize..9, 0u64..3, -2i64..3).prop_map(|(n, whole, more)| Step::Period(n, whole * 1_000, more)),
    ]
}

/// Units: small, or a share of the policy's amounts (see `World::units`), or enormous.
fn units() -> impl Strategy<Value = u64> {
    prop_oneof![4 => 0u64..4, 8 => 1_000u64..4_000, 1 => Just(u64::MAX)]
}

fn op(back: u32) -> impl Strategy<Value = Op> {
    let key = 0u8..2;
    prop_oneof![
        8 => step().prop_map(Op::Pass),
        1 + back => step().prop_map(move |step| if back > 0 { Op::Back(step) } else { Op::Pass(step) }),
        12 => (key.clone(), units()).prop_map(|(key, cost)| Op::Acquire(key, cost)),
        3 => (key.clone(), units()).prop_map(|(key, cost)| Op::TryAcquire(key, cost)),
        2 => (key.clone(), units()).prop_map(|(key, cost)| Op::Peek(key, cost)),
        6 => (key.clone(), units()).prop_map(|(key, cost)| Op::Obey(key, cost)),
        8 => (key.clone(), units()).prop_map(|(key, units)| Op::RecordLatency(key, units)),
        3 => (key.clone(), units()).prop_map(|(key, units)| Op::Penalize(key, units)),
        3 => (key.clone(), units()).prop_map(|(key, units)| Op::Refund(key, units)),
        3 => key.clone().prop_map(Op::Release),
        4 => (key.clone(), units()).prop_map(|(key, cost)| Op::Reserve(key, cost)),
        4 => (0u64..250).prop_map(Op::Settle),
        1 => Just(Op::Cancel),
        1 => key.clone().prop_map(Op::Reset),
        1 => (key, step()).prop_map(|(key, span)| Op::Block(key, span)),
        2 => policies::policy().prop_map(|policy| Op::Update(Box::new(policy))),
        2 => policies::change().prop_map(Op::Change),
    ]
}

/// As `op`, with batches of every size from none to more than two of the engine's groups.
///
/// Apart from `op`, since another arm there would make other calls of the seeds that are kept.
fn op_or_batch() -> impl Strategy<Value = Op> {
    let keys = prop_oneof![
        3 => prop::collection::vec(0u8..3, 0..6),
        1 => prop::collection::vec(0u8..3, 6..40),
    ];
    prop_oneof![
        2 => op(1),
        1 => (keys, units()).prop_map(|(keys, cost)| Op::AcquireMany(keys, cost)),
    ]
}

/// Where a script begins: the epoch, an ordinary day, and nights on which clocks change.
fn start() -> impl Strategy<Value = Time> {
    let nights = [
        "1970-01-01T00:00:00Z",
        "1970-03-29T00:30:00Z",
        "2023-11-14T22:13:20.000000007Z",
        "2026-03-29T00:30:00Z",
        "2026-10-25T00:30:00Z",
        "2018-11-04T02:30:00Z",
        "2011-03-13T03:20:00Z",
        "2026-04-23T21:30:00Z",
        "2026-10-29T20:30:00Z",
        "2011-12-30T09:00:00Z",
        "2026-10-03T15:00:00Z",
        "2005-10-30T02:00:00Z",
        "2024-02-28T12:00:00Z",
    ];
    prop_oneof![
        prop::sample::select(nights.to_vec()).prop_map(tidegate_model::script::utc),
        0i128..3_000_000_000_000_000_000,
    ]
}

struct World {
    policy: Policy,
    oracle: Oracle,
    engine: Limiter,
    now: Time,
    reservations: Vec<(u64, tidegate_model::Reservation, tidegate::Reservation)>,
}

impl World {
    fn new(policy: Policy, now: Time) -> World {
        let text = policy.toml();
        let engine = Limiter::builder(text.as_str()).max_keys(64).build();
        let engine = engine.unwrap_or_else(|error| panic!("{error}\n{text}"));
        World { oracle: Oracle::new(&policy), policy, engine, now, reservations: Vec::new() }
    }

    fn span(&self, step: Step) -> i128 {
        let rates: Vec<_> = self.policy.limits.iter().flat_map(|limit| &limit.rates).collect();
        match step {
            Step::Nanos(nanos) => nanos.into(),
            Step::Period(_, share, _) if rates.is_empty() => i128::from(share) * 1_000_000,
            Step::Period(which, share, more) => {
                let period = i128::from(rates[which % rates.len()].period.nanos());
                (period * i128::from(share) / 1_000 + i128::from(more)).max(0)
            }
        }
    }

    /// From 1000 up: thousandths of the amounts that the policy speaks of, up to three times them.
    fn units(&self, units: u64) -> u64 {
        let rates: Vec<_> = self.policy.limits.iter().flat_map(|limit| &limit.rates).collect();
        match units {
            u64::MAX => u64::MAX,
            0..1_000 => units,
            _ if rates.is_empty() => units % 7,
            _ => {
                let amount = u128::from(rates[units as usize % rates.len()].capacity());
                u64::try_from(amount * u128::from(units - 1_000) / 1_000).unwrap_or(u64::MAX)
            }
        }
    }

    fn apply(&mut self, op: &Op) -> Result<(), TestCaseError> {
        let at = time(self.now);
        match op {
            Op::Pass(step) => self.now = (self.now + self.span(*step)).min((1 << 62) - 1),
            Op::Back(step) => self.now = (self.now - self.span(*step)).max(0),
            Op::Acquire(key, cost) => {
                self.acquire(*key, self.units(*cost))?;
            }
            Op::AcquireMany(keys, cost) => self.acquire_many(keys, self.units(*cost))?,
            Op::TryAcquire(key, cost) => {
                let cost = self.units(*cost);
                let expected = self.oracle.acquire([*key], cost, self.now).allowed;
                prop_assert_eq!(self.engine.try_acquire_at([*key], cost, at), expected);
            }
            Op::Peek(key, cost) => {
                self.peek(*key, self.units(*cost))?;
            }
            Op::Obey(key, cost) => self.obey(*key, self.units(*cost))?,
            Op::RecordLatency(key, units) => {
                let units = self.units(*units);
                self.oracle.record_latency([*key], units, self.now);
                self.engine.record_latency_at([*key], Duration::from_nanos(units), at).unwrap();
            }
            Op::Penalize(key, units) => {
                let units = self.units(*units);
                self.oracle.penalize([*key], units, self.now);
                self.engine.penalize_at([*key], units, at).unwrap();
            }
            Op::Refund(key, units) => {
                let units = self.units(*units);
                self.oracle.refund([*key], units, self.now);
                self.engine.refund_at([*key], units, at).unwrap();
            }
            Op::Release(key) => {
                self.oracle.release([*key], self.now);
                self.engine.release_at([*key], at).unwrap();
            }
            Op::Reserve(key, cost) => {
                let cost = self.units(*cost);
                let expected = self.oracle.reserve([*key], cost, self.now);
                let reserved = self.engine.reserve_at([*key], cost, at).unwrap();
                prop_assert_eq!(decision(&reserved.decision()), model_decision(&expected.answer));
                self.reservations.push((cost, expected, reserved));
            }
            Op::Settle(_) | Op::Cancel if self.reservations.is_empty() => {}
            Op::Settle(share) => {
                let (cost, expected, reserved) = self.reservations.remove(0);
                let actual = u128::from(cost) * u128::from(*share) / 100;
                let actual = u64::try_from(actual).unwrap_or(u64::MAX);
                self.oracle.settle(&expected, actual, self.now);
                reserved.settle_at(actual, at).unwrap();
            }
            Op::Cancel => {
                let (_, expected, reserved) = self.reservations.remove(0);
                self.oracle.cancel(&expected, self.now);
                reserved.cancel_at(at).unwrap();
            }
            Op::Reset(key) => {
                self.oracle.reset(&[*key]);
                self.engine.reset_at([*key], at).unwrap();
            }
            Op::Block(key, step) => {
                let span = u64::try_from(self.span(*step)).unwrap_or(u64::MAX);
                self.oracle.block([*key], span, self.now);
                self.engine.block_at([*key], Duration::from_nanos(span), at).unwrap();
            }
            Op::Update(policy) => self.update(policy),
            Op::Change(change) => self.update(&policies::changed(&self.policy, *change)),
        }
        self.compare()
    }

    fn update(&mut self, policy: &Policy) {
        self.oracle.update(policy, self.now);
        let updated = self.engine.update_at(policy.toml().as_str(), time(self.now));
        updated.unwrap_or_else(|error| panic!("{error}\n{}", policy.toml()));
        self.policy = policy.clone();
    }

    fn acquire(&mut self, key: u8, cost: u64) -> Result<bool, TestCaseError> {
        let expected = self.oracle.acquire([key], cost, self.now);
        let answer = self.engine.acquire_at([key], cost, time(self.now)).unwrap();
        prop_assert_eq!(decision(&answer), model_decision(&expected), "acquire {}", cost);
        Ok(answer.allowed())
    }

    fn acquire_many(&mut self, keys: &[u8], cost: u64) -> Result<(), TestCaseError> {
        let keys: Vec<_> = keys.iter().map(|&key| [key]).collect();
        let expected = self.oracle.acquire_many(&keys, cost, self.now);
        let answers = self.engine.acquire_many_at(&keys, cost, time(self.now)).unwrap();
        let expected: Vec<_> = expected.iter().map(model_decision).collect();
        prop_assert_eq!(answers.iter().map(decision).collect::<Vec<_>>(), expected);
        Ok(())
    }

    fn peek(&self, key: u8, cost: u64) -> Result<tidegate_model::Answer, TestCaseError> {
        let expected = self.oracle.peek([key], cost, self.now);
        let answer = self.engine.peek_at([key], cost, time(self.now)).unwrap();
        prop_assert_eq!(decision(&answer), model_decision(&expected), "peek {}", cost);
        Ok(expected)
    }

    fn obey(&mut self, key: u8, cost: u64) -> Result<(), TestCaseError> {
        let answer = self.peek(key, cost)?;
        let Some(wait) = answer.retry_after.filter(|&wait| wait > 0) else { return Ok(()) };
        if self.now + wait > 4_000_000_000_000_000_000 {
            return Ok(());
        }
        // Of permits the advice is nominal, and a block ends for limits to decide.
        let permits = |limit: &Limit| matches!(limit.method, Method::Concurrency(_));
        let exact = answer.reason == "limited" && !self.policy.limits.iter().any(permits);
        self.now += wait - 1;
        let early = self.acquire(key, cost)?;
        self.compare()?;
        self.now += 1;
        let in_time = self.acquire(key, cost)?;
        prop_assert!(
            !exact || (!early && in_time),
            "cost {}: early {}, in time {}",
            cost,
            early,
            in_time
        );
        Ok(())
    }

    /// Every bucket of every key, and what a request would be told.
    fn compare(&self) -> Result<(), TestCaseError> {
        for key in 0..3u8 {
            let seen = self.engine.snapshot_at([key], time(self.now)).unwrap();
            let (blocked_for, buckets) = self.oracle.snapshot([key], self.now);
            prop_assert_eq!(snapshot(&seen), model_snapshot(blocked_for, &buckets), "key {}", key);
            self.peek(key, 1)?;
        }
        Ok(())
    }
}

fn agree(policy: Policy, start: Time, ops: &[Op]) -> Result<(), TestCaseError> {
    let text = policy.toml();
    let mut world = World::new(policy, start);
    for (number, op) in ops.iter().enumerate() {
        let now = world.now;
        world.apply(op).map_err(|error| {
            TestCaseError::fail(format!("{text}\nat {now}, step {number}, {op:?}: {error}"))
        })?;
    }
    Ok(())
}

/// Regressions are kept beside this file.
fn config() -> ProptestConfig {
    let file = FileFailurePersistence::Direct(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/against_engine.proptest-regressions"
    ));
    ProptestConfig { failure_persistence: Some(Box::new(file)), ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn engine_and_oracle_agree(
        policy in policies::policy(),
        start in start(),
        ops in prop::collection::vec(op(0), 1..40),
    ) {
        agree(policy, start, &ops)?;
    }

    #[test]
    fn they_agree_when_times_go_back(
        policy in policies::policy(),
        start in start(),
        ops in prop::collection::vec(op(7), 1..40),
    ) {
        agree(policy, start, &ops)?;
    }

    #[test]
    fn they_agree_about_growth_and_leases(
        policy in policies::growing_policy(),
        start in start(),
        ops in prop::collection::vec(op(0), 1..40),
    ) {
        agree(policy, start, &ops)?;
    }

    #[test]
    fn they_agree_about_growth_and_leases_when_times_go_back(
        policy in policies::growing_policy(),
        start in start(),
        ops in prop::collection::vec(op(7), 1..40),
    ) {
        agree(policy, start, &ops)?;
    }

    #[test]
    fn they_agree_about_batches(
        policy in policies::policy(),
        start in start(),
        ops in prop::collection::vec(op_or_batch(), 1..30),
    ) {
        agree(policy, start, &ops)?;
    }
}

/// Limits of which some grow fast and shrink soon, beside others that have a request wait for longer: quota, seconds,
/// and step, steps, milliseconds to grow and to shrink.
fn growing_fast() -> impl Strategy<Value = Policy> {
    let growth = (1u64..7, 1u64..5, 1u64..500, 1u64..9_000);
    let limit = (1u64..12, 1u64..20, prop::option::of(growth), 0usize..5);
    prop::collection::vec(limit, 2..4).prop_map(|limits| {
        let rate = |(quota, seconds, growth, algorithm): (u64, u64, Option<_>, usize)| Rate {
            name: None,
            quota,
            period: Period::Nanos(seconds * SECOND),
            algorithm: match algorithm {
                0 => Algorithm::Gcra(None),
                1 => Algorithm::Sliding,
                2 => Algorithm::Strict,
                3 => Algorithm::Clock("UTC".to_owned()),
                _ => Algorithm::FirstRequest,
            },
            max_debt: None,
            growth: growth.map(|(step, steps, after, shrink_after)| Growth {
                ceiling: quota + step * steps,
                step,
                after: after * 1_000_000,
                shrink_after: shrink_after * 1_000_000,
            }),
        };
        let limit = |(index, limit)| {
            Limit::named(&format!("limit {index}"), Method::Count, vec![rate(limit)])
        };
        Policy::new(limits.into_iter().enumerate().map(limit).collect::<Vec<_>>())
    })
}

proptest! {
    #![proptest_config(config())]

    /// Where a limit shrinks while the request waits for another one, the advice is still true.
    #[test]
    fn whoever_waits_as_advised_passes_where_limits_grow(
        policy in growing_fast(),
        asked in prop::collection::vec((0u64..2_000, 1u64..12, any::<bool>()), 1..40),
    ) {
        let text = policy.toml();
        let mut world = World::new(policy, 1_700_000_000 * i128::from(SECOND));
        for (pause, cost, obeys) in asked {
            world.now += i128::from(pause) * 1_000_000;
            let at = world.now;
            let done = if obeys { world.obey(0, cost) } else { world.acquire(0, cost).map(|_| ()) };
            done.map_err(|error| TestCaseError::fail(format!("{text}\nat {at}: {error}")))?;
        }
    }
}

/// A step about requests looks at many records: half as many scripts.
fn half() -> ProptestConfig {
    ProptestConfig { cases: config().cases / 2, ..config() }
}

proptest! {
    #![proptest_config(half())]

    #[test]
    fn they_agree_about_requests(
        policy in requests::policy(),
        start in start(),
        calls in prop::collection::vec(requests::call(), 1..40),
    ) {
        requests::agree(policy, start, &calls)?;
    }

    #[test]
    fn they_agree_about_requests_of_plans(
        policy in requests::planned_policy(),
        start in start(),
        calls in prop::collection::vec(requests::call(), 1..40),
    ) {
        requests::agree(policy, start, &calls)?;
    }
}
