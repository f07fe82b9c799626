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

/* body_open reads the chunks, the prefix being read already, to the end of the source. The sink
 * gets only plaintext that authenticated, in order; what it got is the whole message only if this
 * succeeds. ERR_DAMAGED names the chunk. */
FALLIBLE body_open(struct cobblestone *c, struct source *source, struct sink *sink, uint64_t *size,
                   struct err *err);

#endif
