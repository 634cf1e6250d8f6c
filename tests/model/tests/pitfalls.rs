//! What rate limiters get wrong, each a test against the engine: arithmetic and time, several
//! limits at once, debt, refunds, live changes. The numbers are those of the list in the notes on
//! the engine's arithmetic.

mod common;

use std::task::Waker;
use std::time::Duration;

use common::{limiter, time};
use proptest::prelude::*;
use tidegate::{Limiter, ManualClock, Reason, Snapshot, Timestamp};
use tidegate_model::script::utc;
use tidegate_model::{DAY, HOUR, MINUTE, SECOND};

const START: i128 = 1_700_000_000_000_000_007;
const YEAR: u64 = 365 * DAY;

/// One limit of each algorithm, `quota` per `period` (both as written in a policy).
fn each_algorithm(quota: &str, period: &str) -> Vec<(&'static str, Limiter)> {
    let one = |name, options: &str| {
        let rate = format!("[[limit]]\nname = \"k\"\nrate = \"{quota} per {period}\"\n{options}\n");
        (name, limiter(&rate))
    };
    vec![
        one("gcra", ""),
        one("sliding", "algorithm = \"sliding_window\""),
        one("strict", "algorithm = \"sliding_window\"\nstrict = true"),
        one("clock", "algorithm = \"fixed_window\""),
        one("first request", "algorithm = \"fixed_window\"\nalign = \"first_request\""),
    ]
}

fn acquire(limiter: &Limiter, cost: u64, at: i128) -> tidegate::Decision {
    limiter.acquire_at("k", cost, time(at)).unwrap()
}

fn snapshot(limiter: &Limiter, at: i128) -> Snapshot {
    limiter.snapshot_at("k", time(at)).unwrap()
}

fn remaining(limiter: &Limiter, at: i128) -> u64 {
    snapshot(limiter, at).buckets[0].remaining
}

/// Takes all there is, as often as there is any, with jumps in between; in whole units.
fn taken_over_ten_years(quota: u64, period: (&str, u64)) {
    // The burst holds what a jump brings, so that nothing is lost.
    let jump = (10 * YEAR / 3_000).max(3 * period.1 / quota);
    let burst = u128::from(jump) * u128::from(quota) / u128::from(period.1) * 2 + 2;
    let limiter = limiter(&format!("{quota}/{} burst {burst}", period.0));
    let drained = acquire(&limiter, u64::try_from(burst).unwrap(), START);
    assert!(drained.allowed());
    let (mut now, mut taken, mut seed) = (START, 0u128, quota);
    while now < START + i128::from(10 * YEAR) {
        // A plain generator of phases: multiplication modulo 2^64.
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        now += i128::from(seed % jump) + 1;
        let room = remaining(&limiter, now);
        assert!(acquire(&limiter, room, now).allowed());
        assert!(!acquire(&limiter, 1, now).allowed());
        taken += u128::from(room);
        let elapsed = u128::try_from(now - START).unwrap();
        let exact = elapsed * u128::from(quota) / u128::from(period.1);
        assert!(taken.abs_diff(exact) <= 1, "{quota}/{}: {taken}, not {exact}", period.0);
    }
}

#[test]
fn pitfall_01_ten_years_within_one_unit() {
    for quota in [3, 7, 123_456, 600_000_000] {
        taken_over_ten_years(quota, ("second", SECOND));
    }
    for quota in [1, 999_983] {
        taken_over_ten_years(quota, ("day", DAY));
    }
}

#[test]
fn pitfall_02_hard_polling_loses_nothing() {
    for (poll, minutes) in [(120_000, 4u64), (119_000, 3), (999_983, 20), (1_000_000, 20)] {
        let limiter = limiter("1/minute");
        let polls = minutes * MINUTE / poll;
        let admitted = (0..=polls)
            .filter(|poll_number| {
                limiter.try_acquire_at("k", 1, time(START + i128::from(poll_number * poll)))
            })
            .count();
        // One at once, then one for each whole minute; a poll comes up to one interval late.
        assert!(admitted as u64 == minutes || admitted as u64 == minutes + 1, "{poll}: {admitted}");
    }
    // Every nanosecond around the moment it comes back.
    let limiter = limiter("1/minute");
    assert!(acquire(&limiter, 1, START).allowed());
    let due = START + i128::from(MINUTE);
    let first = (due - 5_000..due + 5_000).find(|&at| acquire(&limiter, 1, at).allowed());
    assert_eq!(first, Some(due));
}

#[test]
fn pitfall_02_slow_rates_keep_their_spacing_at_every_phase() {
    for (rate, spacing) in [
        ("1/day", u128::from(DAY)),
        ("7/day burst 1", u128::from(DAY) / 7),
        ("3/year burst 2", u128::from(YEAR) / 3),
        ("1/10 years", u128::from(10 * YEAR)),
    ] {
        for phase in [0, 1, 499_999_999, 999_999_999, 123_456_789_012] {
            let limiter = limiter(rate);
            let start = START + phase;
            while limiter.try_acquire_at("k", 1, time(start)) {}
            let mut last = start;
            for _ in 0..3 {
                let wait = acquire(&limiter, 1, last).retry_after().as_nanos();
                let at = last + i128::try_from(wait).unwrap();
                assert!(wait >= spacing - 1, "{rate} at {phase}: {wait} is shorter than {spacing}");
                assert!(
                    !acquire(&limiter, 1, at - 1).allowed() && acquire(&limiter, 1, at).allowed()
                );
                last = at;
            }
        }
    }
}

#[test]
fn pitfall_03_idle_never_saves_more_than_the_burst() {
    for tenths in 0..=40 {
        let limiter = limiter("60/minute burst 10");
        assert!(acquire(&limiter, 10, START).allowed());
        let at = START + i128::from(tenths * SECOND);
        assert_eq!(remaining(&limiter, at), tenths.min(10));
        assert!(!acquire(&limiter, tenths.min(10) + 1, at).allowed());
    }
}

#[test]
fn pitfall_04_extremes_neither_wrap_nor_panic() {
    let most = (1u64 << 53) - 1;
    for rate in [
        format!("1/year burst {}", u32::MAX),
        format!("{}/year burst {}", u32::MAX, u32::MAX),
        format!("1 per 10 years burst {most}"),
        format!("{most} per 10 years burst {most}"),
        "1000 per 1us burst 1".to_owned(),
    ] {
        let limiter = limiter(&rate);
        for at in [0, START, START + i128::from(80 * YEAR), (1 << 62) - 1] {
            let before = remaining(&limiter, at);
            assert!(before > 0, "{rate}");
            assert_eq!(acquire(&limiter, u64::MAX, at).reason(), Reason::Impossible);
            assert_eq!(remaining(&limiter, at), before, "{rate}: a denial changed something");
            assert!(acquire(&limiter, before, at).allowed());
            limiter.penalize_at("k", u64::MAX, time(at)).unwrap();
            assert_eq!(remaining(&limiter, at), 0);
            limiter.refund_at("k", u64::MAX, time(at)).unwrap();
            assert_eq!(snapshot(&limiter, at).buckets[0].used, 0);
        }
    }
}

#[test]
fn pitfall_05_degenerate_policies_are_refused_with_their_field() {
    for (policy, field) in [
        ("0/minute", "rate"),
        ("-1/minute", "rate"),
        ("NaN/minute", "rate"),
        ("1/0s", "rate"),
        ("1 per 0 minutes", "rate"),
        ("1 per -1 minutes", "rate"),
        ("1/minute burst 0", "rate"),
        ("9007199254740992/minute", "rate"),
        ("1 per 11 years", "rate"),
        ("[[limit]]\nquota = 0\nperiod = \"minute\"", "quota"),
        ("[[limit]]\nquota = 1.5\nperiod = \"minute\"", "quota"),
        ("[[limit]]\nrate = \"1/minute\"\nmax_debt = -1", "max_debt"),
        ("[[limit]]\nmethod = \"concurrency\"\nquota = 0", "quota"),
    ] {
        let error = Limiter::new(policy).expect_err(policy);
        assert!(error.is_policy(), "{policy}: {error}");
        assert!(error.to_string().contains(field), "{policy}: {error}");
    }
}

#[test]
fn pitfall_05_impossible_is_said_at_once() {
    for period in ["1 minute", "31 days", "1 year"] {
        for (name, limiter) in each_algorithm("5", period) {
            let zero = acquire(&limiter, 0, START);
            assert!(zero.allowed() && zero.remaining() == 5, "{name}");
            let never = acquire(&limiter, 6, START);
            assert_eq!(never.reason(), Reason::Impossible, "{name} {period}");
            assert_eq!(never.retry_after(), Duration::MAX);
            assert!(acquire(&limiter, 5, START).allowed());
            let later = acquire(&limiter, 1, START);
            assert_eq!(later.reason(), Reason::Limited);
            assert!(later.retry_after() > Duration::ZERO);
            assert!(later.retry_after() <= Duration::from_nanos(2 * YEAR), "{name} {period}");
        }
    }
}

proptest! {
    #[test]
    fn pitfall_06_the_advised_wait_is_the_enforced_wait(
        quota in 1u64..50,
        uses in prop::collection::vec((0u64..2 * MINUTE, 1u64..50), 1..10),
        cost in 1u64..50,
    ) {
        for (name, limiter) in each_algorithm(&quota.to_string(), "minute") {
            let mut now = START;
            for &(pause, units) in &uses {
                now += i128::from(pause);
                acquire(&limiter, units, now);
            }
            let answer = acquire(&limiter, cost, now);
            if answer.reason() != Reason::Limited {
                continue;
            }
            let then = now + i128::try_from(answer.retry_after().as_nanos()).unwrap();
            prop_assert!(then > now, "{}: never 0 on a denial", name);
            prop_assert!(!acquire(&limiter, cost, then - 1).allowed(), "{}: 1 ns early", name);
            prop_assert!(acquire(&limiter, cost, then).allowed(), "{}: in time", name);
        }
    }

    #[test]
    fn pitfall_07_costs_add_up(a in 0u64..30, b in 0u64..30, at in 0i128..120_000_000_000) {
        let pairs = each_algorithm("60", "minute").into_iter().zip(each_algorithm("60", "minute"));
        for ((name, once), (_, twice)) in pairs {
            acquire(&once, a + b, START + at);
            acquire(&twice, a, START + at);
            acquire(&twice, b, START + at);
            for later in [0, 1, 59_000_000_000, 60_000_000_000] {
                let later = START + at + later;
                prop_assert_eq!(snapshot(&once, later), snapshot(&twice, later), "{}", name);
            }
        }
    }
}

#[test]
fn pitfall_08_going_back_in_time_grants_nothing() {
    for (name, limiter) in each_algorithm("10", "minute") {
        let mut admitted = 0;
        let back = [0, 1, SECOND, MINUTE, HOUR, DAY, 30 * DAY];
        for &back in back.iter().chain(back.iter().rev()) {
            for _ in 0..20 {
                let at = START - i128::from(back);
                admitted += u64::from(limiter.try_acquire_at("k", 1, time(at)));
            }
        }
        assert_eq!(admitted, 10, "{name}");
    }
}

#[test]
fn pitfall_08_a_stale_time_of_another_thread_rewinds_nothing() {
    for (name, limiter) in each_algorithm("10", "minute") {
        assert!(acquire(&limiter, 10, START).allowed());
        let wait = acquire(&limiter, 1, START).retry_after();
        acquire(&limiter, 1, START - i128::from(HOUR));
        limiter.peek_at("k", 1, time(START - i128::from(DAY))).unwrap();
        assert_eq!(acquire(&limiter, 1, START).retry_after(), wait, "{name}");
    }
}

/// Units that pass when asked every quarter of an hour over a span.
fn passed(policy: &str, from: &str, to: &str) -> u64 {
    let limiter = limiter(policy);
    let quarters = (utc(from)..utc(to)).step_by(usize::try_from(HOUR / 4).unwrap());
    quarters.filter(|&at| limiter.try_acquire_at("k", 1, time(at))).count() as u64
}

#[test]
fn pitfall_09_days_of_23_and_25_hours() {
    let hourly = "[[limit]]\nrate = \"1/hour\"\nalgorithm = \"fixed_window\"\ntimezone = \"Europe/Amsterdam\"";
    assert_eq!(passed(hourly, "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"), 23);
    assert_eq!(passed(hourly, "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"), 25);
    let daily = "[[limit]]\nrate = \"1/day\"\nalgorithm = \"fixed_window\"\ntimezone = \"Europe/Amsterdam\"";
    assert_eq!(passed(daily, "2026-02-28T23:00:00Z", "2026-04-30T22:00:00Z"), 61);
    assert_eq!(passed(daily, "2026-09-30T22:00:00Z", "2026-11-30T23:00:00Z"), 61);
    let monthly = "[[limit]]\nrate = \"1/month\"\nalgorithm = \"fixed_window\"";
    assert_eq!(passed(monthly, "2024-01-01T00:00:00Z", "2025-01-01T00:00:00Z"), 12);
    let weekly = "[[limit]]\nrate = \"1/week\"\nalgorithm = \"fixed_window\"";
    assert_eq!(passed(weekly, "2026-06-01T00:00:00Z", "2026-06-29T00:00:00Z"), 4);
    assert_eq!(passed(weekly, "2026-06-02T00:00:00Z", "2026-06-29T00:00:00Z"), 4);
}

#[test]
fn pitfall_10_denials_leave_every_bucket_alone() {
    let limiter = limiter("10/second; 1000/day; 5s/minute; 100/hour");
    let mut admitted = 0;
    for poll in 0..20_000i128 {
        let at = START + poll * 1_000_000;
        let before = snapshot(&limiter, at);
        if limiter.try_acquire_at("k", 1, time(at)) {
            admitted += 1;
        } else {
            assert_eq!(snapshot(&limiter, at), before);
        }
    }
    // 100 an hour at once, and what drips in within 20 s: none. The day has the rest.
    assert_eq!(admitted, 100);
    let end = snapshot(&limiter, START + 20_000_000_000);
    let day = end.buckets.iter().find(|bucket| bucket.limit == "1000/day").unwrap();
    assert_eq!(day.remaining, 1_000 - admitted);
}

const DATA_API: &str = r#"
timezone = "Europe/Amsterdam"

[[limit]]
name = "requests"
method = "count"
algorithm = "fixed_window"
cascade = ["100/minute", "2600/hour", "1150/day"]

[[limit]]
name = "time"
method = "latency"
algorithm = "fixed_window"
cascade = ["30s/minute", "390s/hour", "172.5s/day"]
"#;

#[test]
fn pitfall_13_d10_most_of_a_day_one_by_one() {
    let limiter = limiter(DATA_API);
    let midnight = utc("2026-03-09T23:00:00Z");
    let mut admitted = 0;
    for minute in 0..24 * 60 {
        // Four times a minute as many as pass.
        for quarter in 0..4 {
            let at = time(midnight + (minute * 4 + quarter) * i128::from(15 * SECOND));
            while limiter.try_acquire_at("app", 1, at) {
                admitted += 1;
            }
        }
    }
    assert_eq!(admitted, 100 * 60 * 24 + 2_600 * 24 + 1_150);
    let next = time(midnight + i128::from(DAY));
    assert_eq!(limiter.peek_at("app", 1, next).unwrap().remaining(), 3_849);
}

#[test]
fn pitfall_13_a_cascade_pays_in_order_and_exactly() {
    let limiter = limiter(DATA_API);
    let noon = utc("2026-03-10T11:00:00Z");
    let split = |at| -> Vec<u64> {
        let seen = limiter.snapshot_at("k", time(at)).unwrap();
        seen.buckets[..3].iter().map(|bucket| bucket.used).collect()
    };
    for (cost, used) in
        [(99, [99, 0, 0]), (3, [100, 2, 0]), (2_600, [100, 2_600, 2]), (1_148, [100, 2_600, 1_150])]
    {
        assert!(acquire(&limiter, cost, noon).allowed());
        assert_eq!(split(noon), used);
    }
    assert!(!acquire(&limiter, 1, noon).allowed());
    let reserved = limiter.reserve_at("k", 150, time(noon + i128::from(MINUTE))).unwrap();
    assert!(!reserved.decision().allowed(), "100 of the minute are all there is");
    let later = noon + i128::from(HOUR);
    let reserved = limiter.reserve_at("k", 150, time(later)).unwrap();
    assert_eq!(split(later), [100, 50, 1_150]);
    reserved.settle_at(120, time(later)).unwrap();
    assert_eq!(split(later), [100, 20, 1_150], "what was too much goes back to who paid last");
}

#[test]
fn pitfall_14_debt_is_capped_and_remaining_never_underflows() {
    for (name, limiter) in each_algorithm("10s", "minute") {
        for _ in 0..3 {
            let charged = limiter.record_latency_at("k", Duration::from_secs(90), time(START));
            charged.unwrap();
            let bucket = &snapshot(&limiter, START).buckets[0];
            assert_eq!((bucket.used, bucket.remaining), (20 * SECOND, 0), "{name}");
        }
        let denied = acquire(&limiter, 1, START);
        assert!(!denied.allowed() && denied.remaining() == 0, "{name}");
        let wait = denied.retry_after().as_nanos();
        assert!(wait <= u128::from(3 * MINUTE), "{name}: {wait}");
    }
}

#[test]
fn pitfall_14_debt_survives_a_smaller_and_a_larger_rate() {
    let limiter = limiter("[[limit]]\nname = \"k\"\nrate = \"60/minute\"");
    limiter.penalize_at("k", 90, time(START)).unwrap();
    let update = |rate: &str| {
        let policy = format!("[[limit]]\nname = \"k\"\nrate = \"{rate}\"");
        limiter.update_at(policy.as_str(), time(START)).unwrap();
        let seen = snapshot(&limiter, START).buckets.remove(0);
        (seen.capacity, seen.used, seen.remaining)
    };
    assert_eq!(update("600/minute"), (600, 630, 0), "a debt of 30 stays one of 30");
    assert_eq!(update("10/minute burst 5"), (5, 15, 0), "at most the new cap, its quota");
    assert_eq!(update("60/minute"), (60, 70, 0), "and nothing is granted later");
}

#[test]
fn pitfall_15_refunds_never_exceed_what_was_used() {
    for (name, limiter) in each_algorithm("10", "minute") {
        let refund = |units, at| limiter.refund_at("k", units, time(at)).unwrap();
        refund(5, START);
        assert_eq!(remaining(&limiter, START), 10, "{name}: nothing was used");
        acquire(&limiter, 4, START);
        refund(3, START);
        refund(3, START);
        assert_eq!(remaining(&limiter, START), 10, "{name}: twice");
        assert!(acquire(&limiter, 10, START).allowed() && !acquire(&limiter, 1, START).allowed());
        // After everything is over, a late refund gives nothing to save up.
        let later = START + i128::from(3 * MINUTE);
        refund(10, later);
        assert_eq!(remaining(&limiter, later), 10, "{name}: late");
        assert!(acquire(&limiter, 10, later).allowed() && !acquire(&limiter, 1, later).allowed());
    }
}

#[test]
fn pitfall_15_reservations_settle_in_any_order() {
    for (name, limiter) in each_algorithm("100", "minute") {
        let reserve = |cost| limiter.reserve_at("k", cost, time(START)).unwrap();
        let (first, second, third) = (reserve(40), reserve(30), reserve(20));
        third.settle_at(5, time(START)).unwrap();
        first.settle_at(45, time(START)).unwrap();
        second.cancel_at(time(START)).unwrap();
        assert_eq!(remaining(&limiter, START), 50, "{name}");
        drop(reserve(10));
        assert_eq!(remaining(&limiter, START), 40, "{name}: dropped, the estimate stands");
    }
}

#[test]
fn pitfall_15_a_dropped_ticket_takes_nothing() {
    let clock = ManualClock::new(time(START));
    let limiter = Limiter::builder("1/minute").clock(clock.clone()).build().unwrap();
    assert!(limiter.try_acquire("k", 1));
    let mut first = limiter.queue("k", 1, None);
    let mut second = limiter.queue("k", 1, None);
    let waker = Waker::noop();
    assert!(matches!(first.poll(waker).unwrap(), tidegate::Turn::Wait(_)));
    assert!(matches!(second.poll(waker).unwrap(), tidegate::Turn::Wait(_)));
    drop(first);
    clock.advance(Duration::from_secs(60));
    let turn = second.poll(waker).unwrap();
    assert!(matches!(turn, tidegate::Turn::Done(decision) if decision.allowed()), "{turn:?}");
    assert_eq!(limiter.snapshot("k").unwrap().buckets[0].remaining, 0);
}

#[test]
fn pitfall_16_a_live_change_grants_nothing_and_forgets_nothing() {
    let policy = |algorithm: &str, quota: u64| {
        format!("[[limit]]\nname = \"k\"\nrate = \"{quota}/hour\"\n{algorithm}\n")
    };
    for algorithm in [
        "algorithm = \"sliding_window\"",
        "algorithm = \"sliding_window\"\nstrict = true",
        "algorithm = \"fixed_window\"",
        "algorithm = \"fixed_window\"\nalign = \"first_request\"",
    ] {
        let limiter = limiter(&policy(algorithm, 100));
        assert!(acquire(&limiter, 80, START).allowed());
        for quota in [1_000, 50, 100] {
            limiter.update_at(policy(algorithm, quota).as_str(), time(START)).unwrap();
            let bucket = &snapshot(&limiter, START).buckets[0];
            assert_eq!(bucket.used, 80, "{algorithm} {quota}");
            assert_eq!(bucket.remaining, quota.saturating_sub(80), "{algorithm} {quota}");
        }
    }
    // gcra: an idle hour at the old rate is no credit at the new one.
    let gcra = limiter(&policy("burst = 10", 60));
    assert!(acquire(&gcra, 10, START).allowed());
    let later = START + i128::from(5 * MINUTE);
    gcra.update_at(policy("burst = 10", 3_600).as_str(), time(later)).unwrap();
    assert_eq!(remaining(&gcra, later), 5, "five minutes at one a minute");
    assert_eq!(remaining(&gcra, later + i128::from(2 * SECOND)), 7, "two seconds at one a second");
}

/// Updates race with nothing here: a refused policy changes nothing.
#[test]
fn pitfall_16_a_refused_policy_changes_nothing() {
    let limiter = limiter("5/minute");
    assert!(acquire(&limiter, 3, START).allowed());
    let before = snapshot(&limiter, START);
    assert!(limiter.update_at("5/minuet", time(START)).is_err());
    assert_eq!(snapshot(&limiter, START), before);
    assert!(Timestamp::from_nanos(1 << 62).is_err());
}
