//! The answer to a request, as C sees it.

use std::ffi::{c_char, c_void};

use engine::{Decision, RawDecision, Reason};

use crate::error::Failure;
use crate::guard::guard_value;
use crate::handle::{Growing, Plain, nanos, read_plain};
use crate::snapshot::method_number;

/// Admitted.
pub const TIDEGATE_REASON_OK: u8 = 0;
/// Denied: a limit has no room now; it will have after `retry_after_ns`.
pub const TIDEGATE_REASON_LIMITED: u8 = 1;
/// Denied: the key is blocked until `retry_after_ns` has passed (tidegate_block), or by the policy.
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
    /// For the library: where it finds what the tidegate_decision calls tell.
    pub terms: *const c_void,
    /// When the decision was made, by the wall clock.
    pub now_ns: u64,
    /// Units left in the later buckets of a cascade, such as a pool for bursts: of the limit that
    /// decides, else of the first cascade that the request met; UINT64_MAX when it met none.
    pub burst_remaining: u64,
    /// The name of a limit in shadow that would have denied the request, "" when there is none.
    /// UTF-8; valid for ever, not to be freed.
    pub shadow_name: *const c_char,
}

// SAFETY: repr(C), the size in front, then 4 bytes, then fields of 8 bytes (where pointers are shorter they come in
// pairs, or are padded to 8 by the alignment of u64).
unsafe impl Growing for tidegate_decision {}

/// A decision that comes back from C.
#[repr(C)]
#[derive(Clone, Copy)]
struct Returned {
    struct_size: u32,
    allowed: u8,
    reason: u8,
    reserved: u16,
    limit: u64,
    remaining: u64,
    retry_after_ns: u64,
    reset_after_ns: u64,
    limit_name: usize,
    terms: usize,
    now_ns: u64,
    burst_remaining: u64,
    shadow_name: usize,
}

// SAFETY: repr(C), the fields of `tidegate_decision` one by one, a bool as u8 and pointers as usize.
unsafe impl Plain<tidegate_decision> for Returned {}

/// A decision that a call has written before. All that can be wrong with it is an error: its pointers are
/// looked up, not followed.
///
/// # Safety
/// `decision` is NULL or valid for reads of as many bytes as its `struct_size` says.
pub(crate) unsafe fn returned(decision: *const tidegate_decision) -> Result<Decision, Failure> {
    // SAFETY: the caller's promise.
    let returned: Returned = unsafe { read_plain(decision, "decision") }?;
    let raw = RawDecision {
        reason: returned.reason,
        limit: returned.limit,
        remaining: returned.remaining,
        retry_after_ns: returned.retry_after_ns,
        reset_after_ns: returned.reset_after_ns,
        terms: returned.terms,
        now_ns: returned.now_ns,
        burst_remaining: returned.burst_remaining,
    };
    Decision::from_raw(raw).ok_or_else(|| {
        Failure::argument("decision", "is none; give one that a call of this library has written")
    })
}

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
            terms: decision.terms_address().cast(),
            now_ns: decision.made_at().as_nanos(),
            burst_remaining: decision.burst_remaining().unwrap_or(u64::MAX),
            shadow_name: decision.shadow_name().as_ptr().cast(),
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

/// Asks a decision for a text that the engine keeps for ever, with a NUL byte behind.
///
/// # Safety
/// As [`returned`].
unsafe fn text_of(
    decision: *const tidegate_decision,
    ask: impl FnOnce(&Decision) -> Option<&'static str>,
) -> *const c_char {
    guard_value(c"".as_ptr(), || {
        // SAFETY: the caller's promise.
        let decision = unsafe { returned(decision) }?;
        Ok(ask(&decision).map_or(c"".as_ptr(), |text| text.as_ptr().cast()))
    })
}

/// The request's plan, whichever of its limits answers; "" where no limit answers or the policy has
/// no plans, and for what is no decision. UTF-8, never NULL, valid for ever, not to be freed.
///
/// Thread safety: any thread at any time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_decision_plan(
    decision: *const tidegate_decision,
) -> *const c_char {
    // SAFETY: the header's contract.
    unsafe { text_of(decision, Decision::plan) }
}

/// The words that the policy has for a denial by this limit; "" when it has none, when the request
/// was admitted, and for what is no decision. UTF-8, never NULL, valid for ever, not to be freed.
///
/// Thread safety: any thread at any time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_decision_message(
    decision: *const tidegate_decision,
) -> *const c_char {
    // SAFETY: the header's contract.
    unsafe { text_of(decision, Decision::message) }
}

/// Does the policy advise to close the connection after this denial? Also false for what is no
/// decision.
///
/// Thread safety: any thread at any time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_decision_closes(decision: *const tidegate_decision) -> bool {
    // SAFETY: the header's contract.
    guard_value(false, || Ok(unsafe { returned(decision) }?.closes()))
}

/// What the limit counts, in which units the numbers are therefore: a TIDEGATE_METHOD number; 255
/// for what is no decision.
///
/// Thread safety: any thread at any time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_decision_method(decision: *const tidegate_decision) -> u8 {
    // SAFETY: the header's contract.
    guard_value(u8::MAX, || Ok(method_number(unsafe { returned(decision) }?.method())))
}

/// The span in which the limit grants its quota (of a cascade the first bucket's); 0 where there is
/// none: permits, blocks, exemptions, and what is no decision.
///
/// Thread safety: any thread at any time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_decision_window_ns(decision: *const tidegate_decision) -> u64 {
    guard_value(0, || {
        // SAFETY: the header's contract.
        Ok(unsafe { returned(decision) }?.window().map_or(0, nanos))
    })
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;
    use std::mem::MaybeUninit;
    use std::time::Duration;

    use engine::{Limiter, ManualClock, Timestamp};

    use super::*;
    use crate::acquire::tidegate_acquire;
    use crate::limiter::tidegate_limiter;
    use crate::status::{TIDEGATE_ERROR_ARGUMENT, TIDEGATE_OK};

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

    fn bytes(decision: tidegate_decision) -> [u8; size_of::<tidegate_decision>()] {
        // SAFETY: as large, and it has no padding: see `the_layout_is_pinned`.
        unsafe { std::mem::transmute(decision) }
    }

    /// [`tidegate_acquire`] lets the engine write; here the fields are translated one by one.
    #[test]
    fn the_engine_writes_what_c_reads() {
        let shadow = r#"{"limit": [{"rate": "1/hour", "shadow": true}, {"rate": "2/day"}]}"#;
        for policy in ["1/hour", "1/hour; 3/day", shadow] {
            let clock = ManualClock::new(Timestamp::from_secs(1_700_000_000));
            let limiter = || Limiter::builder(policy).clock(clock.clone()).build().unwrap();
            let (twin, limiter) = (limiter(), tidegate_limiter::new(limiter()));
            for limiter in [&twin, limiter.engine()] {
                limiter.block("blocked", Duration::from_secs(9)).unwrap();
            }
            for key in ["a", "a", "a", "blocked"] {
                let expected = tidegate_decision::from(twin.acquire(key, 1).unwrap());
                let mut place = MaybeUninit::<tidegate_decision>::uninit();
                // SAFETY: live places and values of their types; the struct begins with its size.
                let written = unsafe {
                    place.as_mut_ptr().cast::<u32>().write(expected.struct_size);
                    let key = (key.as_ptr().cast(), key.len());
                    let status = tidegate_acquire(&limiter, key.0, key.1, 1, place.as_mut_ptr());
                    assert_eq!(status, TIDEGATE_OK);
                    place.assume_init()
                };
                assert_eq!(bytes(written), bytes(expected), "{key} under {policy}");
            }
        }
    }

    /// Under a policy about requests, a key alone is none; and a policy may come to be one in the middle of a call.
    #[test]
    fn what_is_refused_writes_nothing() {
        let limiter = Limiter::new(r#"{"limit": [{"rate": "1/hour", "by": ["account"]}]}"#);
        let limiter = tidegate_limiter::new(limiter.unwrap());
        let earlier = Limiter::new("7/hour").unwrap().acquire("k", 1).unwrap();
        // Of this version, and of one that had fewer fields.
        for struct_size in [size_of::<tidegate_decision>() as u32, 40] {
            let mut decision = tidegate_decision { struct_size, ..earlier.into() };
            let before = bytes(decision);
            let key = b"k".as_ptr().cast();
            // SAFETY: live places of their types; the struct begins with its size.
            let status = unsafe { tidegate_acquire(&limiter, key, 1, 1, &mut decision) };
            assert_eq!(status, TIDEGATE_ERROR_ARGUMENT);
            assert_eq!(bytes(decision), before, "{struct_size} bytes");
        }
    }

    #[test]
    fn the_layout_is_pinned() {
        assert_eq!(size_of::<tidegate_decision>(), 80);
        assert_eq!(std::mem::offset_of!(tidegate_decision, allowed), 4);
        assert_eq!(std::mem::offset_of!(tidegate_decision, reason), 5);
        assert_eq!(std::mem::offset_of!(tidegate_decision, limit), 8);
        assert_eq!(std::mem::offset_of!(tidegate_decision, limit_name), 40);
        assert_eq!(std::mem::offset_of!(tidegate_decision, terms), 48);
        assert_eq!(std::mem::offset_of!(tidegate_decision, now_ns), 56);
        assert_eq!(std::mem::offset_of!(tidegate_decision, burst_remaining), 64);
        assert_eq!(std::mem::offset_of!(tidegate_decision, shadow_name), 72);
    }
}
