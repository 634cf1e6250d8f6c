/* What a pacer tells: its events, its counters, and when to ask again. */

#include "test.h"
#include <pthread.h>

#define BLAMES(name, call) \
    do { \
        CHECK((call) == TIDEGATE_ERROR_ARGUMENT); \
        CHECK_TEXT(tidegate_last_error_field(), name); \
    } while (0)

static tidegate_pacer *pacer_of(const char *policy, const tidegate_clock *clock,
                                uint32_t concurrency)
{
    tidegate_pacer *pacer = NULL;
    tidegate_pacer_options options = TIDEGATE_PACER_OPTIONS_INIT;
    options.clock = clock;
    options.concurrency = concurrency;
    options.headroom = 0;
    options.base_ns = 0;
    if (tidegate_pacer_new(policy, strlen(policy), &options, &pacer) != TIDEGATE_OK) {
        fprintf(stderr, "no pacer: %s\n", tidegate_last_error());
        exit(1);
    }
    return pacer;
}

static tidegate_call *begin(const tidegate_pacer *pacer, const char *label, uint32_t max_retries)
{
    tidegate_call_options options = TIDEGATE_CALL_OPTIONS_INIT;
    tidegate_call *call = NULL;
    options.label = label;
    options.max_retries = max_retries;
    CHECK_OK(tidegate_pacer_begin(pacer, &options, NULL, NULL, &call));
    return call;
}

static uint8_t check(tidegate_call *call)
{
    tidegate_step step = TIDEGATE_STEP_INIT;
    CHECK_OK(tidegate_call_check(call, &step));
    return step.kind;
}

/* One attempt with this answer, which has one header, or none. */
static uint8_t answer(const tidegate_pacer *pacer, tidegate_call *call, uint16_t status,
                      const char *name, const char *value)
{
    tidegate_step step = TIDEGATE_STEP_INIT;
    tidegate_server_limits *limits = NULL;
    tidegate_header header;
    header.name = name;
    header.value = value;
    header.value_len = value == NULL ? 0 : strlen(value);
    CHECK_U64(check(call), TIDEGATE_STEP_GO);
    CHECK_OK(tidegate_pacer_read(pacer, &header, name != NULL, &limits));
    CHECK_OK(tidegate_call_finish(call, status, limits, &step));
    tidegate_server_limits_free(limits);
    return step.kind;
}

/* The same of a call of its own. */
static void answered(const tidegate_pacer *pacer, uint16_t status, const char *name,
                     const char *value)
{
    tidegate_call *call = begin(pacer, "", 0);
    answer(pacer, call, status, name, value);
    tidegate_call_free(call);
}

/* An event, copied: what it points to is gone when the listener returns. */
typedef struct {
    tidegate_pacer_event event;
    tidegate_quota quota;
    char label[16], quota_name[16];
} noted;

typedef struct {
    noted of[16];
    size_t count;
} notes;

static void note(const tidegate_pacer_event *event, void *context)
{
    notes *told = (notes *)context;
    noted *one = &told->of[told->count++];
    CHECK(told->count < 16);
    CHECK_U64(event->struct_size, sizeof *event);
    one->event = *event;
    if (event->label != NULL)
        snprintf(one->label, sizeof one->label, "%s", event->label);
    if (event->quota != NULL) {
        one->quota = *event->quota;
        snprintf(one->quota_name, sizeof one->quota_name, "%s", event->quota->name);
    }
}

/* One of the events, which must have these fields. */
static const noted *expect(const notes *told, size_t index, uint8_t kind, uint8_t cause,
                           uint16_t status, uint64_t attempts, uint64_t failed, uint64_t delay_ns)
{
    const noted *one = &told->of[index];
    CHECK(index < told->count);
    CHECK_TEXT(tidegate_event_name(one->event.kind), tidegate_event_name(kind));
    CHECK_TEXT(tidegate_cause_name(one->event.cause), tidegate_cause_name(cause));
    CHECK_U64(one->event.status, status);
    CHECK_U64(one->event.attempts, attempts);
    CHECK_U64(one->event.failures, failed);
    CHECK_U64(one->event.delay_ns, delay_ns);
    return one;
}

static void every_kind_of_event(void)
{
    tidegate_clock *clock = clock_at(T0);
    tidegate_pacer *pacer = pacer_of("", clock, 10);
    notes told;
    const tidegate_header asked = {"Retry-After", "5", 1};
    tidegate_server_limits *limits;
    const noted *one;
    tidegate_call *call;
    memset(&told, 0, sizeof told);
    answered(pacer, 429, NULL, NULL); /* before anybody listens */
    CHECK_OK(tidegate_pacer_on_event(pacer, note, &told));
    CHECK_OK(tidegate_pacer_reset(pacer));
    CHECK_U64(told.count, 0);

    call = begin(pacer, "item 7", 1);
    CHECK_U64(answer(pacer, call, 429, "Retry-After", "20"), TIDEGATE_STEP_WAIT);
    CHECK_U64(told.count, 2);
    one = expect(&told, 0, TIDEGATE_EVENT_PAUSE, TIDEGATE_CAUSE_LIMITED, 429, 0, 0, 20 * SECOND);
    CHECK(one->event.label == NULL && one->event.quota == NULL);
    one = expect(&told, 1, TIDEGATE_EVENT_RETRY, TIDEGATE_CAUSE_NONE, 429, 1, 0, 20 * SECOND);
    CHECK_TEXT(one->label, "item 7");
    CHECK(one->event.quota == NULL);
    CHECK_OK(tidegate_clock_advance(clock, 20 * SECOND));
    CHECK_U64(answer(pacer, call, 503, "Retry-After", "1"), TIDEGATE_STEP_FAIL);
    CHECK_U64(told.count, 3);
    one = expect(&told, 2, TIDEGATE_EVENT_EXHAUSTED, TIDEGATE_CAUSE_NONE, 503, 2, 0, 0);
    CHECK_TEXT(one->label, "item 7");
    tidegate_call_free(call);
    CHECK_OK(tidegate_pacer_reset(pacer));
    CHECK_U64(told.count, 3);

    answered(pacer, 401, NULL, NULL);
    CHECK_U64(told.count, 4);
    one = expect(&told, 3, TIDEGATE_EVENT_BREAKER_OPENED, TIDEGATE_CAUSE_AUTHENTICATION, 401, 0, 1,
                 30 * SECOND);
    CHECK(one->event.label == NULL);
    CHECK_OK(tidegate_pacer_reset(pacer));
    CHECK_U64(told.count, 5);
    expect(&told, 4, TIDEGATE_EVENT_BREAKER_CLOSED, TIDEGATE_CAUSE_NONE, 0, 0, 0, 0);

    answered(pacer, 200, "RateLimit", "\"a\";r=0;t=7");
    CHECK_U64(told.count, 5); /* no quota, so nobody knows whether 0 is little */
    call = begin(pacer, "", 0);
    CHECK_U64(told.count, 6);
    CHECK_U64(check(call), TIDEGATE_STEP_WAIT);
    one = expect(&told, 5, TIDEGATE_EVENT_PAUSE, TIDEGATE_CAUSE_EXHAUSTED, 0, 0, 0, 7 * SECOND);
    CHECK_TEXT(one->quota_name, "a");
    CHECK(!one->quota.has_limit && !one->quota.has_remaining && !one->quota.has_reset_after);
    CHECK_OK(tidegate_clock_advance(clock, 7 * SECOND));
    CHECK_U64(answer(pacer, call, 200, "RateLimit", "limit=100, remaining=9, reset=30"),
              TIDEGATE_STEP_DONE);
    CHECK_U64(told.count, 7);
    one = expect(&told, 6, TIDEGATE_EVENT_NEAR_LIMIT, TIDEGATE_CAUSE_NONE, 0, 0, 0, 0);
    CHECK_TEXT(one->quota_name, "");
    CHECK(one->quota.has_limit && one->quota.has_remaining && one->quota.has_reset_after);
    CHECK_U64(one->quota.limit, 100);
    CHECK_U64(one->quota.remaining, 9);
    CHECK_U64(one->quota.reset_after_ns, 30 * SECOND);
    tidegate_call_free(call);

    /* What another client of the same account was told. */
    CHECK_OK(tidegate_pacer_reset(pacer));
    CHECK_OK(tidegate_clock_advance(clock, 30 * SECOND));
    limits = NULL;
    CHECK_OK(tidegate_read_headers(&asked, 1, T0, &limits));
    CHECK_OK(tidegate_pacer_observe(pacer, limits));
    CHECK_U64(told.count, 8);
    expect(&told, 7, TIDEGATE_EVENT_PAUSE, TIDEGATE_CAUSE_LIMITED, 0, 0, 0, 5 * SECOND);
    tidegate_server_limits_free(limits);

    CHECK_TEXT(tidegate_event_name(6), "unknown");
    CHECK_TEXT(tidegate_cause_name(5), "unknown");
    BLAMES("pacer", tidegate_pacer_on_event(NULL, note, &told));
    tidegate_pacer_free(pacer);
    tidegate_clock_free(clock);
}

typedef struct {
    tidegate_clock *clock;
    int pauses;
} sleeper;

/* Sleeps as long as the pause is: by a clock that is moved. */
static void sleeps(const tidegate_pacer_event *event, void *context)
{
    sleeper *self = (sleeper *)context;
    if (event->kind == TIDEGATE_EVENT_PAUSE) {
        self->pauses++;
        CHECK_OK(tidegate_clock_advance(self->clock, event->delay_ns));
    }
}

/* A pause that begins when a retry is due, whichever call finds that: it is told by that call. */
static void a_pause_that_time_brings(void)
{
    enum { BY_CHECK, BY_TICK, BY_FREE, BY_WAIT, WAYS };
    int way;
    for (way = 0; way < WAYS; way++) {
        sleeper self = {clock_at(T0), 0};
        tidegate_pacer *pacer = pacer_of("", self.clock, 10);
        tidegate_call *call = begin(pacer, "", 1), *other = begin(pacer, "", 0);
        tidegate_step step = TIDEGATE_STEP_INIT;
        tidegate_server_limits *limits = NULL;
        const tidegate_header headers[] = {{"Retry-After", "1", 1},
                                           {"RateLimit", "\"a\";r=0;t=7", 11}};
        uint64_t ready, next_ns;
        size_t count;
        CHECK_OK(tidegate_pacer_on_event(pacer, sleeps, &self));
        CHECK_U64(check(call), TIDEGATE_STEP_GO);
        CHECK_U64(check(other), TIDEGATE_STEP_GO);
        CHECK_OK(tidegate_pacer_read(pacer, headers, 2, &limits));
        CHECK_OK(tidegate_call_finish_as(call, TIDEGATE_CLASS_RETRY, 500, limits, &step));
        CHECK_U64(step.kind, TIDEGATE_STEP_WAIT);
        tidegate_server_limits_free(limits);
        if (way != BY_FREE)
            tidegate_call_free(other);
        CHECK_OK(tidegate_clock_advance(self.clock, SECOND));
        CHECK_U64(self.pauses, 0);
        if (way == BY_CHECK)
            CHECK_U64(check(call), TIDEGATE_STEP_WAIT);
        else if (way == BY_TICK)
            CHECK_OK(tidegate_pacer_tick(pacer, &ready, 1, &count, &next_ns));
        else if (way == BY_FREE)
            tidegate_call_free(other);
        else
            CHECK_OK(tidegate_call_wait(call, &step));
        CHECK_U64(self.pauses, 1);
        CHECK_U64(check(call), TIDEGATE_STEP_GO);
        tidegate_call_free(call);
        tidegate_pacer_free(pacer);
        tidegate_clock_free(self.clock);
    }
}

static void listeners_come_and_go(void)
{
    tidegate_clock *clock = clock_at(T0);
    tidegate_pacer *pacer = pacer_of("", clock, 10);
    tidegate_step step = TIDEGATE_STEP_INIT;
    tidegate_call *call;
    notes first, second;
    memset(&first, 0, sizeof first);
    memset(&second, 0, sizeof second);
    CHECK_OK(tidegate_pacer_on_event(pacer, note, &first));
    answered(pacer, 401, NULL, NULL);
    CHECK_U64(first.count, 1);
    CHECK_OK(tidegate_pacer_on_event(pacer, note, &second));
    CHECK_OK(tidegate_pacer_reset(pacer));
    CHECK_U64(first.count, 1);
    CHECK_U64(second.count, 1);
    CHECK_OK(tidegate_pacer_on_event(pacer, NULL, NULL));
    answered(pacer, 401, NULL, NULL);
    CHECK_U64(second.count, 1);
    /* What nobody was told is not told later. */
    CHECK_OK(tidegate_pacer_on_event(pacer, note, &second));
    CHECK_OK(tidegate_pacer_reset(pacer));
    CHECK_U64(second.count, 2);
    expect(&second, 1, TIDEGATE_EVENT_BREAKER_CLOSED, TIDEGATE_CAUSE_NONE, 0, 0, 0, 0);
    /* A call outlives its pacer, and nobody is told of it any more. */
    call = begin(pacer, "", 0);
    CHECK_U64(check(call), TIDEGATE_STEP_GO);
    tidegate_pacer_free(pacer);
    CHECK_OK(tidegate_call_finish(call, 401, NULL, &step));
    tidegate_call_free(call);
    CHECK_U64(second.count, 2);
    tidegate_clock_free(clock);
}

typedef struct {
    tidegate_pacer *pacer;
    tidegate_call *other;
    uint8_t kinds[8];
    size_t count;
    int depth;
    bool is_once;
} caller;

/* Uses the pacer from within: what that makes happen is told next, not in the middle. */
static void calls_back(const tidegate_pacer_event *event, void *context)
{
    caller *self = (caller *)context;
    tidegate_pacer_counters counters = TIDEGATE_PACER_COUNTERS_INIT;
    self->depth++;
    CHECK_U64(self->depth, 1);
    self->kinds[self->count++] = event->kind;
    CHECK_OK(tidegate_pacer_stats(self->pacer, &counters));
    if (self->is_once) {
        CHECK_OK(tidegate_pacer_on_event(self->pacer, NULL, NULL));
    } else if (event->kind == TIDEGATE_EVENT_BREAKER_OPENED) {
        CHECK_U64(counters.breaker_opened, 1);
        CHECK_OK(tidegate_pacer_reset(self->pacer));
        answered(self->pacer, 200, "RateLimit", "limit=100, remaining=9, reset=30");
        tidegate_call_free(self->other);
        self->other = NULL;
        CHECK_U64(self->count, 1);
    }
    self->depth--;
}

static void a_listener_that_calls_back(void)
{
    tidegate_clock *clock = clock_at(T0);
    caller self;
    memset(&self, 0, sizeof self);
    self.pacer = pacer_of("", clock, 10);
    self.other = begin(self.pacer, "", 0);
    CHECK_OK(tidegate_pacer_on_event(self.pacer, calls_back, &self));
    answered(self.pacer, 401, NULL, NULL);
    CHECK_U64(self.count, 3);
    CHECK_U64(self.kinds[0], TIDEGATE_EVENT_BREAKER_OPENED);
    CHECK_U64(self.kinds[1], TIDEGATE_EVENT_BREAKER_CLOSED);
    CHECK_U64(self.kinds[2], TIDEGATE_EVENT_NEAR_LIMIT);
    CHECK(self.other == NULL);

    /* It may take itself away: of a pause and a retry it hears the first alone. */
    self.is_once = true;
    CHECK_OK(tidegate_clock_advance(clock, 60 * SECOND));
    self.other = begin(self.pacer, "", 5);
    CHECK_U64(answer(self.pacer, self.other, 429, "Retry-After", "1"), TIDEGATE_STEP_WAIT);
    CHECK_U64(self.count, 4);
    CHECK_U64(self.kinds[3], TIDEGATE_EVENT_PAUSE);
    tidegate_call_free(self.other);
    tidegate_pacer_free(self.pacer);
    tidegate_clock_free(clock);
}

#define THREADS 4
#define REFUSALS 50

typedef struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool arrived, may_return;
    int inside, most_inside, retries, exhausted;
} crowd;

/* Takes no lock around its counts: there is one call of it at a time. */
static void counts(const tidegate_pacer_event *event, void *context)
{
    crowd *all = (crowd *)context;
    all->inside++;
    all->most_inside = all->inside > all->most_inside ? all->inside : all->most_inside;
    all->retries += event->kind == TIDEGATE_EVENT_RETRY;
    all->exhausted += event->kind == TIDEGATE_EVENT_EXHAUSTED;
    all->inside--;
}

static void *is_refused(void *context)
{
    const tidegate_pacer *pacer = (const tidegate_pacer *)context;
    int at;
    for (at = 0; at < REFUSALS; at++) {
        tidegate_step step = TIDEGATE_STEP_INIT;
        tidegate_call *call = begin(pacer, "", 1);
        int attempt;
        for (attempt = 0; attempt < 2; attempt++) {
            CHECK_OK(tidegate_call_wait(call, &step));
            CHECK_U64(step.kind, TIDEGATE_STEP_GO);
            CHECK_OK(tidegate_call_finish_as(call, TIDEGATE_CLASS_RETRY, 500, NULL, &step));
        }
        CHECK_U64(step.failure, TIDEGATE_FAILURE_RETRIES_EXHAUSTED);
        tidegate_call_free(call);
    }
    return NULL;
}

static void events_of_many_threads(void)
{
    tidegate_pacer_options options = TIDEGATE_PACER_OPTIONS_INIT;
    tidegate_pacer_counters counters = TIDEGATE_PACER_COUNTERS_INIT;
    tidegate_pacer *pacer = NULL;
    pthread_t threads[THREADS];
    crowd all;
    int at;
    memset(&all, 0, sizeof all);
    options.base_ns = 0;
    options.max_failures = 0;
    CHECK_OK(tidegate_pacer_new(NULL, 0, &options, &pacer));
    CHECK_OK(tidegate_pacer_on_event(pacer, counts, &all));
    for (at = 0; at < THREADS; at++)
        if (pthread_create(&threads[at], NULL, is_refused, pacer) != 0)
            exit(1);
    for (at = 0; at < THREADS; at++)
        pthread_join(threads[at], NULL);
    CHECK_U64(all.most_inside, 1);
    CHECK_U64(all.retries, THREADS * REFUSALS);
    CHECK_U64(all.exhausted, THREADS * REFUSALS);
    CHECK_OK(tidegate_pacer_stats(pacer, &counters));
    CHECK_U64(counters.calls, THREADS * REFUSALS);
    CHECK_U64(counters.retries, THREADS * REFUSALS);
    CHECK_U64(counters.exhausted, THREADS * REFUSALS);
    tidegate_pacer_free(pacer);
}

static void stays_inside(const tidegate_pacer_event *event, void *context)
{
    crowd *all = (crowd *)context;
    (void)event;
    pthread_mutex_lock(&all->lock);
    all->arrived = true;
    pthread_cond_broadcast(&all->changed);
    while (!all->may_return)
        pthread_cond_wait(&all->changed, &all->lock);
    all->inside = 0;
    pthread_mutex_unlock(&all->lock);
}

static void *opens_the_breaker(void *context)
{
    answered((const tidegate_pacer *)context, 401, NULL, NULL);
    return NULL;
}

static void *lets_it_return(void *context)
{
    crowd *all = (crowd *)context;
    pthread_mutex_lock(&all->lock);
    all->may_return = true;
    pthread_cond_broadcast(&all->changed);
    pthread_mutex_unlock(&all->lock);
    return NULL;
}

/* Clearing waits for a call under way; meanwhile that call holds nobody else up. */
static void clearing_waits_for_the_listener(void)
{
    tidegate_clock *clock = clock_at(T0);
    tidegate_pacer *pacer = pacer_of("", clock, 10);
    pthread_t inside, opener;
    crowd all;
    memset(&all, 0, sizeof all);
    pthread_mutex_init(&all.lock, NULL);
    pthread_cond_init(&all.changed, NULL);
    all.inside = 1;
    CHECK_OK(tidegate_pacer_on_event(pacer, stays_inside, &all));
    if (pthread_create(&inside, NULL, opens_the_breaker, pacer) != 0)
        exit(1);
    pthread_mutex_lock(&all.lock);
    while (!all.arrived)
        pthread_cond_wait(&all.changed, &all.lock);
    pthread_mutex_unlock(&all.lock);
    CHECK_OK(tidegate_pacer_reset(pacer));
    answered(pacer, 200, NULL, NULL);
    if (pthread_create(&opener, NULL, lets_it_return, &all) != 0)
        exit(1);
    CHECK_OK(tidegate_pacer_on_event(pacer, NULL, NULL));
    CHECK_U64(all.inside, 0);
    pthread_join(inside, NULL);
    pthread_join(opener, NULL);
    pthread_cond_destroy(&all.changed);
    pthread_mutex_destroy(&all.lock);
    tidegate_pacer_free(pacer);
    tidegate_clock_free(clock);
}

static void counters_and_waits(void)
{
    tidegate_clock *clock = clock_at(T0);
    tidegate_pacer *pacer = pacer_of("1/second burst 1", clock, 1);
    tidegate_pacer_counters counters = TIDEGATE_PACER_COUNTERS_INIT;
    tidegate_wait_count one = TIDEGATE_WAIT_COUNT_INIT;
    tidegate_waits *waits = NULL;
    tidegate_call *call = begin(pacer, "", 0), *other = begin(pacer, "", 0);
    CHECK_U64(answer(pacer, call, 200, NULL, NULL), TIDEGATE_STEP_DONE);
    CHECK_U64(check(other), TIDEGATE_STEP_WAIT);
    CHECK_OK(tidegate_clock_advance(clock, SECOND));
    CHECK_OK(tidegate_pacer_stats(pacer, &counters));
    CHECK_U64(counters.waiting, 1);
    CHECK_U64(answer(pacer, other, 200, NULL, NULL), TIDEGATE_STEP_DONE);
    CHECK_OK(tidegate_pacer_waits(pacer, &waits));
    CHECK_U64(tidegate_waits_count(waits), 2);
    CHECK_OK(tidegate_waits_get(waits, 0, &one));
    CHECK_TEXT(one.name, "1/second burst 1");
    CHECK_U64(one.waits, 1);
    CHECK_OK(tidegate_waits_get(waits, 1, &one));
    CHECK_TEXT(one.name, "concurrency");
    CHECK_U64(one.waits, 1);
    BLAMES("index", tidegate_waits_get(waits, 2, &one));
    BLAMES("wait_count", tidegate_waits_get(waits, 0, NULL));
    one.struct_size = 4;
    BLAMES("wait_count", tidegate_waits_get(waits, 0, &one));
    BLAMES("waits", tidegate_waits_get(NULL, 0, &one));

    /* A program with an older header, and one with a newer. */
    memset(&counters, 0xee, sizeof counters);
    counters.struct_size = 24;
    CHECK_OK(tidegate_pacer_stats(pacer, &counters));
    CHECK_U64(counters.calls, 2);
    CHECK_U64(counters.attempts, 2);
    CHECK_U64(counters.retries, UINT64_C(0xeeeeeeeeeeeeeeee));
    {
        struct {
            tidegate_pacer_counters known;
            uint64_t newer;
        } larger;
        memset(&larger, 0xee, sizeof larger);
        larger.known.struct_size = sizeof larger;
        CHECK_OK(tidegate_pacer_stats(pacer, &larger.known));
        CHECK_U64(larger.known.struct_size, sizeof larger);
        CHECK_U64(larger.known.wait_ns, SECOND);
        CHECK_U64(larger.known.waiting, 0);
        CHECK_U64(larger.newer, UINT64_C(0xeeeeeeeeeeeeeeee));
    }
    counters.struct_size = 0;
    BLAMES("counters", tidegate_pacer_stats(pacer, &counters));
    BLAMES("counters", tidegate_pacer_stats(pacer, NULL));
    BLAMES("pacer", tidegate_pacer_stats(NULL, &counters));
    BLAMES("pacer", tidegate_pacer_waits(NULL, &waits));
    BLAMES("waits", tidegate_pacer_waits(pacer, NULL));
    CHECK_U64(tidegate_waits_count(NULL), 0);
    tidegate_waits_free(waits);
    tidegate_waits_free(NULL);
    tidegate_call_free(call);
    tidegate_call_free(other);
    tidegate_pacer_free(pacer);
    tidegate_clock_free(clock);
}

static void count_up(void *context)
{
    ++*(int *)context;
}

/* Three calls become ready at once; there is room for two of their numbers. */
static void ticks(void)
{
    tidegate_clock *clock = clock_at(T0);
    tidegate_pacer *pacer = pacer_of("3/second burst 3", clock, 10);
    tidegate_call *calls[4];
    uint64_t ready[2] = {77, 77}, next_ns = 77;
    size_t count = 77;
    int woken = 0, at;
    for (at = 0; at < 4; at++) {
        tidegate_call_options options = TIDEGATE_CALL_OPTIONS_INIT;
        options.cost = at == 0 ? 3 : 1;
        CHECK_OK(tidegate_pacer_begin(pacer, &options, NULL, NULL, &calls[at]));
        CHECK_U64(tidegate_call_number(calls[at]), at);
        CHECK_U64(check(calls[at]), at == 0 ? TIDEGATE_STEP_GO : TIDEGATE_STEP_WAIT);
    }
    CHECK_OK(tidegate_pacer_tick(pacer, ready, 2, &count, &next_ns));
    CHECK_U64(count, 0);
    CHECK_U64(next_ns, (SECOND + 2) / 3);
    CHECK_OK(tidegate_clock_advance(clock, SECOND));
    CHECK_OK(tidegate_pacer_tick(pacer, NULL, 0, &count, &next_ns));
    CHECK_U64(count, 0);
    CHECK_U64(next_ns, 0);
    CHECK_U64(ready[0], 77);
    CHECK_OK(tidegate_pacer_tick(pacer, ready, 2, &count, &next_ns));
    CHECK_U64(count, 2);
    CHECK_U64(ready[0], 1);
    CHECK_U64(ready[1], 2);
    CHECK_U64(next_ns, 0);
    CHECK_OK(tidegate_pacer_tick(pacer, ready, 2, &count, &next_ns));
    CHECK_U64(count, 1);
    CHECK_U64(ready[0], 3);
    CHECK_U64(next_ns, TIDEGATE_NEVER);
    for (at = 0; at < 4; at++) {
        CHECK_U64(check(calls[at]), TIDEGATE_STEP_GO);
        tidegate_call_free(calls[at]);
    }

    /* Who has one timer is woken by what that timer did not foresee. */
    CHECK_OK(tidegate_pacer_on_tick(pacer, count_up, &woken));
    calls[0] = begin(pacer, "", 0);
    CHECK_U64(check(calls[0]), TIDEGATE_STEP_WAIT);
    CHECK_OK(tidegate_pacer_tick(pacer, ready, 2, &count, &next_ns));
    CHECK_U64(next_ns, TIDEGATE_NEVER);
    woken = 0;
    CHECK_OK(tidegate_clock_advance(clock, SECOND));
    CHECK(woken > 0);
    CHECK_OK(tidegate_pacer_tick(pacer, ready, 2, &count, &next_ns));
    CHECK_U64(count, 1);
    CHECK_U64(ready[0], tidegate_call_number(calls[0]));
    tidegate_call_free(calls[0]);

    CHECK_U64(tidegate_call_number(NULL), TIDEGATE_NEVER);
    BLAMES("pacer", tidegate_pacer_tick(NULL, ready, 2, &count, &next_ns));
    BLAMES("ready", tidegate_pacer_tick(pacer, NULL, 2, &count, &next_ns));
    BLAMES("room", tidegate_pacer_tick(pacer, ready, SIZE_MAX / 4, &count, &next_ns));
    BLAMES("count", tidegate_pacer_tick(pacer, ready, 2, NULL, &next_ns));
    BLAMES("next_ns", tidegate_pacer_tick(pacer, ready, 2, &count, NULL));
    BLAMES("pacer", tidegate_pacer_on_tick(NULL, count_up, &woken));
    BLAMES("wake", tidegate_pacer_on_tick(pacer, NULL, NULL));
    tidegate_pacer_free(pacer);
    tidegate_clock_free(clock);
}

/* A `wake` that was replaced, or whose pacer is gone, is not called any more. */
static void wakes_come_and_go(void)
{
    tidegate_clock *clock = clock_at(T0);
    tidegate_pacer *pacer = pacer_of("", clock, 1);
    tidegate_call *first = begin(pacer, "", 0), *second = begin(pacer, "", 0), *third;
    int before = 0, after = 0;
    uint64_t ready, next_ns;
    size_t count;
    CHECK_OK(tidegate_pacer_on_tick(pacer, count_up, &before));
    CHECK_OK(tidegate_pacer_on_tick(pacer, count_up, &after));
    CHECK_OK(tidegate_pacer_tick(pacer, &ready, 1, &count, &next_ns));
    tidegate_call_free(first);
    CHECK_U64(before, 0);
    CHECK(after > 0);
    CHECK_OK(tidegate_pacer_tick(pacer, &ready, 1, &count, &next_ns));
    CHECK_U64(count, 1);
    CHECK_U64(ready, tidegate_call_number(second));
    third = begin(pacer, "", 0);
    CHECK_U64(check(third), TIDEGATE_STEP_WAIT);
    tidegate_pacer_free(pacer);
    after = 0;
    tidegate_call_free(second);
    CHECK_U64(check(third), TIDEGATE_STEP_GO);
    tidegate_call_free(third);
    CHECK_OK(tidegate_clock_advance(clock, SECOND));
    CHECK_U64(after, 0);
    tidegate_clock_free(clock);
}

int main(void)
{
    every_kind_of_event();
    a_pause_that_time_brings();
    listeners_come_and_go();
    a_listener_that_calls_back();
    events_of_many_threads();
    clearing_waits_for_the_listener();
    counters_and_waits();
    ticks();
    wakes_come_and_go();
    return result("told");
}
