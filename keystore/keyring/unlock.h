/* unlock: passphrases of keyring files while keys of them are open, so that one is asked for once
 * and a wrong one never tried twice, whatever references name the file. Several threads may use it.
 */
#ifndef BULLA_KEYSTORE_KEYRING_UNLOCK_H
#define BULLA_KEYSTORE_KEYRING_UNLOCK_H

#include "keystore/keyring/reference.h"

struct unlock;

/* unlock_hold gives what is known of a file's passphrase, the same to all who hold it; unlock_drop
 * wipes it with the last of them, and does nothing for NULL. */
FALLIBLE unlock_hold(struct unlock **u, const struct stat *file, struct err *err);
void unlock_drop(struct unlock *u);

/* unlock_ring opens a locked ring that was read from the file. The first failure is that of all
 * later calls too. */
FALLIBLE unlock_ring(struct unlock *u, const struct reference *at, struct ring *ring,
                     const struct keystore_env *env, struct err *err);

#endif
