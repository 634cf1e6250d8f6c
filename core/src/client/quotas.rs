//! Quotas that are known only from what the server tells of them.
//!
//! An answer tells what was left when the server looked. What was sent since the request of that answer was sent may or
//! may not be in it; here it counts as not in it, so what is kept is never more than what is left. It is put right by
//! the next answer.

use super::headers::Quota;
use crate::rate::DAY;
use crate::time::nanos;

/// Most quotas that are kept: no server tells of more.
const MOST: usize = 16;
/// A reset further away than this is a mistake of somebody's.
const LONGEST: u64 = 400 * DAY;

/// A quota until its reset.
#[derive(Debug)]
struct Known {
    name: String,
    limit: Option<u64>,
    /// Units left when `told_at` units had been sent.
    remaining: u64,
    told_at: u64,
    /// ns on the pacer's clock.
    reset_at: u64,
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
    /// What is left when `sent` units have been sent.
    fn left(&self, sent: u64) -> u64 {
        // Tokens are not what calls are counted in; of these only the server knows.
        if self.name.ends_with("tokens") {
            return self.remaining;
        }
        self.remaining.saturating_sub(sent.saturating_sub(self.told_at))
    }
}

impl Quotas {
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What an answer tells; its request was sent when `told_at` units had been sent, itself included. Where no reset is
    /// told, a window of at most `longest` ns stands for it: a longer one would hold calls for long by a guess.
    pub(super) fn learn(&mut self, quota: &Quota, told_at: u64, now: u64, longest: u64) {
        let Some(remaining) = quota.remaining else { return };
        let window = quota.window.map(nanos).filter(|window| *window <= longest);
        // One without an end would hold calls for ever, and so would a senseless one.
        let reset_after = quota.reset_after.map(nanos).or(window);
        let Some(reset_after) = reset_after.filter(|span| *span <= LONGEST) else { return };
        let reset_at = now.saturating_add(reset_after);
        let news =
            Known { name: quota.name.clone(), limit: quota.limit, remaining, told_at, reset_at };
        let is_full = self.0.len() >= MOST;
        match self.0.iter_mut().find(|known| known.name == quota.name) {
            // An answer that was overtaken by a later one tells nothing new.
            Some(known) if known.told_at > told_at && known.reset_at > now => {}
            Some(known) => *known = news,
            None if is_full => {}
            None => self.0.push(news),
        }
    }

    /// Forgets quotas that were reset; was anything exhausted among them?
    pub(super) fn expire(&mut self, now: u64, sent: u64) -> bool {
        let mut exhausted = false;
        self.0.retain(|known| {
            let is_over = known.reset_at <= now;
            exhausted |= is_over && known.left(sent) == 0;
            !is_over
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
