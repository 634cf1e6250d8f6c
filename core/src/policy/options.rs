//! Options of a rate, and which algorithm each belongs to.

use jiff::tz::TimeZone;

use super::draft::GrowthDraft;
use super::source::{Part, Spot};
use super::text::Amount;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AlgorithmName {
    Gcra,
    SlidingWindow,
    FixedWindow,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Align {
    Clock,
    FirstRequest,
}

/// What a limit or an entry of a cascade says beside its rate.
#[derive(Clone, Debug, Default)]
pub(super) struct Options {
    pub(super) algorithm: Option<Part<AlgorithmName>>,
    pub(super) align: Option<Part<Align>>,
    pub(super) timezone: Option<Part<TimeZone>>,
    pub(super) strict: Option<Part<bool>>,
    pub(super) burst: Option<Part<Amount>>,
    pub(super) max_debt: Option<Part<Amount>>,
    pub(super) grow: Option<GrowthDraft>,
}

/// Algorithm and alignment together: what decides which options apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Gcra,
    SlidingWindow,
    ClockWindow,
    FirstRequestWindow,
}

impl Form {
    /// The form of a bucket that inherits what it does not say.
    pub(super) fn of(own: &Options, inherited: &Options) -> Form {
        let algorithm = own.algorithm.as_ref().or(inherited.algorithm.as_ref());
        let align = own.align.as_ref().or(inherited.align.as_ref());
        match algorithm.map_or(AlgorithmName::Gcra, |part| part.value) {
            AlgorithmName::Gcra => Form::Gcra,
            AlgorithmName::SlidingWindow => Form::SlidingWindow,
            AlgorithmName::FixedWindow => match align.map_or(Align::Clock, |part| part.value) {
                Align::Clock => Form::ClockWindow,
                Align::FirstRequest => Form::FirstRequestWindow,
            },
        }
    }

    /// As a message names it.
    fn describe(self) -> &'static str {
        match self {
            Form::Gcra => "`gcra`",
            Form::SlidingWindow => "`sliding_window`",
            Form::ClockWindow => "`fixed_window`",
            Form::FirstRequestWindow => "`fixed_window` aligned to the first request",
        }
    }
}

/// The first option that means nothing to any of the forms, with problem and remedy.
pub(super) fn misplaced<'o>(
    options: &'o Options,
    forms: &[Form],
) -> Option<(&'o Spot, String, &'static str)> {
    let rules: [(&str, Option<&Spot>, &[Form], &'static str); 4] = [
        (
            "burst",
            options.burst.as_ref().map(|part| &part.spot),
            &[Form::Gcra],
            "remove it, or set `algorithm = \"gcra\"`",
        ),
        (
            "strict",
            options.strict.as_ref().map(|part| &part.spot),
            &[Form::SlidingWindow],
            "remove it, or set `algorithm = \"sliding_window\"`",
        ),
        (
            "align",
            options.align.as_ref().map(|part| &part.spot),
            &[Form::ClockWindow, Form::FirstRequestWindow],
            "remove it, or set `algorithm = \"fixed_window\"`",
        ),
        (
            "timezone",
            options.timezone.as_ref().map(|part| &part.spot),
            &[Form::ClockWindow],
            "remove it, or set `algorithm = \"fixed_window\"` with `align = \"clock\"`",
        ),
    ];
    rules.into_iter().find_map(|(name, spot, suited, remedy)| {
        let spot = spot.filter(|_| !forms.iter().any(|form| suited.contains(form)))?;
        let form = forms.first().map_or("this algorithm", |form| form.describe());
        Some((spot, format!("`{name}` does not apply to {form}"), remedy))
    })
}
