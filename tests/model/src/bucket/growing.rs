//! A rate that grows: all that ever happened to a key, played again for every question.

use super::{Bucket, Mark, State};
use crate::policy::{Growth, Method, Rate};
use crate::{Time, Units};

/// What happened to a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    at: Time,
    what: What,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    /// Charged, as it was admitted or late.
    Charge(Units),
    /// Units, and the mark of a payment at the level of now.
    Refund(Units, Option<Mark>),
    /// What an update left.
    Begin(Box<Stand>),
}

/// How a key stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stand {
    pub level: usize,
    pub state: State,
    /// The last sign of use, or step down.
    since: Time,
    /// When the stretch of signs began.
    stretch: Option<Time>,
}

/// A bucket for each level.
#[derive(Clone, Debug)]
pub struct Levels {
    pub levels: Vec<Bucket>,
    after: Time,
    shrink_after: Time,
    gap: Time,
}

impl Levels {
    pub fn new(rate: &Rate, growth: &Growth, method: Method) -> Levels {
        let mut levels = Vec::new();
        let mut quota = rate.quota;
        loop {
            // floor(units · quota / floor), of what is said of burst and debt.
            let grown = |units: u64| {
                let exact = u128::from(units) * u128::from(quota) / u128::from(rate.quota);
                u64::try_from(exact).expect("tests stay below")
            };
            let mut level = Rate { quota, growth: None, ..rate.clone() };
            level.max_debt = rate.max_debt.map(grown);
            if let crate::Algorithm::Gcra(burst) = &mut level.algorithm {
                *burst = burst.map(grown);
            }
            levels.push(Bucket::new(&level, method));
            if quota == growth.ceiling {
                break;
            }
            quota = growth.ceiling.min(quota + growth.step);
        }
        let gap = 2 * Time::from(rate.period.nanos());
        Levels { levels, after: growth.after.into(), shrink_after: growth.shrink_after.into(), gap }
    }

    fn begin(&self) -> Stand {
        Stand { level: 0, state: self.levels[0].full(), since: 0, stretch: None }
    }

    pub fn stand(&self, events: &[Event], at: Time) -> Stand {
        let mut stand = self.begin();
        for event in events {
            self.pass(&mut stand, event.at);
            match &event.what {
                What::Charge(units) => self.charge(&mut stand, event.at, *units),
                What::Refund(units, mark) => {
                    let bucket = &self.levels[stand.level];
                    bucket.refund(&mut stand.state, event.at, *units, *mark);
                }
                What::Begin(begin) => stand = (**begin).clone(),
            }
            if stand.level == 0 && stand.stretch.is_none() {
                stand.since = 0;
            }
        }
        self.pass(&mut stand, at);
        stand
    }

    /// The times from now on at which a level is lost, if nothing happens.
    pub fn steps(&self, stand: &Stand) -> Vec<Time> {
        (1..=stand.level).map(|step| stand.since + step as Time * self.shrink_after).collect()
    }

    fn pass(&self, stand: &mut Stand, at: Time) {
        while stand.level > 0 && stand.since + self.shrink_after <= at {
            let when = stand.since + self.shrink_after;
            self.change(stand, stand.level - 1, when);
            stand.since = when;
            stand.stretch = None;
        }
        if at - stand.since > self.gap {
            stand.stretch = None;
        }
    }

    fn change(&self, stand: &mut Stand, level: usize, at: Time) {
        if level != stand.level {
            stand.state = self.levels[level].carry(&self.levels[stand.level], &stand.state, at);
            stand.level = level;
        }
    }

    fn charge(&self, stand: &mut Stand, at: Time, units: Units) {
        let bucket = &self.levels[stand.level];
        bucket.charge(&mut stand.state, at, units);
        if bucket.used(&stand.state, at) * 2 < bucket.capacity {
            return;
        }
        let now = at.max(stand.since);
        let began = stand.stretch.unwrap_or(now);
        let first = stand.stretch.is_none();
        (stand.since, stand.stretch) = (now, Some(began));
        if !first && now - began >= self.after {
            stand.stretch = Some(now);
            self.change(stand, (stand.level + 1).min(self.levels.len() - 1), at);
        }
    }

    pub fn charged(events: &mut Vec<Event>, at: Time, units: Units) {
        events.push(Event { at, what: What::Charge(units) });
    }

    pub fn refunded(events: &mut Vec<Event>, at: Time, units: Units, mark: Option<Mark>) {
        events.push(Event { at, what: What::Refund(units, mark) });
    }

    /// From when on the key is as one never seen, if nothing happens; none when that takes ages.
    pub fn forgotten_at(&self, events: &[Event], at: Time) -> Option<Time> {
        let stand = self.stand(events, at);
        let shrunk = self.steps(&stand).last().copied().unwrap_or(at);
        let lapsed = match stand.stretch {
            Some(_) if stand.level == 0 => stand.since + self.gap + 1,
            _ => at,
        };
        let last = self.stand(events, shrunk.max(at));
        let full = self.levels[0].forgotten_at(&last.state, shrunk.max(at))?;
        Some(full.max(lapsed))
    }

    /// What this rate makes of a key that was at `before` of `old`.
    pub fn carried(&self, old: &Levels, before: &Stand, at: Time) -> Vec<Event> {
        let quota = old.levels[before.level].quota;
        let mut level = 0;
        if before.level > 0 {
            for (index, bucket) in self.levels.iter().enumerate() {
                if bucket.quota <= quota {
                    level = index;
                }
            }
        }
        let state = self.levels[level].carry(&old.levels[before.level], &before.state, at);
        let mut stand = Stand { level, state, ..before.clone() };
        let same = (self.after, self.shrink_after, self.gap);
        if same != (old.after, old.shrink_after, old.gap) {
            (stand.since, stand.stretch) = (at.max(stand.since), None);
        }
        vec![Event { at, what: What::Begin(Box::new(stand)) }]
    }

    /// What this rate makes of a key of one that did not grow.
    pub fn begun(&self, old: &Bucket, state: &State, at: Time) -> Vec<Event> {
        let stand = Stand { state: self.levels[0].carry(old, state, at), ..self.begin() };
        vec![Event { at, what: What::Begin(Box::new(stand)) }]
    }
}
