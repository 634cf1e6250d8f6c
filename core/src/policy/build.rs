//! Parts of a policy, however they were written, to limits: bounds, options, names, scale.

use std::ops::RangeInclusive;

use jiff::tz::TimeZone;

use super::draft::{Body, Draft, GrowthDraft, LimitDraft, RatesDraft, Terms};
use super::fields::check_name;
use super::options::{Form, Options, misplaced};
use super::scale::Scale;
use super::source::{Part, Source, Spot, shown};
use super::text::{Amount, RateText};
use super::{IPV6_PREFIX, KEY, Limit, LimitKind, Policy};
use crate::error::Result;
use crate::rate::{
    Algorithm, DAY, Growth, MAX_LATENCY, MAX_LEASES, MAX_LEVELS, MAX_UNITS, Method, Period, Rate,
    SECOND,
};

/// Most buckets that one request can meet, in all limits together, and so most limits.
pub(super) const MAX_BUCKETS: usize = 32;

/// Collects limits.
pub(super) struct Builder<'t> {
    source: Source<'t>,
    zone: TimeZone,
    scale: Scale,
    limits: Vec<Limit>,
    /// The buckets that a request of the current plan meets.
    buckets: usize,
    /// Those of them that every request meets.
    shared: usize,
    /// The plan that limits are added to, and its name; at first those of every request.
    plan: Option<(usize, String)>,
}

/// What holds for every amount of a limit.
struct Context<'b> {
    method: Method,
    /// For errors of the scale.
    limit: &'b str,
    /// Factors of the plans that it came through, before the one of the document.
    scales: &'b [Scale],
}

impl Context<'_> {
    /// The largest amount of the method.
    fn most(&self) -> u64 {
        if self.method == Method::Latency { MAX_LATENCY } else { MAX_UNITS }
    }
}

impl<'t> Builder<'t> {
    pub(super) fn new(source: Source<'t>) -> Builder<'t> {
        Builder {
            source,
            zone: TimeZone::UTC,
            scale: Scale::default(),
            limits: Vec::new(),
            buckets: 0,
            shared: 0,
            plan: None,
        }
    }

    /// The zone of clock-aligned windows that name none.
    pub(super) fn zone(&mut self, zone: TimeZone) {
        self.zone = zone;
    }

    pub(super) fn scale(&mut self, scale: Scale) {
        self.scale = scale;
    }

    /// What is added from now on is for requests of a plan.
    pub(super) fn enter(&mut self, plan: usize, name: &str) {
        if self.plan.is_none() {
            self.shared = self.buckets;
        }
        self.buckets = self.shared;
        self.plan = Some((plan, name.to_owned()));
    }

    /// Adds a limit of one rate without a name.
    pub(super) fn single(&mut self, spot: Spot, rate: RateText, options: Options) -> Result<()> {
        let bucket = Draft { name: None, rate, options, spot: spot.clone() };
        let rates = RatesDraft {
            method: None,
            options: Options::default(),
            buckets: vec![bucket],
            is_cascade: false,
        };
        let (body, terms) = (Body::Rates(Box::new(rates)), Terms::default());
        self.limit(&LimitDraft { name: None, body, terms, spot }, &[])
    }

    /// Adds a limit, with each amount multiplied by the scales in their order.
    pub(super) fn limit(&mut self, draft: &LimitDraft, scales: &[Scale]) -> Result<()> {
        let (name, method) = (draft.name(), draft.method());
        self.admit_name(draft)?;
        let context = Context { method, limit: name, scales };
        let kind = match &draft.body {
            Body::Rates(rates) => LimitKind::Rates(self.rates(&context, rates)?),
            Body::Permits { quota, max_hold } => {
                self.count_bucket(&draft.spot)?;
                let most = if max_hold.is_some() { MAX_LEASES } else { MAX_UNITS };
                let quota = self.amount(&context, quota, "quota", 1..=most)?;
                LimitKind::Permits { quota, max_hold: *max_hold }
            }
        };
        let Terms { by, when, missing, shadow, alerts, message, close } = draft.terms.clone();
        self.limits.push(Limit {
            name: name.to_owned(),
            named: draft.name.is_some(),
            method,
            kind,
            plan: self.plan.as_ref().map(|&(plan, _)| plan),
            by,
            when,
            missing,
            shadow,
            alerts,
            message,
            close,
        });
        Ok(())
    }

    fn rates(&mut self, context: &Context<'_>, draft: &RatesDraft) -> Result<Vec<Rate>> {
        let mut rates: Vec<Rate> = Vec::with_capacity(draft.buckets.len());
        for bucket in &draft.buckets {
            self.count_bucket(&bucket.spot)?;
            let rate = self.rate(context, bucket, &draft.options)?;
            self.unique_bucket(&rate.name, &rates, bucket)?;
            rates.push(rate);
        }
        self.check_inherited(draft)?;
        Ok(rates)
    }

    pub(super) fn finish(self) -> Policy {
        Policy {
            limits: self.limits,
            plans: Vec::new(),
            default_plan: None,
            plan_by: KEY.to_owned(),
            ipv6_prefix: IPV6_PREFIX,
            exempt: Vec::new(),
            bypass: Vec::new(),
            block: Vec::new(),
            usage: None,
        }
    }

    fn rate(&self, context: &Context<'_>, draft: &Draft, inherited: &Options) -> Result<Rate> {
        let name = draft.name.as_ref().map_or(&draft.rate.text, |name| &name.value);
        check_name(self.source, name, draft.name.as_ref().map_or(&draft.spot, |name| &name.spot))?;
        let form = Form::of(&draft.options, inherited);
        if let Some((spot, problem, remedy)) = misplaced(&draft.options, &[form]) {
            return spot.error(self.source, problem, remedy);
        }
        let quota = self.amount(context, &draft.rate.quota, "quota", 1..=context.most())?;
        let period = self.period(form, &draft.rate.period)?;
        self.check_density(context, form, quota, &draft.rate.quota, period)?;
        // Units are checked for the inherited options too, even where they do not apply.
        let burst = self.optional(
            context,
            draft.options.burst.as_ref(),
            inherited.burst.as_ref(),
            "burst",
            1,
        )?;
        let max_debt = self.optional(
            context,
            draft.options.max_debt.as_ref(),
            inherited.max_debt.as_ref(),
            "max_debt",
            0,
        )?;
        let algorithm = match form {
            Form::Gcra => Algorithm::Gcra { burst: burst.unwrap_or(quota) },
            Form::SlidingWindow => {
                let strict = draft.options.strict.as_ref().or(inherited.strict.as_ref());
                Algorithm::SlidingWindow { strict: strict.is_some_and(|strict| strict.value) }
            }
            Form::ClockWindow => {
                let zone = draft.options.timezone.as_ref().or(inherited.timezone.as_ref());
                let zone = zone.map_or(&self.zone, |zone| &zone.value);
                Algorithm::ClockWindow { zone: zone.clone() }
            }
            Form::FirstRequestWindow => Algorithm::FirstRequestWindow,
        };
        let max_debt = max_debt.unwrap_or(quota);
        let growth = draft.options.grow.as_ref().or(inherited.grow.as_ref());
        let growth = match growth {
            Some(growth) => Some(self.growth(context, growth, form, quota, period)?),
            None => None,
        };
        Ok(Rate { name: name.clone(), quota, period, algorithm, max_debt, growth })
    }

    fn growth(
        &self,
        context: &Context<'_>,
        draft: &GrowthDraft,
        form: Form,
        quota: u64,
        period: Period,
    ) -> Result<Growth> {
        let bounds = 1..=context.most();
        let ceiling = self.amount(context, &draft.ceiling, "ceiling", bounds.clone())?;
        if ceiling <= quota {
            return draft.ceiling.spot.error(
                self.source,
                "the ceiling is not above the quota",
                "write the quota that it may grow to; without `grow` it stays as it is",
            );
        }
        self.check_density(context, form, ceiling, &draft.ceiling, period)?;
        let step = self.amount(context, &draft.step, "step", bounds)?;
        let GrowthDraft { after, shrink_after, .. } = *draft;
        let growth = Growth { ceiling, step, after, shrink_after };
        if growth.steps(quota) >= MAX_LEVELS {
            let most = MAX_LEVELS - 1;
            return draft.step.spot.error(
                self.source,
                format!("there are more than {most} steps from the quota to the ceiling"),
                format!("write a larger step, so that at most {most} lead to the ceiling"),
            );
        }
        Ok(growth)
    }

    fn optional(
        &self,
        context: &Context<'_>,
        own: Option<&Part<Amount>>,
        inherited: Option<&Part<Amount>>,
        what: &str,
        least: u64,
    ) -> Result<Option<u64>> {
        let bounds = least..=context.most();
        own.or(inherited).map(|part| self.amount(context, part, what, bounds)).transpose()
    }

    /// An amount within its bounds, in the unit of the method, scaled.
    fn amount(
        &self,
        context: &Context<'_>,
        part: &Part<Amount>,
        what: &str,
        bounds: RangeInclusive<u64>,
    ) -> Result<u64> {
        let amount = match (context.method, part.value) {
            (Method::Latency, Amount::Time(nanos)) => nanos,
            (Method::Count | Method::Concurrency, Amount::Count(units)) => units,
            (method, Amount::Time(_)) => {
                let problem = format!("the {what} is a duration in a {} limit", method.as_str());
                let remedy = match method {
                    Method::Concurrency => "write the number of permits",
                    _ => "write a whole number, or set `method = \"latency\"`",
                };
                return part.spot.error(self.source, problem, remedy);
            }
            (_, Amount::Count(_)) => {
                let problem = format!("the {what} is a number in a latency limit");
                return part.spot.error(
                    self.source,
                    problem,
                    "write a duration, such as `\"30s\"`",
                );
            }
        };
        let unit = if context.method == Method::Latency { " ns" } else { "" };
        let (least, most) = (bounds.start(), bounds.end());
        let size = match u64::try_from(amount) {
            Ok(amount) if bounds.contains(&amount) => {
                let scales = context.scales.iter().chain([&self.scale]);
                return scales.into_iter().try_fold(amount, |amount, scale| {
                    scale.apply(self.source, amount, bounds.clone(), what, context.limit)
                });
            }
            Ok(amount) if amount < *least => "too small",
            _ => "too large",
        };
        part.spot.error(
            self.source,
            format!("the {what} is {size}"),
            format!("write from {least}{unit} to {most}{unit}"),
        )
    }

    /// A gcra count bucket gives out at most one unit in a nanosecond, the engine's unit of time.
    fn check_density(
        &self,
        context: &Context<'_>,
        form: Form,
        quota: u64,
        written: &Part<Amount>,
        period: Period,
    ) -> Result<()> {
        let period = period.nanos();
        if form != Form::Gcra || context.method != Method::Count || quota <= period {
            return Ok(());
        }
        // Only a scale can have changed the quota that was written.
        let mut scales =
            context.scales.iter().chain([&self.scale]).filter_map(|scale| scale.spot.as_ref());
        let spot = match (scales.next_back(), written.value) {
            (Some(scale), Amount::Count(units)) if units <= u128::from(period) => scale,
            _ => &written.spot,
        };
        spot.error(
            self.source,
            format!("limit {} has more than one unit per nanosecond", shown(context.limit)),
            "count in larger units, such as kilobytes instead of bytes",
        )
    }

    /// The period as the algorithm takes it.
    fn period(&self, form: Form, period: &Part<Period>) -> Result<Period> {
        match period.value {
            // `24h` at the clock is a day, also when a change of offset makes it 23 or 25 hours.
            Period::Nanos(nanos) if form == Form::ClockWindow && nanos % DAY == 0 => {
                // Periods are at most 3650 days.
                Ok(u32::try_from(nanos / DAY).map_or(period.value, Period::Days))
            }
            Period::Nanos(nanos) if form == Form::ClockWindow && nanos % SECOND != 0 => {
                period.spot.error(
                    self.source,
                    "a window at the clock's boundaries lasts whole seconds",
                    "write a period of whole seconds, or set `align = \"first_request\"`",
                )
            }
            period => Ok(period),
        }
    }

    /// An option of the limit must mean something to at least one of its buckets.
    fn check_inherited(&self, draft: &RatesDraft) -> Result<()> {
        let forms: Vec<_> =
            draft.buckets.iter().map(|bucket| Form::of(&bucket.options, &draft.options)).collect();
        match misplaced(&draft.options, &forms) {
            Some((spot, problem, remedy)) => spot.error(self.source, problem, remedy),
            None => Ok(()),
        }
    }

    /// A name is unique among what one request can meet. Elsewhere it is the same limit with other numbers.
    fn admit_name(&self, draft: &LimitDraft) -> Result<()> {
        let (name, spot) = (draft.name(), draft.name_spot());
        check_name(self.source, name, spot)?;
        let plan = self.plan.as_ref().map(|&(plan, _)| plan);
        for other in self.limits.iter().filter(|other| other.name == name) {
            if other.plan.is_none() || other.plan == plan {
                let problem = match &self.plan {
                    Some((_, plan)) if other.plan.is_none() => format!(
                        "limit {} is a limit of every request, and one of plan `{plan}`",
                        shown(name)
                    ),
                    _ => format!("two limits have the name {}", shown(name)),
                };
                return spot.error(self.source, problem, "give each limit a `name` of its own");
            }
            if other.method != draft.method() || other.by != draft.terms.by {
                return spot.error(
                    self.source,
                    format!("limit {} of another plan has another `method` or `by`", shown(name)),
                    "give it a `name` of its own: a name in two plans is one limit with other numbers",
                );
            }
        }
        Ok(())
    }

    fn unique_bucket(&self, name: &str, others: &[Rate], draft: &Draft) -> Result<()> {
        if others.iter().all(|other| other.name != name) {
            return Ok(());
        }
        let spot = draft.name.as_ref().map_or(&draft.spot, |name| &name.spot);
        let problem = format!("two buckets of the cascade have the name {}", shown(name));
        spot.error(self.source, problem, "give each entry a `name` of its own, or remove one")
    }

    fn count_bucket(&mut self, spot: &Spot) -> Result<()> {
        if self.buckets == MAX_BUCKETS {
            let problem = match &self.plan {
                None => format!("more than {MAX_BUCKETS} buckets in a policy"),
                Some((_, plan)) => {
                    format!("more than {MAX_BUCKETS} buckets for a request of plan `{plan}`")
                }
            };
            return spot.error(self.source, problem, "split the policy: one limiter for each part");
        }
        self.buckets += 1;
        Ok(())
    }
}
