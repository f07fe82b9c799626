/* keyring: the key store of keyring files. A reference is PATH or PATH#NAME; PATH alone means every
 * key of the file for unwrapping, and its only key for wrapping. */
#ifndef BULLA_KEYSTORE_KEYRING_KEYRING_H
#define BULLA_KEYSTORE_KEYRING_KEYRING_H

#include "keystore/keystore.h"

extern const struct keystore keyring_store;

#endif
