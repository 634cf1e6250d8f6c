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

use crate::algorithm::{Bucket, Hold, Mark, Permits, Units};
use crate::clock::Moment;
use crate::policy::{Limit, LimitKind};
use crate::rate::{Algorithm, Method, Rate};

use super::Payment;

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

/// The words of one bucket.
#[derive(Debug)]
struct Place {
    lineage: u64,
    /// Its position in the limit.
    position: usize,
    method: Method,
    start: usize,
    words: usize,
    /// Under which of `rates` the words are.
    note: Field,
    /// Those that are not alike.
    rates: Vec<Bucket>,
    /// Of each variant; `None`: it has no such bucket.
    variants: Vec<Option<Seat>>,
    hold: Option<Hold>,
}

/// A bucket of a variant in its place.
#[derive(Clone, Copy, Debug)]
struct Seat {
    rate: usize,
    capacity: Units,
}

/// Where a plan finds a bucket of its own.
pub(super) struct Found {
    pub(super) start: usize,
    /// No words under another rate are called so: see [`Payment`].
    pub(super) rate: u64,
    pub(super) hold: Option<Hold>,
}

/// Bits of a stamp.
#[derive(Clone, Copy, Debug, Default)]
struct Field {
    word: usize,
    shift: u32,
    mask: u64,
}

impl Field {
    /// The field for so many values after the bits that are taken.
    fn after(taken: &mut u32, values: usize) -> Field {
        let bits = values.next_power_of_two().trailing_zeros();
        if *taken / u64::BITS != (*taken + bits).saturating_sub(1) / u64::BITS {
            *taken = taken.next_multiple_of(u64::BITS);
        }
        let begin = *taken;
        *taken += bits;
        match bits {
            0 => Field::default(),
            _ => {
                let word = (begin / u64::BITS) as usize;
                Field { word, shift: begin % u64::BITS, mask: (1 << bits) - 1 }
            }
        }
    }

    fn get(self, words: &[u64]) -> usize {
        // As many bits as its values need.
        ((words[self.word] >> self.shift) & self.mask) as usize
    }

    fn set(self, words: &mut [u64], value: usize) {
        let word = &mut words[self.word];
        *word = *word & !(self.mask << self.shift) | (value as u64 & self.mask) << self.shift;
    }

    fn expect(self, stamps: &mut [(u64, u64)], value: usize) {
        if self.mask != 0 {
            let (mask, expected) = &mut stamps[self.word];
            *mask |= self.mask << self.shift;
            *expected |= (value as u64) << self.shift;
        }
    }
}

/// What a bucket is made of.
#[derive(Clone, Copy)]
pub(super) enum Source<'p> {
    Rate(&'p Rate),
    Permits { quota: Units, max_hold: Option<u64> },
}

impl<'p> Source<'p> {
    pub(super) fn all(limit: &'p Limit) -> Vec<Source<'p>> {
        match &limit.kind {
            LimitKind::Rates(rates) => rates.iter().map(Source::Rate).collect(),
            LimitKind::Permits { quota, max_hold } => {
                vec![Source::Permits { quota: *quota, max_hold: *max_hold }]
            }
        }
    }

    pub(super) fn bucket(self, hold: Option<Hold>) -> Bucket {
        match self {
            Source::Rate(rate) => Bucket::within(rate, hold),
            Source::Permits { quota, max_hold: None } => Bucket::Permits(Permits::new(quota)),
            Source::Permits { quota, max_hold: Some(max_hold) } => Bucket::leases(quota, max_hold),
        }
    }

    fn hold(self) -> Option<Hold> {
        match self {
            Source::Rate(rate) => Some(Hold::of(rate)),
            Source::Permits { .. } => None,
        }
    }

    /// Are they one rate?
    fn is(self, other: Source<'_>) -> bool {
        match (self, other) {
            (Source::Rate(a), Source::Rate(b)) => {
                (a.quota, a.max_debt, a.growth) == (b.quota, b.max_debt, b.growth)
                    && a.period == b.period
                    && a.algorithm == b.algorithm
            }
            _ => self.is_like(other),
        }
    }

    /// Do the same words mean the same under both?
    fn is_like(self, other: Source<'_>) -> bool {
        match (self, other) {
            (Source::Rate(a), Source::Rate(b)) => {
                let windows = !matches!(a.algorithm, Algorithm::Gcra { .. })
                    && (a.growth, b.growth) == (None, None)
                    && a.period == b.period
                    && a.algorithm == b.algorithm;
                windows || self.is(other)
            }
            (Source::Permits { max_hold: a, .. }, Source::Permits { max_hold: b, .. }) => a == b,
            _ => false,
        }
    }
}

impl Place {
    fn new<'p>(lineage: u64, position: usize, method: Method, of: &[Option<Source<'p>>]) -> Place {
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
    fn of<'w>(&self, words: &'w [u64]) -> &'w [u64] {
        &words[self.start..]
    }

    fn own<'w>(&self, words: &'w mut [u64]) -> &'w mut [u64] {
        &mut words[self.start..][..self.words]
    }

    fn is_new(&self, words: &[u64]) -> bool {
        words[self.start..][..self.words].iter().all(|&word| word == 0)
    }

    /// The rate that the words are under.
    fn bucket(&self, words: &[u64]) -> &Bucket {
        &self.rates[self.note.get(words)]
    }

    /// Takes the words over to a rate.
    fn bring(&self, words: &mut [u64], rate: usize, at: Moment) {
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

    /// Of the rates those that a variant has the largest capacity by; the first of equals.
    fn widest(&self) -> usize {
        let seats = self.variants.iter().flatten().rev();
        seats.max_by_key(|seat| seat.capacity).map_or(0, |seat| seat.rate)
    }

    fn capacity(&self, rate: usize) -> Units {
        let seats = self.variants.iter().flatten().filter(|seat| seat.rate == rate);
        seats.map(|seat| seat.capacity).max().unwrap_or(0)
    }

    /// Makes `into` the larger use of the two, under the rate with the larger capacity.
    fn merge(&self, into: &mut [u64], from: &[u64], at: Moment) {
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

    /// Words that are no use of anything: the first ones.
    pub(crate) fn stamps(&self) -> usize {
        self.stamps
    }

    pub(super) fn find(&self, lineage: u64, position: usize, variant: usize) -> Option<Found> {
        let place = self.place(lineage, position)?;
        let rate = self.rate(place.variants[variant]?.rate);
        Some(Found { start: place.start, rate, hold: place.hold })
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

    /// Takes all words that a variant has over to its rates.
    #[cold]
    pub(crate) fn convert(&self, variant: usize, words: &mut [u64], at: Moment) {
        for place in &self.places {
            if let Some(seat) = place.variants[variant] {
                place.bring(words, seat.rate, at);
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
            place.bucket(words).refund(place.own(words), at, units, mark);
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
