//! The hash of a secret, for policies.

use std::ffi::c_char;

use engine::hash_secret;

use crate::guard::guard;
use crate::handle::{OutText, text_of};
use crate::status::tidegate_status;

/// The line for a policy that lets requests with this secret pass: "sha256:" and 64 hexadecimal digits,
/// 71 bytes. The secret is `secret_len` bytes of UTF-8. It is SHA-256 without salt, which hides what
/// cannot be guessed: take 128 random bits at least. Buffer and `*needed` as in
/// tidegate_decision_headers.
///
/// Errors: TIDEGATE_ERROR_ARGUMENT.
/// Thread safety: any thread at any time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_hash_secret(
    secret: *const c_char,
    secret_len: usize,
    buffer: *mut c_char,
    buffer_len: usize,
    needed: *mut usize,
) -> tidegate_status {
    guard(|| {
        // SAFETY: the header's contract.
        let (secret, place) = unsafe {
            (
                text_of(secret, secret_len, ("secret", "secret_len"))?,
                OutText::new(buffer, buffer_len, needed)?,
            )
        };
        place.write(&hash_secret(secret));
        Ok(())
    })
}
