//! What a decision says over HTTP: written by the engine, once for all hosts.

use std::ffi::c_char;

use engine::{BodyStyle, HeaderStyle};

use crate::decision::{returned, tidegate_decision};
use crate::error::Failure;
use crate::guard::{guard, guard_value};
use crate::handle::{Out, OutText, text_named};
use crate::status::tidegate_status;

/// Headers X-RateLimit-Limit, -Remaining, -Reset, and -Burst where there is a pool for bursts.
pub const TIDEGATE_HEADERS_LEGACY: i32 = 0;
/// Headers RateLimit-Policy and RateLimit of draft-ietf-httpapi-ratelimit-headers.
pub const TIDEGATE_HEADERS_DRAFT: i32 = 1;
/// Legacy headers, then those of the draft.
pub const TIDEGATE_HEADERS_BOTH: i32 = 2;

/// A body with code, message and details: {"error":{"code":"RATE_LIMIT_EXCEEDED",...}}
pub const TIDEGATE_BODY_ERROR: i32 = 0;
/// A body with a message and the status: {"message":"Too many requests","code":429}
pub const TIDEGATE_BODY_MESSAGE: i32 = 1;
/// A body of problem details (RFC 9457), of the type quota-exceeded.
pub const TIDEGATE_BODY_PROBLEM: i32 = 2;

fn header_style(style: i32) -> Result<HeaderStyle, Failure> {
    Ok(match style {
        TIDEGATE_HEADERS_LEGACY => HeaderStyle::Legacy,
        TIDEGATE_HEADERS_DRAFT => HeaderStyle::Draft,
        TIDEGATE_HEADERS_BOTH => HeaderStyle::Both,
        _ => return Err(no_style(style, "TIDEGATE_HEADERS")),
    })
}

fn body_style(style: i32) -> Result<BodyStyle, Failure> {
    Ok(match style {
        TIDEGATE_BODY_ERROR => BodyStyle::Error,
        TIDEGATE_BODY_MESSAGE => BodyStyle::Message,
        TIDEGATE_BODY_PROBLEM => BodyStyle::Problem,
        _ => return Err(no_style(style, "TIDEGATE_BODY")),
    })
}

#[cold]
fn no_style(style: i32, right: &str) -> Failure {
    Failure::argument("style", format!("{style} is unknown; give a {right} number"))
}

/// The number of a header style by its name in configurations: "legacy", "draft" or "both".
///
/// Errors: TIDEGATE_ERROR_ARGUMENT for any other name.
/// Thread safety: any thread at any time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_header_style(
    name: *const c_char,
    style: *mut i32,
) -> tidegate_status {
    guard(|| {
        // SAFETY: the header's contract.
        let (name, place) = unsafe { (text_named(name, "name")?, Out::new(style, "style")?) };
        place.write(match HeaderStyle::from_name(name)? {
            HeaderStyle::Legacy => TIDEGATE_HEADERS_LEGACY,
            HeaderStyle::Draft => TIDEGATE_HEADERS_DRAFT,
            _ => TIDEGATE_HEADERS_BOTH,
        });
        Ok(())
    })
}

/// The number of a body style by its name in configurations: "error", "message" or "problem".
///
/// Errors: TIDEGATE_ERROR_ARGUMENT for any other name.
/// Thread safety: any thread at any time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_body_style(
    name: *const c_char,
    style: *mut i32,
) -> tidegate_status {
    guard(|| {
        // SAFETY: the header's contract.
        let (name, place) = unsafe { (text_named(name, "name")?, Out::new(style, "style")?) };
        place.write(match BodyStyle::from_name(name)? {
            BodyStyle::Error => TIDEGATE_BODY_ERROR,
            BodyStyle::Message => TIDEGATE_BODY_MESSAGE,
            _ => TIDEGATE_BODY_PROBLEM,
        });
        Ok(())
    })
}

/// The status of the response: 429 (Too Many Requests) for a denial, 200 for an admission; 0 for
/// what is no decision.
///
/// Thread safety: any thread at any time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_decision_status(decision: *const tidegate_decision) -> u16 {
    // SAFETY: the header's contract.
    guard_value(0, || Ok(unsafe { returned(decision) }?.status()))
}

/// The header fields of the response, admitted or denied, each as "Name: value" with CR and LF at
/// its end; Retry-After is among them on denials that waiting ends. There may be none. `style` is a
/// TIDEGATE_HEADERS number.
///
///     char headers[512];
///     size_t needed;
///     tidegate_decision_headers(&decision, TIDEGATE_HEADERS_BOTH, headers, sizeof headers, &needed);
///
/// As with snprintf, `*needed` is the length of the text without the NUL at its end, whether it fits
/// or not; with `buffer_len` 0 the buffer is ignored. A text that does not fit (`*needed` is not less
/// than `buffer_len`) is not written in part: the buffer holds "".
///
/// Errors: TIDEGATE_ERROR_ARGUMENT, also when no call has written the decision yet, or its
/// `struct_size` is that of an older header.
/// Thread safety: any thread at any time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_decision_headers(
    decision: *const tidegate_decision,
    style: i32,
    buffer: *mut c_char,
    buffer_len: usize,
    needed: *mut usize,
) -> tidegate_status {
    guard(|| {
        // SAFETY: the header's contract.
        let (decision, place) =
            unsafe { (returned(decision)?, OutText::new(buffer, buffer_len, needed)?) };
        let mut lines = String::new();
        for (name, value) in &decision.headers(header_style(style)?) {
            lines.extend([*name, ": ", value, "\r\n"]);
        }
        place.write(&lines);
        Ok(())
    })
}

/// The body of the response to a denied request: one line of JSON; "" for an admitted one, which has
/// none. `style` is a TIDEGATE_BODY number. Where the policy has words of its own for the denial,
/// they are the message. Buffer and `*needed` as in tidegate_decision_headers.
///
/// Errors: as tidegate_decision_headers.
/// Thread safety: any thread at any time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_decision_body(
    decision: *const tidegate_decision,
    style: i32,
    buffer: *mut c_char,
    buffer_len: usize,
    needed: *mut usize,
) -> tidegate_status {
    guard(|| {
        // SAFETY: the header's contract.
        let (decision, place) =
            unsafe { (returned(decision)?, OutText::new(buffer, buffer_len, needed)?) };
        place.write(&decision.body(body_style(style)?).text);
        Ok(())
    })
}

/// The Content-Type of bodies of a style: "application/json" or "application/problem+json"; "" for any
/// other number. Never NULL, never to be freed.
///
/// Thread safety: any thread at any time.
#[unsafe(no_mangle)]
pub extern "C" fn tidegate_body_content_type(style: i32) -> *const c_char {
    match style {
        TIDEGATE_BODY_ERROR | TIDEGATE_BODY_MESSAGE => c"application/json",
        TIDEGATE_BODY_PROBLEM => c"application/problem+json",
        _ => c"",
    }
    .as_ptr()
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;

    use super::*;

    #[test]
    fn content_types_are_the_engines() {
        let decision = engine::Limiter::new("1/hour").unwrap().acquire("k", 1).unwrap();
        for style in [TIDEGATE_BODY_ERROR, TIDEGATE_BODY_MESSAGE, TIDEGATE_BODY_PROBLEM] {
            // SAFETY: a literal.
            let own = unsafe { CStr::from_ptr(tidegate_body_content_type(style)) };
            let engines = decision.body(body_style(style).ok().unwrap()).content_type;
            assert_eq!(own.to_str(), Ok(engines));
        }
        assert!(body_style(3).is_err() && header_style(3).is_err() && header_style(-1).is_err());
    }
}
