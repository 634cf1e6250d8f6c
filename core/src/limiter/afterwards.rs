//! What is charged or given back when a request is done, and the operator's hand.

use std::time::Duration;

use super::Limiter;
use crate::clock::Moment;
use crate::error::Result;
use crate::rate::Method;
use crate::time::{Timestamp, nanos};

impl Limiter {
    /// Charges time spent to the latency limits, after the fact: it may overdraw them.
    ///
    /// # Errors
    /// As [`acquire`](Limiter::acquire).
    #[inline]
    pub fn record_latency(&self, key: impl AsRef<[u8]>, latency: Duration) -> Result<()> {
        self.charge(self.tag(key.as_ref()), self.moment(), Method::Latency, nanos(latency))
    }

    /// As [`record_latency`](Limiter::record_latency), at an explicit time.
    ///
    /// # Errors
    /// As [`acquire`](Limiter::acquire).
    #[inline]
    pub fn record_latency_at(
        &self,
        key: impl AsRef<[u8]>,
        latency: Duration,
        now: Timestamp,
    ) -> Result<()> {
        self.charge(self.tag(key.as_ref()), now.into(), Method::Latency, nanos(latency))
    }

    /// Charges units to the count limits, whatever is left: the operator's hand.
    ///
    /// # Errors
    /// As [`acquire`](Limiter::acquire).
    pub fn penalize(&self, key: impl AsRef<[u8]>, units: u64) -> Result<()> {
        self.charge(self.tag(key.as_ref()), self.moment(), Method::Count, units)
    }

    /// As [`penalize`](Limiter::penalize), at an explicit time.
    ///
    /// # Errors
    /// As [`acquire`](Limiter::acquire).
    pub fn penalize_at(&self, key: impl AsRef<[u8]>, units: u64, now: Timestamp) -> Result<()> {
        self.charge(self.tag(key.as_ref()), now.into(), Method::Count, units)
    }

    #[inline]
    fn charge(&self, tag: u64, at: Moment, method: Method, units: u64) -> Result<()> {
        self.change(tag, at, |plan, words| plan.charge(words, at, method, units));
        Ok(())
    }

    /// Gives units back to the count limits: at most what is in use. Which bucket of a cascade paid is
    /// a guess (the one that pays now, then the earlier ones); a [`Reservation`](crate::Reservation) knows.
    ///
    /// # Errors
    /// As [`acquire`](Limiter::acquire).
    pub fn refund(&self, key: impl AsRef<[u8]>, cost: u64) -> Result<()> {
        self.refund_in(self.tag(key.as_ref()), self.moment(), cost)
    }

    /// As [`refund`](Limiter::refund), at an explicit time.
    ///
    /// # Errors
    /// As [`acquire`](Limiter::acquire).
    pub fn refund_at(&self, key: impl AsRef<[u8]>, cost: u64, now: Timestamp) -> Result<()> {
        self.refund_in(self.tag(key.as_ref()), now.into(), cost)
    }

    fn refund_in(&self, tag: u64, at: Moment, cost: u64) -> Result<()> {
        self.change(tag, at, |plan, words| plan.refund(words, at, cost));
        self.0.waiters.wake_head(tag);
        Ok(())
    }

    /// Gives back one permit of every concurrency limit; never more than are out.
    ///
    /// # Errors
    /// As [`acquire`](Limiter::acquire).
    pub fn release(&self, key: impl AsRef<[u8]>) -> Result<()> {
        self.release_in(self.tag(key.as_ref()), self.moment())
    }

    /// As [`release`](Limiter::release), at an explicit time.
    ///
    /// # Errors
    /// As [`acquire`](Limiter::acquire).
    pub fn release_at(&self, key: impl AsRef<[u8]>, now: Timestamp) -> Result<()> {
        self.release_in(self.tag(key.as_ref()), now.into())
    }

    fn release_in(&self, tag: u64, at: Moment) -> Result<()> {
        self.change(tag, at, |plan, words| plan.release(words, at));
        self.0.waiters.wake_head(tag);
        Ok(())
    }

    /// Fills every count and latency bucket of the key and lifts its block; permits stay out.
    ///
    /// # Errors
    /// As [`acquire`](Limiter::acquire).
    pub fn reset(&self, key: impl AsRef<[u8]>) -> Result<()> {
        self.reset_in(self.tag(key.as_ref()), self.moment())
    }

    /// As [`reset`](Limiter::reset), at an explicit time.
    ///
    /// # Errors
    /// As [`acquire`](Limiter::acquire).
    pub fn reset_at(&self, key: impl AsRef<[u8]>, now: Timestamp) -> Result<()> {
        self.reset_in(self.tag(key.as_ref()), now.into())
    }

    fn reset_in(&self, tag: u64, at: Moment) -> Result<()> {
        self.0.blocks.set(tag, at, 0);
        self.change(tag, at, |plan, words| plan.reset(words));
        self.0.waiters.wake_head(tag);
        Ok(())
    }

    /// Denies the key everything for `duration` from now; zero lifts a block.
    ///
    /// # Errors
    /// As [`acquire`](Limiter::acquire).
    pub fn block(&self, key: impl AsRef<[u8]>, duration: Duration) -> Result<()> {
        self.block_in(self.tag(key.as_ref()), self.moment(), duration)
    }

    /// As [`block`](Limiter::block), at an explicit time.
    ///
    /// # Errors
    /// As [`acquire`](Limiter::acquire).
    pub fn block_at(
        &self,
        key: impl AsRef<[u8]>,
        duration: Duration,
        now: Timestamp,
    ) -> Result<()> {
        self.block_in(self.tag(key.as_ref()), now.into(), duration)
    }

    fn block_in(&self, tag: u64, at: Moment, duration: Duration) -> Result<()> {
        self.0.blocks.set(tag, at, nanos(duration));
        self.0.waiters.wake_head(tag);
        Ok(())
    }
}
