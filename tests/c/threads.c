/* Many threads on one limiter: never more than the quota, no count lost, errors kept apart, and
 * waiters admitted by a clock that another thread moves. */

#include <pthread.h>
#include <sched.h>

#include "test.h"

#define THREADS 8
#define TRIES 2000

static tidegate_limiter *limiter;

typedef struct {
    unsigned number;
    uint64_t admitted;
    uint64_t failed;
} worker;

static void *compete(void *argument)
{
    worker *w = (worker *)argument;
    tidegate_decision decision = TIDEGATE_DECISION_INIT;
    char own[16];
    int i, len = snprintf(own, sizeof own, "own %u", w->number);
    for (i = 0; i < TRIES; i++) {
        if (tidegate_acquire(limiter, "shared", 6, 1, &decision) != TIDEGATE_OK)
            w->failed++;
        w->admitted += decision.allowed;
        if (tidegate_try_acquire(limiter, own, (size_t)len, 1) != (i < 1000))
            w->failed++;
    }
    return NULL;
}

static void shared_and_own_keys(void)
{
    tidegate_clock *clock = clock_at(T0);
    pthread_t threads[THREADS];
    worker workers[THREADS];
    tidegate_counters counters = TIDEGATE_COUNTERS_INIT;
    uint64_t admitted = 0;
    unsigned i;
    limiter = limiter_of("1000/hour", clock);
    for (i = 0; i < THREADS; i++) {
        memset(&workers[i], 0, sizeof workers[i]);
        workers[i].number = i;
        CHECK(pthread_create(&threads[i], NULL, compete, &workers[i]) == 0);
    }
    for (i = 0; i < THREADS; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
        CHECK_U64(workers[i].failed, 0);
        admitted += workers[i].admitted;
    }
    CHECK_U64(admitted, 1000);
    CHECK_OK(tidegate_stats(limiter, &counters));
    CHECK_U64(counters.keys, THREADS + 1);
    CHECK_U64(counters.allowed, 1000 * (THREADS + 1));
    CHECK_U64(counters.limited, (uint64_t)THREADS * TRIES * 2 - 1000 * (THREADS + 1));
    tidegate_limiter_free(limiter);
    tidegate_clock_free(clock);
}

static void *fail(void *argument)
{
    worker *w = (worker *)argument;
    int i;
    w->failed += strcmp(tidegate_last_error(), "") != 0;
    for (i = 0; i < 1000; i++) {
        const char *policy = w->number % 2 == 0 ? "0/minute" : "1/fortnight";
        const char *field = w->number % 2 == 0 ? "rate.quota" : "rate.period";
        tidegate_limiter *none = NULL;
        if (tidegate_limiter_new(policy, strlen(policy), &none) != TIDEGATE_ERROR_POLICY
            || strcmp(tidegate_last_error_field(), field) != 0)
            w->failed++;
    }
    return NULL;
}

static void errors_of_each_thread(void)
{
    pthread_t threads[THREADS];
    worker workers[THREADS];
    unsigned i;
    for (i = 0; i < THREADS; i++) {
        memset(&workers[i], 0, sizeof workers[i]);
        workers[i].number = i;
        CHECK(pthread_create(&threads[i], NULL, fail, &workers[i]) == 0);
    }
    for (i = 0; i < THREADS; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
        CHECK_U64(workers[i].failed, 0);
    }
}

static void *wait_for_one(void *argument)
{
    worker *w = (worker *)argument;
    tidegate_decision decision = TIDEGATE_DECISION_INIT;
    if (tidegate_wait(limiter, "queue", 5, 1, TIDEGATE_NEVER, &decision) != TIDEGATE_OK)
        w->failed++;
    w->admitted = decision.allowed;
    return NULL;
}

static void waiters(void)
{
    tidegate_clock *clock = clock_at(T0);
    pthread_t threads[THREADS];
    worker workers[THREADS];
    tidegate_counters counters = TIDEGATE_COUNTERS_INIT;
    unsigned i;
    limiter = limiter_of("1/second", clock);
    CHECK(tidegate_try_acquire(limiter, "queue", 5, 1));
    for (i = 0; i < THREADS; i++) {
        memset(&workers[i], 0, sizeof workers[i]);
        CHECK(pthread_create(&threads[i], NULL, wait_for_one, &workers[i]) == 0);
    }
    /* The clock runs until all are served, however late the threads begin to wait. */
    do {
        CHECK_OK(tidegate_clock_advance(clock, SECOND));
        CHECK_OK(tidegate_stats(limiter, &counters));
    } while (counters.allowed < THREADS + 1);
    for (i = 0; i < THREADS; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
        CHECK_U64(workers[i].failed, 0);
        CHECK_U64(workers[i].admitted, 1);
    }
    tidegate_limiter_free(limiter);
    tidegate_clock_free(clock);
}

/* A `wake` that takes its time on another thread; the context is gone when the ticket is. */
typedef struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int begun;
    int ended;
} slow_wake;

static void wake_slowly(void *context)
{
    slow_wake *slow = (slow_wake *)context;
    int i;
    pthread_mutex_lock(&slow->lock);
    slow->begun = 1;
    pthread_cond_signal(&slow->changed);
    pthread_mutex_unlock(&slow->lock);
    for (i = 0; i < 10000; i++)
        sched_yield();
    slow->ended = 1; /* read without the lock: freeing the ticket came after */
}

static void *advance(void *argument)
{
    CHECK_OK(tidegate_clock_advance((tidegate_clock *)argument, SECOND));
    return NULL;
}

static void freeing_waits_for_a_wake_under_way(void)
{
    tidegate_clock *clock = clock_at(T0);
    tidegate_decision decision = TIDEGATE_DECISION_INIT;
    tidegate_ticket *ticket = NULL;
    pthread_t mover;
    uint64_t after = 0;
    slow_wake slow;
    memset(&slow, 0, sizeof slow);
    CHECK(pthread_mutex_init(&slow.lock, NULL) == 0);
    CHECK(pthread_cond_init(&slow.changed, NULL) == 0);
    limiter = limiter_of("1/hour", clock);
    CHECK(tidegate_try_acquire(limiter, "a", 1, 1));
    CHECK_OK(tidegate_queue(limiter, "a", 1, 1, TIDEGATE_NEVER, wake_slowly, &slow, &ticket));
    CHECK_OK(tidegate_ticket_poll(ticket, &after, &decision));
    CHECK(pthread_create(&mover, NULL, advance, clock) == 0);
    pthread_mutex_lock(&slow.lock);
    while (!slow.begun)
        pthread_cond_wait(&slow.changed, &slow.lock);
    pthread_mutex_unlock(&slow.lock); /* never freed while holding what `wake` takes */
    tidegate_ticket_free(ticket);
    CHECK(slow.ended);
    CHECK(pthread_join(mover, NULL) == 0);
    pthread_cond_destroy(&slow.changed);
    pthread_mutex_destroy(&slow.lock);
    tidegate_limiter_free(limiter);
    tidegate_clock_free(clock);
}

/* Each thread crosses the threshold of a key of its own, again and again; meanwhile listeners come and go, and
 * the context of the one that went is freed at once. */
typedef struct {
    uint64_t calls; /* atomic */
} heard;

static int go_on; /* atomic */

static void hear(const tidegate_alert *alert, void *context)
{
    (void)alert;
    __atomic_fetch_add(&((heard *)context)->calls, 1, __ATOMIC_RELAXED);
}

static void *cross(void *argument)
{
    worker *w = (worker *)argument;
    char own[16];
    int len = snprintf(own, sizeof own, "own %u", w->number);
    while (__atomic_load_n(&go_on, __ATOMIC_RELAXED)) {
        if (!tidegate_try_acquire(limiter, own, (size_t)len, 2)
            || tidegate_reset(limiter, own, (size_t)len) != TIDEGATE_OK)
            w->failed++;
    }
    return NULL;
}

static void listeners_come_and_go(void)
{
    tidegate_clock *clock = clock_at(T0);
    pthread_t threads[THREADS];
    worker workers[THREADS];
    unsigned i, rounds;
    heard *current = NULL;
    limiter = limiter_of("{\"limit\": [{\"rate\": \"2/hour\", \"alerts\": [0.5]}]}", clock);
    __atomic_store_n(&go_on, 1, __ATOMIC_RELAXED);
    for (i = 0; i < THREADS; i++) {
        memset(&workers[i], 0, sizeof workers[i]);
        workers[i].number = i;
        CHECK(pthread_create(&threads[i], NULL, cross, &workers[i]) == 0);
    }
    for (rounds = 0; rounds < 50; rounds++) {
        heard *next = (heard *)calloc(1, sizeof *next);
        CHECK_OK(tidegate_on_alert(limiter, hear, next));
        free(current);
        current = next;
        while (__atomic_load_n(&current->calls, __ATOMIC_RELAXED) < THREADS)
            sched_yield();
    }
    CHECK_OK(tidegate_on_alert(limiter, NULL, NULL));
    free(current);
    __atomic_store_n(&go_on, 0, __ATOMIC_RELAXED);
    for (i = 0; i < THREADS; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
        CHECK_U64(workers[i].failed, 0);
    }
    tidegate_limiter_free(limiter);
    tidegate_clock_free(clock);
}

int main(void)
{
    shared_and_own_keys();
    errors_of_each_thread();
    waiters();
    freeing_waits_for_a_wake_under_way();
    listeners_come_and_go();
    return result("threads");
}
