//! The answer to a request, as C sees it.

use std::ffi::c_char;

use engine::{Decision, Reason};

use crate::handle::Growing;

/// Admitted.
pub const TIDEGATE_REASON_OK: u8 = 0;
/// Denied: a limit has no room now; it will have after `retry_after_ns`.
pub const TIDEGATE_REASON_LIMITED: u8 = 1;
/// Denied: the key is blocked (tidegate_block) until `retry_after_ns` has passed.
pub const TIDEGATE_REASON_BLOCKED: u8 = 2;
/// Admitted without being counted.
pub const TIDEGATE_REASON_BYPASS: u8 = 3;
/// Denied: the cost is more than a limit can ever hold; no waiting helps.
pub const TIDEGATE_REASON_IMPOSSIBLE: u8 = 4;

/// As a duration: never. As a time limit: none. (UINT64_MAX)
pub const TIDEGATE_NEVER: u64 = u64::MAX;

/// The answer to one request. Start with `tidegate_decision decision = TIDEGATE_DECISION_INIT;`;
/// one struct may be used for any number of calls.
///
/// The numbers are those of the limit that decides: of a denied request the one with the longest
/// wait, of an admitted one the tightest (the smallest share of its capacity left). Units are
/// requests times cost (count limits), nanoseconds (latency) or permits (concurrency).
#[repr(C)]
#[derive(Clone, Copy)]
pub struct tidegate_decision {
    /// sizeof(tidegate_decision), set by the caller; fields beyond it are not written.
    pub struct_size: u32,
    /// May the request go on?
    pub allowed: bool,
    /// Why: a TIDEGATE_REASON number.
    pub reason: u8,
    /// Always 0.
    pub reserved: u16,
    /// The quota of the limit; of a cascade, the sum of its quotas.
    pub limit: u64,
    /// Units left in the limit after this decision.
    pub remaining: u64,
    /// How long to wait until the same request passes; 0 when allowed, TIDEGATE_NEVER when it
    /// never will.
    pub retry_after_ns: u64,
    /// How long until the limit is full again when nobody uses it.
    pub reset_after_ns: u64,
    /// The name of the limit, "" for a blocked key. UTF-8; valid for ever, not to be freed.
    pub limit_name: *const c_char,
}

// SAFETY: repr(C), the size in front, then 4 bytes, then fields of 8 bytes (pointers are padded
// to 8 by the alignment of u64 where they are shorter).
unsafe impl Growing for tidegate_decision {}

impl From<Decision> for tidegate_decision {
    #[inline(always)]
    fn from(decision: Decision) -> tidegate_decision {
        tidegate_decision {
            struct_size: size_of::<tidegate_decision>() as u32,
            allowed: decision.allowed(),
            reason: reason_number(decision.reason()),
            reserved: 0,
            limit: decision.limit(),
            remaining: decision.remaining(),
            retry_after_ns: decision.retry_after_ns(),
            reset_after_ns: decision.reset_after_ns(),
            // As C reads it: the engine keeps it for ever, with a NUL byte behind.
            limit_name: decision.name().as_ptr().cast(),
        }
    }
}

/// The engine's numbers are C's: pinned by the test below.
#[inline]
fn reason_number(reason: Reason) -> u8 {
    reason as u8
}

/// The word for a reason, the same in every host: "ok", "limited", "blocked", "bypass" or
/// "impossible"; "unknown" for any other number. Never NULL, never to be freed.
///
/// Thread safety: any thread at any time.
#[unsafe(no_mangle)]
pub extern "C" fn tidegate_reason_name(reason: u8) -> *const c_char {
    match reason {
        TIDEGATE_REASON_OK => c"ok",
        TIDEGATE_REASON_LIMITED => c"limited",
        TIDEGATE_REASON_BLOCKED => c"blocked",
        TIDEGATE_REASON_BYPASS => c"bypass",
        TIDEGATE_REASON_IMPOSSIBLE => c"impossible",
        _ => c"unknown",
    }
    .as_ptr()
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;

    use super::*;

    #[test]
    fn reasons_have_the_engines_numbers_and_words() {
        for (number, reason) in [
            (TIDEGATE_REASON_OK, Reason::Ok),
            (TIDEGATE_REASON_LIMITED, Reason::Limited),
            (TIDEGATE_REASON_BLOCKED, Reason::Blocked),
            (TIDEGATE_REASON_BYPASS, Reason::Bypass),
            (TIDEGATE_REASON_IMPOSSIBLE, Reason::Impossible),
        ] {
            assert_eq!(reason_number(reason), number);
            // SAFETY: a literal.
            let word = unsafe { CStr::from_ptr(tidegate_reason_name(number)) };
            assert_eq!(word.to_str(), Ok(reason.as_str()));
        }
    }

    #[test]
    fn the_layout_is_pinned() {
        assert_eq!(size_of::<tidegate_decision>(), 48);
        assert_eq!(std::mem::offset_of!(tidegate_decision, allowed), 4);
        assert_eq!(std::mem::offset_of!(tidegate_decision, reason), 5);
        assert_eq!(std::mem::offset_of!(tidegate_decision, limit), 8);
        assert_eq!(std::mem::offset_of!(tidegate_decision, limit_name), 40);
    }
}
