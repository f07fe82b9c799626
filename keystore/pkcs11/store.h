/* store: what tokens are as a key store, also where a build lacks it. */
#ifndef BULLA_KEYSTORE_PKCS11_STORE_H
#define BULLA_KEYSTORE_PKCS11_STORE_H

#include "keystore/keystore.h"

extern const struct keystore pkcs11_store;

#endif
