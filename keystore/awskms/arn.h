/* arn: how the keys of AWS KMS are named. */
#ifndef BULLA_KEYSTORE_AWSKMS_ARN_H
#define BULLA_KEYSTORE_AWSKMS_ARN_H

#include "aws/endpoint.h"
#include "crypto/slot.h"
#include "keystore/awskms/slots.h"

/* struct arn: arn:PARTITION:kms:REGION:ACCOUNT:key/ID or …:alias/NAME, taken apart; {0} is none. */
struct arn {
    char text[SLOT_KEY_ARN_MAX + 1];
    char partition[REGION_MAX + 1];
    char region[REGION_MAX + 1];
    char account[13];
    char resource[SLOT_KEY_ARN_MAX + 1]; /* "key/ID" or "alias/NAME" */
};

/* arn_parse reads an ARN of a key or an alias of KMS; *arn is untouched if it is none. */
bool arn_parse(struct arn *arn, const char *text, size_t size);

bool arn_is_key(const struct arn *arn);

/* arn_same_key is true for the same key, and for two replicas of one multi-region key. */
bool arn_same_key(const struct arn *a, const struct arn *b);

/* struct key_name: a key as the user named it. */
struct key_name {
    char id[SLOT_KEY_ARN_MAX + 1]; /* what KMS takes as a KeyId: ARN, alias/NAME or key id */
    struct arn arn;                /* if an ARN was named */
};

/* key_name_parse reads a reference: any KeyId, with or without "aws-kms://" in front. ERR_USAGE. */
FALLIBLE key_name_parse(struct key_name *name, const char *reference, struct err *err);

/* key_name_fits is true if the name may mean the key: it does if it is the key's ARN or id, and an
 * alias may mean any key of its account and of the region. */
bool key_name_fits(const struct key_name *name, const char *region, const struct arn *key);

#endif
