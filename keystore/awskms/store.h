/* store: what AWS KMS is as a key store, also where a build lacks it. */
#ifndef BULLA_KEYSTORE_AWSKMS_STORE_H
#define BULLA_KEYSTORE_AWSKMS_STORE_H

#include "keystore/keystore.h"

extern const struct keystore awskms_store;

#endif
