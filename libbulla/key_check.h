/* key_check: whether a master key wraps and unwraps. */
#ifndef BULLA_LIBBULLA_KEY_CHECK_H
#define BULLA_LIBBULLA_KEY_CHECK_H

#include "libbulla/session.h"

/* struct check: what a key did. */
struct check {
    bool wraps, unwraps;
    struct err wrap_failed, unwrap_failed; /* why not, where it did not */
};

/* key_check wraps a branch key that nothing else uses by the key, and unwraps it again. What fails
 * is told in *c; only the want of memory or randomness is a failure. */
FALLIBLE key_check(struct check *c, struct master_key *key, struct err *err);

#endif
