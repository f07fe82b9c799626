/* passphrase: the key store of passphrases that are used without a keyring. A reference is
 * "passphrase:" and an optional hint, which is stored in clear. */
#ifndef BULLA_KEYSTORE_PASSPHRASE_PASSPHRASE_H
#define BULLA_KEYSTORE_PASSPHRASE_PASSPHRASE_H

#include "keystore/keystore.h"

extern const struct keystore passphrase_store;

#endif
