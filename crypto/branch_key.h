/* branch_key: what is derived from a branch key and the context of a file (docs/FORMAT.md section
 * 4).
 *
 * Because the id is derived from both, a branch has one context, and no slot can open to two keys.
 */
#ifndef BULLA_CRYPTO_BRANCH_KEY_H
#define BULLA_CRYPTO_BRANCH_KEY_H

#include "base/secret.h"
#include "crypto/envelope_core.h"
#include "crypto/slot.h"

/* struct branch_key: {0} is empty and safe to free. */
struct branch_key {
    struct secret key;     /* KEY_SIZE bytes: what slots wrap */
    struct secret derived; /* wrap key || branch id || tag key */
};

#define BRANCH_KEY_CLEANUP __attribute__((cleanup(branch_key_free)))

/* branch_key_derive makes *b of a copy of key (KEY_SIZE bytes) and a context; the caller frees it.
 */
FALLIBLE branch_key_derive(struct branch_key *b, const struct crypto *crypto,
                           const struct secret *key, const struct context *context,
                           struct err *err);

/* branch_key_id gives the id that an envelope shows, BRANCH_ID_SIZE bytes of *b. */
const uint8_t *branch_key_id(const struct branch_key *b);

/* branch_key_wrap_key and branch_key_tag_key give KEY_SIZE bytes of *b: what wraps data keys, and
 * what authenticates an envelope's slots. */
const uint8_t *branch_key_wrap_key(const struct branch_key *b);
const uint8_t *branch_key_tag_key(const struct branch_key *b);

void branch_key_free(struct branch_key *b);

#endif
