#include "crypto/body.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdlib.h>

#define HELP_AFTER 4u /* batches that a thread does before it asks for help: 1 MiB */

#define BATCH_PLAIN ((size_t)BODY_BATCH * COBBLESTONE_CHUNK_SIZE)
#define BATCH_SEALED ((size_t)BODY_BATCH * COBBLESTONE_SEALED_CHUNK_SIZE)

#define STACK_LEFT 8192 /* bytes that may hold what a cipher left of its key */

#define NO_BATCH UINT64_MAX

/* struct run: what the threads of one body share. Batches are counted from 0; every batch but the
 * last is full, and that never is. */
struct run {
    const struct body *body;
    size_t in_size, out_size; /* bytes of a full batch */
    bool read_anywhere, write_anywhere;
    uint64_t offset, extent; /* of the source, if it is read anywhere */

    /* For a range: the first chunk of the first batch, the bytes of it that are not wanted, and the
     * number of bytes wanted after those. */
    uint64_t first_chunk, skip, wanted;

    pthread_mutex_t reading; /* for these two, and for a source that is read in order */
    uint64_t next;
    bool ended; /* there is no next batch */

    pthread_mutex_t lock; /* for what follows */
    pthread_cond_t turned;
    uint64_t turn;   /* the batch that is written next, in order */
    uint64_t failed; /* the first batch that did, or NO_BATCH */
    struct err err;  /* of that */
    uint64_t plain;  /* bytes so far */

    struct helper { /* the first thread alone starts and joins them */
        pthread_t thread;
        bool started;
        atomic_bool ended;
    } helpers[BODY_THREADS_MAX - 1];
};

/* struct worker: what a thread has of its own. */
struct worker {
    struct run *run;
    struct cobblestone *open, *seal;       /* those of the body, */
    struct cobblestone own_open, own_seal; /* or for a helper copies */
    struct helper *helper;                 /* NULL for the first thread */
    size_t touched;                        /* the rest of the buffer never held plaintext */
    uint8_t *plain, *sealed;               /* a block; what is sealed came in there or goes out */
};

/* struct batch: one batch in progress. */
struct batch {
    uint64_t index;
    size_t in, plain; /* bytes */
    const uint8_t *out;
    size_t out_size;
    bool last;
};

static bool has_failed_before(struct run *r, uint64_t index)
{
    pthread_mutex_lock(&r->lock);
    bool failed = r->failed < index;
    pthread_mutex_unlock(&r->lock);
    return failed;
}

/* Only the failure of the first batch counts, so that it is the same with any number of threads. */
static void set_failed(struct run *r, uint64_t index, const struct err *err)
{
    pthread_mutex_lock(&r->lock);
    if (index < r->failed) {
        r->failed = index;
        r->err = *err;
    }
    pthread_cond_broadcast(&r->turned);
    pthread_mutex_unlock(&r->lock);
}

/* Reads the next batch; false if there is none, or it could not be read. */
static bool take(struct worker *w, struct batch *b)
{
    struct run *r = w->run;
    uint8_t *into = r->body->open != NULL ? w->sealed : w->plain;
    struct result got = OK;
    struct err err = {0};

    *b = (struct batch){.in = r->in_size};
    pthread_mutex_lock(&r->reading);
    bool none = r->ended || has_failed_before(r, NO_BATCH);
    if (!none) {
        b->index = r->next++;
        if (r->read_anywhere) {
            uint64_t left = r->extent - b->index * r->in_size;
            b->in = left < r->in_size ? (size_t)left : r->in_size;
        } else {
            got = source_read(r->body->source, into, r->in_size, &b->in, &err);
        }
        b->last = r->body->range == NULL && b->in < r->in_size;
        r->ended = b->in < r->in_size || !got.ok;
    }
    pthread_mutex_unlock(&r->reading);
    if (!none && r->read_anywhere)
        got = source_read_at(r->body->source, r->offset + b->index * r->in_size, into, b->in, &err);
    size_t most = got.ok ? b->in : r->in_size;
    w->touched = most > w->touched ? most : w->touched;
    if (!got.ok)
        set_failed(r, b->index, &err);
    return !none && got.ok;
}

/* Opens one sealed piece: a full chunk, or anything shorter at the end of the source. */
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

/* Opens a batch up to the first piece that fails; b->plain counts what may be released. */
static struct result open_batch(struct worker *w, struct batch *b, struct err *err)
{
    uint64_t chunk = w->run->first_chunk + b->index * BODY_BATCH;
    const uint8_t *in = w->sealed;
    size_t left = b->in;

    while (left > 0) {
        size_t n = left < COBBLESTONE_SEALED_CHUNK_SIZE ? left : COBBLESTONE_SEALED_CHUNK_SIZE;
        if (!open_piece(w->open, chunk++, in, n, w->plain + b->plain, err).ok)
            return FAIL;
        b->plain += n - AEAD_TAG_SIZE;
        in += n;
        left -= n;
    }
    if (b->last && b->in % COBBLESTONE_SEALED_CHUNK_SIZE == 0)
        return fail(err, ERR_DAMAGED, "it ends before its last chunk, %" PRIu64, chunk);
    return OK;
}

/* Seals full chunks, and in the last batch the short one after them. */
static struct result seal_batch(struct worker *w, struct batch *b, struct err *err)
{
    uint64_t chunk = b->index * BODY_BATCH;
    size_t done = 0, n = COBBLESTONE_CHUNK_SIZE;

    while (n == COBBLESTONE_CHUNK_SIZE && (b->last || done < b->plain)) {
        n = b->plain - done < COBBLESTONE_CHUNK_SIZE ? b->plain - done : COBBLESTONE_CHUNK_SIZE;
        if (!cobblestone_seal(w->seal, chunk++, w->plain + done, n, w->sealed + b->out_size, err)
                 .ok)
            return FAIL;
        done += n;
        b->out_size += n + AEAD_TAG_SIZE;
    }
    return OK;
}

/* Cuts an opened batch to the bytes that are wanted. */
static void cut_to_range(const struct run *r, struct batch *b)
{
    uint64_t at = b->index * BATCH_PLAIN, end = r->skip + r->wanted;
    size_t before = at < r->skip ? (size_t)(r->skip - at) : 0; /* only in the first batch */

    before = before < b->plain ? before : b->plain;
    uint64_t left = end - at - before;
    b->out += before;
    b->plain -= before;
    b->plain = b->plain < left ? b->plain : (size_t)left;
    b->out_size = b->plain;
}

/* Turns what was read into what is to be written. If it fails, b->out is what may still be written.
 */
static struct result convert(struct worker *w, struct batch *b, struct err *err)
{
    const struct body *body = w->run->body;
    struct result r = OK;

    if (body->open != NULL)
        r = open_batch(w, b, err);
    else
        b->plain = b->in;
    if (body->seal == NULL) {
        b->out = w->plain;
        b->out_size = b->plain;
        if (body->range != NULL)
            cut_to_range(w->run, b);
        return r;
    }
    b->out = w->sealed;
    return r.ok ? seal_batch(w, b, err) : FAIL;
}

/* Writes a batch in its turn, unless an earlier one failed. */
static void put_in_turn(struct run *r, const struct batch *b)
{
    struct result put = OK;
    struct err err = {0};

    pthread_mutex_lock(&r->lock);
    while (r->turn != b->index && r->failed >= b->index)
        pthread_cond_wait(&r->turned, &r->lock);
    bool mine = r->turn == b->index && r->failed >= b->index;
    pthread_mutex_unlock(&r->lock);
    if (!mine)
        return;
    if (b->out_size > 0)
        put = sink_write(r->body->sink, b->out, b->out_size, &err);
    pthread_mutex_lock(&r->lock);
    if (!put.ok) { /* says more than what is wrong with the rest of this batch */
        r->failed = b->index;
        r->err = err;
    }
    r->turn++;
    pthread_cond_broadcast(&r->turned);
    pthread_mutex_unlock(&r->lock);
}

static void put_anywhere(struct run *r, const struct batch *b)
{
    uint64_t at = b->index > 0 ? b->index * r->out_size - r->skip : 0;
    struct err err = {0};

    if (b->out_size > 0 && !sink_write_at(r->body->sink, at, b->out, b->out_size, &err).ok)
        set_failed(r, b->index, &err);
}

static void work(struct worker *w);

/* A thread's own keys and memory. */
static struct result worker_begin(struct worker *w, struct run *r, struct err *err)
{
    *w = (struct worker){.run = r, .open = r->body->open, .seal = r->body->seal};
    w->plain = buffer_pool_take(&r->body->crew->blocks);
    if (w->plain == NULL)
        return fail_memory(err);
    w->sealed = w->plain + BATCH_PLAIN;
    return OK;
}

static void worker_end(struct worker *w)
{
    cobblestone_end(&w->own_open);
    cobblestone_end(&w->own_seal);
    if (w->plain != NULL)
        sodium_memzero(w->plain, w->touched < BATCH_PLAIN ? w->touched : BATCH_PLAIN);
    buffer_pool_give(&w->run->body->crew->blocks, w->plain);
}

/* A helper has copies of the keys; they are made while the first thread does not use its own. */
static struct result helper_begin(struct worker *w, struct run *r, struct err *err)
{
    if (!worker_begin(w, r, err).ok)
        return FAIL;
    if (w->open != NULL && !cobblestone_copy(&w->own_open, w->open, err).ok)
        return FAIL;
    if (w->seal != NULL && !cobblestone_copy(&w->own_seal, w->seal, err).ok)
        return FAIL;
    w->open = w->open != NULL ? &w->own_open : NULL;
    w->seal = w->seal != NULL ? &w->own_seal : NULL;
    return OK;
}

static void helper_end(struct worker *w)
{
    worker_end(w);
    free(w);
}

/* Whether a helper makes room for a thread that works without having asked. */
static bool is_one_too_many(const struct worker *w)
{
    return w->helper != NULL && crew_leave(w->run->body->crew);
}

static void *help(void *arg)
{
    struct worker *w = arg;
    struct helper *helper = w->helper;

    work(w);
    helper_end(w);
    atomic_store(&helper->ended, true);
    return NULL;
}

/* A place for a helper, never used or free again; NULL if as many work as may. */
static struct helper *free_place(struct run *r)
{
    for (size_t i = 0; i < BODY_THREADS_MAX - 1; i++) {
        struct helper *h = &r->helpers[i];
        if (h->started && !atomic_load(&h->ended))
            continue;
        if (h->started)
            pthread_join(h->thread, NULL);
        h->started = false;
        atomic_store(&h->ended, false);
        return h;
    }
    return NULL;
}

/* Starts another thread if one is free. If memory is short, there is one thread less. */
static void ask_for_help(struct run *r)
{
    struct helper *h = free_place(r);
    struct err err;

    if (h == NULL || !crew_take(r->body->crew))
        return;
    struct worker *w = calloc(1, sizeof *w);
    if (w != NULL && helper_begin(w, r, &err).ok) {
        w->helper = h;
        h->started = thread_start(&h->thread, help, w, &err).ok;
    }
    if (h->started)
        return;
    if (w != NULL)
        helper_end(w);
    crew_give(r->body->crew);
}

/* Does batches until there are no more. */
static void work(struct worker *w)
{
    struct run *r = w->run;
    struct batch b;

    for (uint64_t done = 1; take(w, &b); done++) {
        struct err err = {0};
        bool converted = convert(w, &b, &err).ok;
        sodium_stackzero(STACK_LEFT);
        if (!converted)
            set_failed(r, b.index, &err);
        if (r->write_anywhere)
            put_anywhere(r, &b);
        else
            put_in_turn(r, &b);
        pthread_mutex_lock(&r->lock);
        r->plain += b.plain;
        pthread_mutex_unlock(&r->lock);
        if (w->helper == NULL && done >= HELP_AFTER && !b.last) {
            ask_for_help(r);
            sodium_stackzero(STACK_LEFT); /* libc saves the vector registers where it links */
        }
        if (is_one_too_many(w))
            return;
    }
    crew_give(r->body->crew);
}

/* Authenticates the last chunk, and so the size of the plaintext. */
static struct result prove_size(struct worker *w, uint64_t *size, struct err *err)
{
    const struct run *r = w->run;

    if (!cobblestone_plain_size(r->extent + COBBLESTONE_PREFIX_SIZE, size))
        return fail(err, ERR_DAMAGED, "it ends before its last chunk");
    uint64_t chunk = *size / COBBLESTONE_CHUNK_SIZE, at = chunk * COBBLESTONE_SEALED_CHUNK_SIZE;
    size_t n = (size_t)(r->extent - at);
    if (!source_read_at(r->body->source, r->offset + at, w->sealed, n, err).ok)
        return FAIL;
    w->touched = COBBLESTONE_CHUNK_SIZE;
    return open_piece(w->open, chunk, w->sealed, n, w->plain, err);
}

/* Narrows the run to the chunks that a range needs. */
static struct result find_range(struct worker *w, struct err *err)
{
    struct run *r = w->run;
    const struct body_range *range = r->body->range;
    uint64_t size;

    if (!source_extent(r->body->source, &r->offset, &r->extent)) {
        (void)fail(err, ERR_USAGE, "a part cannot be read from a stream");
        return fail_hint(err, "name the sealed file");
    }
    if (!prove_size(w, &size, err).ok)
        return FAIL;
    if (range->offset > size)
        return fail(err, ERR_FAILED, "it has only %" PRIu64 " bytes", size);
    uint64_t from = range->from_end ? size - range->offset : range->offset;
    uint64_t wanted = size - from < range->length ? size - from : range->length;
    uint64_t first = from / COBBLESTONE_CHUNK_SIZE;
    uint64_t behind = (from + wanted + COBBLESTONE_CHUNK_SIZE - 1) / COBBLESTONE_CHUNK_SIZE;
    uint64_t begin = first * COBBLESTONE_SEALED_CHUNK_SIZE;
    uint64_t end = behind * COBBLESTONE_SEALED_CHUNK_SIZE;
    r->first_chunk = first;
    r->skip = from % COBBLESTONE_CHUNK_SIZE;
    r->wanted = wanted;
    r->offset += begin;
    r->extent = wanted == 0 ? 0 : (end < r->extent ? end : r->extent) - begin;
    r->read_anywhere = true;
    return OK;
}

/* Decides how the source is read and the sink written. A file no longer than a batch, or without a
 * reliable size, is read in order. */
static void find_ways(struct run *r)
{
    const struct body *b = r->body;

    r->in_size = b->open != NULL ? BATCH_SEALED : BATCH_PLAIN;
    r->out_size = b->seal != NULL ? BATCH_SEALED : BATCH_PLAIN;
    r->read_anywhere = source_extent(b->source, &r->offset, &r->extent) && r->extent >= r->in_size;
    if (r->read_anywhere && b->range == NULL)
        source_expect(b->source);
    r->write_anywhere = b->sink->write_at != NULL;
}

/* Tells the sink how much will come, if the size of the source says so. */
static struct result announce(const struct run *r, struct err *err)
{
    const struct body *b = r->body;
    uint64_t size = r->extent;

    if (!r->read_anywhere)
        return OK;
    if (b->range != NULL)
        size = r->wanted;
    else if (b->open != NULL && !cobblestone_plain_size(size + COBBLESTONE_PREFIX_SIZE, &size))
        return OK; /* damaged, as will be found */
    if (b->seal != NULL)
        size = cobblestone_message_size(size) - COBBLESTONE_PREFIX_SIZE;
    return sink_expect(b->sink, size, err);
}

struct result body_run(const struct body *b, uint64_t *size, struct err *err)
{
    struct run r = {.body = b,
                    .reading = PTHREAD_MUTEX_INITIALIZER,
                    .lock = PTHREAD_MUTEX_INITIALIZER,
                    .turned = PTHREAD_COND_INITIALIZER,
                    .failed = NO_BATCH};
    struct worker w;

    if (b->seal != NULL && !sink_write(b->sink, b->seal->prefix, COBBLESTONE_PREFIX_SIZE, err).ok)
        return FAIL;
    find_ways(&r);
    struct result begun = worker_begin(&w, &r, err);
    if (begun.ok && b->range != NULL)
        begun = find_range(&w, err);
    if (begun.ok)
        begun = announce(&r, err);
    if (begun.ok) {
        crew_join(b->crew);
        work(&w);
    }
    worker_end(&w);
    for (size_t i = 0; i < BODY_THREADS_MAX - 1; i++)
        if (r.helpers[i].started)
            pthread_join(r.helpers[i].thread, NULL);
    if (!begun.ok)
        return FAIL;
    /* The source may have ended only because its writer was stopped too. */
    if (stream_interrupted())
        return fail(err, ERR_INTERRUPTED, "interrupted");
    if (r.failed != NO_BATCH) {
        *err = r.err;
        return FAIL;
    }
    *size = r.plain;
    return OK;
}
