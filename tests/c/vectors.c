/* Replays the shared vectors, from lines of to_lines.py, and compares every field of every
 * expectation. Time is always an argument, but for the calls that take none.
 *
 * usage: vectors [keys-as-requests]     (then a key is given as a request that has nothing else) */

#include "lines.h"

#define MOST_RESERVATIONS 64

typedef struct {
    char *id;
    tidegate_reservation *reservation; /* NULL when denied */
} held;

/* A key, or a request. */
typedef struct {
    bytes key;
    tidegate_attribute *attributes; /* NULL: a key */
    bytes *texts;                   /* what the attributes point to */
    size_t count;
} subject;

#define MOST_ALERTS 4096

static tidegate_clock *manual;
static bool keys_as_requests;
static tidegate_alert alerts[MOST_ALERTS]; /* since the last step that asked */
static size_t alert_count;
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

/* Is the status what the step expects? True when there is an answer to compare as well. */
static bool expects(line *l, tidegate_status status)
{
    const char *name = "", *value = "";
    if (!read_pair(l, &name, &value)) {
        done(status);
        return false;
    }
    if (strcmp(name, "expect") != 0)
        give_up("unknown argument", name);
    if (strcmp(value, "error") != 0) {
        done(status);
        return status == TIDEGATE_OK;
    }
    value = expect_pair(l, "field");
    if (status == TIDEGATE_ERROR_ARGUMENT)
        same_text("field", tidegate_last_error_field(), value);
    else
        differs("status", tidegate_status_name(status), "argument");
    return false;
}

/* The same of a call that answers nothing. */
static void expects_no_answer(line *l, tidegate_status status)
{
    if (expects(l, status))
        give_up("nothing to expect of it", l->token[0]);
}

static void next_number(line *l, const char *name, uint64_t actual)
{
    same_number(name, actual, expect_pair(l, name));
}

static void next_text(line *l, const char *name, const char *actual)
{
    same_text(name, actual, expect_pair(l, name));
}

/* headers_STYLE, body_STYLE and type_STYLE; false when the field is none of these. */
static bool compare_http(const char *name, const tidegate_decision *d, const char *value)
{
    char text[4096];
    size_t needed = 0;
    int32_t style = -1;
    if (strncmp(name, "headers_", 8) == 0) {
        done(tidegate_header_style(name + 8, &style));
        done(tidegate_decision_headers(d, style, text, sizeof text, &needed));
    } else if (strncmp(name, "body_", 5) == 0) {
        done(tidegate_body_style(name + 5, &style));
        done(tidegate_decision_body(d, style, text, sizeof text, &needed));
    } else if (strncmp(name, "type_", 5) == 0) {
        done(tidegate_body_style(name + 5, &style));
        same_text(name, tidegate_body_content_type(style), value);
        return true;
    } else {
        return false;
    }
    if (needed >= sizeof text)
        give_up("longer than this test thought", name);
    same_text(name, text, value);
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
    else if (strcmp(name, "plan") == 0)
        same_text(name, tidegate_decision_plan(d), value);
    else if (strcmp(name, "burst_remaining") == 0)
        same_number(name, d->burst_remaining, value);
    else if (strcmp(name, "shadow") == 0)
        same_text(name, d->shadow_name, value);
    else if (strcmp(name, "message") == 0)
        same_text(name, tidegate_decision_message(d), value);
    else if (strcmp(name, "closes") == 0)
        same_number(name, tidegate_decision_closes(d), value);
    else if (strcmp(name, "status") == 0)
        same_number(name, tidegate_decision_status(d), value);
    else if (!compare_http(name, d, value))
        give_up("unknown field", name);
}

static void compare_decision(line *l, tidegate_status status, const tidegate_decision *d)
{
    const char *name, *value;
    if (!expects(l, status))
        return;
    while (read_pair(l, &name, &value))
        compare_field(name, d, value);
}

static void compare_decisions(line *l, tidegate_status status, const tidegate_decision *decisions,
                              size_t count)
{
    const tidegate_decision *d = NULL;
    const char *name, *value;
    if (!expects(l, status))
        return;
    next_number(l, "decisions", count);
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

static void compare_snapshot(line *l, tidegate_status status, const tidegate_buckets *buckets)
{
    tidegate_bucket bucket = TIDEGATE_BUCKET_INIT;
    const char *name, *value;
    if (!expects(l, status))
        return;
    next_number(l, "blocked_for_ns", tidegate_buckets_blocked_for_ns(buckets));
    next_number(l, "buckets", tidegate_buckets_count(buckets));
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
    tidegate_clock_free(manual);
    limiter = NULL;
    manual = NULL;
    free(vector_name);
    vector_name = NULL;
}

/* What outlives the alert is kept: the numbers, and names. */
static void keep_alert(const tidegate_alert *alert, void *context)
{
    (void)context;
    if (alert_count == MOST_ALERTS)
        give_up("more alerts than this test thought", vector_name);
    alerts[alert_count++] = *alert;
}

/* new and update */
static void policy_step(line *l, bool update)
{
    bytes policy = as_bytes(expect_pair(l, "policy"));
    uint64_t now = as_number(expect_pair(l, "now"));
    if (update) {
        done(tidegate_update_at(limiter, policy.data, policy.len, now));
    } else {
        tidegate_options options = TIDEGATE_OPTIONS_INIT;
        tidegate_limiter_free(limiter); /* a vector may begin anew, with another policy */
        tidegate_clock_free(manual);
        limiter = NULL;
        manual = clock_at(now);
        options.clock = manual;
        alert_count = 0;
        done(tidegate_limiter_new_with(policy.data, policy.len, &options, &limiter));
        if (limiter == NULL)
            give_up("the policy is refused", vector_name);
        done(tidegate_on_alert(limiter, keep_alert, NULL));
    }
    expects_no_answer(l, TIDEGATE_OK);
    free(policy.data);
}

/* settle and cancel */
static void reservation_step(line *l, bool settle)
{
    tidegate_reservation *reservation = held_as(expect_pair(l, "id"));
    uint64_t actual = settle ? as_number(expect_pair(l, "actual")) : 0;
    uint64_t now = as_number(expect_pair(l, "now"));
    tidegate_status status = TIDEGATE_OK;
    if (reservation != NULL && settle)
        status = tidegate_settle_at(reservation, actual, now);
    else if (reservation != NULL)
        status = tidegate_cancel_at(reservation, now);
    expects_no_answer(l, status);
}

static subject read_subject(line *l)
{
    subject s;
    const char *name = "", *value = "";
    size_t at;
    memset(&s, 0, sizeof s);
    if (!read_pair(l, &name, &value))
        give_up("missing", "a key or a request");
    if (strcmp(name, "key") == 0) {
        s.key = as_bytes(value);
        s.count = keys_as_requests;
    } else {
        s.count = (size_t)as_number(value);
    }
    if (s.count == 0 && s.key.data != NULL)
        return s;
    s.attributes = (tidegate_attribute *)room((s.count + 1) * sizeof *s.attributes);
    s.texts = (bytes *)room((2 * s.count + 1) * sizeof *s.texts);
    for (at = 0; at < s.count; at++) {
        s.texts[2 * at] = as_bytes(s.key.data != NULL ? "6b6579" : expect_pair(l, "name"));
        s.texts[2 * at + 1] = as_bytes(s.key.data != NULL ? value : expect_pair(l, "value"));
        s.attributes[at].name = s.texts[2 * at].data;
        s.attributes[at].value = s.texts[2 * at + 1].data;
        s.attributes[at].value_len = s.texts[2 * at + 1].len;
    }
    return s;
}

static void free_subject(subject *s)
{
    size_t at;
    for (at = 0; s->texts != NULL && at < 2 * s->count; at++)
        free(s->texts[at].data);
    free(s->key.data);
    free(s->attributes);
    free(s->texts);
}

/* A call about a key, or its twin about a request. */
#define ASK(call, ...) \
    (s->attributes != NULL \
         ? tidegate_##call##_request_at(limiter, s->attributes, s->count, __VA_ARGS__) \
         : tidegate_##call##_at(limiter, s->key.data, s->key.len, __VA_ARGS__))

/* acquire, peek, try_acquire and reserve */
static void asking_step(line *l, const char *call, const subject *s)
{
    tidegate_decision decision = TIDEGATE_DECISION_INIT;
    tidegate_reservation *reservation = NULL;
    tidegate_status status = TIDEGATE_OK;
    bool reserves = strcmp(call, "reserve") == 0;
    const char *id = reserves ? expect_pair(l, "id") : NULL;
    uint64_t cost = as_number(expect_pair(l, "cost"));
    uint64_t now = as_number(expect_pair(l, "now"));
    if (reserves) {
        status = ASK(reserve, cost, now, &decision, &reservation);
        hold(id, reservation);
    } else if (strcmp(call, "acquire") == 0) {
        status = ASK(acquire, cost, now, &decision);
    } else if (strcmp(call, "peek") == 0) {
        status = ASK(peek, cost, now, &decision);
    } else {
        decision.allowed = ASK(try_acquire, cost, now);
    }
    compare_decision(l, status, &decision);
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
    compare_decisions(l,
                      tidegate_acquire_many_at(limiter, data, lens, count, cost,
                                               as_number(expect_pair(l, "now")), decisions),
                      decisions, count);
    for (at = 0; at < count; at++)
        free(keys[at].data);
    free(keys);
    free((void *)data);
    free(lens);
    free(decisions);
}

static void snapshot_step(line *l, const subject *s)
{
    tidegate_buckets *buckets = NULL;
    uint64_t now = as_number(expect_pair(l, "now"));
    tidegate_status status = ASK(snapshot, now, &buckets);
    compare_snapshot(l, status, buckets);
    tidegate_buckets_free(buckets);
}

static void renew_step(line *l, const subject *s)
{
    bool renewed = false;
    uint64_t now = as_number(expect_pair(l, "now"));
    tidegate_status status = ASK(renew, now, &renewed);
    if (expects(l, status))
        next_number(l, "renewed", renewed);
}

/* It takes no time: the limiter's clock is asked. */
static void plan_of_step(line *l, const subject *s)
{
    const char *plan = NULL;
    tidegate_status status;
    done(tidegate_clock_set(manual, as_number(expect_pair(l, "now"))));
    status = s->attributes != NULL
                 ? tidegate_plan_of_request(limiter, s->attributes, s->count, &plan)
                 : tidegate_plan_of(limiter, s->key.data, s->key.len, &plan);
    if (expects(l, status))
        next_text(l, "plan", plan);
}

static void compare_usage(line *l, const tidegate_usage_report *report)
{
    tidegate_usage_totals totals = TIDEGATE_USAGE_TOTALS_INIT;
    tidegate_usage_kind kind = TIDEGATE_USAGE_KIND_INIT;
    const char *name = "", *value = "";
    size_t at = 0;
    done(tidegate_usage_get(report, &totals));
    while (read_pair(l, &name, &value)) {
        if (strcmp(name, "has_limit") == 0)
            same_number(name, totals.has_limit, value);
        else if (strcmp(name, "limit_name") == 0)
            same_text(name, totals.limit_name, value);
        else if (strcmp(name, "quota") == 0)
            same_number(name, totals.quota, value);
        else if (strcmp(name, "remaining") == 0)
            same_number(name, totals.remaining, value);
        else if (strcmp(name, "utilization_permille") == 0)
            same_number(name, totals.utilization_permille, value);
        else if (strcmp(name, "plan") == 0)
            same_text(name, totals.plan_name, value);
        else if (strcmp(name, "window_ns") == 0)
            same_number(name, totals.window_ns, value);
        else if (strcmp(name, "total") == 0)
            same_number(name, totals.total, value);
        else if (strcmp(name, "dropped") == 0)
            same_number(name, totals.dropped, value);
        else if (strcmp(name, "kinds") == 0)
            break;
        else
            give_up("unknown field", name);
    }
    same_number("kinds", tidegate_usage_kinds_count(report), value);
    while (l->next < l->tokens) {
        done(tidegate_usage_kinds_get(report, at++, &kind));
        next_text(l, "name", kind.name == NULL ? "" : kind.name);
        next_number(l, "units", kind.units);
    }
}

static void usage_step(line *l, const subject *s)
{
    tidegate_usage_report *report = NULL;
    uint64_t window = as_number(expect_pair(l, "window_ns"));
    uint64_t now = as_number(expect_pair(l, "now"));
    tidegate_status status = ASK(usage, window, now, &report);
    if (expects(l, status))
        compare_usage(l, report);
    tidegate_usage_free(report);
}

/* assign and unassign */
static void assigning_step(line *l, bool assigns)
{
    bytes value = as_bytes(expect_pair(l, "value")), plan;
    tidegate_status status;
    if (assigns) {
        uint64_t duration;
        plan = as_bytes(expect_pair(l, "plan"));
        duration = as_number(expect_pair(l, "duration_ns"));
        status = tidegate_assign_at(limiter, value.data, value.len, plan.data, duration,
                                    as_number(expect_pair(l, "now")));
        free(plan.data);
    } else {
        expect_pair(l, "now");
        status = tidegate_unassign(limiter, value.data, value.len);
    }
    expects_no_answer(l, status);
    free(value.data);
}

static void alerts_step(line *l)
{
    size_t at;
    expect_pair(l, "now");
    if (expects(l, TIDEGATE_OK)) {
        next_number(l, "alerts", alert_count);
        for (at = 0; at < alert_count && l->next < l->tokens; at++) {
            next_text(l, "limit_name", alerts[at].limit_name);
            next_number(l, "threshold_permille", alerts[at].threshold_permille);
            next_number(l, "used", alerts[at].used);
            next_number(l, "capacity", alerts[at].capacity);
        }
    }
    alert_count = 0;
}

/* The calls that answer nothing. */
static void charging_step(line *l, const char *call, const subject *s)
{
    const char *argument = strcmp(call, "record_latency") == 0 ? "latency_ns"
                           : strcmp(call, "penalize") == 0     ? "units"
                           : strcmp(call, "refund") == 0       ? "cost"
                           : strcmp(call, "block") == 0        ? "duration_ns"
                                                               : NULL;
    uint64_t value = argument == NULL ? 0 : as_number(expect_pair(l, argument));
    uint64_t now = as_number(expect_pair(l, "now"));
    tidegate_status status = TIDEGATE_OK;
    if (strcmp(call, "record_latency") == 0)
        status = ASK(record_latency, value, now);
    else if (strcmp(call, "penalize") == 0)
        status = ASK(penalize, value, now);
    else if (strcmp(call, "refund") == 0)
        status = ASK(refund, value, now);
    else if (strcmp(call, "block") == 0)
        status = ASK(block, value, now);
    else if (strcmp(call, "release") == 0)
        status = ASK(release, now);
    else if (strcmp(call, "reset") == 0)
        status = ASK(reset, now);
    else
        give_up("unknown call", call);
    expects_no_answer(l, status);
}

static void keyed_step(line *l, const char *call)
{
    subject s = read_subject(l);
    if (strcmp(call, "acquire") == 0 || strcmp(call, "peek") == 0
        || strcmp(call, "try_acquire") == 0 || strcmp(call, "reserve") == 0)
        asking_step(l, call, &s);
    else if (strcmp(call, "snapshot") == 0)
        snapshot_step(l, &s);
    else if (strcmp(call, "renew") == 0)
        renew_step(l, &s);
    else if (strcmp(call, "plan_of") == 0)
        plan_of_step(l, &s);
    else if (strcmp(call, "usage") == 0)
        usage_step(l, &s);
    else
        charging_step(l, call, &s);
    free_subject(&s);
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
    else if (strcmp(call, "assign") == 0 || strcmp(call, "unassign") == 0)
        assigning_step(l, strcmp(call, "assign") == 0);
    else if (strcmp(call, "alerts") == 0)
        alerts_step(l);
    else
        keyed_step(l, call);
}

int main(int argc, char **argv)
{
    line l;
    keys_as_requests = argc > 1 && strcmp(argv[1], "keys-as-requests") == 0;
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
