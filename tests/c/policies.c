/* The shared policies: the bad ones are refused with their place, their field and a remedy; the
 * good ones give the limits that they say. Reads lines of to_lines.py. */

#include "lines.h"

static int cases;

static void bad_policy(line *l, const char *name)
{
    tidegate_limiter *limiter = NULL, *good = limiter_of("1/hour", NULL);
    bytes policy = as_bytes(expect_pair(l, "policy"));
    uint64_t at_line = as_number(expect_pair(l, "line"));
    uint64_t at_column = as_number(expect_pair(l, "column"));
    bytes field = as_bytes(expect_pair(l, "field"));
    bytes remedy = as_bytes(expect_pair(l, "remedy"));
    int before = failures;

    CHECK(tidegate_limiter_new(policy.data, policy.len, &limiter) == TIDEGATE_ERROR_POLICY);
    CHECK(limiter == NULL);
    CHECK_U64(tidegate_last_error_line(), at_line);
    CHECK_U64(tidegate_last_error_column(), at_column);
    CHECK_TEXT(tidegate_last_error_field(), field.data);
    CHECK(strstr(tidegate_last_error(), remedy.data) != NULL);
    CHECK(tidegate_update(good, policy.data, policy.len) == TIDEGATE_ERROR_POLICY);
    if (failures != before)
        fprintf(stderr, "  in the bad policy \"%s\"\n", name);
    tidegate_limiter_free(good);
    free(policy.data);
    free(field.data);
    free(remedy.data);
}

static void check_bucket(line *l, const tidegate_buckets *buckets)
{
    tidegate_bucket bucket = TIDEGATE_BUCKET_INIT;
    bytes limit_name, name, method;
    CHECK_OK(tidegate_buckets_get(buckets, (size_t)as_number(expect_pair(l, "bucket")), &bucket));
    limit_name = as_bytes(expect_pair(l, "limit_name"));
    name = as_bytes(expect_pair(l, "name"));
    method = as_bytes(expect_pair(l, "method"));
    CHECK_TEXT(bucket.limit_name, limit_name.data);
    CHECK_TEXT(bucket.name, name.data);
    CHECK_TEXT(tidegate_method_name(bucket.method), method.data);
    CHECK_U64(bucket.quota, as_number(expect_pair(l, "quota")));
    free(limit_name.data);
    free(name.data);
    free(method.data);
}

static void good_policy(line *l, const char *name)
{
    tidegate_limiter *limiter = NULL;
    tidegate_buckets *buckets = NULL;
    bytes policy = as_bytes(expect_pair(l, "policy"));
    uint64_t count = as_number(expect_pair(l, "buckets")), index;
    int before = failures;

    CHECK_OK(tidegate_limiter_new(policy.data, policy.len, &limiter));
    if (limiter != NULL) {
        CHECK_OK(tidegate_snapshot_at(limiter, "k", 1, T0, &buckets));
        CHECK_U64(tidegate_buckets_count(buckets), count);
        for (index = 0; index < count; index++)
            check_bucket(l, buckets);
        tidegate_buckets_free(buckets);
        tidegate_limiter_free(limiter);
    }
    if (failures != before)
        fprintf(stderr, "  in the good policy \"%s\"\n", name);
    free(policy.data);
}

int main(void)
{
    line l;
    while (read_line(stdin, &l)) {
        bytes name = as_bytes(expect_pair(&l, "name"));
        cases++;
        if (strcmp(l.token[0], "bad") == 0)
            bad_policy(&l, name.data);
        else
            good_policy(&l, name.data);
        free(name.data);
        free_line(&l);
    }
    CHECK(cases > 0);
    printf("policies: %d\n", cases);
    return result("policies");
}
