//! The header's table of contents: which call stands where, under which heading. A call that is
//! missing here, or here twice, or no more, stops the generator.

/// A heading, one line about what is under it, and its calls.
pub(crate) struct Section {
    pub(crate) title: &'static str,
    pub(crate) about: &'static str,
    pub(crate) calls: &'static [&'static str],
}

const fn section(
    title: &'static str,
    about: &'static str,
    calls: &'static [&'static str],
) -> Section {
    Section { title, about, calls }
}

pub(crate) const CONTENTS: &[Section] = &[
    section(
        "1. Simple",
        "A limiter, yes or no, and what went wrong. Enough for most programs.",
        &["limiter_new", "try_acquire", "acquire", "record_latency", "limiter_free", "last_error"],
    ),
    section(
        "2. Limiters",
        "With options, from files, changed while running.",
        &[
            "limiter_new_with",
            "limiter_new_from_file",
            "update",
            "limiter_name",
            "limiter_now",
            "stats",
        ],
    ),
    section(
        "3. Keys",
        "Many at once, looking, giving back, and the operator's hand.",
        &["acquire_many", "peek", "refund", "release", "reset", "block", "penalize"],
    ),
    section(
        "4. Snapshots",
        "Every bucket of a key, for logs and dashboards.",
        &["snapshot", "buckets_count", "buckets_get", "buckets_blocked_for_ns", "buckets_free"],
    ),
    section(
        "5. Measures and reservations",
        "Requests whose price is known only when they are done.",
        &["measure_begin", "measure_end", "reserve", "settle", "cancel", "reservation_free"],
    ),
    section("6. Waiting", "Until it is this request's turn.", &["wait"]),
    section(
        "7. Clocks",
        "The machine's, or one that a test moves by hand.",
        &["clock_new", "clock_new_manual", "clock_set", "clock_advance", "clock_now", "clock_free"],
    ),
    section(
        "8. Errors, names and the version",
        "Where a policy is wrong; numbers as words.",
        &[
            "last_error_field",
            "last_error_line",
            "last_error_column",
            "status_name",
            "reason_name",
            "method_name",
            "version",
        ],
    ),
    section(
        "9. Advanced: explicit times",
        "The same calls at a given time, for replays and for programs that have the time already.",
        &[
            "acquire_at",
            "try_acquire_at",
            "acquire_many_at",
            "peek_at",
            "record_latency_at",
            "refund_at",
            "release_at",
            "reset_at",
            "block_at",
            "penalize_at",
            "update_at",
            "snapshot_at",
            "reserve_at",
            "settle_at",
            "cancel_at",
        ],
    ),
    section(
        "10. Advanced: waiting without a thread",
        "For event loops.",
        &["queue", "ticket_poll", "ticket_free"],
    ),
];
