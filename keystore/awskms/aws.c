#include "keystore/awskms/aws.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "keystore/awskms/json.h"

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

    json_wipe();
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

struct result aws_endpoint(char out[ENDPOINT_MAX], const struct aws *aws, const char *service,
                           const char *region, const char *custom, struct err *err)
{
    bool sts = strcmp(service, "sts") == 0;
    struct endpoint_wish wish = {.service = service,
                                 .region = region,
                                 .custom = custom,
                                 .fips = aws->fips,
                                 .dual_stack = aws->dual_stack};

    if (wish.custom == NULL)
        wish.custom = aws_setting(aws, sts ? "AWS_ENDPOINT_URL_STS" : "AWS_ENDPOINT_URL_KMS", NULL);
    if (wish.custom == NULL)
        wish.custom = aws_setting(aws, "AWS_ENDPOINT_URL", "endpoint_url");
    return endpoint_find(out, &wish, err);
}
