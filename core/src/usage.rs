//! What each key used of late, by kind of call: the report that a policy asks for with `[usage]`.
//!
//! It is a count beside the limits and decides nothing. Without `[usage]` there is none, and nobody pays for it.
//!
//! Time is cut into slots, one resolution long and counted from the epoch. A key keeps, for each kind of call, the
//! slots in which it used something, as far back as the longest window reaches. There is no thread and no timer:
//! what is too old goes when the key is next counted, and a key of which all is too old goes when others come.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;

use ahash::RandomState;

use crate::clock::Moment;
use crate::sync::{AtomicU64, Mutex, Ordering};

/// Most kinds that are told apart for one key.
const MAX_KINDS: usize = 64;
/// Most bytes of a kind's name: kinds may come from requests.
const MAX_NAME: usize = 256;
/// Where the use goes of kinds beyond these bounds.
const OTHER: &str = "other";
/// Threads with different keys seldom meet.
const SHARDS: usize = 16;
/// Keys of which all is too old that a newcomer takes out, so that memory follows those in use.
const TAKEN_OUT: usize = 2;

/// Use by key and kind of call.
#[derive(Debug)]
pub(crate) struct Usage {
    /// The longest window, in ns.
    window: u64,
    /// The length of a slot, in ns.
    resolution: u64,
    /// Slots that the longest window may touch.
    kept: u64,
    max_keys: u64,
    keys: AtomicU64,
    /// Before this slot there is no key to take out: somebody has looked for one.
    full_before: AtomicU64,
    dropped: AtomicU64,
    shards: [Shard; SHARDS],
}

/// Some keys, on a cache line of their own.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Shard(Mutex<Keys>);

#[derive(Debug, Default)]
struct Keys {
    by_tag: HashMap<u64, Key, RandomState>,
    /// (newest slot, tag) of every key: who has used nothing for longest is first.
    by_age: BTreeSet<(u64, u64)>,
}

#[derive(Debug, Default)]
struct Key {
    newest: u64,
    kinds: Vec<Kind>,
}

#[derive(Debug)]
struct Kind {
    name: Box<str>,
    /// (slot, units), slots ascending.
    ring: VecDeque<(u64, u64)>,
}

impl Usage {
    /// For reports of up to `window_ns` that move by `resolution_ns` (each at least 1), about `max_keys` keys at most.
    pub(crate) fn new(window_ns: u64, resolution_ns: u64, max_keys: u64) -> Usage {
        let (window, resolution) = (window_ns.max(1), resolution_ns.max(1));
        Usage {
            window,
            resolution,
            kept: (window - 1).div_ceil(resolution) + 1,
            max_keys,
            keys: AtomicU64::new(0),
            full_before: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            shards: Default::default(),
        }
    }

    pub(crate) fn window(&self) -> u64 {
        self.window
    }

    /// Is it one of this window and resolution?
    pub(crate) fn is(&self, window_ns: u64, resolution_ns: u64) -> bool {
        (self.window, self.resolution) == (window_ns, resolution_ns)
    }

    /// Counts `units` of a kind of call for a key.
    ///
    /// A key is told apart by up to 64 kinds, of up to 256 bytes; what is beyond counts as the kind `other`. A
    /// key that is not known, when as many others as there may be have used something within the longest
    /// window, is not counted but in [`dropped`](Usage::dropped).
    pub(crate) fn record(&self, tag: u64, kind: impl AsRef<[u8]>, at: Moment, units: u64) {
        let kind = kind.as_ref();
        if units == 0 {
            return;
        }
        let slot = self.slot(at);
        if self.shard(tag).lock().add(tag, kind, slot, units, self.kept).is_some() {
            return;
        }
        self.record_newcomer(tag, kind, slot, units);
    }

    /// As [`Usage::record`], of an estimate: it may turn out to be another number.
    pub(crate) fn estimate(
        self: &Arc<Usage>,
        tag: u64,
        kind: &[u8],
        at: Moment,
        units: u64,
    ) -> Estimate {
        let slot = self.slot(at);
        let name = |kind: &Kind| kind.name.clone();
        let known = || self.shard(tag).lock().add(tag, kind, slot, units, self.kept).map(name);
        let counted = match units {
            0 => None,
            _ => known().or_else(|| self.record_newcomer(tag, kind, slot, units)),
        };
        let is_counted = units == 0 || counted.is_some();
        let kind = counted.unwrap_or_else(|| String::from_utf8_lossy(kind).into());
        Estimate { usage: Arc::clone(self), tag, kind, slot, units, is_counted }
    }

    fn slot(&self, at: Moment) -> u64 {
        at.now.as_nanos() / self.resolution
    }

    /// Counts for a key that is not known; as which kind? `None`: there is no place for it.
    #[cold]
    fn record_newcomer(&self, tag: u64, kind: &[u8], slot: u64, units: u64) -> Option<Box<str>> {
        if !self.find_place(tag, slot) {
            // Relaxed: a count publishes nothing.
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        let mut guard = self.shard(tag).lock();
        let keys = &mut *guard;
        match keys.by_tag.entry(tag) {
            Entry::Vacant(place) => {
                place.insert(Key { newest: slot, kinds: Vec::new() });
                keys.by_age.insert((slot, tag));
            }
            // Another thread was faster.
            Entry::Occupied(_) => _ = self.keys.fetch_sub(1, Ordering::Relaxed),
        }
        keys.add(tag, kind, slot, units, self.kept).map(|kind| kind.name.clone())
    }

    /// Makes one key more part of the number of keys, or of nobody: then there is no place.
    fn find_place(&self, tag: u64, slot: u64) -> bool {
        // Relaxed, here and below: these are counts, the keys themselves are under locks.
        let mut own = self.shard(tag).lock();
        for _ in 0..TAKEN_OUT {
            if own.take_out_oldest(slot, self.kept) {
                self.keys.fetch_sub(1, Ordering::Relaxed);
            }
        }
        drop(own);
        let one_more = |keys| (keys < self.max_keys).then_some(keys + 1);
        if self.keys.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_ok() {
            return true;
        }
        // A key becomes too old with the slot, not within it: a flood of newcomers looks once a slot.
        if slot < self.full_before.load(Ordering::Relaxed) {
            return false;
        }
        if self.shards.iter().any(|shard| shard.0.lock().take_out_oldest(slot, self.kept)) {
            return true;
        }
        self.full_before.fetch_max(slot + 1, Ordering::Relaxed);
        false
    }

    /// What a key used in the last `window_ns`, by kind: the largest first, equals by name.
    ///
    /// Counts are kept by slots, so the report covers at least what was asked for, and less than one resolution more:
    /// it begins with the slot in which the window begins, and ends now. A window longer than the longest is taken as
    /// the longest, one of 0 as 1 ns.
    pub(crate) fn report(&self, tag: u64, at: Moment, window_ns: u64) -> Vec<(String, u64)> {
        let now = at.now.as_nanos();
        let window = window_ns.clamp(1, self.window);
        let begin = now.saturating_sub(window - 1);
        let slots = begin / self.resolution..=now / self.resolution;
        let mut report: Vec<(String, u64)> = match self.shard(tag).lock().by_tag.get(&tag) {
            None => Vec::new(),
            Some(key) => key.kinds.iter().map(|kind| kind.sum(&slots)).collect(),
        };
        report.retain(|(_, units)| *units > 0);
        report.sort_unstable_by(|(a, most), (b, least)| least.cmp(most).then_with(|| a.cmp(b)));
        report
    }

    /// Calls that were not counted, because there was no place for their key.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    fn shard(&self, tag: u64) -> &Mutex<Keys> {
        // The top bits; the maps go by all of them, hashed anew.
        &self.shards[(tag >> 60) as usize % SHARDS].0
    }
}

/// A use that was counted before it was known how much it is.
pub(crate) struct Estimate {
    usage: Arc<Usage>,
    tag: u64,
    /// As what it was counted.
    kind: Box<str>,
    slot: u64,
    units: u64,
    /// Else there was no place for its key, which has been told (`dropped`).
    is_counted: bool,
}

/// Without the kind, which may be anything that a request said, and what others used.
impl fmt::Debug for Estimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Estimate").field("units", &self.units).finish_non_exhaustive()
    }
}

impl Estimate {
    /// It was so many units, of the kind and in the slot in which it was counted; what is too old by now stays as it is.
    pub(crate) fn settle(self, actual: u64, at: Moment) {
        let Estimate { usage, tag, kind, slot, units, is_counted } = self;
        if !is_counted {
            return;
        }
        if actual < units {
            return usage.shard(tag).lock().remove(tag, &kind, slot, units - actual);
        }
        let kind = kind.as_bytes();
        if actual == units
            || is_too_old(slot, usage.slot(at), usage.kept)
            || usage.shard(tag).lock().add(tag, kind, slot, actual - units, usage.kept).is_some()
        {
            return;
        }
        usage.record_newcomer(tag, kind, slot, actual - units);
    }
}

impl Keys {
    /// Counts for a key that is known, and says as what.
    fn add(&mut self, tag: u64, kind: &[u8], slot: u64, units: u64, kept: u64) -> Option<&Kind> {
        let key = self.by_tag.get_mut(&tag)?;
        if slot > key.newest {
            self.by_age.remove(&(key.newest, tag));
            self.by_age.insert((slot, tag));
            key.newest = slot;
        }
        let kind = key.kind(kind, kept);
        kind.add(slot, units, kept);
        Some(kind)
    }

    /// Takes units back that were counted, as far as they are still there.
    fn remove(&mut self, tag: u64, kind: &str, slot: u64, units: u64) {
        let key = self.by_tag.get_mut(&tag);
        let kind = key.and_then(|key| key.kinds.iter_mut().find(|known| *known.name == *kind));
        let ring = kind.map(|kind| &mut kind.ring);
        if let Some((_, sum)) = ring.and_then(|ring| ring.iter_mut().find(|(of, _)| *of == slot)) {
            *sum = sum.saturating_sub(units);
        }
    }

    /// Takes out the key that has used nothing for longest, if all that it used is too old.
    fn take_out_oldest(&mut self, slot: u64, kept: u64) -> bool {
        match self.by_age.first() {
            Some((newest, _)) if is_too_old(*newest, slot, kept) => {}
            _ => return false,
        }
        let oldest = self.by_age.pop_first();
        if let Some((_, tag)) = oldest {
            self.by_tag.remove(&tag);
        }
        // A map that once was large gives its memory back, in steps that grow rarer.
        if self.by_tag.len() < self.by_tag.capacity() / 4 {
            self.by_tag.shrink_to(self.by_tag.len() * 2);
        }
        oldest.is_some()
    }
}

impl Key {
    /// The kind of this name, or `other`.
    fn kind(&mut self, name: &[u8], kept: u64) -> &mut Kind {
        let index = self.find(name).unwrap_or_else(|| self.add_kind(name, kept));
        &mut self.kinds[index]
    }

    fn find(&self, name: &[u8]) -> Option<usize> {
        self.kinds.iter().position(|kind| kind.name.as_bytes() == name)
    }

    #[cold]
    fn add_kind(&mut self, kind: &[u8], kept: u64) -> usize {
        if self.kinds.len() >= MAX_KINDS {
            self.kinds.retain(|kind| !kind.is_too_old(self.newest, kept));
        }
        let named = self.kinds.iter().filter(|kind| &*kind.name != OTHER).count();
        let name = String::from_utf8_lossy(kind);
        let is_beyond = named >= MAX_KINDS || name.len() > MAX_NAME;
        let name = if is_beyond { OTHER } else { &*name };
        self.find(name.as_bytes()).unwrap_or_else(|| {
            self.kinds.push(Kind { name: name.into(), ring: VecDeque::new() });
            self.kinds.len() - 1
        })
    }
}

impl Kind {
    fn add(&mut self, slot: u64, units: u64, kept: u64) {
        // Mostly it is the newest one; what was too old went when that began.
        if let Some((newest, sum)) = self.ring.back_mut()
            && *newest == slot
        {
            *sum = sum.saturating_add(units);
            return;
        }
        while self.ring.front().is_some_and(|(oldest, _)| is_too_old(*oldest, slot, kept)) {
            self.ring.pop_front();
        }
        let newest = self.ring.back().map_or(slot, |(newest, _)| *newest);
        if is_too_old(slot, newest, kept) {
            return;
        }
        // Nearly always at the end, or right behind it; a time that goes back finds its slot as well.
        let index = self.ring.partition_point(|(before, _)| *before < slot);
        match self.ring.get_mut(index) {
            Some((same, sum)) if *same == slot => *sum = sum.saturating_add(units),
            _ => self.ring.insert(index, (slot, units)),
        }
    }

    fn is_too_old(&self, slot: u64, kept: u64) -> bool {
        self.ring.back().is_none_or(|(newest, _)| is_too_old(*newest, slot, kept))
    }

    fn sum(&self, slots: &RangeInclusive<u64>) -> (String, u64) {
        let within = self.ring.iter().filter(|(slot, _)| slots.contains(slot));
        let units = within.fold(0u64, |sum, (_, units)| sum.saturating_add(*units));
        (self.name.to_string(), units)
    }
}

/// Is a slot so old that no window that ends in `now` touches it?
fn is_too_old(slot: u64, now: u64, kept: u64) -> bool {
    slot.saturating_add(kept) <= now
}

#[cfg(all(test, not(loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::time::Timestamp;

    fn at(nanos: u64) -> Moment {
        Timestamp::clamped(nanos).into()
    }

    impl Usage {
        fn said(&self, tag: u64, now: u64, window: u64) -> String {
            let report = self.report(tag, at(now), window);
            let lines = report.iter().map(|(kind, units)| format!("{kind} {units}"));
            lines.collect::<Vec<_>>().join(", ")
        }

        fn counted(&self) -> u64 {
            let shards = self.shards.iter().map(|shard| shard.0.lock());
            shards
                .map(|keys| {
                    assert_eq!(keys.by_tag.len(), keys.by_age.len());
                    keys.by_tag.len() as u64
                })
                .sum()
        }
    }

    #[test]
    fn p11_use_is_told_by_kind_of_call() {
        let usage = Usage::new(240, 10, 100);
        usage.record(7, "reads", at(1_000), 3);
        usage.record(7, "writes", at(1_001), 1);
        usage.record(7, "deletes", at(1_009), 1);
        usage.record(7, "reads", at(1_030), 2);
        usage.record(7, "polls", at(1_030), 0);
        usage.record(8, "reads", at(1_030), 9);
        assert_eq!(usage.said(7, 1_040, 240), "reads 5, deletes 1, writes 1");
        assert_eq!(usage.said(8, 1_040, 240), "reads 9");
        assert_eq!(usage.said(9, 1_040, 240), "");
        assert_eq!(usage.said(7, 1_040, 15), "reads 2");
        assert_eq!(usage.dropped(), 0);
    }

    #[test]
    fn an_estimate_counts_as_what_it_is_settled_at() {
        let usage = Arc::new(Usage::new(100, 10, 2));
        let counts = |units: u64, at_end: &str| {
            assert_eq!(usage.said(7, 1_020, 100), at_end, "{units}");
        };
        usage.record(7, "reads", at(1_000), 5);
        let [less, more, all, late] =
            [600, 10, 40, 7].map(|units| usage.estimate(7, b"reads", at(1_000), units));
        let nothing = usage.estimate(7, b"writes", at(1_000), 0);
        counts(662, "reads 662");
        less.settle(412, at(1_015));
        counts(412, "reads 474");
        more.settle(12, at(1_015));
        counts(12, "reads 476");
        all.settle(0, at(1_015));
        counts(0, "reads 436");
        nothing.settle(3, at(1_015));
        counts(3, "reads 436, writes 3");
        assert_eq!(usage.said(7, 1_020, 11), "", "all in the slot in which they were made");
        late.settle(900, at(1_110));
        assert_eq!(usage.said(7, 1_099, 100), "reads 436, writes 3", "too late to matter");
    }

    #[test]
    fn an_estimate_is_taken_from_where_it_was_counted() {
        let usage = Arc::new(Usage::new(100, 10, 1));
        for number in 0..64 {
            usage.record(7, number.to_string(), at(1_000), 1);
        }
        let other = usage.estimate(7, b"reads", at(1_050), 9);
        // The kinds before are too old: there is a place for this one.
        usage.record(7, "reads", at(1_110), 4);
        assert_eq!(usage.said(7, 1_110, 100), "other 9, reads 4");
        other.settle(1, at(1_110));
        assert_eq!(usage.said(7, 1_110, 100), "reads 4, other 1");
        // Of whom there was no place for nothing was counted.
        let uncounted = usage.estimate(8, b"reads", at(1_110), 9);
        uncounted.settle(0, at(1_110));
        assert_eq!((usage.said(8, 1_110, 100).as_str(), usage.dropped()), ("", 1));
    }

    /// Nor is anything taken from, or added to, what is counted when there is a place by then.
    #[test]
    fn an_estimate_that_was_not_counted_takes_nothing_from_others() {
        let usage = Arc::new(Usage::new(100, 10, 1));
        usage.record(7, "reads", at(1_000), 1);
        let [less, more] = [9, 9].map(|units| usage.estimate(8, b"reads", at(1_099), units));
        usage.record(8, "reads", at(1_110), 4);
        usage.record(8, "reads", at(1_099), 5);
        assert_eq!((usage.said(8, 1_110, 100).as_str(), usage.dropped()), ("reads 9", 2));
        less.settle(0, at(1_110));
        more.settle(12, at(1_110));
        assert_eq!((usage.said(8, 1_110, 100).as_str(), usage.dropped()), ("reads 9", 2));
    }

    #[test]
    fn a_window_begins_with_the_slot_that_it_begins_in() {
        let usage = Usage::new(100, 10, 100);
        usage.record(7, "reads", at(1_000), 1);
        // A window of 10 ns at 1,018 begins after 1,008, in the slot of 1,000.
        assert_eq!(usage.said(7, 1_018, 10), "reads 1");
        assert_eq!(usage.said(7, 1_019, 10), "", "it begins after 1,009");
        assert_eq!(usage.said(7, 1_019, 11), "reads 1");
        assert_eq!(usage.said(7, 1_108, 100), "reads 1");
        assert_eq!(usage.said(7, 1_109, 100), "");
        assert_eq!(usage.said(7, 1_108, u64::MAX), "reads 1", "the longest");
        assert_eq!(usage.said(7, 1_109, u64::MAX), "", "the longest");
        assert_eq!(usage.said(7, 1_009, 0), "reads 1", "the slot of now");
        assert_eq!(usage.said(7, 1_010, 0), "");
        assert_eq!(usage.said(7, 999, 100), "", "what comes later has not been yet");
    }

    #[test]
    fn time_that_goes_back_is_counted_where_it_belongs() {
        let usage = Usage::new(100, 10, 100);
        usage.record(7, "reads", at(1_050), 1);
        usage.record(7, "reads", at(1_020), 2);
        usage.record(7, "reads", at(1_051), 4);
        usage.record(7, "reads", at(1_029), 8);
        usage.record(7, "reads", at(300), 16);
        assert_eq!(usage.said(7, 1_055, 10), "reads 5");
        assert_eq!(usage.said(7, 1_029, 100), "reads 10");
        assert_eq!(usage.said(7, 1_055, 100), "reads 15");
        assert_eq!(usage.said(7, 300, 100), "", "too old when it came");
    }

    #[test]
    fn sums_stop_at_the_top() {
        let usage = Usage::new(100, 10, 100);
        usage.record(7, "reads", at(1_000), u64::MAX);
        usage.record(7, "reads", at(1_000), 1);
        usage.record(7, "reads", at(1_010), 1);
        assert_eq!(usage.said(7, 1_010, 100), format!("reads {}", u64::MAX));
    }

    #[test]
    fn kinds_beyond_64_are_other() {
        let usage = Usage::new(100, 10, 100);
        for number in 0..70 {
            usage.record(7, format!("GET /{number:02}"), at(1_000), 2);
        }
        usage.record(7, "GET /63", at(1_000), 1);
        usage.record(7, "GET /64", at(1_000), 1);
        let report = usage.report(7, at(1_000), 100);
        assert_eq!(report.len(), 65);
        assert_eq!(report[0], ("other".to_owned(), 13));
        assert_eq!(report[1], ("GET /63".to_owned(), 3));
        // When the others are too old, their places are free.
        usage.record(7, "GET /64", at(1_110), 5);
        assert_eq!(usage.said(7, 1_110, 100), "GET /64 5");
        assert_eq!(usage.shard(7).lock().by_tag[&7].kinds.len(), 1);
    }

    #[test]
    fn a_kind_called_other_is_other() {
        let usage = Usage::new(100, 10, 100);
        usage.record(7, "other", at(1_000), 1);
        for number in 0..65 {
            usage.record(7, number.to_string(), at(1_000), 2);
        }
        let report = usage.report(7, at(1_000), 100);
        assert_eq!(report.len(), 65);
        assert_eq!(report[0], ("other".to_owned(), 3));
    }

    #[test]
    fn long_names_take_no_memory() {
        let usage = Usage::new(100, 10, 100);
        usage.record(7, "x".repeat(MAX_NAME + 1), at(1_000), 1);
        usage.record(7, "y".repeat(MAX_NAME), at(1_000), 1);
        assert_eq!(usage.said(7, 1_000, 100), format!("other 1, {} 1", "y".repeat(MAX_NAME)));
    }

    #[test]
    fn when_full_the_newest_is_not_counted_and_the_empty_go_first() {
        const MAX: u64 = 40;
        let usage = Usage::new(100, 10, MAX);
        let tag = |number: u64| number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        for number in 0..MAX {
            usage.record(tag(number), "reads", at(1_000 + number % 2 * 50), 1);
        }
        usage.record(tag(100), "reads", at(1_050), 1);
        assert_eq!((usage.counted(), usage.dropped()), (MAX, 1));
        assert_eq!(usage.said(tag(100), 1_050, 100), "");
        // Who is known is counted all the same.
        usage.record(tag(0), "reads", at(1_050), 1);
        assert_eq!(usage.said(tag(0), 1_050, 100), "reads 2");

        // All even keys but one are too old now, wherever they lie.
        for number in 0..MAX / 2 - 1 {
            usage.record(tag(200 + number), "reads", at(1_110), 1);
            assert_eq!(usage.said(tag(200 + number), 1_110, 100), "reads 1", "newcomer {number}");
        }
        usage.record(tag(300), "reads", at(1_110), 1);
        assert_eq!((usage.counted(), usage.dropped()), (MAX, 2));
        for number in (1..MAX).step_by(2) {
            assert_eq!(usage.said(tag(number), 1_110, 100), "reads 1", "key {number}");
        }
        // A flood within the slot does not look again; the next slot does.
        assert_eq!(usage.full_before.load(Ordering::Relaxed), 112);
        usage.record(tag(300), "reads", at(1_160), 1);
        assert_eq!(usage.said(tag(300), 1_160, 100), "reads 1");
    }

    #[test]
    fn memory_follows_the_keys_in_use() {
        let usage = Usage::new(100, 10, u64::MAX);
        for number in 0..10_000u64 {
            usage.record(number << 48, "reads", at(number * 10), 1);
        }
        // 11 are in use; of a shard that nobody comes to, some more wait.
        assert!(usage.counted() < 4_000, "{} keys", usage.counted());
        for number in 0..10_000u64 {
            usage.record(((number % 16) << 60) | number, "reads", at(100_000 + number * 10), 1);
        }
        assert!(usage.counted() < 40, "{} keys", usage.counted());
        let places: usize = usage.shards.iter().map(|shard| shard.0.lock().by_tag.capacity()).sum();
        assert!(places < 500, "{places} places");
    }

    #[test]
    fn a_time_that_goes_back_makes_nobody_older() {
        let usage = Usage::new(100, 10, 1);
        usage.record(7, "reads", at(1_050), 1);
        usage.record(7, "reads", at(1_000), 1);
        usage.record(8, "reads", at(1_110), 1);
        assert_eq!((usage.said(7, 1_110, 100).as_str(), usage.dropped()), ("reads 1", 1));
    }

    #[test]
    fn two_threads_that_bring_the_same_key_bring_one() {
        let usage = Usage::new(100, 10, 2);
        usage.record(7, "reads", at(1_000), 1);
        // As a thread does that did not find the key a moment ago.
        usage.record_newcomer(7, b"reads", 100, 1);
        usage.record(8, "reads", at(1_000), 1);
        assert_eq!(usage.said(7, 1_000, 100), "reads 2");
        assert_eq!((usage.counted(), usage.dropped()), (2, 0));
    }

    #[test]
    fn nobody_is_counted_where_there_is_no_place_at_all() {
        let usage = Usage::new(100, 10, 0);
        usage.record(7, "reads", at(1_000), 1);
        assert_eq!((usage.counted(), usage.dropped()), (0, 1));
    }

    #[test]
    fn threads_lose_nothing() {
        const MAX: u64 = 200;
        let usage = Usage::new(1 << 40, 1 << 35, MAX);
        std::thread::scope(|scope| {
            for thread in 0..4u64 {
                let usage = &usage;
                scope.spawn(move || {
                    for round in 0..4_000u64 {
                        let tag = ((round % 300) << 56) | (round % 300);
                        usage.record(tag, "reads", at(thread * 1_000 + round), 1);
                    }
                });
            }
        });
        let seen: u64 = (0..300u64)
            .flat_map(|number| usage.report((number << 56) | number, at(1 << 40), u64::MAX))
            .map(|(_, units)| units)
            .sum();
        assert_eq!(seen + usage.dropped(), 16_000);
        assert_eq!((usage.counted(), usage.keys.load(Ordering::Relaxed)), (MAX, MAX));
    }

    proptest! {
        /// Against a list of all that was ever recorded.
        #[test]
        fn reports_are_those_of_a_list(
            window in 1u64..200,
            resolution in 1u64..50,
            records in prop::collection::vec((0u64..3, 0usize..3, 0u64..60, 1u64..10), 1..80),
            asked in 1u64..250,
        ) {
            let usage = Usage::new(window, resolution, 3);
            let kinds = ["reads", "writes", "polls"];
            let mut list = Vec::new();
            let mut now = 0;
            for (tag, kind, pause, units) in records {
                now += pause;
                usage.record(tag, kinds[kind], at(now), units);
                list.push((tag, kinds[kind], now, units));
            }
            let first = now.saturating_sub(asked.min(window) - 1) / resolution * resolution;
            for tag in 0..3 {
                let mut sums: HashMap<&str, u64> = HashMap::new();
                for (_, kind, _, units) in list.iter().filter(|(of, _, time, _)| *of == tag && *time >= first) {
                    *sums.entry(kind).or_default() += units;
                }
                let report = usage.report(tag, at(now), asked);
                prop_assert!(report.is_sorted_by(|a, b| (b.1, &a.0) < (a.1, &b.0)));
                let report: HashMap<&str, u64> = report.iter().map(|(kind, units)| (kind.as_str(), *units)).collect();
                prop_assert_eq!(report, sums);
            }
        }
    }
}
