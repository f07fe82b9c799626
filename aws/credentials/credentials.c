#include "aws/credentials/credentials.h"

#include <ctype.h>
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

/* Two digits at *at, which is moved past them; -1 if there are none. */
static long take_two(const char **at)
{
    const char *text = *at;

    if (!isdigit((unsigned char)text[0]) || !isdigit((unsigned char)text[1]))
        return -1;
    *at += 2;
    return (text[0] - '0') * 10L + (text[1] - '0');
}

/* "Z", "UTC", "+01:00", "+0100" or "+01", in seconds east of Greenwich. */
static bool read_zone(long *east, const char *text)
{
    long hours, minutes = 0;
    char sign = *text;

    *east = 0;
    if (strcmp(text, "Z") == 0 || strcmp(text, "UTC") == 0)
        return true;
    if (sign != '+' && sign != '-')
        return false;
    text++;
    hours = take_two(&text);
    if (*text != '\0') {
        text += *text == ':';
        minutes = take_two(&text);
    }
    *east = (sign == '-' ? -60 : 60) * (hours * 60 + minutes);
    return *text == '\0' && hours >= 0 && hours < 24 && minutes >= 0 && minutes < 60;
}

bool expiry_read(uint64_t *seconds, const char *text)
{
    struct tm tm = {0};
    const char *end = strptime(text, "%Y-%m-%d", &tm), *more;
    long east;

    if (end == NULL || (*end != 'T' && *end != ' '))
        return false;
    end = strptime(end + 1, "%H:%M", &tm);
    if (end == NULL)
        return false;
    more = strptime(end, ":%S", &tm);
    if (more != NULL)
        end = more;
    if (more != NULL && *end == '.')
        end += 1 + strspn(end + 1, "0123456789");
    if (!read_zone(&east, end + (*end == ' ')))
        return false;
    time_t t = timegm(&tm) - east;
    *seconds = t > 0 ? (uint64_t)t : 0;
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
    struct credentials made CREDENTIALS_CLEANUP = {.expires = EXPIRES_NEVER};
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
        return fail(err, ERR_POLICY,
                    "the credentials from %s have an expiry time that cannot be read", made.source);
    if (!keep(&made.access_key, text->access_key, err).ok ||
        !keep(&made.secret_key, text->secret_key, err).ok ||
        (has_token && !keep(&made.token, text->token, err).ok))
        return FAIL;
    credentials_free(c);
    *c = TAKE(made);
    return OK;
}

/* A member that may be missing or null. One that is not a text, such as a number, must not count as
 * missing: it becomes a text that nothing accepts. */
static const char *text_or_bad(const json_t *json, const char *name)
{
    const json_t *member = json_object_get(json, name);

    return member == NULL || json_is_null(member) || json_is_string(member)
               ? json_string_value(member)
               : "not a text";
}

struct result credentials_from_json(struct credentials *c, const json_t *json, const char *token,
                                    const char *source, struct err *err)
{
    struct credentials_text text = {json_text(json, "AccessKeyId"),
                                    json_text(json, "SecretAccessKey"), text_or_bad(json, token),
                                    text_or_bad(json, "Expiration")};

    return credentials_make(c, &text, err, "%s", source);
}
