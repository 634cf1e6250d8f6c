//! An embeddable rate-limit engine: count and latency buckets, several limits in one decision.
//!
//! ```
//! use tidegate::Limiter;
//!
//! let limiter = Limiter::new("100/minute")?;
//! let decision = limiter.acquire("user:42", 1)?;
//! if decision.allowed() {
//!     // do the work
//! } else {
//!     println!("try again in {:?}", decision.retry_after());
//! }
//! # Ok::<(), tidegate::Error>(())
//! ```

mod alerts;
mod algorithm;
mod assignments;
mod blocks;
mod calendar;
pub mod client;
mod clock;
mod decision;
mod engine;
mod error;
mod http;
mod lanes;
mod limiter;
mod names;
mod options;
mod plan;
mod policy;
mod rate;
mod request;
mod reservation;
mod rules;
mod secrets;
mod snapshot;
mod store;
mod sync;
mod terms;
mod time;
mod usage;
mod waiters;
mod watch;

pub use alerts::Alert;
pub use clock::{Clock, ManualClock};
pub use decision::{Decision, Reason};
#[doc(hidden)]
pub use decision::{DecisionParts, RawDecision};
pub use error::{Error, Result};
#[doc(hidden)]
pub use http::FieldValue;
pub use http::{Body, BodyStyle, HeaderStyle, Headers};
pub use limiter::{Limiter, Measured, UsageLimit, UsageReport};
pub use options::{Builder, OnFull};
pub use policy::Policy;
pub use rate::Method;
pub use request::{Request, Subject};
pub use reservation::{Admission, Reservation};
#[doc(hidden)]
pub use secrets::check_secret;
pub use secrets::hash_secret;
pub use snapshot::{BucketSnapshot, Snapshot, Stats};
pub use time::Timestamp;
pub use waiters::{Ticket, Turn};
pub use watch::{Watch, WatchEvent};

/// The version of this library, as in `Cargo.toml`.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
