//! Quotas that are known only from what the server tells of them.
//!
//! Answers overtake each other, and so do requests: which of those under way the server had counted when it told what was
//! left, nobody knows. Of the answers of which none is surely older than another, the least that was told counts, less
//! everything sent that has told nothing yet. That is never more than what is left: what the server handled after the
//! last request that told has told nothing, so it is taken off; and what that one told is not less than the least.
//!
//! A request that was sent after an answer came was handled after it. So when it tells, the older answers are forgotten,
//! and whatever had ended by then, untold, is in it.

use std::cmp::Reverse;

use super::headers::Quota;
use crate::rate::DAY;
use crate::time::nanos;

/// Most quotas that are kept: no server tells of more.
const MOST: usize = 16;
/// A reset further away than this is a mistake of somebody's.
const LONGEST: u64 = 400 * DAY;

/// The attempts that have ended, told or not: their number and their units.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ended {
    pub(super) attempts: u64,
    pub(super) units: u64,
}

impl Ended {
    #[inline]
    pub(super) fn add(&mut self, cost: u64) {
        self.attempts += 1;
        self.units = self.units.saturating_add(cost);
    }
}

/// What is known of an attempt whose answer tells.
#[derive(Clone, Copy, Debug)]
pub(super) struct Told {
    pub(super) cost: u64,
    /// What had ended when it was sent.
    pub(super) before: Ended,
    /// Attempts ended by now, itself included.
    pub(super) came: u64,
}

/// What one answer told.
#[derive(Debug)]
struct Answer {
    remaining: u64,
    /// ns on the pacer's clock.
    reset_at: u64,
    cost: u64,
    came: u64,
}

/// A quota until its reset.
#[derive(Debug)]
struct Known {
    name: String,
    limit: Option<u64>,
    /// The least of the answers whose reset is to come, and the reset it is told with.
    remaining: u64,
    reset_at: u64,
    /// What had ended when the latest request that told was sent.
    before: Ended,
    /// The answers that came since: no more than were under way together.
    answers: Vec<Answer>,
    /// Units that are surely in one of the answers.
    counted: u64,
}

#[derive(Debug, Default)]
pub(super) struct Quotas(Vec<Known>);

/// What the quotas say to a call.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Hold {
    /// It may go.
    Open,
    /// Not before this time: little is left, and it is to last.
    Until(u64),
    /// Nothing is left until this time; the quota's name.
    Exhausted(u64, String),
}

impl Known {
    /// Nothing was told yet.
    fn new(name: &str, before: Ended) -> Known {
        Known {
            name: name.to_owned(),
            limit: None,
            remaining: 0,
            reset_at: 0,
            before,
            answers: Vec::new(),
            counted: 0,
        }
    }

    fn hear(&mut self, limit: Option<u64>, answer: Answer, before: Ended, now: u64) {
        self.limit = limit;
        self.answers.push(answer);
        if before.attempts > self.before.attempts {
            self.before = before;
            self.answers.retain(|answer| answer.came > before.attempts);
        }
        let told = self.answers.iter().fold(0, |sum: u64, answer| sum.saturating_add(answer.cost));
        self.counted = self.before.units.saturating_add(told);
        if !self.settle(now)
            && let Some(last) = self.answers.last()
        {
            (self.remaining, self.reset_at) = (last.remaining, last.reset_at);
        }
    }

    /// The least of what is left until a reset to come; is there any?
    fn settle(&mut self, now: u64) -> bool {
        let live = self.answers.iter().filter(|answer| answer.reset_at > now);
        // Of the same told twice the longer wait counts.
        let least = live.min_by_key(|answer| (answer.remaining, Reverse(answer.reset_at)));
        if let Some(least) = least {
            (self.remaining, self.reset_at) = (least.remaining, least.reset_at);
        }
        least.is_some()
    }

    /// What is left when `sent` units have been sent.
    fn left(&self, sent: u64) -> u64 {
        // Tokens are not what calls are counted in; of these only the server knows.
        if self.name.ends_with("tokens") {
            return self.remaining;
        }
        self.remaining.saturating_sub(sent.saturating_sub(self.counted))
    }
}

impl Quotas {
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What an answer tells. Where no reset is told, a window of at most `longest` ns stands for it: a longer one would
    /// hold calls for long by a guess.
    pub(super) fn learn(&mut self, quota: &Quota, told: Told, now: u64, longest: u64) {
        let Some(remaining) = quota.remaining else { return };
        let window = quota.window.map(nanos).filter(|window| *window <= longest);
        // One without an end would hold calls for ever, and so would a senseless one.
        let reset_after = quota.reset_after.map(nanos).or(window);
        let Some(reset_after) = reset_after.filter(|span| *span <= LONGEST) else { return };
        let reset_at = now.saturating_add(reset_after);
        let Told { cost, before, came } = told;
        let answer = Answer { remaining, reset_at, cost, came };
        let name = &quota.name;
        let is_over = |known: &mut Known| known.reset_at <= now && !known.settle(now);
        let index = match self.0.iter().position(|known| known.name == *name) {
            Some(index) => index,
            None if self.0.len() >= MOST => return,
            None => {
                self.0.push(Known::new(name, before));
                self.0.len() - 1
            }
        };
        let Some(known) = self.0.get_mut(index) else { return };
        if is_over(known) {
            *known = Known::new(name, before);
        }
        known.hear(quota.limit, answer, before, now);
    }

    /// Forgets quotas that were reset; was anything exhausted among them?
    pub(super) fn expire(&mut self, now: u64, sent: u64) -> bool {
        let mut exhausted = false;
        self.0.retain_mut(|known| {
            let is_over = known.reset_at <= now;
            let was_exhausted = is_over && known.left(sent) == 0;
            let is_kept = !is_over || known.settle(now);
            exhausted |= was_exhausted && !is_kept;
            is_kept
        });
        exhausted
    }

    /// May a call of `cost` go, after `sent` units, the last of them at `last_sent`? Below `near` thousandths of a
    /// limit what is left is spread over the time until the reset.
    pub(super) fn hold(&self, cost: u64, sent: u64, last_sent: u64, near: u64) -> Hold {
        let mut latest = Hold::Open;
        for known in &self.0 {
            let left = known.left(sent);
            // A cost above the limit never fits; it goes when all of it is there.
            let needed = known.limit.map_or(cost, |limit| cost.min(limit)).max(1);
            if left < needed {
                match &latest {
                    Hold::Exhausted(until, _) if *until >= known.reset_at => {}
                    _ => latest = Hold::Exhausted(known.reset_at, known.name.clone()),
                }
                continue;
            }
            let is_near = known.limit.is_some_and(|limit| {
                u128::from(left) * 1000 <= u128::from(limit) * u128::from(near)
            });
            if is_near {
                let gap =
                    known.reset_at.saturating_sub(last_sent) / (left / needed).saturating_add(1);
                let until = last_sent.saturating_add(gap);
                match latest {
                    Hold::Open => latest = Hold::Until(until),
                    Hold::Until(before) => latest = Hold::Until(before.max(until)),
                    Hold::Exhausted(..) => {}
                }
            }
        }
        latest
    }
}
