//! One bucket of one key: exact arithmetic, and a search wherever a time is asked for.
//!
//! All numbers are 128 bits wide, which no product here fills (a period and an amount have at
//! most 60 bits each, a time that is searched 70); an overflow would panic.

mod growing;
mod lasting;
mod leases;

pub use growing::{Event, Levels};
pub use lasting::Hold;
pub use leases::Leases;

use crate::policy::{Algorithm, Method, Rate};
use crate::{END, Time, Units, calendar};

/// What a denial of a permit advises, in ns.
pub const NOMINAL_WAIT: Time = 1_000_000_000;

/// What a key has used of one bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Steps used, relative to supply; none: never used.
    Gcra(Option<i128>),
    /// The same, and of the largest bucket that its limit has in any plan.
    Lasting { used: Option<i128>, whole: Option<i128> },
    /// A window and what was used in it, aligned to the clock or to the first request.
    Fixed(Option<Window>),
    /// Number of the grid window, use of the one before it and of itself.
    Sliding { number: Time, previous: Units, current: Units },
    /// (part, units), the newest part last.
    Strict(Vec<(Time, Units)>),
    /// Permits in flight.
    Permits(Units),
    /// Permits that are reclaimed.
    Leases(Leases),
    /// All that happened under a rate that grows.
    Growing(Vec<Event>),
}

/// `[start, end)` and the units used in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    pub start: Time,
    pub end: Time,
    pub used: Units,
}

/// What paid, for a refund to the payer: the window, gcra's use after the payment, or a permit's generation; and the
/// level of a rate that grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    paid: Time,
    level: usize,
}

/// A rate, or a number of permits, with its meaning.
#[derive(Clone, Debug)]
pub struct Bucket {
    /// None: permits.
    rate: Option<Rate>,
    quota: Units,
    capacity: Units,
    max_debt: Units,
    period: Time,
    /// Units are 2^scale steps; of latency budgets above real time, steps are 2^−scale units.
    scale: i32,
    /// How long a permit may be kept.
    max_hold: Option<Time>,
    growing: Option<Levels>,
    /// Of a limit that has other rates in other plans.
    hold: Option<Hold>,
}

impl Bucket {
    pub fn permits(quota: u64) -> Bucket {
        Bucket {
            rate: None,
            quota: quota.into(),
            capacity: quota.into(),
            max_debt: 0,
            period: 1,
            scale: 0,
            max_hold: None,
            growing: None,
            hold: None,
        }
    }

    /// Permits that are reclaimed.
    pub fn leases(quota: u64, max_hold: u64) -> Bucket {
        Bucket { max_hold: Some(max_hold.into()), ..Bucket::permits(quota) }
    }

    pub fn new(rate: &Rate, method: Method) -> Bucket {
        let mut bucket = Bucket {
            rate: Some(rate.clone()),
            quota: rate.quota.into(),
            capacity: rate.capacity().into(),
            max_debt: rate.debt().into(),
            period: rate.period.nanos().into(),
            scale: 0,
            max_hold: None,
            growing: rate.growth.as_ref().map(|growth| Levels::new(rate, growth, method)),
            hold: None,
        };
        if matches!(rate.algorithm, Algorithm::Gcra(_)) {
            bucket.scale = bucket.gcra_scale(method);
        }
        bucket
    }

    fn gcra_scale(&self, method: Method) -> i32 {
        if method == Method::Latency && self.quota > self.period {
            let mut coarse = 0;
            while self.quota > self.period << coarse {
                coarse += 1;
            }
            return -coarse;
        }
        let mut fine = 0;
        while self.quota << fine <= self.period {
            fine += 1;
        }
        let largest = self.hold.map_or(self.capacity.max(self.max_debt), |hold| hold.most);
        while fine > 0 && largest << fine > 1 << 61 {
            fine -= 1;
        }
        fine
    }

    /// The quota as it is written.
    pub fn floor(&self) -> Units {
        self.quota
    }

    pub fn floor_capacity(&self) -> Units {
        self.capacity
    }

    /// Of the level that the key is at, if the rate grows.
    pub fn quota(&self, state: &State, at: Time) -> Units {
        self.present(state, at).map_or(self.quota, |(bucket, _)| bucket.quota)
    }

    pub fn capacity(&self, state: &State, at: Time) -> Units {
        self.present(state, at).map_or(self.capacity, |(bucket, _)| bucket.capacity)
    }

    /// Of a rate that grows, the bucket of the key's level, and its state.
    fn present(&self, state: &State, at: Time) -> Option<(&Bucket, State)> {
        let (Some(growing), State::Growing(events)) = (&self.growing, state) else { return None };
        let stand = growing.stand(events, at);
        Some((&growing.levels[stand.level], stand.state))
    }

    fn hold(&self) -> Time {
        self.max_hold.expect("leases")
    }

    /// The times after `at` at which room may become less without use: a level is lost.
    pub fn losses(&self, state: &State, at: Time) -> Vec<Time> {
        match (&self.growing, state) {
            (Some(growing), State::Growing(events)) => growing.steps(&growing.stand(events, at)),
            _ => Vec::new(),
        }
    }

    fn algorithm(&self) -> Option<&Algorithm> {
        self.rate.as_ref().map(|rate| &rate.algorithm)
    }

    /// A key that was never seen.
    pub fn full(&self) -> State {
        if self.growing.is_some() {
            return State::Growing(Vec::new());
        }
        match self.algorithm() {
            None if self.max_hold.is_some() => State::Leases(Leases::default()),
            None => State::Permits(0),
            Some(Algorithm::Gcra(_)) if self.hold.is_some() => {
                State::Lasting { used: None, whole: None }
            }
            Some(Algorithm::Gcra(_)) => State::Gcra(None),
            Some(Algorithm::Sliding) => State::Sliding { number: 0, previous: 0, current: 0 },
            Some(Algorithm::Strict) => State::Strict(Vec::new()),
            Some(Algorithm::Clock(_) | Algorithm::FirstRequest) => State::Fixed(None),
        }
    }

    // --- gcra --------------------------------------------------------------------------------

    fn steps(&self, units: Units) -> i128 {
        match self.scale {
            fine @ 0.. => units << fine,
            // Rounded up to a step.
            coarse => (units + (1 << -coarse) - 1) >> -coarse,
        }
    }

    /// Steps of a bound: what is not a whole step is not there.
    fn whole_steps(&self, units: Units) -> i128 {
        if self.scale >= 0 { self.steps(units) } else { units >> -self.scale }
    }

    /// Whole units of steps; `up`: a broken unit counts as one.
    fn units(&self, steps: i128, up: bool) -> Units {
        let unit = 1i128 << self.scale.max(0);
        let steps = if up { steps + unit - 1 } else { steps };
        steps.div_euclid(unit) << (-self.scale).max(0)
    }

    /// floor(at · quota · 2^scale / period), period by period: `quota` is due in each.
    fn supply(&self, at: Time) -> i128 {
        let quota = self.quota << self.scale.max(0);
        let period = self.period << (-self.scale).max(0);
        at.div_euclid(period) * quota + (at.rem_euclid(period) * quota).div_euclid(period)
    }

    /// u: the key's use, at least that of an idle key.
    fn used_steps(&self, used: Option<i128>, at: Time) -> i128 {
        let idle = self.supply(at) - self.whole_steps(self.capacity);
        used.map_or(idle, |used| used.max(idle))
    }

    // --- sliding windows -----------------------------------------------------------------------

    /// (number, previous, current, time since the current window began) at a time.
    fn pair(&self, state: &State, at: Time) -> (Time, Units, Units, Time) {
        let State::Sliding { number, previous, current } = *state else { unreachable!() };
        let now = at.div_euclid(self.period);
        let elapsed = at.rem_euclid(self.period);
        match now - number {
            ..0 => (number, previous, current, 0),
            0 => (number, previous, current, elapsed),
            1 => (now, current, 0, elapsed),
            _ => (now, 0, 0, elapsed),
        }
    }

    /// The estimate times the period, which makes it a whole number.
    fn estimate(&self, state: &State, at: Time) -> i128 {
        let (_, previous, current, elapsed) = self.pair(state, at);
        previous * (self.period - elapsed) + current * self.period
    }

    /// The newest part: now's, or the later one that the key is in already.
    fn part(&self, parts: &[(Time, Units)], at: Time) -> Time {
        let now = (at * 9).div_euclid(self.period);
        parts.last().map_or(now, |&(part, _)| part.max(now))
    }

    /// Those of the newest ten parts that have use.
    fn counted(&self, parts: &[(Time, Units)], at: Time) -> Vec<(Time, Units)> {
        let newest = self.part(parts, at);
        parts.iter().copied().filter(|&(part, _)| part > newest - 10).collect()
    }

    // --- questions -----------------------------------------------------------------------------

    /// capacity − use, exactly: below zero in debt.
    fn balance(&self, state: &State, at: Time) -> Balance {
        let whole = |used: Units| Balance::Shares(self.capacity - used, 1);
        match state {
            State::Permits(used) => whole(*used),
            State::Leases(leases) => whole(leases.counting(self.hold(), at).len() as Units),
            State::Growing(_) => {
                let (bucket, state) = self.present(state, at).expect("it grows");
                bucket.balance(&state, at)
            }
            State::Gcra(used) => Balance::Steps(self.supply(at) - self.used_steps(*used, at)),
            State::Lasting { used, whole } => {
                Balance::Steps(self.supply(at) - self.shown(*used, *whole, at))
            }
            State::Fixed(window) => whole(in_use(window, at)),
            State::Sliding { .. } => {
                let left = self.capacity * self.period - self.estimate(state, at);
                Balance::Shares(left, self.period)
            }
            State::Strict(parts) => {
                whole(self.counted(parts, at).iter().map(|&(_, units)| units).sum())
            }
        }
    }

    /// What can be spent now.
    pub fn room(&self, state: &State, at: Time) -> Units {
        if let Some((bucket, state)) = self.present(state, at) {
            return bucket.room(&state, at);
        }
        let room = match self.balance(state, at) {
            Balance::Steps(steps) => self.units(steps.max(0), false),
            Balance::Shares(shares, unit) => shares.div_euclid(unit),
        };
        room.max(0)
    }

    pub fn in_debt(&self, state: &State, at: Time) -> bool {
        match self.balance(state, at) {
            Balance::Steps(left) | Balance::Shares(left, _) => left < 0,
        }
    }

    /// Units used, rounded up.
    pub fn used(&self, state: &State, at: Time) -> Units {
        if let Some((bucket, state)) = self.present(state, at) {
            return bucket.used(&state, at);
        }
        match self.balance(state, at) {
            Balance::Steps(steps) => self.units(self.whole_steps(self.capacity) - steps, true),
            Balance::Shares(shares, unit) => self.capacity - shares.div_euclid(unit),
        }
    }

    /// When the bucket is full again (a fixed window: when it ends); `at` when it is.
    pub fn full_at(&self, state: &State, at: Time) -> Option<Time> {
        match state {
            State::Leases(leases) => {
                first_time(at, |then| leases.counting(self.hold(), then).is_empty())
            }
            State::Growing(_) => {
                // At each level until the next one is lost; at the last one for ever.
                let (mut begin, losses) = (at, self.losses(state, at));
                for end in losses.into_iter().map(Some).chain([None]) {
                    let (bucket, inner) = self.present(state, begin).expect("it grows");
                    match bucket.full_at(&inner, begin) {
                        Some(full) if end.is_none_or(|end| full < end) => return Some(full),
                        _ => begin = end?,
                    }
                }
                None
            }
            State::Permits(0) => Some(at),
            // Only the holders of the permits know.
            State::Permits(_) => Some(at + NOMINAL_WAIT),
            State::Fixed(Some(window)) if in_use(&Some(*window), at) > 0 => Some(window.end),
            State::Fixed(_) => Some(at),
            State::Lasting { used, whole } => {
                self.full_at(&State::Gcra(Some(self.shown(*used, *whole, at))), at)
            }
            State::Gcra(used) => {
                let full = self.used_steps(*used, at) + self.whole_steps(self.capacity);
                first_time(at, |then| self.supply(then) >= full)
            }
            State::Sliding { .. } => first_time(at, |then| self.estimate(state, then) == 0),
            State::Strict(parts) => first_time(at, |then| {
                self.counted(parts, then).iter().all(|&(_, units)| units == 0)
            }),
        }
    }

    /// From when on the state says no more than that of a key never seen. (A rate that grew must shrink for that.)
    pub fn forgotten_at(&self, state: &State, at: Time) -> Option<Time> {
        match (&self.growing, state) {
            (Some(growing), State::Growing(events)) => growing.forgotten_at(events, at),
            (_, State::Lasting { whole, .. }) => self.whole().full_at(&State::Gcra(*whole), at),
            _ => self.full_at(state, at),
        }
    }

    // --- changes -------------------------------------------------------------------------------

    /// Debits units, beyond the capacity too, up to the most debt.
    pub fn charge(&self, state: &mut State, at: Time, units: Units) {
        if units == 0 {
            return;
        }
        let most = self.capacity + self.max_debt;
        let added = |used: Units| used.max((used + units).min(most));
        match state {
            State::Permits(used) => *used += units,
            State::Leases(leases) => leases.take(self.hold(), at, units),
            State::Growing(events) => Levels::charged(events, at, units),
            State::Gcra(used) => {
                let before = self.used_steps(*used, at);
                let most = self.supply(at) + self.whole_steps(self.max_debt);
                *used = Some(before.max((before + self.steps(units)).min(most)));
            }
            State::Lasting { used, whole } => {
                self.moved(used, whole, at, |shown| self.charge(shown, at, units));
            }
            State::Fixed(window) => {
                let current = self.fixed_window(window, at);
                *window = Some(Window { used: added(current.used), ..current });
            }
            State::Sliding { .. } => {
                let (number, previous, current, _) = self.pair(state, at);
                *state = State::Sliding { number, previous, current: added(current) };
            }
            State::Strict(parts) => {
                let newest = self.part(parts, at);
                match parts.last_mut() {
                    Some((part, used)) if *part == newest => *used = added(*used),
                    _ => parts.push((newest, added(0))),
                }
            }
        }
    }

    /// The window that a debit now falls into.
    fn fixed_window(&self, window: &Option<Window>, at: Time) -> Window {
        if let Some(window) = window.filter(|window| at < window.end) {
            return window;
        }
        let rate = self.rate.as_ref().expect("not permits");
        let (start, end) = match &rate.algorithm {
            Algorithm::Clock(zone) => calendar::window(rate.period, zone, at),
            _ => (at, at + self.period),
        };
        Window { start, end, used: 0 }
    }

    /// Names the window that pays now.
    pub fn mark(&self, state: &State, at: Time) -> Mark {
        if let (Some(growing), State::Growing(events)) = (&self.growing, state) {
            let stand = growing.stand(events, at);
            let mark = growing.levels[stand.level].mark(&stand.state, at);
            return Mark { level: stand.level, ..mark };
        }
        let paid = match state {
            State::Permits(_) | State::Growing(_) => 0,
            State::Leases(leases) => leases.generation(self.hold(), at),
            State::Gcra(used) => self.used_steps(*used, at),
            State::Lasting { used, whole } => self.shown(*used, *whole, at),
            State::Fixed(window) => self.fixed_window(window, at).start,
            State::Sliding { .. } => self.pair(state, at).0,
            State::Strict(parts) => self.part(parts, at),
        };
        Mark { paid, level: 0 }
    }

    /// Begins a permit's time anew; says which generation it is of now, none when there was none.
    pub fn renew(&self, state: &mut State, at: Time, mark: Option<Mark>) -> Option<Mark> {
        if let State::Permits(used) = state {
            // Without a time, all that are out stay out.
            return (*used > 0).then_some(Mark { paid: 0, level: 0 });
        }
        let State::Leases(leases) = state else { return None };
        let paid = leases.renew(self.hold(), at, mark.map(|mark| mark.paid))?;
        Some(Mark { paid, level: 0 })
    }

    /// Gives back at most `units`, and at most what is in use; with a mark only what was paid in
    /// that window, or (gcra) what time has not given back since. Returns how many units were
    /// given. (gcra: a broken unit counts as one.)
    pub fn refund(&self, state: &mut State, at: Time, units: Units, mark: Option<Mark>) -> Units {
        let may = |window: Time| mark.is_none_or(|mark| mark.paid == window);
        match state {
            State::Permits(used) => {
                let given = units.min(*used);
                *used -= given;
                given
            }
            State::Leases(leases) => {
                let mut given = 0;
                while given < units && leases.give_back(self.hold(), at, mark.map(|mark| mark.paid))
                {
                    given += 1;
                }
                given
            }
            State::Growing(events) => {
                let growing = self.growing.as_ref().expect("it grows");
                let mut stand = growing.stand(events, at);
                // Payments at two levels are not compared.
                let mark = mark.filter(|mark| mark.level == stand.level);
                let given = growing.levels[stand.level].refund(&mut stand.state, at, units, mark);
                if given > 0 {
                    Levels::refunded(events, at, units, mark);
                }
                given
            }
            State::Gcra(used) => {
                let before = self.used_steps(*used, at);
                let idle = self.supply(at) - self.whole_steps(self.capacity);
                let paid = mark.map_or(before, |mark| mark.paid.max(idle));
                let steps = before.min(paid) - idle;
                let given = units.min(self.units(steps, true));
                if given > 0 {
                    *used = Some(before - self.steps(given).min(steps));
                }
                given
            }
            State::Lasting { used, whole } => {
                self.moved(used, whole, at, |shown| self.refund(shown, at, units, mark))
            }
            State::Fixed(Some(window)) if at < window.end && may(window.start) => {
                let given = units.min(window.used);
                window.used -= given;
                given
            }
            State::Fixed(_) => 0,
            State::Sliding { .. } => {
                let (number, previous, current, _) = self.pair(state, at);
                let newer = if may(number) { units.min(current) } else { 0 };
                let older = if may(number - 1) { (units - newer).min(previous) } else { 0 };
                if newer + older > 0 {
                    let (previous, current) = (previous - older, current - newer);
                    *state = State::Sliding { number, previous, current };
                }
                newer + older
            }
            State::Strict(parts) => {
                let newest = self.part(parts, at);
                let mut left = units;
                for (part, used) in parts.iter_mut().rev() {
                    if *part > newest - 10 && may(*part) {
                        let given = left.min(*used);
                        *used -= given;
                        left -= given;
                    }
                }
                if left < units {
                    move_on(parts, newest);
                }
                units - left
            }
        }
    }

    /// The state under this rate of a key that was in `state` under `old`.
    pub fn carry(&self, old: &Bucket, state: &State, at: Time) -> State {
        match (&self.growing, &old.growing, state) {
            (Some(new), Some(old), State::Growing(events)) => {
                return State::Growing(new.carried(old, &old.stand(events, at), at));
            }
            (Some(new), None, _) if old.rate.is_some() => {
                return State::Growing(new.begun(old, state, at));
            }
            (None, Some(_), _) if self.rate.is_some() => {
                let (bucket, state) = old.present(state, at).expect("it grows");
                return self.carry(bucket, &state, at);
            }
            _ => {}
        }
        let same_windows = self.period == old.period && self.same_grid(old);
        let most = self.hold.map_or(self.capacity + self.max_debt, |hold| hold.most);
        let mut new = self.full();
        match (state, &mut new) {
            (State::Permits(used), State::Permits(new)) => *new = *used,
            (State::Leases(leases), State::Leases(new)) => {
                *new = leases.carried(old.hold(), self.hold(), at);
            }
            (State::Permits(out), State::Leases(new)) if *out > 0 => {
                new.take(self.hold(), at, *out);
            }
            (State::Leases(_), State::Permits(new)) => *new = old.used(state, at),
            (State::Permits(_) | State::Leases(_), _) => {}
            (_, State::Permits(_) | State::Leases(_)) => {}
            (State::Gcra(used), State::Gcra(new)) => *new = self.carry_gcra(old, *used, at),
            (State::Lasting { whole, .. }, State::Gcra(new)) => {
                *new = self.carry_gcra(&old.whole(), *whole, at);
            }
            (State::Gcra(_) | State::Lasting { .. }, State::Lasting { .. }) => {
                new = self.carry_lasting(old, state, at);
            }
            (State::Fixed(window), State::Fixed(new)) if same_windows => {
                let in_use = window.filter(|window| at < window.end && window.used > 0);
                *new = in_use.map(|window| Window { used: window.used.min(most), ..window });
            }
            (State::Sliding { .. }, State::Sliding { .. }) if same_windows => {
                let (number, previous, current, _) = old.pair(state, at);
                if previous + current > 0 {
                    let (previous, current) = (previous.min(most), current.min(most));
                    new = State::Sliding { number, previous, current };
                }
            }
            (State::Strict(parts), State::Strict(new)) if same_windows => {
                let counted = old.counted(parts, at);
                if counted.iter().any(|&(_, used)| used > 0) {
                    *new = counted.iter().map(|&(part, used)| (part, used.min(most))).collect();
                    move_on(new, old.part(parts, at));
                }
            }
            _ => self.lenient().charge(&mut new, at, old.used(state, at)),
        }
        new
    }

    fn same_grid(&self, old: &Bucket) -> bool {
        let (new, old) = (self.rate.as_ref(), old.rate.as_ref());
        match (new, old) {
            (Some(new), Some(old)) => match (&new.algorithm, &old.algorithm) {
                (Algorithm::Clock(_), Algorithm::Clock(_)) => {
                    new.algorithm == old.algorithm && new.period == old.period
                }
                (new, old) => std::mem::discriminant(new) == std::mem::discriminant(old),
            },
            _ => false,
        }
    }

    /// What was left is left, a full bucket is full, debt stays debt. Broken steps: less is
    /// left, more is debt.
    fn carry_gcra(&self, old: &Bucket, used: Option<i128>, at: Time) -> Option<i128> {
        let before = old.used_steps(used, at);
        let supply = old.supply(at);
        if before == supply - old.whole_steps(old.capacity) {
            return None;
        }
        let balance = supply - before;
        let moved = match self.scale - old.scale {
            finer @ 0.. => balance << finer,
            // Shifts round down, below zero too.
            coarser => balance >> -coarser,
        };
        let most = self.whole_steps(self.capacity);
        let moved = moved.min(most).max(-self.whole_steps(self.max_debt));
        Some(self.supply(at) - moved)
    }
}

enum Balance {
    /// Of a gcra bucket.
    Steps(i128),
    /// Shares, and how many of them make a unit.
    Shares(i128, i128),
}

/// As any change, an update and a refund bring the key to now's part.
fn move_on(parts: &mut Vec<(Time, Units)>, newest: Time) {
    if parts.last().is_some_and(|&(part, _)| part < newest) {
        parts.push((newest, 0));
    }
}

fn in_use(window: &Option<Window>, at: Time) -> Units {
    window.filter(|window| at < window.end).map_or(0, |window| window.used)
}

/// As `first_time`, where what is true stays true only up to each of the `losses` (times, ascending).
pub fn first_time_between(
    now: Time,
    losses: &[Time],
    is_true: impl Fn(Time) -> bool,
) -> Option<Time> {
    let mut begin = now;
    for &end in losses {
        // Found at `end` at the latest, if not before.
        let found = first_time(begin, |then| then >= end || is_true(then))?;
        if found < end {
            return Some(found);
        }
        begin = end;
    }
    first_time(begin, is_true)
}

/// The first time from `now` on at which something that stays true is true; none when it is not
/// before time ends.
pub fn first_time(now: Time, is_true: impl Fn(Time) -> bool) -> Option<Time> {
    if is_true(now) {
        return Some(now);
    }
    let mut span: Time = 1;
    while !is_true(now + span) {
        span *= 2;
        if span > END {
            return None;
        }
    }
    let (mut early, mut late) = (now + span / 2, now + span);
    while late - early > 1 {
        let middle = early + (late - early) / 2;
        if is_true(middle) { late = middle } else { early = middle }
    }
    Some(late).filter(|&when| when < END)
}
