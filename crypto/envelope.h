/* envelope: all that is needed to open a body, given a master key (docs/FORMAT.md sections 2 to 4).
 */
#ifndef BULLA_CRYPTO_ENVELOPE_H
#define BULLA_CRYPTO_ENVELOPE_H

#include "base/secret.h"
#include "base/stream.h"
#include "crypto/branch_key.h"
#include "crypto/xaes.h"

#define FORMAT_VERSION 2 /* of the envelope and of what is in it */

/* Caps: a region is 2^e bytes. */
#define REGION_EXPONENT_MIN 9
#define REGION_EXPONENT_MAX 18
/* A writer takes no less, so that a torn sector hurts only one copy, unless the body has fewer than
 * SMALL_BODY_MAX bytes. */
#define REGION_EXPONENT_USUAL 12
#define SMALL_BODY_MAX 65536
#define SLOTS_MAX 32
#define SEQUENCE_MAX (uint64_t) INT64_MAX /* what JSON readers can hold */
#define WRAPPED_KEY_SIZE (KEY_SIZE + XAES_OVERHEAD)
#define ENVELOPE_CONTEXT_SIZE (13 + SHA256_SIZE) /* "bulla/v2 body" || core hash */

/* struct envelope: {0} is empty and safe to free. */
struct envelope {
    struct core core;
    uint8_t core_hash[SHA256_SIZE];
    uint8_t branch_id[BRANCH_ID_SIZE];
    uint8_t wrapped_key[WRAPPED_KEY_SIZE];
    struct slot *slots; /* owned */
    size_t slot_count;
    uint8_t tag[SHA256_SIZE];
    unsigned exponent;
    uint64_t sequence;
};

#define ENVELOPE_CLEANUP __attribute__((cleanup(envelope_free)))

enum copy_state {
    COPY_GOOD,
    COPY_STALE, /* whole, but older than the other: a rewrap was interrupted */
    COPY_DAMAGED,
    COPY_UNSUPPORTED, /* whole, but of a kind this bulla does not know */
    COPY_DIFFERS      /* whole and as new as the other, but not the same: no bulla writes this */
};

/* struct envelope_health: what was found when an envelope was read. */
struct envelope_health {
    enum copy_state copy[2]; /* A, B */
    char fault[2][96];       /* what is wrong with a copy that is damaged or unsupported */
    unsigned used;           /* 0 = A, 1 = B */
};

#define ENVELOPE_MAGIC_SIZE 8

/* envelope_begins is true if bytes begin as every envelope does. */
bool envelope_begins(const uint8_t bytes[ENVELOPE_MAGIC_SIZE]);

/* envelope_size is the size of both copies in bytes. */
size_t envelope_size(const struct envelope *e);

/* envelope_new makes an envelope of a copy of a core, with sequence number 1 and no slots:
 * envelope_wrap comes next. */
FALLIBLE envelope_new(struct envelope *e, const struct core *core, struct err *err);

/* envelope_wrap wraps data_key (KEY_SIZE bytes) under a branch key and gives the envelope a copy of
 * its slots, and the tag. On failure *e is as it was. */
FALLIBLE envelope_wrap(struct envelope *e, const struct crypto *crypto,
                       const struct branch_key *branch_key, const struct secret *data_key,
                       const struct slot *slots, size_t slot_count, struct err *err);

/* envelope_unwrap opens the data key, which the caller frees; ERR_NO_KEY if branch_key, or its id,
 * is not that of the envelope. */
FALLIBLE envelope_unwrap(const struct envelope *e, const struct crypto *crypto,
                         const struct branch_key *branch_key, struct secret *data_key,
                         struct err *err);

/* envelope_tag computes the tag of the content; header and wrap of the slots that a key store may
 * move by itself count as empty. envelope_tag_fits compares it with the tag of the envelope. */
FALLIBLE envelope_tag(const struct envelope *e, const struct branch_key *branch_key,
                      uint8_t out[SHA256_SIZE], struct err *err);
FALLIBLE envelope_tag_fits(const struct envelope *e, const struct branch_key *branch_key,
                           bool *fits, struct err *err);

/* envelope_body_context writes the context of the body. */
struct view envelope_body_context(const struct envelope *e, uint8_t out[ENVELOPE_CONTEXT_SIZE]);

/* envelope_fit raises e->exponent to the smallest region that holds the envelope. */
FALLIBLE envelope_fit(struct envelope *e, struct err *err);

/* envelope_encode makes one copy of envelope_size(e) / 2 bytes, which the caller frees, after an
 * envelope_fit. */
FALLIBLE envelope_encode(const struct envelope *e, uint8_t **copy, struct err *err);

/* envelope_write writes both copies. */
FALLIBLE envelope_write(const struct envelope *e, struct sink *sink, struct err *err);

/* envelope_read reads both copies from the beginning of a source and leaves it at the first byte
 * after them. *other, which may be NULL, gets the copy that does not count if that is whole too and
 * has other bytes; else it stays empty. *health is filled in any case. ERR_DAMAGED if neither copy
 * is whole, ERR_FOREIGN if nothing there looks like one, ERR_UNSUPPORTED. */
FALLIBLE envelope_read(struct envelope *e, struct envelope *other, struct source *source,
                       struct envelope_health *health, struct err *err);

void envelope_free(struct envelope *e);

#endif
