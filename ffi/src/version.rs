//! The version, for the preprocessor and at run time.

use std::ffi::c_char;

/// The version of this header: major.
pub const TIDEGATE_VERSION_MAJOR: u32 = 0;
/// The version of this header: minor.
pub const TIDEGATE_VERSION_MINOR: u32 = 1;
/// The version of this header: patch.
pub const TIDEGATE_VERSION_PATCH: u32 = 0;

// A header with another version than the package does not build.
const _: () = {
    const fn number(text: &str) -> u32 {
        match u32::from_str_radix(text, 10) {
            Ok(number) => number,
            Err(_) => panic!("not a number"),
        }
    }
    assert!(TIDEGATE_VERSION_MAJOR == number(env!("CARGO_PKG_VERSION_MAJOR")));
    assert!(TIDEGATE_VERSION_MINOR == number(env!("CARGO_PKG_VERSION_MINOR")));
    assert!(TIDEGATE_VERSION_PATCH == number(env!("CARGO_PKG_VERSION_PATCH")));
};

/// The version of the library that the program runs with, such as "0.1.0"; compare it with
/// TIDEGATE_VERSION, the version of this header. Never NULL, never to be freed.
///
/// Thread safety: any thread at any time.
#[unsafe(no_mangle)]
pub extern "C" fn tidegate_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}
