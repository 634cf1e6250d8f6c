/* `bench WHAT CALLS`: makes one kind of call so many times through libtidegate and prints ns per call. The
 * program `call` of this folder's crate makes the same calls on the crate itself; `table --c` lets the two
 * take turns.
 */

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tidegate.h>
#include <time.h>

/* The same as in src/subject.rs and src/keys.rs. */
static const char *const ENDLESS = "1000000000/second";
static const char *const SPENT = "1/day";
static const char *const DATA_API =
    "timezone = \"Europe/Amsterdam\"\n"
    "[[limit]]\n"
    "name      = \"requests\"\n"
    "method    = \"count\"\n"
    "algorithm = \"fixed_window\"\n"
    "cascade   = [\"1000000000/minute\", \"26000000000/hour\", \"11500000000/day\"]\n"
    "[[limit]]\n"
    "name      = \"time\"\n"
    "method    = \"latency\"\n"
    "algorithm = \"fixed_window\"\n"
    "cascade   = [\"30s/minute\", \"390s/hour\", \"172.5s/day\"]\n";
static const char KEY[] = "user:123456";
#define KEY_LEN (sizeof KEY - 1)
#define CHARGE_NS 20

static void fail(const char *problem)
{
    fprintf(stderr, "%s\n", problem);
    exit(1);
}

static tidegate_limiter *limiter_of(const char *policy)
{
    tidegate_options options = TIDEGATE_OPTIONS_INIT;
    tidegate_limiter *limiter = NULL;
    options.max_keys = 1000;
    if (tidegate_limiter_new_with(policy, strlen(policy), &options, &limiter) != TIDEGATE_OK)
        fail(tidegate_last_error());
    return limiter;
}

static uint64_t nanos(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Each makes the calls and returns how many did what they should. */

static uint64_t try_acquire(const tidegate_limiter *limiter, uint64_t calls)
{
    uint64_t good = 0;
    for (uint64_t i = 0; i < calls; i++)
        good += tidegate_try_acquire(limiter, KEY, KEY_LEN, 1);
    return good;
}

static uint64_t acquire(const tidegate_limiter *limiter, uint64_t calls)
{
    uint64_t good = 0;
    tidegate_decision decision = TIDEGATE_DECISION_INIT;
    for (uint64_t i = 0; i < calls; i++)
        good += tidegate_acquire(limiter, KEY, KEY_LEN, 1, &decision) == TIDEGATE_OK &&
                decision.reason == TIDEGATE_REASON_OK;
    return good;
}

static uint64_t denial(const tidegate_limiter *limiter, uint64_t calls)
{
    uint64_t good = 0;
    tidegate_decision decision = TIDEGATE_DECISION_INIT;
    for (uint64_t i = 0; i < calls; i++)
        good += tidegate_acquire(limiter, KEY, KEY_LEN, 1, &decision) == TIDEGATE_OK &&
                decision.reason == TIDEGATE_REASON_LIMITED;
    return good;
}

static uint64_t record_latency(const tidegate_limiter *limiter, uint64_t calls)
{
    uint64_t good = 0;
    for (uint64_t i = 0; i < calls; i++)
        good += tidegate_record_latency(limiter, KEY, KEY_LEN, CHARGE_NS) == TIDEGATE_OK;
    return good;
}

/* Nanoseconds in use over the key's latency buckets. */
static uint64_t latency_used(const tidegate_limiter *limiter)
{
    uint64_t used = 0;
    tidegate_buckets *buckets = NULL;
    if (tidegate_snapshot(limiter, KEY, KEY_LEN, &buckets) != TIDEGATE_OK)
        fail(tidegate_last_error());
    for (size_t i = 0; i < tidegate_buckets_count(buckets); i++) {
        tidegate_bucket bucket = TIDEGATE_BUCKET_INIT;
        if (tidegate_buckets_get(buckets, i, &bucket) != TIDEGATE_OK)
            fail(tidegate_last_error());
        if (bucket.method == TIDEGATE_METHOD_LATENCY)
            used += bucket.used;
    }
    tidegate_buckets_free(buckets);
    return used;
}

/* Was everything counted? What a minute counted that has ended is gone. */
static void check(const tidegate_limiter *limiter, const char *what, uint64_t calls, uint64_t minute)
{
    if (strcmp(what, "record_latency") == 0) {
        uint64_t used = latency_used(limiter), charged = calls * CHARGE_NS, now = 0;
        tidegate_limiter_now(limiter, &now);
        if (used > charged || (used < charged && now / 60000000000u == minute))
            fail("the charges were not counted");
    } else {
        tidegate_counters counters = TIDEGATE_COUNTERS_INIT;
        tidegate_stats(limiter, &counters);
        if ((strcmp(what, "denial") == 0 ? counters.limited : counters.allowed) != calls)
            fail("the decisions were not counted");
    }
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* ns per call: the median over slices so short that most are not interrupted. */
static double median_of_slices(uint64_t (*run)(const tidegate_limiter *, uint64_t),
                               const tidegate_limiter *limiter, uint64_t calls)
{
    enum { SLICE = 5000 };
    size_t count = 0;
    double *costs = calloc(calls / SLICE + 1, sizeof *costs), median;
    if (costs == NULL)
        fail("no memory");
    for (uint64_t left = calls, some; left > 0; left -= some) {
        some = left < SLICE ? left : SLICE;
        uint64_t start = nanos();
        if (run(limiter, some) != some)
            fail("a call did not do what it should");
        costs[count++] = (double)(nanos() - start) / (double)some;
    }
    qsort(costs, count, sizeof *costs, ascending);
    median = costs[(count - 1) / 2];
    free(costs);
    return median;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *what;
        const char *const *policy;
        uint64_t (*run)(const tidegate_limiter *, uint64_t);
    } kinds[] = {
        {"try_acquire", &ENDLESS, try_acquire},
        {"acquire", &ENDLESS, acquire},
        {"denial", &SPENT, denial},
        {"record_latency", &DATA_API, record_latency},
    };
    uint64_t calls = argc == 3 ? strtoull(argv[2], NULL, 10) : 0;

    for (size_t i = 0; calls > 0 && i < sizeof kinds / sizeof *kinds; i++) {
        if (strcmp(argv[1], kinds[i].what) != 0)
            continue;
        tidegate_limiter *limiter = limiter_of(*kinds[i].policy);
        uint64_t minute = 0;
        if (kinds[i].policy == &SPENT && !tidegate_try_acquire(limiter, KEY, KEY_LEN, 1))
            fail("the first request is free");
        tidegate_limiter_now(limiter, &minute);
        minute /= 60000000000u;
        double cost = median_of_slices(kinds[i].run, limiter, calls);
        check(limiter, kinds[i].what, calls, minute);
        printf("%.3f\n", cost);
        tidegate_limiter_free(limiter);
        return 0;
    }
    fprintf(stderr, "usage: bench try_acquire|acquire|denial|record_latency CALLS\n");
    return 2;
}
