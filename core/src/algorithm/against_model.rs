//! Random calls on one bucket: it and the oracle's agree in all they are asked.

use jiff::tz::TimeZone;
use proptest::prelude::*;
use tidegate_model::bucket::{self as model, first_time_between};

use super::{Bucket, Mark, Permits};
use crate::clock::Moment;
use crate::rate::{self, Algorithm, Growth, Period, Rate};
use crate::time::Timestamp;

/// What a bucket is made of.
#[derive(Clone, Debug)]
enum Kind {
    Rate(Box<Form>),
    Permits(u64),
    Leases(u64, u64),
}

#[derive(Clone, Debug)]
struct Form {
    quota: u64,
    period: u64,
    algorithm: usize,
    burst: Option<u64>,
    max_debt: Option<u64>,
    growth: Option<Growth>,
}

impl Kind {
    fn bucket(&self) -> Bucket {
        let form = match self {
            Kind::Rate(form) => form,
            Kind::Permits(quota) => return Bucket::Permits(Permits::new(*quota)),
            Kind::Leases(quota, max_hold) => return Bucket::leases(*quota, *max_hold),
        };
        let algorithm = match form.algorithm {
            0 => Algorithm::Gcra { burst: form.burst.unwrap_or(form.quota) },
            1 => Algorithm::SlidingWindow { strict: false },
            2 => Algorithm::SlidingWindow { strict: true },
            3 => Algorithm::FirstRequestWindow,
            _ => Algorithm::ClockWindow { zone: TimeZone::UTC },
        };
        Bucket::new(&Rate {
            name: String::new(),
            quota: form.quota,
            period: Period::Nanos(form.period),
            algorithm,
            max_debt: form.max_debt.unwrap_or(form.quota),
            growth: form.growth,
        })
    }

    fn model(&self) -> model::Bucket {
        let form = match self {
            Kind::Rate(form) => form,
            Kind::Permits(quota) => return model::Bucket::permits(*quota),
            Kind::Leases(quota, max_hold) => return model::Bucket::leases(*quota, *max_hold),
        };
        let algorithm = match form.algorithm {
            0 => tidegate_model::Algorithm::Gcra(form.burst),
            1 => tidegate_model::Algorithm::Sliding,
            2 => tidegate_model::Algorithm::Strict,
            3 => tidegate_model::Algorithm::FirstRequest,
            _ => tidegate_model::Algorithm::Clock("UTC".to_owned()),
        };
        let rate = tidegate_model::Rate {
            algorithm,
            max_debt: form.max_debt,
            growth: form.growth.map(|growth| tidegate_model::Growth {
                ceiling: growth.ceiling,
                step: growth.step,
                after: growth.after,
                shrink_after: growth.shrink_after,
            }),
            ..tidegate_model::Rate::new(form.quota, tidegate_model::Period::Nanos(form.period))
        };
        // Latency: of it quotas may be above the period, too.
        model::Bucket::new(&rate, tidegate_model::Method::Latency)
    }

    /// Budgets above real time are kept in coarse steps, and asked for their last unit alone.
    fn is_coarse(&self) -> bool {
        let Kind::Rate(form) = self else { return false };
        form.growth.map_or(form.quota, |growth| growth.ceiling) > form.period
    }

    /// What spans are told by.
    fn span(&self) -> u64 {
        match self {
            Kind::Rate(form) => form.period,
            Kind::Permits(_) => rate::SECOND,
            Kind::Leases(_, max_hold) => *max_hold,
        }
    }
}

fn form() -> impl Strategy<Value = Form> {
    let quota = prop_oneof![3 => 1u64..30, 1 => 1_000u64..1_000_000, 1 => 1u64 << 40..1 << 50];
    // Clock windows are of whole seconds.
    let period = prop_oneof![
        2 => (0usize..5).prop_map(|n| [rate::SECOND, rate::MINUTE, rate::HOUR, rate::DAY, 7 * rate::SECOND][n]),
        1 => 1_000u64..1_000_000,
    ];
    (quota, period, 0usize..5, prop::option::of(1u64..300), prop::option::of(0u64..300)).prop_map(
        |(quota, period, algorithm, burst, max_debt)| {
            let share = |percent: u64| quota.saturating_mul(percent).div_ceil(100);
            Form {
                quota,
                period,
                algorithm: if algorithm == 4 && period < rate::SECOND { 3 } else { algorithm },
                burst: burst.map(share),
                max_debt: max_debt.map(|percent| quota.saturating_mul(percent) / 100),
                growth: None,
            }
        },
    )
}

fn growing() -> impl Strategy<Value = Kind> {
    // Shares of the quota and of the period.
    let span = || prop_oneof![3 => 0u64..600, 1 => 0u64..10_000];
    (form(), 1u64..300, 1u64..12, span(), span()).prop_map(|(form, step, steps, after, shrink)| {
        let step = (u128::from(form.quota) * u128::from(step)).div_ceil(100) as u64;
        let nanos = |percent: u64| form.period / 100 * percent + percent % 7 + 1;
        let growth = Growth {
            ceiling: form.quota + step * steps - step / 3,
            step,
            after: nanos(after),
            shrink_after: nanos(shrink),
        };
        Kind::Rate(Box::new(Form { growth: Some(growth), ..form }))
    })
}

fn leases() -> impl Strategy<Value = Kind> {
    (1u64..12, prop_oneof![1u64..30, 1_000u64..2_000, Just(rate::MINUTE), Just(rate::DAY)])
        .prop_map(|(quota, max_hold)| Kind::Leases(quota, max_hold))
}

fn permits() -> impl Strategy<Value = Kind> {
    prop_oneof![4 => leases(), 1 => (1u64..12).prop_map(Kind::Permits)]
}

fn rates() -> impl Strategy<Value = Kind> {
    prop_oneof![4 => growing(), 1 => form().prop_map(|form| Kind::Rate(Box::new(form)))]
}

#[derive(Clone, Debug)]
enum Op {
    /// Thousandths of the bucket's span, and nanoseconds more or less.
    Pass(u64, i64),
    Back(u64),
    /// Percent of what can be spent at once.
    Spend(u64),
    Charge(u64),
    Refund(u64),
    /// Of the n-th payment of those that are kept.
    RefundOf(usize, u64),
    Renew,
    RenewOf(usize),
    /// A record that is as one never seen is taken away.
    Forget,
    Carry(Kind),
}

fn op(kind: BoxedStrategy<Kind>, back: u32) -> impl Strategy<Value = Op> {
    let percent = || prop_oneof![2 => 0u64..120, 1 => 40u64..60];
    prop_oneof![
        10 => (prop_oneof![3 => 0u64..700, 1 => 0u64..5_000, 1 => 0u64..60_000], -1i64..2)
            .prop_map(|(share, more)| Op::Pass(share, more)),
        back => (0u64..4_000).prop_map(Op::Back),
        14 => percent().prop_map(Op::Spend),
        3 => (0u64..250).prop_map(Op::Charge),
        3 => percent().prop_map(Op::Refund),
        3 => (0usize..6, percent()).prop_map(|(which, share)| Op::RefundOf(which, share)),
        1 => Just(Op::Renew),
        2 => (0usize..6).prop_map(Op::RenewOf),
        1 => Just(if back == 0 { Op::Forget } else { Op::Pass(1, 0) }),
        2 => kind.prop_map(Op::Carry),
    ]
}

struct World {
    kind: Kind,
    bucket: Bucket,
    words: Vec<u64>,
    model: model::Bucket,
    state: model::State,
    now: u64,
    marks: Vec<(Mark, model::Mark)>,
}

impl World {
    fn new(kind: Kind, now: u64) -> World {
        let (bucket, model) = (kind.bucket(), kind.model());
        let (words, state) = (vec![0; bucket.words()], model.full());
        World { kind, bucket, words, model, state, now, marks: Vec::new() }
    }

    fn at(&self) -> Moment {
        Timestamp::clamped(self.now).into()
    }

    fn share(&self, percent: u64) -> u64 {
        let capacity = u128::from(self.bucket.capacity_now(&self.words, self.at()));
        (capacity * u128::from(percent)).div_ceil(100) as u64
    }

    fn kept(&self, which: usize) -> Option<(Mark, model::Mark)> {
        self.marks.len().checked_sub(1 + which).map(|index| self.marks[index])
    }

    fn apply(&mut self, op: &Op) -> Result<(), TestCaseError> {
        let (at, now) = (self.at(), i128::from(self.now));
        match op {
            Op::Pass(share, more) => {
                let span = u128::from(self.kind.span()) * u128::from(*share) / 1_000;
                // Forward only: a record that was taken away does not know how late it was.
                self.now += (span as u64).saturating_add_signed(*more);
            }
            Op::Back(share) => {
                let span = u128::from(self.kind.span()) * u128::from(*share) / 1_000;
                self.now = self.now.saturating_sub(span as u64);
            }
            Op::Spend(percent) => {
                let due = self.share(*percent);
                let room = self.model.room(&self.state, now);
                let expected = i128::from(due).min(room);
                let paid = self.bucket.pay(&mut self.words, at, due);
                prop_assert_eq!(i128::from(paid.paid), expected, "paid");
                self.model.charge(&mut self.state, now, expected);
                if expected > 0 {
                    let mark = self.bucket.mark(&self.words, at);
                    self.marks.push((mark, self.model.mark(&self.state, now)));
                }
                let room = self.model.room(&self.state, now);
                prop_assert!(
                    self.kind.is_coarse() || i128::from(paid.room) == room,
                    "left: {room}"
                );
                let full = self.model.full_at(&self.state, now).map(|full| full - now);
                prop_assert_eq!(Some(i128::from(paid.full_after)), full, "full after it");
            }
            Op::Charge(percent) => {
                // A charge of nothing never comes here.
                let units = self.share(*percent).max(1);
                self.bucket.charge(&mut self.words, at, units);
                self.model.charge(&mut self.state, now, units.into());
            }
            Op::Refund(percent) => {
                let units = self.share(*percent);
                let given = self.bucket.refund(&mut self.words, at, units, None);
                let expected = self.model.refund(&mut self.state, now, units.into(), None);
                prop_assert_eq!(i128::from(given), expected, "refund");
            }
            Op::RefundOf(which, percent) => {
                let Some((mark, twin)) = self.kept(*which) else { return Ok(()) };
                let units = self.share(*percent);
                let given = self.bucket.refund(&mut self.words, at, units, Some(mark));
                let expected = self.model.refund(&mut self.state, now, units.into(), Some(twin));
                prop_assert_eq!(i128::from(given), expected, "refund of {:?}", mark);
            }
            Op::Renew => self.renew(None)?,
            Op::RenewOf(which) => match self.kept(*which) {
                Some(marks) => self.renew(Some(marks))?,
                None => return Ok(()),
            },
            Op::Forget => {
                // A window from the first request lasts on when all is refunded; without a record it begins anew.
                let lasts = matches!(&self.kind, Kind::Rate(form) if form.algorithm == 3);
                if !lasts && self.bucket.full_after(&self.words, at) == 0 {
                    self.words.fill(0);
                }
            }
            Op::Carry(kind) => {
                let (bucket, model) = (kind.bucket(), kind.model());
                let mut words = vec![0; bucket.words()];
                bucket.carry(&self.bucket, &self.words, &mut words, at);
                let state = model.carry(&self.model, &self.state, now);
                let kind = kind.clone();
                *self = World { kind, bucket, words, model, state, now: self.now, marks: vec![] };
            }
        }
        self.compare()
    }

    fn renew(&mut self, marks: Option<(Mark, model::Mark)>) -> Result<(), TestCaseError> {
        if matches!(self.kind, Kind::Permits(_)) {
            return Ok(());
        }
        let (mark, twin) = marks.unzip();
        let at = self.at();
        let renewed = self.bucket.renew(&mut self.words, at, mark);
        let expected = self.model.renew(&mut self.state, self.now.into(), twin);
        prop_assert_eq!(renewed.is_some(), expected.is_some(), "renew of {:?}", mark);
        self.marks.extend(renewed.zip(expected));
        Ok(())
    }

    fn compare(&self) -> Result<(), TestCaseError> {
        let World { bucket, words, model, state, .. } = self;
        let (at, now) = (self.at(), i128::from(self.now));
        prop_assert_eq!(i128::from(bucket.quota_now(words, at)), model.quota(state, now), "quota");
        let capacity = bucket.capacity_now(words, at);
        prop_assert_eq!(i128::from(capacity), model.capacity(state, now), "capacity");
        prop_assert_eq!(i128::from(bucket.used(words, at)), model.used(state, now), "used");
        prop_assert_eq!(i128::from(bucket.room(words, at)), model.room(state, now), "room");
        prop_assert_eq!(bucket.fits(words, at, 0), !model.in_debt(state, now), "debt");
        let after = |then: Option<i128>| then.map_or(i128::from(u64::MAX), |then| then - now);
        let refilled = i128::from(bucket.refilled_after(words, at));
        prop_assert_eq!(refilled, after(model.full_at(state, now)), "full");
        let forgotten = i128::from(bucket.full_after(words, at));
        prop_assert_eq!(forgotten, after(model.forgotten_at(state, now)), "forgotten");
        if matches!(state, model::State::Permits(_)) {
            return Ok(());
        }
        let losses = model.losses(state, now);
        let capacity = if self.kind.is_coarse() { 1 } else { capacity };
        for units in [1, capacity.div_ceil(3), capacity] {
            let fits = |then| model.room(state, then) >= i128::from(units);
            let expected = after(first_time_between(now, &losses, fits));
            let wait = i128::from(bucket.wait_for(words, at, units));
            prop_assert_eq!(wait, expected, "wait for {}", units);
        }
        Ok(())
    }
}

fn agree(kind: Kind, start: u64, ops: &[Op]) -> Result<(), TestCaseError> {
    let mut world = World::new(kind, start);
    for (number, op) in ops.iter().enumerate() {
        let (now, words) = (world.now, world.words.clone());
        world.apply(op).map_err(|error| {
            TestCaseError::fail(format!("at {now}, step {number}, {op:?}, {words:?}: {error}"))
        })?;
    }
    Ok(())
}

fn start() -> impl Strategy<Value = u64> {
    prop_oneof![
        1 => Just(0),
        1 => 0u64..rate::DAY,
        3 => (0u64..rate::DAY).prop_map(|more| 1_700_000_000 * rate::SECOND + more),
    ]
}

fn ops(kind: impl Strategy<Value = Kind> + 'static, back: u32) -> impl Strategy<Value = Vec<Op>> {
    prop::collection::vec(op(kind.boxed(), back), 1..30)
}

proptest! {
    #[test]
    fn rates_that_grow(kind in growing(), start in start(), ops in ops(rates(), 0)) {
        agree(kind, start, &ops)?;
    }

    #[test]
    fn rates_that_grow_when_times_go_back(
        kind in growing(),
        start in start(),
        ops in ops(rates(), 3),
    ) {
        agree(kind, start, &ops)?;
    }

    #[test]
    fn permits_that_are_reclaimed(kind in leases(), start in start(), ops in ops(permits(), 0)) {
        agree(kind, start, &ops)?;
    }

    #[test]
    fn permits_that_are_reclaimed_when_times_go_back(
        kind in leases(),
        start in start(),
        ops in ops(permits(), 3),
    ) {
        agree(kind, start, &ops)?;
    }
}
