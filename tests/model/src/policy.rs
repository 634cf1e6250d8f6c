//! Policies as plain data, and the text that says the same to the engine.

use std::fmt::Write;

use crate::{DAY, HOUR, MINUTE, SECOND};

/// The limits that a request must all pass, and what its attributes mean to them.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// Those of every request first, then those of each plan in turn.
    pub limits: Vec<Limit>,
    pub plans: Vec<String>,
    pub default_plan: Option<String>,
    /// None: `key`.
    pub plan_by: Option<String>,
    /// None: 64.
    pub ipv6_prefix: Option<u32>,
    pub exempt: Vec<Listed>,
    pub bypass: Vec<Bypass>,
    pub block: Vec<Listed>,
    pub usage: Option<Usage>,
}

/// Requests that pass uncounted, or do not pass.
#[derive(Clone, Debug)]
pub struct Listed {
    pub name: String,
    pub when: When,
}

/// Who knows a secret passes uncounted.
#[derive(Clone, Debug)]
pub struct Bypass {
    pub name: String,
    pub attribute: String,
    /// With its SHA-256 in hexadecimal digits: all that a policy says of it.
    pub secrets: Vec<(String, String)>,
    pub enabled: bool,
}

/// A report of what was used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    pub window: u64,
    pub resolution: u64,
    /// None: `route`.
    pub by: Option<String>,
}

/// Attributes, and the patterns of which each has to match one.
pub type When = Vec<(String, Vec<String>)>;

/// A request without an attribute that a limit counts by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Missing {
    #[default]
    Error,
    Skip,
    Deny,
}

/// What a limit says besides its rates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// None: a limit of every request.
    pub plan: Option<String>,
    pub by: Vec<String>,
    pub when: When,
    pub missing: Missing,
    pub shadow: bool,
    /// In thousandths of the capacity, ascending.
    pub alerts: Vec<u64>,
    pub message: Option<String>,
    pub close: bool,
}

impl Default for Terms {
    fn default() -> Terms {
        Terms {
            plan: None,
            by: vec!["key".to_owned()],
            when: When::new(),
            missing: Missing::Error,
            shadow: false,
            alerts: Vec::new(),
            message: None,
            close: false,
        }
    }
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
    pub terms: Terms,
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
        Limit {
            name: name.to_owned(),
            named: true,
            method,
            rates,
            max_hold: None,
            terms: Terms::default(),
        }
    }

    /// A limit that the policy gives no name.
    pub fn unnamed(method: Method, rates: impl Into<Vec<Rate>>) -> Limit {
        let rates = rates.into();
        let name = match rates.as_slice() {
            [rate] if rate.name.is_none() => rate.text(method),
            _ => word(method).to_owned(),
        };
        Limit { name, named: false, method, rates, max_hold: None, terms: Terms::default() }
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

    /// The same for requests of a plan.
    pub fn of_plan(mut self, plan: &str) -> Limit {
        self.terms.plan = Some(plan.to_owned());
        self
    }

    /// The same, counted by these attributes.
    pub fn by(mut self, attributes: &[&str]) -> Limit {
        self.terms.by = attributes.iter().map(|&attribute| attribute.to_owned()).collect();
        self
    }

    /// The same, for requests of which an attribute matches one of these patterns.
    pub fn when(mut self, attribute: &str, patterns: &[&str]) -> Limit {
        let patterns = patterns.iter().map(|&pattern| pattern.to_owned()).collect();
        self.terms.when.push((attribute.to_owned(), patterns));
        self
    }

    /// The same, where use beyond these thousandths of the capacity is told.
    pub fn alerts(mut self, permille: &[u64]) -> Limit {
        self.terms.alerts = permille.to_vec();
        self
    }

    fn toml(&self) -> String {
        let mut head = match &self.terms.plan {
            None => "[[limit]]\n".to_owned(),
            Some(plan) => format!("[[plan.{plan}.limit]]\n"),
        };
        if self.named {
            let name = self.name.replace('\\', "\\\\").replace('"', "\\\"");
            writeln!(head, "name = \"{name}\"").unwrap();
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
        head + &rest + &self.terms.toml()
    }
}

impl Terms {
    fn toml(&self) -> String {
        let fresh = Terms::default();
        let mut text = String::new();
        let mut line = |differs: bool, line: String| {
            if differs {
                text += &line;
                text.push('\n');
            }
        };
        line(self.by != fresh.by, format!("by = {}", list(&self.by)));
        line(!self.when.is_empty(), format!("when = {}", when(&self.when)));
        let missing = match self.missing {
            Missing::Error => "error",
            Missing::Skip => "skip",
            Missing::Deny => "deny",
        };
        line(self.missing != fresh.missing, format!("missing = \"{missing}\""));
        line(self.shadow, "shadow = true".to_owned());
        let share = |permille: &u64| format!("{}.{:03}", permille / 1000, permille % 1000);
        let alerts: Vec<_> = self.alerts.iter().map(share).collect();
        line(!alerts.is_empty(), format!("alerts = [{}]", alerts.join(", ")));
        let message = self.message.as_deref().unwrap_or_default();
        line(self.message.is_some(), format!("message = \"{message}\""));
        line(self.close, "close = true".to_owned());
        text
    }
}

fn list(texts: &[String]) -> String {
    let texts: Vec<_> = texts.iter().map(|text| format!("\"{text}\"")).collect();
    format!("[{}]", texts.join(", "))
}

fn when(when: &When) -> String {
    let one = |(name, patterns): &(String, Vec<String>)| format!("{name} = {}", list(patterns));
    format!("{{ {} }}", when.iter().map(one).collect::<Vec<_>>().join(", "))
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
        Policy { limits: limits.into(), ..Policy::default() }
    }

    /// The policy as a TOML document.
    pub fn toml(&self) -> String {
        let mut parts = vec![self.head()];
        parts.extend(self.limits.iter().map(Limit::toml));
        // A plan may have no limits at all.
        parts.extend(self.plans.iter().map(|plan| format!("[plan.{plan}]\n")));
        parts.extend(self.block.iter().map(|listed| listed.toml("block")));
        parts.extend(self.bypass.iter().map(Bypass::toml));
        parts.extend(self.exempt.iter().map(|listed| listed.toml("exempt")));
        parts.extend(self.usage.iter().map(Usage::toml));
        parts.retain(|part| !part.is_empty());
        parts.join("\n")
    }

    fn head(&self) -> String {
        let mut head = String::new();
        let texts = [("default_plan", &self.default_plan), ("plan_by", &self.plan_by)];
        for (name, text) in texts {
            if let Some(text) = text {
                writeln!(head, "{name} = \"{text}\"").unwrap();
            }
        }
        if let Some(bits) = self.ipv6_prefix {
            writeln!(head, "ipv6_prefix = {bits}").unwrap();
        }
        head
    }
}

impl Listed {
    fn toml(&self, list: &str) -> String {
        format!("[[{list}]]\nname = \"{}\"\nwhen = {}\n", self.name, when(&self.when))
    }
}

impl Bypass {
    fn toml(&self) -> String {
        let hashes = self.secrets.iter().map(|(_, hash)| format!("sha256:{hash}"));
        format!(
            "[[bypass]]\nname = \"{}\"\nattribute = \"{}\"\nsecrets = {}\nenabled = {}\n",
            self.name,
            self.attribute,
            list(&hashes.collect::<Vec<_>>()),
            self.enabled,
        )
    }
}

impl Usage {
    fn toml(&self) -> String {
        let (window, resolution) = (self.window, self.resolution);
        let mut text =
            format!("[usage]\nwindow = \"{window}ns\"\nresolution = \"{resolution}ns\"\n");
        if let Some(by) = &self.by {
            writeln!(text, "by = \"{by}\"").unwrap();
        }
        text
    }
}
