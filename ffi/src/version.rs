//! The version, for the preprocessor and at run time.

use std::ffi::c_char;

/// The version of this header: major.
pub const TIDEGATE_VERSION_MAJOR: u32 = 0;
/// The version of this header: minor.
pub const TIDEGATE_VERSION_MINOR: u32 = 1;
/// The version of this header: patch.
pub const TIDEGATE_VERSION_PATCH: u32 = 0;

/// The version of the library that the program runs with, such as "0.1.0"; compare it with
/// TIDEGATE_VERSION, the version of this header. Never NULL, never to be freed.
///
/// Thread safety: any thread at any time.
#[unsafe(no_mangle)]
pub extern "C" fn tidegate_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_macros_are_the_version_of_the_package() {
        let macros =
            format!("{TIDEGATE_VERSION_MAJOR}.{TIDEGATE_VERSION_MINOR}.{TIDEGATE_VERSION_PATCH}");
        assert_eq!(macros, env!("CARGO_PKG_VERSION"));
        assert_eq!(macros, engine::VERSION);
    }
}
