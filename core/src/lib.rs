//! An embeddable rate-limit engine: count and latency buckets, several limits in one decision.
//!
//! ```
//! use tidegate::Limiter;
//!
//! let limiter = Limiter::new("100/minute")?;
//! let decision = limiter.acquire("user:42", 1)?;
//! if decision.allowed {
//!     // do the work
//! } else {
//!     println!("try again in {:?}", decision.retry_after);
//! }
//! # Ok::<(), tidegate::Error>(())
//! ```

mod algorithm;
mod clock;
mod decision;
mod error;
mod limiter;
mod policy;
mod rate;
mod store;
mod sync;
mod time;

pub use clock::{Clock, ManualClock};
pub use decision::{Decision, Reason};
pub use error::{Error, Result};
pub use limiter::{
    Admission, BucketSnapshot, Builder, Limiter, Measured, OnFull, Reservation, Snapshot, Stats,
    Ticket, Turn,
};
pub use policy::Policy;
pub use rate::Method;
pub use time::Timestamp;

/// The version of this library, as in `Cargo.toml`.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
