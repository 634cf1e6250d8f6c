/* What every test program needs: checks that say where and what, and a few shorthands. */

#ifndef TEST_H
#define TEST_H

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <tidegate.h>

#define SECOND UINT64_C(1000000000)
#define T0 (UINT64_C(1700000000) * SECOND)

static int failures;

#define CHECK(condition) \
    do { \
        if (!(condition)) { \
            fprintf(stderr, "%s:%d: not so: %s (last error: %s)\n", __FILE__, __LINE__, \
                    #condition, tidegate_last_error()); \
            failures++; \
        } \
    } while (0)

#define CHECK_OK(call) CHECK((call) == TIDEGATE_OK)

#define CHECK_U64(actual, expected) \
    do { \
        uint64_t actual_ = (actual), expected_ = (expected); \
        if (actual_ != expected_) { \
            fprintf(stderr, "%s:%d: %s is %" PRIu64 ", not %" PRIu64 "\n", __FILE__, __LINE__, \
                    #actual, actual_, expected_); \
            failures++; \
        } \
    } while (0)

#define CHECK_TEXT(actual, expected) \
    do { \
        const char *actual_ = (actual), *expected_ = (expected); \
        if (actual_ == NULL || strcmp(actual_, expected_) != 0) { \
            fprintf(stderr, "%s:%d: %s is \"%s\", not \"%s\"\n", __FILE__, __LINE__, #actual, \
                    actual_ == NULL ? "(NULL)" : actual_, expected_); \
            failures++; \
        } \
    } while (0)

/* A limiter that must be makable; the program ends when it is not. */
static inline tidegate_limiter *limiter_of(const char *policy, const tidegate_clock *clock)
{
    tidegate_limiter *limiter = NULL;
    tidegate_options options = TIDEGATE_OPTIONS_INIT;
    options.clock = clock;
    if (tidegate_limiter_new_with(policy, strlen(policy), &options, &limiter) != TIDEGATE_OK) {
        fprintf(stderr, "no limiter of \"%s\": %s\n", policy, tidegate_last_error());
        exit(1);
    }
    return limiter;
}

static inline tidegate_clock *clock_at(uint64_t now_ns)
{
    tidegate_clock *clock = NULL;
    if (tidegate_clock_new_manual(now_ns, &clock) != TIDEGATE_OK) {
        fprintf(stderr, "no clock: %s\n", tidegate_last_error());
        exit(1);
    }
    return clock;
}

/* The end of main. */
static inline int result(const char *program)
{
    if (failures != 0)
        fprintf(stderr, "%s: %d failures\n", program, failures);
    return failures != 0;
}

#endif
