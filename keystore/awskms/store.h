/* store: the key store for AWS KMS, as every build knows it, even one without AWS. */
#ifndef BULLA_KEYSTORE_AWSKMS_STORE_H
#define BULLA_KEYSTORE_AWSKMS_STORE_H

#include "keystore/keystore.h"

extern const struct keystore awskms_store;

#endif
