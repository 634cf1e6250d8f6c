//! Random policies: every method and algorithm, alone and in cascades.

use proptest::prelude::*;
use tidegate_model::{Algorithm, DAY, HOUR, Limit, MINUTE, Method, Period, Policy, Rate, SECOND};

pub const ZONES: [&str; 5] =
    ["UTC", "Europe/Amsterdam", "America/Sao_Paulo", "Australia/Lord_Howe", "America/St_Johns"];

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
            Period::Nanos(HOUR),
            Period::Nanos(2 * HOUR),
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
            Rate { name: None, quota, period, algorithm, max_debt }
        })
}

/// Times of day are those that divide it, in zones whose clocks change at full or half hours
/// of the night; where a change leaves a window of minutes, the engine may count it with the next.
fn at_the_clock(zone: String, period: Period) -> (Algorithm, Period) {
    let at_midnight = ZONES[5..].contains(&zone.as_str());
    let period = match period {
        Period::Nanos(_) if at_midnight => Period::Days(1),
        Period::Nanos(nanos) if !DAY.is_multiple_of(nanos) || nanos == DAY => Period::Nanos(HOUR),
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

fn limit(index: usize) -> impl Strategy<Value = Limit> {
    method().prop_flat_map(move |method| {
        let rates = prop::collection::vec(rate(method), 1..4);
        rates.prop_map(move |mut rates| {
            if let Method::Concurrency(_) = method {
                rates.clear();
            }
            for (index, rate) in rates.iter_mut().enumerate() {
                rate.name = Some(format!("bucket {index}"));
            }
            Limit { name: format!("limit {index}"), method, rates }
        })
    })
}

/// One to three limits, of `limit 0` to `limit 2`.
pub fn policy() -> impl Strategy<Value = Policy> {
    (limit(0), limit(1), limit(2), 1usize..8).prop_map(|(first, second, third, which)| {
        let limits = [first, second, third].into_iter().enumerate();
        Policy::new(
            limits
                .filter(|(bit, _)| which >> bit & 1 == 1)
                .map(|(_, limit)| limit)
                .collect::<Vec<_>>(),
        )
    })
}
