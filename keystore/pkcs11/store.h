/* store: the key store for tokens, as every build knows it, even one without PKCS#11. */
#ifndef BULLA_KEYSTORE_PKCS11_STORE_H
#define BULLA_KEYSTORE_PKCS11_STORE_H

#include "keystore/keystore.h"

extern const struct keystore pkcs11_store;

#endif
