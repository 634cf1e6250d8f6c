/* Arguments that are wrong: each gives TIDEGATE_ERROR_ARGUMENT, names itself, and changes nothing. */

#include "test.h"

static tidegate_limiter *limiter;
static tidegate_clock *manual;

/* The call fails, and blames this argument. */
#define BLAMES(name, call) \
    do { \
        CHECK((call) == TIDEGATE_ERROR_ARGUMENT); \
        CHECK_TEXT(tidegate_last_error_field(), name); \
        CHECK(strncmp(tidegate_last_error(), name ":", strlen(name) + 1) == 0); \
    } while (0)

static void null_limiters(void)
{
    tidegate_decision d = TIDEGATE_DECISION_INIT;
    tidegate_counters counters = TIDEGATE_COUNTERS_INIT;
    tidegate_reservation *reservation = NULL;
    tidegate_measure *measure = NULL;
    tidegate_buckets *buckets = NULL;
    tidegate_ticket *ticket = NULL;
    uint64_t now = 0;
    const tidegate_limiter *none = NULL;

    BLAMES("limiter", tidegate_acquire(none, "k", 1, 1, &d));
    BLAMES("limiter", tidegate_acquire_at(none, "k", 1, 1, T0, &d));
    BLAMES("limiter", tidegate_acquire_many(none, NULL, NULL, 0, 1, &d));
    BLAMES("limiter", tidegate_acquire_many_at(none, NULL, NULL, 0, 1, T0, &d));
    BLAMES("limiter", tidegate_peek(none, "k", 1, 1, &d));
    BLAMES("limiter", tidegate_peek_at(none, "k", 1, 1, T0, &d));
    BLAMES("limiter", tidegate_record_latency(none, "k", 1, 1));
    BLAMES("limiter", tidegate_record_latency_at(none, "k", 1, 1, T0));
    BLAMES("limiter", tidegate_refund(none, "k", 1, 1));
    BLAMES("limiter", tidegate_refund_at(none, "k", 1, 1, T0));
    BLAMES("limiter", tidegate_release(none, "k", 1));
    BLAMES("limiter", tidegate_release_at(none, "k", 1, T0));
    BLAMES("limiter", tidegate_reset(none, "k", 1));
    BLAMES("limiter", tidegate_reset_at(none, "k", 1, T0));
    BLAMES("limiter", tidegate_block(none, "k", 1, 1));
    BLAMES("limiter", tidegate_block_at(none, "k", 1, 1, T0));
    BLAMES("limiter", tidegate_penalize(none, "k", 1, 1));
    BLAMES("limiter", tidegate_penalize_at(none, "k", 1, 1, T0));
    BLAMES("limiter", tidegate_update(none, "1/hour", 6));
    BLAMES("limiter", tidegate_update_at(none, "1/hour", 6, T0));
    BLAMES("limiter", tidegate_snapshot(none, "k", 1, &buckets));
    BLAMES("limiter", tidegate_snapshot_at(none, "k", 1, T0, &buckets));
    BLAMES("limiter", tidegate_stats(none, &counters));
    BLAMES("limiter", tidegate_reserve(none, "k", 1, 1, &d, &reservation));
    BLAMES("limiter", tidegate_reserve_at(none, "k", 1, 1, T0, &d, &reservation));
    BLAMES("limiter", tidegate_measure_begin(none, "k", 1, 1, &d, &measure));
    BLAMES("limiter", tidegate_wait(none, "k", 1, 1, 0, &d));
    BLAMES("limiter", tidegate_queue(none, "k", 1, 1, 0, NULL, NULL, &ticket));
    BLAMES("limiter", tidegate_limiter_now(none, &now));
    CHECK(!tidegate_try_acquire(none, "k", 1, 1));
    CHECK_TEXT(tidegate_last_error_field(), "limiter");
    CHECK(!tidegate_try_acquire_at(none, "k", 1, 1, T0));
    CHECK_TEXT(tidegate_limiter_name(none), "");
    CHECK(!reservation && !measure && !buckets && !ticket);
}

static const tidegate_attribute key_k[] = {{"key", "k", 1}};

/* The twins that take a request, and the calls about plans and use. */
static void null_limiters_of_requests(void)
{
    tidegate_decision d = TIDEGATE_DECISION_INIT;
    tidegate_reservation *reservation = NULL;
    tidegate_measure *measure = NULL;
    tidegate_buckets *buckets = NULL;
    tidegate_ticket *ticket = NULL;
    tidegate_usage_report *report = NULL;
    tidegate_watcher *watcher = NULL;
    const char *plan = NULL;
    bool renewed = false;
    const tidegate_limiter *none = NULL;

    BLAMES("limiter", tidegate_acquire_request(none, key_k, 1, 1, &d));
    BLAMES("limiter", tidegate_acquire_request_at(none, key_k, 1, 1, T0, &d));
    BLAMES("limiter", tidegate_peek_request(none, key_k, 1, 1, &d));
    BLAMES("limiter", tidegate_peek_request_at(none, key_k, 1, 1, T0, &d));
    BLAMES("limiter", tidegate_record_latency_request(none, key_k, 1, 1));
    BLAMES("limiter", tidegate_record_latency_request_at(none, key_k, 1, 1, T0));
    BLAMES("limiter", tidegate_refund_request(none, key_k, 1, 1));
    BLAMES("limiter", tidegate_refund_request_at(none, key_k, 1, 1, T0));
    BLAMES("limiter", tidegate_release_request(none, key_k, 1));
    BLAMES("limiter", tidegate_release_request_at(none, key_k, 1, T0));
    BLAMES("limiter", tidegate_renew_request(none, key_k, 1, &renewed));
    BLAMES("limiter", tidegate_renew_request_at(none, key_k, 1, T0, &renewed));
    BLAMES("limiter", tidegate_reset_request(none, key_k, 1));
    BLAMES("limiter", tidegate_reset_request_at(none, key_k, 1, T0));
    BLAMES("limiter", tidegate_block_request(none, key_k, 1, 1));
    BLAMES("limiter", tidegate_block_request_at(none, key_k, 1, 1, T0));
    BLAMES("limiter", tidegate_penalize_request(none, key_k, 1, 1));
    BLAMES("limiter", tidegate_penalize_request_at(none, key_k, 1, 1, T0));
    BLAMES("limiter", tidegate_snapshot_request(none, key_k, 1, &buckets));
    BLAMES("limiter", tidegate_snapshot_request_at(none, key_k, 1, T0, &buckets));
    BLAMES("limiter", tidegate_usage_request(none, key_k, 1, 1, &report));
    BLAMES("limiter", tidegate_usage_request_at(none, key_k, 1, 1, T0, &report));
    BLAMES("limiter", tidegate_reserve_request(none, key_k, 1, 1, &d, &reservation));
    BLAMES("limiter", tidegate_reserve_request_at(none, key_k, 1, 1, T0, &d, &reservation));
    BLAMES("limiter", tidegate_measure_begin_request(none, key_k, 1, 1, &d, &measure));
    BLAMES("limiter", tidegate_wait_request(none, key_k, 1, 1, 0, &d));
    BLAMES("limiter", tidegate_queue_request(none, key_k, 1, 1, 0, NULL, NULL, &ticket));
    BLAMES("limiter", tidegate_plan_of_request(none, key_k, 1, &plan));
    BLAMES("limiter", tidegate_plan_of_request_at(none, key_k, 1, T0, &plan));
    BLAMES("limiter", tidegate_plan_of_at(none, "k", 1, T0, &plan));
    BLAMES("limiter", tidegate_acquire_many_request(none, NULL, NULL, 0, 1, &d));
    BLAMES("limiter", tidegate_acquire_many_request_at(none, NULL, NULL, 0, 1, T0, &d));
    BLAMES("limiter", tidegate_renew(none, "k", 1, &renewed));
    BLAMES("limiter", tidegate_renew_at(none, "k", 1, T0, &renewed));
    BLAMES("limiter", tidegate_plan_of(none, "k", 1, &plan));
    BLAMES("limiter", tidegate_usage(none, "k", 1, 1, &report));
    BLAMES("limiter", tidegate_usage_at(none, "k", 1, 1, T0, &report));
    BLAMES("limiter", tidegate_assign(none, "k", 1, "pro", 1));
    BLAMES("limiter", tidegate_assign_at(none, "k", 1, "pro", 1, T0));
    BLAMES("limiter", tidegate_unassign(none, "k", 1));
    BLAMES("limiter", tidegate_on_alert(none, NULL, NULL));
    BLAMES("limiter", tidegate_watch(none, "policy.toml", NULL, NULL, &watcher));
    CHECK(!tidegate_try_acquire_request(none, key_k, 1, 1));
    CHECK_TEXT(tidegate_last_error_field(), "limiter");
    CHECK(!tidegate_try_acquire_request_at(none, key_k, 1, 1, T0));
    CHECK(!reservation && !measure && !buckets && !ticket && !report && !watcher && !plan);
}

/* One thing wrong with the attributes in turn: it is named, with its place. */
static void attributes(void)
{
    tidegate_attribute wrong[] = {{"key", "k", 1}, {"route", "GET /", 5}};
    tidegate_decision d = TIDEGATE_DECISION_INIT;

    BLAMES("attributes", tidegate_acquire_request(limiter, NULL, 1, 1, &d));
    BLAMES("attribute_count", tidegate_acquire_request(limiter, wrong, SIZE_MAX, 1, &d));
    wrong[1].name = NULL;
    BLAMES("attributes", tidegate_acquire_request(limiter, wrong, 2, 1, &d));
    CHECK_TEXT(tidegate_last_error(), "attributes: [1] name is NULL; give a name");
    wrong[1].name = "\xff";
    BLAMES("attributes", tidegate_penalize_request(limiter, wrong, 2, 1));
    CHECK_TEXT(tidegate_last_error(), "attributes: [1] name is not UTF-8; give UTF-8 text");
    wrong[1].name = "route";
    wrong[1].value = NULL;
    BLAMES("attributes", tidegate_acquire_request(limiter, wrong, 2, 1, &d));
    CHECK_TEXT(tidegate_last_error(), "attributes: [1] value is NULL; give a valid pointer");
    wrong[1].value = "GET /";
    wrong[1].value_len = SIZE_MAX;
    BLAMES("attributes", tidegate_acquire_request(limiter, wrong, 2, 1, &d));
    CHECK(strstr(tidegate_last_error(), "attributes: [1] value_len ") != NULL);
    CHECK(!tidegate_try_acquire_request(limiter, wrong, 2, 1));
    wrong[1].value = NULL;
    wrong[1].value_len = 0; /* the empty value */
    CHECK_OK(tidegate_peek_request(limiter, wrong, 2, 1, &d));

    /* No attributes: the request lacks the key that the policy counts by. */
    BLAMES("key", tidegate_acquire_request(limiter, NULL, 0, 1, &d));
    BLAMES("request", tidegate_block_request(limiter, NULL, 0, 1));
}

static void requests_and_plans(void)
{
    const char *plan = NULL;
    const uint64_t beyond = UINT64_C(1) << 62;
    tidegate_decision d = TIDEGATE_DECISION_INIT;
    tidegate_reservation *reservation = NULL;
    tidegate_measure *measure = NULL;
    tidegate_buckets *buckets = NULL;
    tidegate_usage_report *report = NULL;
    tidegate_usage_totals totals = TIDEGATE_USAGE_TOTALS_INIT;
    tidegate_usage_kind kind = TIDEGATE_USAGE_KIND_INIT;
    bool renewed = false;

    BLAMES("decision", tidegate_acquire_request(limiter, key_k, 1, 1, NULL));
    BLAMES("decision", tidegate_peek_request(limiter, key_k, 1, 1, NULL));
    BLAMES("decision", tidegate_wait_request(limiter, key_k, 1, 1, 0, NULL));
    BLAMES("decision", tidegate_reserve_request(limiter, key_k, 1, 1, NULL, &reservation));
    BLAMES("reservation", tidegate_reserve_request(limiter, key_k, 1, 1, &d, NULL));
    BLAMES("measure", tidegate_measure_begin_request(limiter, key_k, 1, 1, &d, NULL));
    BLAMES("measure", tidegate_measure_renew(NULL, &renewed));
    CHECK_OK(tidegate_measure_begin(limiter, "m", 1, 1, &d, &measure));
    BLAMES("renewed", tidegate_measure_renew(measure, NULL));
    CHECK_OK(tidegate_measure_end(measure));
    BLAMES("buckets", tidegate_snapshot_request(limiter, key_k, 1, NULL));
    BLAMES("ticket", tidegate_queue_request(limiter, key_k, 1, 1, 0, NULL, NULL, NULL));
    BLAMES("renewed", tidegate_renew(limiter, "k", 1, NULL));
    BLAMES("renewed", tidegate_renew_request_at(limiter, key_k, 1, T0, NULL));
    BLAMES("plan", tidegate_plan_of(limiter, "k", 1, NULL));
    BLAMES("plan", tidegate_plan_of_at(limiter, "k", 1, T0, NULL));
    BLAMES("plan", tidegate_plan_of_request_at(limiter, key_k, 1, T0, NULL));
    BLAMES("now_ns", tidegate_plan_of_at(limiter, "k", 1, UINT64_C(1) << 62, &plan));
    BLAMES("now_ns", tidegate_plan_of_request_at(limiter, key_k, 1, UINT64_C(1) << 62, &plan));
    BLAMES("key", tidegate_plan_of(limiter, NULL, 1, NULL));
    BLAMES("report", tidegate_usage(limiter, "k", 1, 1, NULL));
    BLAMES("usage", tidegate_usage(limiter, "k", 1, 1, &report));
    BLAMES("report", tidegate_usage_get(NULL, &totals));
    BLAMES("report", tidegate_usage_kinds_get(NULL, 0, &kind));
    CHECK_U64(tidegate_usage_kinds_count(NULL), 0);
    tidegate_usage_free(NULL);

    BLAMES("value", tidegate_assign(limiter, NULL, 1, "pro", 1));
    BLAMES("value_len", tidegate_assign(limiter, "v", SIZE_MAX, "pro", 1));
    BLAMES("plan", tidegate_assign(limiter, "v", 1, NULL, 1));
    BLAMES("plan", tidegate_assign(limiter, "v", 1, "\xff", 1));
    BLAMES("plan", tidegate_assign_at(limiter, "v", 1, "pro", 1, T0));
    BLAMES("value", tidegate_unassign(limiter, NULL, 1));

    BLAMES("now_ns", tidegate_acquire_request_at(limiter, key_k, 1, 1, beyond, &d));
    BLAMES("now_ns", tidegate_peek_request_at(limiter, key_k, 1, 1, beyond, &d));
    BLAMES("now_ns", tidegate_record_latency_request_at(limiter, key_k, 1, 1, beyond));
    BLAMES("now_ns", tidegate_refund_request_at(limiter, key_k, 1, 1, beyond));
    BLAMES("now_ns", tidegate_release_request_at(limiter, key_k, 1, beyond));
    BLAMES("now_ns", tidegate_renew_request_at(limiter, key_k, 1, beyond, &renewed));
    BLAMES("now_ns", tidegate_renew_at(limiter, "k", 1, beyond, &renewed));
    BLAMES("now_ns", tidegate_reset_request_at(limiter, key_k, 1, beyond));
    BLAMES("now_ns", tidegate_block_request_at(limiter, key_k, 1, 1, beyond));
    BLAMES("now_ns", tidegate_penalize_request_at(limiter, key_k, 1, 1, beyond));
    BLAMES("now_ns", tidegate_snapshot_request_at(limiter, key_k, 1, beyond, &buckets));
    BLAMES("now_ns", tidegate_reserve_request_at(limiter, key_k, 1, 1, beyond, &d, &reservation));
    BLAMES("now_ns", tidegate_usage_request_at(limiter, key_k, 1, 1, beyond, &report));
    BLAMES("now_ns", tidegate_assign_at(limiter, "v", 1, "pro", 1, beyond));
    CHECK(!tidegate_try_acquire_request_at(limiter, key_k, 1, 1, beyond));
    CHECK(!reservation && !buckets && !report);
}

/* All that is asked of a decision, when it is none. */
static void blames_decision(const tidegate_decision *d)
{
    char text[64];
    size_t needed = 7;
    BLAMES("decision", tidegate_decision_headers(d, 0, text, sizeof text, &needed));
    BLAMES("decision", tidegate_decision_body(d, 0, text, sizeof text, &needed));
    CHECK_U64(needed, 7);
    CHECK_U64(tidegate_decision_status(d), 0);
    CHECK_TEXT(tidegate_decision_plan(d), "");
    CHECK_TEXT(tidegate_decision_message(d), "");
    CHECK(!tidegate_decision_closes(d));
    CHECK_U64(tidegate_decision_method(d), 255);
    CHECK_U64(tidegate_decision_window_ns(d), 0);
}

static void decisions_that_are_none(void)
{
    tidegate_decision d = TIDEGATE_DECISION_INIT, good = TIDEGATE_DECISION_INIT;
    size_t size;
    blames_decision(NULL);
    blames_decision(&d); /* never written */
    memset(&d, 0, sizeof d);
    blames_decision(&d);
    memset(&d, 0xAA, sizeof d);
    blames_decision(&d);
    CHECK_OK(tidegate_peek_at(limiter, "k", 1, 1, T0, &good));
    CHECK_U64(tidegate_decision_status(&good), 200);
    d = good;
    d.terms = (const char *)d.terms + 8;
    blames_decision(&d);
    d.terms = &d;
    blames_decision(&d);
    d = good;
    d.reason = 5;
    blames_decision(&d);
    /* One that an older caller keeps has not all that is asked for. */
    for (size = 0; size < sizeof good; size++) {
        d = good;
        d.struct_size = (uint32_t)size;
        blames_decision(&d);
    }
    CHECK(strstr(tidegate_last_error(), "sizeof") != NULL);
    /* One that a newer caller keeps has. And any numbers make some headers. */
    d = good;
    d.struct_size = UINT32_MAX;
    d.limit_name = NULL;
    d.shadow_name = NULL;
    CHECK_U64(tidegate_decision_status(&d), 200);
    memset(&d.limit, 0xFF, 4 * sizeof d.limit);
    d.now_ns = UINT64_MAX;
    for (d.reason = 0; d.reason < 5; d.reason++) {
        char text[2048];
        size_t needed = 0;
        CHECK_OK(tidegate_decision_headers(&d, 2, text, sizeof text, &needed));
        CHECK(needed < sizeof text);
        CHECK_OK(tidegate_decision_body(&d, 0, text, sizeof text, &needed));
        CHECK(needed < sizeof text);
    }
}

static void texts(void)
{
    tidegate_decision d = TIDEGATE_DECISION_INIT;
    char text[256];
    size_t needed = 0;
    int32_t style = 0;
    CHECK_OK(tidegate_peek_at(limiter, "k", 1, 1, T0, &d));
    BLAMES("needed", tidegate_decision_headers(&d, 0, text, sizeof text, NULL));
    BLAMES("buffer", tidegate_decision_headers(&d, 0, NULL, 1, &needed));
    BLAMES("style", tidegate_decision_headers(&d, 3, text, sizeof text, &needed));
    BLAMES("style", tidegate_decision_headers(&d, -1, text, sizeof text, &needed));
    BLAMES("needed", tidegate_decision_body(&d, 0, text, sizeof text, NULL));
    BLAMES("buffer", tidegate_decision_body(&d, 0, NULL, 1, &needed));
    BLAMES("style", tidegate_decision_body(&d, 3, text, sizeof text, &needed));
    BLAMES("name", tidegate_header_style(NULL, &style));
    BLAMES("style", tidegate_header_style("both", NULL));
    BLAMES("name", tidegate_body_style("\xff", &style));
    BLAMES("style", tidegate_body_style("error", NULL));
    BLAMES("secret", tidegate_hash_secret(NULL, 1, text, sizeof text, &needed));
    BLAMES("secret_len", tidegate_hash_secret("s", SIZE_MAX, text, sizeof text, &needed));
    BLAMES("secret", tidegate_hash_secret("\xff", 1, text, sizeof text, &needed));
    BLAMES("needed", tidegate_hash_secret("s", 1, text, sizeof text, NULL));
    BLAMES("path", tidegate_watch(limiter, NULL, NULL, NULL, NULL));
    BLAMES("watcher", tidegate_watch(limiter, "policy.toml", NULL, NULL, NULL));
    CHECK_U64(needed, 0);
}

static void null_keys(void)
{
    tidegate_decision d = TIDEGATE_DECISION_INIT;
    tidegate_reservation *reservation = NULL;
    tidegate_measure *measure = NULL;
    tidegate_buckets *buckets = NULL;
    tidegate_ticket *ticket = NULL;

    BLAMES("key", tidegate_acquire(limiter, NULL, 1, 1, &d));
    BLAMES("key", tidegate_acquire_at(limiter, NULL, 1, 1, T0, &d));
    BLAMES("key", tidegate_peek(limiter, NULL, 1, 1, &d));
    BLAMES("key", tidegate_peek_at(limiter, NULL, 1, 1, T0, &d));
    BLAMES("key", tidegate_record_latency(limiter, NULL, 1, 1));
    BLAMES("key", tidegate_refund(limiter, NULL, 1, 1));
    BLAMES("key", tidegate_release(limiter, NULL, 1));
    BLAMES("key", tidegate_reset(limiter, NULL, 1));
    BLAMES("key", tidegate_block(limiter, NULL, 1, 1));
    BLAMES("key", tidegate_penalize(limiter, NULL, 1, 1));
    BLAMES("key", tidegate_snapshot(limiter, NULL, 1, &buckets));
    BLAMES("key", tidegate_reserve(limiter, NULL, 1, 1, &d, &reservation));
    BLAMES("key", tidegate_measure_begin(limiter, NULL, 1, 1, &d, &measure));
    BLAMES("key", tidegate_wait(limiter, NULL, 1, 1, 0, &d));
    BLAMES("key", tidegate_queue(limiter, NULL, 1, 1, 0, NULL, NULL, &ticket));
    CHECK(!tidegate_try_acquire(limiter, NULL, 1, 1));
    CHECK_TEXT(tidegate_last_error_field(), "key");
    BLAMES("key_len", tidegate_acquire(limiter, "k", SIZE_MAX, 1, &d));
    BLAMES("key", tidegate_acquire(limiter, NULL, SIZE_MAX, 1, &d));
}

static void null_outputs(void)
{
    tidegate_decision d = TIDEGATE_DECISION_INIT;
    tidegate_bucket bucket = TIDEGATE_BUCKET_INIT;
    tidegate_reservation *reservation = NULL;
    tidegate_measure *measure = NULL;
    tidegate_ticket *ticket = NULL;
    uint64_t after = 0;

    BLAMES("decision", tidegate_acquire(limiter, "k", 1, 1, NULL));
    BLAMES("decision", tidegate_acquire_at(limiter, "k", 1, 1, T0, NULL));
    BLAMES("decision", tidegate_peek(limiter, "k", 1, 1, NULL));
    BLAMES("decision", tidegate_wait(limiter, "k", 1, 1, 0, NULL));
    BLAMES("decision", tidegate_reserve(limiter, "k", 1, 1, NULL, &reservation));
    BLAMES("reservation", tidegate_reserve(limiter, "k", 1, 1, &d, NULL));
    BLAMES("decision", tidegate_measure_begin(limiter, "k", 1, 1, NULL, &measure));
    BLAMES("measure", tidegate_measure_begin(limiter, "k", 1, 1, &d, NULL));
    BLAMES("buckets", tidegate_snapshot(limiter, "k", 1, NULL));
    BLAMES("counters", tidegate_stats(limiter, NULL));
    BLAMES("ticket", tidegate_queue(limiter, "k", 1, 1, 0, NULL, NULL, NULL));
    BLAMES("now_ns", tidegate_limiter_now(limiter, NULL));
    BLAMES("limiter", tidegate_limiter_new("1/hour", 6, NULL));
    BLAMES("limiter", tidegate_limiter_new_with("1/hour", 6, NULL, NULL));
    BLAMES("limiter", tidegate_limiter_new_from_file("policy.toml", NULL, NULL));
    BLAMES("clock", tidegate_clock_new_manual(T0, NULL));
    BLAMES("now_ns", tidegate_clock_now(manual, NULL));

    BLAMES("buckets", tidegate_buckets_get(NULL, 0, &bucket));
    CHECK_U64(tidegate_buckets_count(NULL), 0);
    CHECK_U64(tidegate_buckets_blocked_for_ns(NULL), 0);
    BLAMES("reservation", tidegate_settle(NULL, 1));
    BLAMES("reservation", tidegate_settle_at(NULL, 1, T0));
    BLAMES("reservation", tidegate_cancel(NULL));
    BLAMES("reservation", tidegate_cancel_at(NULL, T0));
    BLAMES("measure", tidegate_measure_end(NULL));
    BLAMES("ticket", tidegate_ticket_poll(NULL, &after, &d));
    CHECK_OK(tidegate_queue(limiter, "q", 1, 1, 0, NULL, NULL, &ticket));
    BLAMES("poll_after_ns", tidegate_ticket_poll(ticket, NULL, &d));
    BLAMES("decision", tidegate_ticket_poll(ticket, &after, NULL));
    tidegate_ticket_free(ticket);
    BLAMES("clock", tidegate_clock_set(NULL, T0));
    BLAMES("clock", tidegate_clock_advance(NULL, 1));
    BLAMES("clock", tidegate_clock_now(NULL, &after));

    tidegate_limiter_free(NULL);
    tidegate_clock_free(NULL);
    tidegate_reservation_free(NULL);
    tidegate_ticket_free(NULL);
    tidegate_buckets_free(NULL);
}

static void times_out_of_range(void)
{
    const uint64_t beyond = UINT64_C(1) << 62;
    tidegate_decision d = TIDEGATE_DECISION_INIT;
    tidegate_clock *clock = NULL;
    tidegate_buckets *buckets = NULL;
    tidegate_reservation *reservation = NULL;

    BLAMES("now_ns", tidegate_acquire_at(limiter, "k", 1, 1, beyond, &d));
    BLAMES("now_ns", tidegate_acquire_at(limiter, "k", 1, 1, UINT64_MAX, &d));
    BLAMES("now_ns", tidegate_peek_at(limiter, "k", 1, 1, beyond, &d));
    BLAMES("now_ns", tidegate_record_latency_at(limiter, "k", 1, 1, beyond));
    BLAMES("now_ns", tidegate_refund_at(limiter, "k", 1, 1, beyond));
    BLAMES("now_ns", tidegate_release_at(limiter, "k", 1, beyond));
    BLAMES("now_ns", tidegate_reset_at(limiter, "k", 1, beyond));
    BLAMES("now_ns", tidegate_block_at(limiter, "k", 1, 1, beyond));
    BLAMES("now_ns", tidegate_penalize_at(limiter, "k", 1, 1, beyond));
    BLAMES("now_ns", tidegate_update_at(limiter, "1/hour", 6, beyond));
    BLAMES("now_ns", tidegate_snapshot_at(limiter, "k", 1, beyond, &buckets));
    BLAMES("now_ns", tidegate_reserve_at(limiter, "k", 1, 1, beyond, &d, &reservation));
    BLAMES("now_ns", tidegate_clock_new_manual(beyond, &clock));
    BLAMES("now_ns", tidegate_clock_set(manual, beyond));
    CHECK(!tidegate_try_acquire_at(limiter, "k", 1, 1, beyond));
    CHECK_OK(tidegate_peek_at(limiter, "k", 1, 1, beyond - 1, &d));
    CHECK_OK(tidegate_clock_advance(manual, UINT64_MAX));
    CHECK_OK(tidegate_clock_set(manual, T0));
}

static void clocks(void)
{
    tidegate_clock *clock = NULL;
    BLAMES("name", tidegate_clock_new(NULL, &clock));
    BLAMES("clock", tidegate_clock_new("system", NULL));
    BLAMES("clock", tidegate_clock_new("sundial", &clock));
    CHECK(strstr(tidegate_last_error(), "\"counter\", \"system\", \"coarse\"") != NULL);
    BLAMES("name", tidegate_clock_new("sys\xff", &clock));
    CHECK(clock == NULL);
    CHECK_OK(tidegate_clock_new("system", &clock));
    BLAMES("clock", tidegate_clock_set(clock, T0));
    BLAMES("clock", tidegate_clock_advance(clock, 1));
    tidegate_clock_free(clock);
}

static void policies(void)
{
    tidegate_limiter *none = NULL;
    BLAMES("policy", tidegate_limiter_new(NULL, 6, &none));
    BLAMES("policy", tidegate_limiter_new("1/h\xff", 4, &none));
    BLAMES("policy_len", tidegate_limiter_new("1/hour", SIZE_MAX, &none));
    BLAMES("policy", tidegate_update(limiter, NULL, 6));
    BLAMES("path", tidegate_limiter_new_from_file(NULL, NULL, &none));
    CHECK(tidegate_limiter_new(NULL, 0, &none) == TIDEGATE_ERROR_POLICY);
    CHECK(tidegate_limiter_new("", 0, &none) == TIDEGATE_ERROR_POLICY);
    CHECK(tidegate_limiter_new("100/minute", 4, &none) == TIDEGATE_ERROR_POLICY); /* "100/" */
    CHECK(none == NULL);
}

static void bad_options(void)
{
    tidegate_limiter *none = NULL;
    tidegate_options options = TIDEGATE_OPTIONS_INIT;
    options.on_full = "panic";
    BLAMES("on_full", tidegate_limiter_new_with("1/hour", 6, &options, &none));
    CHECK(strstr(tidegate_last_error(), "inherit") != NULL);
    options.on_full = "\xff";
    BLAMES("on_full", tidegate_limiter_new_with("1/hour", 6, &options, &none));
    options.on_full = NULL;
    options.store = "file:/tmp/x";
    BLAMES("store", tidegate_limiter_new_with("1/hour", 6, &options, &none));
    options.store = NULL;
    options.name = "\xff";
    BLAMES("name", tidegate_limiter_new_with("1/hour", 6, &options, &none));
    options.name = NULL;
    options.reserved = 1;
    BLAMES("reserved", tidegate_limiter_new_with("1/hour", 6, &options, &none));
    options.reserved = 0;
    options.struct_size = 0;
    BLAMES("options", tidegate_limiter_new_with("1/hour", 6, &options, &none));
    options.struct_size = UINT32_MAX;
    BLAMES("options", tidegate_limiter_new_with("1/hour", 6, &options, &none));
    CHECK(none == NULL);
}

/* An older caller: only what it knows is read. A newer one: what we do not know must be zero. */
static void sizes_of_options(void)
{
    struct {
        tidegate_options known;
        uint64_t news;
    } newer;
    tidegate_limiter *made = NULL;
    tidegate_counters counters = TIDEGATE_COUNTERS_INIT;
    memset(&newer, 0, sizeof newer);
    newer.known.struct_size = sizeof newer;
    CHECK_OK(tidegate_limiter_new_with("1/hour", 6, &newer.known, &made));
    tidegate_limiter_free(made);
    made = NULL;
    newer.news = 1;
    BLAMES("options", tidegate_limiter_new_with("1/hour", 6, &newer.known, &made));
    CHECK(made == NULL);

    newer.known.struct_size = 16;
    newer.known.max_keys = 5;
    newer.known.on_full = (const char *)(uintptr_t)1; /* would crash when read */
    CHECK_OK(tidegate_limiter_new_with("1/hour", 6, &newer.known, &made));
    CHECK_OK(tidegate_stats(made, &counters));
    CHECK_U64(counters.capacity, 5);
    tidegate_limiter_free(made);
}

static void sizes_of_decisions(void)
{
    struct {
        tidegate_decision known;
        uint64_t news;
    } newer;
    tidegate_decision older;
    size_t size;

    memset(&newer, 0xAA, sizeof newer);
    newer.known.struct_size = sizeof newer;
    CHECK_OK(tidegate_peek_at(limiter, "size", 4, 1, T0, &newer.known));
    CHECK(newer.known.allowed);
    CHECK_U64(newer.known.limit, 10);
    CHECK(newer.known.limit_name != NULL && newer.known.limit_name[0] != '\0');
    CHECK_U64(newer.known.struct_size, sizeof newer);
    CHECK_U64(newer.news, UINT64_C(0xAAAAAAAAAAAAAAAA));

    /* Every smaller size: all fields that fit whole, and not a byte more. */
    for (size = 0; size < sizeof older; size++) {
        const unsigned char *bytes = (const unsigned char *)&older;
        size_t end = size / 8 * 8, at;
        memset(&older, 0xAA, sizeof older);
        older.struct_size = (uint32_t)size;
        if (size < 8) {
            BLAMES("decision", tidegate_peek_at(limiter, "size", 4, 1, T0, &older));
            end = 4;
        } else {
            CHECK_OK(tidegate_peek_at(limiter, "size", 4, 1, T0, &older));
            CHECK(older.allowed);
        }
        CHECK_U64(older.struct_size, size);
        if (size >= 16)
            CHECK_U64(older.limit, 10);
        for (at = end; at < sizeof older; at++)
            CHECK_U64(bytes[at], 0xAA);
    }

    /* A refused struct costs nothing. */
    older.struct_size = 0;
    BLAMES("decision", tidegate_acquire_at(limiter, "size", 4, 10, T0, &older));
    CHECK(tidegate_try_acquire_at(limiter, "size", 4, 10, T0));
}

static const void *const one_key[] = {"k"};
static const size_t one_len[] = {1};

/* One argument of a batch wrong in turn: it is named, and no key of the batch is charged. */
static void batches(void)
{
    const uint64_t beyond = UINT64_C(1) << 62;
    const void *keys[] = {"k", "k", NULL};
    size_t lens[] = {1, 1, 0};
    tidegate_decision d[3] = {TIDEGATE_DECISION_INIT};

    BLAMES("keys", tidegate_acquire_many(limiter, NULL, lens, 3, 1, d));
    BLAMES("keys", tidegate_acquire_many_at(limiter, NULL, lens, 3, 1, T0, d));
    BLAMES("key_lens", tidegate_acquire_many(limiter, keys, NULL, 3, 1, d));
    BLAMES("key_lens", tidegate_acquire_many_at(limiter, keys, NULL, 3, 1, T0, d));
    BLAMES("decisions", tidegate_acquire_many(limiter, keys, lens, 3, 1, NULL));
    BLAMES("decisions", tidegate_acquire_many_at(limiter, keys, lens, 3, 1, T0, NULL));
    BLAMES("now_ns", tidegate_acquire_many_at(limiter, keys, lens, 3, 1, beyond, d));
    lens[2] = 1;
    BLAMES("keys", tidegate_acquire_many(limiter, keys, lens, 3, 1, d));
    CHECK_TEXT(tidegate_last_error(), "keys: [2] is NULL; give a valid pointer");
    BLAMES("keys", tidegate_acquire_many_at(limiter, keys, lens, 3, 1, T0, d));
    lens[1] = SIZE_MAX;
    BLAMES("key_lens", tidegate_acquire_many(limiter, keys, lens, 2, 1, d));
    CHECK(strstr(tidegate_last_error(), "key_lens: [1] ") != NULL);
    CHECK_U64(d[0].allowed, false); /* nothing was written either */

    /* The same of requests. */
    {
        const tidegate_attribute nameless[] = {{NULL, "k", 1}};
        const tidegate_attribute *requests[] = {key_k, key_k, NULL};
        size_t counts[] = {1, 1, 0};
        BLAMES("requests", tidegate_acquire_many_request(limiter, NULL, counts, 3, 1, d));
        BLAMES("attribute_counts", tidegate_acquire_many_request(limiter, requests, NULL, 3, 1, d));
        BLAMES("decisions", tidegate_acquire_many_request(limiter, requests, counts, 3, 1, NULL));
        BLAMES("now_ns", tidegate_acquire_many_request_at(limiter, requests, counts, 3, 1, beyond, d));
        counts[2] = 1;
        BLAMES("requests", tidegate_acquire_many_request(limiter, requests, counts, 3, 1, d));
        CHECK_TEXT(tidegate_last_error(), "requests: [2] is NULL; give a valid pointer");
        requests[2] = nameless;
        BLAMES("attributes", tidegate_acquire_many_request_at(limiter, requests, counts, 3, 1, T0, d));
        counts[1] = SIZE_MAX;
        BLAMES("attribute_counts", tidegate_acquire_many_request(limiter, requests, counts, 2, 1, d));
        BLAMES("count", tidegate_acquire_many_request(limiter, requests, counts, SIZE_MAX, 1, d));
        CHECK_OK(tidegate_acquire_many_request(limiter, NULL, NULL, 0, 1, NULL));
        CHECK_U64(d[0].allowed, false);
    }

    /* More than memory holds, of keys and, where a decision is larger, of decisions. */
    BLAMES("count", tidegate_acquire_many(limiter, keys, lens, SIZE_MAX, 1, d));
    BLAMES("count", tidegate_acquire_many_at(limiter, keys, lens, SIZE_MAX / 4, 1, T0, d));
    CHECK_OK(tidegate_acquire_many(limiter, NULL, NULL, 0, 1, NULL));
    CHECK_OK(tidegate_acquire_many_at(limiter, NULL, NULL, 0, 1, T0, NULL));
    BLAMES("now_ns", tidegate_acquire_many_at(limiter, NULL, NULL, 0, 1, beyond, NULL));
}

static void sizes_of_batched_decisions(void)
{
    typedef struct {
        tidegate_decision known;
        uint64_t news;
    } newer;
    const void *const keys[] = {"older", "newer", "newer"};
    const size_t lens[] = {5, 5, 5};
    const size_t refused[] = {0, 7, 12, 47, 4104};
    newer of_newer[3];
    uint64_t words[3][2]; /* aligned as decisions are */
    unsigned char(*bytes)[16] = (unsigned char(*)[16])words;
    tidegate_decision decision = TIDEGATE_DECISION_INIT;
    uint32_t older = sizeof words[0];
    uint64_t limit;
    size_t at;

    /* A caller that is newer: decisions are as far apart as it says, its own news stay. */
    memset(of_newer, 0xAA, sizeof of_newer);
    of_newer[0].known.struct_size = sizeof(newer);
    CHECK_OK(tidegate_acquire_many_at(limiter, keys, lens, 3, 4, T0, &of_newer[0].known));
    for (at = 0; at < 3; at++) {
        CHECK_U64(of_newer[at].known.struct_size, sizeof(newer));
        CHECK(of_newer[at].known.allowed);
        CHECK_U64(of_newer[at].known.limit, 10);
        CHECK_U64(of_newer[at].known.remaining, at == 2 ? 2 : 6);
        CHECK_U64(of_newer[at].known.reserved, 0);
        CHECK_U64(of_newer[at].news, UINT64_C(0xAAAAAAAAAAAAAAAA));
    }
    /* One that is older: sizes, `allowed` and the limit, 16 bytes apart. */
    memset(words, 0xAA, sizeof words);
    memcpy(bytes[0], &older, sizeof older);
    CHECK_OK(tidegate_acquire_many_at(limiter, keys, lens, 2, 5, T0, (tidegate_decision *)words));
    for (at = 0; at < 2; at++) {
        memcpy(&older, bytes[at], sizeof older);
        CHECK_U64(older, sizeof bytes[0]);
        CHECK_U64(bytes[at][4], at == 0); /* 4 + 5 of "older", 8 + 5 of "newer" */
        memcpy(&limit, bytes[at] + 8, sizeof limit);
        CHECK_U64(limit, 10);
    }
    for (at = 0; at < sizeof bytes[2]; at++)
        CHECK_U64(bytes[2][at], 0xAA);

    for (at = 0; at < sizeof refused / sizeof *refused; at++) {
        decision.struct_size = (uint32_t)refused[at];
        BLAMES("decisions",
               tidegate_acquire_many_at(limiter, one_key, one_len, 1, 1, T0, &decision));
        CHECK(strstr(tidegate_last_error(), "sizeof") != NULL);
        CHECK_U64(decision.struct_size, refused[at]);
    }
    decision.struct_size = 4096;
    BLAMES("count", tidegate_acquire_many_at(limiter, one_key, one_len, SIZE_MAX / 32, 1, T0,
                                             &decision));
}

static void sizes_of_usage_structs(void)
{
    const char *policy = "[[limit]]\nrate = \"10/hour\"\n[usage]\nwindow = \"1h\"\n";
    tidegate_limiter *used = limiter_of(policy, manual);
    tidegate_usage_report *report = NULL;
    tidegate_usage_totals totals;
    tidegate_usage_kind kind;
    CHECK(tidegate_try_acquire(used, "k", 1, 3));
    CHECK_OK(tidegate_usage(used, "k", 1, TIDEGATE_NEVER, &report));
    memset(&totals, 0xAA, sizeof totals);
    totals.struct_size = 0;
    BLAMES("totals", tidegate_usage_get(report, &totals));
    BLAMES("totals", tidegate_usage_get(report, NULL));
    totals.struct_size = 24;
    CHECK_OK(tidegate_usage_get(report, &totals));
    CHECK_U64(totals.total, 3);
    CHECK_U64(totals.dropped, UINT64_C(0xAAAAAAAAAAAAAAAA));
    memset(&kind, 0xAA, sizeof kind);
    kind.struct_size = 0;
    BLAMES("kind", tidegate_usage_kinds_get(report, 0, &kind));
    BLAMES("kind", tidegate_usage_kinds_get(report, 0, NULL));
    kind.struct_size = 16;
    CHECK_OK(tidegate_usage_kinds_get(report, 0, &kind));
    CHECK_U64(kind.units, 3);
    CHECK_U64(kind.name_len, UINT64_C(0xAAAAAAAAAAAAAAAA));
    tidegate_usage_free(report);
    tidegate_limiter_free(used);
}

static void sizes_of_other_structs(void)
{
    tidegate_counters counters;
    tidegate_bucket bucket;
    tidegate_buckets *buckets = NULL;
    CHECK_OK(tidegate_snapshot_at(limiter, "k", 1, T0, &buckets));
    memset(&bucket, 0xAA, sizeof bucket);
    bucket.struct_size = 0;
    BLAMES("bucket", tidegate_buckets_get(buckets, 0, &bucket));
    bucket.struct_size = 16;
    CHECK_OK(tidegate_buckets_get(buckets, 0, &bucket));
    CHECK_U64(bucket.quota, 10);
    CHECK_U64(bucket.capacity, UINT64_C(0xAAAAAAAAAAAAAAAA));
    tidegate_buckets_free(buckets);

    memset(&counters, 0xAA, sizeof counters);
    counters.struct_size = 0;
    BLAMES("counters", tidegate_stats(limiter, &counters));
    counters.struct_size = 24;
    CHECK_OK(tidegate_stats(limiter, &counters));
    CHECK_U64(counters.capacity, 1000000);
    CHECK_U64(counters.allowed, UINT64_C(0xAAAAAAAAAAAAAAAA));
}

int main(void)
{
    manual = clock_at(T0);
    limiter = limiter_of("10/hour", manual);
    null_limiters();
    null_limiters_of_requests();
    attributes();
    requests_and_plans();
    decisions_that_are_none();
    texts();
    null_keys();
    null_outputs();
    times_out_of_range();
    clocks();
    policies();
    bad_options();
    sizes_of_options();
    sizes_of_decisions();
    batches();
    sizes_of_batched_decisions();
    sizes_of_usage_structs();
    sizes_of_other_structs();
    /* None of the calls that failed cost anything. */
    CHECK(tidegate_try_acquire_at(limiter, "k", 1, 10, T0));
    tidegate_limiter_free(limiter);
    tidegate_clock_free(manual);
    return result("arguments");
}
