//! Random policies: every method and algorithm, alone and in cascades.

use proptest::prelude::*;
use tidegate_model::{
    Algorithm, DAY, Growth, HOUR, Limit, MINUTE, Method, Period, Policy, Rate, SECOND,
};

/// Changes at night, at midnight and a minute past it, by half an hour, of whole days.
pub const ZONES: [&str; 8] = [
    "UTC",
    "Europe/Amsterdam",
    "America/Sao_Paulo",
    "Australia/Lord_Howe",
    "America/St_Johns",
    "Africa/Cairo",
    "Asia/Kathmandu",
    "Pacific/Apia",
];

fn method() -> impl Strategy<Value = Method> {
    prop_oneof![
        5 => Just(Method::Count),
        4 => Just(Method::Latency),
        1 => (1u64..5).prop_map(Method::Concurrency),
    ]
}

fn algorithm() -> impl Strategy<Value = Algorithm> {
    prop_oneof![
        2 => Just(Algorithm::Gcra(None)),
        1 => Just(Algorithm::Gcra(Some(0))), // the burst follows, see `rate`
        2 => Just(Algorithm::Sliding),
        2 => Just(Algorithm::Strict),
        3 => prop::sample::select(ZONES.to_vec()).prop_map(|zone| Algorithm::Clock(zone.to_owned())),
        2 => Just(Algorithm::FirstRequest),
    ]
}

/// Periods that every algorithm takes.
fn period() -> impl Strategy<Value = Period> {
    prop_oneof![
        prop::sample::select(vec![
            Period::Nanos(SECOND),
            Period::Nanos(MINUTE),
            Period::Nanos(5 * MINUTE),
            Period::Nanos(15 * MINUTE),
            Period::Nanos(24 * MINUTE),
            Period::Nanos(HOUR),
            Period::Nanos(2 * HOUR),
            Period::Nanos(7 * HOUR),
            Period::Nanos(12 * HOUR),
            Period::Days(1),
            Period::Weeks(1),
            Period::Months(1),
        ]),
        (1u64..100_000).prop_map(|seconds| Period::Nanos(seconds * SECOND)),
        (1u32..5).prop_map(Period::Days),
        (1u32..3).prop_map(Period::Months),
    ]
}

/// Periods that no clock shows.
fn odd_period() -> impl Strategy<Value = Period> {
    prop_oneof![1_000u64..1_000_000, 1_000_000u64..DAY, Just(999_983), Just(1_000)]
        .prop_map(Period::Nanos)
}

/// A number between `least` and `most`, small ones and round ones first.
fn amount(seed: u64, least: u64, most: u64) -> u64 {
    let wide = 1u64 << (seed % 53);
    least.max((seed / 53 % wide).max(1)).min(most)
}

fn rate(method: Method) -> impl Strategy<Value = Rate> {
    let debts = prop::option::weighted(0.4, any::<u64>());
    (algorithm(), period(), odd_period(), any::<bool>(), any::<u64>(), any::<u64>(), debts)
        .prop_map(move |(algorithm, period, odd, use_odd, quota, burst, debt)| {
            let (algorithm, period) = match algorithm {
                Algorithm::Clock(zone) => at_the_clock(zone, period),
                _ if use_odd => (algorithm, odd),
                _ => (algorithm, period),
            };
            let quota = quota_of(method, period.nanos(), quota);
            let largest = quota.saturating_mul(20);
            let whole = |units: u64| {
                if quota > period.nanos() { units.div_ceil(1024) * 1024 } else { units }
            };
            let algorithm = match algorithm {
                Algorithm::Gcra(Some(_)) => Algorithm::Gcra(Some(whole(amount(burst, 1, largest)))),
                other => other,
            };
            let max_debt = debt.map(|debt| match debt % 5 {
                0 => 0,
                _ => whole(amount(debt, 1, largest)),
            });
            Rate { name: None, quota, period, algorithm, max_debt, growth: None }
        })
}

/// Whole days at the clock are days, however they are written.
fn at_the_clock(zone: String, period: Period) -> (Algorithm, Period) {
    let period = match period {
        Period::Nanos(nanos) if nanos.is_multiple_of(DAY) => Period::Days((nanos / DAY) as u32),
        period => period,
    };
    (Algorithm::Clock(zone), period)
}

fn quota_of(method: Method, period: u64, seed: u64) -> u64 {
    match method {
        // gcra gives out at most one unit in a nanosecond.
        Method::Count => match seed % 4 {
            0 => amount(seed / 4, 1, period.min(1 << 40)),
            _ => (seed / 4 % 30 + 1).min(period),
        },
        _ => match seed % 4 {
            0 => amount(seed / 4, 1, period),
            1 => (seed / 4 % (3 * period) / 1024 + 1) * 1024,
            _ => (period / 10 * (seed / 4 % 9 + 1)).max(1),
        },
    }
}

pub fn limit(index: usize) -> impl Strategy<Value = Limit> {
    (method(), prop::bool::weighted(0.4)).prop_flat_map(move |(method, unnamed)| {
        let rates = prop::collection::vec(rate(method), 1..4);
        rates.prop_map(move |mut rates| {
            if let Method::Concurrency(_) = method {
                rates.clear();
            }
            if let ([_], true) = (rates.as_slice(), unnamed) {
                return Limit::unnamed(method, rates);
            }
            for (index, rate) in rates.iter_mut().enumerate() {
                rate.name = Some(format!("bucket {index}"));
            }
            match unnamed {
                true => Limit::unnamed(method, rates),
                false => Limit::named(&format!("limit {index}"), method, rates),
            }
        })
    })
}

/// One to three limits, of `limit 0` to `limit 2` and unnamed ones.
pub fn policy() -> impl Strategy<Value = Policy> {
    (limit(0), limit(1), limit(2), 1usize..8).prop_map(|(first, second, third, which)| {
        let limits = [first, second, third].into_iter().enumerate();
        distinct(limits.filter(|(bit, _)| which >> bit & 1 == 1).map(|(_, limit)| limit).collect())
    })
}

/// Of each rate, whether it grows: steps and spans in percent of its quota and its period. Of permits, whether they have
/// a time.
///
/// Apart from `policy`, since another choice there would make other policies of the seeds that are kept.
pub fn growing_policy() -> impl Strategy<Value = Policy> {
    let growth = (1u64..200, 1u64..6, 0u64..500, 0u64..500);
    let growths = prop::collection::vec(prop::option::weighted(0.8, growth), 9);
    let holds = prop::collection::vec(prop::option::weighted(0.8, 1_000_000u64..10_000_000_000), 3);
    (policy(), growths, holds).prop_map(|(mut policy, growths, holds)| {
        for (limit, hold) in policy.limits.iter_mut().zip(holds) {
            if let Method::Concurrency(_) = limit.method {
                limit.max_hold = hold;
            }
        }
        let rates = policy.limits.iter_mut().flat_map(|limit| &mut limit.rates);
        for (rate, growth) in rates.zip(growths) {
            rate.growth = growth.and_then(|shares| growth_of(rate, shares));
        }
        policy
    })
}

/// None where the ceiling's amounts would be too large for a policy.
fn growth_of(rate: &Rate, shares: (u64, u64, u64, u64)) -> Option<Growth> {
    let (step, steps, after, shrink_after) = shares;
    let (quota, period) = (rate.quota, rate.period.nanos());
    let step = (quota / 100 * step).max(1);
    let nanos = |percent: u64| (period / 100 * percent + 1).max(1_000_000);
    let ceiling = quota + (step * steps - step / 3).max(1);
    let largest = u128::from(rate.capacity().max(rate.debt())) * u128::from(ceiling);
    let largest = (largest / u128::from(quota)).max(ceiling.into());
    let most = if quota > period { 1 << 59 } else { period.min(1 << 53) };
    (largest <= most.into()).then(|| Growth {
        ceiling,
        step,
        after: nanos(after),
        shrink_after: nanos(shrink_after),
    })
}

/// Gives a name to a limit whose own is taken.
fn distinct(mut limits: Vec<Limit>) -> Policy {
    for index in 1..limits.len() {
        let (earlier, later) = limits.split_at_mut(index);
        if earlier.iter().any(|limit| limit.name == later[0].name) {
            (later[0].name, later[0].named) = (format!("another {index}"), true);
        }
    }
    Policy::new(limits)
}

/// How an operator changes a policy in force: most of it stays.
#[derive(Clone, Copy, Debug)]
pub enum Change {
    /// Put in force again as it is.
    Nothing,
    /// Half of each quota; the names of unnamed limits follow.
    Halve,
    /// The first limit becomes the last.
    Rotate,
    DropFirst,
    /// Each unnamed limit gets a name.
    Name,
}

pub fn change() -> impl Strategy<Value = Change> {
    use Change::{DropFirst, Halve, Name, Nothing, Rotate};
    prop::sample::select(vec![Nothing, Halve, Halve, Rotate, DropFirst, Name])
}

pub fn changed(policy: &Policy, change: Change) -> Policy {
    let mut limits = policy.limits.clone();
    match change {
        Change::Nothing => {}
        Change::Halve => limits = limits.into_iter().map(halved).collect(),
        Change::Rotate => limits.rotate_left(1),
        Change::DropFirst if limits.len() == 1 => {}
        Change::DropFirst => drop(limits.remove(0)),
        Change::Name => {
            for (index, limit) in limits.iter_mut().enumerate().filter(|(_, limit)| !limit.named) {
                (limit.name, limit.named) = (format!("new {index}"), true);
            }
        }
    }
    distinct(limits)
}

pub fn halved(mut limit: Limit) -> Limit {
    for rate in &mut limit.rates {
        rate.quota = rate.quota.div_ceil(2);
        if let Some(growth) = &mut rate.growth {
            // No more than 63 steps.
            growth.step = growth.step.max((growth.ceiling - rate.quota).div_ceil(63));
        }
    }
    match limit.named {
        true => limit,
        false => Limit { terms: limit.terms, ..Limit::unnamed(limit.method, limit.rates) },
    }
}
