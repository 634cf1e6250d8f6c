//! Which limits are one limit, from plan to plan and from policy to policy.

use super::Plan;
use crate::names::Name;
use crate::policy::Limit;

/// Where the limits of a new scope may go on from.
pub(crate) struct Ancestry<'a> {
    /// Which of a limiter's policies it is.
    pub(crate) number: u64,
    /// Limits of this policy so far.
    pub(crate) count: u64,
    /// The variants of the same scope under the policy before.
    pub(crate) before: Vec<&'a Plan>,
}

/// A limit, and what it is one with: no limit ever had the number before, unless it is the same one.
struct Kin<'p> {
    limit: &'p Limit,
    lineage: u64,
}

impl Ancestry<'_> {
    /// The lineages of the limits of all variants, which are called so. A limit goes on from one of the same method and
    /// name: of another variant, or of the policy before; limits that no policy named are else taken in their order, of the
    /// plan of the same name before others. Within a variant no two are the same.
    pub(crate) fn lineages(&mut self, variants: &[Vec<&Limit>], plans: &[Name]) -> Vec<Vec<u64>> {
        let mut known: Vec<Kin<'_>> = Vec::new();
        let mut lineages = Vec::new();
        for (limits, plan) in variants.iter().zip(plans) {
            self.before.sort_by_key(|before| before.name != *plan);
            let here = self.continued(limits, &known);
            let kin = limits.iter().zip(&here);
            known.extend(kin.map(|(limit, &lineage)| Kin { limit, lineage }));
            lineages.push(here);
        }
        lineages
    }

    fn continued(&mut self, limits: &[&Limit], known: &[Kin<'_>]) -> Vec<u64> {
        let mut here: Vec<Option<u64>> = vec![None; limits.len()];
        for (index, limit) in limits.iter().enumerate() {
            let same =
                |kin: &&Kin<'_>| kin.limit.method == limit.method && kin.limit.name == limit.name;
            let elsewhere = known.iter().filter(same).map(|kin| kin.lineage);
            let before =
                self.before.iter().flat_map(|plan| &plan.limits).filter(|old| {
                    old.method == limit.method && old.terms.name.as_str() == limit.name
                });
            let mut candidates = elsewhere.chain(before.map(|old| old.lineage));
            here[index] = candidates.find(|&lineage| !here.contains(&Some(lineage)));
        }
        for (index, limit) in limits.iter().enumerate() {
            if here[index].is_some() || limit.named {
                continue;
            }
            let before = self.before.iter().flat_map(|plan| &plan.limits);
            let mut akin = before.filter(|old| old.method == limit.method && !old.named);
            let free = akin.find(|old| !here.contains(&Some(old.lineage)));
            here[index] = free.map(|old| old.lineage);
        }
        let number = |lineage: Option<u64>| {
            // Never taken before.
            self.count += 1;
            lineage.unwrap_or((self.number << 32) | self.count)
        };
        here.into_iter().map(number).collect()
    }
}
