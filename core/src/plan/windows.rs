//! The windows of now, of a plan whose buckets all go by the clock: seen at once, and paid at once.
//!
//! Not here: what windows are (see `fixed_window`). This file answers one question: does this request pass, as nearly all
//! do?
//!
//! From one boundary of any of the windows to the next, a bucket's window stays the same; and so does its *blank*, the
//! word of a key that has used nothing in it. What a word has above the blank is used; a word below is of a window that
//! is over. So the blanks and the ends of all windows are worked out once between two boundaries, and are read under one
//! sequence lock:
//!
//! ```text
//! from · until · blank and end of each bucket
//! ```
//!
//! All else — a denial, a cost of 0, a key in a later window than now's, the first request after a boundary — is left to the
//! buckets themselves.

use super::limit::{Left, PlannedLimit};
use super::tally::Tally;
use crate::algorithm::Units;
use crate::clock::Moment;
use crate::decision::Decision;
use crate::sync::Sequenced;

/// Most buckets of such a plan.
const MOST: usize = 8;
const WORDS: usize = 2 + 2 * MOST;
const FROM: usize = 0;
const UNTIL: usize = 1;
/// From here on, of each bucket: blank and end.
const BUCKETS: usize = 2;

#[derive(Debug)]
pub(super) struct Windows {
    now: Sequenced<WORDS>,
    /// Of all limits, in their order.
    hands: Box<[Hand]>,
}

/// What does not change about a bucket.
#[derive(Debug)]
struct Hand {
    /// Its word in a record.
    start: usize,
    quota: Units,
    /// The most that a word can be above its blank.
    most: Units,
}

impl Windows {
    /// `None`: there are others among the buckets, or something is to be told of them.
    pub(super) fn of(limits: &[PlannedLimit]) -> Option<Windows> {
        let told = |limit: &PlannedLimit| limit.shadow || !limit.alerts.is_empty();
        if limits.is_empty() || limits.iter().any(told) {
            return None;
        }
        let buckets = limits.iter().flat_map(|limit| &limit.buckets);
        let hands = buckets.map(|bucket| {
            let clock = bucket.bucket.clock_window()?;
            let most = clock.most_in_one_word()?;
            Some(Hand { start: bucket.start, quota: clock.quota(), most })
        });
        let hands: Box<[Hand]> = hands.collect::<Option<_>>()?;
        (hands.len() <= MOST).then(|| Windows { now: Sequenced::new([0; WORDS]), hands })
    }

    /// May the request pass? Then `words` are those after it, and the decision tells of it. Else nothing is said, and they
    /// are untouched.
    #[inline(never)]
    pub(super) fn acquire(
        &self,
        limits: &[PlannedLimit],
        words: &mut [u64],
        at: Moment,
        cost: Units,
        decision: &mut Decision,
    ) -> bool {
        let wall = at.wall.as_nanos();
        let mut over = false;
        let mut paid = Payments { words: [(0, 0); MOST], count: 0 };
        let tally = self.now.look(|now| {
            over = wall < now.get(FROM) || now.get(UNTIL) <= wall;
            if over || cost == 0 {
                return None;
            }
            let mut tally = Tally::NONE;
            let (mut hands, mut windows) = (&self.hands[..], now.pairs(BUCKETS));
            for limit in limits {
                let (own, others) = hands.split_at_checked(limit.buckets.len())?;
                hands = others;
                let mut due = limit.due(cost);
                let (mut room, mut later, mut until) = (0, 0, 0);
                for (position, (hand, (blank, end))) in own.iter().zip(&mut windows).enumerate() {
                    let word = words[hand.start].max(blank);
                    let used = word - blank;
                    if used > hand.most {
                        return None;
                    }
                    let left = hand.quota.saturating_sub(used);
                    let pays = due.min(left);
                    if pays > 0 {
                        paid.note(hand.start, word + pays);
                    }
                    due -= pays;
                    room += left - pays;
                    later = if position > 0 { later + left - pays } else { 0 };
                    until = if used + pays > 0 { end.max(until) } else { until };
                }
                let full_after = until.saturating_sub(wall);
                let left = Left { unpaid: due, room, later, full_after };
                if !limit.has_admitted_cost(&left) {
                    return None;
                }
                tally.take(limit, left, limit.capacity, || limit.quota);
            }
            Some(tally)
        });
        if over {
            self.renew(limits, at);
        }
        let Some(tally) = tally.flatten() else { return false };
        for &(start, word) in &paid.words[..paid.count] {
            words[start] = word;
        }
        *decision = tally.admission(at);
        true
    }

    /// Looks at the windows of this time, for the requests after this one.
    #[cold]
    #[inline(never)]
    fn renew(&self, limits: &[PlannedLimit], at: Moment) {
        let mut now = [0; WORDS];
        now[UNTIL] = u64::MAX;
        let buckets = limits.iter().flat_map(|limit| &limit.buckets);
        for (index, bucket) in buckets.enumerate() {
            // All are: see `of`.
            let Some(clock) = bucket.bucket.clock_window() else { return };
            let (blank, window) = clock.blank(at);
            now[FROM] = now[FROM].max(window.start);
            now[UNTIL] = now[UNTIL].min(window.end);
            now[BUCKETS + 2 * index..][..2].copy_from_slice(&[blank, window.end]);
        }
        self.now.put(now);
    }
}

/// The words that change, in the record.
struct Payments {
    words: [(usize, u64); MOST],
    count: usize,
}

impl Payments {
    #[inline(always)]
    fn note(&mut self, start: usize, word: u64) {
        self.words[self.count] = (start, word);
        self.count += 1;
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::{acquire, plan_of};
    use super::super::{Notes, Plan};
    use crate::clock::Moment;
    use crate::decision::Decision;
    use crate::time::Timestamp;

    const SECOND: u64 = 1_000_000_000;
    const MINUTE: u64 = 60 * SECOND;
    /// 2026-03-29T00:55:10Z: daylight saving time begins in five minutes.
    const NOW: u64 = 1_774_745_710_000_000_000;

    const CASCADES: &str = r#"
        timezone = "Europe/Amsterdam"
        [[limit]]
        name = "requests"
        algorithm = "fixed_window"
        cascade = ["3/minute", "10/hour", "40/day"]
        [[limit]]
        name = "more"
        algorithm = "fixed_window"
        rate = "9/10 minutes"
        [[limit]]
        name = "time"
        method = "latency"
        algorithm = "fixed_window"
        cascade = ["3s/minute", "9s/hour"]
    "#;

    /// The same, asked bucket by bucket.
    fn plan_without(policy: &str) -> Plan {
        Plan { windows: None, ..plan_of(policy) }
    }

    #[test]
    fn which_plans_have_them() {
        let fixed = |rest: &str| {
            format!(
                "[[limit]]\nname = \"a\"\nalgorithm = \"fixed_window\"\nrate = \"5/hour\"\n{rest}"
            )
        };
        let nine = (1..=9).map(|n| format!("\"{n}/{n} minutes\"")).collect::<Vec<_>>().join(",");
        for (policy, has) in [
            (CASCADES, true),
            (&fixed(""), true),
            (&fixed("shadow = true"), false),
            (&fixed("alerts = [0.5]"), false),
            (&fixed("[[limit]]\nname = \"b\"\nrate = \"5/hour\""), false),
            (&fixed("[[limit]]\nname = \"b\"\nmethod = \"concurrency\"\nquota = 3"), false),
            (&format!("[[limit]]\nalgorithm = \"fixed_window\"\ncascade = [{nine}]"), false),
            // Use that takes a word of its own.
            (
                "[[limit]]\nalgorithm = \"fixed_window\"\nmethod = \"latency\"\nrate = \"10h/s\"",
                false,
            ),
        ] {
            assert_eq!(plan_of(policy).windows.is_some(), has, "{policy}");
        }
    }

    /// Once the windows of the time are known, they answer, and no bucket is asked.
    #[test]
    fn they_answer() {
        let plan = plan_of(CASCADES);
        let (windows, limits) = (plan.windows.as_ref().unwrap(), &plan.limits);
        let (mut words, mut decision) = (vec![0; plan.words()], Decision::NONE);
        let mut pays = |now, cost| {
            let at = Timestamp::clamped(now).into();
            windows.acquire(limits, &mut words, at, cost, &mut decision)
        };
        assert!(!pays(NOW, 1), "not known yet");
        assert!(pays(NOW, 1));
        assert!(!pays(NOW, 0));
        assert!(!pays(NOW, 60), "denied");
        assert!(!pays(NOW + MINUTE, 1), "other windows");
        assert!(pays(NOW + MINUTE, 1));
        assert!(!pays(NOW, 1), "and back");
        assert!(!pays(NOW, 1), "the key is in a later window");
    }

    proptest! {
        /// Asked at once, the windows say what they say one by one.
        #[test]
        fn they_say_what_each_says(
            // (ns on, by the wall clock also a minute back or forth, cost, late, does it only want yes or no)
            calls in prop::collection::vec(
                (0..MINUTE / 4, 0u8..12, 0u64..9, 0..2 * SECOND, any::<bool>()),
                1..60,
            ),
        ) {
            let plans = [plan_of(CASCADES), plan_without(CASCADES)];
            prop_assert!(plans[0].windows.is_some());
            let mut records = plans.each_ref().map(|plan| vec![0; plan.words()]);
            let (mut now, mut wall) = (NOW, NOW);
            for (pass, step, cost, late, quick) in calls {
                now += pass;
                wall = match step {
                    0 => wall + pass - MINUTE,
                    1 => wall + pass + MINUTE,
                    _ => wall + pass,
                };
                let at = Moment { now: Timestamp::clamped(now), wall: Timestamp::clamped(wall) };
                let said = [0, 1].map(|which| {
                    let (plan, words) = (&plans[which], &mut records[which][..]);
                    let decision = match quick {
                        true => (Some(plan.admit(words, at, cost)), None),
                        false => (None, Some(acquire(plan, words, at, cost))),
                    };
                    plan.charge(words, at, crate::Method::Latency, late, &mut Notes::default());
                    decision
                });
                prop_assert_eq!(&said[0], &said[1]);
                prop_assert_eq!(&records[0], &records[1]);
            }
        }
    }
}
