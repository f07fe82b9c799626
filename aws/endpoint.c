#include "aws/endpoint.h"

#include <stdio.h>
#include <string.h>

#include "http/http.h"

/* One row for each partition, found by how the names of its regions begin; the last takes every
 * other name. From botocore's partitions.json. */
static const struct {
    const char *prefix, *suffix, *dual_stack;
} partitions[] = {
    {"cn-", "amazonaws.com.cn", "api.amazonwebservices.com.cn"},
    {"us-gov-", "amazonaws.com", "api.aws"},
    {"us-iso-", "c2s.ic.gov", "api.aws.ic.gov"},
    {"us-isob-", "sc2s.sgov.gov", "api.aws.scloud"},
    {"us-isof-", "csp.hci.ic.gov", "api.aws.hci.ic.gov"},
    {"eu-isoe-", "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"},
    {"eusc-", "amazonaws.eu", "api.amazonwebservices.eu"},
    {"", "amazonaws.com", "api.aws"},
};

bool region_is_valid(const char *region)
{
    size_t size = strlen(region);

    return size > 0 && size <= REGION_MAX && region[0] != '-' &&
           strspn(region, "abcdefghijklmnopqrstuvwxyz0123456789-") == size;
}

static struct result custom(char out[ENDPOINT_MAX], const char *url, struct err *err)
{
    struct http_place place;

    if (!http_place_of(&place, url, err).ok)
        return FAIL;
    if (place.path[0] == '\0') {
        (void)fail(err, ERR_USAGE, "endpoint '%s' has more than a plain path after the host", url);
        return fail_hint(err, "https://HOST:PORT/PATH, of letters, digits and -._~/");
    }
    if (!place.tls && !http_is_loopback(place.host)) {
        (void)fail(err, ERR_USAGE, "endpoint '%s' is not https", url);
        return fail_hint(err, "plain http is for tests on this machine alone");
    }
    snprintf(out, ENDPOINT_MAX, "%s%s", place.root, place.path);
    return OK;
}

/* In GovCloud, the usual endpoint of STS is the one that follows FIPS 140. */
static bool has_fips_name(const struct endpoint_wish *wish)
{
    return wish->fips &&
           !(strcmp(wish->service, "sts") == 0 && strncmp(wish->region, "us-gov-", 7) == 0);
}

struct result endpoint_find(char out[ENDPOINT_MAX], const struct endpoint_wish *wish,
                            struct err *err)
{
    size_t row = 0;

    if (!region_is_valid(wish->region))
        return fail(err, ERR_USAGE, "'%s' is not the name of a region", wish->region);
    if (wish->custom != NULL && wish->custom[0] != '\0')
        return custom(out, wish->custom, err);
    while (strncmp(wish->region, partitions[row].prefix, strlen(partitions[row].prefix)) != 0)
        row++;
    bool s3 = strncmp(wish->service, "s3", 2) == 0; /* has names of its own for dual stack */
    snprintf(out, ENDPOINT_MAX, "https://%s%s%s.%s.%s/", wish->service,
             has_fips_name(wish) ? "-fips" : "", s3 && wish->dual_stack ? ".dualstack" : "",
             wish->region,
             wish->dual_stack && !s3 ? partitions[row].dual_stack : partitions[row].suffix);
    return OK;
}
