/* body: a whole message from a source to a sink, by as many threads as there are to spare
 * (docs/FORMAT.md section 6).
 *
 * Memory is constant for a thread. What can be read or written at any place, is; else the bytes are
 * read and written in order, by one thread at a time. Plaintext that was opened goes to the sink
 * only when its chunk authenticated, but to a sink that takes any order before earlier chunks did.
 */
#ifndef BULLA_CRYPTO_BODY_H
#define BULLA_CRYPTO_BODY_H

#include "base/stream.h"
#include "base/threads.h"
#include "crypto/cobblestone.h"

#define BODY_THREADS_MAX 16 /* of one body */

/* struct body: what is to be done. */
struct body {
    /* The message the source holds, its prefix being read already; NULL = it holds plaintext. */
    const struct cobblestone *open;
    /* The message the sink is to get, prefix and all; NULL = plaintext. */
    const struct cobblestone *seal;
    struct source *source;
    struct sink *sink;
    struct crew *crew; /* threads to spare; NULL = the calling one does it all */
};

/* body_run reads the source to its end. *size is the number of bytes of plaintext. What the sink
 * got is the whole message only if this succeeds. ERR_DAMAGED names the first chunk that is not
 * authentic; a sink that takes bytes in order got all before it. */
FALLIBLE body_run(const struct body *b, uint64_t *size, struct err *err);

#endif
