/* The C host: replays an event file through tidegate.h.
 *
 *     replay EVENTS POLICY OUT
 *
 * reads the event file (its lines are described in src/event.rs), and writes OUT/c.decisions and
 * OUT/c.json (described in src/outcome.rs). */

#define _DEFAULT_SOURCE

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <tidegate.h>

/* The same events are run through so many fresh limiters, for a steady time. */
enum { PASSES = 5 };

/* One line of the event file; kind is 'A', 'L' or 'S'. */
struct event {
    char kind;
    uint64_t at_ns;
    const char *key;
    size_t key_len;
    size_t id;
    uint64_t duration_ns;
};

/* All of a file's events: the last is the only snapshot. Keys point into text. */
struct events {
    char *text;
    struct event *list;
    size_t count;
    size_t requests;
};

static void fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("replay: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(1);
}

static void check(tidegate_status status) {
    if (status != TIDEGATE_OK)
        fail("%s: %s", tidegate_status_name(status), tidegate_last_error());
}

static void *memory(void *old, size_t count, size_t size) {
    if (size != 0 && count > SIZE_MAX / size)
        fail("%zu things are too many", count);
    void *grown = realloc(old, count * size > 0 ? count * size : 1);
    if (grown == NULL)
        fail("out of memory");
    return grown;
}

static FILE *open_or_fail(const char *path, const char *mode) {
    FILE *file = fopen(path, mode);
    if (file == NULL) {
        perror(path);
        exit(1);
    }
    return file;
}

static void close_or_fail(FILE *file, const char *path) {
    int failed = ferror(file);
    if (fclose(file) != 0 || failed)
        fail("%s: cannot be read or written", path);
}

static char *read_text(const char *path) {
    FILE *file = open_or_fail(path, "rb");
    char *text = NULL;
    size_t room = 0, length = 0, got;
    do {
        room = room * 2 + 65536;
        text = memory(text, room, 1);
        got = fread(text + length, 1, room - length - 1, file);
        length += got;
    } while (got > 0);
    close_or_fail(file, path);
    text[length] = '\0';
    return text;
}

/* ---- events ---- */

static uint64_t number(char **rest, const char *line) {
    char *field = strsep(rest, " "), *end;
    uint64_t value = field ? strtoull(field, &end, 10) : 0;
    if (field == NULL || *field == '\0' || *end != '\0')
        fail("not an event: a number is missing in the %c event", *line);
    return value;
}

static int hex(char digit) {
    const char *digits = "0123456789ABCDEF";
    const char *found = digit != '\0' ? strchr(digits, digit) : NULL;
    if (found == NULL)
        fail("not a key: %%XX expected");
    return (int)(found - digits);
}

/* Decodes a percent-encoded key in place; how long it is then. */
static size_t decode(char *key) {
    char *to = key;
    for (const char *from = key; *from != '\0'; from++) {
        if (*from == '%') {
            int high = hex(from[1]);
            *to++ = (char)(high * 16 + hex(from[2]));
            from += 2;
        } else {
            *to++ = *from;
        }
    }
    return (size_t)(to - key);
}

static struct event parse(char *line) {
    char *rest = line;
    const char *kind = strsep(&rest, " ");
    struct event event = {.kind = *kind};
    event.at_ns = number(&rest, line);
    char *key = strsep(&rest, " ");
    if (key == NULL || kind[1] != '\0' || strchr("ALS", *kind) == NULL)
        fail("not an event: %s", line);
    if (event.kind == 'L')
        event.duration_ns = number(&rest, line);
    if (event.kind != 'S')
        event.id = (size_t)number(&rest, line);
    event.key = key;
    event.key_len = decode(key);
    return event;
}

static struct events read_events(const char *path) {
    struct events events = {.text = read_text(path)};
    size_t room = 0;
    char *rest = events.text, *line;
    while ((line = strsep(&rest, "\n")) != NULL && *line != '\0') {
        if (events.count == room) {
            room = room * 2 + 1024;
            events.list = memory(events.list, room, sizeof *events.list);
        }
        struct event event = parse(line);
        events.list[events.count++] = event;
        events.requests += event.kind == 'A';
    }
    if (events.count == 0 || events.list[events.count - 1].kind != 'S')
        fail("%s: the last line is not a snapshot", path);
    for (size_t n = 0; n < events.count; n++)
        if (events.list[n].id >= events.requests && events.list[n].kind != 'S')
            fail("%s: request %zu never arrives", path, events.list[n].id);
    return events;
}

/* ---- replay ---- */

static double seconds_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Runs all events through a limiter; how many seconds that took. */
static double run(const tidegate_limiter *limiter, const struct events *events,
                  tidegate_decision *decisions) {
    double start = seconds_now();
    for (size_t n = 0; n < events->count; n++) {
        const struct event *event = &events->list[n];
        if (event->kind == 'A')
            check(tidegate_acquire_at(limiter, event->key, event->key_len, 1, event->at_ns,
                                      &decisions[event->id]));
        else if (event->kind == 'L' && decisions[event->id].allowed)
            check(tidegate_record_latency_at(limiter, event->key, event->key_len,
                                             event->duration_ns, event->at_ns));
    }
    return seconds_now() - start;
}

/* ---- results ---- */

static void write_decisions(const char *path, const tidegate_decision *decisions, size_t count) {
    FILE *out = open_or_fail(path, "wb");
    for (size_t id = 0; id < count; id++) {
        const tidegate_decision *d = &decisions[id];
        fprintf(out, "%zu %d %s %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %s\n", id,
                d->allowed, tidegate_reason_name(d->reason), d->limit, d->remaining,
                d->retry_after_ns, d->reset_after_ns, d->limit_name);
    }
    close_or_fail(out, path);
}

static void write_string(FILE *out, const char *text) {
    fputc('"', out);
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\')
            fprintf(out, "\\%c", *text);
        else if ((unsigned char)*text < 0x20)
            fprintf(out, "\\u%04x", (unsigned)*text);
        else
            fputc(*text, out);
    }
    fputc('"', out);
}

static void write_bucket(FILE *out, const tidegate_bucket *bucket) {
    fputs("{\"limit\": ", out);
    write_string(out, bucket->limit_name);
    fputs(", \"name\": ", out);
    write_string(out, bucket->name);
    fprintf(out,
            ", \"method\": \"%s\", \"quota\": %" PRIu64 ", \"capacity\": %" PRIu64
            ", \"used\": %" PRIu64 ", \"remaining\": %" PRIu64 ", \"refresh_after_ns\": %" PRIu64
            "}",
            tidegate_method_name(bucket->method), bucket->quota, bucket->capacity, bucket->used,
            bucket->remaining, bucket->refresh_after_ns);
}

static void write_summary(const char *path, const tidegate_decision *decisions, size_t count,
                          double seconds, const tidegate_buckets *buckets) {
    size_t admitted = 0;
    for (size_t id = 0; id < count; id++)
        admitted += decisions[id].allowed;
    FILE *out = open_or_fail(path, "wb");
    fprintf(out, "{\"decisions\": %zu, \"admitted\": %zu, \"seconds\": %.9f, \"buckets\": [",
            count, admitted, seconds);
    for (size_t n = 0; n < tidegate_buckets_count(buckets); n++) {
        tidegate_bucket bucket = TIDEGATE_BUCKET_INIT;
        check(tidegate_buckets_get(buckets, n, &bucket));
        fputs(n > 0 ? ",\n  " : "\n  ", out);
        write_bucket(out, &bucket);
    }
    fputs("]}\n", out);
    close_or_fail(out, path);
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static char *join(const char *folder, const char *name) {
    size_t length = strlen(folder) + strlen(name) + 2;
    char *path = memory(NULL, length, 1);
    snprintf(path, length, "%s/%s", folder, name);
    return path;
}

int main(int argc, char **argv) {
    if (argc != 4)
        fail("usage: replay EVENTS POLICY OUT");
    struct events events = read_events(argv[1]);
    tidegate_decision *decisions = memory(NULL, events.requests, sizeof *decisions);
    for (size_t id = 0; id < events.requests; id++)
        decisions[id] = (tidegate_decision)TIDEGATE_DECISION_INIT;
    tidegate_limiter *limiter = NULL;
    double seconds[PASSES];
    for (int pass = 0; pass < PASSES; pass++) {
        tidegate_limiter_free(limiter);
        check(tidegate_limiter_new_from_file(argv[2], NULL, &limiter));
        seconds[pass] = run(limiter, &events, decisions);
    }
    qsort(seconds, PASSES, sizeof *seconds, by_size);

    const struct event *last = &events.list[events.count - 1];
    tidegate_buckets *buckets = NULL;
    check(tidegate_snapshot_at(limiter, last->key, last->key_len, last->at_ns, &buckets));
    char *path = join(argv[3], "c.decisions");
    write_decisions(path, decisions, events.requests);
    free(path);
    path = join(argv[3], "c.json");
    write_summary(path, decisions, events.requests, seconds[PASSES / 2], buckets);
    free(path);

    tidegate_buckets_free(buckets);
    tidegate_limiter_free(limiter);
    free(decisions);
    free(events.list);
    free(events.text);
    return 0;
}
