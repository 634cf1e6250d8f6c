//! The C interface: one file a noun. Each call checks its arguments, asks the engine, and writes
//! its outputs; nothing is decided here.
//!
//! The doc comments of exported items are the manual of `include/tidegate.h`, which is generated
//! from them (`make header`). They speak to C programmers, which is why the usual `# Safety`
//! sections are missing: the header's introduction states the contract once for all calls.

#![allow(non_camel_case_types, reason = "types carry the names that C programs use")]
#![allow(clippy::missing_safety_doc, reason = "the header's introduction is the contract")]

mod acquire;
mod alert;
mod attribute;
mod batch;
mod call;
mod charge;
mod client_backoff;
mod client_call;
mod client_events;
mod client_headers;
mod client_options;
mod client_pacer;
mod client_stats;
mod client_tick;
mod clock;
mod decision;
mod error;
mod guard;
mod handle;
mod http;
mod limiter;
mod measure;
mod operator;
mod options;
mod permit;
mod place;
mod plan;
mod reservation;
mod secret;
mod snapshot;
mod stats;
mod status;
mod ticket;
mod usage;
mod version;
mod wait;
mod watch;
