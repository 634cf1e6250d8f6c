//! Gives the shared library its SONAME: the major version is the ABI's.

use std::env;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let major = env::var("CARGO_PKG_VERSION_MAJOR").unwrap_or_default();
    match env::var("CARGO_CFG_TARGET_OS").unwrap_or_default().as_str() {
        "windows" => {}
        "macos" | "ios" => {
            println!(
                "cargo:rustc-cdylib-link-arg=-Wl,-install_name,@rpath/libtidegate.{major}.dylib"
            );
        }
        _ => println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libtidegate.so.{major}"),
    }
}
