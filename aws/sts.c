#include "aws/sts.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "http/wiping_allocator.h"
#include "http/xml.h"

#define FIELDS_MAX 8

/* struct field: a field of a form; one without a value is left out. */
struct field {
    const char *name, *value;
};

/* The body of a POST; the caller frees by wiping_free. */
static char *make_form(const struct field *fields)
{
    char *form = strdup("Version=2011-06-15");

    for (; form != NULL && fields->name != NULL; fields++) {
        char *value WIPING_CLEANUP = NULL, *longer = NULL;
        if (fields->value == NULL)
            continue;
        value = malloc(TEXT_PERCENT(strlen(fields->value)));
        if (value == NULL || asprintf(&longer, "%s&%s=%s", form, fields->name,
                                      text_percent(value, fields->value)) < 0)
            longer = NULL;
        wiping_free(form);
        form = longer;
    }
    return form;
}

static struct result refused(const struct call *call, const struct fault *f, struct err *err)
{
    call_refused(call, f, err);
    if (f->hint == NULL && f->class != ERR_STORE)
        err_hint(err, "the caller needs %s, and the role's trust policy must name it", call->what);
    return FAIL;
}

/* struct question: what STS is asked. */
struct question {
    const char *what; /* "sts:AssumeRole" */
    const struct field *fields;
    const char *unsaid; /* a secret among them, or NULL */
};

static struct result ask(const struct aws *aws, const char *region, const struct question *q,
                         const struct caller *caller, struct http_answer *answer, struct err *err)
{
    static const char *const headers[] = {
        "Content-Type: application/x-www-form-urlencoded; charset=utf-8", NULL};
    char *form WIPING_CLEANUP = make_form(q->fields);
    char url[ENDPOINT_MAX];
    struct fault fault;

    if (form == NULL)
        return fail_memory(err);
    if (!aws_endpoint(url, aws, "sts", region, NULL, err).ok)
        return FAIL;
    struct call call = {.service = "sts",
                        .region = region,
                        .url = url,
                        .headers = headers,
                        .what = q->what,
                        .unsaid = q->unsaid,
                        .body = {(const uint8_t *)form, strlen(form)}};
    if (!call_send(aws, &call, caller, answer, &fault, err).ok)
        return FAIL;
    return fault.name[0] == '\0' ? OK : refused(&call, &fault, err);
}

/* Takes the credentials out of an answer. */
static struct result take(const struct http_answer *answer, const struct role *role,
                          struct credentials *out, struct err *err)
{
    struct secret room SECRET_CLEANUP = {0};
    size_t part = CREDENTIALS_TEXT_MAX;

    if (!secret_new(&room, 4 * part, err).ok)
        return FAIL;
    char *text = (char *)room.bytes;
    struct credentials_text said = {text, text + part, text + 2 * part, text + 3 * part};
    if (!xml_text(answer, "AccessKeyId", text, part) ||
        !xml_text(answer, "SecretAccessKey", text + part, part) ||
        !xml_text(answer, "SessionToken", text + 2 * part, part) ||
        !xml_text(answer, "Expiration", text + 3 * part, part))
        return fail(err, ERR_STORE, "the answer of STS has no credentials that can be read");
    return credentials_make(out, &said, err, "role %s (%s)", role->arn, role->source);
}

/* The name of a session, if none was set; CloudTrail shows it. */
static void name_session(char *out, size_t room)
{
    snprintf(out, room, "bulla-%" PRIu64, clock_now());
}

static struct result lend(void *arg, bool renew, const struct credentials **out, struct err *err)
{
    if (renew)
        return fail(err, ERR_POLICY, "the credentials that take the role have expired");
    *out = arg;
    return OK;
}

struct result sts_assume_role(const struct aws *aws, const char *region, const struct role *role,
                              struct credentials *out, struct err *err)
{
    struct http_answer answer HTTP_ANSWER_CLEANUP = {0};
    const struct caller caller = {lend, (void *)(uintptr_t)role->with, NULL};
    bool web = role->web_token != NULL;
    char session[64];

    name_session(session, sizeof session);
    const struct field fields[FIELDS_MAX] = {
        {"Action", web ? "AssumeRoleWithWebIdentity" : "AssumeRole"},
        {"RoleArn", role->arn},
        {"RoleSessionName", role->session_name != NULL ? role->session_name : session},
        {"ExternalId", role->external_id},
        {"DurationSeconds", role->duration_seconds},
        {"WebIdentityToken", role->web_token},
    };
    const struct question q = {web ? "sts:AssumeRoleWithWebIdentity" : "sts:AssumeRole", fields,
                               web ? role->web_token : role->external_id};
    if (!ask(aws, region, &q, web ? NULL : &caller, &answer, err).ok) {
        err_context(err, "role %s", role->arn);
        return FAIL;
    }
    return take(&answer, role, out, err);
}

struct result sts_caller(const struct aws *aws, const char *region, const struct caller *caller,
                         char *out, size_t room, struct err *err)
{
    static const struct field fields[] = {{"Action", "GetCallerIdentity"}, {0}};
    const struct question q = {"sts:GetCallerIdentity", fields, NULL};
    struct http_answer answer HTTP_ANSWER_CLEANUP = {0};

    if (!ask(aws, region, &q, caller, &answer, err).ok)
        return FAIL;
    return xml_text(&answer, "Arn", out, room)
               ? OK
               : fail(err, ERR_STORE, "the answer of STS names no caller");
}
