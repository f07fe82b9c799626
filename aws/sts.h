/* sts: the Security Token Service, which gives credentials for a role and tells who one is. */
#ifndef BULLA_AWS_STS_H
#define BULLA_AWS_STS_H

#include "aws/call.h"

/* struct role: what is asked for; all but arn may be NULL. */
struct role {
    const char *arn;
    const char *session_name; /* NULL: one is made up */
    const char *external_id, *duration_seconds;
    const char *source; /* for people: where the role was named */
};

/* sts_assume_role gets credentials of a role with those of somebody who may take it. region is that
 * of STS. */
FALLIBLE sts_assume_role(const struct aws *aws, const char *region, const struct role *role,
                         const struct credentials *with, struct credentials *out, struct err *err);

/* sts_assume_role_with_web_identity gets them with a token of an OpenID provider. */
FALLIBLE sts_assume_role_with_web_identity(const struct aws *aws, const char *region,
                                           const struct role *role, const char *token,
                                           struct credentials *out, struct err *err);

/* sts_caller writes the ARN of whose credentials they are. */
FALLIBLE sts_caller(const struct aws *aws, const char *region, const struct caller *caller,
                    char *out, size_t room, struct err *err);

#endif
