//! The options of a pacer.

use std::time::Duration;

use engine::client::{Pacer, PacerBuilder};

use crate::clock::tidegate_clock;
use crate::error::Failure;
use crate::handle::{Growing, lend, read_struct, timeout};

/// Options of a pacer. Start with `tidegate_pacer_options options = TIDEGATE_PACER_OPTIONS_INIT;`,
/// which holds the defaults, and set what should be otherwise: 0 means 0 here. All is copied: nothing
/// needs to outlive the call.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct tidegate_pacer_options {
    /// sizeof(tidegate_pacer_options), set by the caller. What lies beyond the options that this
    /// library knows must be zero.
    pub struct_size: u32,
    /// Most calls under way at once, 1 to 1,000,000; default 10.
    pub concurrency: u32,
    /// Units by which bursts of a policy are lowered (never below 1), so that calls that bunch up on
    /// their way do not exceed the server's; default TIDEGATE_NEVER: as many as `concurrency`.
    pub headroom: u64,
    /// Most retries of a call; default 5.
    pub max_retries: u32,
    /// At so many thousandths of a quota known only from headers, what is left is spread until its reset; 0 to
    /// 1000, 0: never; default 100.
    pub near_limit: u32,
    /// The longest jitter before the first retry; it doubles with each; default 1 s.
    pub base_ns: u64,
    /// The longest jitter before any retry; default 30 s.
    pub cap_ns: u64,
    /// A longer delay that the server asks for is a failure at once; default 60 s.
    pub max_retry_after_ns: u64,
    /// How long a call may take in all, waits and attempts; default TIDEGATE_NEVER: no end.
    pub deadline_ns: u64,
    /// Makes the jitter the same each time; default 0: others each time.
    pub seed: u64,
    /// So many 401 in a row open the breaker; 0: none do; default 1.
    pub max_unauthorized: u32,
    /// So many 403 in a row open the breaker; 0: none do; default 3.
    pub max_forbidden: u32,
    /// So many calls in a row that were given up or called failed open the breaker; 0: none do; default 5.
    pub max_failures: u32,
    /// Always 0.
    pub reserved: u32,
    /// How long an open breaker lets nothing through, before one call may try; default 30 s.
    pub breaker_cooldown_ns: u64,
    /// Where the time comes from, NULL: as tidegate_clock_new("counter"). A pacer over a limiter has that
    /// limiter's, and takes none here. The clock may be freed before the pacer.
    pub clock: *const tidegate_clock,
}

// SAFETY: repr(C), the size in front, then 4 bytes, then fields of 8 bytes and pairs of 4 bytes (a shorter pointer at
// the end is padded to 8 by the alignment of u64).
unsafe impl Growing for tidegate_pacer_options {}

/// A pacer's options, without its limits.
///
/// # Safety
/// `options` is NULL or valid for as many bytes as its `struct_size` says, and its clock is valid or NULL.
pub(crate) unsafe fn builder(
    options: *const tidegate_pacer_options,
) -> Result<PacerBuilder, Failure> {
    // SAFETY: the caller's promise; zeros are a valid `tidegate_pacer_options`.
    let Some(options) = (unsafe { read_struct(options, "options") })? else {
        return Ok(Pacer::builder());
    };
    if options.reserved != 0 {
        return Err(Failure::argument("reserved", "is not 0; set it to 0"));
    }
    if options.clock.is_null() {
        return Ok(with(&options));
    }
    // SAFETY: the caller's promise.
    let clock = unsafe { lend(options.clock, "clock") }?;
    Ok(with(&options).clock(clock.engine()))
}

fn with(options: &tidegate_pacer_options) -> PacerBuilder {
    let mut builder = Pacer::builder()
        .concurrency(options.concurrency)
        .max_retries(options.max_retries)
        .near_limit(options.near_limit.into())
        .base(Duration::from_nanos(options.base_ns))
        .cap(Duration::from_nanos(options.cap_ns))
        .max_retry_after(Duration::from_nanos(options.max_retry_after_ns))
        .max_unauthorized(options.max_unauthorized)
        .max_forbidden(options.max_forbidden)
        .max_failures(options.max_failures)
        .breaker_cooldown(Duration::from_nanos(options.breaker_cooldown_ns));
    if options.headroom != u64::MAX {
        builder = builder.headroom(options.headroom);
    }
    if let Some(deadline) = timeout(options.deadline_ns) {
        builder = builder.deadline(deadline);
    }
    if options.seed != 0 {
        builder = builder.seed(options.seed);
    }
    builder
}

#[cfg(test)]
mod tests {
    use super::*;

    /// TIDEGATE_PACER_OPTIONS_INIT as the header has it.
    fn init() -> Vec<String> {
        let template = include_str!("../../cbindgen.toml");
        let (_, from) = template.split_once("#define TIDEGATE_PACER_OPTIONS_INIT").unwrap();
        let (_, from) = from.split_once('{').unwrap();
        let (values, _) = from.split_once('}').unwrap();
        let plain = values.replace("\\\\\n", " ");
        plain.split(',').map(|value| value.trim().to_owned()).collect()
    }

    fn number(value: &str) -> u64 {
        match value {
            "TIDEGATE_NEVER" => u64::MAX,
            "NULL" => 0,
            _ => value.trim_start_matches("UINT64_C(").trim_end_matches(')').parse().unwrap(),
        }
    }

    #[test]
    fn the_headers_init_holds_the_engines_defaults() {
        let values = init();
        assert_eq!(values[0], "sizeof(tidegate_pacer_options)");
        let numbers: Vec<u64> = values[1..].iter().map(|value| number(value)).collect();
        let small = |at: usize| u32::try_from(numbers[at]).unwrap();
        let options = tidegate_pacer_options {
            struct_size: size_of::<tidegate_pacer_options>() as u32,
            concurrency: small(0),
            headroom: numbers[1],
            max_retries: small(2),
            near_limit: small(3),
            base_ns: numbers[4],
            cap_ns: numbers[5],
            max_retry_after_ns: numbers[6],
            deadline_ns: numbers[7],
            seed: numbers[8],
            max_unauthorized: small(9),
            max_forbidden: small(10),
            max_failures: small(11),
            reserved: small(12),
            breaker_cooldown_ns: numbers[13],
            clock: std::ptr::null(),
        };
        assert_eq!((numbers.len(), numbers[14]), (15, 0));
        // SAFETY: a live struct.
        let builder = unsafe { builder(&raw const options) }.ok().unwrap();
        assert_eq!(format!("{builder:?}"), format!("{:?}", Pacer::builder()));
        assert_eq!(size_of::<tidegate_pacer_options>(), 96);
    }
}
