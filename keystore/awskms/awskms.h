/* awskms: the key store of master keys in AWS KMS. A reference is the ARN of a key or of an alias,
 * alias/NAME, or "aws-kms://" and one of them or a key id. */
#ifndef BULLA_KEYSTORE_AWSKMS_AWSKMS_H
#define BULLA_KEYSTORE_AWSKMS_AWSKMS_H

#include "keystore/keystore.h"

extern const struct keystore_ops awskms_ops;
extern const struct keystore_admin awskms_admin;

#endif
