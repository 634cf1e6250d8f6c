/* Replays the shared vectors, from lines of to_lines.py, and compares every field of every
 * expectation. Time is always an argument. */

#include "lines.h"

#define MOST_RESERVATIONS 64

typedef struct {
    char *id;
    tidegate_reservation *reservation; /* NULL when denied */
} held;

static tidegate_limiter *limiter;
static held reservations[MOST_RESERVATIONS];
static size_t reservation_count;
static uint64_t vectors, steps, expectations;
static char *vector_name;
static uint64_t step_number;

static void differs(const char *field, const char *actual, const char *expected)
{
    fprintf(stderr, "vector \"%s\", step %" PRIu64 ": %s is %s, not %s\n", vector_name, step_number,
            field, actual, expected);
    failures++;
}

static void same_number(const char *field, uint64_t actual, const char *expected)
{
    char text[32];
    expectations++;
    if (actual != as_number(expected)) {
        snprintf(text, sizeof text, "%" PRIu64, actual);
        differs(field, text, expected);
    }
}

static void same_text(const char *field, const char *actual, const char *expected)
{
    bytes wanted = as_bytes(expected);
    expectations++;
    if (strcmp(actual, wanted.data) != 0)
        differs(field, actual, wanted.data);
    free(wanted.data);
}

static void done(tidegate_status status)
{
    if (status != TIDEGATE_OK)
        differs(tidegate_status_name(status), tidegate_last_error(), "ok");
}

/* A step without an expectation has nothing to compare. */
static bool expects(line *l)
{
    const char *name = "", *value = "";
    if (!read_pair(l, &name, &value))
        return false;
    if (strcmp(name, "expect") != 0)
        give_up("unknown argument", name);
    return true;
}

static void compare_field(const char *name, const tidegate_decision *d, const char *value)
{
    if (strcmp(name, "allowed") == 0)
        same_number(name, d->allowed, value);
    else if (strcmp(name, "reason") == 0)
        same_text(name, tidegate_reason_name(d->reason), value);
    else if (strcmp(name, "limit") == 0)
        same_number(name, d->limit, value);
    else if (strcmp(name, "remaining") == 0)
        same_number(name, d->remaining, value);
    else if (strcmp(name, "retry_after_ns") == 0)
        same_number(name, d->retry_after_ns, value);
    else if (strcmp(name, "reset_after_ns") == 0)
        same_number(name, d->reset_after_ns, value);
    else if (strcmp(name, "name") == 0)
        same_text(name, d->limit_name, value);
    else
        give_up("unknown field", name);
}

static void compare_decision(line *l, const tidegate_decision *d)
{
    const char *name, *value;
    if (!expects(l))
        return;
    while (read_pair(l, &name, &value))
        compare_field(name, d, value);
}

static void compare_decisions(line *l, const tidegate_decision *decisions, size_t count)
{
    const tidegate_decision *d = NULL;
    const char *name, *value;
    if (!expects(l))
        return;
    same_number("decisions", count, expect_pair(l, "decisions"));
    while (read_pair(l, &name, &value)) {
        if (strcmp(name, "decision") != 0 && d != NULL)
            compare_field(name, d, value);
        else if (as_number(value) < count)
            d = &decisions[as_number(value)];
        else
            give_up("more decisions than keys", value);
    }
}

static void compare_bucket(const char *name, const tidegate_bucket *b, const char *value)
{
    if (strcmp(name, "limit_name") == 0)
        same_text(name, b->limit_name, value);
    else if (strcmp(name, "name") == 0)
        same_text(name, b->name, value);
    else if (strcmp(name, "method") == 0)
        same_text(name, tidegate_method_name(b->method), value);
    else if (strcmp(name, "quota") == 0)
        same_number(name, b->quota, value);
    else if (strcmp(name, "capacity") == 0)
        same_number(name, b->capacity, value);
    else if (strcmp(name, "used") == 0)
        same_number(name, b->used, value);
    else if (strcmp(name, "remaining") == 0)
        same_number(name, b->remaining, value);
    else if (strcmp(name, "refresh_after_ns") == 0)
        same_number(name, b->refresh_after_ns, value);
    else
        give_up("unknown field", name);
}

static void compare_snapshot(line *l, const tidegate_buckets *buckets)
{
    tidegate_bucket bucket = TIDEGATE_BUCKET_INIT;
    const char *name, *value;
    if (!expects(l))
        return;
    same_number("blocked_for_ns", tidegate_buckets_blocked_for_ns(buckets),
                expect_pair(l, "blocked_for_ns"));
    same_number("buckets", tidegate_buckets_count(buckets), expect_pair(l, "buckets"));
    while (read_pair(l, &name, &value)) {
        if (strcmp(name, "bucket") == 0)
            done(tidegate_buckets_get(buckets, (size_t)as_number(value), &bucket));
        else if (bucket.name != NULL)
            compare_bucket(name, &bucket, value);
    }
}

static void hold(const char *id, tidegate_reservation *reservation)
{
    size_t len = strlen(id) + 1;
    if (reservation_count == MOST_RESERVATIONS)
        give_up("too many reservations", id);
    reservations[reservation_count].id = (char *)memcpy(room(len), id, len);
    reservations[reservation_count++].reservation = reservation;
}

/* Takes a reservation out of the table; NULL when it was denied. */
static tidegate_reservation *held_as(const char *id)
{
    size_t at;
    for (at = 0; at < reservation_count; at++) {
        if (strcmp(reservations[at].id, id) == 0) {
            tidegate_reservation *found = reservations[at].reservation;
            free(reservations[at].id);
            reservations[at] = reservations[--reservation_count];
            return found;
        }
    }
    give_up("no such reservation", id);
    return NULL;
}

static void let_go(void)
{
    while (reservation_count > 0) {
        tidegate_reservation_free(reservations[--reservation_count].reservation);
        free(reservations[reservation_count].id);
    }
    tidegate_limiter_free(limiter);
    limiter = NULL;
    free(vector_name);
    vector_name = NULL;
}

/* new and update */
static void policy_step(line *l, bool update)
{
    bytes policy = as_bytes(expect_pair(l, "policy"));
    uint64_t now = as_number(expect_pair(l, "now"));
    if (update) {
        done(tidegate_update_at(limiter, policy.data, policy.len, now));
    } else {
        tidegate_clock *clock = clock_at(now);
        tidegate_options options = TIDEGATE_OPTIONS_INIT;
        options.clock = clock;
        tidegate_limiter_free(limiter); /* a vector may begin anew, with another policy */
        limiter = NULL;
        done(tidegate_limiter_new_with(policy.data, policy.len, &options, &limiter));
        tidegate_clock_free(clock);
        if (limiter == NULL)
            give_up("the policy is refused", vector_name);
    }
    if (expects(l))
        give_up("nothing to expect of it", l->token[0]);
    free(policy.data);
}

/* settle and cancel */
static void reservation_step(line *l, bool settle)
{
    tidegate_reservation *reservation = held_as(expect_pair(l, "id"));
    uint64_t actual = settle ? as_number(expect_pair(l, "actual")) : 0;
    uint64_t now = as_number(expect_pair(l, "now"));
    if (reservation != NULL && settle)
        done(tidegate_settle_at(reservation, actual, now));
    else if (reservation != NULL)
        done(tidegate_cancel_at(reservation, now));
    if (expects(l))
        give_up("nothing to expect of it", l->token[0]);
}

/* acquire, peek, try_acquire and reserve */
static void asking_step(line *l, const char *call, bytes key)
{
    tidegate_decision decision = TIDEGATE_DECISION_INIT;
    tidegate_reservation *reservation = NULL;
    bool reserves = strcmp(call, "reserve") == 0;
    const char *id = reserves ? expect_pair(l, "id") : NULL;
    uint64_t cost = as_number(expect_pair(l, "cost"));
    uint64_t now = as_number(expect_pair(l, "now"));
    if (reserves) {
        done(tidegate_reserve_at(limiter, key.data, key.len, cost, now, &decision, &reservation));
        hold(id, reservation);
    } else if (strcmp(call, "acquire") == 0) {
        done(tidegate_acquire_at(limiter, key.data, key.len, cost, now, &decision));
    } else if (strcmp(call, "peek") == 0) {
        done(tidegate_peek_at(limiter, key.data, key.len, cost, now, &decision));
    } else {
        decision.allowed = tidegate_try_acquire_at(limiter, key.data, key.len, cost, now);
    }
    compare_decision(l, &decision);
}

static void batch_step(line *l)
{
    size_t count = (size_t)as_number(expect_pair(l, "keys")), at;
    bytes *keys = (bytes *)room((count + 1) * sizeof *keys);
    const void **data = (const void **)room((count + 1) * sizeof *data);
    size_t *lens = (size_t *)room((count + 1) * sizeof *lens);
    tidegate_decision *decisions = (tidegate_decision *)room((count + 1) * sizeof *decisions);
    uint64_t cost;
    for (at = 0; at < count; at++) {
        keys[at] = as_bytes(expect_pair(l, "key"));
        data[at] = keys[at].data;
        lens[at] = keys[at].len;
    }
    cost = as_number(expect_pair(l, "cost"));
    decisions[0].struct_size = sizeof *decisions;
    done(tidegate_acquire_many_at(limiter, data, lens, count, cost,
                                  as_number(expect_pair(l, "now")), decisions));
    compare_decisions(l, decisions, count);
    for (at = 0; at < count; at++)
        free(keys[at].data);
    free(keys);
    free((void *)data);
    free(lens);
    free(decisions);
}

static void snapshot_step(line *l, bytes key)
{
    tidegate_buckets *buckets = NULL;
    uint64_t now = as_number(expect_pair(l, "now"));
    done(tidegate_snapshot_at(limiter, key.data, key.len, now, &buckets));
    compare_snapshot(l, buckets);
    tidegate_buckets_free(buckets);
}

/* The calls that answer nothing. */
static void charging_step(line *l, const char *call, bytes key)
{
    const char *argument = strcmp(call, "record_latency") == 0 ? "latency_ns"
                           : strcmp(call, "penalize") == 0     ? "units"
                           : strcmp(call, "refund") == 0       ? "cost"
                           : strcmp(call, "block") == 0        ? "duration_ns"
                                                               : NULL;
    uint64_t value = argument == NULL ? 0 : as_number(expect_pair(l, argument));
    uint64_t now = as_number(expect_pair(l, "now"));
    if (strcmp(call, "record_latency") == 0)
        done(tidegate_record_latency_at(limiter, key.data, key.len, value, now));
    else if (strcmp(call, "penalize") == 0)
        done(tidegate_penalize_at(limiter, key.data, key.len, value, now));
    else if (strcmp(call, "refund") == 0)
        done(tidegate_refund_at(limiter, key.data, key.len, value, now));
    else if (strcmp(call, "block") == 0)
        done(tidegate_block_at(limiter, key.data, key.len, value, now));
    else if (strcmp(call, "release") == 0)
        done(tidegate_release_at(limiter, key.data, key.len, now));
    else if (strcmp(call, "reset") == 0)
        done(tidegate_reset_at(limiter, key.data, key.len, now));
    else
        give_up("unknown call", call);
    if (expects(l))
        give_up("nothing to expect of it", call);
}

static void keyed_step(line *l, const char *call)
{
    bytes key = as_bytes(expect_pair(l, "key"));
    if (strcmp(call, "acquire") == 0 || strcmp(call, "peek") == 0
        || strcmp(call, "try_acquire") == 0 || strcmp(call, "reserve") == 0)
        asking_step(l, call, key);
    else if (strcmp(call, "snapshot") == 0)
        snapshot_step(l, key);
    else
        charging_step(l, call, key);
    free(key.data);
}

static void step(line *l)
{
    const char *call = l->token[0];
    if (strcmp(call, "vector") == 0) {
        let_go();
        vector_name = as_bytes(expect_pair(l, "name")).data;
        vectors++;
        return;
    }
    step_number = as_number(expect_pair(l, "step"));
    steps++;
    if (strcmp(call, "new") == 0 || strcmp(call, "update") == 0)
        policy_step(l, strcmp(call, "update") == 0);
    else if (strcmp(call, "settle") == 0 || strcmp(call, "cancel") == 0)
        reservation_step(l, strcmp(call, "settle") == 0);
    else if (strcmp(call, "acquire_many") == 0)
        batch_step(l);
    else
        keyed_step(l, call);
}

int main(void)
{
    line l;
    while (read_line(stdin, &l)) {
        step(&l);
        free_line(&l);
    }
    let_go();
    CHECK(vectors > 0 && expectations > 0);
    printf("vectors: %" PRIu64 ", steps: %" PRIu64 ", fields compared: %" PRIu64 "\n", vectors,
           steps, expectations);
    return result("vectors");
}
