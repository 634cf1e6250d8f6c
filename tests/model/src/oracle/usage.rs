//! What was used, by kind of call.

use super::Oracle;
use super::scopes::Refused;
use crate::request::{Request, Subject};
use crate::{Time, Units};

/// What a subject used in a window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    pub plan: Option<String>,
    pub window: Time,
    pub total: Units,
    /// The largest first, equals by name.
    pub by_kind: Vec<(String, Units)>,
    pub limit: Option<ReportedLimit>,
}

/// The count limit of the longest window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportedLimit {
    pub name: String,
    pub quota: Units,
    pub remaining: Units,
    pub utilization_permille: Units,
}

/// (slot, kind of call, units)
pub(super) type Use = (Time, Vec<u8>, Units);

/// Where a use was counted.
#[derive(Clone, Debug)]
pub(super) struct Counted {
    whose: Vec<u8>,
    slot: Time,
    kind: Vec<u8>,
    /// How often all was forgotten before.
    forgotten: usize,
}

impl Oracle {
    pub(super) fn record_use(
        &mut self,
        request: &Request,
        at: Time,
        units: Units,
    ) -> Option<Counted> {
        let usage = self.policy.usage.as_ref()?;
        let bits = self.ipv6_prefix();
        let whose = request.key_part(self.plan_by(), bits)?;
        let by = usage.by.as_deref().unwrap_or("route");
        let kind = request.key_part(by, bits).unwrap_or_default();
        let slot = at.div_euclid(Time::from(usage.resolution));
        let counted = Counted { whose, slot, kind, forgotten: self.forgotten };
        self.add_use(&counted, units);
        Some(counted)
    }

    /// Counts a use as another number of units, of the kind and in the slot in which it was counted.
    pub(super) fn correct_use(&mut self, counted: &Counted, more: Units) {
        if counted.forgotten == self.forgotten {
            self.add_use(counted, more);
        }
    }

    fn add_use(&mut self, counted: &Counted, more: Units) {
        let Counted { whose, slot, kind, .. } = counted;
        let uses = self.used.entry(whose.clone()).or_default();
        let same = |(of, known, _): &&mut Use| of == slot && known == kind;
        // Sums end at the largest number.
        let sum = |units: Units| (units + more).clamp(0, u64::MAX.into());
        match uses.iter_mut().find(same) {
            Some((.., units)) => *units = sum(*units),
            None => uses.push((*slot, kind.clone(), sum(0))),
        }
    }

    /// Of the last `window`: from the slot on in which it begins.
    pub fn usage(
        &self,
        subject: impl Subject,
        window: Option<u64>,
        at: Time,
    ) -> Result<Report, Refused> {
        let request = subject.request();
        let Some(usage) = &self.policy.usage else { return Err(Refused::new("usage")) };
        self.read(&request)?;
        let whose = request
            .key_part(self.plan_by(), self.ipv6_prefix())
            .ok_or_else(|| Refused::new(self.plan_by()))?;
        let window = window.unwrap_or(usage.window).min(usage.window);
        let resolution = Time::from(usage.resolution);
        let begin = (at - Time::from(window.max(1)) + 1).max(0).div_euclid(resolution);
        let mut by_kind: Vec<(String, Units)> = Vec::new();
        for (slot, kind, units) in self.used.get(&whose).into_iter().flatten() {
            let kind = String::from_utf8_lossy(kind).into_owned();
            if *slot < begin || *slot > at.div_euclid(resolution) {
                continue;
            }
            match by_kind.iter_mut().find(|(known, _)| *known == kind) {
                Some((_, sum)) => *sum += units,
                None => by_kind.push((kind, *units)),
            }
        }
        by_kind.retain(|(_, units)| *units > 0);
        // Sums end at the largest number.
        let most = |units: Units| units.min(u64::MAX.into());
        by_kind.iter_mut().for_each(|(_, units)| *units = most(*units));
        by_kind.sort_by(|(a, most), (b, least)| least.cmp(most).then(a.cmp(b)));
        Ok(Report {
            plan: self.plan_of(request.clone(), at),
            window: window.into(),
            total: most(by_kind.iter().map(|(_, units)| units).sum()),
            by_kind,
            limit: self.longest(&request, at),
        })
    }

    /// Of equals the last: limits of plans come after those of every request.
    fn longest(&self, request: &Request, at: Time) -> Option<ReportedLimit> {
        let parts = self.seen(request, at);
        let counts =
            self.all(&parts).filter(|(limit, ..)| Self::is_count(limit) && !limit.terms.shadow);
        let (limit, states, _) =
            counts.reduce(
                |longest, other| {
                    if other.0.window >= longest.0.window { other } else { longest }
                },
            )?;
        let (quota, remaining) = (limit.quota(states, at), limit.room(states, at));
        Some(ReportedLimit {
            name: limit.name.clone(),
            quota,
            remaining,
            utilization_permille: (quota - remaining).max(0) * 1000 / quota.max(1),
        })
    }
}
