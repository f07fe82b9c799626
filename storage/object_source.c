#include "storage/object_source.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/pages.h"
#include "base/thread_pool.h"

#define PIECE_SIZE ((size_t)4 << 20) /* bytes that one request gets */
#define PIECES 4 /* that are held at once: that which is read, the one before, */
#define AHEAD 2  /* and so many after it */

enum piece_state { PIECE_EMPTY, PIECE_COMING, PIECE_HERE, PIECE_FAILED };

/* struct piece: bytes of the object, from number * PIECE_SIZE. */
struct piece {
    struct object_source *source;
    uint64_t number;
    enum piece_state state;
    unsigned readers; /* threads that copy out of it */
    uint8_t *bytes;
    size_t size;
    struct err err;
};

struct object_source {
    const struct object *object;
    struct object_look look;
    struct remote remote;
    uint8_t head[OBJECT_HEAD];
    size_t head_size;

    /* Once all is to be read. */
    struct thread_pool *pool;
    uint64_t taken;       /* of the storage's budget */
    pthread_mutex_t lock; /* for the pieces */
    pthread_cond_t changed;
    struct piece pieces[PIECES];
    size_t piece_size; /* bytes that each has room for */
};

static struct result read_exactly(struct object_source *s, uint64_t offset, void *buf, size_t size,
                                  struct err *err)
{
    struct object_look look = s->look;
    size_t got = 0;

    look.kept = NULL;
    struct result r = s->object->storage->ops->read(s->object, &look, offset, buf, size, &got, err);
    object_look_end(&look);
    if (r.ok && got < size)
        return fail_named(err, ERR_STORE, "'%s' ended after %zu bytes of a range of %zu",
                          s->object->path, got, size);
    return r;
}

static void fetch(void *arg, void *task)
{
    struct object_source *s = arg;
    struct piece *p = task;
    struct err err = {0};
    struct result r = read_exactly(s, p->number * PIECE_SIZE, p->bytes, p->size, &err);

    pthread_mutex_lock(&s->lock);
    p->state = r.ok ? PIECE_HERE : PIECE_FAILED;
    p->err = err;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

static struct piece *find(struct object_source *s, uint64_t number)
{
    for (size_t i = 0; i < PIECES; i++)
        if (s->pieces[i].state != PIECE_EMPTY && s->pieces[i].number == number)
            return &s->pieces[i];
    return NULL;
}

/* Room for another piece; NULL if there is none. Threads read close to each other: what they may
 * still want is within a piece of what one of them wants. */
static struct piece *make_room(struct object_source *s, uint64_t below)
{
    struct piece *best = NULL;

    for (size_t i = 0; i < PIECES; i++) {
        struct piece *p = &s->pieces[i];
        if (p->state == PIECE_EMPTY && p->bytes != NULL)
            return p;
        if (p->state != PIECE_COMING && p->readers == 0 &&
            (p->number + 1 < below || p->number > below + AHEAD) &&
            (best == NULL || p->number < best->number))
            best = p;
    }
    return best;
}

/* Has a piece fetched, unless it is here or on its way; under the lock. */
static void ask_for(struct object_source *s, uint64_t number, uint64_t below)
{
    uint64_t begin = number * PIECE_SIZE;
    struct piece *p = NULL;

    if (begin < s->look.size && find(s, number) == NULL)
        p = make_room(s, below);
    if (p == NULL)
        return;
    uint64_t left = s->look.size - begin;
    *p = (struct piece){.source = s,
                        .number = number,
                        .state = PIECE_COMING,
                        .bytes = p->bytes,
                        .size = left < PIECE_SIZE ? (size_t)left : PIECE_SIZE};
    thread_pool_add(s->pool, p);
}

/* Waits for the piece of this number, with some after it asked for. */
static struct result take(struct object_source *s, uint64_t number, struct piece **out,
                          struct err *err)
{
    struct piece *p;

    while ((p = find(s, number)) == NULL || p->state == PIECE_COMING) {
        for (uint64_t i = 0; i <= AHEAD; i++)
            ask_for(s, number + i, number);
        if ((p = find(s, number)) == NULL || p->state == PIECE_COMING)
            pthread_cond_wait(&s->changed, &s->lock);
    }
    if (p->state == PIECE_FAILED) {
        *err = p->err;
        return FAIL;
    }
    p->readers++;
    *out = p;
    return OK;
}

static struct result copy_pieces(struct object_source *s, uint64_t offset, uint8_t *buf,
                                 size_t size, struct err *err)
{
    while (size > 0) {
        struct piece *p;
        size_t at = (size_t)(offset % PIECE_SIZE);
        pthread_mutex_lock(&s->lock);
        struct result r = take(s, offset / PIECE_SIZE, &p, err);
        pthread_mutex_unlock(&s->lock);
        if (!r.ok)
            return FAIL;
        size_t n = p->size - at < size ? p->size - at : size;
        memcpy(buf, p->bytes + at, n);
        pthread_mutex_lock(&s->lock);
        p->readers--;
        pthread_cond_broadcast(&s->changed);
        pthread_mutex_unlock(&s->lock);
        buf += n;
        offset += n;
        size -= n;
    }
    return OK;
}

static struct result read_at(void *arg, uint64_t offset, void *buf, size_t size, struct err *err)
{
    struct object_source *s = arg;

    if (offset + size <= s->head_size) {
        memcpy(buf, s->head + offset, size);
        return OK;
    }
    return s->pool != NULL ? copy_pieces(s, offset, buf, size, err)
                           : read_exactly(s, offset, buf, size, err);
}

/* Without memory or threads for it, each part is fetched when it is read. */
static void expect_all(void *arg)
{
    struct object_source *s = arg;
    bool all = s->pool == NULL && s->look.size > s->head_size;

    size_t size = s->look.size < PIECE_SIZE ? (size_t)s->look.size : PIECE_SIZE;

    if (!all)
        return;
    s->piece_size = size;
    if (s->look.size > STORAGE_LITTLE)
        s->taken = budget_take(&s->object->storage->reading, storage_share(s->look.size));
    for (size_t i = 0; i < PIECES && all && i * PIECE_SIZE < s->look.size; i++) {
        s->pieces[i].bytes = pages_map(size);
        all = s->pieces[i].bytes != NULL;
    }
    if (all)
        s->pool = thread_pool_start(size < PIECE_SIZE ? 1 : AHEAD, fetch, s);
}

struct result object_source_open(struct object_source **out, const struct object *o,
                                 struct err *err)
{
    struct object_source *s = calloc(1, sizeof *s);

    if (s == NULL)
        return fail_memory(err);
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->changed, NULL);
    s->object = o;
    if (!o->storage->ops->read(o, &s->look, 0, s->head, sizeof s->head, &s->head_size, err).ok) {
        object_source_close(&s);
        return FAIL;
    }
    s->remote = (struct remote){read_at, expect_all, s, s->look.size};
    *out = s;
    return OK;
}

void object_source_done(struct object_source *source)
{
    thread_pool_finish(&source->pool);
    for (size_t i = 0; i < PIECES; i++) {
        pages_unmap(source->pieces[i].bytes, source->piece_size);
        source->pieces[i] = (struct piece){0};
    }
    budget_give(&source->object->storage->reading, source->taken);
    source->taken = 0;
}

void object_source_close(struct object_source **source)
{
    struct object_source *s = *source;

    if (s == NULL)
        return;
    object_source_done(s);
    object_look_end(&s->look);
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->changed);
    free(s);
    *source = NULL;
}

struct source object_source_of(struct object_source *source, const struct watch *watch)
{
    return (struct source){
        .fd = -1, .name = source->object->path, .watch = watch, .remote = &source->remote};
}

const struct object_look *object_source_look(const struct object_source *source)
{
    return &source->look;
}

struct object_look object_source_take_look(struct object_source *source)
{
    struct object_look look = source->look;

    source->look.kept = NULL;
    return look;
}
