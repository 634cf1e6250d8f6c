//! What an answer says over HTTP, written from `docs/http.md`.

use serde_json::{Value, json};

use crate::oracle::Answer;
use crate::policy::Method;
use crate::{SECOND, Time, Units};

pub type Header = (&'static str, String);

fn seconds(nanos: Time) -> Time {
    (nanos + Time::from(SECOND) - 1).div_euclid(SECOND.into())
}

impl Answer {
    pub fn status(&self) -> u16 {
        if self.allowed { 200 } else { 429 }
    }

    /// In the unit that headers know: time in milliseconds.
    fn shown(&self, units: Units) -> Units {
        if self.method == Method::Latency { units / 1_000_000 } else { units }
    }

    /// What a cascade's later buckets have is told as a pool of its own.
    fn pool(&self) -> Option<Units> {
        self.burst_remaining.filter(|_| self.of_cascade() && self.method == Method::Count)
    }

    fn first_limit(&self) -> Units {
        if self.pool().is_some() { self.limit - self.later_quota } else { self.limit }
    }

    fn first_remaining(&self) -> Units {
        self.remaining - self.pool().unwrap_or(0)
    }

    fn of_cascade(&self) -> bool {
        self.later_quota > 0
    }

    fn retry_seconds(&self) -> Option<Time> {
        let wait = self.retry_after.filter(|_| !self.allowed && self.reason != "impossible")?;
        Some(seconds(wait).max(1))
    }

    /// The limit that headers speak of.
    fn shown_limit(&self) -> Option<&str> {
        let is_limit = ["ok", "limited", "impossible"].contains(&self.reason);
        Some(self.name.as_str()).filter(|name| is_limit && !name.is_empty())
    }

    fn reset_at(&self) -> Time {
        seconds(self.made_at + self.reset_after.unwrap_or(u64::MAX.into()))
    }

    pub fn headers(&self, style: &str) -> Vec<Header> {
        let mut headers = Vec::new();
        if self.shown_limit().is_some() {
            if style != "draft" {
                headers.extend(self.legacy());
            }
            if style != "legacy" {
                headers.extend(self.draft());
            }
        }
        headers.extend(self.retry_seconds().map(|wait| ("Retry-After", wait.to_string())));
        headers
    }

    fn legacy(&self) -> Vec<Header> {
        let mut headers = vec![
            ("X-RateLimit-Limit", self.shown(self.first_limit()).to_string()),
            ("X-RateLimit-Remaining", self.shown(self.first_remaining()).to_string()),
            ("X-RateLimit-Reset", self.reset_at().to_string()),
        ];
        headers.extend(self.burst_remaining.map(|left| ("X-RateLimit-Burst", left.to_string())));
        headers
    }

    fn draft(&self) -> Vec<Header> {
        let name = self.name.replace('\\', "\\\\").replace('"', "\\\"");
        let structured = |units: Units| units.min(999_999_999_999_999);
        let (limit, left) = (structured(self.limit), structured(self.remaining));
        let second = Time::from(SECOND);
        let window = self.window.filter(|window| !self.of_cascade() && window % second == 0);
        let window = window.map_or(String::new(), |window| format!(";w={}", window / second));
        let within = match self.reason {
            "limited" => self.retry_seconds(),
            _ => self.reset_after.map(seconds),
        };
        let within = within.map(structured).filter(|&seconds| seconds > 0);
        let within = within.map_or(String::new(), |seconds| format!(";t={seconds}"));
        match self.method {
            // Time has no unit in the draft; nothing is nothing in any.
            Method::Latency if self.remaining > 0 => Vec::new(),
            Method::Latency => vec![("RateLimit", format!("\"{name}\";r=0{within}"))],
            Method::Count => vec![
                ("RateLimit-Policy", format!("\"{name}\";q={limit}{window}")),
                ("RateLimit", format!("\"{name}\";r={left}{within}")),
            ],
            Method::Concurrency(_) => vec![
                ("RateLimit-Policy", format!("\"{name}\";q={limit};qu=\"concurrent-requests\"")),
                ("RateLimit", format!("\"{name}\";r={left}")),
            ],
        }
    }

    /// Content type and text.
    pub fn body(&self, style: &str) -> (&'static str, String) {
        let content_type = match style {
            "problem" => "application/problem+json",
            _ => "application/json",
        };
        let text = match style {
            _ if self.allowed => return (content_type, String::new()),
            "error" => self.error(),
            "message" => {
                json!({"message": self.message.as_deref().unwrap_or("Too many requests"), "code": 429})
            }
            _ => self.problem(),
        };
        (content_type, text.to_string())
    }

    fn error(&self) -> Value {
        let reset_at = i64::try_from(self.reset_at()).ok();
        let reset_at = reset_at.and_then(|second| jiff::Timestamp::from_second(second).ok());
        json!({"error": {
            "code": "RATE_LIMIT_EXCEEDED",
            "message": self.words(),
            "details": {
                "limit": self.shown(self.first_limit()) as u64,
                "remaining": self.shown(self.first_remaining()) as u64,
                "reset_at": reset_at.unwrap_or(jiff::Timestamp::MAX).to_string(),
                "retry_after_seconds": self.retry_seconds().map(|wait| wait as u64),
                "plan": self.plan,
            },
        }})
    }

    fn problem(&self) -> Value {
        match self.shown_limit() {
            Some(name) => json!({
                "type": "https://iana.org/assignments/http-problem-types#quota-exceeded",
                "title": "Quota Exceeded",
                "status": 429,
                "detail": self.words(),
                "violated-policies": [name],
            }),
            None => json!({
                "type": "about:blank",
                "title": "Too Many Requests",
                "status": 429,
                "detail": self.words(),
            }),
        }
    }

    fn words(&self) -> String {
        if let Some(message) = &self.message {
            return message.clone();
        }
        let name = &self.name;
        let cause = match (self.shown_limit(), self.reason) {
            (Some(_), "impossible") => {
                format!("The request costs more than the limit \"{name}\" ever holds.")
            }
            (Some(_), _) => format!("The limit \"{name}\" has no room for the request."),
            (None, _) => "Requests are blocked.".to_owned(),
        };
        let advice = match self.retry_seconds() {
            Some(1) => "Try again in 1 second.".to_owned(),
            Some(wait) => format!("Try again in {wait} seconds."),
            None => "Trying again does not help.".to_owned(),
        };
        format!("{cause} {advice}")
    }
}
