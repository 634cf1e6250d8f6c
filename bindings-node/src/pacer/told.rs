//! What a pacer tells: failures, events and counts, as `lib/pacer*.js` reads them.

use napi_derive::napi;
use tidegate::client::{BreakerReason, Event, PacerError, PacerStats, PauseReason};

use super::answer::{count, ms};
use crate::refusal::Refusal;

/// Why a call was given up. Fields that its kind does not have are absent.
#[napi(object, object_from_js = false)]
#[derive(Default)]
pub struct NativeFailure {
    /// `retries_exhausted` and so on.
    pub kind: &'static str,
    /// In words.
    pub message: String,
    /// Attempts that were made.
    pub attempts: Option<u32>,
    /// The label of the call.
    pub label: Option<String>,
    /// The status of the last answer; 0: none.
    pub status: Option<u16>,
    /// How long to wait, from now.
    pub retry_after_ms: Option<f64>,
    /// The longest wait that is allowed.
    pub max_ms: Option<f64>,
    /// Why the breaker opened.
    pub reason: Option<String>,
    /// Name of a limit.
    pub limit: Option<String>,
}

impl NativeFailure {
    /// What the limiter refused is an error of its own.
    pub(super) fn of(error: PacerError) -> Result<NativeFailure, Refusal> {
        let told = NativeFailure {
            kind: error.kind(),
            // The option's name as it is written here.
            message: error.to_string().replace("max_retry_after", "maxRetryAfterMs"),
            attempts: error.attempts(),
            label: error.attempts().map(|_| error.label().to_owned()),
            retry_after_ms: error.retry_after().map(ms),
            ..NativeFailure::default()
        };
        Ok(match error {
            PacerError::RetriesExhausted { status, .. } => {
                NativeFailure { status: Some(status), ..told }
            }
            PacerError::RetryAfterTooLong { max, .. } => {
                NativeFailure { max_ms: Some(ms(max)), ..told }
            }
            PacerError::BreakerOpen { reason, .. } => NativeFailure {
                status: status_of(&reason),
                reason: Some(reason.as_str().to_owned()),
                ..told
            },
            PacerError::Impossible { limit, .. } => NativeFailure { limit: Some(limit), ..told },
            PacerError::Limiter(error) => return Err(Refusal::Core(error)),
            _ => told,
        })
    }
}

fn status_of(reason: &BreakerReason) -> Option<u16> {
    match reason {
        BreakerReason::Authentication { status, .. } if *status != 0 => Some(*status),
        _ => None,
    }
}

/// Something that happened. Fields that its kind does not have are absent.
#[napi(object, object_from_js = false)]
#[derive(Default)]
pub struct NativeEvent {
    /// `retry` and so on.
    pub kind: &'static str,
    /// The label of the call.
    pub label: Option<String>,
    /// Attempts that were made.
    pub attempts: Option<u32>,
    /// After which time a call is tried again, or how long everybody waits.
    pub delay_ms: Option<f64>,
    /// The status of the answer; absent: there was none.
    pub status: Option<u16>,
    /// Why everybody waits, or why the breaker opened.
    pub reason: Option<String>,
    /// In words.
    pub message: Option<String>,
    /// When one call is let through to see.
    pub retry_after_ms: Option<f64>,
    /// Name of a quota.
    pub name: Option<String>,
    /// The quota.
    pub limit: Option<f64>,
    /// Units left.
    pub remaining: Option<f64>,
    /// Until it is full again.
    pub reset_after_ms: Option<f64>,
}

fn some_status(status: u16) -> Option<u16> {
    (status != 0).then_some(status)
}

impl From<Event> for NativeEvent {
    fn from(event: Event) -> NativeEvent {
        let told = NativeEvent { kind: event.kind(), ..NativeEvent::default() };
        match event {
            Event::Retry { label, attempts, delay, status } => NativeEvent {
                label: Some(label),
                attempts: Some(attempts),
                delay_ms: Some(ms(delay)),
                status: some_status(status),
                ..told
            },
            Event::Pause { delay, reason } => {
                let (reason, status, name) = match reason {
                    PauseReason::Limited(status) => ("limited", some_status(status), None),
                    PauseReason::Exhausted(name) => ("exhausted", None, Some(name)),
                    _ => ("other", None, None),
                };
                let reason = Some(reason.to_owned());
                NativeEvent { delay_ms: Some(ms(delay)), reason, status, name, ..told }
            }
            Event::Exhausted { label, attempts, status } => NativeEvent {
                label: Some(label),
                attempts: Some(attempts),
                status: some_status(status),
                ..told
            },
            Event::BreakerOpened { reason, retry_after } => NativeEvent {
                status: status_of(&reason),
                reason: Some(reason.as_str().to_owned()),
                message: Some(reason.to_string()),
                retry_after_ms: Some(ms(retry_after)),
                ..told
            },
            Event::NearLimit { name, limit, remaining, reset_after } => NativeEvent {
                name: Some(name),
                limit: count(limit),
                remaining: count(remaining),
                reset_after_ms: reset_after.map(ms),
                ..told
            },
            _ => told,
        }
    }
}

/// Counts of a pacer. They stay below 2^53 for longer than anybody counts.
#[napi(object, object_from_js = false)]
pub struct NativePacerStats {
    /// Calls that were begun.
    pub calls: f64,
    /// Attempts that were let go.
    pub attempts: f64,
    /// Attempts made again.
    pub retries: f64,
    /// Answers that said that the server limits us.
    pub limited: f64,
    /// Time that calls stood waiting.
    pub wait_ms: f64,
    /// How many calls had to wait for what.
    pub waits: Vec<NativeWaits>,
    /// Times everybody had to wait.
    pub pauses: f64,
    /// Calls given up because every attempt was refused.
    pub exhausted: f64,
    /// Times the breaker opened.
    pub breaker_opened: f64,
    /// Calls under way now.
    pub in_flight: u32,
    /// Calls that wait now.
    pub waiting: f64,
}

/// Calls that had to wait for one thing.
#[napi(object, object_from_js = false)]
pub struct NativeWaits {
    /// For what.
    pub name: String,
    /// So many.
    pub calls: f64,
}

impl From<PacerStats> for NativePacerStats {
    fn from(stats: PacerStats) -> NativePacerStats {
        let waits = stats.waits.into_iter();
        NativePacerStats {
            calls: stats.calls as f64,
            attempts: stats.attempts as f64,
            retries: stats.retries as f64,
            limited: stats.limited as f64,
            wait_ms: ms(stats.wait),
            waits: waits.map(|(name, calls)| NativeWaits { name, calls: calls as f64 }).collect(),
            pauses: stats.pauses as f64,
            exhausted: stats.exhausted as f64,
            breaker_opened: stats.breaker_opened as f64,
            in_flight: stats.in_flight,
            waiting: stats.waiting as f64,
        }
    }
}
