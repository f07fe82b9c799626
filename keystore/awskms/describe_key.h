/* describe_key: what AWS KMS says of a key, and whether it lets the caller use it. */
#ifndef BULLA_KEYSTORE_AWSKMS_DESCRIBE_KEY_H
#define BULLA_KEYSTORE_AWSKMS_DESCRIBE_KEY_H

#include "keystore/keystore.h"

/* The operation describe of keystore.h. */
FALLIBLE awskms_describe(struct master_key *key, const struct key_sink *sink, struct err *err);

#endif
