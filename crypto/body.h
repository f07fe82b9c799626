/* body: a whole message from a source to a sink, chunk by chunk (docs/FORMAT.md section 6).
 *
 * Memory is constant. Sizes are bytes of plaintext. */
#ifndef BULLA_CRYPTO_BODY_H
#define BULLA_CRYPTO_BODY_H

#include "base/stream.h"
#include "crypto/cobblestone.h"

/* body_seal reads the source to its end and writes prefix and chunks. */
FALLIBLE body_seal(struct cobblestone *c, struct source *source, struct sink *sink, uint64_t *size,
                   struct err *err);

/* struct body_sealer: the same as a sink, for plaintext that is pushed; {0} is empty and safe to
 * end. Write to its sink after body_sealer_start, then body_sealer_finish. */
struct body_sealer {
    struct sink sink;
    struct cobblestone *c;
    struct sink *out;
    uint8_t *plain, *sealed;
    size_t have;   /* bytes in plain */
    uint64_t size; /* all so far */
};

#define BODY_SEALER_CLEANUP __attribute__((cleanup(body_sealer_end)))

FALLIBLE body_sealer_start(struct body_sealer *b, struct cobblestone *c, struct sink *out,
                           struct err *err);
FALLIBLE body_sealer_finish(struct body_sealer *b, struct err *err);
void body_sealer_end(struct body_sealer *b);

/* body_open reads the chunks, the prefix being read already, to the end of the source. The sink
 * gets only plaintext that authenticated, in order; what it got is the whole message only if this
 * succeeds. ERR_DAMAGED names the chunk. */
FALLIBLE body_open(struct cobblestone *c, struct source *source, struct sink *sink, uint64_t *size,
                   struct err *err);

#endif
