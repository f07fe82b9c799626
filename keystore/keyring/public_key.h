/* public_key: the public key file, with which a host can seal and not open (docs/FORMAT.md section
 * 8).
 */
#ifndef BULLA_KEYSTORE_KEYRING_PUBLIC_KEY_H
#define BULLA_KEYSTORE_KEYRING_PUBLIC_KEY_H

#include "base/place.h"
#include "keystore/keyring/ring.h"
#include "keystore/keyring/slots.h"

struct public_key {
    char name[SLOT_KEY_NAME_MAX + 1];
    uint8_t id[SLOT_KEY_ID_SIZE];
    uint32_t version;
    uint64_t created; /* seconds since 1970 */
    uint8_t bytes[X25519_SIZE];
    struct stat file; /* that it was read from */
};

/* public_key_load reads a public key file, or what came by a descriptor; *is_public is false, and
 * no error, if it is something else. */
FALLIBLE public_key_load(struct public_key *key, const struct place *place, bool *is_public,
                         struct err *err);

/* public_key_text makes the text of a public key file, which the caller frees. */
FALLIBLE public_key_text(const struct public_key *key, char **text, struct err *err);

#endif
