//! Policies as plain data, and the text that says the same to the engine.

use std::fmt::Write;

use crate::{DAY, HOUR, MINUTE, SECOND};

/// The limits that a request must all pass.
#[derive(Clone, Debug)]
pub struct Policy {
    pub limits: Vec<Limit>,
}

/// A named rate, cascade, or number of permits.
#[derive(Clone, Debug)]
pub struct Limit {
    pub name: String,
    /// Does the policy name it? If not, the name is the text of its rate, or its method.
    pub named: bool,
    pub method: Method,
    /// In the order in which they pay; empty for concurrency.
    pub rates: Vec<Rate>,
    /// Of concurrency: nanoseconds after which a permit is reclaimed.
    pub max_hold: Option<u64>,
}

/// What a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Count,
    Latency,
    /// With its permits.
    Concurrency(u64),
}

/// One bucket.
#[derive(Clone, Debug)]
pub struct Rate {
    /// None: the text of the rate.
    pub name: Option<String>,
    pub quota: u64,
    pub period: Period,
    pub algorithm: Algorithm,
    /// None: the quota.
    pub max_debt: Option<u64>,
    /// None: it stays what it is.
    pub growth: Option<Growth>,
}

/// How a quota grows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Growth {
    pub ceiling: u64,
    pub step: u64,
    /// Nanoseconds of sustained use for a step up.
    pub after: u64,
    /// Nanoseconds without a sign of use for each step down.
    pub shrink_after: u64,
}

/// A period as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    Nanos(u64),
    Days(u32),
    Weeks(u32),
    Months(u32),
    Years(u32),
}

/// How a rate is enforced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// None: the burst is the quota.
    Gcra(Option<u64>),
    Sliding,
    Strict,
    /// Aligned to the clock of a zone.
    Clock(String),
    FirstRequest,
}

impl Period {
    /// Its length where no calendar is asked.
    pub fn nanos(self) -> u64 {
        match self {
            Period::Nanos(nanos) => nanos,
            Period::Days(days) => u64::from(days) * DAY,
            Period::Weeks(weeks) => u64::from(weeks) * 7 * DAY,
            Period::Months(months) => u64::from(months) * 30 * DAY,
            Period::Years(years) => u64::from(years) * 365 * DAY,
        }
    }

    /// As it stands behind the slash: `minute`, `5 minutes` needs the other form.
    fn word(self) -> Option<&'static str> {
        Some(match self {
            Period::Nanos(SECOND) => "second",
            Period::Nanos(MINUTE) => "minute",
            Period::Nanos(HOUR) => "hour",
            Period::Days(1) => "day",
            Period::Weeks(1) => "week",
            Period::Months(1) => "month",
            Period::Years(1) => "year",
            _ => return None,
        })
    }

    fn spelled(self) -> String {
        match self {
            Period::Nanos(nanos) => format!("{nanos} ns"),
            Period::Days(days) => format!("{days} days"),
            Period::Weeks(weeks) => format!("{weeks} weeks"),
            Period::Months(months) => format!("{months} months"),
            Period::Years(years) => format!("{years} years"),
        }
    }
}

impl Rate {
    /// A gcra rate; change the fields for another one.
    pub fn new(quota: u64, period: Period) -> Rate {
        Rate {
            name: None,
            quota,
            period,
            algorithm: Algorithm::Gcra(None),
            max_debt: None,
            growth: None,
        }
    }

    /// The same quota under another algorithm.
    pub fn with(self, algorithm: Algorithm) -> Rate {
        Rate { algorithm, ..self }
    }

    /// The same rate with a name of its own.
    pub fn named(self, name: &str) -> Rate {
        Rate { name: Some(name.to_owned()), ..self }
    }

    /// Most units that can be spent at once.
    pub fn capacity(&self) -> u64 {
        match self.algorithm {
            Algorithm::Gcra(Some(burst)) => burst,
            _ => self.quota,
        }
    }

    /// Most units that a late charge can leave beyond the capacity.
    pub fn debt(&self) -> u64 {
        self.max_debt.unwrap_or(self.quota)
    }

    /// `100/minute`, `30s/minute`.
    pub fn text(&self, method: Method) -> String {
        let quota = match (method, self.quota) {
            (Method::Latency, quota) if quota.is_multiple_of(SECOND) => {
                format!("{}s", quota / SECOND)
            }
            (Method::Latency, quota) => format!("{quota}ns"),
            (_, quota) => quota.to_string(),
        };
        match self.period.word() {
            Some(word) => format!("{quota}/{word}"),
            None => format!("{quota} per {}", self.period.spelled()),
        }
    }

    /// Its name in a snapshot.
    pub fn shown(&self, method: Method) -> String {
        self.name.clone().unwrap_or_else(|| self.text(method))
    }

    fn fields(&self, method: Method) -> String {
        let mut fields = format!("rate = \"{}\"", self.text(method));
        if let Some(name) = &self.name {
            write!(fields, ", name = \"{name}\"").unwrap();
        }
        let rest = match &self.algorithm {
            Algorithm::Gcra(None) => ", algorithm = \"gcra\"".to_owned(),
            Algorithm::Gcra(Some(burst)) => {
                format!(", algorithm = \"gcra\", burst = {}", amount(*burst, method))
            }
            Algorithm::Sliding => ", algorithm = \"sliding_window\"".to_owned(),
            Algorithm::Strict => ", algorithm = \"sliding_window\", strict = true".to_owned(),
            Algorithm::Clock(zone) => {
                format!(", algorithm = \"fixed_window\", align = \"clock\", timezone = \"{zone}\"")
            }
            Algorithm::FirstRequest => {
                ", algorithm = \"fixed_window\", align = \"first_request\"".to_owned()
            }
        };
        fields.push_str(&rest);
        if let Some(debt) = self.max_debt {
            write!(fields, ", max_debt = {}", amount(debt, method)).unwrap();
        }
        if let Some(Growth { ceiling, step, after, shrink_after }) = self.growth {
            let (ceiling, step) = (amount(ceiling, method), amount(step, method));
            // Commas without a space: a table within one is one line.
            write!(fields, ", grow = {{ceiling = {ceiling},step = {step},").unwrap();
            write!(fields, "after = \"{after}ns\",shrink_after = \"{shrink_after}ns\"}}").unwrap();
        }
        fields
    }
}

/// Units of a limit as a policy spells them.
fn amount(units: u64, method: Method) -> String {
    match method {
        Method::Latency => format!("\"{units}ns\""),
        _ => units.to_string(),
    }
}

impl Limit {
    pub fn named(name: &str, method: Method, rates: Vec<Rate>) -> Limit {
        Limit { name: name.to_owned(), named: true, method, rates, max_hold: None }
    }

    /// A limit that the policy gives no name.
    pub fn unnamed(method: Method, rates: impl Into<Vec<Rate>>) -> Limit {
        let rates = rates.into();
        let name = match rates.as_slice() {
            [rate] if rate.name.is_none() => rate.text(method),
            _ => word(method).to_owned(),
        };
        Limit { name, named: false, method, rates, max_hold: None }
    }

    /// A count limit.
    pub fn count(name: &str, rates: impl Into<Vec<Rate>>) -> Limit {
        Limit::named(name, Method::Count, rates.into())
    }

    /// A latency limit.
    pub fn latency(name: &str, rates: impl Into<Vec<Rate>>) -> Limit {
        Limit::named(name, Method::Latency, rates.into())
    }

    /// A concurrency limit.
    pub fn permits(name: &str, permits: u64) -> Limit {
        Limit::named(name, Method::Concurrency(permits), Vec::new())
    }

    fn toml(&self) -> String {
        let mut head = "[[limit]]\n".to_owned();
        if self.named {
            writeln!(head, "name = \"{}\"", self.name).unwrap();
        }
        writeln!(head, "method = \"{}\"", word(self.method)).unwrap();
        let entry = |rate: &Rate| rate.fields(self.method);
        let rest = match (self.method, self.rates.as_slice()) {
            (Method::Concurrency(permits), _) => {
                let max_hold = self.max_hold.map(|hold| format!("max_hold = \"{hold}ns\"\n"));
                format!("quota = {permits}\n{}", max_hold.unwrap_or_default())
            }
            // A limit of one bucket says it without a cascade, unless the bucket has a name.
            (_, [rate]) if rate.name.is_none() => format!("{}\n", entry(rate).replace(", ", "\n")),
            (_, rates) => {
                let entries = rates.iter().map(|rate| format!("  {{ {} }},\n", entry(rate)));
                format!("cascade = [\n{}]\n", entries.collect::<String>())
            }
        };
        head + &rest
    }
}

/// The method's word in policies.
pub fn word(method: Method) -> &'static str {
    match method {
        Method::Count => "count",
        Method::Latency => "latency",
        Method::Concurrency(_) => "concurrency",
    }
}

impl Policy {
    /// All of these limits.
    pub fn new(limits: impl Into<Vec<Limit>>) -> Policy {
        Policy { limits: limits.into() }
    }

    /// The policy as a TOML document.
    pub fn toml(&self) -> String {
        let limits: Vec<_> = self.limits.iter().map(Limit::toml).collect();
        limits.join("\n")
    }
}
