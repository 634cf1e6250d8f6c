/* Requests with attributes: every call that takes one, plans, use, HTTP, alerts, watches. Time is a manual
 * clock or an argument. */

#include "test.h"

static const char POLICY[] =
    "default_plan = \"starter\"\n"
    "plan_by = \"account\"\n"
    "[[plan.starter.limit]]\n"
    "name = \"minute\"\n"
    "cascade = [{ rate = \"4/minute\", algorithm = \"fixed_window\", align = \"first_request\" },"
    " { name = \"burst\", rate = \"1/second\", burst = 2 }]\n"
    "alerts = [0.5]\n"
    "[plan.pro]\n"
    "[[plan.pro.limit]]\n"
    "name = \"minute\"\n"
    "rate = \"40/minute\"\n"
    "alerts = [0.5]\n"
    "[[limit]]\n"
    "name = \"account\"\n"
    "by = [\"account\"]\n"
    "rate = \"100/day\"\n"
    "[[limit]]\n"
    "name = \"time\"\n"
    "method = \"latency\"\n"
    "rate = \"10s/minute\"\n"
    "[[limit]]\n"
    "name = \"streams\"\n"
    "method = \"concurrency\"\n"
    "quota = 2\n"
    "max_hold = \"1m\"\n"
    "when = { route = \"WS /stream\" }\n"
    "[[limit]]\n"
    "name = \"writes\"\n"
    "rate = \"1/hour\"\n"
    "when = { route = \"POST /configs\" }\n"
    "message = \"Slow down.\"\n"
    "close = true\n"
    "[[limit]]\n"
    "name = \"watched\"\n"
    "rate = \"1/hour\"\n"
    "shadow = true\n"
    "when = { route = \"GET /watched\" }\n"
    "[usage]\n"
    "window = \"1h\"\n"
    "by = \"route\"\n";

static tidegate_clock *manual;
static tidegate_limiter *limiter;

#define ATTRIBUTE(name, text) { name, text, sizeof(text) - 1 }

static const tidegate_attribute read_configs[] = {
    ATTRIBUTE("key", "k1"), ATTRIBUTE("account", "acme"), ATTRIBUTE("route", "GET /configs")};
static const tidegate_attribute write_configs[] = {
    ATTRIBUTE("key", "k1"), ATTRIBUTE("account", "acme"), ATTRIBUTE("route", "POST /configs")};
static const tidegate_attribute stream[] = {
    ATTRIBUTE("key", "k1"), ATTRIBUTE("account", "acme"), ATTRIBUTE("route", "WS /stream")};
static const tidegate_attribute watched[] = {
    ATTRIBUTE("key", "k1"), ATTRIBUTE("account", "acme"), ATTRIBUTE("route", "GET /watched")};

static void begin(void)
{
    manual = clock_at(T0);
    limiter = limiter_of(POLICY, manual);
}

static void end(void)
{
    tidegate_limiter_free(limiter);
    tidegate_clock_free(manual);
}

/* What is left of the limit with this name, as a snapshot sees it. */
static uint64_t left_of(const char *limit, const tidegate_attribute *request, size_t count)
{
    tidegate_buckets *buckets = NULL;
    tidegate_bucket bucket = TIDEGATE_BUCKET_INIT;
    uint64_t left = 0;
    size_t at;
    CHECK_OK(tidegate_snapshot_request(limiter, request, count, &buckets));
    for (at = 0; at < tidegate_buckets_count(buckets); at++) {
        CHECK_OK(tidegate_buckets_get(buckets, at, &bucket));
        if (strcmp(bucket.limit_name, limit) == 0)
            left += bucket.remaining;
    }
    tidegate_buckets_free(buckets);
    return left;
}

#define LEFT(limit) left_of(limit, read_configs, 3)

static void one_decision_over_all_records(void)
{
    tidegate_decision d = TIDEGATE_DECISION_INIT;
    begin();
    CHECK_OK(tidegate_acquire_request(limiter, write_configs, 3, 1, &d));
    CHECK(d.allowed);
    CHECK_TEXT(d.limit_name, "writes");
    CHECK_TEXT(tidegate_decision_plan(&d), "starter");
    CHECK_U64(d.now_ns, T0);
    CHECK_U64(d.burst_remaining, 2);
    CHECK_TEXT(d.shadow_name, "");
    CHECK_U64(LEFT("account"), 99);
    CHECK_U64(LEFT("minute"), 5);

    /* A denial takes nothing anywhere, and says what the policy has to say. */
    CHECK_OK(tidegate_acquire_request_at(limiter, write_configs, 3, 1, T0 + SECOND, &d));
    CHECK(!d.allowed);
    CHECK_U64(d.now_ns, T0 + SECOND);
    CHECK_TEXT(d.limit_name, "writes");
    CHECK_TEXT(tidegate_decision_message(&d), "Slow down.");
    CHECK(tidegate_decision_closes(&d));
    CHECK_U64(tidegate_decision_method(&d), TIDEGATE_METHOD_COUNT);
    CHECK_U64(tidegate_decision_window_ns(&d), 3600 * SECOND);
    CHECK_U64(LEFT("account"), 99);

    CHECK_OK(tidegate_peek_request(limiter, read_configs, 3, 1, &d));
    CHECK(d.allowed && !tidegate_decision_closes(&d));
    CHECK_TEXT(d.limit_name, "minute");
    CHECK_TEXT(tidegate_decision_plan(&d), "starter");
    CHECK_TEXT(tidegate_decision_message(&d), "");
    CHECK_OK(tidegate_peek_request_at(limiter, read_configs, 3, 6, T0, &d));
    CHECK(!d.allowed);
    CHECK_U64(LEFT("account"), 99);
    CHECK(tidegate_try_acquire_request(limiter, read_configs, 3, 1));
    CHECK(!tidegate_try_acquire_request_at(limiter, read_configs, 3, 5, T0));
    CHECK_U64(LEFT("account"), 98);

    /* A limit in shadow denies nothing, and is told of. */
    CHECK(tidegate_try_acquire_request(limiter, watched, 3, 1));
    CHECK_OK(tidegate_acquire_request(limiter, watched, 3, 1, &d));
    CHECK(d.allowed);
    CHECK_TEXT(d.shadow_name, "watched");
    end();
}

static void what_is_missing_is_named(void)
{
    tidegate_decision d = TIDEGATE_DECISION_INIT;
    tidegate_attribute wrong[] = {ATTRIBUTE("key", "k"), ATTRIBUTE("account", "a"),
                                  ATTRIBUTE("plan", "gold")};
    begin();
    CHECK(tidegate_acquire_request(limiter, wrong, 1, 1, &d) == TIDEGATE_ERROR_ARGUMENT);
    CHECK_TEXT(tidegate_last_error_field(), "account");
    CHECK(tidegate_acquire(limiter, "k", 1, 1, &d) == TIDEGATE_ERROR_ARGUMENT);
    CHECK_TEXT(tidegate_last_error_field(), "account");
    CHECK(!tidegate_try_acquire(limiter, "k", 1, 1));
    CHECK(tidegate_acquire_request(limiter, wrong, 3, 1, &d) == TIDEGATE_ERROR_ARGUMENT);
    CHECK_TEXT(tidegate_last_error_field(), "plan");
    CHECK(tidegate_acquire_request(limiter, NULL, 0, 1, &d) == TIDEGATE_ERROR_ARGUMENT);

    /* Of an attribute that is given twice the later value counts. */
    wrong[2].name = "account";
    wrong[2].value = "b";
    wrong[2].value_len = 1;
    CHECK(tidegate_try_acquire_request(limiter, wrong, 3, 1));
    wrong[1].value = "b";
    CHECK_U64(left_of("account", wrong, 2), 99);
    end();
}

static void charges_and_the_operators_hand(void)
{
    const tidegate_attribute account[] = {ATTRIBUTE("account", "acme")};
    tidegate_decision d = TIDEGATE_DECISION_INIT;
    bool renewed = true;
    begin();
    CHECK_OK(tidegate_penalize_request(limiter, read_configs, 3, 3));
    CHECK_OK(tidegate_penalize_request_at(limiter, read_configs, 3, 1, T0));
    CHECK_U64(LEFT("account"), 96);
    CHECK_OK(tidegate_refund_request(limiter, read_configs, 3, 2));
    CHECK_OK(tidegate_refund_request_at(limiter, read_configs, 3, 1, T0));
    CHECK_U64(LEFT("account"), 99);
    CHECK_OK(tidegate_record_latency_request(limiter, read_configs, 3, 4 * SECOND));
    CHECK_OK(tidegate_record_latency_request_at(limiter, read_configs, 3, SECOND, T0));
    CHECK_U64(LEFT("time"), 5 * SECOND);
    CHECK_OK(tidegate_reset_request(limiter, read_configs, 3));
    CHECK_U64(LEFT("time"), 10 * SECOND);
    CHECK_OK(tidegate_penalize_request(limiter, read_configs, 3, 3));
    CHECK_OK(tidegate_reset_request_at(limiter, read_configs, 3, T0));
    CHECK_U64(LEFT("account"), 100);

    /* A block is of one attribute. */
    CHECK_OK(tidegate_block_request(limiter, account, 1, 5 * SECOND));
    CHECK_OK(tidegate_acquire_request(limiter, read_configs, 3, 1, &d));
    CHECK_U64(d.reason, TIDEGATE_REASON_BLOCKED);
    CHECK_U64(d.retry_after_ns, 5 * SECOND);
    CHECK_OK(tidegate_block_request_at(limiter, account, 1, 0, T0));
    CHECK(tidegate_block_request(limiter, read_configs, 3, 1) == TIDEGATE_ERROR_ARGUMENT);
    CHECK(tidegate_try_acquire_request(limiter, read_configs, 3, 1));

    /* Permits that are not renewed are reclaimed. */
    CHECK_OK(tidegate_renew_request(limiter, stream, 3, &renewed));
    CHECK(!renewed);
    CHECK(tidegate_try_acquire_request_at(limiter, stream, 3, 1, T0));
    CHECK_OK(tidegate_renew_request_at(limiter, stream, 3, T0 + 40 * SECOND, &renewed));
    CHECK(renewed);
    CHECK_OK(tidegate_clock_set(manual, T0 + 90 * SECOND));
    CHECK_U64(left_of("streams", stream, 3), 1);
    CHECK_OK(tidegate_release_request(limiter, stream, 3));
    CHECK_OK(tidegate_release_request_at(limiter, stream, 3, T0 + 90 * SECOND));
    CHECK_U64(left_of("streams", stream, 3), 2);
    CHECK(tidegate_try_acquire_request(limiter, stream, 3, 1));
    CHECK_OK(tidegate_clock_advance(manual, 120 * SECOND));
    CHECK_OK(tidegate_renew_request(limiter, stream, 3, &renewed));
    CHECK(!renewed);
    end();
}

/* Of keys, under a policy that knows nothing else. */
static void permits_of_keys(void)
{
    const tidegate_attribute key[] = {ATTRIBUTE("key", "a")};
    tidegate_decision d = TIDEGATE_DECISION_INIT;
    tidegate_measure *measure = NULL;
    bool renewed = false;
    manual = clock_at(T0);
    limiter = limiter_of("[[limit]]\nmethod = \"concurrency\"\nquota = 2\nmax_hold = \"1m\"\n", manual);
    CHECK(tidegate_try_acquire(limiter, "a", 1, 1));
    CHECK_OK(tidegate_renew(limiter, "a", 1, &renewed));
    CHECK(renewed);
    CHECK_OK(tidegate_renew_at(limiter, "a", 1, T0 + 30 * SECOND, &renewed));
    CHECK(renewed);
    CHECK_OK(tidegate_renew_request(limiter, key, 1, &renewed));
    CHECK(renewed);
    CHECK_OK(tidegate_renew(limiter, "b", 1, &renewed));
    CHECK(!renewed);
    CHECK_OK(tidegate_release(limiter, "a", 1));

    CHECK_OK(tidegate_measure_begin(limiter, "a", 1, 1, &d, &measure));
    CHECK_OK(tidegate_clock_advance(manual, 50 * SECOND));
    CHECK_OK(tidegate_measure_renew(measure, &renewed));
    CHECK(renewed);
    CHECK_OK(tidegate_clock_advance(manual, 120 * SECOND));
    CHECK_OK(tidegate_measure_renew(measure, &renewed));
    CHECK(!renewed);
    CHECK_OK(tidegate_measure_end(measure));
    end();
}

static void held_and_waited_for(void)
{
    tidegate_decision d = TIDEGATE_DECISION_INIT;
    tidegate_measure *measure = NULL;
    tidegate_reservation *reservation = NULL;
    tidegate_ticket *ticket = NULL;
    uint64_t after = 0;
    begin();
    CHECK_OK(tidegate_measure_begin_request(limiter, stream, 3, 1, &d, &measure));
    CHECK(d.allowed && measure != NULL);
    CHECK_U64(left_of("streams", stream, 3), 1);
    CHECK_OK(tidegate_clock_advance(manual, SECOND));
    CHECK_OK(tidegate_measure_end(measure));
    CHECK_U64(left_of("streams", stream, 3), 2);
    CHECK_U64(LEFT("time"), 9 * SECOND);

    CHECK_OK(tidegate_reserve_request(limiter, read_configs, 3, 3, &d, &reservation));
    CHECK_U64(LEFT("account"), 96);
    CHECK_OK(tidegate_settle(reservation, 1));
    CHECK_U64(LEFT("account"), 98);
    CHECK_OK(tidegate_reserve_request_at(limiter, read_configs, 3, 7, T0, &d, &reservation));
    CHECK(!d.allowed && reservation == NULL);

    CHECK_OK(tidegate_wait_request(limiter, read_configs, 3, 1, 0, &d));
    CHECK(d.allowed);
    CHECK_OK(tidegate_wait_request(limiter, write_configs, 3, 2, TIDEGATE_NEVER, &d));
    CHECK_U64(d.reason, TIDEGATE_REASON_IMPOSSIBLE);
    CHECK_OK(tidegate_queue_request(limiter, read_configs, 3, 1, 0, NULL, NULL, &ticket));
    CHECK_OK(tidegate_ticket_poll(ticket, &after, &d));
    CHECK(after == 0 && d.allowed);
    tidegate_ticket_free(ticket);

    /* What is wrong with a request the first poll says. */
    CHECK_OK(tidegate_queue_request(limiter, read_configs, 1, 1, 0, NULL, NULL, &ticket));
    CHECK(tidegate_ticket_poll(ticket, &after, &d) == TIDEGATE_ERROR_ARGUMENT);
    CHECK_TEXT(tidegate_last_error_field(), "account");
    tidegate_ticket_free(ticket);
    end();
}

/* Many requests in one call: each with its own decision, at one moment. */
static void batches(void)
{
    const tidegate_attribute *requests[] = {write_configs, read_configs, write_configs};
    size_t counts[] = {3, 3, 3};
    tidegate_decision d[3] = {TIDEGATE_DECISION_INIT};
    begin();
    CHECK_OK(tidegate_acquire_many_request(limiter, requests, counts, 3, 1, d));
    CHECK(d[0].allowed && d[1].allowed && !d[2].allowed);
    CHECK_TEXT(d[2].limit_name, "writes");
    CHECK_U64(LEFT("account"), 98);
    CHECK_OK(tidegate_acquire_many_request_at(limiter, requests, counts, 3, 1, T0 + 3600 * SECOND, d));
    CHECK(d[0].allowed && d[1].allowed && !d[2].allowed);

    /* Decided up to the first that the policy refuses; no decision is written. */
    counts[2] = 1;
    memset(d, 0, sizeof d);
    d[0].struct_size = sizeof d[0];
    CHECK(tidegate_acquire_many_request(limiter, requests + 1, counts + 1, 2, 1, d)
          == TIDEGATE_ERROR_ARGUMENT);
    CHECK_TEXT(tidegate_last_error_field(), "account");
    CHECK(!d[0].allowed && d[1].struct_size == 0);
    CHECK_OK(tidegate_acquire_many_request(limiter, requests, counts, 0, 1, NULL));
    end();
}

static void check_plan(const char *expected)
{
    const char *plan = NULL;
    CHECK_OK(tidegate_plan_of_request(limiter, read_configs, 3, &plan));
    CHECK_TEXT(plan, expected);
}

static void plans(void)
{
    tidegate_decision d = TIDEGATE_DECISION_INIT;
    const char *plan = NULL;
    begin();
    check_plan("starter");
    CHECK_OK(tidegate_assign(limiter, "acme", 4, "pro", TIDEGATE_NEVER));
    check_plan("pro");
    CHECK_OK(tidegate_acquire_request(limiter, read_configs, 3, 1, &d));
    CHECK_U64(d.limit, 40);
    CHECK_TEXT(tidegate_decision_plan(&d), "pro");
    CHECK_OK(tidegate_assign_at(limiter, "acme", 4, "starter", 10 * SECOND, T0));
    check_plan("starter");
    CHECK_OK(tidegate_clock_advance(manual, 10 * SECOND));
    check_plan("pro"); /* for good again */
    CHECK_OK(tidegate_plan_of_request_at(limiter, read_configs, 3, T0 + 9 * SECOND, &plan));
    CHECK_TEXT(plan, "starter");
    CHECK_OK(tidegate_plan_of_request_at(limiter, read_configs, 3, T0 + 10 * SECOND, &plan));
    CHECK_TEXT(plan, "pro");
    CHECK_OK(tidegate_plan_of_at(limiter, "k1", 2, T0, &plan));
    CHECK_TEXT(plan, "starter");
    CHECK_OK(tidegate_unassign(limiter, "acme", 4));
    check_plan("starter");
    CHECK(tidegate_assign(limiter, "acme", 4, "gold", TIDEGATE_NEVER) == TIDEGATE_ERROR_ARGUMENT);
    CHECK_TEXT(tidegate_last_error_field(), "plan");
    CHECK(strstr(tidegate_last_error(), "pro") != NULL);
    check_plan("starter");
    end();
    CHECK_TEXT(tidegate_decision_plan(&d), "pro"); /* names are for ever */

    limiter = limiter_of("1/hour", NULL);
    CHECK_OK(tidegate_plan_of(limiter, "k", 1, &plan));
    CHECK_TEXT(plan, "");
    tidegate_limiter_free(limiter);
}

static void reports_of_use(void)
{
    tidegate_usage_report *report = NULL;
    tidegate_usage_totals totals = TIDEGATE_USAGE_TOTALS_INIT;
    tidegate_usage_kind kind = TIDEGATE_USAGE_KIND_INIT;
    tidegate_attribute odd[] = {ATTRIBUTE("key", "k2"), ATTRIBUTE("account", "acme"),
                                ATTRIBUTE("route", "a\0b")};
    begin();
    CHECK(tidegate_try_acquire_request(limiter, read_configs, 3, 2));
    CHECK(tidegate_try_acquire_request(limiter, write_configs, 3, 1));
    CHECK(tidegate_try_acquire_request(limiter, odd, 3, 3));
    CHECK_OK(tidegate_usage_request(limiter, read_configs, 3, TIDEGATE_NEVER, &report));
    CHECK_OK(tidegate_usage_get(report, &totals));
    CHECK_U64(totals.struct_size, sizeof totals);
    CHECK_U64(totals.window_ns, 3600 * SECOND);
    CHECK_U64(totals.total, 6);
    CHECK_U64(totals.dropped, 0);
    CHECK(totals.has_limit);
    CHECK_TEXT(totals.limit_name, "account");
    CHECK_TEXT(totals.plan_name, "starter");
    CHECK_U64(totals.quota, 100);
    CHECK_U64(totals.remaining, 94);
    CHECK_U64(totals.utilization_permille, 60);
    CHECK_U64(tidegate_usage_kinds_count(report), 3);
    CHECK_OK(tidegate_usage_kinds_get(report, 0, &kind));
    CHECK_U64(kind.units, 3);
    CHECK_U64(kind.name_len, 3);
    CHECK(memcmp(kind.name, "a\0b", 4) == 0);
    CHECK_OK(tidegate_usage_kinds_get(report, 1, &kind));
    CHECK_U64(kind.units, 2);
    CHECK_TEXT(kind.name, "GET /configs");
    CHECK(tidegate_usage_kinds_get(report, 3, &kind) == TIDEGATE_ERROR_ARGUMENT);
    CHECK_TEXT(tidegate_last_error_field(), "index");
    tidegate_usage_free(report);

    CHECK_OK(tidegate_usage_request_at(limiter, read_configs, 3, 60 * SECOND,
                                       T0 + 7200 * SECOND, &report));
    CHECK_OK(tidegate_usage_get(report, &totals));
    CHECK_U64(totals.total, 0);
    CHECK_U64(totals.window_ns, 60 * SECOND);
    CHECK(tidegate_usage(limiter, "k", 1, 1, &report) == TIDEGATE_ERROR_ARGUMENT);
    CHECK_TEXT(tidegate_last_error_field(), "account");
    CHECK(tidegate_usage_at(limiter, "k", 1, 1, T0, &report) == TIDEGATE_ERROR_ARGUMENT);
    end();
    CHECK_U64(tidegate_usage_kinds_count(report), 0); /* it outlives its limiter */
    CHECK_OK(tidegate_usage_get(report, &totals));
    tidegate_usage_free(report);

    limiter = limiter_of("[[limit]]\nrate = \"1/hour\"\n", NULL);
    CHECK(tidegate_usage(limiter, "k", 1, TIDEGATE_NEVER, &report) == TIDEGATE_ERROR_ARGUMENT);
    CHECK_TEXT(tidegate_last_error_field(), "usage");
    tidegate_limiter_free(limiter);
}

/* Both ways to size a buffer, and every size that is too small. */
static void check_text(tidegate_status (*call)(const tidegate_decision *, int32_t, char *, size_t,
                                               size_t *),
                       const tidegate_decision *d, int32_t style, const char *expected)
{
    char buffer[1024];
    size_t needed = 0, size, at;
    CHECK_OK(call(d, style, NULL, 0, &needed));
    CHECK_U64(needed, strlen(expected));
    CHECK_OK(call(d, style, buffer, sizeof buffer, &needed));
    CHECK_TEXT(buffer, expected);
    for (size = 1; size <= needed + 1; size++) {
        size_t wanted = 0;
        memset(buffer, 'x', sizeof buffer);
        CHECK_OK(call(d, style, buffer, size, &wanted));
        CHECK_U64(wanted, needed);
        CHECK_TEXT(buffer, size > needed ? expected : "");
        for (at = size; at < sizeof buffer; at++)
            CHECK(buffer[at] == 'x');
    }
}

static void http(void)
{
    const char *legacy = "X-RateLimit-Limit: 100\r\nX-RateLimit-Remaining: 60\r\n"
                         "X-RateLimit-Reset: 1700000024\r\n";
    const char *draft = "RateLimit-Policy: \"100/minute\";q=100;w=60\r\n"
                        "RateLimit: \"100/minute\";r=60;t=24\r\n";
    char both[512];
    tidegate_decision d = TIDEGATE_DECISION_INIT;
    int32_t style = -1;
    manual = clock_at(T0);
    limiter = limiter_of("100/minute", manual);
    CHECK_OK(tidegate_acquire(limiter, "user:42", 7, 40, &d));
    CHECK_U64(tidegate_decision_status(&d), 200);
    check_text(tidegate_decision_headers, &d, TIDEGATE_HEADERS_LEGACY, legacy);
    check_text(tidegate_decision_headers, &d, TIDEGATE_HEADERS_DRAFT, draft);
    snprintf(both, sizeof both, "%s%s", legacy, draft);
    check_text(tidegate_decision_headers, &d, TIDEGATE_HEADERS_BOTH, both);
    check_text(tidegate_decision_body, &d, TIDEGATE_BODY_PROBLEM, "");

    /* A decision may be copied, and outlives its limiter. */
    CHECK_OK(tidegate_acquire(limiter, "user:42", 7, 90, &d));
    end();
    CHECK_U64(tidegate_decision_status(&d), 429);
    check_text(tidegate_decision_headers, &d, TIDEGATE_HEADERS_DRAFT,
               "RateLimit-Policy: \"100/minute\";q=100;w=60\r\n"
               "RateLimit: \"100/minute\";r=60;t=18\r\nRetry-After: 18\r\n");
    check_text(tidegate_decision_body, &d, TIDEGATE_BODY_MESSAGE,
               "{\"message\":\"Too many requests\",\"code\":429}");
    check_text(tidegate_decision_body, &d, TIDEGATE_BODY_ERROR,
               "{\"error\":{\"code\":\"RATE_LIMIT_EXCEEDED\",\"message\":\"The limit "
               "\\\"100/minute\\\" has no room for the request. Try again in 18 seconds.\",\"details\":{\"limit\":100,\"remaining\":60,\"reset_at\":"
               "\"2023-11-14T22:13:44Z\",\"retry_after_seconds\":18,\"plan\":null}}}");
    CHECK_TEXT(tidegate_body_content_type(TIDEGATE_BODY_PROBLEM), "application/problem+json");
    CHECK_TEXT(tidegate_body_content_type(3), "");

    CHECK_OK(tidegate_header_style("legacy", &style));
    CHECK(style == TIDEGATE_HEADERS_LEGACY);
    CHECK_OK(tidegate_header_style("draft", &style));
    CHECK(style == TIDEGATE_HEADERS_DRAFT);
    CHECK_OK(tidegate_header_style("both", &style));
    CHECK(style == TIDEGATE_HEADERS_BOTH);
    CHECK_OK(tidegate_body_style("error", &style));
    CHECK(style == TIDEGATE_BODY_ERROR);
    CHECK_OK(tidegate_body_style("message", &style));
    CHECK(style == TIDEGATE_BODY_MESSAGE);
    CHECK_OK(tidegate_body_style("problem", &style));
    CHECK(style == TIDEGATE_BODY_PROBLEM);
    CHECK(tidegate_header_style("Both", &style) == TIDEGATE_ERROR_ARGUMENT);
    CHECK(tidegate_body_style("json", &style) == TIDEGATE_ERROR_ARGUMENT);
    CHECK_TEXT(tidegate_last_error_field(), "style");
}

static void secrets(void)
{
    char line[72];
    size_t needed = 0;
    CHECK_OK(tidegate_hash_secret("abc", 3, NULL, 0, &needed));
    CHECK_U64(needed, 71);
    CHECK_OK(tidegate_hash_secret("abc", 3, line, sizeof line, &needed));
    CHECK_TEXT(line,
               "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    CHECK_OK(tidegate_hash_secret("abc", 3, line, sizeof line - 1, &needed));
    CHECK_TEXT(line, "");
}

/* A measure of a policy without permits has none to renew. */
static void nothing_to_renew(void)
{
    tidegate_measure *measure = NULL;
    tidegate_decision d = TIDEGATE_DECISION_INIT;
    bool renewed = true;
    limiter = limiter_of("9/minute", NULL);
    CHECK_OK(tidegate_measure_begin(limiter, "a", 1, 1, &d, &measure));
    CHECK_OK(tidegate_measure_renew(measure, &renewed));
    CHECK(!renewed);
    CHECK_OK(tidegate_measure_end(measure));
    tidegate_limiter_free(limiter);
}

/* A policy with secrets is read from its file; what is none of them lets nobody pass. */
static void secrets_of_an_example(void)
{
    const tidegate_attribute dev[] = {ATTRIBUTE("ip", "192.0.2.1"), ATTRIBUTE("route", "GET /"),
                                ATTRIBUTE("dev_key", "open sesame")};
    tidegate_decision d = TIDEGATE_DECISION_INIT;
    CHECK_OK(tidegate_limiter_new_from_file(EXAMPLES "platform.toml", NULL, &limiter));
    CHECK_OK(tidegate_acquire_request(limiter, dev, 3, 1, &d));
    CHECK_U64(d.reason, TIDEGATE_REASON_OK);
    tidegate_limiter_free(limiter);
}

typedef struct {
    unsigned calls;
    uint64_t used, capacity, threshold;
    char text[128];
} heard;

/* A listener may use the limiter, and be told of what that leads to. */
static void listen(const tidegate_alert *alert, void *context)
{
    heard *h = (heard *)context;
    size_t at;
    char *to = h->text;
    h->calls++;
    h->used = alert->used;
    h->capacity = alert->capacity;
    h->threshold = alert->threshold_permille;
    CHECK_U64(alert->struct_size, sizeof *alert);
    CHECK_U64(alert->method, TIDEGATE_METHOD_COUNT);
    to += sprintf(to, "%s %s", alert->plan_name, alert->limit_name);
    for (at = 0; at < alert->attribute_count; at++)
        to += sprintf(to, " %s=%.*s", alert->attributes[at].name,
                      (int)alert->attributes[at].value_len,
                      (const char *)alert->attributes[at].value);
    CHECK(tidegate_on_alert(limiter, NULL, NULL) == TIDEGATE_ERROR_ARGUMENT);
    CHECK_TEXT(tidegate_last_error_field(), "listener");
    if (h->calls == 1)
        CHECK(tidegate_try_acquire_request(limiter, alert->attributes, 2, 1));
}

static void alerts(void)
{
    heard first, second;
    tidegate_reservation *reservation = NULL;
    tidegate_decision d = TIDEGATE_DECISION_INIT;
    memset(&first, 0, sizeof first);
    memset(&second, 0, sizeof second);
    begin();
    CHECK(tidegate_try_acquire_request(limiter, read_configs, 3, 1)); /* nobody listens */
    CHECK_OK(tidegate_on_alert(limiter, listen, &first));
    CHECK(tidegate_try_acquire_request(limiter, read_configs, 3, 1));
    CHECK_U64(first.calls, 0);
    CHECK(tidegate_try_acquire_request(limiter, read_configs, 3, 1));
    CHECK_U64(first.calls, 1);
    CHECK_U64(first.used, 3);
    CHECK_U64(first.capacity, 6);
    CHECK_U64(first.threshold, 500);
    CHECK_TEXT(first.text, "starter minute key=k1 account=acme route=GET /configs");
    CHECK_U64(LEFT("account"), 96);

    /* Another takes its place; nobody; and nobody once the limiter is freed. */
    CHECK_OK(tidegate_on_alert(limiter, listen, &second));
    second.calls = 1;
    CHECK_OK(tidegate_reset_request(limiter, read_configs, 3));
    CHECK(tidegate_try_acquire_request(limiter, read_configs, 3, 3));
    CHECK_U64(first.calls, 1);
    CHECK_U64(second.calls, 2);
    CHECK_OK(tidegate_on_alert(limiter, NULL, NULL));
    CHECK_OK(tidegate_reset_request(limiter, read_configs, 3));
    CHECK(tidegate_try_acquire_request(limiter, read_configs, 3, 3));
    CHECK_U64(second.calls, 2);
    CHECK_OK(tidegate_on_alert(limiter, listen, &second));
    CHECK_OK(tidegate_reset_request(limiter, read_configs, 3));
    CHECK_OK(tidegate_reserve_request(limiter, read_configs, 3, 1, &d, &reservation));
    end();
    CHECK_OK(tidegate_settle(reservation, 5));
    CHECK_U64(second.calls, 2);

    /* A key is a request with the attribute "key". */
    memset(&first, 0, sizeof first);
    first.calls = 1;
    limiter = limiter_of("{\"limit\": [{\"name\": \"day\", \"rate\": \"10/day\", \"alerts\": [0.8]}]}",
                         NULL);
    CHECK_OK(tidegate_on_alert(limiter, listen, &first));
    CHECK(tidegate_try_acquire(limiter, "k", 1, 8));
    CHECK_U64(first.calls, 2);
    CHECK_TEXT(first.text, " day key=k");
    tidegate_limiter_free(limiter);
}

static void write_policy(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    CHECK(file != NULL);
    fputs(text, file);
    fclose(file);
}

/* The first load, and what is refused. That changes are seen is the engine's to test: it takes real time. */
static void watches(const char *folder)
{
    char path[4096];
    tidegate_watcher *watcher = NULL;
    tidegate_decision d = TIDEGATE_DECISION_INIT;
    snprintf(path, sizeof path, "%s/watched.toml", folder);
    remove(path);
    limiter = limiter_of("1/hour", NULL);
    CHECK(tidegate_watch(limiter, path, NULL, NULL, &watcher) == TIDEGATE_ERROR_FILE);
    write_policy(path, "[[limit]]\nrate = \"none\"\n");
    CHECK(tidegate_watch(limiter, path, NULL, NULL, &watcher) == TIDEGATE_ERROR_POLICY);
    CHECK_U64(tidegate_last_error_line(), 2);
    CHECK(watcher == NULL);
    CHECK_OK(tidegate_peek(limiter, "k", 1, 1, &d));
    CHECK_U64(d.limit, 1);
    write_policy(path, "[[limit]]\nrate = \"7/hour\"\n");
    CHECK_OK(tidegate_watch(limiter, path, NULL, NULL, &watcher));
    CHECK_OK(tidegate_peek(limiter, "k", 1, 1, &d));
    CHECK_U64(d.limit, 7);
    tidegate_limiter_free(limiter);
    tidegate_watcher_free(watcher); /* it outlives the limiter's handle */
    tidegate_watcher_free(NULL);
    remove(path);
}

int main(int argc, char **argv)
{
    one_decision_over_all_records();
    what_is_missing_is_named();
    charges_and_the_operators_hand();
    permits_of_keys();
    held_and_waited_for();
    batches();
    plans();
    reports_of_use();
    http();
    secrets();
    secrets_of_an_example();
    nothing_to_renew();
    alerts();
    watches(argc > 1 ? argv[1] : ".");
    return result("requests");
}
