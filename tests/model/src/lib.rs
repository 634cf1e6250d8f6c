//! A slow, exact oracle of the limiter, written from `docs/semantics.md` and from nothing else.
//!
//! It shares no code with the engine: wide integers instead of packed words, a
//! search for the first nanosecond instead of an inverse, one map of keys instead of a store.
//! Where the page leaves a choice open, the choice is named beside the code that makes it.

#![allow(missing_docs)] // a test's own library: names say what the page says

pub mod bucket;
pub mod calendar;
pub mod http;
pub mod oracle;
pub mod policy;
pub mod request;
pub mod script;
pub mod vectors;

pub use oracle::{Alert, Answer, Oracle, Refused, Report, Reservation};
pub use policy::{Algorithm, Growth, Limit, Method, Period, Policy, Rate};
pub use request::{Request, Subject};

/// Nanoseconds since the Unix epoch; wide, so that no sum needs a check.
pub type Time = i128;
/// Requests × cost, nanoseconds, or permits.
pub type Units = i128;

/// When time ends: what comes later, never comes.
pub const END: Time = u64::MAX as Time;

/// One second in nanoseconds.
pub const SECOND: u64 = 1_000_000_000;
/// One minute in nanoseconds.
pub const MINUTE: u64 = 60 * SECOND;
/// One hour in nanoseconds.
pub const HOUR: u64 = 60 * MINUTE;
/// One day of 24 hours in nanoseconds.
pub const DAY: u64 = 24 * HOUR;
