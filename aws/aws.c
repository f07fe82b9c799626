#include "aws/aws.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "http/json.h"

#define ATTEMPTS 3 /* botocore's standard mode */
#define ATTEMPTS_MAX 100

const char *aws_setting(const struct aws *aws, const char *variable, const char *key)
{
    const char *value = variable != NULL ? environment_get(&aws->environment, variable) : NULL;

    return value == NULL && key != NULL ? profile_get(&aws->profiles, aws->profile, key) : value;
}

struct result aws_number(unsigned *out, const struct aws *aws, const char *variable,
                         const char *key, unsigned most, unsigned usual, struct err *err)
{
    const char *said = aws_setting(aws, variable, key);
    char *end;

    if (said == NULL) {
        *out = usual;
        return OK;
    }
    unsigned long number = strtoul(said, &end, 10);
    if (said[0] < '0' || said[0] > '9' || *end != '\0' || number < 1 || number > most)
        return fail(err, ERR_USAGE, "%s or '%s' is '%s', not a number from 1 to %u", variable, key,
                    said, most);
    *out = (unsigned)number;
    return OK;
}

static bool is_true(const char *value)
{
    return value != NULL && strcasecmp(value, "true") == 0;
}

static struct result read_settings(struct aws *aws, struct err *err)
{
    const char *variable = "AWS_DEFAULT_PROFILE"; /* the AWS tools look at it first */
    const char *profile = aws_setting(aws, variable, NULL), *region;

    if (profile == NULL)
        profile = aws_setting(aws, variable = "AWS_PROFILE", NULL);
    aws->profile = profile != NULL ? profile : "default";
    if (profile != NULL && !profile_exists(&aws->profiles, profile)) {
        (void)fail(err, ERR_USAGE, "there is no AWS profile '%s'", profile);
        return fail_hint(
            err, "%s names it; it is looked for in the AWS config and credentials files", variable);
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
    aws->ignores_endpoints = is_true(
        aws_setting(aws, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "ignore_configured_endpoint_urls"));
    return aws_number(&aws->attempts, aws, "AWS_MAX_ATTEMPTS", "max_attempts", ATTEMPTS_MAX,
                      ATTEMPTS, err);
}

struct result aws_open(struct aws *aws, const struct environment *environment, unsigned timeout,
                       struct err *err)
{
    struct aws made = {.environment = *environment, .timeout = timeout};

    json_wipe();
    if (!profiles_read(&made.profiles, environment, err).ok || !read_settings(&made, err).ok ||
        !http_new(&made.http, aws_setting(&made, "AWS_CA_BUNDLE", "ca_bundle"),
                  "AWS_CA_BUNDLE names a file with the certificates to trust", err)
             .ok) {
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

/* The value for a service in the "services" section that the profile names, or NULL. */
static struct result service_endpoint(const char **out, const struct aws *aws, const char *service,
                                      struct err *err)
{
    const char *section = aws_setting(aws, NULL, "services");

    if (section == NULL)
        return OK;
    if (!profile_has_services(&aws->profiles, section))
        return fail(err, ERR_USAGE, "profile '%s': the config file has no section [services %s]",
                    aws->profile, section);
    *out = profile_service_get(&aws->profiles, section, service, "endpoint_url");
    return OK;
}

/* In botocore's order; NULL for the usual place. */
static struct result configured_endpoint(const char **out, const struct aws *aws,
                                         const char *service, struct err *err)
{
    static const char *const variables[] = {"AWS_ENDPOINT_URL_KMS", "AWS_ENDPOINT_URL_STS",
                                            "AWS_ENDPOINT_URL_S3"};

    *out = NULL;
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++)
        if (strcasecmp(strrchr(variables[i], '_') + 1, service) == 0)
            *out = aws_setting(aws, variables[i], NULL);
    if (*out == NULL)
        *out = aws_setting(aws, "AWS_ENDPOINT_URL", NULL);
    if (*out == NULL && !service_endpoint(out, aws, service, err).ok)
        return FAIL;
    if (*out == NULL)
        *out = aws_setting(aws, NULL, "endpoint_url");
    return OK;
}

struct result aws_custom_endpoint(const char **out, const struct aws *aws, const char *service,
                                  struct err *err)
{
    *out = NULL;
    return aws->ignores_endpoints ? OK : configured_endpoint(out, aws, service, err);
}

struct result aws_endpoint(char out[ENDPOINT_MAX], const struct aws *aws, const char *service,
                           const char *region, const char *custom, struct err *err)
{
    struct endpoint_wish wish = {.service = service,
                                 .region = region,
                                 .custom = custom,
                                 .fips = aws->fips,
                                 .dual_stack = aws->dual_stack};

    if (custom == NULL && !aws_custom_endpoint(&wish.custom, aws, service, err).ok)
        return FAIL;
    return endpoint_find(out, &wish, err);
}
