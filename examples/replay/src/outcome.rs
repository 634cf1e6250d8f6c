//! What a host leaves behind: its decisions, one a line, and a summary.
//!
//! A decision's line is
//!
//!     <id> <allowed: 0 or 1> <reason> <limit> <remaining> <retry_after_ns> <reset_after_ns> <name>
//!
//! where a wait that never ends is 18446744073709551615. The name comes last: it may be empty.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tidegate::Decision;

/// The names of a decision line's fields, in their order.
pub const FIELDS: [&str; 8] =
    ["id", "allowed", "reason", "limit", "remaining", "retry_after_ns", "reset_after_ns", "name"];

/// `HOST.json`
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Summary {
    /// Decisions taken.
    pub decisions: usize,
    /// How many of them admitted.
    pub admitted: usize,
    /// Spent in the loop of calls, decisions and charges: the median of some passes.
    pub seconds: f64,
    /// Every bucket of the busiest key after the last event.
    pub buckets: Vec<Bucket>,
}

/// One bucket of a snapshot; units are requests or, for latency limits, nanoseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bucket {
    pub limit: String,
    pub name: String,
    pub method: String,
    pub quota: u64,
    pub capacity: u64,
    pub used: u64,
    pub remaining: u64,
    pub refresh_after_ns: u64,
}

/// Where a host writes its decisions.
pub fn decisions_path(out: &Path, host: &str) -> PathBuf {
    out.join(format!("{host}.decisions"))
}

/// Where a host writes its summary.
pub fn summary_path(out: &Path, host: &str) -> PathBuf {
    out.join(format!("{host}.json"))
}

/// The line of a decision, without its end.
pub fn line(id: usize, decision: &Decision) -> String {
    let nanos = |span: std::time::Duration| u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
    format!(
        "{id} {} {} {} {} {} {} {}",
        u8::from(decision.allowed()),
        decision.reason().as_str(),
        decision.limit(),
        decision.remaining(),
        nanos(decision.retry_after()),
        nanos(decision.reset_after()),
        decision.name(),
    )
}

/// The fields of a decision's line; None when it is not one.
pub fn fields(line: &str) -> Option<[&str; FIELDS.len()]> {
    let mut parts = line.splitn(FIELDS.len(), ' ');
    let mut fields = [""; FIELDS.len()];
    for field in &mut fields {
        *field = parts.next()?;
    }
    Some(fields)
}
