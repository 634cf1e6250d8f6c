//! A process of its own: resident memory is that of a whole process, and other tests give theirs back meanwhile.

#![cfg(target_os = "linux")]

use tidegate_benches::memory::weigh_here;

#[test]
fn a_key_weighs_something() {
    // The code that this takes is resident from here on: a debug build has megabytes of it.
    weigh_here("one-limit", 20_000, 20_000).expect("a weight");
    let weight = weigh_here("one-limit", 20_000, 20_000).expect("a weight");
    assert!((16.0..100.0).contains(&weight), "{weight}");
    assert!(weigh_here("feathers", 1, 1).is_err());
}
