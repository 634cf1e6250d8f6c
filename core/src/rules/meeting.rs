//! The scopes that a request meets, found by the conditions that it meets.

use super::matching::Bits;
use super::{MAX_CONDITIONS, NONE, ScopeRule};

/// A scope that a request meets which meets these conditions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Met {
    pub(super) scope: usize,
    needs: Bits,
    /// The attribute that it counts by; `NONE`: there are several, or none.
    pub(super) by: usize,
}

/// The scopes that have limits in a variant, in order.
#[derive(Debug)]
pub(super) struct Meeting {
    scopes: Vec<Met>,
    /// Of the first 64: those without conditions, and for each condition those that need it. So a request looks at few.
    always: u64,
    needing: Vec<u64>,
}

impl Meeting {
    pub(super) fn new(scopes: Vec<Met>) -> Meeting {
        let those = |is_meant: &dyn Fn(&Met) -> bool| {
            let first = scopes.iter().take(u64::BITS as usize).enumerate();
            first.fold(0, |all, (place, met)| all | u64::from(is_meant(met)) << place)
        };
        let always = those(&|met| met.needs == 0);
        let needing = (0..MAX_CONDITIONS).map(|bit| those(&|met| met.needs >> bit & 1 == 1));
        Meeting { always, needing: needing.collect(), scopes }
    }

    /// Calls `meet` with each scope of which all conditions are met, in order, until it says something.
    #[inline(always)]
    pub(super) fn find<T>(
        &self,
        matched: Bits,
        mut meet: impl FnMut(Met) -> Option<T>,
    ) -> Option<T> {
        let mut places = self.always;
        let mut conditions = matched;
        while conditions != 0 {
            places |= self.needing[conditions.trailing_zeros() as usize];
            conditions &= conditions - 1;
        }
        let mut others = u64::BITS as usize..self.scopes.len();
        loop {
            let place = match places {
                0 => others.next()?,
                _ => places.trailing_zeros() as usize,
            };
            places &= places.wrapping_sub(1);
            let met = self.scopes[place];
            if matched & met.needs == met.needs
                && let Some(found) = meet(met)
            {
                return Some(found);
            }
        }
    }
}

impl Met {
    pub(super) fn new(scope: usize, rule: &ScopeRule) -> Met {
        let by = if let [number] = *rule.by { number } else { NONE };
        Met { scope, needs: rule.needs, by }
    }
}
