//! The options of a limiter.

use std::ffi::c_char;

use engine::{Limiter, Policy};

use crate::clock::tidegate_clock;
use crate::error::Failure;
use crate::handle::{Growing, lend, read_struct, text};

/// Options of a limiter. Start with `tidegate_options options = TIDEGATE_OPTIONS_INIT;` and set
/// what should not be the default. All is copied: nothing needs to outlive the call.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct tidegate_options {
    /// sizeof(tidegate_options), set by the caller. What lies beyond the options that this
    /// library knows must be zero.
    pub struct_size: u32,
    /// Always 0.
    pub reserved: u32,
    /// Most keys that are remembered at once; 0: the default, 1,000,000.
    pub max_keys: u64,
    /// What happens to a new key when `max_keys` keys are in use: "inherit" (it takes the place
    /// of the key closest to full, and inherits the larger use), "deny", or "allow" (admitted
    /// and not remembered). NULL: the default, "inherit".
    pub on_full: *const c_char,
    /// Where the state is kept. NULL: the default, "memory:".
    pub store: *const c_char,
    /// A name for logs, UTF-8. NULL: none.
    pub name: *const c_char,
    /// Where the time comes from. NULL: as tidegate_clock_new("counter"). The limiter keeps what it needs: the
    /// clock may be freed before it.
    pub clock: *const tidegate_clock,
}

// SAFETY: repr(C), the size in front, then 4 bytes, then fields of 8 bytes; where pointers are
// shorter, they come in pairs.
unsafe impl Growing for tidegate_options {}

/// Builds a limiter.
///
/// # Safety
/// `options` is NULL or valid for as many bytes as its `struct_size` says, and its texts and its
/// clock are valid or NULL.
pub(crate) unsafe fn build(
    policy: Policy,
    options: *const tidegate_options,
) -> Result<Limiter, Failure> {
    let mut builder = Limiter::builder(policy);
    // SAFETY: the caller's promise; zeros are a valid `tidegate_options`.
    if let Some(options) = unsafe { read_struct(options, "options") }? {
        if options.reserved != 0 {
            return Err(Failure::argument("reserved", "is not 0; set it to 0"));
        }
        if options.max_keys != 0 {
            builder = builder.max_keys(options.max_keys);
        }
        // SAFETY: the caller's promise, for this and the next two texts.
        if let Some(on_full) = unsafe { text(options.on_full, "on_full") }? {
            builder = builder.on_full_named(on_full);
        }
        // SAFETY: as above.
        if let Some(store) = unsafe { text(options.store, "store") }? {
            builder = builder.store(store);
        }
        // SAFETY: as above.
        if let Some(name) = unsafe { text(options.name, "name") }? {
            builder = builder.name(name);
        }
        if !options.clock.is_null() {
            // SAFETY: the caller's promise.
            let clock = unsafe { lend(options.clock, "clock") }?;
            builder = builder.clock(clock.engine());
        }
    }
    Ok(builder.build()?)
}
