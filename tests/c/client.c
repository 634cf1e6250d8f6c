/* The client's side: what servers tell in their headers (lines of to_lines.py), waits before retries, and a
 * pacer's calls, by an event loop and by threads. */

#include "lines.h"
#include <pthread.h>

#define FORMS 32

#define BLAMES(name, call) \
    do { \
        CHECK((call) == TIDEGATE_ERROR_ARGUMENT); \
        CHECK_TEXT(tidegate_last_error_field(), name); \
    } while (0)

static void check_quota(line *l, const tidegate_server_limits *limits, size_t index)
{
    tidegate_quota quota = TIDEGATE_QUOTA_INIT;
    bytes name = as_bytes(expect_pair(l, "name"));
    CHECK_OK(tidegate_server_limits_get(limits, index, &quota));
    CHECK_TEXT(quota.name == NULL ? "(none)" : quota.name, name.data);
    CHECK_U64(quota.has_limit, as_number(expect_pair(l, "told")));
    CHECK_U64(quota.limit, as_number(expect_pair(l, "limit")));
    CHECK_U64(quota.has_remaining, as_number(expect_pair(l, "told")));
    CHECK_U64(quota.remaining, as_number(expect_pair(l, "remaining")));
    CHECK_U64(quota.has_reset_after, as_number(expect_pair(l, "told")));
    CHECK_U64(quota.reset_after_ns, as_number(expect_pair(l, "reset_after_ns")));
    CHECK_U64(quota.has_window, as_number(expect_pair(l, "told")));
    CHECK_U64(quota.window_ns, as_number(expect_pair(l, "window_ns")));
    free(name.data);
}

static void check_form(line *l)
{
    tidegate_header headers[FORMS];
    bytes names[FORMS], values[FORMS], api = as_bytes(expect_pair(l, "api"));
    tidegate_server_limits *limits = NULL;
    uint64_t now = as_number(expect_pair(l, "now"));
    size_t count = (size_t)as_number(expect_pair(l, "headers")), index, quotas;
    int before = failures;
    if (count > FORMS)
        give_up("more headers than there is room for", api.data);
    for (index = 0; index < count; index++) {
        names[index] = as_bytes(expect_pair(l, "name"));
        values[index] = as_bytes(expect_pair(l, "value"));
        headers[index].name = names[index].data;
        headers[index].value = values[index].data;
        headers[index].value_len = values[index].len;
    }
    CHECK_OK(tidegate_read_headers(headers, count, now, &limits));
    for (index = 0; index < count; index++) {
        free(names[index].data);
        free(values[index].data);
    }
    CHECK_U64(tidegate_server_limits_retry_after_ns(limits),
              as_number(expect_pair(l, "retry_after_ns")));
    CHECK_U64(tidegate_server_limits_near(limits), as_number(expect_pair(l, "near_limit")));
    quotas = (size_t)as_number(expect_pair(l, "quotas"));
    CHECK_U64(tidegate_server_limits_count(limits), quotas);
    for (index = 0; index < quotas; index++)
        check_quota(l, limits, index);
    if (failures != before)
        fprintf(stderr, "  in the form \"%s\"\n", api.data);
    tidegate_server_limits_free(limits);
    free(api.data);
}

static void forms(void)
{
    line l;
    int count = 0;
    for (; read_line(stdin, &l); count++) {
        check_form(&l);
        free_line(&l);
    }
    CHECK(count > 90);
    printf("client: %d forms\n", count);
}

/* What a server tells; the caller frees it. */
static tidegate_server_limits *told(const char *name, const char *value)
{
    tidegate_server_limits *limits = NULL;
    tidegate_header header;
    header.name = name;
    header.value = value;
    header.value_len = strlen(value);
    CHECK_OK(tidegate_read_headers(&header, 1, T0, &limits));
    return limits;
}

static void limits_in_part(void)
{
    tidegate_server_limits *limits = told("RateLimit", "\"a\";r=0;t=7, \"b\";r=3;t=9");
    tidegate_quota quota = TIDEGATE_QUOTA_INIT;
    CHECK_U64(tidegate_server_limits_retry_after_ns(limits), TIDEGATE_NEVER);
    CHECK_U64(tidegate_server_limits_delay_ns(limits), 7 * SECOND);
    BLAMES("index", tidegate_server_limits_get(limits, 2, &quota));
    BLAMES("quota", tidegate_server_limits_get(limits, 0, NULL));
    BLAMES("limits", tidegate_server_limits_get(NULL, 0, &quota));
    quota.struct_size = 0;
    BLAMES("quota", tidegate_server_limits_get(limits, 0, &quota));
    /* A program with an older header. */
    quota.struct_size = 24;
    quota.reset_after_ns = 1;
    CHECK_OK(tidegate_server_limits_get(limits, 1, &quota));
    CHECK_U64(quota.remaining, 3);
    CHECK_U64(quota.reset_after_ns, 1);
    tidegate_server_limits_free(limits);

    CHECK_OK(tidegate_read_headers(NULL, 0, T0, &limits));
    CHECK_U64(tidegate_server_limits_delay_ns(limits), TIDEGATE_NEVER);
    CHECK_U64(tidegate_server_limits_count(limits), 0);
    tidegate_server_limits_free(limits);
}

static void limits_that_are_wrong(void)
{
    tidegate_server_limits *limits = NULL;
    tidegate_header nameless = {NULL, "1", 1}, valueless = {"Retry-After", NULL, 1},
                    empty = {"Retry-After", NULL, 0};
    BLAMES("headers", tidegate_read_headers(NULL, 1, T0, &limits));
    BLAMES("headers", tidegate_read_headers(&nameless, 1, T0, &limits));
    BLAMES("headers", tidegate_read_headers(&valueless, 1, T0, &limits));
    BLAMES("count", tidegate_read_headers(&empty, SIZE_MAX / 2, T0, &limits));
    BLAMES("now_ns", tidegate_read_headers(&empty, 1, UINT64_MAX, &limits));
    BLAMES("limits", tidegate_read_headers(&empty, 1, T0, NULL));
    CHECK(limits == NULL);
    CHECK_OK(tidegate_read_headers(&empty, 1, T0, &limits));
    CHECK_U64(tidegate_server_limits_delay_ns(limits), TIDEGATE_NEVER);
    tidegate_server_limits_free(limits);
    tidegate_server_limits_free(NULL);
    CHECK_U64(tidegate_server_limits_delay_ns(NULL), TIDEGATE_NEVER);
    CHECK_U64(tidegate_server_limits_retry_after_ns(NULL), TIDEGATE_NEVER);
    CHECK(!tidegate_server_limits_near(NULL));
    CHECK_U64(tidegate_server_limits_count(NULL), 0);
}

static void backoffs(void)
{
    tidegate_backoff *one = NULL, *same = NULL;
    uint64_t delay = 0, again = 0, most = 0;
    uint32_t retries;
    CHECK_OK(tidegate_backoff_new(SECOND, 30 * SECOND, 7, &one));
    CHECK_OK(tidegate_backoff_new(SECOND, 30 * SECOND, 7, &same));
    for (retries = 0; retries < 70; retries++) {
        uint64_t bound = retries < 5 ? SECOND << retries : 30 * SECOND;
        CHECK_OK(tidegate_backoff_delay(one, retries, TIDEGATE_NEVER, &delay));
        CHECK_OK(tidegate_backoff_delay(same, retries, TIDEGATE_NEVER, &again));
        CHECK_U64(again, delay);
        CHECK(delay <= bound);
        most = delay > most ? delay : most;
    }
    CHECK(most > 15 * SECOND);
    CHECK_OK(tidegate_backoff_delay(one, 0, 20 * SECOND, &delay));
    CHECK(delay >= 20 * SECOND && delay <= 21 * SECOND);
    BLAMES("backoff", tidegate_backoff_delay(NULL, 0, 0, &delay));
    BLAMES("delay_ns", tidegate_backoff_delay(one, 0, 0, NULL));
    BLAMES("backoff", tidegate_backoff_new(1, 1, 0, NULL));
    tidegate_backoff_free(one);
    tidegate_backoff_free(same);
    tidegate_backoff_free(NULL);
}

static tidegate_pacer *pacer_of(const char *policy, const tidegate_clock *clock,
                                uint32_t concurrency)
{
    tidegate_pacer *pacer = NULL;
    tidegate_pacer_options options = TIDEGATE_PACER_OPTIONS_INIT;
    options.clock = clock;
    options.concurrency = concurrency;
    options.headroom = 0;
    options.seed = 7;
    CHECK_OK(tidegate_pacer_new(policy, strlen(policy), &options, &pacer));
    return pacer;
}

static tidegate_call *begin(const tidegate_pacer *pacer, tidegate_wake wake, void *context)
{
    tidegate_call *call = NULL;
    CHECK_OK(tidegate_pacer_begin(pacer, NULL, wake, context, &call));
    return call;
}

static tidegate_step check(tidegate_call *call)
{
    tidegate_step step = TIDEGATE_STEP_INIT;
    CHECK_OK(tidegate_call_check(call, &step));
    return step;
}

static tidegate_step finish(tidegate_call *call, uint16_t status,
                            const tidegate_server_limits *limits)
{
    tidegate_step step = TIDEGATE_STEP_INIT;
    CHECK_OK(tidegate_call_finish(call, status, limits, &step));
    return step;
}

static void count_up(void *context)
{
    ++*(int *)context;
}

/* The limit known: three go, the fourth waits for its unit and is woken by the clock. */
static void a_known_limit(void)
{
    tidegate_clock *clock = clock_at(T0);
    tidegate_pacer *pacer = pacer_of("1/second burst 3", clock, 10);
    tidegate_call *calls[4];
    tidegate_step step;
    int woken = 0, at;
    for (at = 0; at < 4; at++)
        calls[at] = begin(pacer, count_up, &woken);
    for (at = 0; at < 3; at++)
        CHECK_U64(check(calls[at]).kind, TIDEGATE_STEP_GO);
    step = check(calls[3]);
    CHECK_U64(step.kind, TIDEGATE_STEP_WAIT);
    CHECK_U64(step.attempts, 0);
    CHECK_U64(woken, 0);
    CHECK_OK(tidegate_clock_advance(clock, SECOND));
    CHECK(woken > 0);
    step = check(calls[3]);
    CHECK_U64(step.kind, TIDEGATE_STEP_GO);
    CHECK_U64(step.attempts, 1);
    for (at = 0; at < 4; at++) {
        CHECK_U64(finish(calls[at], 200, NULL).kind, TIDEGATE_STEP_DONE);
        tidegate_call_free(calls[at]);
    }
    tidegate_pacer_free(pacer);
    tidegate_clock_free(clock);
}

/* A refusal pauses everybody for as long as the server asks, and the refused call is tried again. */
static void a_pause(void)
{
    tidegate_clock *clock = clock_at(T0);
    tidegate_pacer *pacer = pacer_of("", clock, 10);
    tidegate_server_limits *limits = told("Retry-After", "20");
    tidegate_call *refused = begin(pacer, NULL, NULL), *other;
    tidegate_step step;
    int woken = 0;
    CHECK_U64(check(refused).kind, TIDEGATE_STEP_GO);
    step = finish(refused, 429, limits);
    CHECK_U64(step.kind, TIDEGATE_STEP_WAIT);
    CHECK(step.wait_ns >= 20 * SECOND && step.wait_ns <= 21 * SECOND);
    other = begin(pacer, count_up, &woken);
    step = check(other);
    CHECK_U64(step.kind, TIDEGATE_STEP_WAIT);
    /* No timer helps: this clock wakes those who wait when it is moved. */
    CHECK_U64(step.wait_ns, TIDEGATE_NEVER);
    CHECK_OK(tidegate_clock_advance(clock, 20 * SECOND - 1));
    CHECK(woken > 0);
    CHECK_U64(check(other).kind, TIDEGATE_STEP_WAIT);
    CHECK_OK(tidegate_clock_advance(clock, 1));
    CHECK_U64(check(other).kind, TIDEGATE_STEP_GO);
    CHECK_U64(finish(other, 200, NULL).kind, TIDEGATE_STEP_DONE);
    CHECK_OK(tidegate_clock_advance(clock, SECOND));
    step = check(refused);
    CHECK_U64(step.kind, TIDEGATE_STEP_GO);
    CHECK_U64(step.attempts, 2);
    CHECK_U64(finish(refused, 200, NULL).kind, TIDEGATE_STEP_DONE);
    /* A call that is over. */
    CHECK_U64(finish(refused, 429, limits).kind, TIDEGATE_STEP_DONE);
    CHECK_U64(check(refused).failure, TIDEGATE_FAILURE_CLOSED);
    tidegate_call_free(refused);
    tidegate_call_free(other);
    tidegate_server_limits_free(limits);

    /* What another client of the same account was told; and the operator knows better. */
    limits = told("RateLimit", "\"a\";r=0;t=30");
    CHECK_OK(tidegate_pacer_observe(pacer, limits));
    other = begin(pacer, NULL, NULL);
    CHECK_U64(check(other).kind, TIDEGATE_STEP_WAIT);
    CHECK_OK(tidegate_clock_advance(clock, 30 * SECOND));
    CHECK_U64(check(other).kind, TIDEGATE_STEP_GO);
    tidegate_call_free(other);
    tidegate_server_limits_free(limits);
    tidegate_pacer_free(pacer);
    tidegate_clock_free(clock);
}

/* By a clock that runs, a timer is needed. */
static void a_pause_by_a_running_clock(void)
{
    tidegate_pacer *pacer = pacer_of("", NULL, 10);
    tidegate_server_limits *limits = told("Retry-After", "50");
    tidegate_call *refused = begin(pacer, NULL, NULL), *other;
    CHECK_U64(finish(refused, 429, limits).kind, TIDEGATE_STEP_WAIT);
    other = begin(pacer, NULL, NULL);
    CHECK(check(other).wait_ns <= 50 * SECOND);
    tidegate_call_free(other);
    tidegate_call_free(refused);
    tidegate_server_limits_free(limits);
    tidegate_pacer_free(pacer);
}

static void reset_ends_a_pause(void)
{
    tidegate_clock *clock = clock_at(T0);
    tidegate_pacer *pacer = pacer_of("", clock, 10);
    tidegate_server_limits *limits = told("Retry-After", "20");
    tidegate_call *refused = begin(pacer, NULL, NULL), *other = begin(pacer, NULL, NULL);
    CHECK_U64(finish(refused, 429, limits).kind, TIDEGATE_STEP_WAIT);
    tidegate_call_free(refused);
    tidegate_call_free(other);
    other = begin(pacer, NULL, NULL);
    CHECK_U64(check(other).kind, TIDEGATE_STEP_WAIT);
    CHECK_OK(tidegate_pacer_reset(pacer));
    CHECK_U64(check(other).kind, TIDEGATE_STEP_GO);
    tidegate_call_free(other);
    tidegate_server_limits_free(limits);
    tidegate_pacer_free(pacer);
    tidegate_clock_free(clock);
}

static void fails(tidegate_step step, uint8_t failure, const char *word)
{
    CHECK_U64(step.kind, TIDEGATE_STEP_FAIL);
    CHECK_U64(step.failure, failure);
    CHECK_TEXT(tidegate_failure_name(step.failure), word);
}

static void failures_of_calls(void)
{
    tidegate_clock *clock = clock_at(T0);
    tidegate_pacer *pacer = pacer_of("1/second burst 3", clock, 10), *credentials;
    tidegate_server_limits *long_wait = told("Retry-After", "61");
    tidegate_call_options options = TIDEGATE_CALL_OPTIONS_INIT;
    tidegate_call *call = NULL;
    tidegate_step step = TIDEGATE_STEP_INIT;

    options.label = "item 7";
    options.max_retries = 0;
    CHECK_OK(tidegate_pacer_begin(pacer, &options, NULL, NULL, &call));
    CHECK_TEXT(tidegate_call_error(call), "");
    CHECK_U64(check(call).kind, TIDEGATE_STEP_GO);
    step = finish(call, 429, NULL);
    fails(step, TIDEGATE_FAILURE_RETRIES_EXHAUSTED, "retries_exhausted");
    CHECK_U64(step.attempts, 1);
    CHECK_U64(step.retry_after_ns, TIDEGATE_NEVER);
    CHECK_TEXT(tidegate_call_error(call), "item 7: refused in its only attempt with status 429");
    tidegate_call_free(call);
    CHECK_OK(tidegate_clock_advance(clock, SECOND));

    options.cost = 4;
    CHECK_OK(tidegate_pacer_begin(pacer, &options, NULL, NULL, &call));
    fails(check(call), TIDEGATE_FAILURE_IMPOSSIBLE, "impossible");
    tidegate_call_free(call);
    options.cost = 3;
    options.deadline_ns = 1;
    CHECK_OK(tidegate_pacer_begin(pacer, &options, NULL, NULL, &call));
    fails(check(call), TIDEGATE_FAILURE_DEADLINE_EXCEEDED, "deadline_exceeded");
    tidegate_call_free(call);

    credentials = pacer_of("", clock, 10);
    call = begin(credentials, NULL, NULL);
    CHECK_U64(finish(call, 401, NULL).kind, TIDEGATE_STEP_DONE);
    tidegate_call_free(call);
    call = begin(credentials, NULL, NULL);
    step = check(call);
    fails(step, TIDEGATE_FAILURE_BREAKER_OPEN, "breaker_open");
    CHECK_U64(step.retry_after_ns, 30 * SECOND);
    tidegate_call_free(call);
    CHECK_OK(tidegate_pacer_reset(credentials));
    call = begin(credentials, NULL, NULL);
    step = finish(call, 429, long_wait);
    fails(step, TIDEGATE_FAILURE_RETRY_AFTER_TOO_LONG, "retry_after_too_long");
    CHECK_U64(step.retry_after_ns, 61 * SECOND);
    tidegate_call_free(call);
    CHECK_OK(tidegate_pacer_close(credentials));
    call = begin(credentials, NULL, NULL);
    fails(check(call), TIDEGATE_FAILURE_CLOSED, "closed");
    tidegate_call_free(call);

    CHECK_TEXT(tidegate_failure_name(0), "none");
    CHECK_TEXT(tidegate_failure_name(200), "unknown");
    tidegate_server_limits_free(long_wait);
    tidegate_pacer_free(credentials);
    tidegate_pacer_free(pacer);
    tidegate_clock_free(clock);
}

static void classes(void)
{
    tidegate_clock *clock = clock_at(T0);
    tidegate_pacer *pacer = pacer_of("", clock, 10);
    tidegate_call *call = begin(pacer, NULL, NULL), *other;
    tidegate_step step = TIDEGATE_STEP_INIT;
    CHECK_U64(check(call).kind, TIDEGATE_STEP_GO);
    BLAMES("class_number", tidegate_call_finish_as(call, 7, 0, NULL, &step));
    CHECK_OK(tidegate_call_finish_as(call, TIDEGATE_CLASS_RETRY, 0, NULL, &step));
    CHECK_U64(step.kind, TIDEGATE_STEP_WAIT);
    other = begin(pacer, NULL, NULL);
    CHECK_U64(check(other).kind, TIDEGATE_STEP_GO);
    CHECK_OK(tidegate_call_finish_as(other, TIDEGATE_CLASS_ERROR, 429, NULL, &step));
    CHECK_U64(step.kind, TIDEGATE_STEP_DONE);
    tidegate_call_free(call);
    tidegate_call_free(other);
    tidegate_pacer_free(pacer);
    tidegate_clock_free(clock);
}

/* A call that is freed gives its slot to the next, and its `wake` is not called any more. */
static void calls_that_are_dropped(void)
{
    tidegate_clock *clock = clock_at(T0);
    tidegate_pacer *pacer = pacer_of("", clock, 1);
    tidegate_call *first, *second, *third;
    int second_woken = 0, third_woken = 0;
    first = begin(pacer, NULL, NULL);
    second = begin(pacer, count_up, &second_woken);
    third = begin(pacer, count_up, &third_woken);
    CHECK_U64(check(first).kind, TIDEGATE_STEP_GO);
    CHECK_U64(check(second).kind, TIDEGATE_STEP_WAIT);
    CHECK_U64(check(second).wait_ns, TIDEGATE_NEVER);
    CHECK_U64(check(third).kind, TIDEGATE_STEP_WAIT);
    tidegate_call_free(second);
    second_woken = 0;
    tidegate_call_free(first);
    CHECK(third_woken > 0);
    CHECK_U64(check(third).kind, TIDEGATE_STEP_GO);
    /* A call outlives its pacer. */
    tidegate_pacer_free(pacer);
    CHECK_U64(finish(third, 200, NULL).kind, TIDEGATE_STEP_DONE);
    CHECK_U64(second_woken, 0);
    tidegate_call_free(third);
    tidegate_clock_free(clock);
}

/* Over a limiter: what others take of it is gone, and the pacer's calls take of it. */
static void over_a_limiter(void)
{
    tidegate_clock *clock = clock_at(T0);
    tidegate_limiter *limiter = limiter_of("2/minute", clock);
    tidegate_pacer_options options = TIDEGATE_PACER_OPTIONS_INIT;
    tidegate_attribute request = {"key", "k", 1};
    tidegate_pacer *by_key = NULL, *by_request = NULL;
    tidegate_call *one, *two, *three;
    options.clock = clock;
    BLAMES("clock", tidegate_pacer_new_over(limiter, "k", 1, &options, &by_key));
    CHECK_OK(tidegate_pacer_new_over(limiter, "k", 1, NULL, &by_key));
    CHECK_OK(tidegate_pacer_new_over_request(limiter, &request, 1, NULL, &by_request));
    one = begin(by_key, NULL, NULL);
    two = begin(by_request, NULL, NULL);
    CHECK_U64(check(one).kind, TIDEGATE_STEP_GO);
    CHECK_U64(check(two).kind, TIDEGATE_STEP_GO);
    CHECK(!tidegate_try_acquire(limiter, "k", 1, 1));
    CHECK(tidegate_try_acquire(limiter, "other", 5, 1));
    three = begin(by_request, NULL, NULL);
    CHECK_U64(check(three).kind, TIDEGATE_STEP_WAIT);
    tidegate_call_free(one);
    tidegate_call_free(two);
    tidegate_call_free(three);
    tidegate_pacer_free(by_key);
    tidegate_pacer_free(by_request);
    tidegate_limiter_free(limiter);
    tidegate_clock_free(clock);
}

static void read_by_the_pacers_clock(void)
{
    tidegate_clock *clock = clock_at(T0);
    tidegate_pacer *pacer = pacer_of("", clock, 1);
    tidegate_header header = {"Retry-After", "Tue, 14 Nov 2023 22:13:30 GMT", 29};
    tidegate_server_limits *limits = NULL;
    CHECK_OK(tidegate_pacer_read(pacer, &header, 1, &limits));
    CHECK_U64(tidegate_server_limits_delay_ns(limits), 10 * SECOND);
    tidegate_server_limits_free(limits);
    BLAMES("pacer", tidegate_pacer_read(NULL, &header, 1, &limits));
    BLAMES("headers", tidegate_pacer_read(pacer, NULL, 1, &limits));
    BLAMES("limits", tidegate_pacer_read(pacer, &header, 1, NULL));
    tidegate_pacer_free(pacer);
    tidegate_clock_free(clock);
}

static void pacers_that_are_wrong(void)
{
    tidegate_pacer_options options = TIDEGATE_PACER_OPTIONS_INIT;
    tidegate_call_options of_call = TIDEGATE_CALL_OPTIONS_INIT;
    tidegate_step step = TIDEGATE_STEP_INIT;
    tidegate_pacer *none = NULL, *pacer = NULL;
    tidegate_call *call = NULL;
    CHECK(tidegate_pacer_new("1/week?", 7, NULL, &none) == TIDEGATE_ERROR_POLICY);
    BLAMES("policy", tidegate_pacer_new(NULL, 7, NULL, &none));
    BLAMES("pacer", tidegate_pacer_new("1/hour", 6, NULL, NULL));
    BLAMES("limiter", tidegate_pacer_new_over(NULL, "k", 1, NULL, &none));
    BLAMES("limiter", tidegate_pacer_new_over_request(NULL, NULL, 0, NULL, &none));
    options.concurrency = 0;
    BLAMES("concurrency", tidegate_pacer_new(NULL, 0, &options, &none));
    options.concurrency = 1;
    options.near_limit = 1001;
    BLAMES("near_limit", tidegate_pacer_new(NULL, 0, &options, &none));
    options.near_limit = 0;
    options.reserved = 1;
    BLAMES("reserved", tidegate_pacer_new(NULL, 0, &options, &none));
    options.reserved = 0;
    options.struct_size = 0;
    BLAMES("options", tidegate_pacer_new(NULL, 0, &options, &none));
    CHECK(none == NULL);

    CHECK_OK(tidegate_pacer_new(NULL, 0, NULL, &pacer));
    BLAMES("pacer", tidegate_pacer_begin(NULL, NULL, NULL, NULL, &call));
    BLAMES("call", tidegate_pacer_begin(pacer, NULL, NULL, NULL, NULL));
    of_call.label = "\xff";
    BLAMES("label", tidegate_pacer_begin(pacer, &of_call, NULL, NULL, &call));
    of_call.struct_size = 0;
    BLAMES("options", tidegate_pacer_begin(pacer, &of_call, NULL, NULL, &call));
    CHECK(call == NULL);
    call = begin(pacer, NULL, NULL);
    BLAMES("call", tidegate_call_check(NULL, &step));
    BLAMES("step", tidegate_call_check(call, NULL));
    BLAMES("call", tidegate_call_wait(NULL, &step));
    BLAMES("step", tidegate_call_wait(call, NULL));
    BLAMES("call", tidegate_call_finish(NULL, 200, NULL, &step));
    BLAMES("step", tidegate_call_finish(call, 200, NULL, NULL));
    BLAMES("call", tidegate_call_finish_as(NULL, 0, 200, NULL, &step));
    BLAMES("step", tidegate_call_finish_as(call, 0, 200, NULL, NULL));
    step.struct_size = 4;
    BLAMES("step", tidegate_call_finish(call, 200, NULL, &step));
    /* None of these finished it. */
    CHECK_U64(check(call).kind, TIDEGATE_STEP_GO);
    BLAMES("pacer", tidegate_pacer_observe(NULL, NULL));
    BLAMES("limits", tidegate_pacer_observe(pacer, NULL));
    BLAMES("pacer", tidegate_pacer_reset(NULL));
    BLAMES("pacer", tidegate_pacer_close(NULL));
    CHECK_TEXT(tidegate_call_error(NULL), "");
    tidegate_call_free(call);
    tidegate_call_free(NULL);
    tidegate_pacer_free(pacer);
    tidegate_pacer_free(NULL);
}

#define THREADS 4
#define CALLS 25

static int under_way, most_under_way, done;
static pthread_mutex_t counting = PTHREAD_MUTEX_INITIALIZER;

static void *works(void *context)
{
    const tidegate_pacer *pacer = (const tidegate_pacer *)context;
    int at;
    for (at = 0; at < CALLS; at++) {
        tidegate_step step = TIDEGATE_STEP_INIT;
        tidegate_call *call = begin(pacer, NULL, NULL);
        CHECK_OK(tidegate_call_wait(call, &step));
        CHECK_U64(step.kind, TIDEGATE_STEP_GO);
        pthread_mutex_lock(&counting);
        under_way++;
        most_under_way = under_way > most_under_way ? under_way : most_under_way;
        pthread_mutex_unlock(&counting);
        pthread_mutex_lock(&counting);
        under_way--;
        done++;
        pthread_mutex_unlock(&counting);
        CHECK_U64(finish(call, 200, NULL).kind, TIDEGATE_STEP_DONE);
        tidegate_call_free(call);
    }
    return NULL;
}

/* More threads than slots: each waits for its turn, all come to an end. */
static void threads(void)
{
    tidegate_clock *clock = clock_at(T0);
    tidegate_pacer *pacer = pacer_of("", clock, 2);
    pthread_t workers[THREADS];
    int at;
    for (at = 0; at < THREADS; at++)
        if (pthread_create(&workers[at], NULL, works, pacer) != 0)
            give_up("no thread", "");
    for (at = 0; at < THREADS; at++)
        pthread_join(workers[at], NULL);
    CHECK_U64(done, THREADS * CALLS);
    CHECK(most_under_way <= 2);
    tidegate_pacer_free(pacer);
    tidegate_clock_free(clock);
}

int main(void)
{
    forms();
    limits_in_part();
    limits_that_are_wrong();
    backoffs();
    a_known_limit();
    a_pause();
    a_pause_by_a_running_clock();
    reset_ends_a_pause();
    failures_of_calls();
    classes();
    calls_that_are_dropped();
    over_a_limiter();
    read_by_the_pacers_clock();
    pacers_that_are_wrong();
    threads();
    return result("client");
}
