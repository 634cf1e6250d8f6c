//! Many keys in one call: each has its own answer, in order, at one moment.

use super::{PER_MINUTE, count, kinds};
use crate::policy::Algorithm::{self, Clock, FirstRequest, Sliding};
use crate::policy::{Limit, Period, Policy, Rate};
use crate::script::Script;
use crate::vectors::START;
use crate::{HOUR, SECOND};

pub fn all() -> Vec<Script> {
    let mut scripts: Vec<_> =
        kinds().into_iter().map(|(name, algorithm)| batch(name, algorithm)).collect();
    scripts.push(several_limits());
    scripts.push(permits());
    scripts.push(keys());
    scripts
}

/// The shapes of a batch, on each algorithm.
fn batch(name: &str, algorithm: Algorithm) -> Script {
    let about = "No keys, one key, a key twice, one that is spent half-way, blocked and impossible";
    let name = format!("batch-{name}");
    let mut script = Script::toml(&name, about, &count(3, algorithm), START + 7);
    let none: [&str; 0] = [];
    script.acquire_many(&none, 1).acquire_many(&["a"], 1).acquire_many(&["a", "b", "a"], 1);
    // "a" was spent before, "b" is spent half-way: a denial is its own key's alone.
    script.acquire_many(&["b", "a", "b", "a", "b"], 1).snapshot("a").snapshot("b");
    script.block("x", 10 * SECOND).acquire_many(&["x", "c", "x"], 2).snapshot("c");
    script.acquire_many(&["c", "x", "d", "c"], 4).acquire_many(&["c", "x"], u64::MAX);
    script.acquire_many(&["c", "e"], 0).snapshot("c").snapshot("e");
    // What one call leaves, the other finds.
    script.after(21 * SECOND).acquire("a", 1).acquire_many(&["a", "x", "a", "b"], 1);
    script.penalize("d", 4).acquire_many(&["d", "d", "f"], 0).obey("a", 2).snapshot("a");
    script
}

fn several_limits() -> Script {
    let minute = Rate::new(4, PER_MINUTE).with(FirstRequest);
    let hour = Rate::new(6, Period::Nanos(HOUR)).with(Clock("Europe/Amsterdam".to_owned()));
    let policy = Policy::new([
        Limit::count("cascade", [minute, hour]),
        Limit::count("slow", [Rate::new(9, Period::Nanos(HOUR)).with(Sliding)]),
        Limit::latency("time", [Rate::new(2 * SECOND, PER_MINUTE)]),
    ]);
    let about = "Each key pays all of its limits or none, whatever the key before it was told";
    let mut script = Script::toml("batch-several-limits", about, &policy, START + 7);
    script.acquire_many(&["a", "b", "a", "a", "b"], 3).snapshot("a").snapshot("b");
    script.record_latency("b", 3 * SECOND).acquire_many(&["a", "b", "c"], 1).snapshot("b");
    script.acquire_many(&["c", "c", "a"], 10).acquire_many(&["c", "c", "c"], 5).snapshot("c");
    script.after(61 * SECOND).acquire_many(&["a", "b", "c", "d"], 2).snapshot("a").snapshot("d");
    script
}

fn permits() -> Script {
    let policy = Policy::new([
        Limit::count("tokens", [Rate::new(100, PER_MINUTE)]),
        Limit::permits("calls", 2),
    ]);
    let about = "A permit for each time that a key occurs";
    let mut script = Script::toml("batch-permits", about, &policy, START);
    script.acquire_many(&["a", "a", "b", "a"], 30).snapshot("a").snapshot("b").release("a");
    script.acquire_many(&["b", "a", "b"], 30).snapshot("a").release("b").acquire("b", 1);
    script
}

/// More keys than are looked at together, in several sizes; and keys of any bytes.
fn keys() -> Script {
    let about = "Equal bytes are one key, however many others are in the batch";
    let mut script = Script::toml("batch-keys", about, &count(3, Algorithm::Gcra(None)), START);
    for size in [15, 16, 17, 70] {
        let keys: Vec<_> = (0..size).map(|n| format!("user:{}", n * n % 37)).collect();
        script.acquire_many(&keys, 1).after(SECOND);
    }
    let any: [&[u8]; 8] =
        [b"", b"\0", b"\xff\xfe", b"\0", "\u{e9}".as_bytes(), b"\0", b"", b"user:0"];
    script.acquire_many(&any, 1).acquire_many(&["", "\u{e9}", "e"], 2);
    let long = "k".repeat(300);
    script.acquire_many(&[&*long, &long[1..], &*long], 2);
    script
}
