#include "keystore/awskms/store.h"

#include "keystore/awskms/slots.h"

static const struct keystore_scheme schemes[] = {
    {"aws-kms:", false, "aws-kms://ARN", "a key of AWS KMS; also a bare ARN, or alias/NAME"},
    {"arn:", false},
    {"alias/", false},
    {0},
};

#ifdef BULLA_AWSKMS
#include "keystore/awskms/awskms.h"
#define OPS &awskms_ops
#define ADMIN &awskms_admin
#else
#define OPS NULL
#define ADMIN &keystore_no_admin
#endif

const struct keystore awskms_store = {
    .title = "AWS KMS",
    .schemes = schemes,
    .methods = (const struct slot_method *const[]){awskms_methods, NULL},
    .reach = REACH_PROGRAMS,
    .ops = OPS,
    .admin = ADMIN,
};
