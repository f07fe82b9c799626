#include "crypto/body.h"

#include <inttypes.h>
#include <stdlib.h>

#define BATCH 16 /* chunks at once: both buffers stay in the second-level cache */

/* Seals what was read: full chunks and, at the end of the source, the short one. */
static struct result seal_batch(struct cobblestone *c, uint64_t first, const uint8_t *in,
                                size_t size, uint8_t *out, size_t *sealed, struct err *err)
{
    size_t used = 0;
    bool last = size < (size_t)BATCH * COBBLESTONE_CHUNK_SIZE;

    while (size >= COBBLESTONE_CHUNK_SIZE || last) {
        size_t n = size < COBBLESTONE_CHUNK_SIZE ? size : COBBLESTONE_CHUNK_SIZE;
        if (!cobblestone_seal(c, first++, in, n, out + used, err).ok)
            return FAIL;
        used += n + AEAD_TAG_SIZE;
        in += n;
        size -= n;
        if (n < COBBLESTONE_CHUNK_SIZE)
            break;
    }
    *sealed = used;
    return OK;
}

static struct result seal_all(struct cobblestone *c, struct source *source, struct sink *sink,
                              uint8_t *plain, uint8_t *sealed, uint64_t *size, struct err *err)
{
    const size_t room = (size_t)BATCH * COBBLESTONE_CHUNK_SIZE;
    uint64_t total = 0;
    size_t got, n;

    if (!sink_write(sink, c->prefix, COBBLESTONE_PREFIX_SIZE, err).ok)
        return FAIL;
    do {
        if (!source_read(source, plain, room, &got, err).ok ||
            !seal_batch(c, total / COBBLESTONE_CHUNK_SIZE, plain, got, sealed, &n, err).ok ||
            !sink_write(sink, sealed, n, err).ok)
            return FAIL;
        total += got;
    } while (got == room);
    *size = total;
    return OK;
}

/* Opens one sealed piece, which at the end of the source may be anything but a full chunk. */
static struct result open_piece(struct cobblestone *c, uint64_t chunk, const uint8_t *in,
                                size_t size, uint8_t *out, struct err *err)
{
    bool last = size < COBBLESTONE_SEALED_CHUNK_SIZE;

    if (last && size < AEAD_TAG_SIZE)
        return fail(err, ERR_DAMAGED,
                    "it ends before its last chunk: %zu bytes into chunk %" PRIu64, size, chunk);
    if (cobblestone_open(c, chunk, in, size, out, err).ok)
        return OK;
    if (err->class != ERR_DAMAGED)
        return FAIL;
    if (last)
        return fail(err, ERR_DAMAGED,
                    "chunk %" PRIu64 ", the last, does not authenticate: it is damaged or cut "
                    "short, or bytes were added",
                    chunk);
    return fail(err, ERR_DAMAGED, "chunk %" PRIu64 " does not authenticate", chunk);
}

/* Opens what was read up to the first piece that fails; *opened counts what may be released. */
static struct result open_batch(struct cobblestone *c, uint64_t first, const uint8_t *in,
                                size_t size, uint8_t *out, size_t *opened, struct err *err)
{
    *opened = 0;
    while (size > 0) {
        size_t n = size < COBBLESTONE_SEALED_CHUNK_SIZE ? size : COBBLESTONE_SEALED_CHUNK_SIZE;
        if (!open_piece(c, first++, in, n, out + *opened, err).ok)
            return FAIL;
        *opened += n - AEAD_TAG_SIZE;
        in += n;
        size -= n;
    }
    return OK;
}

static struct result open_all(struct cobblestone *c, struct source *source, struct sink *sink,
                              uint8_t *sealed, uint8_t *plain, uint64_t *size, struct err *err)
{
    const size_t room = (size_t)BATCH * COBBLESTONE_SEALED_CHUNK_SIZE;
    uint64_t total = 0;
    size_t got, n;

    do {
        if (!source_read(source, sealed, room, &got, err).ok)
            return FAIL;
        uint64_t chunk = total / COBBLESTONE_CHUNK_SIZE;
        struct result opened = open_batch(c, chunk, sealed, got, plain, &n, err);
        struct err write_err = {0};
        if (n > 0 && !sink_write(sink, plain, n, &write_err).ok) {
            *err = write_err;
            return FAIL;
        }
        if (!opened.ok)
            return FAIL;
        total += n;
        if (got < room && got % COBBLESTONE_SEALED_CHUNK_SIZE == 0)
            return fail(err, ERR_DAMAGED, "it ends before its last chunk, %" PRIu64,
                        total / COBBLESTONE_CHUNK_SIZE);
    } while (got == room);
    *size = total;
    return OK;
}

/* Both directions: two buffers, the pump, and the buffers freed. */
static struct result with_buffers(struct result (*pump)(struct cobblestone *, struct source *,
                                                        struct sink *, uint8_t *, uint8_t *,
                                                        uint64_t *, struct err *),
                                  struct cobblestone *c, struct source *source, struct sink *sink,
                                  uint64_t *size, struct err *err)
{
    uint8_t *in = malloc((size_t)BATCH * COBBLESTONE_SEALED_CHUNK_SIZE);
    uint8_t *out = malloc((size_t)BATCH * COBBLESTONE_SEALED_CHUNK_SIZE);
    struct result r = in == NULL || out == NULL ? fail(err, ERR_FAILED, "out of memory")
                                                : pump(c, source, sink, in, out, size, err);

    free(in);
    free(out);
    return r;
}

struct result body_seal(struct cobblestone *c, struct source *source, struct sink *sink,
                        uint64_t *size, struct err *err)
{
    return with_buffers(seal_all, c, source, sink, size, err);
}

struct result body_open(struct cobblestone *c, struct source *source, struct sink *sink,
                        uint64_t *size, struct err *err)
{
    return with_buffers(open_all, c, source, sink, size, err);
}
