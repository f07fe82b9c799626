/* aws: what all calls to AWS share: the client, the profiles and the settings of the user. */
#ifndef BULLA_AWS_AWS_H
#define BULLA_AWS_AWS_H

#include "aws/endpoint.h"
#include "aws/profiles.h"
#include "base/secret.h"
#include "http/http.h"

/* struct aws: {0} is empty and safe to close. */
struct aws {
    struct environment environment;
    struct http *http;
    struct profiles profiles;
    const char *profile;         /* AWS_DEFAULT_PROFILE, AWS_PROFILE or "default" */
    char region[REGION_MAX + 1]; /* that the user set; empty if none */
    bool fips, dual_stack;
    bool ignores_endpoints; /* of the environment and the profile */
    unsigned attempts;      /* of one operation, the first included */
    unsigned timeout;       /* seconds that one operation may take, with its retries */
};

/* aws_open reads the environment, of which it keeps a copy, and the profiles. */
FALLIBLE aws_open(struct aws *aws, const struct environment *environment, unsigned timeout,
                  struct err *err);
void aws_close(struct aws *aws);

/* aws_setting gives a variable of the environment, else a value of the profile in use, else NULL;
 * either may be NULL. */
const char *aws_setting(const struct aws *aws, const char *variable, const char *key);

/* aws_number gives a setting that is a number from 1 to most, or usual if it is not set. ERR_USAGE
 * if it is anything else. */
FALLIBLE aws_number(unsigned *out, const struct aws *aws, const char *variable, const char *key,
                    unsigned most, unsigned usual, struct err *err);

/* aws_custom_endpoint gives the URL that the user's settings have for a service, or NULL. ERR_USAGE
 * if the profile names a "services" section that is not there. */
FALLIBLE aws_custom_endpoint(const char **out, const struct aws *aws, const char *service,
                             struct err *err);

/* aws_endpoint writes the URL of a service ("kms", "sts" or "s3") in a region: custom if that is
 * not NULL, else what the user's settings say. It fails as endpoint_find, and with ERR_USAGE if the
 * profile names a "services" section that is not there. */
FALLIBLE aws_endpoint(char out[ENDPOINT_MAX], const struct aws *aws, const char *service,
                      const char *region, const char *custom, struct err *err);

#endif
