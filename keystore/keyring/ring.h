/* ring: named master keys with numbered versions, as a keyring file has them (docs/FORMAT.md
 * section 8). */
#ifndef BULLA_KEYSTORE_KEYRING_RING_H
#define BULLA_KEYSTORE_KEYRING_RING_H

#include "base/secret.h"
#include "crypto/hpke.h"
#include "crypto/passphrase_kdf.h"
#include "crypto/xaes.h"
#include "keystore/keyring/slots.h"
#include "keystore/keystore.h"

#define RING_KEYS_MAX 1024
#define RING_VERSIONS_MAX 1024

#define RING_WRAPPED_SIZE (KEY_SIZE + XAES_OVERHEAD)
#define RING_CHECK_SIZE 4

enum ring_kind {
    RING_SYMMETRIC, /* 32 random bytes */
    RING_X25519     /* an X25519 private key: hosts that have the public one alone can seal */
};

struct ring_version {
    uint32_t number;
    enum key_state state;
    uint64_t created;                   /* seconds since 1970 */
    struct secret key;                  /* KEY_SIZE bytes; empty if destroyed or locked */
    uint8_t wrapped[RING_WRAPPED_SIZE]; /* the same under the passphrase, if the ring has one */
    uint8_t check[RING_CHECK_SIZE];
    uint8_t public_key[KEY_SIZE]; /* of RING_X25519 */
};

struct ring_key {
    char name[SLOT_KEY_NAME_MAX + 1];
    uint8_t id[SLOT_KEY_ID_SIZE];
    enum ring_kind kind;
    uint64_t created;
    uint32_t rotate_after;         /* days; 0 = not stated */
    struct ring_version *versions; /* ascending by number */
    size_t version_count;
};

/* struct ring: {0} is empty and safe to free. */
struct ring {
    struct ring_key *keys;
    size_t key_count;
    struct stat file;     /* that it was read from */
    bool protected;       /* by a passphrase */
    struct kdf_cost cost; /* of it */
    struct secret kek;    /* the key from it; empty while the ring is locked */
};

#define RING_CLEANUP __attribute__((cleanup(ring_free)))

bool ring_name_allowed(const char *name);

/* ring_kind_name and ring_kind_by_name go between a kind and how the file and the user name it. */
const char *ring_kind_name(enum ring_kind kind);
bool ring_kind_by_name(const char *name, enum ring_kind *kind);

/* ring_locked is true while the ring's passphrase is needed to use its keys. */
bool ring_locked(const struct ring *ring);

/* ring_unlock opens the keys of a locked ring; ERR_NO_KEY if the passphrase is wrong. */
FALLIBLE ring_unlock(struct ring *ring, const struct crypto *crypto,
                     const struct secret *passphrase, uint32_t allowed_kib, struct err *err);

/* ring_protect puts the keys of an unlocked ring under a new passphrase, or under none if it is
 * NULL. */
FALLIBLE ring_protect(struct ring *ring, const struct crypto *crypto,
                      const struct secret *passphrase, struct err *err);

/* ring_add adds a key with one fresh active version to an unlocked ring; ERR_FAILED if the name is
 * taken. */
FALLIBLE ring_add(struct ring *ring, const struct crypto *crypto, const char *name,
                  enum ring_kind kind, uint32_t rotate_after, uint64_t now, struct err *err);

/* ring_rotate adds a fresh active version to a key of an unlocked ring; the one that was active
 * retires. */
FALLIBLE ring_rotate(struct ring *ring, const struct crypto *crypto, struct ring_key *key,
                     uint64_t now, struct err *err);

/* ring_change moves a version to another state, wiping its key if it is destroyed; ERR_POLICY if
 * its state does not allow that. */
FALLIBLE ring_change(struct ring_key *key, struct ring_version *version, enum key_change change,
                     struct err *err);

/* ring_find gives the key of a name or an id, or NULL. */
struct ring_key *ring_find(const struct ring *ring, const char *name);
struct ring_key *ring_find_id(const struct ring *ring, const uint8_t id[SLOT_KEY_ID_SIZE]);

/* ring_active gives the version that wraps, ring_version a version by its number; or NULL. */
struct ring_version *ring_active(const struct ring_key *key);
struct ring_version *ring_version(const struct ring_key *key, uint32_t number);

/* ring_highest gives the highest number of a version that the ring knows, a destroyed one too. */
uint32_t ring_highest(const struct ring_key *key);

/* ring_destroyed counts the versions of all keys that are destroyed. */
size_t ring_destroyed(const struct ring *ring);

/* ring_check_pair is ERR_DAMAGED if the public key of a version is not that of its private key. */
FALLIBLE ring_check_pair(enum ring_kind kind, const struct ring_version *v, struct err *err);

/* ring_public_check computes the check value of a public key, with all that a slot says of it. */
void ring_public_check(const uint8_t id[SLOT_KEY_ID_SIZE], uint32_t version,
                       const uint8_t public_key[X25519_SIZE], uint8_t out[RING_CHECK_SIZE]);

/* ring_check_value computes the check value of a version's key. */
void ring_check_value(const struct secret *key, uint8_t out[RING_CHECK_SIZE]);

void ring_free(struct ring *ring);

#endif
