//! The numbers that calls return. They are pinned: none ever changes its meaning.

use std::ffi::c_char;

/// What a call returns: TIDEGATE_OK or one of the TIDEGATE_ERROR numbers. They never
/// change; new ones may be added. A denied request is not an error: the call returns TIDEGATE_OK, and
/// `allowed` is false.
pub type tidegate_status = i32;

/// Done; the outputs are written.
pub const TIDEGATE_OK: i32 = 0;
/// A bad argument or option: NULL, a length or a time out of range, a struct_size of 0.
pub const TIDEGATE_ERROR_ARGUMENT: i32 = 1;
/// A mistake in a policy. The error's text says where it is and what would be right.
pub const TIDEGATE_ERROR_POLICY: i32 = 2;
/// A policy file that could not be read.
pub const TIDEGATE_ERROR_FILE: i32 = 3;
/// The store failed, or holds something that is not a limiter's.
pub const TIDEGATE_ERROR_STORE: i32 = 4;
/// A defect of this library, contained; please report the error's text.
pub const TIDEGATE_ERROR_INTERNAL: i32 = 5;

/// The name of a status in lower case: "ok", "argument", "policy", "file", "store" or
/// "internal"; "unknown" for any other number. Never NULL, never to be freed.
///
/// Thread safety: any thread at any time.
#[unsafe(no_mangle)]
pub extern "C" fn tidegate_status_name(status: tidegate_status) -> *const c_char {
    match status {
        TIDEGATE_OK => c"ok",
        TIDEGATE_ERROR_ARGUMENT => c"argument",
        TIDEGATE_ERROR_POLICY => c"policy",
        TIDEGATE_ERROR_FILE => c"file",
        TIDEGATE_ERROR_STORE => c"store",
        TIDEGATE_ERROR_INTERNAL => c"internal",
        _ => c"unknown",
    }
    .as_ptr()
}
