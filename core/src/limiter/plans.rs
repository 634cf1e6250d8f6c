//! Plans of single customers, and the report of what they used.

use std::time::Duration;

use super::Limiter;
use crate::clock::Moment;
use crate::error::{Error, Result};
use crate::plan::Asked;
use crate::rate::Method;
use crate::request::Subject;
use crate::rules::{Given, Rules, Strictness};
use crate::time::{Timestamp, nanos};

/// What a subject used, from [`Limiter::usage`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UsageReport {
    /// The plan that holds now; `None` where the policy has none.
    pub plan: Option<&'static str>,
    /// The time that the report covers, up to now.
    pub window: Duration,
    /// Units admitted in it; of a reservation what it was settled at.
    pub total: u64,
    /// The same by kind of call (the attribute `by` of `[usage]`), the largest first; calls without the attribute are the
    /// kind "".
    pub by_kind: Vec<(String, u64)>,
    /// The count limit of the longest window that the subject has; `None`: there is none.
    pub limit: Option<UsageLimit>,
    /// Requests of any subject that were not recorded, for want of room for more subjects (`max_keys`).
    pub dropped: u64,
}

/// How far a subject is with a limit.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UsageLimit {
    /// Name of the limit.
    pub name: &'static str,
    /// Its quota.
    pub quota: u64,
    /// Units left now.
    pub remaining: u64,
    /// The part of the quota that is used now, in thousandths, rounded down; at most 1000.
    pub utilization_permille: u64,
}

impl Limiter {
    /// Gives a plan to whoever has this value of the policy's `plan_by` attribute (default: `key`), whatever its
    /// requests say: for good, or for `duration` from now. When a time ends, what was assigned for good holds again, or
    /// nothing. Use so far is kept.
    ///
    /// # Errors
    /// [`Error::is_argument`] when the policy has no such plan.
    pub fn assign(
        &self,
        value: impl AsRef<[u8]>,
        plan: &str,
        duration: Option<Duration>,
    ) -> Result<()> {
        self.assign_in(value.as_ref(), plan, duration, self.moment())
    }

    /// As [`assign`](Limiter::assign), at an explicit time.
    ///
    /// # Errors
    /// As [`assign`](Limiter::assign).
    pub fn assign_at(
        &self,
        value: impl AsRef<[u8]>,
        plan: &str,
        duration: Option<Duration>,
        now: Timestamp,
    ) -> Result<()> {
        self.assign_in(value.as_ref(), plan, duration, now.into())
    }

    fn assign_in(
        &self,
        value: &[u8],
        plan: &str,
        duration: Option<Duration>,
        at: Moment,
    ) -> Result<()> {
        let value = {
            let visit = self.0.lanes.enter();
            match self.0.engines.engine(&visit).rules() {
                Some(rules) if rules.plan_named(plan.as_bytes()).is_some() => {
                    rules.assignee(value)?
                }
                Some(rules) => return Err(rules.no_plan(Some(plan.as_bytes()))),
                None => {
                    return Err(Error::argument(
                        "plan",
                        format!("there is no plan {plan:?}"),
                        "use a policy with plans",
                    ));
                }
            }
        };
        let until = duration.map(|duration| at.after(nanos(duration)).now.as_nanos());
        self.0.assignments.set(&value, plan, until, at);
        self.0.waiters.wake_all();
        Ok(())
    }

    /// Takes back what was assigned to this value, for good or for a time.
    pub fn unassign(&self, value: impl AsRef<[u8]>) {
        let value = value.as_ref();
        {
            let visit = self.0.lanes.enter();
            let rules = self.0.engines.engine(&visit).rules();
            // What is no address was assigned nothing, unless the policy spoke of another attribute then.
            let known = rules.and_then(|rules| rules.assignee(value).ok());
            self.0.assignments.clear(known.as_deref().unwrap_or(value));
        }
        self.0.waiters.wake_all();
    }

    /// The request's plan; none where the policy has none, or the request meets no plan.
    #[must_use]
    pub fn plan_of(&self, subject: impl Subject) -> Option<&'static str> {
        self.plan_of_in(&subject, self.moment())
    }

    /// As [`plan_of`](Limiter::plan_of), at an explicit time.
    #[must_use]
    pub fn plan_of_at(&self, subject: impl Subject, now: Timestamp) -> Option<&'static str> {
        self.plan_of_in(&subject, now.into())
    }

    fn plan_of_in(&self, subject: &impl Subject, at: Moment) -> Option<&'static str> {
        self.reading(subject, |rules, given| {
            let variant = rules.variant(given, &self.0.assignments, at).ok()?;
            rules.plan_name(variant)
        })
    }

    /// Nanoseconds until the plan ends that a subject was assigned for a time; `None`: it has none such.
    pub(crate) fn plan_ends_after(&self, subject: &impl Subject, at: Moment) -> Option<u64> {
        self.reading(subject, |rules, given| rules.plan_ends_after(given, &self.0.assignments, at))
    }

    /// What the rules make of a request, where there are rules and it is one that they can read.
    fn reading<T>(
        &self,
        subject: &impl Subject,
        make: impl FnOnce(&Rules, &Given<'_>) -> Option<T>,
    ) -> Option<T> {
        let visit = self.0.lanes.enter();
        let rules = self.0.engines.engine(&visit).rules()?;
        subject.ask(|request| make(rules, &rules.read(request, Strictness::Strict).ok()?))
    }

    /// What a subject used in the last `window` (default, and at most: that of `[usage]` in the policy), by kind of call.
    /// Whose use it is, the policy's `plan_by` attribute says (default: `key`); other attributes say which limits
    /// the report looks at.
    ///
    /// # Errors
    /// [`Error::is_argument`] when the policy has no `[usage]`, or the subject not that attribute.
    pub fn usage(&self, subject: impl Subject, window: Option<Duration>) -> Result<UsageReport> {
        self.usage_in(&subject, window, self.moment())
    }

    /// As [`usage`](Limiter::usage), at an explicit time.
    ///
    /// # Errors
    /// As [`usage`](Limiter::usage).
    pub fn usage_at(
        &self,
        subject: impl Subject,
        window: Option<Duration>,
        now: Timestamp,
    ) -> Result<UsageReport> {
        self.usage_in(&subject, window, now.into())
    }

    fn usage_in(
        &self,
        subject: &impl Subject,
        window: Option<Duration>,
        at: Moment,
    ) -> Result<UsageReport> {
        let (plan, window, by_kind, dropped) = {
            let visit = self.0.lanes.enter();
            let engine = self.0.engines.engine(&visit);
            let Some((rules, usage)) = engine.rules().zip(engine.usage()) else {
                return Err(Error::argument(
                    "usage",
                    "the policy keeps no record of use",
                    "write a table `[usage]` in it",
                ));
            };
            subject.ask(|request| {
                let given = rules.read(request, Strictness::Strict)?;
                let tag = rules.usage_tag(&given, &self.0.hasher).ok_or_else(|| {
                    Error::argument(
                        rules.plan_by(),
                        "the request has none, and use is kept by it",
                        "give it",
                    )
                })?;
                let window = window.map_or(usage.window(), nanos).min(usage.window());
                let plan = rules.variant(&given, &self.0.assignments, at).ok();
                let plan = plan.and_then(|variant| rules.plan_name(variant));
                let report = usage.report(tag, at, window);
                Ok::<_, Error>((plan, window, report, usage.dropped()))
            })?
        };
        let total = by_kind.iter().fold(0, |sum: u64, (_, units)| sum.saturating_add(*units));
        let window = Duration::from_nanos(window);
        let limit = self.longest(subject, at)?;
        Ok(UsageReport { plan, window, total, by_kind, limit, dropped })
    }

    /// The count limit of the longest window.
    fn longest(&self, subject: &impl Subject, at: Moment) -> Result<Option<UsageLimit>> {
        let mut longest = None;
        self.look(&self.0.lanes.enter(), subject, at, Strictness::Lenient, |asked| {
            let limits = asked.iter().flat_map(|Asked { plan, words, .. }| {
                plan.limits.iter().map(move |limit| (limit, &**words))
            });
            let counts = limits.filter(|(limit, _)| limit.method == Method::Count && !limit.shadow);
            longest = counts.max_by_key(|(limit, _)| limit.terms.window).map(|(limit, words)| {
                let (quota, remaining) = (limit.quota_now(words, at), limit.room(words, at));
                let used = u128::from(quota.saturating_sub(remaining)) * 1000;
                UsageLimit {
                    name: limit.terms.name.as_str(),
                    quota,
                    remaining,
                    // At most 1000.
                    utilization_permille: (used / u128::from(quota.max(1))) as u64,
                }
            });
        })?;
        Ok(longest)
    }
}
