#include "crypto/body.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define BATCH 16 /* chunks at once: both buffers stay in the second-level cache */

#define BATCH_PLAIN ((size_t)BATCH * COBBLESTONE_CHUNK_SIZE)
#define BATCH_SEALED ((size_t)BATCH * COBBLESTONE_SEALED_CHUNK_SIZE)

/* Seals and writes what is in the buffer: full chunks, and with last true the short one behind
 * them. */
static struct result flush(struct body_sealer *b, bool last, struct err *err)
{
    size_t done = 0, used = 0;

    while (b->have - done >= COBBLESTONE_CHUNK_SIZE || last) {
        size_t left = b->have - done;
        size_t n = left < COBBLESTONE_CHUNK_SIZE ? left : COBBLESTONE_CHUNK_SIZE;
        uint64_t chunk = (b->size + done) / COBBLESTONE_CHUNK_SIZE;
        if (!cobblestone_seal(b->c, chunk, b->plain + done, n, b->sealed + used, err).ok)
            return FAIL;
        used += n + AEAD_TAG_SIZE;
        done += n;
        if (n < COBBLESTONE_CHUNK_SIZE)
            break;
    }
    b->size += done;
    b->have = 0;
    return sink_write(b->out, b->sealed, used, err);
}

static struct result sealer_write(struct sink *self, const void *bytes, size_t size,
                                  struct err *err)
{
    struct body_sealer *b = (struct body_sealer *)self;
    const uint8_t *at = bytes;

    while (size > 0) {
        size_t room = BATCH_PLAIN - b->have, n = size < room ? size : room;
        memcpy(b->plain + b->have, at, n);
        b->have += n;
        at += n;
        size -= n;
        if (b->have == BATCH_PLAIN && !flush(b, false, err).ok)
            return FAIL;
    }
    return OK;
}

struct result body_sealer_start(struct body_sealer *b, struct cobblestone *c, struct sink *out,
                                struct err *err)
{
    *b = (struct body_sealer){.sink = {sealer_write},
                              .c = c,
                              .out = out,
                              .plain = malloc(BATCH_PLAIN),
                              .sealed = malloc(BATCH_SEALED)};
    if (b->plain == NULL || b->sealed == NULL)
        return fail(err, ERR_FAILED, "out of memory");
    return sink_write(out, c->prefix, COBBLESTONE_PREFIX_SIZE, err);
}

struct result body_sealer_finish(struct body_sealer *b, struct err *err)
{
    return flush(b, true, err);
}

void body_sealer_end(struct body_sealer *b)
{
    if (b->plain != NULL)
        sodium_memzero(b->plain, BATCH_PLAIN);
    free(b->plain);
    free(b->sealed);
    *b = (struct body_sealer){0};
}

struct result body_seal(struct cobblestone *c, struct source *source, struct sink *sink,
                        uint64_t *size, struct err *err)
{
    struct body_sealer b BODY_SEALER_CLEANUP = {0};

    if (!body_sealer_start(&b, c, sink, err).ok)
        return FAIL;
    for (;;) {
        if (!source_read(source, b.plain, BATCH_PLAIN, &b.have, err).ok)
            return FAIL;
        if (b.have < BATCH_PLAIN)
            break;
        if (!flush(&b, false, err).ok)
            return FAIL;
    }
    if (!body_sealer_finish(&b, err).ok)
        return FAIL;
    *size = b.size;
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
    uint64_t total = 0;
    size_t got, n;

    do {
        if (!source_read(source, sealed, BATCH_SEALED, &got, err).ok)
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
        if (got < BATCH_SEALED && got % COBBLESTONE_SEALED_CHUNK_SIZE == 0)
            return fail(err, ERR_DAMAGED, "it ends before its last chunk, %" PRIu64,
                        total / COBBLESTONE_CHUNK_SIZE);
    } while (got == BATCH_SEALED);
    *size = total;
    return OK;
}

struct result body_open(struct cobblestone *c, struct source *source, struct sink *sink,
                        uint64_t *size, struct err *err)
{
    uint8_t *sealed = malloc(BATCH_SEALED), *plain = malloc(BATCH_PLAIN);
    struct result r = sealed == NULL || plain == NULL
                          ? fail(err, ERR_FAILED, "out of memory")
                          : open_all(c, source, sink, sealed, plain, size, err);

    if (plain != NULL)
        sodium_memzero(plain, BATCH_PLAIN);
    free(sealed);
    free(plain);
    return r;
}
