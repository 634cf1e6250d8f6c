//! Permits with a time, as a list: when each was taken.

use crate::{Time, Units};

/// What a key has out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leases {
    /// When each permit that may still count was taken, the oldest first.
    pub taken: Vec<Time>,
    /// The latest time at which something changed; an earlier one counts as this.
    pub latest: Time,
}

/// A quarter of the time that permits may be kept, rounded up.
pub fn span(max_hold: Time) -> Time {
    (max_hold + 3).div_euclid(4)
}

impl Leases {
    /// Those that count: a permit does until the fifth generation from its own begins.
    pub fn counting(&self, max_hold: Time, at: Time) -> Vec<Time> {
        let now = at.max(self.latest);
        let span = span(max_hold);
        let reclaimed = |taken: Time| (taken.div_euclid(span) + 5) * span;
        self.taken.iter().copied().filter(|&taken| now < reclaimed(taken)).collect()
    }

    fn change(&mut self, max_hold: Time, at: Time) {
        self.taken = self.counting(max_hold, at);
        self.latest = at.max(self.latest);
    }

    pub fn take(&mut self, max_hold: Time, at: Time, permits: Units) {
        self.change(max_hold, at);
        for _ in 0..permits {
            self.taken.push(self.latest);
        }
    }

    /// Which permit a call means: the oldest, or one of the marked generation.
    fn find(&self, max_hold: Time, at: Time, mark: Option<Time>) -> Option<Time> {
        let of = |taken: &Time| mark.is_none_or(|mark| taken.div_euclid(span(max_hold)) == mark);
        self.counting(max_hold, at).into_iter().find(of)
    }

    pub fn give_back(&mut self, max_hold: Time, at: Time, mark: Option<Time>) -> bool {
        let Some(found) = self.find(max_hold, at, mark) else { return false };
        self.change(max_hold, at);
        let index = self.taken.iter().position(|&taken| taken == found).expect("it counts");
        self.taken.remove(index);
        true
    }

    /// The generation that a permit taken now belongs to.
    pub fn generation(&self, max_hold: Time, at: Time) -> Time {
        at.max(self.latest).div_euclid(span(max_hold))
    }

    pub fn renew(&mut self, max_hold: Time, at: Time, mark: Option<Time>) -> Option<Time> {
        self.give_back(max_hold, at, mark).then(|| {
            self.take(max_hold, at, 1);
            self.generation(max_hold, at)
        })
    }

    /// The same permits under another time: each as late in its old generation as it can have been taken.
    pub fn carried(&self, old_hold: Time, new_hold: Time, at: Time) -> Leases {
        let taken = self.counting(old_hold, at);
        let old = span(old_hold);
        if taken.is_empty() || old == span(new_hold) {
            let latest = if taken.is_empty() { 0 } else { at.max(self.latest) };
            return Leases { taken, latest };
        }
        // What is known of a time before the newest generation is that generation.
        let newest = at.max(self.latest).div_euclid(old) * old;
        let now = at.max(newest);
        let late = |taken: Time| (taken.div_euclid(old) * old + old - 1).min(now);
        let mut carried = Leases { taken: taken.into_iter().map(late).collect(), latest: now };
        carried.change(new_hold, now);
        carried
    }
}
