//! The words of one bucket, under one of the rates that plans give it.

use super::source::Source;
use super::stamp::Field;
use crate::algorithm::{Bucket, Hold, Units};
use crate::clock::Moment;
use crate::rate::Method;

/// The words of one bucket.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) lineage: u64,
    /// Its position in the limit.
    pub(super) position: usize,
    pub(super) method: Method,
    pub(super) start: usize,
    pub(super) words: usize,
    /// Under which of `rates` the words are.
    pub(super) note: Field,
    /// Those that are not alike.
    pub(super) rates: Vec<Bucket>,
    /// Of each variant; `None`: it has no such bucket.
    pub(super) variants: Vec<Option<Seat>>,
    pub(super) hold: Option<Hold>,
}

/// A bucket of a variant in its place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seat {
    pub(super) rate: usize,
    pub(super) capacity: Units,
}

impl Place {
    pub(super) fn new<'p>(
        lineage: u64,
        position: usize,
        method: Method,
        of: &[Option<Source<'p>>],
    ) -> Place {
        let sources = || of.iter().flatten().copied();
        let mut rates: Vec<Source<'p>> = Vec::new();
        for source in sources() {
            if !rates.iter().any(|rate| rate.is_like(source)) {
                rates.push(source);
            }
        }
        let one = sources().zip(sources().skip(1)).all(|(source, next)| source.is(next));
        let hold = if one { None } else { sources().filter_map(Source::hold).reduce(Hold::with) };
        let seat = |source: Source<'p>| Seat {
            rate: rates.iter().position(|rate| rate.is_like(source)).unwrap_or(0),
            capacity: source.bucket(hold).capacity(),
        };
        let variants = of.iter().map(|source| source.map(seat)).collect();
        let rates: Vec<Bucket> = rates.iter().map(|rate| rate.bucket(hold)).collect();
        Place {
            lineage,
            position,
            method,
            start: 0,
            words: rates.iter().map(Bucket::words).max().unwrap_or(0),
            note: Field::default(),
            rates,
            variants,
            hold,
        }
    }

    /// Its words from the first one on: the bucket knows how many are its own.
    pub(super) fn of<'w>(&self, words: &'w [u64]) -> &'w [u64] {
        &words[self.start..]
    }

    pub(super) fn own<'w>(&self, words: &'w mut [u64]) -> &'w mut [u64] {
        &mut words[self.start..][..self.words]
    }

    pub(super) fn is_new(&self, words: &[u64]) -> bool {
        words[self.start..][..self.words].iter().all(|&word| word == 0)
    }

    /// The rate that the words are under.
    pub(super) fn bucket(&self, words: &[u64]) -> &Bucket {
        &self.rates[self.note.get(words)]
    }

    /// Takes the words over to a rate.
    pub(super) fn bring(&self, words: &mut [u64], rate: usize, at: Moment) {
        let now = self.note.get(words);
        if now == rate {
            return;
        }
        if !self.is_new(words) {
            let mut new = [0; Bucket::MAX_WORDS];
            self.rates[rate].carry(&self.rates[now], self.of(words), &mut new, at);
            self.own(words).copy_from_slice(&new[..self.words]);
        }
        self.note.set(words, rate);
    }

    /// As `bring`, for a request of a plan that has this rate.
    pub(super) fn turn(&self, words: &mut [u64], rate: usize, at: Moment) {
        let before = self.note.get(words);
        if before != rate {
            self.bring(words, rate, at);
            self.rates[rate].forgive(&self.rates[before], self.own(words), at);
        }
    }

    /// Of the rates those that a variant has the largest capacity by; the first of equals.
    pub(super) fn widest(&self) -> usize {
        let seats = self.variants.iter().flatten().rev();
        seats.max_by_key(|seat| seat.capacity).map_or(0, |seat| seat.rate)
    }

    pub(super) fn capacity(&self, rate: usize) -> Units {
        let seats = self.variants.iter().flatten().filter(|seat| seat.rate == rate);
        seats.map(|seat| seat.capacity).max().unwrap_or(0)
    }

    /// Makes `into` the larger use of the two, under the rate with the larger capacity.
    pub(super) fn merge(&self, into: &mut [u64], from: &[u64], at: Moment) {
        let (ours, theirs) = (self.note.get(into), self.note.get(from));
        if ours == theirs || self.is_new(from) {
            return self.rates[ours].merge(self.own(into), self.of(from), at);
        }
        if self.is_new(into) {
            self.note.set(into, theirs);
            return self.rates[theirs].merge(self.own(into), self.of(from), at);
        }
        if self.capacity(theirs) > self.capacity(ours) {
            self.bring(into, theirs, at);
            return self.rates[theirs].merge(self.own(into), self.of(from), at);
        }
        let mut new = [0; Bucket::MAX_WORDS];
        self.rates[ours].carry(&self.rates[theirs], self.of(from), &mut new, at);
        self.rates[ours].merge(self.own(into), &new, at);
    }
}
