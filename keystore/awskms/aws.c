#include "keystore/awskms/aws.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "keystore/awskms/wiped.h"

const char *aws_setting(const struct aws *aws, const char *variable, const char *key)
{
    const char *value = variable != NULL ? getenv(variable) : NULL;

    if (value != NULL && value[0] != '\0')
        return value;
    return key != NULL ? profile_get(&aws->profiles, aws->profile, key) : NULL;
}

static bool is_true(const char *value)
{
    return value != NULL && strcasecmp(value, "true") == 0;
}

static struct result read_settings(struct aws *aws, struct err *err)
{
    const char *profile = aws_setting(aws, "AWS_PROFILE", NULL), *region;

    if (profile == NULL)
        profile = aws_setting(aws, "AWS_DEFAULT_PROFILE", NULL);
    aws->profile = profile != NULL ? profile : "default";
    if (profile != NULL && !profile_exists(&aws->profiles, profile)) {
        (void)fail(err, ERR_USAGE, "there is no AWS profile '%s'", profile);
        err_hint(err, "AWS_PROFILE names it; it stands in ~/.aws/config or ~/.aws/credentials");
        return FAIL;
    }
    region = aws_setting(aws, "AWS_REGION", NULL);
    if (region == NULL)
        region = aws_setting(aws, "AWS_DEFAULT_REGION", "region");
    if (region != NULL && !region_is_valid(region))
        return fail(err, ERR_USAGE, "'%s' is not the name of a region", region);
    if (region != NULL)
        memcpy(aws->region, region, strlen(region) + 1);
    aws->fips = is_true(aws_setting(aws, "AWS_USE_FIPS_ENDPOINT", "use_fips_endpoint"));
    aws->dual_stack =
        is_true(aws_setting(aws, "AWS_USE_DUALSTACK_ENDPOINT", "use_dualstack_endpoint"));
    return OK;
}

struct result aws_open(struct aws *aws, unsigned timeout, struct err *err)
{
    struct aws made = {.timeout = timeout};

    /* Answers with keys in them are parsed. */
    json_set_alloc_funcs(wiped_malloc, wiped_free);
    if (!profiles_read(&made.profiles, err).ok || !read_settings(&made, err).ok ||
        !http_new(&made.http, aws_setting(&made, "AWS_CA_BUNDLE", "ca_bundle"), err).ok) {
        aws_close(&made);
        return FAIL;
    }
    *aws = made;
    return OK;
}

void aws_close(struct aws *aws)
{
    http_free(&aws->http);
    profiles_free(&aws->profiles);
    *aws = (struct aws){0};
}

json_t *json_read(const struct http_answer *answer)
{
    json_t *json = json_loadb((const char *)answer->body.bytes, answer->body_size,
                              JSON_REJECT_DUPLICATES, NULL);

    if (json != NULL && json_is_object(json))
        return json;
    json_decref(json);
    return NULL;
}

const char *json_text(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

void json_drop(json_t **json)
{
    json_decref(*json);
    *json = NULL;
}

uint64_t clock_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* "Z" or "+01:00", in seconds east of Greenwich. */
static bool read_zone(long *east, const char *text)
{
    int hours, minutes;
    char sign, end;

    *east = 0;
    if (strcmp(text, "Z") == 0)
        return true;
    if (sscanf(text, "%c%2d:%2d%c", &sign, &hours, &minutes, &end) != 3 ||
        (sign != '+' && sign != '-'))
        return false;
    *east = (sign == '-' ? -60L : 60L) * (hours * 60L + minutes);
    return true;
}

bool time_read(uint64_t *seconds, const char *text)
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
