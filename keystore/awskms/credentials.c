#include "keystore/awskms/credentials.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

void credentials_free(struct credentials *c)
{
    secret_free(&c->access_key);
    secret_free(&c->secret_key);
    secret_free(&c->token);
    *c = (struct credentials){0};
}

/* A pair of which one half is missing is a mistake that the next source must not hide. */
static const char *missing(const struct credentials_text *text)
{
    if (text->access_key == NULL || text->access_key[0] == '\0')
        return "AccessKeyId (AWS_ACCESS_KEY_ID, aws_access_key_id)";
    if (text->secret_key == NULL || text->secret_key[0] == '\0')
        return "SecretAccessKey (AWS_SECRET_ACCESS_KEY, aws_secret_access_key)";
    return NULL;
}

/* Printable ASCII without blanks. */
static bool is_word(const char *text)
{
    size_t size = strnlen(text, CREDENTIALS_TEXT_MAX + 1);

    for (size_t i = 0; i < size; i++)
        if (text[i] <= ' ' || text[i] > '~')
            return false;
    return size > 0 && size <= CREDENTIALS_TEXT_MAX;
}

/* "Z" or "+01:00", in seconds east of Greenwich. */
static bool read_zone(long *east, const char *text)
{
    int hours, minutes;
    char sign, end;

    *east = 0;
    if (strcmp(text, "Z") == 0)
        return true;
    /* NOLINTNEXTLINE(cert-err34-c): two characters do not overflow */
    if (sscanf(text, "%c%2d:%2d%c", &sign, &hours, &minutes, &end) != 3 ||
        (sign != '+' && sign != '-'))
        return false;
    *east = (sign == '-' ? -60L : 60L) * (hours * 60L + minutes);
    return true;
}

bool expiry_read(uint64_t *seconds, const char *text)
{
    struct tm tm = {0};
    const char *end = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
    long east;

    if (end == NULL)
        return false;
    if (*end == '.')
        end += 1 + strspn(end + 1, "0123456789");
    if (!read_zone(&east, end))
        return false;
    time_t t = timegm(&tm) - east;
    if (t < 0)
        return false;
    *seconds = (uint64_t)t;
    return true;
}

static struct result keep(struct secret *s, const char *text, struct err *err)
{
    size_t size = strlen(text) + 1;

    return secret_copy(s, text, size, err);
}

struct result credentials_make(struct credentials *c, const struct credentials_text *text,
                               struct err *err, const char *source, ...)
{
    struct credentials made CREDENTIALS_CLEANUP = {0};
    bool has_token = text->token != NULL && text->token[0] != '\0';
    va_list ap;

    va_start(ap, source);
    vsnprintf(made.source, sizeof made.source, source, ap);
    va_end(ap);
    if (missing(text) != NULL)
        return fail(err, ERR_POLICY, "the credentials from %s have no %s", made.source,
                    missing(text));
    if (!is_word(text->access_key) || !is_word(text->secret_key) ||
        (has_token && !is_word(text->token)))
        return fail(err, ERR_POLICY, "the credentials from %s are not well-formed", made.source);
    if (text->expiration != NULL && !expiry_read(&made.expires, text->expiration))
        return fail(err, ERR_POLICY, "the credentials from %s expire at no time that can be read",
                    made.source);
    if (!keep(&made.access_key, text->access_key, err).ok ||
        !keep(&made.secret_key, text->secret_key, err).ok ||
        (has_token && !keep(&made.token, text->token, err).ok))
        return FAIL;
    credentials_free(c);
    *c = made;
    made = (struct credentials){0};
    return OK;
}

struct result credentials_from_json(struct credentials *c, const json_t *json, const char *token,
                                    const char *source, struct err *err)
{
    struct credentials_text text = {json_text(json, "AccessKeyId"),
                                    json_text(json, "SecretAccessKey"), json_text(json, token),
                                    json_text(json, "Expiration")};

    return credentials_make(c, &text, err, "%s", source);
}

struct signature credentials_signature(const struct credentials *c, const char *region,
                                       const char *service)
{
    return (struct signature){.region = region,
                              .service = service,
                              .access_key = (const char *)c->access_key.bytes,
                              .secret_key = (const char *)c->secret_key.bytes,
                              .token = (const char *)c->token.bytes};
}
