//! The Node.js binding: it translates and nothing else.
//!
//! `limiter.rs`, `plans.rs`, `clock.rs`, `held.rs` and `wait.rs` are what `lib/*.js` builds its classes on;
//! `hot.rs` has the four calls for which a class method would cost more than the decision.
//! Nothing here is global to the process: every environment (a main thread, a worker) has its
//! own values, and numbers of origins (`origins.rs`) are those of its thread.

// napi registers nothing in test builds, so that lints would take everything for unused there.
#![cfg_attr(test, allow(dead_code))]

mod alerts;
mod argument;
mod clock;
mod decision;
mod functions;
mod held;
mod hot;
mod keys;
mod limiter;
mod origins;
mod pacer;
mod plans;
mod refusal;
mod reports;
mod subject;
mod wait;
mod watch;
