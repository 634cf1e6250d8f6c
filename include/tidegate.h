/* tidegate.h: an embeddable rate-limit engine.
 *
 * Generated from the library's sources (`make header`); not to be edited by hand.
 *
 *     #include <stdio.h>
 *     #include <string.h>
 *     #include <tidegate.h>
 *
 *     int main(void)
 *     {
 *         const char *policy = "100/minute";
 *         tidegate_limiter *limiter;
 *         if (tidegate_limiter_new(policy, strlen(policy), &limiter) != TIDEGATE_OK) {
 *             fprintf(stderr, "%s\n", tidegate_last_error());
 *             return 1;
 *         }
 *         if (tidegate_try_acquire(limiter, "user:42", 7, 1))
 *             puts("admitted");
 *         tidegate_limiter_free(limiter);
 *     }
 *
 * Build with `cc program.c $(pkg-config --cflags --libs tidegate)`.
 *
 * CONTENTS
 *
 *   1. Simple
 *   2. Limiters
 *   3. Keys
 *   4. Requests with attributes
 *   5. Plans and use
 *   6. HTTP
 *   7. Alerts and watches
 *   8. Snapshots
 *   9. Measures and reservations
 *   10. Waiting
 *   11. Clocks
 *   12. Errors, names and the version
 *   13. Advanced: explicit times
 *   14. Advanced: waiting without a thread
 *   15. Calling a limited interface
 *   16. What a pacer tells
 *   17. The pieces alone
 *
 * WHAT HOLDS FOR ALL CALLS
 *
 * Results. A call returns a tidegate_status: TIDEGATE_OK (0), or what went wrong. A denied request
 * is not an error: the call returns TIDEGATE_OK and `allowed` is false. Outputs are written
 * only when a call returns TIDEGATE_OK. tidegate_last_error says in words what went wrong.
 *
 * Requests. Wherever a call takes a key, a twin of it, whose name ends in _request, takes an array
 * of attributes: who asks, and for what (see tidegate_attribute).
 *
 * Arguments. Inputs come before outputs. A NULL argument where none is allowed gives
 * TIDEGATE_ERROR_ARGUMENT, and the error's text names it. Pointers that are not NULL must be valid
 * and aligned for their type. Where there is a length, 0 ignores the pointer: a key may be NULL
 * with length 0, and is the empty key. Keys are any bytes; texts are UTF-8.
 *
 * Handles (tidegate_limiter, tidegate_clock, tidegate_reservation, tidegate_measure,
 * tidegate_ticket, tidegate_buckets, tidegate_usage_report, tidegate_watcher, tidegate_pacer,
 * tidegate_call, tidegate_waits, tidegate_server_limits, tidegate_backoff) are made and given back
 * by calls of this header. Using one that was given back is undefined, as with free(3). Giving back
 * NULL is a no-op.
 *
 * Structs that start with `struct_size` only grow at their end. The caller sets it (the INIT
 * macros do); a library that is older or newer than the header writes what fits. 0 is refused.
 *
 * Times and durations are nanoseconds in a uint64_t, times since the Unix epoch, up to the year
 * 2116. TIDEGATE_NEVER (UINT64_MAX) stands for what never comes. Costs may be any uint64_t. A call
 * whose name ends in _at takes the time as an argument instead of reading the limiter's clock;
 * errors and thread safety are those of the call without it.
 *
 * Threads. The library makes none of its own, but for tidegate_watch. A `const` receiver means that
 * concurrent calls are fine. Panics inside the library are contained and give
 * TIDEGATE_ERROR_INTERNAL.
 */


#ifndef TIDEGATE_H
#define TIDEGATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The version of this header, as a text. */
#define TIDEGATE_VERSION "0.1.0"

/* Initial values of structs that start with `struct_size`. */
#define TIDEGATE_DECISION_INIT \
    { sizeof(tidegate_decision), false, 0, 0, 0, 0, 0, 0, NULL, NULL, 0, 0, NULL }
#define TIDEGATE_OPTIONS_INIT { sizeof(tidegate_options), 0, 0, NULL, NULL, NULL, NULL }
#define TIDEGATE_BUCKET_INIT { sizeof(tidegate_bucket), 0, { 0, 0, 0 }, 0, 0, 0, 0, 0, NULL, NULL }
#define TIDEGATE_COUNTERS_INIT { sizeof(tidegate_counters), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }
#define TIDEGATE_USAGE_TOTALS_INIT \
    { sizeof(tidegate_usage_totals), false, { 0, 0, 0 }, 0, 0, 0, 0, 0, 0, NULL, NULL }
#define TIDEGATE_USAGE_KIND_INIT { sizeof(tidegate_usage_kind), 0, 0, NULL, 0 }
#define TIDEGATE_QUOTA_INIT { sizeof(tidegate_quota), false, false, false, false, 0, 0, 0, 0, NULL }
#define TIDEGATE_PACER_OPTIONS_INIT \
    { sizeof(tidegate_pacer_options), 10, TIDEGATE_NEVER, 5, 100, UINT64_C(1000000000), \
      UINT64_C(30000000000), UINT64_C(60000000000), TIDEGATE_NEVER, 0, 1, 3, 5, 0, \
      UINT64_C(30000000000), NULL }
#define TIDEGATE_CALL_OPTIONS_INIT \
    { sizeof(tidegate_call_options), UINT32_MAX, 1, TIDEGATE_NEVER, NULL }
#define TIDEGATE_STEP_INIT { sizeof(tidegate_step), 0, 0, 0, 0, 0, 0 }
#define TIDEGATE_PACER_COUNTERS_INIT \
    { sizeof(tidegate_pacer_counters), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }
#define TIDEGATE_WAIT_COUNT_INIT { sizeof(tidegate_wait_count), 0, 0, NULL }

/** The version of this header: major. */
#define TIDEGATE_VERSION_MAJOR 0

/** The version of this header: minor. */
#define TIDEGATE_VERSION_MINOR 1

/** The version of this header: patch. */
#define TIDEGATE_VERSION_PATCH 0

/** Done; the outputs are written. */
#define TIDEGATE_OK 0

/** A bad argument or option: NULL, a length or a time out of range, a struct_size of 0. */
#define TIDEGATE_ERROR_ARGUMENT 1

/** A mistake in a policy. The error's text says where it is and what would be right. */
#define TIDEGATE_ERROR_POLICY 2

/** A policy file that could not be read. */
#define TIDEGATE_ERROR_FILE 3

/** The store failed, or holds something that is not a limiter's. */
#define TIDEGATE_ERROR_STORE 4

/** A defect of this library, contained; please report the error's text. */
#define TIDEGATE_ERROR_INTERNAL 5

/** Admitted. */
#define TIDEGATE_REASON_OK 0

/** Denied: a limit has no room now; it will have after `retry_after_ns`. */
#define TIDEGATE_REASON_LIMITED 1

/** Denied: the key is blocked until `retry_after_ns` has passed (tidegate_block), or by the policy. */
#define TIDEGATE_REASON_BLOCKED 2

/** Admitted without being counted. */
#define TIDEGATE_REASON_BYPASS 3

/** Denied: the cost is more than a limit can ever hold; no waiting helps. */
#define TIDEGATE_REASON_IMPOSSIBLE 4

/** As a duration: never. As a time limit: none. (UINT64_MAX) */
#define TIDEGATE_NEVER UINT64_MAX

/** Headers X-RateLimit-Limit, -Remaining, -Reset, and -Burst where there is a pool for bursts. */
#define TIDEGATE_HEADERS_LEGACY 0

/** Headers RateLimit-Policy and RateLimit of draft-ietf-httpapi-ratelimit-headers. */
#define TIDEGATE_HEADERS_DRAFT 1

/** Legacy headers, then those of the draft. */
#define TIDEGATE_HEADERS_BOTH 2

/** A body with code, message and details: {"error":{"code":"RATE_LIMIT_EXCEEDED",...}} */
#define TIDEGATE_BODY_ERROR 0

/** A body with a message and the status: {"message":"Too many requests","code":429} */
#define TIDEGATE_BODY_MESSAGE 1

/** A body of problem details (RFC 9457), of the type quota-exceeded. */
#define TIDEGATE_BODY_PROBLEM 2

/** The limit counts requests times cost. */
#define TIDEGATE_METHOD_COUNT 0

/** The limit counts time spent, in nanoseconds. */
#define TIDEGATE_METHOD_LATENCY 1

/** The limit counts requests in flight. */
#define TIDEGATE_METHOD_CONCURRENCY 2

/** The call is over: hand the answer on, whatever it is. */
#define TIDEGATE_STEP_DONE 0

/** Make the attempt, and tell the answer with tidegate_call_finish. */
#define TIDEGATE_STEP_GO 1

/** Ask again when `wait_ns` have passed, or when woken. */
#define TIDEGATE_STEP_WAIT 2

/** The call is over: it is given up, and `failure` says why. */
#define TIDEGATE_STEP_FAIL 3

/** The call has not failed. */
#define TIDEGATE_FAILURE_NONE 0

/** The server refused every attempt. */
#define TIDEGATE_FAILURE_RETRIES_EXHAUSTED 1

/** The server asks for a longer wait than `max_retry_after_ns`. */
#define TIDEGATE_FAILURE_RETRY_AFTER_TOO_LONG 2

/** The deadline has passed, or would pass before the next attempt. */
#define TIDEGATE_FAILURE_DEADLINE_EXCEEDED 3

/** The breaker is open: nothing is sent. */
#define TIDEGATE_FAILURE_BREAKER_OPEN 4

/** The cost can never fit a limit: no waiting helps. */
#define TIDEGATE_FAILURE_IMPOSSIBLE 5

/** The pacer was closed, or the call was over already. */
#define TIDEGATE_FAILURE_CLOSED 6

/** The limiter refused the call itself: an attribute is missing or wrong. */
#define TIDEGATE_FAILURE_LIMITER 7

/** An answer that is handed on: a success, or an error that is the program's own business. */
#define TIDEGATE_CLASS_PASSED 0

/** The server limits us: the call is tried again, and every call of the pacer waits. */
#define TIDEGATE_CLASS_LIMITED 1

/** The credential was refused: handed on, never tried again; counts for the breaker. */
#define TIDEGATE_CLASS_UNAUTHORIZED 2

/** The credential is not good for this: as TIDEGATE_CLASS_UNAUTHORIZED, with a count of its own. */
#define TIDEGATE_CLASS_FORBIDDEN 3

/** It failed for the moment: the call is tried again, nobody else waits. */
#define TIDEGATE_CLASS_RETRY 4

/** It failed: handed on, counts for the breaker. */
#define TIDEGATE_CLASS_FAILED 5

/** There is no answer (a connection that broke): handed on, and says nothing about the server. */
#define TIDEGATE_CLASS_ERROR 6

/** A call will be tried again after `delay_ns`: `label`, `attempts`, `status`. */
#define TIDEGATE_EVENT_RETRY 0

/**
 * Everybody waits for `delay_ns`; told once for each pause, not when it is drawn out. `cause` says
 * why: an answer (`status`), or a quota that is used up (`quota`).
 */
#define TIDEGATE_EVENT_PAUSE 1

/** A call was refused every time and is given up: `label`, `attempts`, `status`. */
#define TIDEGATE_EVENT_EXHAUSTED 2

/** The breaker opened: nothing is sent for `delay_ns`. `cause` says why, after so many `failures`. */
#define TIDEGATE_EVENT_BREAKER_OPENED 3

/** The breaker closed: calls go again. */
#define TIDEGATE_EVENT_BREAKER_CLOSED 4

/** The server says that little is left of a `quota`; told once until more is left again. */
#define TIDEGATE_EVENT_NEAR_LIMIT 5

/** The kind of event has none. */
#define TIDEGATE_CAUSE_NONE 0

/** The server refused a call. */
#define TIDEGATE_CAUSE_LIMITED 1

/** By the headers nothing is left of a quota. */
#define TIDEGATE_CAUSE_EXHAUSTED 2

/** The credential was refused. */
#define TIDEGATE_CAUSE_AUTHENTICATION 3

/** Calls failed. */
#define TIDEGATE_CAUSE_FAILURES 4

/** Waits before retries, with full jitter. */
typedef struct tidegate_backoff tidegate_backoff;

/** Every bucket of a key at one moment. */
typedef struct tidegate_buckets tidegate_buckets;

/** One call to somebody else's interface, with as many attempts as it takes. */
typedef struct tidegate_call tidegate_call;

/** A source of time for limiters. */
typedef struct tidegate_clock tidegate_clock;

/** A policy, the state of its keys, and a clock. */
typedef struct tidegate_limiter tidegate_limiter;

/** A request under way. */
typedef struct tidegate_measure tidegate_measure;

/**
 * Paces calls to somebody else's limited interface: a limiter, a cap on concurrent calls, retries,
 * pauses and a breaker, shared by all calls of the program to that interface.
 */
typedef struct tidegate_pacer tidegate_pacer;

/** An estimate that was taken, to be settled or cancelled. */
typedef struct tidegate_reservation tidegate_reservation;

/** What a response tells of the server's limits. */
typedef struct tidegate_server_limits tidegate_server_limits;

/** A place in a key's queue. */
typedef struct tidegate_ticket tidegate_ticket;

/** A report of use. */
typedef struct tidegate_usage_report tidegate_usage_report;

/** What the calls of a pacer waited for. */
typedef struct tidegate_waits tidegate_waits;

/** A policy file that is followed. */
typedef struct tidegate_watcher tidegate_watcher;

/**
 * What a call returns: TIDEGATE_OK or one of the TIDEGATE_ERROR numbers. They never
 * change; new ones may be added. A denied request is not an error: the call returns TIDEGATE_OK, and
 * `allowed` is false.
 */
typedef int32_t tidegate_status;

/**
 * The answer to one request. Start with `tidegate_decision decision = TIDEGATE_DECISION_INIT;`;
 * one struct may be used for any number of calls.
 *
 * The numbers are those of the limit that decides: of a denied request the one with the longest
 * wait, of an admitted one the tightest (the smallest share of its capacity left). Units are
 * requests times cost (count limits), nanoseconds (latency) or permits (concurrency).
 */
typedef struct tidegate_decision {
    /** sizeof(tidegate_decision), set by the caller; fields beyond it are not written. */
    uint32_t struct_size;
    /** May the request go on? */
    bool allowed;
    /** Why: a TIDEGATE_REASON number. */
    uint8_t reason;
    /** Always 0. */
    uint16_t reserved;
    /** The quota of the limit; of a cascade, the sum of its quotas. */
    uint64_t limit;
    /** Units left in the limit after this decision. */
    uint64_t remaining;
    /**
     * How long to wait until the same request passes; 0 when allowed, TIDEGATE_NEVER when it
     * never will.
     */
    uint64_t retry_after_ns;
    /** How long until the limit is full again when nobody uses it. */
    uint64_t reset_after_ns;
    /** The name of the limit, "" for a blocked key. UTF-8; valid for ever, not to be freed. */
    const char *limit_name;
    /** For the library: where it finds what the tidegate_decision calls tell. */
    const void *terms;
    /** When the decision was made, by the wall clock. */
    uint64_t now_ns;
    /**
     * Units left in the later buckets of a cascade, such as a pool for bursts: of the limit that
     * decides, else of the first cascade that the request met; UINT64_MAX when it met none.
     */
    uint64_t burst_remaining;
    /**
     * The name of a limit in shadow that would have denied the request, "" when there is none.
     * UTF-8; valid for ever, not to be freed.
     */
    const char *shadow_name;
} tidegate_decision;

/**
 * Options of a limiter. Start with `tidegate_options options = TIDEGATE_OPTIONS_INIT;` and set
 * what should not be the default. All is copied: nothing needs to outlive the call.
 */
typedef struct tidegate_options {
    /**
     * sizeof(tidegate_options), set by the caller. What lies beyond the options that this
     * library knows must be zero.
     */
    uint32_t struct_size;
    /** Always 0. */
    uint32_t reserved;
    /** Most keys that are remembered at once; 0: the default, 1,000,000. */
    uint64_t max_keys;
    /**
     * What happens to a new key when `max_keys` keys are in use: "inherit" (it takes the place
     * of the key closest to full, and inherits the larger use), "deny", or "allow" (admitted
     * and not remembered). NULL: the default, "inherit".
     */
    const char *on_full;
    /** Where the state is kept. NULL: the default, "memory:". */
    const char *store;
    /** A name for logs, UTF-8. NULL: none. */
    const char *name;
    /**
     * Where the time comes from. NULL: as tidegate_clock_new("counter"). The limiter keeps what it needs: the
     * clock may be freed before it.
     */
    const struct tidegate_clock *clock;
} tidegate_options;

/**
 * One attribute of a request: "key", "account", "ip", "user", "route", "plan", or any other that the
 * policy names in `by` and `when`. Wherever a call takes a key, a twin of it, whose name ends in
 * _request, takes an array of these; a key alone is a request whose attribute "key" it is.
 *
 *     const tidegate_attribute request[] = {
 *         {"key", "k1", 2}, {"account", "acme", 4}, {"route", "GET /v3/configs/7", 17},
 *     };
 *     tidegate_acquire_request(limiter, request, 3, 1, &decision);
 *
 * Attributes that the policy does not mention mean nothing. One that is given twice has the later
 * value. All is read during the call: nothing needs to outlive it.
 */
typedef struct tidegate_attribute {
    /** Its name: UTF-8, ends with NUL. */
    const char *name;
    /** Any `value_len` bytes. Addresses ("ip") are text. */
    const void *value;
    /** The bytes of the value. */
    size_t value_len;
} tidegate_attribute;

/**
 * One bucket of a key. Start with `tidegate_bucket bucket = TIDEGATE_BUCKET_INIT;`. Units are
 * requests times cost (count limits), nanoseconds (latency) or permits (concurrency).
 */
typedef struct tidegate_bucket {
    /** sizeof(tidegate_bucket), set by the caller; fields beyond it are not written. */
    uint32_t struct_size;
    /** What it counts: a TIDEGATE_METHOD number. */
    uint8_t method;
    /** Always 0. */
    uint8_t reserved[3];
    /** Units per period. */
    uint64_t quota;
    /** Most units that can be spent at once (gcra: the burst). */
    uint64_t capacity;
    /** Units used; more than the capacity when in debt. */
    uint64_t used;
    /** Units left. */
    uint64_t remaining;
    /** How long until it refreshes (windows: their end; gcra: full again); 0 when full. */
    uint64_t refresh_after_ns;
    /** The name of its limit. UTF-8, valid as long as the snapshot. */
    const char *limit_name;
    /** Its own name, or the text of its rate ("100/minute"). UTF-8, valid as long as the snapshot. */
    const char *name;
} tidegate_bucket;

/**
 * What a subject used, and how far it is with its longest limit. Start with
 * `tidegate_usage_totals totals = TIDEGATE_USAGE_TOTALS_INIT;`.
 */
typedef struct tidegate_usage_totals {
    /** sizeof(tidegate_usage_totals), set by the caller; fields beyond it are not written. */
    uint32_t struct_size;
    /**
     * Has the subject a count limit? That of the longest window is told of below; else its
     * numbers are 0.
     */
    bool has_limit;
    /** Always 0. */
    uint8_t reserved[3];
    /** The time that the report covers, up to now. */
    uint64_t window_ns;
    /** Units admitted in it. */
    uint64_t total;
    /**
     * Requests of any subject that were not recorded, for want of room for more subjects
     * (`max_keys`).
     */
    uint64_t dropped;
    /** The limit's quota. */
    uint64_t quota;
    /** Units left in it now. */
    uint64_t remaining;
    /** The part of the quota that is used now, in thousandths, rounded down; at most 1000. */
    uint64_t utilization_permille;
    /** The name of the limit, "" when there is none. UTF-8; valid for ever, not to be freed. */
    const char *limit_name;
    /** The plan that holds now, "" when there is none. UTF-8; valid for ever, not to be freed. */
    const char *plan_name;
} tidegate_usage_totals;

/**
 * What a subject used of one kind of call. Start with
 * `tidegate_usage_kind kind = TIDEGATE_USAGE_KIND_INIT;`.
 */
typedef struct tidegate_usage_kind {
    /** sizeof(tidegate_usage_kind), set by the caller; fields beyond it are not written. */
    uint32_t struct_size;
    /** Always 0. */
    uint32_t reserved;
    /** Units admitted. */
    uint64_t units;
    /**
     * The kind: the value of the attribute `by` of the policy's `[usage]`; "" without one. UTF-8 with a
     * NUL at its end, valid as long as the report.
     */
    const char *name;
    /** The bytes of the name, without the NUL at its end. */
    size_t name_len;
} tidegate_usage_kind;

/**
 * Counters of a limiter since its creation. Start with
 * `tidegate_counters counters = TIDEGATE_COUNTERS_INIT;`.
 */
typedef struct tidegate_counters {
    /** sizeof(tidegate_counters), set by the caller; fields beyond it are not written. */
    uint32_t struct_size;
    /** Always 0. */
    uint32_t reserved;
    /** Keys remembered now. */
    uint64_t keys;
    /** Most keys that can be remembered (`max_keys`). */
    uint64_t capacity;
    /** Requests admitted. */
    uint64_t allowed;
    /** Requests denied because a limit had no room. */
    uint64_t limited;
    /** Requests denied because their key was blocked. */
    uint64_t blocked;
    /** Requests admitted without being counted. */
    uint64_t bypassed;
    /** Requests denied because their cost can never fit. */
    uint64_t impossible;
    /** Keys in use whose place was taken by others (`on_full` "inherit"). */
    uint64_t evictions;
    /** Requests of new keys that found the store full (`on_full` "deny" and "allow"). */
    uint64_t saturated;
} tidegate_counters;

/** What is called when it may have become a ticket's turn. See tidegate_queue. */
typedef void (*tidegate_wake)(void *context);

/**
 * Use of a limit has passed one of its thresholds (`alerts` in the policy). What it points to, but for
 * the names of limit and plan, is gone when the listener returns.
 */
typedef struct tidegate_alert {
    /** The bytes of it that the library has written: fields beyond them are those of a newer header. */
    uint32_t struct_size;
    /** What the limit counts: a TIDEGATE_METHOD number. */
    uint8_t method;
    /** Always 0. */
    uint8_t reserved[3];
    /** The threshold, in thousandths of the capacity. */
    uint64_t threshold_permille;
    /** Units used. */
    uint64_t used;
    /** Most units that can be spent at once. */
    uint64_t capacity;
    /** The name of the limit. UTF-8; valid for ever, not to be freed. */
    const char *limit_name;
    /** The request's plan, also of a limit of every plan; "" where the policy has none. UTF-8; valid for ever. */
    const char *plan_name;
    /** Whose request passed it; of a key, the attribute "key". */
    const struct tidegate_attribute *attributes;
    /** How many attributes there are. */
    size_t attribute_count;
} tidegate_alert;

/** What is called with each alert. See tidegate_on_alert. */
typedef void (*tidegate_alert_listener)(const struct tidegate_alert *alert, void *context);

/** What is called when a policy file has changed. See tidegate_watch. */
typedef void (*tidegate_watch_listener)(tidegate_status status, void *context);

/**
 * One header field of a response. A field that comes several times is given several times.
 *
 *     const tidegate_header headers[] = {{"Retry-After", "2", 1}, {"RateLimit", "\"a\";r=0;t=2", 11}};
 *
 * All is read during the call: nothing needs to outlive it.
 */
typedef struct tidegate_header {
    /** Its name, in any case; ends with NUL. */
    const char *name;
    /** Any `value_len` bytes. */
    const char *value;
    /** The bytes of the value. */
    size_t value_len;
} tidegate_header;

/**
 * One quota of a server. Start with `tidegate_quota quota = TIDEGATE_QUOTA_INIT;`. Numbers that were
 * not told are 0.
 */
typedef struct tidegate_quota {
    /** sizeof(tidegate_quota), set by the caller; fields beyond it are not written. */
    uint32_t struct_size;
    /** Was `limit` told? */
    bool has_limit;
    /** Was `remaining` told? */
    bool has_remaining;
    /** Was `reset_after_ns` told? */
    bool has_reset_after;
    /** Was `window_ns` told? */
    bool has_window;
    /** Units in a window. */
    uint64_t limit;
    /** Units left. */
    uint64_t remaining;
    /** Until it is reset, at most 3650 days; 0 when that time is past. */
    uint64_t reset_after_ns;
    /** The length of its window. */
    uint64_t window_ns;
    /**
     * What tells it from others ("requests", "tokens", "day"), in lower case; "" when it is alone.
     * UTF-8, valid as long as the tidegate_server_limits.
     */
    const char *name;
} tidegate_quota;

/**
 * Options of a pacer. Start with `tidegate_pacer_options options = TIDEGATE_PACER_OPTIONS_INIT;`,
 * which holds the defaults, and set what should be otherwise: 0 means 0 here. All is copied: nothing
 * needs to outlive the call.
 */
typedef struct tidegate_pacer_options {
    /**
     * sizeof(tidegate_pacer_options), set by the caller. What lies beyond the options that this
     * library knows must be zero.
     */
    uint32_t struct_size;
    /** Most calls under way at once, 1 to 1,000,000; default 10. */
    uint32_t concurrency;
    /**
     * Units by which bursts of a policy are lowered (never below 1), so that calls that bunch up on
     * their way do not exceed the server's; default TIDEGATE_NEVER: as many as `concurrency`.
     */
    uint64_t headroom;
    /** Most retries of a call; default 5. */
    uint32_t max_retries;
    /**
     * At so many thousandths of a quota known only from headers, what is left is spread until its reset; 0 to
     * 1000, 0: never; default 100.
     */
    uint32_t near_limit;
    /** The longest jitter before the first retry; it doubles with each; default 1 s. */
    uint64_t base_ns;
    /** The longest jitter before any retry; default 30 s. */
    uint64_t cap_ns;
    /** A longer delay that the server asks for is a failure at once; default 60 s. */
    uint64_t max_retry_after_ns;
    /** How long a call may take in all, waits and attempts; default TIDEGATE_NEVER: no end. */
    uint64_t deadline_ns;
    /** Makes the jitter the same each time; default 0: others each time. */
    uint64_t seed;
    /** So many 401 in a row open the breaker; 0: none do; default 1. */
    uint32_t max_unauthorized;
    /** So many 403 in a row open the breaker; 0: none do; default 3. */
    uint32_t max_forbidden;
    /** So many calls in a row that were given up or called failed open the breaker; 0: none do; default 5. */
    uint32_t max_failures;
    /** Always 0. */
    uint32_t reserved;
    /** How long an open breaker lets nothing through, before one call may try; default 30 s. */
    uint64_t breaker_cooldown_ns;
    /**
     * Where the time comes from, NULL: as tidegate_clock_new("counter"). A pacer over a limiter has that
     * limiter's, and takes none here. The clock may be freed before the pacer.
     */
    const struct tidegate_clock *clock;
} tidegate_pacer_options;

/**
 * Options of a call. Start with `tidegate_call_options options = TIDEGATE_CALL_OPTIONS_INIT;`, which
 * holds the defaults. All is copied: nothing needs to outlive the call of tidegate_pacer_begin.
 */
typedef struct tidegate_call_options {
    /**
     * sizeof(tidegate_call_options), set by the caller. What lies beyond the options that this
     * library knows must be zero.
     */
    uint32_t struct_size;
    /** Most retries; default UINT32_MAX: the pacer's. */
    uint32_t max_retries;
    /** Units that each attempt takes from the count limits; default 1. */
    uint64_t cost;
    /** How long the call may take in all; default TIDEGATE_NEVER: the pacer's. */
    uint64_t deadline_ns;
    /** For errors. UTF-8, ends with NUL; default NULL: none. */
    const char *label;
} tidegate_call_options;

/**
 * What a call has to do next. Start with `tidegate_step step = TIDEGATE_STEP_INIT;`; one struct may be
 * used for any number of calls.
 */
typedef struct tidegate_step {
    /** sizeof(tidegate_step), set by the caller; fields beyond it are not written. */
    uint32_t struct_size;
    /** What to do: a TIDEGATE_STEP number. */
    uint8_t kind;
    /** Why it is given up: a TIDEGATE_FAILURE number; TIDEGATE_FAILURE_NONE for other kinds. */
    uint8_t failure;
    /** Always 0. */
    uint16_t reserved;
    /**
     * Of TIDEGATE_STEP_WAIT: ask again after this time at the latest; TIDEGATE_NEVER: only when
     * woken, or when tidegate_pacer_tick says so (behind others; with a `wake` also by a manual
     * clock, which wakes when it is moved). Else 0.
     */
    uint64_t wait_ns;
    /**
     * Of TIDEGATE_STEP_FAIL: after which time a new call may succeed; TIDEGATE_NEVER where that is not known.
     * Else 0.
     */
    uint64_t retry_after_ns;
    /** Attempts so far, the one under way included. */
    uint64_t attempts;
} tidegate_step;

/**
 * Counters of a pacer since its creation. Start with
 * `tidegate_pacer_counters counters = TIDEGATE_PACER_COUNTERS_INIT;`.
 */
typedef struct tidegate_pacer_counters {
    /** sizeof(tidegate_pacer_counters), set by the caller; fields beyond it are not written. */
    uint32_t struct_size;
    /** Always 0. */
    uint32_t reserved;
    /** Calls that were begun. */
    uint64_t calls;
    /** Attempts that were let go, the first of each call included. */
    uint64_t attempts;
    /** Attempts that answers asked to make again. */
    uint64_t retries;
    /** Answers that said that the server limits us: 429, and 503 with a delay. */
    uint64_t limited;
    /** Time that calls stood waiting, for their turn and for retries, in all. */
    uint64_t wait_ns;
    /** Times everybody had to wait. */
    uint64_t pauses;
    /** Calls given up because every attempt was refused. */
    uint64_t exhausted;
    /** Times the breaker opened. */
    uint64_t breaker_opened;
    /** Calls under way now. */
    uint64_t in_flight;
    /** Calls that wait now, for their turn or for a retry. */
    uint64_t waiting;
} tidegate_pacer_counters;

/**
 * How often calls had to wait for one thing. Start with
 * `tidegate_wait_count one = TIDEGATE_WAIT_COUNT_INIT;`.
 */
typedef struct tidegate_wait_count {
    /** sizeof(tidegate_wait_count), set by the caller; fields beyond it are not written. */
    uint32_t struct_size;
    /** Always 0. */
    uint32_t reserved;
    /** How many attempts had to wait for it. */
    uint64_t waits;
    /**
     * What they waited for: the name of a limit, "concurrency" (the cap), "pause", or "quota" (known
     * from headers). UTF-8, valid as long as the tidegate_waits.
     */
    const char *name;
} tidegate_wait_count;

/**
 * Something that happened to a pacer. Fields that its kind does not have are 0 or NULL. What it
 * points to is gone when the listener returns.
 */
typedef struct tidegate_pacer_event {
    /** The bytes of it that the library has written: fields beyond them are those of a newer header. */
    uint32_t struct_size;
    /** What happened: a TIDEGATE_EVENT number. */
    uint8_t kind;
    /** Why: a TIDEGATE_CAUSE number. */
    uint8_t cause;
    /** The status of the answer that it follows; 0 when there is none. */
    uint16_t status;
    /** Attempts that were made so far. */
    uint64_t attempts;
    /** So many failures in a row. */
    uint64_t failures;
    /**
     * Until the call is tried again, until the pause is over, or until the breaker lets one call
     * through to see.
     */
    uint64_t delay_ns;
    /** The label of the call, "" when it has none. UTF-8; NULL: not about a call. */
    const char *label;
    /**
     * The quota that it is about, as far as the server tells of it (of a pause: its name alone);
     * NULL: none.
     */
    const struct tidegate_quota *quota;
} tidegate_pacer_event;

/** What is called with each event. See tidegate_pacer_on_event. */
typedef void (*tidegate_pacer_listener)(const struct tidegate_pacer_event *event, void *context);

#ifdef __cplusplus
extern "C" {
#endif

/* ============================================================================================
 * 1. Simple
 * A limiter, yes or no, and what went wrong. Enough for most programs.
 * ============================================================================================ */

/**
 * Makes a limiter. `policy` is a rate string ("100/minute; 30s/minute"), or a TOML or JSON
 * document: `policy_len` bytes of UTF-8, which need no NUL at their end and are not kept.
 *
 * Errors: TIDEGATE_ERROR_POLICY with line, column and field (see tidegate_last_error);
 * TIDEGATE_ERROR_ARGUMENT. The limiter is given back with tidegate_limiter_free.
 * Thread safety: any thread at any time.
 */
tidegate_status tidegate_limiter_new(const char *policy,
                                     size_t policy_len,
                                     tidegate_limiter **limiter);

/**
 * As tidegate_acquire, only yes or no: the fastest call. Also false on an error.
 *
 * Thread safety: concurrent calls on one limiter are fine.
 */
bool tidegate_try_acquire(const tidegate_limiter *limiter,
                          const void *key,
                          size_t key_len,
                          uint64_t cost);

/**
 * Decides now whether a request of `key` that costs `cost` units may go on. It never waits.
 * Every limit must have room; then all of them are charged, else none is. The key is any
 * `key_len` bytes.
 *
 * Errors: TIDEGATE_ERROR_ARGUMENT, also when the policy insists on attributes that a key does not
 * have, and of a request also for an attribute that is missing or wrong: the error names it;
 * TIDEGATE_ERROR_STORE. A denial is not an error.
 * Thread safety: concurrent calls on one limiter are fine.
 */
tidegate_status tidegate_acquire(const tidegate_limiter *limiter,
                                 const void *key,
                                 size_t key_len,
                                 uint64_t cost,
                                 tidegate_decision *decision);

/**
 * Charges the time that a request took to the latency limits, after the fact. It may overdraw
 * them: that is debt, which time repays. Without latency limits it does nothing.
 *
 * Errors: as tidegate_acquire.
 * Thread safety: concurrent calls on one limiter are fine.
 */
tidegate_status tidegate_record_latency(const tidegate_limiter *limiter,
                                        const void *key,
                                        size_t key_len,
                                        uint64_t latency_ns);

/**
 * Gives a limiter back. NULL is a no-op; freeing one twice is undefined. Reservations, measures
 * and tickets of it stay valid, and are given back by their own calls.
 *
 * Thread safety: no other call may use this limiter now or later.
 */
void tidegate_limiter_free(tidegate_limiter *limiter);

/**
 * The text of this thread's last failure: it names the argument or the field of the policy, and
 * says what would be right, in English. Successful calls leave it as it is; "" when no call
 * of this thread has failed yet. UTF-8, never NULL, never to be freed; valid until the next
 * call of this thread that fails, and until the thread ends.
 *
 * Thread safety: every thread has its own.
 */
const char *tidegate_last_error(void);

/* ============================================================================================
 * 2. Limiters
 * With options, from files, changed while running.
 * ============================================================================================ */

/**
 * As tidegate_limiter_new, with options (NULL: the defaults).
 *
 * Errors: also TIDEGATE_ERROR_ARGUMENT for a bad option, which the error's text names.
 * Thread safety: any thread at any time.
 */
tidegate_status tidegate_limiter_new_with(const char *policy,
                                          size_t policy_len,
                                          const tidegate_options *options,
                                          tidegate_limiter **limiter);

/**
 * As tidegate_limiter_new_with, with the policy in a file: `.toml`, `.json`, or a rate string
 * under any other name. `path` ends with NUL.
 *
 * Errors: TIDEGATE_ERROR_FILE when it cannot be read; else as tidegate_limiter_new_with, with
 * the path in the text.
 * Thread safety: any thread at any time.
 */
tidegate_status tidegate_limiter_new_from_file(const char *path,
                                               const tidegate_options *options,
                                               tidegate_limiter **limiter);

/**
 * Changes the limits while running. Use so far is kept, and nothing is granted retroactively:
 * limits are matched by name, their buckets by position. On an error nothing changes.
 *
 * Errors: TIDEGATE_ERROR_POLICY with line, column and field; TIDEGATE_ERROR_ARGUMENT.
 * Thread safety: concurrent calls on one limiter are fine.
 */
tidegate_status tidegate_update(const tidegate_limiter *limiter,
                                const char *policy,
                                size_t policy_len);

/**
 * The limiter's name, from its options; "" when it has none or is NULL. UTF-8, never NULL, not
 * to be freed; valid as long as the limiter.
 *
 * Thread safety: concurrent calls on one limiter are fine.
 */
const char *tidegate_limiter_name(const tidegate_limiter *limiter);

/**
 * The time of the limiter's clock: nanoseconds since the Unix epoch. Several `_at` calls with
 * one such time are cheaper than as many calls that read the clock themselves.
 *
 * Errors: TIDEGATE_ERROR_ARGUMENT.
 * Thread safety: concurrent calls on one limiter are fine.
 */
tidegate_status tidegate_limiter_now(const tidegate_limiter *limiter, uint64_t *now_ns);

/**
 * The counters of a limiter. They are exact one by one, not among each other while other
 * threads use the limiter.
 *
 * Errors: TIDEGATE_ERROR_ARGUMENT.
 * Thread safety: concurrent calls on one limiter are fine.
 */
tidegate_status tidegate_stats(const tidegate_limiter *limiter,
                               tidegate_counters *counters);

/* ============================================================================================
 * 3. Keys
 * Many at once, looking, giving back, and the operator's hand.
 * ============================================================================================ */

/**
 * As tidegate_acquire of each of `count` keys in order, at one moment and with the same cost: the
 * key at `keys[i]`, of `key_lens[i]` bytes, is answered by `decisions[i]`. It is not all or
 * nothing: each key has its own decision, and one that occurs twice is decided twice. With a
 * `count` of 0 the three pointers are ignored.
 *
 *     const void *keys[] = {"user:42", "user:7"};
 *     const size_t key_lens[] = {7, 6};
 *     tidegate_decision decisions[2] = {TIDEGATE_DECISION_INIT};
 *     tidegate_acquire_many(limiter, keys, key_lens, 2, 1, decisions);
 *
 * The first decision's `struct_size` is that of all; the call sets it in the others.
 *
 * Errors: TIDEGATE_ERROR_ARGUMENT, also when one key of many is wrong (the text says which):
 * nothing was charged; TIDEGATE_ERROR_STORE.
 * Thread safety: concurrent calls on one limiter are fine.
 */
tidegate_status tidegate_acquire_many(const tidegate_limiter *limiter,
                                      const void *const *keys,
                                      const size_t *key_lens,
                                      size_t count,
                                      uint64_t cost,
                                      tidegate_decision *decisions);

/**
 * What tidegate_acquire would answer now; changes nothing.
 *
 * Errors: as tidegate_acquire.
 * Thread safety: concurrent calls on one limiter are fine.
 */
tidegate_status tidegate_peek(const tidegate_limiter *limiter,
                              const void *key,
                              size_t key_len,
                              uint64_t cost,
                              tidegate_decision *decision);

/**
 * Gives `cost` units back to every count limit of the key: never above its capacity, and never to
 * a window that has passed.
 *
 * Errors: as tidegate_acquire.
 * Thread safety: concurrent calls on one limiter are fine.
 */
tidegate_status tidegate_refund(const tidegate_limiter *limiter,
                                const void *key,
                                size_t key_len,
                                uint64_t cost);

/**
 * Gives one permit back to every concurrency limit of the key; never below zero in flight.
 *
 * Errors: as tidegate_acquire.
 * Thread safety: concurrent calls on one limiter are fine.
 */
tidegate_status tidegate_release(const tidegate_limiter *limiter,
                                 const void *key,
                                 size_t key_len);

/**
 * Begins the time of the oldest permit of every concurrency limit of the key anew (`max_hold` in the
 * policy), for requests that last long. `*renewed` is false when none is out any more: it was
 * reclaimed. A measure knows its own permit: tidegate_measure_renew.
 *
 * Errors: as tidegate_acquire.
 * Thread safety: concurrent calls on one limiter are fine.
 */
tidegate_status tidegate_renew(const tidegate_limiter *limiter,
                               const void *key,
                               size_t key_len,
                               bool *renewed);

/**
 * Makes every count and latency limit of the key full, and lifts a block. Permits in flight stay.
 * Of a request: of all that it has with the attributes given.
 *
 * Errors: as tidegate_acquire.
 * Thread safety: concurrent calls on one limiter are fine.
 */
tidegate_status tidegate_reset(const tidegate_limiter *limiter,
                               const void *key,
                               size_t key_len);

/**
 * Denies all requests of the key for `duration_ns` from now on; 0 lifts the block. Of a request, which
 * has one attribute for this (such as "ip"): all requests with that attribute. Of an IPv6 address its
 * network is blocked, by the policy's `ipv6_prefix`.
 *
 * Errors: as tidegate_acquire.
 * Thread safety: concurrent calls on one limiter are fine.
 */
tidegate_status tidegate_block(const tidegate_limiter *limiter,
                               const void *key,
                               size_t key_len,
                               uint64_t duration_ns);

/**
 * Charges `units` to every count limit of the key, whatever is left; it may overdraw.
 *
 * Errors: as tidegate_acquire.
 * Thread safety: concurrent calls on one limiter are fine.
 */
tidegate_status tidegate_penalize(const tidegate_limiter *limiter,
                                  const void *key,
                                  size_t key_len,
                                  uint64_t units);

/* ============================================================================================
 * 4. Requests with attributes
 * The same calls for policies that ask for more than a key: accounts, addresses, routes, plans.
 * ============================================================================================ */

/** As tidegate_try_acquire, of a request with attributes (see tidegate_attribute). */
bool tidegate_try_acquire_request(const tidegate_limiter *limiter,
                                  const tidegate_attribute *attributes,
                                  size_t attribute_count,
                                  uint64_t cost);

/** As tidegate_acquire, of a request with attributes (see tidegate_attribute). */
tidegate_status tidegate_acquire_request(const tidegate_limiter *limiter,
                                         const tidegate_attribute *attributes,
                                         size_t attribute_count,
                                         uint64_t cost,
                                         tidegate_decision *decision);

/**
 * As tidegate_acquire_many, of `count` requests with attributes (see tidegate_attribute): the one at
 * `requests[i]`, of `attribute_counts[i]` attributes, is answered by `decisions[i]`.
 *
 *     const tidegate_attribute *requests[] = {reads, writes};
 *     const size_t attribute_counts[] = {3, 3};
 *     tidegate_decision decisions[2] = {TIDEGATE_DECISION_INIT};
 *     tidegate_acquire_many_request(limiter, requests, attribute_counts, 2, 1, decisions);
 *
 * Errors: as tidegate_acquire_many. When the policy finds something wrong with one (it lacks an
 * attribute, say), no decision is written, but those before it were decided, and charged.
 * Thread safety: concurrent calls on one limiter are fine.
 */
tidegate_status tidegate_acquire_many_request(const tidegate_limiter *limiter,
                                              const tidegate_attribute *const *requests,
                                              const size_t *attribute_counts,
                                              size_t count,
                                              uint64_t cost,
                                              tidegate_decision *decisions);

/** As tidegate_peek, of a request with attributes (see tidegate_attribute). */
tidegate_status tidegate_peek_request(const tidegate_limiter *limiter,
                                      const tidegate_attribute *attributes,
                                      size_t attribute_count,
                                      uint64_t cost,
                                      tidegate_decision *decision);

/** As tidegate_record_latency, of a request with attributes (see tidegate_attribute). */
tidegate_status tidegate_record_latency_request(const tidegate_limiter *limiter,
                                                const tidegate_attribute *attributes,
                                                size_t attribute_count,
                                                uint64_t latency_ns);

/** As tidegate_refund, of a request with attributes (see tidegate_attribute). */
tidegate_status tidegate_refund_request(const tidegate_limiter *limiter,
                                        const tidegate_attribute *attributes,
                                        size_t attribute_count,
                                        uint64_t cost);

/** As tidegate_release, of a request with attributes (see tidegate_attribute). */
tidegate_status tidegate_release_request(const tidegate_limiter *limiter,
                                         const tidegate_attribute *attributes,
                                         size_t attribute_count);

/** As tidegate_renew, of a request with attributes (see tidegate_attribute). */
tidegate_status tidegate_renew_request(const tidegate_limiter *limiter,
                                       const tidegate_attribute *attributes,
                                       size_t attribute_count,
                                       bool *renewed);

/** As tidegate_reset, of a request with attributes (see tidegate_attribute). */
tidegate_status tidegate_reset_request(const tidegate_limiter *limiter,
                                       const tidegate_attribute *attributes,
                                       size_t attribute_count);

/** As tidegate_block, of a request with attributes (see tidegate_attribute). */
tidegate_status tidegate_block_request(const tidegate_limiter *limiter,
                                       const tidegate_attribute *attributes,
                                       size_t attribute_count,
                                       uint64_t duration_ns);

/** As tidegate_penalize, of a request with attributes (see tidegate_attribute). */
tidegate_status tidegate_penalize_request(const tidegate_limiter *limiter,
                                          const tidegate_attribute *attributes,
                                          size_t attribute_count,
                                          uint64_t units);

/* ============================================================================================
 * 5. Plans and use
 * Plans of single customers, given while running, and reports of what was used.
 * ============================================================================================ */

/**
 * Gives a plan to whoever has this value of the policy's `plan_by` attribute (its default: "key"),
 * whatever requests say: for `duration_ns` from now, or for good (TIDEGATE_NEVER). When a time ends,
 * what was assigned for good holds again, or nothing. Use so far is kept. `plan` ends with NUL.
 *
 * Errors: TIDEGATE_ERROR_ARGUMENT, also when the policy has no such plan (its field is "plan").
 * Thread safety: concurrent calls on one limiter are fine.
 */
tidegate_status tidegate_assign(const tidegate_limiter *limiter,
                                const void *value,
                                size_t value_len,
                                const char *plan,
                                uint64_t duration_ns);

/**
 * Takes back what tidegate_assign gave to this value, for good or for a time.
 *
 * Errors: TIDEGATE_ERROR_ARGUMENT.
 * Thread safety: concurrent calls on one limiter are fine.
 */
tidegate_status tidegate_unassign(const tidegate_limiter *limiter,
                                  const void *value,
                                  size_t value_len);

/**
 * The name of the plan that holds for the key now; "" when the policy has no plans, or the request meets
 * none. UTF-8; valid for ever, not to be freed.
 *
 * Errors: TIDEGATE_ERROR_ARGUMENT.
 * Thread safety: concurrent calls on one limiter are fine.
 */
tidegate_status tidegate_plan_of(const tidegate_limiter *limiter,
                                 const void *key,
                                 size_t key_len,
                                 const char **plan);

/** As tidegate_plan_of, of a request with attributes (see tidegate_attribute). */
tidegate_status tidegate_plan_of_request(const tidegate_limiter *limiter,
                                         const tidegate_attribute *attributes,
                                         size_t attribute_count,
                                         const char **plan);

/**
 * What the key used in the last `window_ns` (TIDEGATE_NEVER, and at most: the window of `[usage]` in the
 * policy), by kind of call. Whose use it is, the policy's `plan_by` attribute says (its default: "key");
 * other attributes of a request say which limits the report looks at. The report is given back with
 * tidegate_usage_free; it may outlive its limiter.
 *
 * Errors: TIDEGATE_ERROR_ARGUMENT, also when the policy has no `[usage]` or the request not that attribute;
 * TIDEGATE_ERROR_STORE.
 * Thread safety: concurrent calls on one limiter are fine.
 */
tidegate_status tidegate_usage(const tidegate_limiter *limiter,
                               const void *key,
                               size_t key_len,
                               uint64_t window_ns,
                               tidegate_usage_report **report);

/** As tidegate_usage, of a request with attributes (see tidegate_attribute). */
tidegate_status tidegate_usage_request(const tidegate_limiter *limiter,
                                       const tidegate_attribute *attributes,
                                       size_t attribute_count,
                                       uint64_t window_ns,
                                       tidegate_usage_report **report);

/**
 * The totals of a report.
 *
 * Errors: TIDEGATE_ERROR_ARGUMENT.
 * Thread safety: concurrent calls are fine.
 */
tidegate_status tidegate_usage_get(const tidegate_usage_report *report,
                                   tidegate_usage_totals *totals);

/**
 * How many kinds of call a report has; 0 for NULL.
 *
 * Thread safety: concurrent calls are fine.
 */
size_t tidegate_usage_kinds_count(const tidegate_usage_report *report);

/**
 * The kind of call number `index`, from 0: the most used first.
 *
 * Errors: TIDEGATE_ERROR_ARGUMENT, also when `index` is not below tidegate_usage_kinds_count.
 * Thread safety: concurrent calls are fine.
 */
tidegate_status tidegate_usage_kinds_get(const tidegate_usage_report *report,
                                         size_t index,
                                         tidegate_usage_kind *kind);

/**
 * Gives a report back; the names of its kinds are gone. NULL is a no-op.
 *
 * Thread safety: no other call may use this report now or later.
 */
void tidegate_usage_free(tidegate_usage_report *report);

/* ============================================================================================
 * 6. HTTP
 * What a decision says over HTTP, and what else it knows of its limit.
 * ============================================================================================ */

/**
 * The status of the response: 429 (Too Many Requests) for a denial, 200 for an admission; 0 for
 * what is no decision.
 *
 * Thread safety: any thread at any time.
 */
uint16_t tidegate_decision_status(const tidegate_decision *decision);

/**
 * The header fields of the response, admitted or denied, each as "Name: value" with CR and LF at
 * its end; Retry-After is among them on denials that waiting ends. There may be none. `style` is a
 * TIDEGATE_HEADERS number.
 *
 *     char headers[512];
 *     size_t needed;
 *     tidegate_decision_headers(&decision, TIDEGATE_HEADERS_BOTH, headers, sizeof headers, &needed);
 *
 * As with snprintf, `*needed` is the length of the text without the NUL at its end, whether it fits
 * or not; with `buffer_len` 0 the buffer is ignored. A text that does not fit (`*needed` is not less
 * than `buffer_len`) is not written in part: the buffer holds "".
 *
 * Errors: TIDEGATE_ERROR_ARGUMENT, also when no call has written the decision yet, or its
 * `struct_size` is that of an older header.
 * Thread safety: any thread at any time.
 */
tidegate_status tidegate_decision_headers(const tidegate_decision *decision,
                                          int32_t style,
                                          char *buffer,
                                          size_t buffer_len,
                                          size_t *needed);

/**
 * The body of the response to a denied request: one line of JSON; "" for an admitted one, which has
 * none. `style` is a TIDEGATE_BODY number. Where the policy has words of its own for the denial,
 * they are the message. Buffer and `*needed` as in tidegate_decision_headers.
 *
 * Errors: as tidegate_decision_headers.
 * Thread safety: any thread at any time.
 */
tidegate_status tidegate_decision_body(const tidegate_decision *decision,
                                       int32_t style,
                                       char *buffer,
                                       size_t buffer_len,
                                       size_t *needed);

/**
 * The Content-Type of bodies of a style: "application/json" or "application/problem+json"; "" for any
 * other number. Never NULL, never to be freed.
 *
 * Thread safety: any thread at any time.
 */
const char *tidegate_body_content_type(int32_t style);

/**
 * The number of a header style by its name in configurations: "legacy", "draft" or "both".
 *
 * Errors: TIDEGATE_ERROR_ARGUMENT for any other name.
 * Thread safety: any thread at any time.
 */
tidegate_status tidegate_header_style(const char *name, int32_t *style);

/**
 * The number of a body style by its name in configurations: "error", "message" or "problem".
 *
 * Errors: TIDEGATE_ERROR_ARGUMENT for any other name.
 * Thread safety: any thread at any time.
 */
tidegate_status tidegate_body_style(const char *name, int32_t *style);

/**
 * The request's plan, whichever of its limits answers; "" where no limit answers or the policy has
 * no plans, and for what is no decision. UTF-8, never NULL, valid for ever, not to be freed.
 *
 * Thread safety: any thread at any time.
 */
const char *tidegate_decision_plan(const tidegate_decision *decision);

/**
 * The words that the policy has for a denial by this limit; "" when it has none, when the request
 * was admitted, and for what is no decision. UTF-8, never NULL, valid for ever, not to be freed.
 *
 * Thread safety: any thread at any time.
 */
const char *tidegate_decision_message(const tidegate_decision *decision);

/**
 * Does the policy advise to close the connection after this denial? Also false for what is no
 * decision.
 *
 * Thread safety: any thread at any time.
 */
bool tidegate_decision_closes(const tidegate_decision *decision);

/**
 * What the limit counts, in which units the numbers are therefore: a TIDEGATE_METHOD number; 255
 * for what is no decision.
 *
 * Thread safety: any thread at any time.
 */
uint8_t tidegate_decision_method(const tidegate_decision *decision);

/**
 * The span in which the limit grants its quota (of a cascade the first bucket's); 0 where there is
 * none: permits, blocks, exemptions, and what is no decision.
 *
 * Thread safety: any thread at any time.
 */
uint64_t tidegate_decision_window_ns(const tidegate_decision *decision);

/**
 * The line for a policy that lets requests with this secret pass: "sha256:" and 64 hexadecimal digits,
 * 71 bytes. The secret is `secret_len` bytes of UTF-8. It is SHA-256 without salt, which hides what
 * cannot be guessed: take 128 random bits at least. Buffer and `*needed` as in
 * tidegate_decision_headers.
 *
 * Errors: TIDEGATE_ERROR_ARGUMENT.
 * Thread safety: any thread at any time.
 */
tidegate_status tidegate_hash_secret(const char *secret,
                                     size_t secret_len,
                                     char *buffer,
                                     size_t buffer_len,
                                     size_t *needed);

/* ============================================================================================
 * 7. Alerts and watches
 * Use that passes a threshold, and a policy file that changes, told to functions of yours.
 * ============================================================================================ */

/**
 * Has `listener` called with `context` whenever use of a limit passes one of its thresholds: once a
 * crossing, in the thread whose call passed it, after the decision is made. There is one listener; another
 * takes its place, NULL clears it. It is called on several threads at once, and may use the limiter.
 *
 * When this returns, and when tidegate_limiter_free returns, the listener before is not called any more:
 * both wait for calls of it that are under way, and so must not be called while holding a lock that the
 * listener takes, nor from within a listener (which this call refuses).
 *
 * Errors: TIDEGATE_ERROR_ARGUMENT.
 * Thread safety: concurrent calls on one limiter are fine.
 */
tidegate_status tidegate_on_alert(const tidegate_limiter *limiter,
                                  tidegate_alert_listener listener,
                                  void *context);

/**
 * Loads a policy file, as tidegate_update does, and from then on follows it: when it changes, its policy
 * is put in force, until tidegate_watcher_free. The file may be written in place, replaced by renaming,
 * or reached through symbolic links that change; a change is acted upon when nobody has written for
 * 100 ms, after 1 s at the latest. A file that cannot be read or is wrong changes nothing.
 *
 * `listener` (NULL: none) is called with `context` on the watching thread: with TIDEGATE_OK when the
 * limiter goes by the file as it is now, with the error when it is refused; tidegate_last_error and its
 * companions, called from within, say why. It may use the limiter. It is not called any more when
 * tidegate_watcher_free has returned.
 *
 * The watcher may outlive the limiter's handle, and keeps the limiter. It is the one thing for which the
 * library starts threads; they end with it.
 *
 * Errors: of the first load, when nothing is changed and no watcher made: TIDEGATE_ERROR_FILE, also when
 * the system cannot watch the file; TIDEGATE_ERROR_POLICY; TIDEGATE_ERROR_ARGUMENT.
 * Thread safety: concurrent calls on one limiter are fine.
 */
tidegate_status tidegate_watch(const tidegate_limiter *limiter,
                               const char *path,
                               tidegate_watch_listener listener,
                               void *context,
                               tidegate_watcher **watcher);

/**
 * Ends the watch; the limiter keeps the policy that it has. It waits for a call of the listener that is
 * under way, and so must not be called while holding a lock that the listener takes. NULL is a no-op.
 *
 * Thread safety: no other call may use this watcher now or later. From within the listener it does not
 * wait; the context must be valid until the listener has returned then.
 */
void tidegate_watcher_free(tidegate_watcher *watcher);

/* ============================================================================================
 * 8. Snapshots
 * Every bucket of a key, for logs and dashboards.
 * ============================================================================================ */

/**
 * Every bucket of a key: what is used and what is left, in the order of the policy. A key that
 * was never seen has full buckets. Of a request: of all the records that it has with the attributes
 * given; one that is missing leaves out the limits that count by it. The snapshot is given back with
 * tidegate_buckets_free; it may outlive its limiter.
 *
 * Errors: as tidegate_acquire.
 * Thread safety: concurrent calls on one limiter are fine.
 */
tidegate_status tidegate_snapshot(const tidegate_limiter *limiter,
                                  const void *key,
                                  size_t key_len,
                                  tidegate_buckets **buckets);

/** As tidegate_snapshot, of a request with attributes (see tidegate_attribute). */
tidegate_status tidegate_snapshot_request(const tidegate_limiter *limiter,
                                          const tidegate_attribute *attributes,
                                          size_t attribute_count,
                                          tidegate_buckets **buckets);

/**
 * How many buckets there are; 0 for NULL.
 *
 * Thread safety: concurrent calls are fine.
 */
size_t tidegate_buckets_count(const tidegate_buckets *buckets);

/**
 * The bucket number `index`, from 0.
 *
 * Errors: TIDEGATE_ERROR_ARGUMENT, also when `index` is not below tidegate_buckets_count.
 * Thread safety: concurrent calls are fine.
 */
tidegate_status tidegate_buckets_get(const tidegate_buckets *buckets,
                                     size_t index,
                                     tidegate_bucket *bucket);

/**
 * How long the key stays blocked (tidegate_block); 0 when it is not, and for NULL.
 *
 * Thread safety: concurrent calls are fine.
 */
uint64_t tidegate_buckets_blocked_for_ns(const tidegate_buckets *buckets);

/**
 * Gives a snapshot back; the names in its buckets are gone. NULL is a no-op.
 *
 * Thread safety: no other call may use this snapshot now or later.
 */
void tidegate_buckets_free(tidegate_buckets *buckets);

/* ============================================================================================
 * 9. Measures and reservations
 * Requests whose price is known only when they are done.
 * ============================================================================================ */

/**
 * Begins a request: as tidegate_acquire, and when it is admitted, its time runs. `*decision` says
 * whether it was; when it was denied, `*measure` is set to NULL: there is nothing to end.
 *
 * A measure is given back by tidegate_measure_end; it may outlive its limiter.
 *
 * Errors: as tidegate_acquire.
 * Thread safety: concurrent calls on one limiter are fine.
 */
tidegate_status tidegate_measure_begin(const tidegate_limiter *limiter,
                                       const void *key,
                                       size_t key_len,
                                       uint64_t cost,
                                       tidegate_decision *decision,
                                       tidegate_measure **measure);

/** As tidegate_measure_begin, of a request with attributes (see tidegate_attribute). */
tidegate_status tidegate_measure_begin_request(const tidegate_limiter *limiter,
                                               const tidegate_attribute *attributes,
                                               size_t attribute_count,
                                               uint64_t cost,
                                               tidegate_decision *decision,
                                               tidegate_measure **measure);

/**
 * Begins the time of the measure's own permits anew (`max_hold` in the policy): for requests that last
 * long. `*renewed` is false when they have been reclaimed, or never were.
 *
 * Errors: TIDEGATE_ERROR_ARGUMENT, TIDEGATE_ERROR_STORE.
 * Thread safety: one call on a measure at a time.
 */
tidegate_status tidegate_measure_renew(tidegate_measure *measure,
                                       bool *renewed);

/**
 * Ends a request: the time since it began, by the limiter's clock, is charged to the latency
 * limits, and the permits of concurrency limits are given back.
 *
 * The measure is given back, whatever the call returns.
 * Errors: TIDEGATE_ERROR_ARGUMENT, TIDEGATE_ERROR_STORE.
 * Thread safety: no other call may use this measure now or later; another thread than the
 * one that began it may end it.
 */
tidegate_status tidegate_measure_end(tidegate_measure *measure);

/**
 * Takes an estimate of the cost now, to be settled when the true cost is known (the tokens of a
 * model call). `*decision` says whether it was admitted; when it was denied, nothing is taken
 * and `*reservation` is set to NULL: there is nothing to settle.
 *
 * A reservation is given back by one of tidegate_settle, tidegate_cancel and
 * tidegate_reservation_free; it may outlive its limiter.
 *
 * Errors: as tidegate_acquire.
 * Thread safety: concurrent calls on one limiter are fine.
 */
tidegate_status tidegate_reserve(const tidegate_limiter *limiter,
                                 const void *key,
                                 size_t key_len,
                                 uint64_t cost,
                                 tidegate_decision *decision,
                                 tidegate_reservation **reservation);

/** As tidegate_reserve, of a request with attributes (see tidegate_attribute). */
tidegate_status tidegate_reserve_request(const tidegate_limiter *limiter,
                                         const tidegate_attribute *attributes,
                                         size_t attribute_count,
                                         uint64_t cost,
                                         tidegate_decision *decision,
                                         tidegate_reservation **reservation);

/**
 * Settles a reservation: less than the estimate, and the difference goes back to the limits
 * that paid it; more, and the difference is charged, whatever is left. Permits of concurrency
 * limits are kept (tidegate_release gives them back).
 *
 * The reservation is given back, whatever the call returns.
 * Errors: TIDEGATE_ERROR_ARGUMENT, TIDEGATE_ERROR_STORE.
 * Thread safety: no other call may use this reservation now or later.
 */
tidegate_status tidegate_settle(tidegate_reservation *reservation, uint64_t actual);

/**
 * Takes a reservation back: as settling it with 0, and permits of concurrency limits are given
 * back too.
 *
 * The reservation is given back, whatever the call returns.
 * Errors: TIDEGATE_ERROR_ARGUMENT, TIDEGATE_ERROR_STORE.
 * Thread safety: no other call may use this reservation now or later.
 */
tidegate_status tidegate_cancel(tidegate_reservation *reservation);

/**
 * Gives a reservation back without settling it: the estimate stands. NULL is a no-op.
 *
 * Thread safety: no other call may use this reservation now or later.
 */
void tidegate_reservation_free(tidegate_reservation *reservation);

/* ============================================================================================
 * 10. Waiting
 * Until it is this request's turn.
 * ============================================================================================ */

/**
 * Blocks the calling thread until the request is admitted: waiters of a key are served in the
 * order in which they came. It returns without admission when `timeout_ns` has passed, or at
 * once when waiting that long cannot help, when the cost is impossible, or when no waiting helps
 * (block lists of the policy, a limit that denies for want of an attribute); `*decision` is the last answer. TIDEGATE_NEVER: no time limit; 0: only if it is admitted at once.
 *
 * Errors: TIDEGATE_ERROR_ARGUMENT, TIDEGATE_ERROR_STORE. A timeout is not an error: `allowed` is
 * false.
 * Thread safety: concurrent calls on one limiter are fine; it must not be freed while a
 * thread waits on it.
 */
tidegate_status tidegate_wait(const tidegate_limiter *limiter,
                              const void *key,
                              size_t key_len,
                              uint64_t cost,
                              uint64_t timeout_ns,
                              tidegate_decision *decision);

/** As tidegate_wait, of a request with attributes (see tidegate_attribute). */
tidegate_status tidegate_wait_request(const tidegate_limiter *limiter,
                                      const tidegate_attribute *attributes,
                                      size_t attribute_count,
                                      uint64_t cost,
                                      uint64_t timeout_ns,
                                      tidegate_decision *decision);

/* ============================================================================================
 * 11. Clocks
 * The machine's, or one that a test moves by hand.
 * ============================================================================================ */

/**
 * A clock of the machine, by its name, for the options of limiters. All show the wall time when
 * they were made, driven by the system's monotonic clock from then on.
 *
 * - "counter" (what a limiter has when none is given): the processor's counter, within 10
 *   microseconds of the system's monotonic clock; where there is no steady one, "system".
 * - "system": the system's monotonic clock, asked each time.
 * - "coarse": the system's coarse clock (Linux; elsewhere "system"), in steps of 1 to 10
 *   milliseconds, and late by as much.
 *
 * Errors: TIDEGATE_ERROR_ARGUMENT, also for other names. The clock is given back with
 * tidegate_clock_free; limiters that use it go on using it.
 * Thread safety: any thread at any time.
 */
tidegate_status tidegate_clock_new(const char *name, tidegate_clock **clock);

/**
 * A clock that stands at `now_ns` (nanoseconds since the Unix epoch) until it is moved, for
 * tests without sleeping. It is handed to limiters in their options, and given back with
 * tidegate_clock_free; limiters that use it go on using it.
 *
 * Errors: TIDEGATE_ERROR_ARGUMENT, also for times beyond the year 2116.
 * Thread safety: any thread at any time.
 */
tidegate_status tidegate_clock_new_manual(uint64_t now_ns, tidegate_clock **clock);

/**
 * Moves a manual clock to `now_ns`, also back, and wakes those who wait on it.
 *
 * Errors: TIDEGATE_ERROR_ARGUMENT, also for times beyond the year 2116 and for clocks that run.
 * Thread safety: concurrent calls on one clock are fine.
 */
tidegate_status tidegate_clock_set(const tidegate_clock *clock, uint64_t now_ns);

/**
 * Moves a manual clock on by `span_ns`, and wakes those who wait on it. It stops in the year 2116.
 *
 * Errors: TIDEGATE_ERROR_ARGUMENT, also for clocks that run.
 * Thread safety: concurrent calls on one clock are fine.
 */
tidegate_status tidegate_clock_advance(const tidegate_clock *clock,
                                       uint64_t span_ns);

/**
 * The time of a clock: nanoseconds since the Unix epoch.
 *
 * Errors: TIDEGATE_ERROR_ARGUMENT.
 * Thread safety: concurrent calls on one clock are fine.
 */
tidegate_status tidegate_clock_now(const tidegate_clock *clock, uint64_t *now_ns);

/**
 * Gives a clock back. NULL is a no-op; freeing one twice is undefined.
 *
 * Thread safety: no other call may use this clock now or later; limiters that were made with it
 * are not concerned.
 */
void tidegate_clock_free(tidegate_clock *clock);

/* ============================================================================================
 * 12. Errors, names and the version
 * Where a policy is wrong; numbers as words.
 * ============================================================================================ */

/**
 * The field of the policy (`limit[0].quota`) or the name of the argument (`key`) that this
 * thread's last failure is about; "" when there is none. UTF-8, never NULL, never to be freed;
 * valid as long as tidegate_last_error's text.
 *
 * Thread safety: every thread has its own.
 */
const char *tidegate_last_error_field(void);

/**
 * The line of the policy's text where this thread's last failure is, from 1; 0 when unknown.
 *
 * Thread safety: every thread has its own.
 */
uint32_t tidegate_last_error_line(void);

/**
 * The column (in characters, not bytes) where this thread's last failure is, from 1; 0 when
 * unknown.
 *
 * Thread safety: every thread has its own.
 */
uint32_t tidegate_last_error_column(void);

/**
 * The name of a status in lower case: "ok", "argument", "policy", "file", "store" or
 * "internal"; "unknown" for any other number. Never NULL, never to be freed.
 *
 * Thread safety: any thread at any time.
 */
const char *tidegate_status_name(tidegate_status status);

/**
 * The word for a reason, the same in every host: "ok", "limited", "blocked", "bypass" or
 * "impossible"; "unknown" for any other number. Never NULL, never to be freed.
 *
 * Thread safety: any thread at any time.
 */
const char *tidegate_reason_name(uint8_t reason);

/**
 * The word for a method, as in policies: "count", "latency" or "concurrency"; "unknown" for any
 * other number. Never NULL, never to be freed.
 *
 * Thread safety: any thread at any time.
 */
const char *tidegate_method_name(uint8_t method);

/**
 * The version of the library that the program runs with, such as "0.1.0"; compare it with
 * TIDEGATE_VERSION, the version of this header. Never NULL, never to be freed.
 *
 * Thread safety: any thread at any time.
 */
const char *tidegate_version(void);

/* ============================================================================================
 * 13. Advanced: explicit times
 * The same calls at a given time, for replays and for programs that have the time already.
 * ============================================================================================ */

/** As tidegate_acquire, at a given time. */
tidegate_status tidegate_acquire_at(const tidegate_limiter *limiter,
                                    const void *key,
                                    size_t key_len,
                                    uint64_t cost,
                                    uint64_t now_ns,
                                    tidegate_decision *decision);

/** As tidegate_try_acquire, at a given time. */
bool tidegate_try_acquire_at(const tidegate_limiter *limiter,
                             const void *key,
                             size_t key_len,
                             uint64_t cost,
                             uint64_t now_ns);

/** As tidegate_acquire_many, at a given time. */
tidegate_status tidegate_acquire_many_at(const tidegate_limiter *limiter,
                                         const void *const *keys,
                                         const size_t *key_lens,
                                         size_t count,
                                         uint64_t cost,
                                         uint64_t now_ns,
                                         tidegate_decision *decisions);

/** As tidegate_peek, at a given time. */
tidegate_status tidegate_peek_at(const tidegate_limiter *limiter,
                                 const void *key,
                                 size_t key_len,
                                 uint64_t cost,
                                 uint64_t now_ns,
                                 tidegate_decision *decision);

/** As tidegate_record_latency, at a given time. */
tidegate_status tidegate_record_latency_at(const tidegate_limiter *limiter,
                                           const void *key,
                                           size_t key_len,
                                           uint64_t latency_ns,
                                           uint64_t now_ns);

/** As tidegate_refund, at a given time. */
tidegate_status tidegate_refund_at(const tidegate_limiter *limiter,
                                   const void *key,
                                   size_t key_len,
                                   uint64_t cost,
                                   uint64_t now_ns);

/** As tidegate_release, at a given time. */
tidegate_status tidegate_release_at(const tidegate_limiter *limiter,
                                    const void *key,
                                    size_t key_len,
                                    uint64_t now_ns);

/** As tidegate_renew, at a given time. */
tidegate_status tidegate_renew_at(const tidegate_limiter *limiter,
                                  const void *key,
                                  size_t key_len,
                                  uint64_t now_ns,
                                  bool *renewed);

/** As tidegate_reset, at a given time. */
tidegate_status tidegate_reset_at(const tidegate_limiter *limiter,
                                  const void *key,
                                  size_t key_len,
                                  uint64_t now_ns);

/** As tidegate_block, at a given time. */
tidegate_status tidegate_block_at(const tidegate_limiter *limiter,
                                  const void *key,
                                  size_t key_len,
                                  uint64_t duration_ns,
                                  uint64_t now_ns);

/** As tidegate_penalize, at a given time. */
tidegate_status tidegate_penalize_at(const tidegate_limiter *limiter,
                                     const void *key,
                                     size_t key_len,
                                     uint64_t units,
                                     uint64_t now_ns);

/** As tidegate_update, at a given time. */
tidegate_status tidegate_update_at(const tidegate_limiter *limiter,
                                   const char *policy,
                                   size_t policy_len,
                                   uint64_t now_ns);

/** As tidegate_snapshot, at a given time. */
tidegate_status tidegate_snapshot_at(const tidegate_limiter *limiter,
                                     const void *key,
                                     size_t key_len,
                                     uint64_t now_ns,
                                     tidegate_buckets **buckets);

/** As tidegate_usage, at a given time. */
tidegate_status tidegate_usage_at(const tidegate_limiter *limiter,
                                  const void *key,
                                  size_t key_len,
                                  uint64_t window_ns,
                                  uint64_t now_ns,
                                  tidegate_usage_report **report);

/** As tidegate_assign, at a given time. */
tidegate_status tidegate_assign_at(const tidegate_limiter *limiter,
                                   const void *value,
                                   size_t value_len,
                                   const char *plan,
                                   uint64_t duration_ns,
                                   uint64_t now_ns);

/** As tidegate_plan_of, at a given time. */
tidegate_status tidegate_plan_of_at(const tidegate_limiter *limiter,
                                    const void *key,
                                    size_t key_len,
                                    uint64_t now_ns,
                                    const char **plan);

/** As tidegate_reserve, at a given time. */
tidegate_status tidegate_reserve_at(const tidegate_limiter *limiter,
                                    const void *key,
                                    size_t key_len,
                                    uint64_t cost,
                                    uint64_t now_ns,
                                    tidegate_decision *decision,
                                    tidegate_reservation **reservation);

/** As tidegate_settle, at a given time. */
tidegate_status tidegate_settle_at(tidegate_reservation *reservation,
                                   uint64_t actual,
                                   uint64_t now_ns);

/** As tidegate_cancel, at a given time. */
tidegate_status tidegate_cancel_at(tidegate_reservation *reservation, uint64_t now_ns);

/** As tidegate_acquire_request, at a given time. */
tidegate_status tidegate_acquire_request_at(const tidegate_limiter *limiter,
                                            const tidegate_attribute *attributes,
                                            size_t attribute_count,
                                            uint64_t cost,
                                            uint64_t now_ns,
                                            tidegate_decision *decision);

/** As tidegate_acquire_many_request, at a given time. */
tidegate_status tidegate_acquire_many_request_at(const tidegate_limiter *limiter,
                                                 const tidegate_attribute *const *requests,
                                                 const size_t *attribute_counts,
                                                 size_t count,
                                                 uint64_t cost,
                                                 uint64_t now_ns,
                                                 tidegate_decision *decisions);

/** As tidegate_try_acquire_request, at a given time. */
bool tidegate_try_acquire_request_at(const tidegate_limiter *limiter,
                                     const tidegate_attribute *attributes,
                                     size_t attribute_count,
                                     uint64_t cost,
                                     uint64_t now_ns);

/** As tidegate_peek_request, at a given time. */
tidegate_status tidegate_peek_request_at(const tidegate_limiter *limiter,
                                         const tidegate_attribute *attributes,
                                         size_t attribute_count,
                                         uint64_t cost,
                                         uint64_t now_ns,
                                         tidegate_decision *decision);

/** As tidegate_record_latency_request, at a given time. */
tidegate_status tidegate_record_latency_request_at(const tidegate_limiter *limiter,
                                                   const tidegate_attribute *attributes,
                                                   size_t attribute_count,
                                                   uint64_t latency_ns,
                                                   uint64_t now_ns);

/** As tidegate_refund_request, at a given time. */
tidegate_status tidegate_refund_request_at(const tidegate_limiter *limiter,
                                           const tidegate_attribute *attributes,
                                           size_t attribute_count,
                                           uint64_t cost,
                                           uint64_t now_ns);

/** As tidegate_release_request, at a given time. */
tidegate_status tidegate_release_request_at(const tidegate_limiter *limiter,
                                            const tidegate_attribute *attributes,
                                            size_t attribute_count,
                                            uint64_t now_ns);

/** As tidegate_renew_request, at a given time. */
tidegate_status tidegate_renew_request_at(const tidegate_limiter *limiter,
                                          const tidegate_attribute *attributes,
                                          size_t attribute_count,
                                          uint64_t now_ns,
                                          bool *renewed);

/** As tidegate_reset_request, at a given time. */
tidegate_status tidegate_reset_request_at(const tidegate_limiter *limiter,
                                          const tidegate_attribute *attributes,
                                          size_t attribute_count,
                                          uint64_t now_ns);

/** As tidegate_block_request, at a given time. */
tidegate_status tidegate_block_request_at(const tidegate_limiter *limiter,
                                          const tidegate_attribute *attributes,
                                          size_t attribute_count,
                                          uint64_t duration_ns,
                                          uint64_t now_ns);

/** As tidegate_penalize_request, at a given time. */
tidegate_status tidegate_penalize_request_at(const tidegate_limiter *limiter,
                                             const tidegate_attribute *attributes,
                                             size_t attribute_count,
                                             uint64_t units,
                                             uint64_t now_ns);

/** As tidegate_snapshot_request, at a given time. */
tidegate_status tidegate_snapshot_request_at(const tidegate_limiter *limiter,
                                             const tidegate_attribute *attributes,
                                             size_t attribute_count,
                                             uint64_t now_ns,
                                             tidegate_buckets **buckets);

/** As tidegate_usage_request, at a given time. */
tidegate_status tidegate_usage_request_at(const tidegate_limiter *limiter,
                                          const tidegate_attribute *attributes,
                                          size_t attribute_count,
                                          uint64_t window_ns,
                                          uint64_t now_ns,
                                          tidegate_usage_report **report);

/** As tidegate_plan_of_request, at a given time. */
tidegate_status tidegate_plan_of_request_at(const tidegate_limiter *limiter,
                                            const tidegate_attribute *attributes,
                                            size_t attribute_count,
                                            uint64_t now_ns,
                                            const char **plan);

/** As tidegate_reserve_request, at a given time. */
tidegate_status tidegate_reserve_request_at(const tidegate_limiter *limiter,
                                            const tidegate_attribute *attributes,
                                            size_t attribute_count,
                                            uint64_t cost,
                                            uint64_t now_ns,
                                            tidegate_decision *decision,
                                            tidegate_reservation **reservation);

/* ============================================================================================
 * 14. Advanced: waiting without a thread
 * For event loops.
 * ============================================================================================ */

/**
 * Takes a place in the key's queue, for event loops: tidegate_wait without a blocked thread.
 * The ticket is asked with tidegate_ticket_poll, and given back with tidegate_ticket_free, which
 * gives up the place; a ticket that was not admitted takes nothing.
 *
 * `wake` (NULL: none) is called with `context` when it may have become this ticket's turn, on
 * any thread, during any call on the limiter or its clock. It must only send a signal to the
 * event loop, and must not call this library. It is not called any more when
 * tidegate_ticket_free has returned: that waits for a call under way on another thread, and so
 * must not be called while holding a lock that `wake` takes.
 *
 * Errors: TIDEGATE_ERROR_ARGUMENT, TIDEGATE_ERROR_STORE. What the policy finds wrong with a request, the
 * first tidegate_ticket_poll says.
 * Thread safety: concurrent calls on one limiter are fine.
 */
tidegate_status tidegate_queue(const tidegate_limiter *limiter,
                               const void *key,
                               size_t key_len,
                               uint64_t cost,
                               uint64_t timeout_ns,
                               tidegate_wake wake,
                               void *context,
                               tidegate_ticket **ticket);

/** As tidegate_queue, of a request with attributes (see tidegate_attribute). */
tidegate_status tidegate_queue_request(const tidegate_limiter *limiter,
                                       const tidegate_attribute *attributes,
                                       size_t attribute_count,
                                       uint64_t cost,
                                       uint64_t timeout_ns,
                                       tidegate_wake wake,
                                       void *context,
                                       tidegate_ticket **ticket);

/**
 * Asks whether it is the ticket's turn. When it is decided, `*poll_after_ns` is 0 and `*decision`
 * is the answer: admitted, or timed out, or impossible; the ticket is only good for
 * tidegate_ticket_free then. Otherwise `*decision` is left as it is, and the ticket is to be
 * polled again when `wake` is called, or when `*poll_after_ns` have passed (TIDEGATE_NEVER: only
 * when `wake` is called).
 *
 * Errors: TIDEGATE_ERROR_ARGUMENT, TIDEGATE_ERROR_STORE.
 * Thread safety: one call on a ticket at a time.
 */
tidegate_status tidegate_ticket_poll(tidegate_ticket *ticket,
                                     uint64_t *poll_after_ns,
                                     tidegate_decision *decision);

/**
 * Gives a ticket back, and its place in the queue, after waiting for a call of its `wake` that is
 * under way on another thread. NULL is a no-op.
 *
 * Thread safety: no other call may use this ticket now or later. Not to be called from
 * a `wake`, nor while holding a lock that this ticket's `wake` takes: either would wait for ever.
 */
void tidegate_ticket_free(tidegate_ticket *ticket);

/* ============================================================================================
 * 15. Calling a limited interface
 * Calls to somebody else's server, paced so that it does not refuse them: when each may go.
 * ============================================================================================ */

/**
 * Makes a pacer. `policy` is the server's limits, in the forms that tidegate_limiter_new takes; with
 * `policy_len` 0 there is none, and limits are learned from headers. `options` may be NULL: the defaults. It
 * sends nothing, and has no thread: tidegate_pacer_begin says of each call when it may go.
 *
 *     tidegate_pacer_new("100/minute", 10, NULL, &pacer);
 *     tidegate_pacer_begin(pacer, NULL, NULL, NULL, &call);
 *     for (;;) {
 *         tidegate_call_wait(call, &step);
 *         if (step.kind != TIDEGATE_STEP_GO)
 *             break;                                      // given up: step.failure says why
 *         ...                                             // send the request, get an answer
 *         tidegate_pacer_read(pacer, headers, header_count, &limits);
 *         tidegate_call_finish(call, status, limits, &step);
 *         tidegate_server_limits_free(limits);
 *         if (step.kind != TIDEGATE_STEP_WAIT)
 *             break;                                      // TIDEGATE_STEP_DONE: use the answer
 *     }
 *     tidegate_call_free(call);
 *
 * Errors: TIDEGATE_ERROR_POLICY with line, column and field; TIDEGATE_ERROR_ARGUMENT, also for a bad
 * option, which the error's text names. The pacer is given back with tidegate_pacer_free.
 * Thread safety: any thread at any time.
 */
tidegate_status tidegate_pacer_new(const char *policy,
                                   size_t policy_len,
                                   const tidegate_pacer_options *options,
                                   tidegate_pacer **pacer);

/**
 * Makes a pacer whose attempts ask a limiter, with this key. The limiter is used as it is, and shared
 * with whoever else has it; it may be freed before the pacer. `options` may be NULL: the defaults; its
 * clock must be NULL.
 *
 * Errors: TIDEGATE_ERROR_ARGUMENT, also for a bad option, which the error's text names.
 * Thread safety: concurrent calls on one limiter are fine.
 */
tidegate_status tidegate_pacer_new_over(const tidegate_limiter *limiter,
                                        const void *key,
                                        size_t key_len,
                                        const tidegate_pacer_options *options,
                                        tidegate_pacer **pacer);

/** As tidegate_pacer_new_over, with attributes (see tidegate_attribute). */
tidegate_status tidegate_pacer_new_over_request(const tidegate_limiter *limiter,
                                                const tidegate_attribute *attributes,
                                                size_t attribute_count,
                                                const tidegate_pacer_options *options,
                                                tidegate_pacer **pacer);

/**
 * Begins a call; `options` may be NULL: the defaults. It takes its place in line; when it may go,
 * tidegate_call_check (event loops) or tidegate_call_wait (threads) says. Given back with
 * tidegate_call_free.
 *
 * `wake` (NULL: none) is called with `context` when the call is worth checking again, after
 * tidegate_call_check said to wait; on any thread, during any call on the pacer, its calls, its
 * limiter or its clock. It must only send a signal to the event loop, and must not call this library.
 * It is not called any more when tidegate_call_free has returned. Without it tidegate_pacer_tick says
 * when a call that was told to wait is to be checked again.
 *
 * Errors: TIDEGATE_ERROR_ARGUMENT. What else stands in the way of the call, the first check says.
 * Thread safety: concurrent calls on one pacer are fine.
 */
tidegate_status tidegate_pacer_begin(const tidegate_pacer *pacer,
                                     const tidegate_call_options *options,
                                     tidegate_wake wake,
                                     void *context,
                                     tidegate_call **call);

/**
 * As tidegate_call_check, and blocks the thread until the call may go or is given up: never
 * TIDEGATE_STEP_WAIT. `wake` is not called for it.
 *
 * Errors: TIDEGATE_ERROR_ARGUMENT.
 * Thread safety: one call on a tidegate_call at a time; different ones at once are fine.
 */
tidegate_status tidegate_call_wait(tidegate_call *call, tidegate_step *step);

/**
 * Asks whether the call may go: `step->kind` is TIDEGATE_STEP_GO, TIDEGATE_STEP_WAIT or TIDEGATE_STEP_FAIL. It
 * blocks nobody. Asked again under way it says TIDEGATE_STEP_GO again.
 *
 * Errors: TIDEGATE_ERROR_ARGUMENT. A failure of the call is not an error of this one.
 * Thread safety: one call on a tidegate_call at a time; different ones at once are fine.
 */
tidegate_status tidegate_call_check(tidegate_call *call,
                                    tidegate_step *step);

/**
 * As tidegate_read_headers, at the time of the pacer's clock. It changes nothing in the pacer: the limits are
 * given to tidegate_call_finish or tidegate_pacer_observe, and then given back.
 *
 * Errors: TIDEGATE_ERROR_ARGUMENT.
 * Thread safety: concurrent calls on one pacer are fine.
 */
tidegate_status tidegate_pacer_read(const tidegate_pacer *pacer,
                                    const tidegate_header *headers,
                                    size_t count,
                                    tidegate_server_limits **limits);

/**
 * Tells the answer to the attempt: its HTTP status, and what its headers say (tidegate_pacer_read;
 * NULL: nothing). 429 pauses every call of the pacer for as long as the server asks, so does 503 with
 * Retry-After. `step->kind` is TIDEGATE_STEP_DONE: hand the answer on; TIDEGATE_STEP_WAIT: it will be
 * tried again, ask tidegate_call_check or tidegate_call_wait; TIDEGATE_STEP_FAIL: given up. Of a call
 * that is not under way it changes nothing, and is TIDEGATE_STEP_DONE.
 *
 * Errors: TIDEGATE_ERROR_ARGUMENT.
 * Thread safety: one call on a tidegate_call at a time; different ones at once are fine.
 */
tidegate_status tidegate_call_finish(tidegate_call *call,
                                     uint16_t status,
                                     const tidegate_server_limits *limits,
                                     tidegate_step *step);

/**
 * As tidegate_call_finish, where the program knows better what the answer means: `class_number` is a
 * TIDEGATE_CLASS number, `status` 0 where there is none. TIDEGATE_CLASS_RETRY tries a broken
 * connection again.
 *
 * Errors: TIDEGATE_ERROR_ARGUMENT.
 * Thread safety: one call on a tidegate_call at a time; different ones at once are fine.
 */
tidegate_status tidegate_call_finish_as(tidegate_call *call,
                                        int32_t class_number,
                                        uint16_t status,
                                        const tidegate_server_limits *limits,
                                        tidegate_step *step);

/**
 * Why the call was given up, in words, with its label and the attempts; "" when it was not, and for
 * NULL. UTF-8, never NULL, not to be freed; valid until the next call on it.
 *
 * Thread safety: as tidegate_call_check.
 */
const char *tidegate_call_error(const tidegate_call *call);

/**
 * Gives a call back. NULL is a no-op. A call that is not over gives up its place: its slot comes back,
 * and what it paid for an attempt that it was never told to make. It waits for a call of its `wake`
 * that is under way on another thread.
 *
 * Thread safety: no other call may use this tidegate_call now or later. Not to be called from a
 * `wake`, nor while holding a lock that this call's `wake` takes: either would wait for ever.
 */
void tidegate_call_free(tidegate_call *call);

/**
 * The word for a failure, the same in every host: "none", "retries_exhausted", "retry_after_too_long",
 * "deadline_exceeded", "breaker_open", "impossible", "closed" or "limiter"; "unknown" for any other
 * number. Never NULL, never to be freed.
 *
 * Thread safety: any thread at any time.
 */
const char *tidegate_failure_name(uint8_t failure);

/**
 * Tells the pacer what a response says that is not of one of its calls.
 *
 * Errors: TIDEGATE_ERROR_ARGUMENT.
 * Thread safety: concurrent calls on one pacer are fine.
 */
tidegate_status tidegate_pacer_observe(const tidegate_pacer *pacer,
                                       const tidegate_server_limits *limits);

/**
 * Closes the breaker and ends a pause, when whoever operates the program knows better.
 *
 * Errors: TIDEGATE_ERROR_ARGUMENT.
 * Thread safety: concurrent calls on one pacer are fine.
 */
tidegate_status tidegate_pacer_reset(const tidegate_pacer *pacer);

/**
 * Lets nothing go any more: whoever waits, and each new call, fails with TIDEGATE_FAILURE_CLOSED.
 * Calls under way may finish.
 *
 * Errors: TIDEGATE_ERROR_ARGUMENT.
 * Thread safety: concurrent calls on one pacer are fine.
 */
tidegate_status tidegate_pacer_close(const tidegate_pacer *pacer);

/**
 * Gives a pacer back. NULL is a no-op. Calls of it stay valid, go on as before, and are given back by
 * their own call. The pacer's listener and its `wake` are not called any more when this returns.
 *
 * Thread safety: no other call may use this pacer now or later. Not to be called from a listener or a
 * `wake` of it.
 */
void tidegate_pacer_free(tidegate_pacer *pacer);

/* ============================================================================================
 * 16. What a pacer tells
 * What happens, what it comes to, and when to ask again where one timer serves all calls.
 * ============================================================================================ */

/**
 * Has `listener` called with `context` whenever something happens that a user may want to know of: at
 * the end of a call on the pacer or on one of its calls, in the thread that makes it, when that call
 * has written its outputs. There is one listener; another takes its place, NULL clears it. What
 * happened before there was one, it is not told.
 *
 * It is called by one thread at a time, with one event after the other in the order in which they
 * happened: what happens on other threads meanwhile, and in what it calls itself, it is told next.
 * While it is so slow that 10,000 events wait, the oldest are dropped. It holds nobody else up, and
 * may use the pacer and other calls than the one that is under way.
 *
 * When this returns, and when tidegate_pacer_free returns, the listener before is not called any
 * more: both wait for a call of it that is under way on another thread, and so must not be called
 * while holding a lock that the listener takes. A listener may call this itself, and is then not
 * called again.
 *
 * Errors: TIDEGATE_ERROR_ARGUMENT.
 * Thread safety: concurrent calls on one pacer are fine.
 */
tidegate_status tidegate_pacer_on_event(const tidegate_pacer *pacer,
                                        tidegate_pacer_listener listener,
                                        void *context);

/**
 * The word for a kind of event, the same in every host: "retry", "pause", "exhausted",
 * "breaker_opened", "breaker_closed" or "near_limit"; "unknown" for any other number. Never NULL,
 * never to be freed.
 *
 * Thread safety: any thread at any time.
 */
const char *tidegate_event_name(uint8_t kind);

/**
 * The word for a cause, the same in every host: "none", "limited", "exhausted", "authentication" or
 * "failures"; "unknown" for any other number. Never NULL, never to be freed.
 *
 * Thread safety: any thread at any time.
 */
const char *tidegate_cause_name(uint8_t cause);

/**
 * The counters of a pacer, all of one moment.
 *
 * Errors: TIDEGATE_ERROR_ARGUMENT.
 * Thread safety: concurrent calls on one pacer are fine.
 */
tidegate_status tidegate_pacer_stats(const tidegate_pacer *pacer,
                                     tidegate_pacer_counters *counters);

/**
 * What calls have waited for since the pacer's creation, each with how often: an attempt that was held
 * when it was the first in line counts once for a limit, once for the cap, once for a pause and once
 * for a quota. Given back with tidegate_waits_free.
 *
 * Errors: TIDEGATE_ERROR_ARGUMENT.
 * Thread safety: concurrent calls on one pacer are fine.
 */
tidegate_status tidegate_pacer_waits(const tidegate_pacer *pacer,
                                     tidegate_waits **waits);

/**
 * The number of things that calls have waited for; 0 for NULL.
 *
 * Thread safety: concurrent calls are fine.
 */
size_t tidegate_waits_count(const tidegate_waits *waits);

/**
 * One of them, in the order of the names; `index` from 0.
 *
 * Errors: TIDEGATE_ERROR_ARGUMENT, also when `index` is not below the count.
 * Thread safety: concurrent calls are fine.
 */
tidegate_status tidegate_waits_get(const tidegate_waits *waits,
                                   size_t index,
                                   tidegate_wait_count *wait_count);

/**
 * Gives them back. NULL is a no-op.
 *
 * Thread safety: no other call may use these waits now or later.
 */
void tidegate_waits_free(tidegate_waits *waits);

/**
 * For event loops with one timer for all calls: says which of the calls that were begun without a
 * `wake`, and were told to wait, are to be checked again, and when to tick next. Tick when a timer of
 * `*next_ns` is over, and after each tidegate_pacer_begin, tidegate_call_finish and
 * tidegate_call_free; where other threads use the pacer as well, or a manual clock,
 * tidegate_pacer_on_tick tells of what this could not foresee.
 *
 * Writes at most `room` numbers (tidegate_call_number) to `ready`, and how many to `*count`. A call
 * may be over by then, and no number ever comes again. `*next_ns` is 0 when there are more, which the
 * next tick says; TIDEGATE_NEVER when only another call on the pacer changes anything.
 *
 * Errors: TIDEGATE_ERROR_ARGUMENT.
 * Thread safety: concurrent calls on one pacer are fine; a number is told to one of them.
 */
tidegate_status tidegate_pacer_tick(const tidegate_pacer *pacer,
                                    uint64_t *ready,
                                    size_t room,
                                    size_t *count,
                                    uint64_t *next_ns);

/**
 * Has `wake` called with `context` when tidegate_pacer_tick has news that its `next_ns` did not
 * foretell: what another thread did, or a manual clock that was moved. It is called as a call's
 * `wake` (tidegate_pacer_begin), on any thread; it must only send a signal to the event loop, and
 * must not call this library. There is one; another takes its place. By a manual clock `next_ns` is
 * TIDEGATE_NEVER from then on.
 *
 * When this returns, and when tidegate_pacer_free returns, the one before is not called any more:
 * both wait for a call of it that is under way on another thread, and must not be called while
 * holding a lock that it takes.
 *
 * Errors: TIDEGATE_ERROR_ARGUMENT, also when `wake` is NULL.
 * Thread safety: concurrent calls on one pacer are fine.
 */
tidegate_status tidegate_pacer_on_tick(const tidegate_pacer *pacer,
                                       tidegate_wake wake,
                                       void *context);

/**
 * The number of a call, which tidegate_pacer_tick tells it by: 0 for a pacer's first call, and one more
 * for each. TIDEGATE_NEVER for NULL.
 *
 * Thread safety: as tidegate_call_check.
 */
uint64_t tidegate_call_number(const tidegate_call *call);

/* ============================================================================================
 * 17. The pieces alone
 * What a server's headers tell, and how long to wait before another attempt.
 * ============================================================================================ */

/**
 * Reads the headers of a response from somebody else's server, in the forms of about all that are
 * known: Retry-After, the drafts of the IETF, X-RateLimit and its relatives (see docs/client.md).
 * Other fields may be among them. `now_ns` is the wall clock's time, used for absolute times where the
 * response has no Date; tidegate_pacer_read takes that of the pacer. The limits are given back with
 * tidegate_server_limits_free.
 *
 * Errors: TIDEGATE_ERROR_ARGUMENT. Fields that make no sense are no error: they are as if they were not
 * there.
 * Thread safety: any thread at any time.
 */
tidegate_status tidegate_read_headers(const tidegate_header *headers,
                                      size_t count,
                                      uint64_t now_ns,
                                      tidegate_server_limits **limits);

/**
 * How long the server asks to wait after a refusal: Retry-After; else until the last quota with nothing left
 * is reset; else, where no quota tells what is left, until the last reset. TIDEGATE_NEVER when it asks for
 * nothing, and for NULL: the value that tidegate_backoff_delay takes.
 *
 * Thread safety: concurrent calls are fine.
 */
uint64_t tidegate_server_limits_delay_ns(const tidegate_server_limits *limits);

/**
 * Retry-After alone, in any form, at most 3650 days; TIDEGATE_NEVER when there is none, and for NULL.
 *
 * Thread safety: concurrent calls are fine.
 */
uint64_t tidegate_server_limits_retry_after_ns(const tidegate_server_limits *limits);

/**
 * Does the server say that little is left (X-RateLimit-NearLimit)? Also false for NULL.
 *
 * Thread safety: concurrent calls are fine.
 */
bool tidegate_server_limits_near(const tidegate_server_limits *limits);

/**
 * The number of quotas that were told, at most 16; 0 for NULL.
 *
 * Thread safety: concurrent calls are fine.
 */
size_t tidegate_server_limits_count(const tidegate_server_limits *limits);

/**
 * One of the quotas, in the order in which they were told first; `index` from 0.
 *
 * Errors: TIDEGATE_ERROR_ARGUMENT, also when `index` is not below the count.
 * Thread safety: concurrent calls are fine.
 */
tidegate_status tidegate_server_limits_get(const tidegate_server_limits *limits,
                                           size_t index,
                                           tidegate_quota *quota);

/**
 * Gives limits back. NULL is a no-op.
 *
 * Thread safety: no other call may use these limits now or later.
 */
void tidegate_server_limits_free(tidegate_server_limits *limits);

/**
 * Waits before retries: uniform between 0 and min(cap, base * 2^n) before the retry after n others, so
 * that those who failed together do not come back together. `seed`: the same one gives the same waits; 0:
 * others each time. Given back with tidegate_backoff_free.
 *
 * Errors: TIDEGATE_ERROR_ARGUMENT.
 * Thread safety: any thread at any time.
 */
tidegate_status tidegate_backoff_new(uint64_t base_ns,
                                     uint64_t cap_ns,
                                     uint64_t seed,
                                     tidegate_backoff **backoff);

/**
 * The wait before the next attempt, after `retries` retries. `server_delay_ns` is what the server asks for
 * (tidegate_server_limits_delay_ns), TIDEGATE_NEVER: nothing; it is kept in full, and the jitter comes on
 * top.
 *
 * Errors: TIDEGATE_ERROR_ARGUMENT.
 * Thread safety: one call on a backoff at a time.
 */
tidegate_status tidegate_backoff_delay(tidegate_backoff *backoff,
                                       uint32_t retries,
                                       uint64_t server_delay_ns,
                                       uint64_t *delay_ns);

/**
 * Gives a backoff back. NULL is a no-op.
 *
 * Thread safety: no other call may use this backoff now or later.
 */
void tidegate_backoff_free(tidegate_backoff *backoff);

#ifdef __cplusplus
}
#endif

#endif
