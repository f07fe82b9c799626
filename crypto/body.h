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
#define BODY_BATCH 16 /* chunks that a thread does at once: they stay in its second-level cache */

/* Bytes that a thread works in: a batch, and the same sealed. */
#define BODY_BLOCK_SIZE                                                                            \
    ((size_t)BODY_BATCH * (COBBLESTONE_CHUNK_SIZE + COBBLESTONE_SEALED_CHUNK_SIZE))

/* struct body_range: a part of the plaintext, in bytes. What lies beyond the end is left out. */
struct body_range {
    uint64_t offset; /* from the beginning, or with from_end how far before the end */
    bool from_end;
    uint64_t length; /* UINT64_MAX = up to the end */
};

/* struct body: what is to be done. */
struct body {
    /* The message the source holds, its prefix being read already; NULL = it holds plaintext. */
    struct cobblestone *open;
    /* The message the sink is to get, prefix and all; NULL = plaintext. */
    struct cobblestone *seal;
    struct source *source;
    struct sink *sink;
    struct crew *crew; /* the calling thread works too; blocks of BODY_BLOCK_SIZE */

    /* Only with open and without seal: what is to be opened; NULL = all. The source must be a file;
     * only the chunks that are needed are read, and the last one, which proves the size. */
    const struct body_range *range;
};

/* body_run reads the source to its end. *size is the number of bytes of plaintext. What the sink
 * got is the whole message only if this succeeds. ERR_DAMAGED names the first chunk that is not
 * authentic; a sink that takes bytes in order got all before it. */
FALLIBLE body_run(const struct body *b, uint64_t *size, struct err *err);

#endif
