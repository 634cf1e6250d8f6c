/* Every call once, with what it should answer. Time is a manual clock or an argument. */

#include "test.h"

static void versions_and_names(void)
{
    char text[64];
    snprintf(text, sizeof text, "%d.%d.%d", TIDEGATE_VERSION_MAJOR, TIDEGATE_VERSION_MINOR,
             TIDEGATE_VERSION_PATCH);
    CHECK_TEXT(TIDEGATE_VERSION, text);
    CHECK_TEXT(tidegate_version(), text);

    CHECK_TEXT(tidegate_status_name(TIDEGATE_OK), "ok");
    CHECK_TEXT(tidegate_status_name(1), "argument");
    CHECK_TEXT(tidegate_status_name(2), "policy");
    CHECK_TEXT(tidegate_status_name(3), "file");
    CHECK_TEXT(tidegate_status_name(4), "store");
    CHECK_TEXT(tidegate_status_name(5), "internal");
    CHECK_TEXT(tidegate_status_name(-1), "unknown");
    CHECK_TEXT(tidegate_reason_name(4), "impossible");
    CHECK_TEXT(tidegate_reason_name(5), "unknown");
    CHECK_TEXT(tidegate_method_name(TIDEGATE_METHOD_LATENCY), "latency");
    CHECK_TEXT(tidegate_method_name(3), "unknown");
    CHECK_TEXT(tidegate_last_error(), "");
    CHECK_TEXT(tidegate_last_error_field(), "");
    CHECK_U64(tidegate_last_error_line(), 0);
    CHECK_U64(tidegate_last_error_column(), 0);
}

static void clocks(void)
{
    tidegate_clock *clock = clock_at(T0);
    uint64_t now = 0;
    CHECK_OK(tidegate_clock_now(clock, &now));
    CHECK_U64(now, T0);
    CHECK_OK(tidegate_clock_advance(clock, 5));
    CHECK_OK(tidegate_clock_now(clock, &now));
    CHECK_U64(now, T0 + 5);
    CHECK_OK(tidegate_clock_set(clock, T0 - 7));
    CHECK_OK(tidegate_clock_now(clock, &now));
    CHECK_U64(now, T0 - 7);

    /* The limiter keeps its clock. */
    tidegate_limiter *limiter = limiter_of("1/second", clock);
    tidegate_clock_free(clock);
    CHECK_OK(tidegate_limiter_now(limiter, &now));
    CHECK_U64(now, T0 - 7);
    tidegate_limiter_free(limiter);
}

/* Each shows the time, and goes on. */
static void clocks_that_run(void)
{
    const char *const names[] = {"counter", "system", "coarse"};
    size_t i;
    for (i = 0; i < sizeof names / sizeof *names; i++) {
        tidegate_clock *clock = NULL;
        uint64_t begin = 0, now = 0;
        CHECK_OK(tidegate_clock_new(names[i], &clock));
        CHECK_OK(tidegate_clock_now(clock, &begin));
        CHECK(begin / SECOND + 3600 > (uint64_t)time(NULL));
        CHECK(begin / SECOND < (uint64_t)time(NULL) + 3600);
        do
            CHECK_OK(tidegate_clock_now(clock, &now));
        while (now == begin);
        CHECK(now > begin);
        tidegate_limiter *limiter = limiter_of("1/hour", clock);
        tidegate_clock_free(clock);
        CHECK(tidegate_try_acquire(limiter, "k", 1, 1));
        CHECK(!tidegate_try_acquire(limiter, "k", 1, 1));
        tidegate_limiter_free(limiter);
    }
}

static void decisions(void)
{
    tidegate_clock *clock = clock_at(T0);
    tidegate_limiter *limiter = limiter_of("4/minute", clock);
    tidegate_decision decision = TIDEGATE_DECISION_INIT;

    CHECK_OK(tidegate_acquire(limiter, "a", 1, 1, &decision));
    CHECK(decision.allowed);
    CHECK_U64(decision.struct_size, sizeof decision);
    CHECK_U64(decision.reason, TIDEGATE_REASON_OK);
    CHECK_U64(decision.limit, 4);
    CHECK_U64(decision.remaining, 3);
    CHECK_U64(decision.retry_after_ns, 0);
    CHECK_U64(decision.reset_after_ns, 15 * SECOND);
    CHECK(decision.limit_name != NULL && decision.limit_name[0] != '\0');

    CHECK_OK(tidegate_peek(limiter, "a", 1, 3, &decision));
    CHECK(decision.allowed);
    CHECK(tidegate_try_acquire(limiter, "a", 1, 3));
    CHECK(!tidegate_try_acquire(limiter, "a", 1, 1));
    CHECK_OK(tidegate_acquire(limiter, "a", 1, 1, &decision));
    CHECK(!decision.allowed);
    CHECK_U64(decision.reason, TIDEGATE_REASON_LIMITED);
    CHECK_U64(decision.retry_after_ns, 15 * SECOND);

    /* Obeying retry_after admits; 1 ns earlier denies. */
    CHECK_OK(tidegate_clock_advance(clock, 15 * SECOND - 1));
    CHECK(!tidegate_try_acquire(limiter, "a", 1, 1));
    CHECK_OK(tidegate_clock_advance(clock, 1));
    CHECK(tidegate_try_acquire(limiter, "a", 1, 1));

    CHECK_OK(tidegate_acquire(limiter, "a", 1, UINT64_MAX, &decision));
    CHECK_U64(decision.reason, TIDEGATE_REASON_IMPOSSIBLE);
    CHECK_U64(decision.retry_after_ns, TIDEGATE_NEVER);

    /* Explicit times, on other keys; the clock does not matter. */
    CHECK_OK(tidegate_peek_at(limiter, "b", 1, 4, T0, &decision));
    CHECK(decision.allowed);
    CHECK_OK(tidegate_acquire_at(limiter, "b", 1, 4, T0, &decision));
    CHECK(decision.allowed);
    CHECK(!tidegate_try_acquire_at(limiter, "b", 1, 1, T0 + 15 * SECOND - 1));
    CHECK(tidegate_try_acquire_at(limiter, "b", 1, 1, T0 + 15 * SECOND));
    tidegate_limiter_free(limiter);
    tidegate_clock_free(clock);
}

static void keys(void)
{
    tidegate_limiter *limiter = limiter_of("1/hour", NULL);
    char *long_key = (char *)malloc(1 << 20);
    memset(long_key, 'k', 1 << 20);

    CHECK(tidegate_try_acquire_at(limiter, NULL, 0, 1, T0));
    CHECK(!tidegate_try_acquire_at(limiter, "ignored", 0, 1, T0)); /* the empty key again */
    CHECK(tidegate_try_acquire_at(limiter, "a\0b", 3, 1, T0));
    CHECK(!tidegate_try_acquire_at(limiter, "a\0b", 3, 1, T0));
    CHECK(tidegate_try_acquire_at(limiter, "a\0c", 3, 1, T0));
    CHECK(tidegate_try_acquire_at(limiter, "a", 1, 1, T0));
    CHECK(tidegate_try_acquire_at(limiter, "\xff\xfe", 2, 1, T0));
    CHECK(tidegate_try_acquire_at(limiter, long_key, 1 << 20, 1, T0));
    CHECK(!tidegate_try_acquire_at(limiter, long_key, 1 << 20, 1, T0));
    free(long_key);
    tidegate_limiter_free(limiter);
}

static void many_keys(void)
{
    tidegate_clock *clock = clock_at(T0);
    tidegate_limiter *limiter = limiter_of("2/minute", clock);
    const void *keys[] = {"a", "a\0b", "a", NULL, "a"};
    const size_t key_lens[] = {1, 3, 1, 0, 1};
    tidegate_decision decisions[5] = {TIDEGATE_DECISION_INIT};
    tidegate_counters counters = TIDEGATE_COUNTERS_INIT;
    size_t at;

    CHECK(tidegate_try_acquire(limiter, "", 0, 2));
    CHECK_OK(tidegate_acquire_many(limiter, keys, key_lens, 5, 1, decisions));
    for (at = 0; at < 5; at++) {
        CHECK_U64(decisions[at].struct_size, sizeof *decisions);
        CHECK_U64(decisions[at].limit, 2);
        CHECK_TEXT(decisions[at].limit_name, "2/minute");
    }
    CHECK(decisions[0].allowed && decisions[0].remaining == 1);
    CHECK(decisions[1].allowed && decisions[1].remaining == 1);
    CHECK(decisions[2].allowed && decisions[2].remaining == 0);
    CHECK(!decisions[3].allowed && decisions[3].reason == TIDEGATE_REASON_LIMITED);
    CHECK(!decisions[4].allowed);
    CHECK_U64(decisions[4].retry_after_ns, 30 * SECOND);
    CHECK_OK(tidegate_stats(limiter, &counters));
    CHECK_U64(counters.allowed, 4);
    CHECK_U64(counters.limited, 2);

    /* Each of them is ready for a call of its own. */
    CHECK_OK(tidegate_peek(limiter, "b", 1, 3, &decisions[3]));
    CHECK_U64(decisions[3].reason, TIDEGATE_REASON_IMPOSSIBLE);

    /* At a given time; and no keys at all. */
    CHECK_OK(tidegate_acquire_many_at(limiter, keys, key_lens, 3, 1, T0 + 30 * SECOND, decisions));
    CHECK(decisions[0].allowed && decisions[1].allowed && !decisions[2].allowed);
    CHECK_OK(tidegate_acquire_many(limiter, keys, key_lens, 0, 1, decisions));
    CHECK(decisions[0].allowed && !decisions[2].allowed);
    tidegate_limiter_free(limiter);
    tidegate_clock_free(clock);
}

static uint64_t remaining_at(const tidegate_limiter *limiter, const char *key, uint64_t now_ns)
{
    tidegate_decision decision = TIDEGATE_DECISION_INIT;
    CHECK_OK(tidegate_peek_at(limiter, key, strlen(key), 0, now_ns, &decision));
    return decision.remaining;
}

static void the_operators_hand(void)
{
    tidegate_clock *clock = clock_at(T0);
    tidegate_limiter *limiter = limiter_of("10/hour", clock);
    tidegate_decision decision = TIDEGATE_DECISION_INIT;

    CHECK(tidegate_try_acquire(limiter, "a", 1, 6));
    CHECK_OK(tidegate_refund(limiter, "a", 1, 2));
    CHECK_U64(remaining_at(limiter, "a", T0), 6);
    CHECK_OK(tidegate_refund_at(limiter, "a", 1, 100, T0));
    CHECK_U64(remaining_at(limiter, "a", T0), 10);
    CHECK_OK(tidegate_penalize(limiter, "a", 1, 4));
    CHECK_OK(tidegate_penalize_at(limiter, "a", 1, 1, T0));
    CHECK_U64(remaining_at(limiter, "a", T0), 5);

    CHECK_OK(tidegate_block(limiter, "a", 1, 3 * SECOND));
    CHECK_OK(tidegate_acquire(limiter, "a", 1, 1, &decision));
    CHECK(!decision.allowed);
    CHECK_U64(decision.reason, TIDEGATE_REASON_BLOCKED);
    CHECK_U64(decision.retry_after_ns, 3 * SECOND);
    CHECK_TEXT(decision.limit_name, "");
    CHECK_OK(tidegate_block_at(limiter, "a", 1, 0, T0));
    CHECK(tidegate_try_acquire(limiter, "a", 1, 1));
    CHECK_OK(tidegate_block(limiter, "a", 1, UINT64_MAX));
    CHECK(!tidegate_try_acquire(limiter, "a", 1, 0));
    CHECK_OK(tidegate_reset(limiter, "a", 1));
    CHECK_U64(remaining_at(limiter, "a", T0), 10);
    CHECK(tidegate_try_acquire(limiter, "a", 1, 10));
    CHECK_OK(tidegate_reset_at(limiter, "a", 1, T0));
    CHECK_U64(remaining_at(limiter, "a", T0), 10);

    /* A change keeps what is left, at most the new capacity; a refused one changes nothing. */
    CHECK(tidegate_try_acquire(limiter, "a", 1, 3));
    CHECK_OK(tidegate_update(limiter, "5/hour", 6));
    CHECK_U64(remaining_at(limiter, "a", T0), 5);
    CHECK_OK(tidegate_update_at(limiter, "2/hour", 6, T0));
    CHECK_U64(remaining_at(limiter, "a", T0), 2);
    CHECK(tidegate_update(limiter, "two/hour", 8) == TIDEGATE_ERROR_POLICY);
    CHECK_U64(remaining_at(limiter, "a", T0), 2);
    tidegate_limiter_free(limiter);
    tidegate_clock_free(clock);
}

static void latency_and_permits(void)
{
    tidegate_clock *clock = clock_at(T0);
    const char *policy = "[[limit]]\nname = \"time\"\nmethod = \"latency\"\nrate = \"2s/minute\"\n"
                         "[[limit]]\nname = \"connections\"\nmethod = \"concurrency\"\nquota = 2\n";
    tidegate_limiter *limiter = limiter_of(policy, clock);
    tidegate_decision decision = TIDEGATE_DECISION_INIT;
    tidegate_measure *measure = NULL;

    CHECK_OK(tidegate_measure_begin(limiter, "a", 1, 1, &decision, &measure));
    CHECK(decision.allowed && measure != NULL);
    CHECK_TEXT(decision.limit_name, "connections");
    CHECK_OK(tidegate_clock_advance(clock, SECOND));
    CHECK_OK(tidegate_measure_end(measure));

    /* 1 s of 2 s is spent, no permit is out. */
    CHECK(tidegate_try_acquire(limiter, "a", 1, 1));
    CHECK(tidegate_try_acquire(limiter, "a", 1, 1));
    CHECK(!tidegate_try_acquire(limiter, "a", 1, 1));
    CHECK_OK(tidegate_release(limiter, "a", 1));
    CHECK(tidegate_try_acquire(limiter, "a", 1, 1));
    CHECK_OK(tidegate_release_at(limiter, "a", 1, T0 + SECOND));
    CHECK_OK(tidegate_record_latency(limiter, "a", 1, SECOND));
    CHECK_OK(tidegate_measure_begin(limiter, "a", 1, 1, &decision, &measure));
    CHECK(!decision.allowed && measure == NULL);
    CHECK_TEXT(decision.limit_name, "time");
    CHECK_OK(tidegate_record_latency_at(limiter, "b", 1, UINT64_MAX, T0));
    CHECK(!tidegate_try_acquire_at(limiter, "b", 1, 1, T0));

    /* A measure outlives its limiter. */
    CHECK_OK(tidegate_measure_begin(limiter, "c", 1, 1, &decision, &measure));
    tidegate_limiter_free(limiter);
    tidegate_clock_free(clock);
    CHECK_OK(tidegate_measure_end(measure));
}

static void reservations(void)
{
    tidegate_clock *clock = clock_at(T0);
    tidegate_limiter *limiter = limiter_of("1000/hour", clock);
    tidegate_decision decision = TIDEGATE_DECISION_INIT;
    tidegate_reservation *reservation = NULL;

    CHECK_OK(tidegate_reserve(limiter, "a", 1, 600, &decision, &reservation));
    CHECK(decision.allowed && reservation != NULL);
    CHECK_U64(decision.remaining, 400);
    CHECK_OK(tidegate_settle(reservation, 412));
    CHECK_U64(remaining_at(limiter, "a", T0), 588);

    CHECK_OK(tidegate_reserve_at(limiter, "a", 1, 100, T0, &decision, &reservation));
    CHECK_OK(tidegate_settle_at(reservation, 188, T0));
    CHECK_U64(remaining_at(limiter, "a", T0), 400);
    CHECK_OK(tidegate_reserve(limiter, "a", 1, 100, &decision, &reservation));
    CHECK_OK(tidegate_cancel(reservation));
    CHECK_OK(tidegate_reserve(limiter, "a", 1, 100, &decision, &reservation));
    CHECK_OK(tidegate_cancel_at(reservation, T0));
    CHECK_U64(remaining_at(limiter, "a", T0), 400);

    CHECK_OK(tidegate_reserve(limiter, "a", 1, 401, &decision, &reservation));
    CHECK(!decision.allowed && reservation == NULL);
    CHECK_OK(tidegate_reserve(limiter, "a", 1, 100, &decision, &reservation));
    tidegate_reservation_free(reservation);
    CHECK_U64(remaining_at(limiter, "a", T0), 300);

    /* A time out of range gives the reservation back; the estimate stands. */
    CHECK_OK(tidegate_reserve(limiter, "a", 1, 100, &decision, &reservation));
    CHECK(tidegate_settle_at(reservation, 0, UINT64_MAX) == TIDEGATE_ERROR_ARGUMENT);
    CHECK_U64(remaining_at(limiter, "a", T0), 200);

    CHECK_OK(tidegate_reserve(limiter, "a", 1, 100, &decision, &reservation));
    tidegate_limiter_free(limiter);
    tidegate_clock_free(clock);
    CHECK_OK(tidegate_settle(reservation, 50)); /* it outlives its limiter */
}

static void snapshots_and_stats(void)
{
    tidegate_clock *clock = clock_at(T0);
    tidegate_limiter *limiter = limiter_of("4/minute; 30s/hour", clock);
    tidegate_buckets *buckets = NULL;
    tidegate_bucket bucket = TIDEGATE_BUCKET_INIT;
    tidegate_counters counters = TIDEGATE_COUNTERS_INIT;

    CHECK(tidegate_try_acquire(limiter, "a", 1, 3));
    CHECK(!tidegate_try_acquire(limiter, "a", 1, 2));
    CHECK(!tidegate_try_acquire(limiter, "a", 1, 5));
    CHECK_OK(tidegate_record_latency(limiter, "a", 1, 6 * SECOND));
    CHECK_OK(tidegate_block(limiter, "a", 1, 9));
    CHECK(!tidegate_try_acquire(limiter, "a", 1, 1));

    CHECK_OK(tidegate_snapshot(limiter, "a", 1, &buckets));
    CHECK_U64(tidegate_buckets_count(buckets), 2);
    CHECK_U64(tidegate_buckets_blocked_for_ns(buckets), 9);
    CHECK_OK(tidegate_buckets_get(buckets, 0, &bucket));
    CHECK_U64(bucket.method, TIDEGATE_METHOD_COUNT);
    CHECK_U64(bucket.quota, 4);
    CHECK_U64(bucket.capacity, 4);
    CHECK_U64(bucket.used, 3);
    CHECK_U64(bucket.remaining, 1);
    CHECK_U64(bucket.refresh_after_ns, 45 * SECOND);
    CHECK_TEXT(bucket.name, "4/minute");
    CHECK_OK(tidegate_buckets_get(buckets, 1, &bucket));
    CHECK_U64(bucket.method, TIDEGATE_METHOD_LATENCY);
    CHECK_U64(bucket.quota, 30 * SECOND);
    CHECK_U64(bucket.used, 6 * SECOND);
    CHECK_U64(bucket.remaining, 24 * SECOND);
    CHECK_TEXT(bucket.name, "30s/hour");
    CHECK(tidegate_buckets_get(buckets, 2, &bucket) == TIDEGATE_ERROR_ARGUMENT);
    CHECK_TEXT(tidegate_last_error_field(), "index");
    tidegate_buckets_free(buckets);

    CHECK_OK(tidegate_snapshot_at(limiter, "never seen", 10, T0, &buckets));
    CHECK_OK(tidegate_buckets_get(buckets, 0, &bucket));
    CHECK_U64(bucket.used, 0);
    CHECK_U64(bucket.refresh_after_ns, 0);

    CHECK_OK(tidegate_stats(limiter, &counters));
    CHECK_U64(counters.keys, 1);
    CHECK_U64(counters.capacity, 1000000);
    CHECK_U64(counters.allowed, 1);
    CHECK_U64(counters.limited, 1);
    CHECK_U64(counters.impossible, 1);
    CHECK_U64(counters.blocked, 1);
    CHECK_U64(counters.bypassed, 0);
    CHECK_U64(counters.evictions, 0);
    CHECK_U64(counters.saturated, 0);
    tidegate_limiter_free(limiter);
    tidegate_clock_free(clock);
    CHECK_U64(tidegate_buckets_count(buckets), 2); /* it outlives its limiter */
    tidegate_buckets_free(buckets);
}

static void options(void)
{
    tidegate_clock *clock = clock_at(T0);
    tidegate_options options = TIDEGATE_OPTIONS_INIT;
    tidegate_limiter *limiter = NULL;
    tidegate_counters counters = TIDEGATE_COUNTERS_INIT;
    options.max_keys = 7;
    options.on_full = "deny";
    options.store = "memory:";
    options.name = "uploads";
    options.clock = clock;
    CHECK_OK(tidegate_limiter_new_with("1/hour", 6, &options, &limiter));
    CHECK_TEXT(tidegate_limiter_name(limiter), "uploads");
    CHECK_OK(tidegate_stats(limiter, &counters));
    CHECK_U64(counters.capacity, 7);
    tidegate_limiter_free(limiter);

    /* No options, and a name that was not given. */
    CHECK_OK(tidegate_limiter_new_with("1/hour", 6, NULL, &limiter));
    CHECK_TEXT(tidegate_limiter_name(limiter), "");
    tidegate_limiter_free(limiter);
    tidegate_clock_free(clock);
}

static void files(const char *folder)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/policy.toml", folder);
    FILE *file = fopen(path, "w");
    CHECK(file != NULL);
    fputs("[[limit]]\nname = \"from a file\"\nrate = \"3/minute\"\n", file);
    fclose(file);

    tidegate_limiter *limiter = NULL;
    tidegate_decision decision = TIDEGATE_DECISION_INIT;
    CHECK_OK(tidegate_limiter_new_from_file(path, NULL, &limiter));
    CHECK_OK(tidegate_acquire(limiter, "a", 1, 1, &decision));
    CHECK_U64(decision.limit, 3);
    CHECK_TEXT(decision.limit_name, "from a file");
    tidegate_limiter_free(limiter);
    CHECK_TEXT(decision.limit_name, "from a file"); /* names are for ever */

    CHECK(tidegate_limiter_new_from_file("/no/such/policy.toml", NULL, &limiter)
          == TIDEGATE_ERROR_FILE);
    CHECK(strstr(tidegate_last_error(), "/no/such/policy.toml: No such file") != NULL);
    CHECK_TEXT(tidegate_last_error_field(), "");
    remove(path);
}

static void no_wait_where_none_is_needed(void)
{
    tidegate_clock *clock = clock_at(T0);
    tidegate_limiter *limiter = limiter_of("2/minute", clock);
    tidegate_decision decision = TIDEGATE_DECISION_INIT;
    CHECK_OK(tidegate_wait(limiter, "a", 1, 2, TIDEGATE_NEVER, &decision));
    CHECK(decision.allowed);
    CHECK_OK(tidegate_wait(limiter, "a", 1, 1, 0, &decision));
    CHECK(!decision.allowed);
    CHECK_U64(decision.reason, TIDEGATE_REASON_LIMITED);
    CHECK_OK(tidegate_wait(limiter, "a", 1, 3, TIDEGATE_NEVER, &decision));
    CHECK(!decision.allowed);
    CHECK_U64(decision.reason, TIDEGATE_REASON_IMPOSSIBLE);
    tidegate_limiter_free(limiter);
    tidegate_clock_free(clock);
}

static void count_wakes(void *context)
{
    ++*(int *)context;
}

static void tickets(void)
{
    tidegate_clock *clock = clock_at(T0);
    tidegate_limiter *limiter = limiter_of("1/minute", clock);
    tidegate_decision decision = TIDEGATE_DECISION_INIT;
    tidegate_ticket *first = NULL, *second = NULL;
    uint64_t after = 0;
    int first_wakes = 0, second_wakes = 0;

    CHECK(tidegate_try_acquire(limiter, "a", 1, 1));
    CHECK_OK(tidegate_queue(limiter, "a", 1, 1, TIDEGATE_NEVER, count_wakes, &first_wakes,
                            &first));
    CHECK_OK(tidegate_queue(limiter, "a", 1, 1, TIDEGATE_NEVER, count_wakes, &second_wakes,
                            &second));
    CHECK_OK(tidegate_ticket_poll(first, &after, &decision));
    CHECK(after != 0);
    CHECK_OK(tidegate_ticket_poll(second, &after, &decision));
    CHECK(after != 0);
    CHECK_OK(tidegate_clock_advance(clock, 60 * SECOND));
    CHECK(first_wakes > 0);
    CHECK_OK(tidegate_ticket_poll(second, &after, &decision));
    CHECK(after != 0); /* the first one is before it */
    CHECK_OK(tidegate_ticket_poll(first, &after, &decision));
    CHECK_U64(after, 0);
    CHECK(decision.allowed);
    tidegate_ticket_free(first);

    /* A freed ticket takes nothing, and its callback is not called any more. */
    CHECK_OK(tidegate_ticket_poll(second, &after, &decision));
    tidegate_ticket_free(second);
    second_wakes = 0;
    CHECK_OK(tidegate_clock_advance(clock, 60 * SECOND));
    CHECK_U64((uint64_t)second_wakes, 0);
    CHECK(tidegate_try_acquire(limiter, "a", 1, 1));

    /* A ticket without a callback, that outlives its limiter. */
    CHECK_OK(tidegate_queue(limiter, "a", 1, 1, TIDEGATE_NEVER, NULL, NULL, &first));
    tidegate_limiter_free(limiter);
    CHECK_OK(tidegate_ticket_poll(first, &after, &decision));
    CHECK(after != 0);
    tidegate_ticket_free(first);
    tidegate_clock_free(clock);
}

/* With a clock that runs, a ticket says when to come back; with no time to wait it is decided. */
static void tickets_of_a_running_clock(void)
{
    tidegate_limiter *limiter = limiter_of("1/hour", NULL);
    tidegate_decision decision = TIDEGATE_DECISION_INIT;
    tidegate_ticket *ticket = NULL;
    uint64_t after = 0;
    CHECK(tidegate_try_acquire(limiter, "a", 1, 1));
    CHECK_OK(tidegate_queue(limiter, "a", 1, 1, TIDEGATE_NEVER, NULL, NULL, &ticket));
    CHECK_OK(tidegate_ticket_poll(ticket, &after, &decision));
    CHECK(after > 0 && after <= 3600 * SECOND);
    tidegate_ticket_free(ticket);

    CHECK_OK(tidegate_queue(limiter, "a", 1, 1, 0, NULL, NULL, &ticket));
    CHECK_OK(tidegate_ticket_poll(ticket, &after, &decision));
    CHECK_U64(after, 0);
    CHECK(!decision.allowed);
    CHECK_U64(decision.reason, TIDEGATE_REASON_LIMITED);
    tidegate_ticket_free(ticket);
    tidegate_limiter_free(limiter);
}

int main(int argc, char **argv)
{
    versions_and_names();
    clocks();
    clocks_that_run();
    decisions();
    keys();
    many_keys();
    the_operators_hand();
    latency_and_permits();
    reservations();
    snapshots_and_stats();
    options();
    files(argc > 1 ? argv[1] : ".");
    no_wait_where_none_is_needed();
    tickets();
    tickets_of_a_running_clock();
    return result("calls");
}
