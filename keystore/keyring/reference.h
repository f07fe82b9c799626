/* reference: how a user names a keyring, one of its keys, or one version of that. */
#ifndef BULLA_KEYSTORE_KEYRING_REFERENCE_H
#define BULLA_KEYSTORE_KEYRING_REFERENCE_H

#include "keystore/keyring/public_key.h"
#include "keystore/keyring/ring.h"

/* struct reference: PATH, PATH#NAME or PATH#NAME:VERSION, taken apart; {0} is empty. */
struct reference {
    char *path;
    char name[SLOT_KEY_NAME_MAX + 1]; /* empty = every key of the file */
    uint32_t version;                 /* 0 = every version, and the active one for wrapping */
};

#define REFERENCE_CLEANUP __attribute__((cleanup(reference_free)))

/* reference_split takes a reference apart; a '#' with nothing allowed after it is part of the
 * path. */
FALLIBLE reference_split(struct reference *r, const char *text, struct err *err);
void reference_free(struct reference *r);

/* reference_load takes a reference apart and reads the file it names: a keyring, or with *is_public
 * true a public key file. The key and the version that it names must be there. */
FALLIBLE reference_load(struct reference *at, const char *text, const struct keystore_env *env,
                        struct ring *ring, struct public_key *public_key, bool *is_public,
                        struct err *err);

/* reference_key gives the key that a reference means where there can be but one: the one that is
 * named, or the only one of the ring. */
FALLIBLE reference_key(const struct reference *at, const struct ring *ring, struct ring_key **out,
                       struct err *err);

/* reference_no_version is the error for a version that is not there. */
FALLIBLE reference_no_version(const struct reference *at, struct err *err);

/* reference_ask asks for the passphrase of a keyring; the caller frees it. */
FALLIBLE reference_ask(const struct reference *at, const struct keystore_env *env,
                       struct secret *passphrase, struct err *err);

/* reference_unlock_by opens a locked ring with that. */
FALLIBLE reference_unlock_by(const struct reference *at, struct ring *ring,
                             const struct keystore_env *env, const struct secret *passphrase,
                             struct err *err);

/* reference_unlock opens a locked ring with its passphrase, which it asks for. */
FALLIBLE reference_unlock(const struct reference *at, struct ring *ring,
                          const struct keystore_env *env, struct err *err);

#endif
