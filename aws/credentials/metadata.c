#include "aws/credentials/metadata.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/json_text.h"
#include "base/secret_file.h"
#include "http/wiping_allocator.h"

#define CONTAINER_HOST "http://169.254.170.2"
#define CONTAINER_TIMEOUT 2000L /* milliseconds, as botocore has it */
#define ATTEMPTS 3
#define PAUSE 500              /* milliseconds between them */
#define CONTAINER_URL_MAX 2047 /* bytes */
#define TOKEN_FILE_MAX 16384   /* bytes */
#define INSTANCE_V4 "http://169.254.169.254"
#define INSTANCE_V6 "http://[fd00:ec2::254]"
#define INSTANCE_TIMEOUT 1 /* seconds */
#define ROLE_MAX 128
#define ROLE_PATH "/latest/meta-data/iam/security-credentials/"

/* The hosts that may be asked without TLS besides this machine: they are on its link. */
static const char *const link_hosts[] = {"169.254.170.2",   "169.254.170.23", "fd00:ec2::23",
                                         "169.254.169.254", "fd00:ec2::254",  NULL};

static struct result check_host(const char *url, struct http_place *place, struct err *err)
{
    if (!http_place_of(place, url, err).ok)
        return FAIL;
    bool near = http_is_loopback(place->host);
    for (size_t i = 0; link_hosts[i] != NULL; i++)
        near = near || strcmp(link_hosts[i], place->host) == 0;
    if (place->tls || near)
        return OK;
    return fail(err, ERR_USAGE, "'%s' is neither https nor on this machine", url);
}

/* Neither can end a header's line. */
static bool one_line(const char *text)
{
    return text[strcspn(text, "\r\n")] == '\0';
}

/* The token that the container's endpoint wants, or NULL; freed by wiping_free. A file is read each
 * time, because the token in it changes. */
static struct result container_token(const struct aws *aws, char **token, struct err *err)
{
    const char *said = aws_setting(aws, "AWS_CONTAINER_AUTHORIZATION_TOKEN", NULL);
    const char *path = aws_setting(aws, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", NULL);
    struct secret text SECRET_CLEANUP = {0};

    if (path != NULL) {
        struct secret_file file = {
            .noun = "token file", .path = path, .max = TOKEN_FILE_MAX, .regular = true};
        if (!secret_file_line(&file, &text, err).ok)
            return FAIL;
        said = (const char *)text.bytes;
    }
    if (said == NULL || said[0] == '\0')
        return OK;
    if (!one_line(said))
        return fail(err, ERR_USAGE, "the container's token has more than one line");
    if (asprintf(token, "Authorization: %s", said) < 0) {
        *token = NULL;
        return fail_memory(err);
    }
    return OK;
}

/* The URL of the container's endpoint in out, empty if there is none. */
static struct result container_url(const struct aws *aws, char *out, size_t room, struct err *err)
{
    const char *relative = aws_setting(aws, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", NULL);
    const char *full = aws_setting(aws, "AWS_CONTAINER_CREDENTIALS_FULL_URI", NULL);
    int size;

    if (relative != NULL)
        size = snprintf(out, room, CONTAINER_HOST "%s%s", relative[0] == '/' ? "" : "/", relative);
    else
        size = snprintf(out, room, "%s", full != NULL ? full : "");
    return size >= 0 && (size_t)size < room
               ? OK
               : fail(err, ERR_USAGE,
                      "the URL of the container's endpoint is longer than %zu bytes", room - 1);
}

/* Asks until something answers, and not with "later", at most so many times. If nothing accepts the
 * connection, it asks again only if something is known to be there. */
static struct result ask(const struct aws *aws, const struct http_request *request,
                         unsigned attempts, bool is_there, struct http_answer *answer,
                         struct err *err)
{
    for (unsigned n = 1;; n++) {
        struct err why = {0};
        struct result r = http_send(aws->http, request, answer, &why);
        is_there = is_there || answer->reached;
        answer->reached = is_there;
        if (n == attempts || (r.ok ? answer->status < 500 : why.class != ERR_STORE || !is_there)) {
            if (!r.ok)
                *err = why;
            return r;
        }
        if (!clock_wait(PAUSE))
            return fail(err, ERR_INTERRUPTED, "interrupted");
    }
}

static struct result ask_container(const struct aws *aws, const char *url, const char *token,
                                   struct http_answer *answer, struct err *err)
{
    const char *const headers[] = {"Accept: application/json", token, NULL};
    struct http_request request = {.method = "GET",
                                   .url = url,
                                   .headers = headers,
                                   .near = true,
                                   .timeout = CONTAINER_TIMEOUT};

    if (!ask(aws, &request, ATTEMPTS, true, answer, err).ok)
        return FAIL;
    return answer->status == 200 ? OK
                                 : fail(err, answer->status >= 500 ? ERR_STORE : ERR_POLICY,
                                        "'%s' answers with HTTP status %ld", url, answer->status);
}

struct result container_credentials(const struct aws *aws, struct credentials *out, bool *found,
                                    struct err *err)
{
    struct http_answer answer HTTP_ANSWER_CLEANUP = {0};
    char *token WIPING_CLEANUP = NULL;
    json_t *json JSON_TEXT_CLEANUP = NULL;
    struct http_place place;
    char url[CONTAINER_URL_MAX + 1];

    if (!container_url(aws, url, sizeof url, err).ok)
        return FAIL;
    *found = url[0] != '\0';
    if (!*found)
        return OK;
    if (!check_host(url, &place, err).ok || !container_token(aws, &token, err).ok ||
        !ask_container(aws, url, token, &answer, err).ok) {
        err_context(err, "the container's credentials");
        return FAIL;
    }
    if (!json_read(&json, &answer, err).ok)
        return err->class == ERR_DAMAGED
                   ? fail(err, ERR_STORE, "'%s' does not answer with credentials", url)
                   : FAIL;
    return credentials_from_json(out, json, "Token", "the container's endpoint", err);
}

/* The address of the instance metadata service, without a slash at the end. */
static struct result instance_root(const struct aws *aws, char *out, size_t room, struct err *err)
{
    const char *custom =
        aws_setting(aws, "AWS_EC2_METADATA_SERVICE_ENDPOINT", "ec2_metadata_service_endpoint");
    const char *mode = aws_setting(aws, "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE",
                                   "ec2_metadata_service_endpoint_mode");
    struct http_place place;

    if (custom == NULL)
        custom = mode != NULL && strcasecmp(mode, "ipv6") == 0 ? INSTANCE_V6 : INSTANCE_V4;
    if (!check_host(custom, &place, err).ok)
        return FAIL;
    if (strcmp(place.path, "/") != 0)
        return fail(err, ERR_USAGE, "endpoint '%s' has more than a scheme, a host and a port",
                    custom);
    snprintf(out, room, "%s", place.root);
    return OK;
}

static struct result ask_instance(const struct aws *aws, const char *method, const char *url,
                                  const char *header, struct http_answer *answer, struct err *err)
{
    const char *const headers[] = {header, NULL};
    unsigned seconds, attempts;

    if (!aws_number(&seconds, aws, "AWS_METADATA_SERVICE_TIMEOUT", "metadata_service_timeout", 60,
                    INSTANCE_TIMEOUT, err)
             .ok ||
        !aws_number(&attempts, aws, "AWS_METADATA_SERVICE_NUM_ATTEMPTS",
                    "metadata_service_num_attempts", 100, ATTEMPTS, err)
             .ok)
        return FAIL;
    struct http_request request = {.method = method,
                                   .url = url,
                                   .headers = headers,
                                   .near = true,
                                   .timeout = (long)seconds * 1000};
    return ask(aws, &request, attempts, false, answer, err);
}

/* A missing service is no error: most machines are not EC2 instances. A service that does not
 * answer is an error: slowness must not lead to the next source, or to no credentials. */
static struct result no_session(const struct http_answer *answer, const struct err *why,
                                struct err *err)
{
    if (why->class == ERR_STORE && !answer->reached)
        return OK;
    *err = *why;
    err_context(err, "the instance metadata service");
    if (why->class == ERR_STORE)
        err_hint(err, "AWS_METADATA_SERVICE_TIMEOUT sets the seconds to wait; a container is "
                      "reached only with a hop limit of 2");
    return FAIL;
}

/* The header with a session's token, which version 1 lacks; *header is NULL if nothing answers. */
static struct result open_session(const struct aws *aws, const char *root, char **header,
                                  struct err *err)
{
    struct http_answer answer HTTP_ANSWER_CLEANUP = {0};
    struct err why = {0};
    char url[400];

    snprintf(url, sizeof url, "%s/latest/api/token", root);
    if (!ask_instance(aws, "PUT", url, "X-aws-ec2-metadata-token-ttl-seconds: 21600", &answer, &why)
             .ok)
        return no_session(&answer, &why, err);
    const char *token = (const char *)answer.body.bytes;
    if (answer.status != 200 || token[0] == '\0' || !one_line(token)) {
        (void)fail(err, answer.status >= 500 ? ERR_STORE : ERR_POLICY,
                   "'%s' gives no token: HTTP status %ld", root, answer.status);
        if (answer.status < 500)
            err_hint(err,
                     "version 1 of the instance metadata service is not used; enable version 2");
        return FAIL;
    }
    if (asprintf(header, "X-aws-ec2-metadata-token: %s", token) < 0) {
        *header = NULL;
        return fail_memory(err);
    }
    return OK;
}

/* The name of the instance's role, which becomes part of a URL; empty if it has none. */
static struct result read_role(const struct http_answer *answer, char role[ROLE_MAX + 1],
                               struct err *err)
{
    const char *text = (const char *)answer->body.bytes;
    size_t size = strcspn(text, "\r\n");

    role[0] = '\0';
    if (answer->status == 404)
        return OK;
    if (answer->status != 200)
        return fail(err, answer->status >= 500 ? ERR_STORE : ERR_POLICY,
                    "the instance metadata service answers with HTTP status %ld", answer->status);
    if (size > ROLE_MAX || strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                        "0123456789+=,.@_-") < size)
        return fail(err, ERR_POLICY, "the instance metadata service names no role");
    memcpy(role, text, size);
    role[size] = '\0';
    return OK;
}

static struct result role_credentials(const struct aws *aws, const char *root, const char *header,
                                      struct credentials *out, bool *found, struct err *err)
{
    struct http_answer answer HTTP_ANSWER_CLEANUP = {0};
    json_t *json JSON_TEXT_CLEANUP = NULL;
    char url[600], role[ROLE_MAX + 1], source[CREDENTIALS_SOURCE_MAX];

    snprintf(url, sizeof url, "%s" ROLE_PATH, root);
    if (!ask_instance(aws, "GET", url, header, &answer, err).ok ||
        !read_role(&answer, role, err).ok)
        return FAIL;
    if (role[0] == '\0')
        return OK;
    snprintf(url, sizeof url, "%s" ROLE_PATH "%s", root, role);
    if (!ask_instance(aws, "GET", url, header, &answer, err).ok)
        return FAIL;
    if (answer.status == 200 && !json_read(&json, &answer, err).ok && err->class != ERR_DAMAGED)
        return FAIL;
    const char *code = json != NULL ? json_text(json, "Code") : NULL;
    if (json == NULL || (code != NULL && strcmp(code, "Success") != 0))
        return fail(err, ERR_STORE, "the instance metadata service has no credentials for role %s",
                    role);
    snprintf(source, sizeof source, "the instance metadata service (role %s)", role);
    *found = true;
    return credentials_from_json(out, json, "Token", source, err);
}

struct result instance_credentials(const struct aws *aws, struct credentials *out, bool *found,
                                   struct err *err)
{
    const char *disabled = aws_setting(aws, "AWS_EC2_METADATA_DISABLED", NULL);
    char *header WIPING_CLEANUP = NULL;
    char root[320];

    *found = false;
    if (disabled != NULL && strcasecmp(disabled, "true") == 0)
        return OK;
    if (!instance_root(aws, root, sizeof root, err).ok || !open_session(aws, root, &header, err).ok)
        return FAIL;
    return header != NULL ? role_credentials(aws, root, header, out, found, err) : OK;
}
