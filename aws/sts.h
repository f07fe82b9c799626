/* sts: the Security Token Service, which gives credentials for a role and tells whose credentials
 * they are. */
#ifndef BULLA_AWS_STS_H
#define BULLA_AWS_STS_H

#include "aws/call.h"

/* struct role: what is asked for; all but arn, and one of the last two, may be NULL. */
struct role {
    const char *arn;
    const char *session_name; /* NULL: one is made up */
    const char *external_id, *duration_seconds;
    const char *source;             /* for people: where the role was named */
    const struct credentials *with; /* of somebody who may assume it, or else */
    const char *web_token;          /* a token of an OpenID provider */
};

/* sts_assume_role gets credentials of a role. region is that of STS. */
FALLIBLE sts_assume_role(const struct aws *aws, const char *region, const struct role *role,
                         struct credentials *out, struct err *err);

/* sts_caller writes the ARN of whose credentials they are. */
FALLIBLE sts_caller(const struct aws *aws, const char *region, const struct caller *caller,
                    char *out, size_t room, struct err *err);

#endif
