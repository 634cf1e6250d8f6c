//! Bodies of denials, as JSON.

use jiff::Timestamp;

use super::{Figures, limit_of, no_such_style, retry_after};
use crate::decision::{Decision, Reason};
use crate::error::Result;

/// The shape of a denial's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BodyStyle {
    /// `{"error":{"code":"RATE_LIMIT_EXCEEDED","message":…,"details":{…}}}` with `limit`, `remaining`, `reset_at`
    /// (RFC 3339, UTC), `retry_after_seconds` (null when no waiting helps) and `plan` (null when there is none).
    Error,
    /// `{"message":"Too many requests","code":429}`
    Message,
    /// Problem details of RFC 9457, of the type `quota-exceeded` of draft-ietf-httpapi-ratelimit-headers-11; of a
    /// blocked key, which exceeded no quota, `about:blank`.
    Problem,
}

impl BodyStyle {
    /// A style by its name, as hosts spell it: `error`, `message` or `problem`.
    ///
    /// # Errors
    /// [`Error::is_argument`](crate::Error::is_argument) for any other name.
    pub fn from_name(name: &str) -> Result<BodyStyle> {
        match name {
            "error" => Ok(BodyStyle::Error),
            "message" => Ok(BodyStyle::Message),
            "problem" => Ok(BodyStyle::Problem),
            _ => Err(no_such_style(name, "\"error\", \"message\" or \"problem\"")),
        }
    }
}

/// The body of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    /// The value of `Content-Type`.
    pub content_type: &'static str,
    /// One line of JSON in UTF-8; empty for an admitted request.
    pub text: String,
}

impl Decision {
    /// The body of the response to a denied request. An admitted one has none: its text is empty.
    ///
    /// Amounts and times are those of [`headers`](Decision::headers). Where the policy has a `message` of its own for
    /// denials, that is what the body says.
    ///
    /// ```
    /// use tidegate::{BodyStyle, Limiter};
    ///
    /// let limiter = Limiter::new("1/minute")?;
    /// limiter.acquire("user:42", 1)?;
    /// let body = limiter.acquire("user:42", 1)?.body(BodyStyle::Message);
    /// assert_eq!(body.content_type, "application/json");
    /// assert_eq!(body.text, r#"{"message":"Too many requests","code":429}"#);
    /// # Ok::<(), tidegate::Error>(())
    /// ```
    pub fn body(&self, style: BodyStyle) -> Body {
        let content_type = match style {
            BodyStyle::Error | BodyStyle::Message => "application/json",
            BodyStyle::Problem => "application/problem+json",
        };
        let text = match style {
            _ if self.allowed() => String::new(),
            BodyStyle::Error => error(self),
            BodyStyle::Message => message(self),
            BodyStyle::Problem => problem(self),
        };
        Body { content_type, text }
    }
}

fn error(decision: &Decision) -> String {
    let Figures { first_limit: limit, first_remaining: remaining, reset_at, retry_after, .. } =
        Figures::of(decision);
    let retry_after = retry_after.map_or("null".to_owned(), |seconds| seconds.to_string());
    let plan = decision.plan().map_or("null".to_owned(), json);
    format!(
        r#"{{"error":{{"code":"RATE_LIMIT_EXCEEDED","message":{},"details":{{"limit":{limit},"remaining":{remaining},"reset_at":"{}","retry_after_seconds":{retry_after},"plan":{plan}}}}}}}"#,
        json(&words(decision)),
        rfc3339(reset_at),
    )
}

fn message(decision: &Decision) -> String {
    let words = decision.message().unwrap_or("Too many requests");
    format!(r#"{{"message":{},"code":{}}}"#, json(words), decision.status())
}

/// The draft's other types say what the engine does not know: that the server has less capacity than usual, or that
/// it detected abuse.
fn problem(decision: &Decision) -> String {
    let (kind, title, violated) = match limit_of(decision) {
        Some(name) => (
            "https://iana.org/assignments/http-problem-types#quota-exceeded",
            "Quota Exceeded",
            format!(r#","violated-policies":[{}]"#, json(name)),
        ),
        None => ("about:blank", "Too Many Requests", String::new()),
    };
    let (status, detail) = (decision.status(), json(&words(decision)));
    format!(
        r#"{{"type":"{kind}","title":"{title}","status":{status},"detail":{detail}{violated}}}"#
    )
}

/// What a denial says to people: the policy's words, else ours.
fn words(decision: &Decision) -> String {
    if let Some(words) = decision.message() {
        return words.to_owned();
    }
    let advice = match retry_after(decision) {
        Some(1) => " Try again in 1 second.".to_owned(),
        Some(seconds) => format!(" Try again in {seconds} seconds."),
        None => " Trying again does not help.".to_owned(),
    };
    let cause = match (limit_of(decision), decision.reason()) {
        (Some(name), Reason::Impossible) => {
            format!("The request costs more than the limit \"{name}\" ever holds.")
        }
        (Some(name), _) => format!("The limit \"{name}\" has no room for the request."),
        (None, Reason::Blocked) => "Requests are blocked.".to_owned(),
        (None, _) => "There are too many requests.".to_owned(),
    };
    cause + &advice
}

/// Seconds since the Unix epoch as text. Decisions are made until the year 2116 and look 584 years ahead; there is no
/// such text past the year 9999.
fn rfc3339(seconds: u64) -> String {
    let time = i64::try_from(seconds).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    time.unwrap_or(Timestamp::MAX).to_string()
}

/// Text as a JSON string.
fn json(text: &str) -> String {
    // Text has no reason to fail.
    serde_json::to_string(text).unwrap_or_else(|_| "\"\"".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_time_is_too_late_to_be_told() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (1_700_000_000, "2023-11-14T22:13:20Z"),
            (20_000_000_000, "2603-10-11T11:33:20Z"),
            (253_402_207_200, "9999-12-30T22:00:00Z"),
            (253_402_207_201, "9999-12-30T22:00:00.999999999Z"),
            (u64::MAX, "9999-12-30T22:00:00.999999999Z"),
        ] {
            assert_eq!(rfc3339(seconds), text);
        }
    }
}
