//! The client side: calls to somebody else's limited interface, paced so that they are not refused.
//!
//! A [`Pacer`] says of each call when it may go, and what to do with its answer; it never sleeps and sends nothing
//! itself. [`read_headers`] understands what servers tell of their limits.
//!
//! `headers`: what a response tells. `backoff`, `breaker`, `quotas`, `queue`: one idea each, none knows the others.
//! `machine`: where they meet, behind one lock. `pacer`, `call`: what hosts see of it. `run`: around a closure or a
//! future. Nothing in the core uses this room.

mod backoff;
mod breaker;
mod call;
mod class;
mod error;
mod events;
mod headers;
mod machine;
mod options;
mod pacer;
mod queue;
mod quotas;
mod run;

pub use backoff::Backoff;
pub use breaker::BreakerReason;
pub use call::{Call, Finish, Step};
pub use class::{Class, classify};
pub use error::PacerError;
pub use events::{Event, PacerStats, PauseReason};
pub use headers::{Quota, ServerLimits, read_headers};
pub use options::{CallOptions, PacerBuilder};
pub use pacer::{Pacer, Tick};
pub use run::{CallError, Response};

/// The program of the guide is run with the examples of the documentation.
#[cfg(doctest)]
#[doc = include_str!("../../docs/client.md")]
mod guide {}
