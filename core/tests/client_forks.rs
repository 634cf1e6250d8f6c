//! Forked children of a process with a pacer: none of its calls are theirs, from their first call on.
#![cfg(target_os = "linux")]

use std::io::{Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use tidegate::client::{Call, CallOptions, Finish, Pacer, ServerLimits, Step};
use tidegate::{Limiter, ManualClock, Timestamp};

/// What `work` returns in a forked child.
fn in_child(work: impl FnOnce() -> u64) -> u64 {
    let (mut reader, mut writer) = std::io::pipe().unwrap();
    // SAFETY: this file has one test, so that no other thread is in the middle of anything that the child uses.
    let child = unsafe { libc::fork() };
    assert!(child >= 0, "{}", std::io::Error::last_os_error());
    if child == 0 {
        let said = catch_unwind(AssertUnwindSafe(work));
        let code = said.map_or(1, |said| match writer.write_all(&said.to_ne_bytes()) {
            Ok(()) => 0,
            Err(_) => 2,
        });
        // SAFETY: it ends the child, without what is left to do in its parent.
        unsafe { libc::_exit(code) }
    }
    drop(writer);
    let mut said = [0; 8];
    let read = reader.read_exact(&mut said);
    let mut status = 0;
    // SAFETY: the child is ours and was not waited for; the pointer is to a number on the stack, and is not kept.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    assert_eq!(status, 0, "the child failed");
    read.unwrap();
    u64::from_ne_bytes(said)
}

fn begin(pacer: &Pacer) -> Call {
    pacer.begin(CallOptions::default())
}

fn goes(call: &mut Call) -> bool {
    matches!(call.check(), Step::Go)
}

#[test]
fn a_child_has_none_of_its_parents_calls() {
    let clock = ManualClock::new(Timestamp::from_secs(1_700_000_000));
    let policy = r#"{"limit": [{"method": "concurrency", "quota": 3}, {"rate": "100/hour"}]}"#;
    let limiter = Limiter::builder(policy).clock(clock).build().unwrap();
    let hour = Duration::from_secs(3600);
    let builder = || Pacer::builder().concurrency(3).base(hour).cap(hour);
    let pacer = builder().limiter(&limiter, "k").build().unwrap();
    let used = || {
        limiter
            .snapshot("k")
            .unwrap()
            .buckets
            .iter()
            .map(|bucket| bucket.used)
            .collect::<Vec<u64>>()
    };
    let (mut one, mut other) = (begin(&pacer), Some(begin(&pacer)));
    assert!(goes(&mut one) && other.as_mut().is_some_and(goes));
    let seen = || u64::from(pacer.stats().in_flight);

    // Whatever it does first.
    assert_eq!(in_child(seen), 0);
    let first_call = in_child(|| {
        let mut call = begin(&pacer);
        assert!(goes(&mut call));
        assert_eq!(used(), [1, 3], "permits come back, units do not");
        seen()
    });
    assert_eq!(first_call, 1);
    let all_at_once = in_child(|| {
        let mut calls = [(); 4].map(|()| begin(&pacer));
        let going = calls.iter_mut().filter_map(|call| goes(call).then_some(())).count();
        assert_eq!(used()[0], 3);
        going as u64
    });
    assert_eq!(all_at_once, 3);
    // Calls that it was forked in the middle of: they are the parent's to finish.
    let finished = in_child(|| {
        let calls = [(); 3].map(|()| begin(&pacer));
        let finish = one.finish(200, &ServerLimits::NONE);
        assert!(matches!(finish, Finish::Done), "{finish:?}");
        drop(other.take());
        assert_eq!((seen(), used()[0]), (3, 3), "nothing was given back twice");
        drop(calls);
        assert_eq!(used()[0], 0);
        seen()
    });
    assert_eq!(finished, 0);
    // Children of children.
    let grandchilds = in_child(|| {
        in_child(|| {
            let mut call = begin(&pacer);
            assert!(goes(&mut call));
            seen()
        })
    });
    assert_eq!(grandchilds, 1);
    // All that is nothing to the parent.
    assert_eq!((seen(), used()), (2, vec![2, 2]));

    // Jitter is drawn anew, in the first call as well; with a seed it is the same everywhere.
    let delay = |pacer: &Pacer| {
        let mut call = begin(pacer);
        assert!(goes(&mut call));
        match call.finish(429, &ServerLimits::NONE) {
            Finish::Retry { after } => u64::try_from(after.as_nanos()).unwrap(),
            finish => panic!("{finish:?}"),
        }
    };
    let fresh = builder().build().unwrap();
    let mut drawn = vec![in_child(|| delay(&fresh)), in_child(|| delay(&fresh)), delay(&fresh)];
    drawn.sort_unstable();
    drawn.dedup();
    assert_eq!(drawn.len(), 3, "{drawn:?}");
    let seeded = builder().seed(7).build().unwrap();
    assert_eq!(in_child(|| delay(&seeded)), in_child(|| delay(&seeded)));
}
