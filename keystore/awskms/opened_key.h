/* opened_key: one key of AWS KMS, opened. */
#ifndef BULLA_KEYSTORE_AWSKMS_OPENED_KEY_H
#define BULLA_KEYSTORE_AWSKMS_OPENED_KEY_H

#include "keystore/awskms/kms.h"
#include "keystore/awskms/slots.h"

/* struct refused: what KMS refused last, so that it is not asked the same for every file. */
struct refused {
    uint8_t what[SHA256_SIZE];
    struct err why; /* class ERR_NONE: nothing yet */
};

struct kms_master {
    struct master_key key;
    const struct keystore_env *env;
    struct key_name name;
    struct kms kms;
    struct arn arn; /* of the key; none until it is known what an alias means */
    bool asked;     /* for what follows */
    char material[SLOT_MATERIAL_ID_MAX + 1]; /* what it wraps with now; empty where not known */
    struct refused refused;
};

/* key_pin holds the ARN in an answer against the name of the user and against earlier answers, and
 * from then on an alias means that key. ERR_POLICY if another key answered. */
FALLIBLE key_pin(struct kms_master *k, const struct arn *answered, struct err *err);

#endif
