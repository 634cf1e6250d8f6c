//! The counters of a limiter.

use engine::Stats;

use crate::guard::guard;
use crate::handle::{Growing, OutStruct};
use crate::limiter::{lend_limiter, tidegate_limiter};
use crate::status::tidegate_status;

/// Counters of a limiter since its creation. Start with
/// `tidegate_counters counters = TIDEGATE_COUNTERS_INIT;`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct tidegate_counters {
    /// sizeof(tidegate_counters), set by the caller; fields beyond it are not written.
    pub struct_size: u32,
    /// Always 0.
    pub reserved: u32,
    /// Keys remembered now.
    pub keys: u64,
    /// Most keys that can be remembered (`max_keys`).
    pub capacity: u64,
    /// Requests admitted.
    pub allowed: u64,
    /// Requests denied because a limit had no room.
    pub limited: u64,
    /// Requests denied because their key was blocked.
    pub blocked: u64,
    /// Requests admitted without being counted.
    pub bypassed: u64,
    /// Requests denied because their cost can never fit.
    pub impossible: u64,
    /// Keys in use whose place was taken by others (`on_full` "inherit").
    pub evictions: u64,
    /// Requests of new keys that found the store full (`on_full` "deny" and "allow").
    pub saturated: u64,
}

// SAFETY: repr(C), the size in front, then 4 bytes, then fields of 8 bytes.
unsafe impl Growing for tidegate_counters {}

impl From<Stats> for tidegate_counters {
    fn from(stats: Stats) -> tidegate_counters {
        tidegate_counters {
            struct_size: size_of::<tidegate_counters>() as u32,
            reserved: 0,
            keys: stats.keys,
            capacity: stats.capacity,
            allowed: stats.allowed,
            limited: stats.limited,
            blocked: stats.blocked,
            bypassed: stats.bypassed,
            impossible: stats.impossible,
            evictions: stats.evictions,
            saturated: stats.saturated,
        }
    }
}

/// The counters of a limiter. They are exact one by one, not among each other while other
/// threads use the limiter.
///
/// Errors: TIDEGATE_ERROR_ARGUMENT.
/// Thread safety: concurrent calls on one limiter are fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_stats(
    limiter: *const tidegate_limiter,
    counters: *mut tidegate_counters,
) -> tidegate_status {
    guard(|| {
        // SAFETY: the header's contract.
        let (limiter, place) =
            unsafe { (lend_limiter(limiter)?, OutStruct::new(counters, "counters")?) };
        place.write(limiter.stats().into());
        Ok(())
    })
}
