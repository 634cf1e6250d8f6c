//! Requests in flight: one word, the number of permits that are out.

use super::Units;
use super::meter::{Meter, Standing};
use crate::clock::Moment;

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
}

impl Meter for Permits {
    type Standing<'a> = Out<'a>;

    #[inline]
    fn see<'a>(&'a self, words: &[u64], _: Moment) -> Out<'a> {
        Out { permits: self, out: words[0] }
    }
}

/// The permits that are out.
pub(crate) struct Out<'a> {
    permits: &'a Permits,
    out: Units,
}

impl Standing for Out<'_> {
    #[inline]
    fn capacity(&self) -> Units {
        self.permits.quota
    }

    #[inline]
    fn used(&self) -> Units {
        self.out
    }

    fn wait_for(&self, units: Units) -> u64 {
        if self.fits(units) { 0 } else { NOMINAL_WAIT }
    }

    fn full_after(&self) -> u64 {
        if self.out == 0 { 0 } else { NOMINAL_WAIT }
    }

    #[inline]
    fn charge(&mut self, units: Units) {
        self.out = self.out.saturating_add(units);
    }

    fn refund(&mut self, units: Units, _: Option<u64>) -> Units {
        let given = units.min(self.out);
        self.out -= given;
        given
    }

    fn mark(&self) -> u64 {
        0
    }

    #[inline]
    fn write(&self, words: &mut [u64]) {
        words[0] = self.out;
    }
}
