//! Parts of a policy, however they were written, to limits: bounds, options, names, scale.

use jiff::tz::TimeZone;

pub(super) use super::options::{AlgorithmName, Align, Options};
use super::options::{Form, misplaced};
use super::scale::Scale;
use super::source::{Part, Source, Spot, shown};
use super::text::{Amount, RateText};
use super::{Limit, LimitKind, Policy};
use crate::error::Result;
use crate::rate::{Algorithm, DAY, MAX_LATENCY, MAX_UNITS, Method, Period, Rate, SECOND};

/// Most buckets of all limits together, and so most limits.
const MAX_BUCKETS: usize = 32;
/// Longest name, in bytes.
const MAX_NAME: usize = 128;

/// One bucket as it was written.
pub(super) struct Draft {
    pub(super) name: Option<Part<String>>,
    pub(super) rate: RateText,
    pub(super) options: Options,
    pub(super) spot: Spot,
}

/// A limit of rates as it was written.
pub(super) struct RatesDraft {
    pub(super) name: Option<Part<String>>,
    pub(super) method: Option<Part<Method>>,
    /// What the buckets inherit.
    pub(super) options: Options,
    pub(super) buckets: Vec<Draft>,
    pub(super) is_cascade: bool,
    pub(super) spot: Spot,
}

/// Collects limits.
pub(super) struct Builder<'t> {
    source: Source<'t>,
    zone: TimeZone,
    scale: Scale,
    limits: Vec<Limit>,
    buckets: usize,
}

/// What holds for every amount of a limit.
struct Context<'b> {
    method: Method,
    /// For errors of the scale.
    limit: &'b str,
}

impl<'t> Builder<'t> {
    pub(super) fn new(source: Source<'t>) -> Builder<'t> {
        Builder {
            source,
            zone: TimeZone::UTC,
            scale: Scale::default(),
            limits: Vec::new(),
            buckets: 0,
        }
    }

    /// The zone of clock-aligned windows that name none.
    pub(super) fn zone(&mut self, zone: TimeZone) {
        self.zone = zone;
    }

    pub(super) fn scale(&mut self, scale: Scale) {
        self.scale = scale;
    }

    /// Adds a limit of one rate without a name.
    pub(super) fn single(&mut self, spot: Spot, rate: RateText, options: Options) -> Result<()> {
        let bucket = Draft { name: None, rate, options, spot: spot.clone() };
        self.rates(RatesDraft {
            name: None,
            method: None,
            options: Options::default(),
            buckets: vec![bucket],
            is_cascade: false,
            spot,
        })
    }

    /// Adds a limit of one rate, or a cascade; its buckets are not empty.
    pub(super) fn rates(&mut self, draft: RatesDraft) -> Result<()> {
        let method = match &draft.method {
            Some(method) => method.value,
            None => draft.buckets[0].rate.quota.value.method(),
        };
        let name = match &draft.name {
            Some(name) => name.value.clone(),
            None if draft.is_cascade => method.as_str().to_owned(),
            None => draft.buckets[0].rate.text.clone(),
        };
        self.admit_name(&name, draft.name.as_ref().map_or(&draft.spot, |name| &name.spot))?;
        let context = Context { method, limit: &name };
        let mut rates: Vec<Rate> = Vec::with_capacity(draft.buckets.len());
        for bucket in &draft.buckets {
            self.count_bucket(&bucket.spot)?;
            let rate = self.rate(&context, bucket, &draft.options)?;
            self.unique_bucket(&rate.name, &rates, bucket)?;
            rates.push(rate);
        }
        self.check_inherited(&draft)?;
        let named = draft.name.is_some();
        self.limits.push(Limit { name, named, method, kind: LimitKind::Rates(rates) });
        Ok(())
    }

    /// Adds a concurrency limit.
    pub(super) fn permits(
        &mut self,
        name: Option<Part<String>>,
        quota: &Part<Amount>,
        spot: &Spot,
    ) -> Result<()> {
        let method = Method::Concurrency;
        let named = name.is_some();
        let (name, name_spot) = match name {
            Some(name) => (name.value, name.spot),
            None => (method.as_str().to_owned(), spot.clone()),
        };
        self.admit_name(&name, &name_spot)?;
        self.count_bucket(spot)?;
        let context = Context { method, limit: &name };
        let permits = self.amount(&context, quota, "quota", 1)?;
        self.limits.push(Limit { name, named, method, kind: LimitKind::Permits(permits) });
        Ok(())
    }

    pub(super) fn finish(self) -> Result<Policy> {
        Ok(Policy { limits: self.limits })
    }

    fn rate(&self, context: &Context<'_>, draft: &Draft, inherited: &Options) -> Result<Rate> {
        let name = draft.name.as_ref().map_or(&draft.rate.text, |name| &name.value);
        self.check_name(name, draft.name.as_ref().map_or(&draft.spot, |name| &name.spot))?;
        let form = Form::of(&draft.options, inherited);
        if let Some((spot, problem, remedy)) = misplaced(&draft.options, &[form]) {
            return spot.error(self.source, problem, remedy);
        }
        let quota = self.amount(context, &draft.rate.quota, "quota", 1)?;
        let period = self.period(form, &draft.rate.period)?;
        self.check_density(context, form, quota, &draft.rate)?;
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
        Ok(Rate { name: name.clone(), quota, period, algorithm, max_debt, growth: None })
    }

    fn optional(
        &self,
        context: &Context<'_>,
        own: Option<&Part<Amount>>,
        inherited: Option<&Part<Amount>>,
        what: &str,
        least: u64,
    ) -> Result<Option<u64>> {
        own.or(inherited).map(|part| self.amount(context, part, what, least)).transpose()
    }

    /// An amount within its bounds, in the unit of the method, scaled.
    fn amount(
        &self,
        context: &Context<'_>,
        part: &Part<Amount>,
        what: &str,
        least: u64,
    ) -> Result<u64> {
        let (amount, most) = match (context.method, part.value) {
            (Method::Latency, Amount::Time(nanos)) => (nanos, MAX_LATENCY),
            (Method::Count | Method::Concurrency, Amount::Count(units)) => (units, MAX_UNITS),
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
        let amount = match u64::try_from(amount) {
            Ok(amount) if amount > most => Err("too large"),
            Ok(amount) if amount < least => Err("too small"),
            Ok(amount) => Ok(amount),
            Err(_) => Err("too large"),
        };
        match amount {
            Ok(amount) => self.scale.apply(self.source, amount, least..=most, what, context.limit),
            Err(size) => part.spot.error(
                self.source,
                format!("the {what} is {size}"),
                format!("write from {least}{unit} to {most}{unit}"),
            ),
        }
    }

    /// A gcra count bucket gives out at most one unit in a nanosecond, the engine's unit of time.
    fn check_density(
        &self,
        context: &Context<'_>,
        form: Form,
        quota: u64,
        rate: &RateText,
    ) -> Result<()> {
        let period = rate.period.value.nanos();
        if form != Form::Gcra || context.method != Method::Count || quota <= period {
            return Ok(());
        }
        // Only a scale can have changed the quota that was written.
        let written = rate.quota.value;
        let spot = match (&self.scale.spot, written) {
            (Some(scale), Amount::Count(units)) if units <= u128::from(period) => scale,
            _ => &rate.quota.spot,
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

    fn admit_name(&self, name: &str, spot: &Spot) -> Result<()> {
        self.check_name(name, spot)?;
        if self.limits.iter().any(|limit| limit.name == name) {
            let problem = format!("two limits have the name {}", shown(name));
            return spot.error(self.source, problem, "give each limit a `name` of its own");
        }
        Ok(())
    }

    /// Names become C strings and structured fields of HTTP.
    fn check_name(&self, name: &str, spot: &Spot) -> Result<()> {
        let problem = if name.is_empty() {
            "the name is empty".to_owned()
        } else if name.len() > MAX_NAME {
            format!("the name {} has {} bytes", shown(name), name.len())
        } else if !name.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            format!("the name {} is not printable ASCII", shown(name))
        } else {
            return Ok(());
        };
        let remedy = format!("write a `name` of 1 to {MAX_NAME} printable ASCII characters");
        spot.error(self.source, problem, remedy)
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
            let problem = format!("more than {MAX_BUCKETS} buckets in a policy");
            return spot.error(self.source, problem, "split the policy: one limiter for each part");
        }
        self.buckets += 1;
        Ok(())
    }
}
