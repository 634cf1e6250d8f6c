//! Requests with attributes, as C gives them.

use std::ffi::{c_char, c_void};

/// One attribute of a request: "key", "account", "ip", "user", "route", "plan", or any other that the
/// policy names in `by` and `when`. Wherever a call takes a key, a twin of it, whose name ends in
/// _request, takes an array of these; a key alone is a request whose attribute "key" it is.
///
///     const tidegate_attribute request[] = {
///         {"key", "k1", 2}, {"account", "acme", 4}, {"route", "GET /v3/configs/7", 17},
///     };
///     tidegate_acquire_request(limiter, request, 3, 1, &decision);
///
/// Attributes that the policy does not mention mean nothing. One that is given twice has the later
/// value. All is read during the call: nothing needs to outlive it.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct tidegate_attribute {
    /// Its name: UTF-8, ends with NUL.
    pub name: *const c_char,
    /// Any `value_len` bytes. Addresses ("ip") are text.
    pub value: *const c_void,
    /// The bytes of the value.
    pub value_len: usize,
}
