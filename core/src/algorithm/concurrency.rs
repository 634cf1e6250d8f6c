//! Requests in flight: one word, the number of permits that are out.

use super::Units;

/// What a denial advises: when a permit comes back, only its holder knows.
pub(crate) const NOMINAL_WAIT: u64 = 1_000_000_000;

/// A number of permits.
#[derive(Debug)]
pub(crate) struct Permits {
    quota: Units,
}

impl Permits {
    pub(crate) fn new(quota: Units) -> Permits {
        Permits { quota }
    }

    pub(crate) fn words(&self) -> usize {
        1
    }

    pub(crate) fn quota(&self) -> Units {
        self.quota
    }

    pub(crate) fn capacity(&self) -> Units {
        self.quota
    }

    #[inline]
    pub(crate) fn used(&self, words: &[u64]) -> Units {
        words[0]
    }

    #[inline]
    pub(crate) fn room(&self, words: &[u64]) -> Units {
        self.quota.saturating_sub(words[0])
    }

    pub(crate) fn take(&self, words: &mut [u64]) {
        words[0] = words[0].saturating_add(1);
    }

    pub(crate) fn give_back(&self, words: &mut [u64]) {
        words[0] = words[0].saturating_sub(1);
    }

    pub(crate) fn wait_for(&self, words: &[u64], units: Units) -> u64 {
        if words[0].saturating_add(units) <= self.quota { 0 } else { NOMINAL_WAIT }
    }

    pub(crate) fn full_after(&self, words: &[u64]) -> u64 {
        if words[0] == 0 { 0 } else { NOMINAL_WAIT }
    }
}
