//! What the headers of somebody else's response tell of its limits, as C sees it.

use std::ffi::{CString, c_char};

use engine::client::{Quota, ServerLimits, read_headers};

use crate::decision::TIDEGATE_NEVER;
use crate::error::{Failure, c_text};
use crate::guard::{guard, guard_value};
use crate::handle::{self, Growing, Out, OutStruct, give, lend, nanos, now, take};
use crate::status::tidegate_status;

/// One header field of a response. A field that comes several times is given several times.
///
///     const tidegate_header headers[] = {{"Retry-After", "2", 1}, {"RateLimit", "\"a\";r=0;t=2", 11}};
///
/// All is read during the call: nothing needs to outlive it.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct tidegate_header {
    /// Its name, in any case; ends with NUL.
    pub name: *const c_char,
    /// Any `value_len` bytes.
    pub value: *const c_char,
    /// The bytes of the value.
    pub value_len: usize,
}

/// One quota of a server. Start with `tidegate_quota quota = TIDEGATE_QUOTA_INIT;`. Numbers that were
/// not told are 0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct tidegate_quota {
    /// sizeof(tidegate_quota), set by the caller; fields beyond it are not written.
    pub struct_size: u32,
    /// Was `limit` told?
    pub has_limit: bool,
    /// Was `remaining` told?
    pub has_remaining: bool,
    /// Was `reset_after_ns` told?
    pub has_reset_after: bool,
    /// Was `window_ns` told?
    pub has_window: bool,
    /// Units in a window.
    pub limit: u64,
    /// Units left.
    pub remaining: u64,
    /// Until it is reset, at most 3650 days; 0 when that time is past.
    pub reset_after_ns: u64,
    /// The length of its window.
    pub window_ns: u64,
    /// What tells it from others ("requests", "tokens", "day"), in lower case; "" when it is alone.
    /// UTF-8, valid as long as the tidegate_server_limits.
    pub name: *const c_char,
}

// SAFETY: repr(C), the size in front, then 4 bytes, then fields of 8 bytes (a shorter pointer at the end is padded to 8
// by the alignment of u64).
unsafe impl Growing for tidegate_quota {}

/// What a response tells of the server's limits.
pub struct tidegate_server_limits {
    limits: ServerLimits,
    names: Vec<CString>,
}

// They never change, so that threads may share them.
const _: () = {
    const fn shared<T: Send + Sync>() {}
    shared::<tidegate_server_limits>();
};

impl tidegate_server_limits {
    pub(crate) fn new(limits: ServerLimits) -> tidegate_server_limits {
        let names = limits.quotas.iter().map(|quota| c_text(&quota.name)).collect();
        tidegate_server_limits { limits, names }
    }

    pub(crate) fn engine(&self) -> &ServerLimits {
        &self.limits
    }
}

pub(crate) fn quota_of(quota: &Quota, name: &CString) -> tidegate_quota {
    tidegate_quota {
        struct_size: size_of::<tidegate_quota>() as u32,
        has_limit: quota.limit.is_some(),
        has_remaining: quota.remaining.is_some(),
        has_reset_after: quota.reset_after.is_some(),
        has_window: quota.window.is_some(),
        limit: quota.limit.unwrap_or(0),
        remaining: quota.remaining.unwrap_or(0),
        reset_after_ns: quota.reset_after.map_or(0, nanos),
        window_ns: quota.window.map_or(0, nanos),
        name: name.as_ptr(),
    }
}

/// Reads the headers of a response from somebody else's server, in the forms of about all that are
/// known: Retry-After, the drafts of the IETF, X-RateLimit and its relatives (see docs/client.md).
/// Other fields may be among them. `now_ns` is the wall clock's time, used for absolute times where the
/// response has no Date; tidegate_pacer_read takes that of the pacer. The limits are given back with
/// tidegate_server_limits_free.
///
/// Errors: TIDEGATE_ERROR_ARGUMENT. Fields that make no sense are no error: they are as if they were not
/// there.
/// Thread safety: any thread at any time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_read_headers(
    headers: *const tidegate_header,
    count: usize,
    now_ns: u64,
    limits: *mut *mut tidegate_server_limits,
) -> tidegate_status {
    guard(|| {
        // SAFETY: the header's contract.
        let (headers, place) =
            unsafe { (handle::headers(headers, count)?, Out::new(limits, "limits")?) };
        let limits = read_headers(headers, now(now_ns)?);
        place.write(give(tidegate_server_limits::new(limits)));
        Ok(())
    })
}

/// How long the server asks to wait after a refusal: Retry-After; else until the last quota with nothing left
/// is reset; else, where no quota tells what is left, until the last reset. TIDEGATE_NEVER when it asks for
/// nothing, and for NULL: the value that tidegate_backoff_delay takes.
///
/// Thread safety: concurrent calls are fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_server_limits_delay_ns(
    limits: *const tidegate_server_limits,
) -> u64 {
    guard_value(TIDEGATE_NEVER, || {
        // SAFETY: the header's contract.
        let limits = unsafe { lend(limits, "limits") }?;
        Ok(limits.limits.delay().map_or(TIDEGATE_NEVER, nanos))
    })
}

/// Retry-After alone, in any form, at most 3650 days; TIDEGATE_NEVER when there is none, and for NULL.
///
/// Thread safety: concurrent calls are fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_server_limits_retry_after_ns(
    limits: *const tidegate_server_limits,
) -> u64 {
    guard_value(TIDEGATE_NEVER, || {
        // SAFETY: the header's contract.
        let limits = unsafe { lend(limits, "limits") }?;
        Ok(limits.limits.retry_after.map_or(TIDEGATE_NEVER, nanos))
    })
}

/// Does the server say that little is left (X-RateLimit-NearLimit)? Also false for NULL.
///
/// Thread safety: concurrent calls are fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_server_limits_near(
    limits: *const tidegate_server_limits,
) -> bool {
    // SAFETY: the header's contract.
    guard_value(false, || Ok(unsafe { lend(limits, "limits") }?.limits.near_limit))
}

/// The number of quotas that were told, at most 16; 0 for NULL.
///
/// Thread safety: concurrent calls are fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_server_limits_count(
    limits: *const tidegate_server_limits,
) -> usize {
    // SAFETY: the header's contract.
    guard_value(0, || Ok(unsafe { lend(limits, "limits") }?.names.len()))
}

/// One of the quotas, in the order in which they were told first; `index` from 0.
///
/// Errors: TIDEGATE_ERROR_ARGUMENT, also when `index` is not below the count.
/// Thread safety: concurrent calls are fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_server_limits_get(
    limits: *const tidegate_server_limits,
    index: usize,
    quota: *mut tidegate_quota,
) -> tidegate_status {
    guard(|| {
        // SAFETY: the header's contract.
        let (limits, place) = unsafe { (lend(limits, "limits")?, OutStruct::new(quota, "quota")?) };
        let found = limits.limits.quotas.get(index).zip(limits.names.get(index));
        let (quota, name) = found.ok_or_else(|| Failure::index(index, limits.names.len()))?;
        place.write(quota_of(quota, name));
        Ok(())
    })
}

/// Gives limits back. NULL is a no-op.
///
/// Thread safety: no other call may use these limits now or later.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_server_limits_free(limits: *mut tidegate_server_limits) {
    guard(|| {
        // SAFETY: the header's contract.
        drop(unsafe { take(limits) });
        Ok(())
    });
}
