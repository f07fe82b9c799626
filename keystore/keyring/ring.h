/* ring: the keyring file, a JSON text for one owner only (docs/FORMAT.md section 8). */
#ifndef BULLA_KEYSTORE_KEYRING_RING_H
#define BULLA_KEYSTORE_KEYRING_RING_H

#include "base/place.h"
#include "base/secret.h"
#include "keystore/keystore.h"

#define RING_FILE_MAX 262144 /* bytes */
#define RING_KEYS_MAX 1024
#define RING_VERSIONS_MAX 1024
#define RING_NAME_MAX 64
#define RING_ID_SIZE 16
#define RING_DAYS_MAX 36500

struct ring_version {
    uint32_t number;
    enum key_state state;
    uint64_t created;  /* seconds since 1970 */
    struct secret key; /* KEY_SIZE bytes; empty if destroyed */
};

struct ring_key {
    char name[RING_NAME_MAX + 1];
    uint8_t id[RING_ID_SIZE];
    uint64_t created;
    uint32_t rotate_after;         /* days; 0 = not stated */
    struct ring_version *versions; /* ascending by number */
    size_t version_count;
};

/* struct ring: {0} is empty and safe to free. */
struct ring {
    struct ring_key *keys;
    size_t key_count;
};

#define RING_CLEANUP __attribute__((cleanup(ring_free)))

bool ring_name_allowed(const char *name);

/* ring_load reads a keyring. One that is not a regular file, not ours, or open to others is refused
 * (ERR_POLICY); one that is not a keyring is ERR_DAMAGED. *st, if not NULL, tells which file it is.
 */
FALLIBLE ring_load(struct ring *ring, const struct place *place, struct stat *st, struct err *err);

/* ring_save writes a keyring, whole or not at all, for the owner only. Without replace nothing may
 * be at the place. */
FALLIBLE ring_save(const struct ring *ring, const struct place *place, bool replace,
                   struct err *err);

/* ring_add adds a key with one fresh active version; ERR_FAILED if the name is taken. */
FALLIBLE ring_add(struct ring *ring, const char *name, uint64_t now, uint32_t rotate_after,
                  struct err *err);

/* ring_rotate adds a fresh active version to a key; the one that was active retires. */
FALLIBLE ring_rotate(struct ring_key *key, uint64_t now, struct err *err);

/* ring_change moves a version to another state, wiping its key if it is destroyed; ERR_POLICY if
 * its state does not allow that. */
FALLIBLE ring_change(struct ring_key *key, struct ring_version *version, enum key_change change,
                     struct err *err);

/* ring_find gives the key of a name or an id, or NULL. */
struct ring_key *ring_find(const struct ring *ring, const char *name);
struct ring_key *ring_find_id(const struct ring *ring, const uint8_t id[RING_ID_SIZE]);

/* ring_active gives the version that wraps, ring_version a version by its number; or NULL. */
struct ring_version *ring_active(const struct ring_key *key);
struct ring_version *ring_version(const struct ring_key *key, uint32_t number);

void ring_free(struct ring *ring);

#endif
