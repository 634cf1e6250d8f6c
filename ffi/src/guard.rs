//! The one place where panics stop and results become numbers.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::{self, Failure};
use crate::status::{TIDEGATE_OK, tidegate_status};

/// Runs the body of a call. A failure is remembered for `tidegate_last_error`.
///
/// `AssertUnwindSafe`: what the engine shares between calls is made of atomics that are valid
/// word by word and of locks that do not poison; the rest is dropped by the unwinding.
#[inline]
pub(crate) fn guard(body: impl FnOnce() -> Result<(), Failure>) -> tidegate_status {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => TIDEGATE_OK,
        Ok(Err(failure)) => error::remember(&failure),
        Err(payload) => error::remember(&Failure::panic(payload)),
    }
}

/// As [`guard`], for calls that answer with a value; `otherwise` stands for a failure.
#[inline]
pub(crate) fn guard_value<T>(otherwise: T, body: impl FnOnce() -> Result<T, Failure>) -> T {
    let mut value = None;
    guard(|| {
        value = Some(body()?);
        Ok(())
    });
    value.unwrap_or(otherwise)
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;

    use super::*;
    use crate::error::tidegate_last_error;
    use crate::status::TIDEGATE_ERROR_INTERNAL;

    fn last_error() -> String {
        // SAFETY: the text lives until the next failure of this thread.
        let text = unsafe { CStr::from_ptr(tidegate_last_error()) };
        text.to_string_lossy().into_owned()
    }

    #[test]
    fn a_panic_becomes_a_status() {
        assert_eq!(guard(|| panic!("a defect")), TIDEGATE_ERROR_INTERNAL);
        assert_eq!(last_error(), "internal: a defect");
        assert_eq!(guard(|| panic!("defect number {}", 2)), TIDEGATE_ERROR_INTERNAL);
        assert_eq!(last_error(), "internal: defect number 2");
        assert_eq!(guard(|| std::panic::panic_any(7)), TIDEGATE_ERROR_INTERNAL);
        assert_eq!(last_error(), "internal: a panic without a text");
    }

    #[test]
    fn a_panic_gives_the_value_that_stands_for_failure() {
        assert!(!guard_value(false, || panic!("a defect")));
        assert!(guard_value(false, || Ok(true)));
    }
}
