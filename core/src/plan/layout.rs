//! Where in a key's record each bucket has its words, whatever the plan; and under which rate they are.
//!
//! A limit goes on from plan to plan, its buckets by their position: each has one *place* in the record, as wide as the
//! widest of its rates needs. A request touches the places that its plan has, and no others: what only another plan
//! counts, stays.
//!
//! Rates are *alike* when the same words mean the same under both: windows of the same kind and period, whatever their
//! quota, and permits. Where those of a place are not all alike, a note in the record says under which one its words are,
//! and a request under another rate takes them over first.
//!
//! ```text
//! record   stamps | place | place | …
//! stamps   the plan of the last request that changed the record, then the notes: as few bits each as tell all apart, no one
//!          of them in two words; none where there is nothing to tell. Bits of zero: a record that is new.
//! ```

mod place;
mod source;
mod stamp;

use super::Payment;
use crate::algorithm::{Hold, Mark, Units};
use crate::clock::Moment;
use crate::policy::Limit;
use crate::rate::Method;
use place::Place;
pub(super) use source::Source;
use stamp::Field;

/// How the records of a scope are laid out.
#[derive(Debug)]
pub(crate) struct Layout {
    places: Vec<Place>,
    /// Words before the places.
    stamps: usize,
    words: usize,
    /// The variant of the last request.
    plan: Field,
    /// For each variant what the stamps are when there is nothing to take over: bits that matter, and their values.
    expected: Vec<Vec<(u64, u64)>>,
    /// Which of a limiter's policies it is.
    number: u64,
}

/// Where a plan finds a bucket of its own.
pub(super) struct Found {
    pub(super) start: usize,
    /// No words under another rate are called so: see [`Payment`].
    pub(super) rate: u64,
    pub(super) hold: Option<Hold>,
}

impl Layout {
    /// For the limits of these variants, which have these lineages.
    pub(crate) fn new(variants: &[Vec<&Limit>], lineages: &[Vec<u64>], number: u64) -> Layout {
        let mut places = places(variants, lineages);
        let mut taken = 0;
        let mut whole = variants.windows(2);
        let same = whole.all(|pair| {
            pair[0].len() == pair[1].len()
                && pair[0].iter().zip(&pair[1]).all(|(a, b)| std::ptr::eq(*a, *b))
        });
        let plan = Field::after(&mut taken, if same { 1 } else { variants.len() });
        for place in &mut places {
            place.note = Field::after(&mut taken, place.rates.len());
        }
        let stamps = taken.div_ceil(u64::BITS) as usize;
        let mut words = stamps;
        for place in &mut places {
            place.start = words;
            words += place.words;
        }
        let expect = |variant: usize| {
            let mut stamps = vec![(0, 0); stamps];
            plan.expect(&mut stamps, variant);
            for place in &places {
                if let Some(seat) = place.variants[variant] {
                    place.note.expect(&mut stamps, seat.rate);
                }
            }
            stamps
        };
        let expected = (0..variants.len()).map(expect).collect();
        Layout { places, stamps, words, plan, expected, number }
    }

    /// Words of a record.
    pub(crate) fn words(&self) -> usize {
        self.words
    }

    /// The lineage of the first limit that has no room within so many words.
    pub(crate) fn beyond(&self, words: usize) -> Option<u64> {
        let place = self.places.iter().find(|place| place.start + place.words > words)?;
        Some(place.lineage)
    }

    /// Words that are no use of anything: the first ones.
    pub(crate) fn stamps(&self) -> usize {
        self.stamps
    }

    pub(super) fn find(&self, lineage: u64, position: usize, variant: usize) -> Option<Found> {
        let place = self.place(lineage, position)?;
        let rate = self.rate(place.variants[variant]?.rate);
        Some(Found { start: place.start, rate, hold: place.hold })
    }

    /// Has the bucket of this payment a place?
    pub(super) fn has(&self, payment: &Payment) -> bool {
        self.place(payment.lineage, payment.position).is_some()
    }

    fn place(&self, lineage: u64, position: usize) -> Option<&Place> {
        let is = |place: &&Place| (place.lineage, place.position) == (lineage, position);
        self.places.iter().find(is)
    }

    fn rate(&self, rate: usize) -> u64 {
        self.number << 8 | rate as u64
    }

    /// The variant of the last request that changed the record; of a new one the first.
    pub(crate) fn variant(&self, words: &[u64]) -> usize {
        self.plan.get(words)
    }

    /// Are all words that a variant has under its rates?
    #[inline]
    pub(crate) fn is_under(&self, variant: usize, words: &[u64]) -> bool {
        let expected = self.expected[variant].iter();
        words.iter().zip(expected).all(|(word, (mask, expected))| word & mask == *expected)
    }

    /// Of a record under a variant, the bits of the first word by which it is known (see [`Layout::is_under`]); `None`: it
    /// takes more.
    pub(crate) fn first_stamp(&self, variant: usize) -> Option<(u64, u64)> {
        match &self.expected[variant][..] {
            [] => Some((0, 0)),
            [stamp] => Some(*stamp),
            _ => None,
        }
    }

    /// Takes all words that a variant has over to its rates.
    #[cold]
    pub(crate) fn convert(&self, variant: usize, words: &mut [u64], at: Moment) {
        for place in &self.places {
            if let Some(seat) = place.variants[variant] {
                place.turn(words, seat.rate, at);
            }
        }
        self.plan.set(words, variant);
    }

    /// Nanoseconds until every bucket is full again, under whatever plan.
    pub(crate) fn full_after(&self, words: &[u64], at: Moment) -> u64 {
        let spans =
            self.places.iter().map(|place| place.bucket(words).full_after(place.of(words), at));
        spans.max().unwrap_or(0)
    }

    /// Are there permits out? Such a record cannot be given away.
    pub(crate) fn is_held(&self, words: &[u64], at: Moment) -> bool {
        let mut permits = self.places.iter().filter(|place| place.method == Method::Concurrency);
        permits.any(|place| place.bucket(words).used(place.of(words), at) > 0)
    }

    /// Makes `into` the larger use of the two, bucket by bucket.
    pub(crate) fn merge(&self, into: &mut [u64], from: &[u64], at: Moment) {
        let before = self.is_new(into);
        self.places.iter().for_each(|place| place.merge(into, from, at));
        if before {
            self.plan.set(into, self.plan.get(from));
        }
    }

    fn is_new(&self, words: &[u64]) -> bool {
        words[self.stamps..].iter().all(|&word| word == 0)
    }

    /// Fills every bucket but the permits in flight.
    pub(super) fn reset(&self, words: &mut [u64]) {
        for place in self.places.iter().filter(|place| place.method != Method::Concurrency) {
            place.own(words).fill(0);
        }
    }

    /// The place of a payment; the mark means something where the words are under the rate that was paid to.
    fn paid(
        &self,
        words: &[u64],
        payment: &Payment,
        method: Method,
    ) -> Option<(&Place, Option<Mark>)> {
        let place = self.place(payment.lineage, payment.position)?;
        let rate = self.rate(place.note.get(words));
        let mark = (payment.rate == rate).then_some(payment.mark);
        (place.method == method).then_some((place, mark))
    }

    /// Gives back what was paid, or less of it, if the place is of this method.
    pub(super) fn give_back(
        &self,
        words: &mut [u64],
        at: Moment,
        payment: &Payment,
        method: Method,
        units: Units,
    ) {
        if let Some((place, mark)) = self.paid(words, payment, method) {
            place.bucket(words).return_paid(place.own(words), at, units, mark);
        }
    }

    /// Begins the time of a permit anew, which gets its new mark; `None`: it is none of this record. Is it still out?
    pub(super) fn renew(
        &self,
        words: &mut [u64],
        at: Moment,
        payment: &mut Payment,
    ) -> Option<bool> {
        let (place, mark) = self.paid(words, payment, Method::Concurrency)?;
        let renewed = place.bucket(words).renew(place.own(words), at, mark);
        if let Some(mark) = renewed {
            (payment.rate, payment.mark) = (self.rate(place.note.get(words)), mark);
        }
        Some(renewed.is_some())
    }
}

/// A place for each bucket of each lineage, in the order in which the variants have them.
fn places(variants: &[Vec<&Limit>], lineages: &[Vec<u64>]) -> Vec<Place> {
    let mut known: Vec<(u64, usize)> = Vec::new();
    let mut places = Vec::new();
    let of = |variant: usize, lineage: u64| {
        let index = lineages[variant].iter().position(|&own| own == lineage)?;
        Some(variants[variant][index])
    };
    for (limits, own) in variants.iter().zip(lineages) {
        for (limit, &lineage) in limits.iter().zip(own) {
            for position in 0..Source::all(limit).len() {
                if known.contains(&(lineage, position)) {
                    continue;
                }
                known.push((lineage, position));
                let source = |variant| Source::all(of(variant, lineage)?).get(position).copied();
                let sources: Vec<_> = (0..variants.len()).map(source).collect();
                places.push(Place::new(lineage, position, limit.method, &sources));
            }
        }
    }
    places
}

/// How records of an older layout go on in a new one.
#[derive(Debug)]
pub(crate) struct Inheritance {
    /// What the variants are called now.
    variants: Vec<usize>,
    /// For each place of the new layout that goes on: the old one's number, and for each of its rates the one that takes
    /// over from it.
    places: Vec<Option<(usize, Vec<usize>)>>,
}

impl Inheritance {
    /// `same`: for each old variant the new one of the same name.
    pub(crate) fn new(old: &Layout, new: &Layout, same: &[Option<usize>]) -> Inheritance {
        let heir = |place: &Place, before: &Place, rate: usize| {
            let had = |old: usize| before.variants[old].is_some_and(|seat| seat.rate == rate);
            let heirs = same.iter().enumerate().filter(|&(old, _)| had(old));
            let mut seats = heirs.filter_map(|(_, heir)| place.variants[(*heir)?]);
            seats.next().map_or_else(|| place.widest(), |seat| seat.rate)
        };
        let place = |place: &Place| {
            let is = |old: &Place| (old.lineage, old.position) == (place.lineage, place.position);
            let number = old.places.iter().position(is)?;
            let before = &old.places[number];
            let heirs = (0..before.rates.len()).map(|rate| heir(place, before, rate)).collect();
            Some((number, heirs))
        };
        Inheritance {
            variants: same.iter().map(|heir| heir.unwrap_or(0)).collect(),
            places: new.places.iter().map(place).collect(),
        }
    }

    /// Fills `words` (zeros) with the use that `before` holds.
    pub(crate) fn carry(
        &self,
        [old, new]: [&Layout; 2],
        before: &[u64],
        words: &mut [u64],
        at: Moment,
    ) {
        for (place, from) in new.places.iter().zip(&self.places) {
            let Some((number, heirs)) = from else { continue };
            let from = &old.places[*number];
            let rate = from.note.get(before);
            let heir = heirs[rate];
            place.rates[heir].carry(&from.rates[rate], from.of(before), place.own(words), at);
            if !place.is_new(words) {
                place.note.set(words, heir);
            }
        }
        if !new.is_new(words) {
            new.plan.set(words, self.variants[old.variant(before)]);
        }
    }
}
