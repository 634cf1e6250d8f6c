/* Four requests, of which three are admitted. A clock that is moved by hand makes the answers the
 * same at every run; leave the options out and the system's clock is used.
 *
 * Build:  cc hello.c -o hello $(pkg-config --cflags --libs tidegate)
 */

#include <stdio.h>
#include <string.h>
#include <tidegate.h>

int main(void)
{
    const char *policy = "3/minute";
    const char *user = "user:42";
    tidegate_options options = TIDEGATE_OPTIONS_INIT;
    tidegate_decision decision = TIDEGATE_DECISION_INIT;
    tidegate_clock *clock = NULL;
    tidegate_limiter *limiter = NULL;

    if (tidegate_clock_new_manual(UINT64_C(1700000000000000000), &clock) != TIDEGATE_OK)
        goto failed;
    options.clock = clock;
    if (tidegate_limiter_new_with(policy, strlen(policy), &options, &limiter) != TIDEGATE_OK)
        goto failed;

    for (int i = 1; i <= 4; i++) {
        if (tidegate_acquire(limiter, user, strlen(user), 1, &decision) != TIDEGATE_OK)
            goto failed;
        if (decision.allowed)
            printf("request %d: admitted, %d left\n", i, (int)decision.remaining);
        else
            printf("request %d: %s by %s, again in %.3f s\n", i,
                   tidegate_reason_name(decision.reason), decision.limit_name,
                   (double)decision.retry_after_ns / 1e9);
    }
    tidegate_limiter_free(limiter);
    tidegate_clock_free(clock);
    return 0;

failed:
    fprintf(stderr, "%s\n", tidegate_last_error());
    tidegate_limiter_free(limiter);
    tidegate_clock_free(clock);
    return 1;
}
