//! Tells the linker where Node's symbols will come from.

fn main() {
    napi_build::setup();
}
