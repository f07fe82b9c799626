/* refusal: what the error names of KMS and STS mean. */
#ifndef BULLA_AWS_REFUSAL_H
#define BULLA_AWS_REFUSAL_H

#include "base/err.h"

/* enum kms_refusal: what of a refusal matters to those who ask. */
enum kms_refusal {
    KMS_NOT_REFUSED,
    KMS_OTHER_KEY, /* the blob is not of the key that was named */
    KMS_DENIED,    /* no permission */
    KMS_DRY_RUN,   /* it would have been done */
    KMS_REFUSED    /* anything else */
};

/* struct refusal: a refusal that stays, whatever the HTTP status. hint says what to do, or is NULL.
 */
struct refusal {
    const char *name; /* as the service calls it */
    enum err_class class;
    enum kms_refusal kind;
    const char *hint;
};

/* refusal_find gives what is known of a name, or NULL: the caller then takes it for ERR_POLICY,
 * unless it may pass. */
const struct refusal *refusal_find(const char *name);

#endif
