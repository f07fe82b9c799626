/* rewrap: other master keys or key versions for a sealed file. The core, the data key and the body
 * stay as they are, and the body is neither read nor written. */
#ifndef BULLA_LIBBULLA_REWRAP_H
#define BULLA_LIBBULLA_REWRAP_H

#include "libbulla/open.h"

#define WRAP_CACHE_MAX 256

/* struct wrap_cache: what was wrapped in this run, so that a branch key is wrapped once by each
 * key. */
struct wrap_cache {
    struct wrapped {
        const struct master_key *key;
        uint8_t what[SHA256_SIZE]; /* hash of id, context, and branch key or old slot */
        struct slot slot;
    } * entries; /* WRAP_CACHE_MAX, or NULL */
    size_t count, next;
};

/* struct rewrap: what is to be done. Without any of the three sets, every slot of one of the
 * session's keys moves to that key's active version. {0} is empty and safe to end. */
struct rewrap {
    struct session *session;   /* its keys open */
    struct keyset to;          /* exactly these */
    struct keyset add, remove; /* these more, these no more */
    bool dry_run, preserve_times;

    pthread_mutex_t lock; /* for what follows */
    struct wrap_cache cache;
    uint64_t wraps; /* calls to a master key that made a slot */
};

enum rewrapped {
    REWRAP_CURRENT, /* nothing was to be done */
    REWRAP_OTHER,   /* neither, for it is sealed to other keys */
    REWRAP_DONE,    /* in place, or for a detached envelope by a new file */
    REWRAP_GREW     /* by a copy with larger regions */
};

/* rewrap_start comes before rewrap_file, once all sets are there: it asks the keys what that goes
 * by. */
FALLIBLE rewrap_start(struct rewrap *r, struct err *err);

/* rewrap_file rewraps one file. Where a key store can move a slot from one of its keys to another
 * by itself, the branch key does not come here. ERR_POLICY if no key would be left; ERR_NO_KEY if a
 * wrap is needed and none of the session's keys opens the file. At every instant the file opens
 * with the keys it had or with those it gets. */
FALLIBLE rewrap_file(struct rewrap *r, const struct place *file, enum rewrapped *outcome,
                     struct err *err);

void rewrap_end(struct rewrap *r);

#endif
