//! One decision over all records of a request: all its limits, or none.

use super::limit::Limit;
use super::scopes::Part;
use super::{Alert, Answer, Oracle, Payment};
use crate::bucket::{State, first_time_between};
use crate::policy::Method;
use crate::{Time, Units};

/// An answer, and what it would change.
pub(super) struct Decided {
    pub(super) answer: Answer,
    pub(super) parts: Vec<Part>,
    pub(super) paid: Vec<Payment>,
    pub(super) alerts: Vec<Alert>,
}

impl Decided {
    /// An answer that the records have no part in.
    pub(super) fn alone(answer: Answer) -> Decided {
        Decided { answer, parts: Vec::new(), paid: Vec::new(), alerts: Vec::new() }
    }
}

type Asked<'a> = (&'a Limit, &'a Vec<State>, usize);

impl Oracle {
    pub(super) fn decide(&self, mut parts: Vec<Part>, at: Time, cost: Units) -> Decided {
        let denies =
            |(limit, states, _): Asked| !limit.terms.shadow && !limit.passes(states, at, cost);
        if self.all(&parts).any(denies) {
            let answer = self.denial(&parts, at, cost);
            return Decided { parts, ..Decided::alone(answer) };
        }
        let (mut paid, mut alerts, mut shadow) = (Vec::new(), Vec::new(), None);
        self.change_all(&mut parts, |limit, states, plan| {
            if limit.terms.shadow && !limit.passes(states, at, cost) {
                shadow.get_or_insert(limit.name.clone());
                return;
            }
            let payments = pay(limit, states, at, cost);
            paid.extend(payments.into_iter().map(|(bucket, units, mark)| Payment {
                lineage: limit.lineage,
                key: Vec::new(),
                bucket,
                units,
                mark,
                plan,
            }));
            let due = match limit.method {
                Method::Latency => 0,
                Method::Count => cost,
                Method::Concurrency(_) => 1,
            };
            let capacity = limit.capacity(states, at);
            let used = (capacity - limit.room(states, at)).max(0);
            alerts.extend(self.crossings((limit, plan), capacity, (used - due).max(0), used));
        });
        for Payment { lineage, key, .. } in &mut paid {
            let has =
                |part: &&Part| self.limits(part).iter().any(|limit| limit.lineage == *lineage);
            key.clone_from(&parts.iter().find(has).expect("it paid").key.1);
        }
        let answer = Answer { shadow, ..self.tightest(&parts, at) };
        Decided { answer, parts, paid, alerts }
    }

    /// The thresholds that lie between two amounts used.
    pub(super) fn crossings(
        &self,
        (limit, plan): (&Limit, usize),
        capacity: Units,
        before: Units,
        used: Units,
    ) -> Vec<Alert> {
        let passed = |used: Units, share: u64| used * 1000 >= capacity * Units::from(share);
        let crossed = |share: &&u64| !passed(before, **share) && passed(used, **share);
        let alert = |&share: &u64| Alert {
            limit: limit.name.clone(),
            plan: self.plan_name(Some(plan)),
            threshold_permille: share,
            used,
            capacity,
        };
        limit.terms.alerts.iter().filter(crossed).map(alert).collect()
    }

    fn denial(&self, parts: &[Part], at: Time, cost: Units) -> Answer {
        let mut longest: Option<(Asked, Option<Time>)> = None;
        for asked in self.asked(parts) {
            let (limit, states, _) = asked;
            if limit.passes(states, at, cost) {
                continue;
            }
            let wait = limit.wait(states, at, cost);
            // Never is longer than any wait.
            let longer = match (wait, longest) {
                (_, None) => true,
                (None, Some((_, known))) => known.is_some(),
                (Some(wait), Some((_, known))) => known.is_some_and(|known| wait > known),
            };
            if longer {
                longest = Some((asked, wait));
            }
        }
        let (asked, wait) = longest.expect("asked only when a limit denies");
        let (limit, states, _) = asked;
        // When permits come back nobody knows.
        let wait = if limit.is_concurrency() { wait } else { self.all_pass(parts, at, cost) };
        let reset_after = if limit.is_concurrency() { wait } else { limit.full_after(states, at) };
        let reason = if wait.is_none() { "impossible" } else { "limited" };
        let answer = Answer::without_limit(reason, &limit.name, wait, at);
        self.told(Answer { reset_after, ..answer }, asked, parts, at)
    }

    /// How long until all limits pass at once, whatever permits are out; none: never.
    fn all_pass(&self, parts: &[Part], at: Time, cost: Units) -> Option<Time> {
        let limits = || self.asked(parts).filter(|(limit, ..)| !limit.is_concurrency());
        let mut losses: Vec<Time> =
            limits().flat_map(|(limit, states, _)| limit.losses(states, at)).collect();
        losses.sort_unstable();
        let pass = |then| limits().all(|(limit, states, _)| limit.passes(states, then, cost));
        first_time_between(at, &losses, pass).map(|then| then - at)
    }

    /// The limits that may deny, with their states.
    fn asked<'a>(&'a self, parts: &'a [Part]) -> impl Iterator<Item = Asked<'a>> {
        self.all(parts).filter(|(limit, ..)| !limit.terms.shadow)
    }

    /// With all that the limit that answers has to tell.
    fn told(&self, answer: Answer, asked: Asked, parts: &[Part], at: Time) -> Answer {
        let (limit, states, plan) = asked;
        let pool = match limit.has_pool() {
            true => Some((limit, states)),
            false => {
                let first = self.asked(parts).find(|(limit, ..)| limit.has_pool());
                first.map(|(limit, states, _)| (limit, states))
            }
        };
        let answer = Answer {
            limit: limit.quota(states, at),
            remaining: limit.room(states, at),
            plan: self.plan_name(Some(plan)),
            burst_remaining: pool.map(|(limit, states)| limit.pool(states, at)),
            method: limit.method,
            window: limit.window,
            later_quota: limit.later_quota(),
            ..answer
        };
        answer.under(&limit.terms)
    }

    fn tightest(&self, parts: &[Part], at: Time) -> Answer {
        let mut tightest: Option<(Asked, Units)> = None;
        for asked in self.asked(parts) {
            let (limit, states, _) = asked;
            let room = limit.room(states, at);
            let tighter = tightest.is_none_or(|((other, theirs, _), least)| {
                room * other.capacity(theirs, at) < least * limit.capacity(states, at)
            });
            if tighter {
                tightest = Some((asked, room));
            }
        }
        let Some((asked, _)) = tightest else {
            return Answer::without_limit("ok", "", Some(0), at);
        };
        let (limit, states, _) = asked;
        let answer = Answer::without_limit("ok", &limit.name, Some(0), at);
        let answer = Answer { reset_after: limit.full_after(states, at), ..answer };
        self.told(answer, asked, parts, at)
    }
}

/// What an admitted request pays at once: (bucket, units, mark).
fn pay(
    limit: &Limit,
    states: &mut [State],
    at: Time,
    cost: Units,
) -> Vec<(usize, Units, crate::bucket::Mark)> {
    match limit.method {
        Method::Latency => Vec::new(),
        Method::Concurrency(_) => limit.spread(states, at, 1).0,
        Method::Count => limit.spread(states, at, cost).0,
    }
}
