/* branch: branch keys, so that one call to a master key serves a whole run. */
#ifndef BULLA_KEYSTORE_BRANCH_H
#define BULLA_KEYSTORE_BRANCH_H

#include "crypto/envelope.h"
#include "keystore/registry.h"

/* struct branch: a branch key with its wraps, for sealing; {0} is empty and safe to free. */
struct branch {
    uint8_t id[BRANCH_ID_SIZE];
    struct secret key;
    struct context context; /* that the wraps are bound to */
    struct slot *slots;     /* one for each master key */
    size_t slot_count;
};

#define BRANCH_CLEANUP __attribute__((cleanup(branch_free)))

/* branch_new draws a branch key and wraps it by every key of the set. */
FALLIBLE branch_new(struct branch *b, const struct keyset *keys, const struct context *context,
                    struct err *err);
void branch_free(struct branch *b);

/* branch_wrap wraps a branch key by one master key, and where that can unwrap, sees that it does.
 */
FALLIBLE branch_wrap(struct master_key *key, const struct branch_identity *identity,
                     const struct secret *branch_key, struct slot *slot, struct err *err);

/* branch_unwrap_own unwraps a slot that was just made of a branch key. UNWRAP_OPENED only if that
 * comes back: another is UNWRAP_FAILED. */
enum unwrapped branch_unwrap_own(struct master_key *key, const struct branch_identity *identity,
                                 const struct slot *slot, const struct secret *branch_key,
                                 struct err *err);

/* struct branch_cache: the branch keys that were opened in this run, by id; {0} is empty. */
struct branch_cache {
    struct secret keys; /* BRANCH_CACHE_MAX of KEY_SIZE */
    uint8_t (*ids)[BRANCH_ID_SIZE];
    size_t count, next;
    uint64_t unwraps; /* calls to a master key that gave a key */
};

#define BRANCH_CACHE_CLEANUP __attribute__((cleanup(branch_cache_free)))

/* branch_open opens the branch key (not given out if branch_key is NULL) and the data key of an
 * envelope by any key of the set and any slot, asking a master key only if no cached branch key
 * does. ERR_NO_KEY, in the same words whatever the reason, if none does; but if a store failed on
 * the way (ERR_STORE, ERR_POLICY), its error. */
FALLIBLE branch_open(struct branch_cache *cache, const struct crypto *crypto,
                     const struct keyset *keys, const struct envelope *e, struct secret *branch_key,
                     struct secret *data_key, struct err *err);

/* branch_remember lets the cache open what a branch of this run sealed. */
FALLIBLE branch_remember(struct branch_cache *cache, const struct branch *b, struct err *err);
void branch_cache_free(struct branch_cache *cache);

#endif
