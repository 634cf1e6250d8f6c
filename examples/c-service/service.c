/* A data API in C, on libmicrohttpd, that limits each application's requests and their time.
 *
 *     service [--port PORT] [--policy FILE] [--sandbox-policy FILE] [--body error|message|problem]
 *             [--on-error deny|allow]
 *
 * Who asks is told by the header X-Application ("acme", or "sandbox:acme" for its sandbox). Each application, and each
 * sandbox, has its own buckets; sandboxes have a policy of their own. Requests without the header are counted by their
 * address, and answered with 400. Both files are followed: a changed one is in
 * force at once, use so far is kept, a broken one is refused and reported. A request that the engine cannot decide about
 * is answered with 503, or served without a limit (`--on-error allow`); both are counted and reported.
 *
 *     GET /limits        what is left in every bucket of the application; costs nothing
 *     anything else      the data: takes as many milliseconds as `?ms=` says
 *
 * Every response about which there is a decision has its headers.
 *
 * The shape is that of any server: tidegate_measure_begin before the work, tidegate_measure_end when the response has
 * *ended*, which libmicrohttpd tells of every request, also of those whose client went away. Build: see service.mk.
 */

#define _POSIX_C_SOURCE 200809L

#include <arpa/inet.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tidegate.h>
#include <time.h>

#if MHD_VERSION >= 0x00097002
typedef enum MHD_Result answer;
#else
typedef int answer;
#endif

enum { MAX_WORK_MS = 10000, TEXT = 1024 };
#define OF_ADDRESS "address:"

/* Two limiters in one process: applications and their sandboxes have nothing in common. */
struct service {
    tidegate_limiter *applications;
    tidegate_limiter *sandboxes;
    int32_t body_style;
    int allows_on_error;
    /* Requests that the engine could not decide about. */
    atomic_ulong failures;
};

/* One request, from its first header to the end of its response. */
struct request {
    const tidegate_limiter *limiter;
    const char *application;
    /* The application of who does not say who it is. */
    char address[sizeof OF_ADDRESS + INET_ADDRSTRLEN];
    tidegate_decision decision;
    /* NULL: it was denied, or is not limited. */
    tidegate_measure *measure;
};

static void report(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, tidegate_last_error());
}

/* --- responses --------------------------------------------------------------------------- */

static struct MHD_Response *text_response(const char *text)
{
    return MHD_create_response_from_buffer(strlen(text), (void *)text, MHD_RESPMEM_MUST_COPY);
}

/* Adds the lines that tidegate_decision_headers wrote, "Name: value\r\n" each. Of no decision there are none. */
static void add_headers(struct MHD_Response *response, const tidegate_decision *decision)
{
    char headers[TEXT];
    size_t needed = 0;
    if (tidegate_decision_headers(decision, TIDEGATE_HEADERS_BOTH, headers, sizeof headers,
                                  &needed) != TIDEGATE_OK)
        return;
    char *next = headers;
    for (char *end; (end = strstr(next, "\r\n")) != NULL; next = end + 2) {
        char *colon = strstr(next, ": ");
        *end = '\0';
        *colon = '\0';
        MHD_add_response_header(response, next, colon + 2);
    }
}

static answer respond(struct MHD_Connection *connection, unsigned status, struct MHD_Response *response,
                   const char *type)
{
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    answer sent = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return sent;
}

static answer send_denial(struct MHD_Connection *connection, const struct service *service,
                          const tidegate_decision *decision)
{
    char body[TEXT];
    size_t needed;
    if (tidegate_decision_body(decision, service->body_style, body, sizeof body, &needed) !=
        TIDEGATE_OK)
        body[0] = '\0';
    struct MHD_Response *response = text_response(body);
    add_headers(response, decision);
    if (tidegate_decision_closes(decision))
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
    return respond(connection, tidegate_decision_status(decision), response,
                tidegate_body_content_type(service->body_style));
}

/* --- what is left ------------------------------------------------------------------------ */

/* One bucket as JSON. Names of limits come from our own policy files. */
static int bucket_json(char *text, size_t room, const tidegate_bucket *bucket)
{
    return snprintf(text, room,
                    "{\"limit\":\"%s\",\"bucket\":\"%s\",\"method\":\"%s\",\"quota\":%llu,"
                    "\"used\":%llu,\"remaining\":%llu,\"refresh_after_ns\":%llu}",
                    bucket->limit_name, bucket->name, tidegate_method_name(bucket->method),
                    (unsigned long long)bucket->quota, (unsigned long long)bucket->used,
                    (unsigned long long)bucket->remaining,
                    (unsigned long long)bucket->refresh_after_ns);
}

/* What the next request would be told; Retry-After is for denials alone, and this is none. */
static void add_standing(struct MHD_Response *response, struct request *request)
{
    if (tidegate_peek(request->limiter, request->application, strlen(request->application), 0,
                      &request->decision) != TIDEGATE_OK)
        report("peek");
    add_headers(response, &request->decision);
    MHD_del_response_header(response, MHD_HTTP_HEADER_RETRY_AFTER,
                            MHD_get_response_header(response, MHD_HTTP_HEADER_RETRY_AFTER));
}

static answer send_limits(struct MHD_Connection *connection, struct request *request)
{
    tidegate_buckets *buckets = NULL;
    char text[8 * TEXT] = "[";
    size_t length = 1;
    if (tidegate_snapshot(request->limiter, request->application, strlen(request->application),
                          &buckets) != TIDEGATE_OK)
        report("snapshot");
    for (size_t index = 0; index < tidegate_buckets_count(buckets); index++) {
        tidegate_bucket bucket = TIDEGATE_BUCKET_INIT;
        char one[TEXT];
        if (tidegate_buckets_get(buckets, index, &bucket) != TIDEGATE_OK)
            continue;
        int written = bucket_json(one, sizeof one, &bucket);
        if (written < 0 || (size_t)written >= sizeof one ||
            length + (size_t)written + 3 > sizeof text)
            break;
        if (length > 1)
            text[length++] = ',';
        memcpy(text + length, one, (size_t)written + 1);
        length += (size_t)written;
    }
    tidegate_buckets_free(buckets);
    memcpy(text + length, "]", 2);
    struct MHD_Response *response = text_response(text);
    add_standing(response, request);
    return respond(connection, MHD_HTTP_OK, response, "application/json");
}

/* So that builders see a limit coming. */
static void log_what_is_left(const struct request *request)
{
    const tidegate_decision *decision = &request->decision;
    fprintf(stderr, "application=%s allowed=%d limit=%s remaining=%llu retry_after_ms=%llu\n",
            request->application, decision->allowed, decision->limit_name,
            (unsigned long long)decision->remaining,
            (unsigned long long)(decision->retry_after_ns / 1000000));
}

/* --- requests ---------------------------------------------------------------------------- */

/* What a real service does here. */
static void work(struct MHD_Connection *connection)
{
    const char *given = MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, "ms");
    long milliseconds = given == NULL ? 0 : strtol(given, NULL, 10);
    if (milliseconds <= 0)
        return;
    if (milliseconds > MAX_WORK_MS)
        milliseconds = MAX_WORK_MS;
    struct timespec span = {milliseconds / 1000, milliseconds % 1000 * 1000000};
    nanosleep(&span, NULL);
}

static void write_address(struct MHD_Connection *connection, char *text)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    memcpy(text, OF_ADDRESS, sizeof OF_ADDRESS);
    if (info != NULL && info->client_addr != NULL && info->client_addr->sa_family == AF_INET)
        inet_ntop(AF_INET, &((const struct sockaddr_in *)info->client_addr)->sin_addr,
                  text + strlen(OF_ADDRESS), INET_ADDRSTRLEN);
}

static struct request *new_request(struct MHD_Connection *connection, const struct service *service)
{
    struct request *request = calloc(1, sizeof *request);
    if (request == NULL)
        return NULL;
    const tidegate_decision blank = TIDEGATE_DECISION_INIT;
    request->decision = blank;
    request->application =
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "X-Application");
    if (request->application == NULL) {
        write_address(connection, request->address);
        request->application = request->address;
    }
    int is_sandbox = strncmp(request->application, "sandbox:", 8) == 0;
    request->limiter = is_sandbox ? service->sandboxes : service->applications;
    return request;
}

/* libmicrohttpd calls this when the headers are there, again for each part of a body, and at its end. */
static answer handle(void *context, struct MHD_Connection *connection, const char *url,
                     const char *method, const char *version, const char *body, size_t *body_len,
                     void **state)
{
    struct service *service = context;
    (void)version;
    (void)body;
    (void)method;
    struct request *request = *state;
    if (request == NULL) {
        *state = request = new_request(connection, service);
        return request == NULL ? MHD_NO : MHD_YES;
    }
    if (*body_len > 0) {
        *body_len = 0;
        return MHD_YES;
    }
    int is_known = request->application != request->address;
    if (is_known && strcmp(url, "/limits") == 0)
        return send_limits(connection, request);
    if (tidegate_measure_begin(request->limiter, request->application,
                               strlen(request->application), 1, &request->decision,
                               &request->measure) != TIDEGATE_OK) {
        fprintf(stderr, "failures=%lu %s\n", atomic_fetch_add(&service->failures, 1) + 1,
                tidegate_last_error());
        if (!service->allows_on_error)
            return respond(connection, MHD_HTTP_SERVICE_UNAVAILABLE, text_response("\n"),
                           "text/plain");
    } else {
        log_what_is_left(request);
        if (!request->decision.allowed)
            return send_denial(connection, service, &request->decision);
    }
    if (is_known)
        work(connection);
    struct MHD_Response *response =
        text_response(is_known ? "{\"data\":[]}\n" : "say who you are: X-Application\n");
    add_headers(response, &request->decision);
    return respond(connection, is_known ? MHD_HTTP_OK : MHD_HTTP_BAD_REQUEST, response,
                   is_known ? "application/json" : "text/plain");
}

/* The response has ended, or its client has gone. */
static void complete(void *context, struct MHD_Connection *connection, void **state,
                     enum MHD_RequestTerminationCode how)
{
    (void)context;
    (void)connection;
    (void)how;
    struct request *request = *state;
    if (request == NULL)
        return;
    if (request->measure != NULL && tidegate_measure_end(request->measure) != TIDEGATE_OK)
        report("record_latency");
    free(request);
    *state = NULL;
}

/* --- the program ------------------------------------------------------------------------- */

static void reloaded(tidegate_status status, void *context)
{
    const char *path = context;
    if (status == TIDEGATE_OK)
        fprintf(stderr, "%s: in force\n", path);
    else
        report(path);
}

static tidegate_limiter *follow(const char *path, tidegate_watcher **watcher)
{
    tidegate_limiter *limiter = NULL;
    if (tidegate_limiter_new_from_file(path, NULL, &limiter) != TIDEGATE_OK ||
        tidegate_watch(limiter, path, reloaded, (void *)path, watcher) != TIDEGATE_OK) {
        report(path);
        exit(1);
    }
    return limiter;
}

static const char *option(int argc, char **argv, const char *name, const char *otherwise)
{
    for (int at = 1; at + 1 < argc; at += 2)
        if (strcmp(argv[at], name) == 0)
            return argv[at + 1];
    return otherwise;
}

int main(int argc, char **argv)
{
    struct service service = {0};
    const char *on_error = option(argc, argv, "--on-error", "deny");
    tidegate_watcher *watchers[2] = {NULL, NULL};
    long port = strtol(option(argc, argv, "--port", "8080"), NULL, 10);
    service.allows_on_error = strcmp(on_error, "allow") == 0;
    if (port < 0 || port > 65535 || (!service.allows_on_error && strcmp(on_error, "deny") != 0) ||
        tidegate_body_style(option(argc, argv, "--body", "error"), &service.body_style) !=
            TIDEGATE_OK) {
        fputs("usage: service [--port PORT] [--policy FILE] [--sandbox-policy FILE] "
              "[--body error|message|problem] [--on-error deny|allow]\n", stderr);
        return 2;
    }

    /* Before any thread is there: all inherit the mask, and the signals come to sigwait alone. */
    sigset_t ends;
    int signal_number;
    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &ends, NULL);

    service.applications =
        follow(option(argc, argv, "--policy", "examples/policies/data-api.toml"), &watchers[0]);
    service.sandboxes = follow(
        option(argc, argv, "--sandbox-policy", "examples/policies/data-api-sandbox.toml"),
        &watchers[1]);
    struct MHD_Daemon *server = MHD_start_daemon(
        MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_POLL,
        (uint16_t)port, NULL, NULL, handle, &service, MHD_OPTION_NOTIFY_COMPLETED, complete, NULL,
        MHD_OPTION_CONNECTION_LIMIT, 2000u, MHD_OPTION_END);
    const union MHD_DaemonInfo *info =
        server == NULL ? NULL : MHD_get_daemon_info(server, MHD_DAEMON_INFO_BIND_PORT);
    if (info == NULL) {
        fprintf(stderr, "cannot listen on port %ld\n", port);
        return 1;
    }
    printf("listening on port %u\n", (unsigned)info->port);
    fflush(stdout);

    sigwait(&ends, &signal_number);
    MHD_stop_daemon(server);
    for (int at = 0; at < 2; at++)
        tidegate_watcher_free(watchers[at]);
    tidegate_limiter_free(service.applications);
    tidegate_limiter_free(service.sandboxes);
    return 0;
}
