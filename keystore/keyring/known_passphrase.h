/* known_passphrase: passphrases of keyring files while keys of them are open, so that one is asked
 * for once and a wrong one never tried twice, whatever references name the file. Several threads
 * may use it.
 */
#ifndef BULLA_KEYSTORE_KEYRING_KNOWN_PASSPHRASE_H
#define BULLA_KEYSTORE_KEYRING_KNOWN_PASSPHRASE_H

#include "keystore/keyring/reference.h"

struct known_passphrase;

/* known_passphrase_hold gives what is known of a file's passphrase, the same to all who hold it;
 * known_passphrase_drop wipes it with the last of them, and does nothing for NULL. */
FALLIBLE known_passphrase_hold(struct known_passphrase **u, const struct stat *file,
                               struct err *err);
void known_passphrase_drop(struct known_passphrase *u);

/* known_passphrase_ring opens a locked ring that was read from the file. The first failure is that
 * of all later calls too. */
FALLIBLE known_passphrase_ring(struct known_passphrase *u, const struct reference *at,
                               struct ring *ring, const struct keystore_env *env, struct err *err);

#endif
