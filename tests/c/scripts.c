/* Replays the scripts of tests/client/scripts.json (lines of to_lines.py): calls of a pacer with a manual clock, and
 * what each step comes to, to the nanosecond. */

#include "lines.h"

#define CALLS 16
#define EVENTS 32
#define FORMS 8

typedef struct {
    bytes name;
    tidegate_call *call;
} named_call;

static tidegate_clock *the_clock;
static tidegate_pacer *pacer;
static named_call calls[CALLS];
static size_t call_count;
static uint8_t events[EVENTS];
static size_t event_count;
static uint64_t step_index;

static void note(const tidegate_pacer_event *event, void *context)
{
    CHECK(context == events);
    CHECK_U64(event->struct_size, sizeof *event);
    if (event_count == EVENTS)
        give_up("more events than there is room for", tidegate_event_name(event->kind));
    events[event_count++] = event->kind;
}

static void end_script(void)
{
    size_t at;
    for (at = 0; at < call_count; at++) {
        tidegate_call_free(calls[at].call);
        free(calls[at].name.data);
    }
    call_count = event_count = 0;
    tidegate_pacer_free(pacer);
    tidegate_clock_free(the_clock);
    pacer = NULL;
    the_clock = NULL;
}

static void set_option(tidegate_pacer_options *options, const char *name, uint64_t value)
{
    if (strcmp(name, "concurrency") == 0)
        options->concurrency = (uint32_t)value;
    else if (strcmp(name, "headroom") == 0)
        options->headroom = value;
    else if (strcmp(name, "max_retries") == 0)
        options->max_retries = (uint32_t)value;
    else if (strcmp(name, "max_failures") == 0)
        options->max_failures = (uint32_t)value;
    else if (strcmp(name, "near_limit") == 0)
        options->near_limit = (uint32_t)value;
    else if (strcmp(name, "seed") == 0)
        options->seed = value;
    else if (strcmp(name, "base_ns") == 0)
        options->base_ns = value;
    else if (strcmp(name, "max_retry_after_ns") == 0)
        options->max_retry_after_ns = value;
    else if (strcmp(name, "deadline_ns") == 0)
        options->deadline_ns = value;
    else
        give_up("unknown option", name);
}

static bytes begin_script(line *l)
{
    tidegate_pacer_options options = TIDEGATE_PACER_OPTIONS_INIT;
    const char *name, *value;
    bytes script = as_bytes(expect_pair(l, "name")), policy;
    the_clock = clock_at(as_number(expect_pair(l, "start")));
    policy = as_bytes(expect_pair(l, "policy"));
    options.clock = the_clock;
    while (read_pair(l, &name, &value))
        set_option(&options, name, as_number(value));
    if (tidegate_pacer_new(policy.data, policy.len, &options, &pacer) != TIDEGATE_OK)
        give_up("no pacer", tidegate_last_error());
    CHECK_OK(tidegate_pacer_on_event(pacer, note, events));
    free(policy.data);
    return script;
}

/* The call of this name; a new place for a name that there is not yet. */
static named_call *call_named(bytes name)
{
    size_t at;
    for (at = 0; at < call_count; at++)
        if (strcmp(calls[at].name.data, name.data) == 0) {
            free(name.data);
            return &calls[at];
        }
    if (call_count == CALLS)
        give_up("more calls than there is room for", name.data);
    calls[call_count].name = name;
    calls[call_count].call = NULL;
    return &calls[call_count++];
}

static const char *name_of(uint64_t number)
{
    size_t at;
    for (at = 0; at < call_count; at++)
        if (calls[at].call != NULL && tidegate_call_number(calls[at].call) == number)
            return calls[at].name.data;
    return "(none)";
}

static void expect_text(line *l, const char *name, const char *actual)
{
    bytes expected = as_bytes(expect_pair(l, name));
    if (strcmp(actual, expected.data) != 0) {
        fprintf(stderr, "%s is \"%s\", not \"%s\"\n", name, actual, expected.data);
        failures++;
    }
    free(expected.data);
}

static void expect_number(line *l, const char *name, uint64_t actual)
{
    uint64_t expected = as_number(expect_pair(l, name));
    if (actual != expected) {
        fprintf(stderr, "%s is %" PRIu64 ", not %" PRIu64 "\n", name, actual, expected);
        failures++;
    }
}

static void check_failure(line *l, const tidegate_call *call, const tidegate_step *step)
{
    bytes label;
    bool told;
    expect_text(l, "kind", tidegate_failure_name(step->failure));
    expect_text(l, "message", tidegate_call_error(call));
    expect_number(l, "retry_after_ns", step->retry_after_ns);
    told = as_number(expect_pair(l, "told")) != 0;
    expect_number(l, "attempts", told ? step->attempts : 0);
    label = as_bytes(expect_pair(l, "label"));
    CHECK(strncmp(tidegate_call_error(call), label.data, label.len) == 0);
    free(label.data);
}

static void do_begin(line *l, named_call *named)
{
    tidegate_call_options options = TIDEGATE_CALL_OPTIONS_INIT;
    bytes label = as_bytes(expect_pair(l, "label"));
    options.label = label.data;
    options.cost = as_number(expect_pair(l, "cost"));
    options.max_retries = (uint32_t)as_number(expect_pair(l, "max_retries"));
    options.deadline_ns = as_number(expect_pair(l, "deadline_ns"));
    CHECK_OK(tidegate_pacer_begin(pacer, &options, NULL, NULL, &named->call));
    free(label.data);
}

static const char *const STEPS[] = {"done", "go", "wait", "fail"};

static void do_check(line *l, named_call *named)
{
    tidegate_step step = TIDEGATE_STEP_INIT;
    CHECK_OK(tidegate_call_check(named->call, &step));
    expect_text(l, "step", STEPS[step.kind]);
    expect_number(l, "ns", step.wait_ns);
    if (step.kind == TIDEGATE_STEP_FAIL)
        check_failure(l, named->call, &step);
    else
        CHECK_U64(step.failure, TIDEGATE_FAILURE_NONE);
}

static int32_t class_named(const char *name)
{
    static const char *const names[] = {"passed", "limited", "unauthorized", "forbidden", "retry",
                                        "failed", "error"};
    int32_t at;
    for (at = 0; at < 7; at++)
        if (strcmp(names[at], name) == 0)
            return at;
    give_up("unknown class", name);
    return -1;
}

static tidegate_server_limits *read_limits(line *l)
{
    tidegate_header headers[FORMS];
    bytes names[FORMS], values[FORMS];
    tidegate_server_limits *limits = NULL;
    size_t count = (size_t)as_number(expect_pair(l, "headers")), at;
    if (count > FORMS)
        give_up("more headers than there is room for", "");
    for (at = 0; at < count; at++) {
        names[at] = as_bytes(expect_pair(l, "name"));
        values[at] = as_bytes(expect_pair(l, "value"));
        headers[at].name = names[at].data;
        headers[at].value = values[at].data;
        headers[at].value_len = values[at].len;
    }
    CHECK_OK(tidegate_pacer_read(pacer, headers, count, &limits));
    for (at = 0; at < count; at++) {
        free(names[at].data);
        free(values[at].data);
    }
    return limits;
}

static void do_finish(line *l, named_call *named)
{
    static const char *const kinds[] = {"done", "(go)", "retry", "raise"};
    tidegate_step step = TIDEGATE_STEP_INIT;
    tidegate_server_limits *limits;
    uint16_t status = (uint16_t)as_number(expect_pair(l, "status"));
    bytes name = as_bytes(expect_pair(l, "class"));
    limits = read_limits(l);
    if (name.len == 0)
        CHECK_OK(tidegate_call_finish(named->call, status, limits, &step));
    else
        CHECK_OK(tidegate_call_finish_as(named->call, class_named(name.data), status, limits, &step));
    tidegate_server_limits_free(limits);
    free(name.data);
    expect_text(l, "finish", kinds[step.kind]);
    expect_number(l, "after_ns", step.wait_ns);
    if (step.kind == TIDEGATE_STEP_FAIL)
        check_failure(l, named->call, &step);
}

static void do_tick(line *l)
{
    uint64_t ready[CALLS], next_ns = 0;
    size_t count = 0, at;
    CHECK_OK(tidegate_pacer_tick(pacer, ready, CALLS, &count, &next_ns));
    expect_number(l, "ready", count);
    for (at = 0; at < count; at++)
        expect_text(l, "call", name_of(ready[at]));
    expect_number(l, "next_ns", next_ns);
}

static void do_stats(line *l)
{
    tidegate_pacer_counters counters = TIDEGATE_PACER_COUNTERS_INIT;
    tidegate_wait_count one = TIDEGATE_WAIT_COUNT_INIT;
    tidegate_waits *waits = NULL;
    size_t at;
    CHECK_OK(tidegate_pacer_stats(pacer, &counters));
    expect_number(l, "calls", counters.calls);
    expect_number(l, "attempts", counters.attempts);
    expect_number(l, "retries", counters.retries);
    expect_number(l, "limited", counters.limited);
    expect_number(l, "wait_ns", counters.wait_ns);
    expect_number(l, "pauses", counters.pauses);
    expect_number(l, "exhausted", counters.exhausted);
    expect_number(l, "breaker_opened", counters.breaker_opened);
    expect_number(l, "in_flight", counters.in_flight);
    expect_number(l, "waiting", counters.waiting);
    CHECK_OK(tidegate_pacer_waits(pacer, &waits));
    expect_number(l, "waits", tidegate_waits_count(waits));
    for (at = 0; at < tidegate_waits_count(waits); at++) {
        CHECK_OK(tidegate_waits_get(waits, at, &one));
        expect_text(l, "name", one.name);
        expect_number(l, "count", one.waits);
    }
    tidegate_waits_free(waits);
}

static void do_events(line *l)
{
    size_t at;
    expect_number(l, "events", event_count);
    for (at = 0; at < event_count; at++)
        expect_text(l, "kind", tidegate_event_name(events[at]));
    event_count = 0;
}

static void do_step(line *l)
{
    const char *what = l->token[0];
    named_call *named = NULL;
    bytes name;
    step_index = as_number(expect_pair(l, "step"));
    name = as_bytes(expect_pair(l, "call"));
    if (name.len > 0)
        named = call_named(name);
    else
        free(name.data);
    if (strcmp(what, "begin") == 0)
        do_begin(l, named);
    else if (strcmp(what, "check") == 0)
        do_check(l, named);
    else if (strcmp(what, "finish") == 0)
        do_finish(l, named);
    else if (strcmp(what, "drop") == 0) {
        tidegate_call_free(named->call);
        named->call = NULL;
    } else if (strcmp(what, "advance") == 0)
        CHECK_OK(tidegate_clock_advance(the_clock, as_number(expect_pair(l, "ns"))));
    else if (strcmp(what, "tick") == 0)
        do_tick(l);
    else if (strcmp(what, "stats") == 0)
        do_stats(l);
    else if (strcmp(what, "events") == 0)
        do_events(l);
    else if (strcmp(what, "close") == 0)
        CHECK_OK(tidegate_pacer_close(pacer));
    else
        give_up("unknown step", what);
}

int main(void)
{
    line l;
    bytes script = {NULL, 0};
    int scripts = 0;
    while (read_line(stdin, &l)) {
        int before = failures;
        if (strcmp(l.token[0], "script") == 0) {
            end_script();
            free(script.data);
            script = begin_script(&l);
            scripts++;
        } else {
            do_step(&l);
            if (failures == before && l.next != l.tokens)
                give_up("more is expected than was compared", l.token[l.next]);
            if (failures != before) {
                /* What comes after a wrong step says nothing. */
                fprintf(stderr, "  in the script \"%s\", step %" PRIu64 "\n", script.data,
                        step_index);
                return 1;
            }
        }
        free_line(&l);
    }
    end_script();
    free(script.data);
    CHECK(scripts >= 20);
    printf("scripts: %d scripts\n", scripts);
    return result("scripts");
}
