#include "storage/s3/upload.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/thread_pool.h"
#include "storage/s3/conditions.h"
#include "storage/s3/multipart.h"
#include "storage/s3/objects.h"
#include "storage/s3/part_buffer.h"
#include "storage/s3/wishes.h"

#define ROOM STORAGE_WRITING /* bytes that are on their way or being gathered, in memory */
#define ROOM_BOTH_WAYS ((size_t)10 << 20) /* where what it replaces is read at the same time */
#define BEGINS 512                        /* bytes by which an object is known again */

struct writer;

/* struct part_slot: a part of the object, in the slot of the buffer that has its index. */
struct part_slot {
    struct writer *writer;
    uint64_t size;
    unsigned number;
    bool busy; /* it is on its way */
};

struct writer {
    struct object_writer writer;
    struct object object;
    enum object_condition condition;
    struct object_look
        look; /* what goes with it; and what it replaces, if that must be unchanged */
    struct upload upload;
    bool begun;        /* the upload in parts */
    uint64_t expected; /* bytes, as far as somebody knows; 0 = nobody does */
    uint64_t size;     /* bytes so far */
    uint8_t begins[BEGINS];
    size_t room;
    uint64_t taken; /* of the budget of its storage */
    bool little;    /* it takes none */
    struct part_buffer buffer;
    unsigned last;         /* the highest number of a part */
    struct part_slot *now; /* that is being filled, or NULL */

    struct thread_pool *pool;
    pthread_mutex_t lock; /* for what follows */
    pthread_cond_t changed;
    struct part_slot slots[PART_SLOTS_MAX];
    bool failed;
    struct err err;
};

static void send_part(void *arg, void *task)
{
    struct writer *w = arg;
    struct part_slot *slot = task;
    size_t index = (size_t)(slot - w->slots);
    const struct http_file file = part_buffer_file(&w->buffer, index, slot->size);
    struct err err = {0};
    struct result r =
        upload_part(&w->upload, slot->number, part_buffer_memory(&w->buffer, index, slot->size),
                    w->buffer.memory == NULL ? &file : NULL, &err);

    pthread_mutex_lock(&w->lock);
    if (!r.ok && !w->failed) {
        w->failed = true;
        w->err = err;
    }
    slot->busy = false;
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->lock);
}

static bool any_busy(const struct writer *w)
{
    bool busy = false;

    for (size_t i = 0; i < PART_SLOTS_MAX; i++)
        busy = busy || w->slots[i].busy;
    return busy;
}

/* Waits until no part is on its way; fails if one failed. */
static struct result wait_for_parts(struct writer *w, struct err *err)
{
    pthread_mutex_lock(&w->lock);
    while (any_busy(w))
        pthread_cond_wait(&w->changed, &w->lock);
    if (w->failed)
        *err = w->err;
    pthread_mutex_unlock(&w->lock);
    return w->failed ? FAIL : OK;
}

static struct result shape(struct writer *w, uint64_t part_size, struct err *err)
{
    return part_buffer_shape(&w->buffer, part_size, w->room, w->now != NULL ? w->now->size : 0,
                             &s3_of(&w->object)->env->environment, err);
}

/* Larger parts are fewer at once. */
static struct result grow(struct writer *w, struct err *err)
{
    uint64_t now = w->buffer.part_size, next = part_size_next(now, w->last);

    if (next == now || w->size < w->expected)
        return OK;
    return wait_for_parts(w, err).ok ? shape(w, next, err) : FAIL;
}

/* A slot that is free, once there is one. */
static struct result take_slot(struct writer *w, struct err *err)
{
    if (!grow(w, err).ok)
        return FAIL;
    size_t count = w->buffer.slots, i;
    pthread_mutex_lock(&w->lock);
    for (i = 0; w->slots[i].busy && !w->failed; i = i + 1 < count ? i + 1 : 0)
        if (i + 1 == count)
            pthread_cond_wait(&w->changed, &w->lock);
    if (w->failed)
        *err = w->err;
    else
        w->now = &w->slots[i];
    pthread_mutex_unlock(&w->lock);
    if (w->now == NULL)
        return FAIL;
    *w->now = (struct part_slot){.writer = w};
    return OK;
}

static struct result begin_parts(struct writer *w, struct err *err)
{
    if (w->begun)
        return OK;
    if (w->condition != OBJECT_ANY && !s3_heeds_completes(&w->object, err).ok)
        return FAIL;
    w->pool = thread_pool_start((unsigned)w->buffer.slots, send_part, w);
    if (w->pool == NULL)
        return fail(err, ERR_FAILED, "cannot start a thread");
    w->begun = true;
    return upload_begin(&w->upload, w->look.kept, err);
}

/* Sends what is gathered. */
static struct result send_now(struct writer *w, struct err *err)
{
    struct part_slot *slot = w->now;

    if (!begin_parts(w, err).ok)
        return FAIL;
    if (w->last == S3_PARTS_MAX) {
        (void)fail_named(err, ERR_FAILED, "'%s' becomes larger than 10000 parts can be",
                         w->object.path);
        return fail_hint_option(err, "--expected-size makes the parts larger from the beginning");
    }
    slot->number = ++w->last;
    pthread_mutex_lock(&w->lock);
    slot->busy = true;
    pthread_mutex_unlock(&w->lock);
    w->now = NULL;
    thread_pool_add(w->pool, slot);
    return OK;
}

static void note_beginning(struct writer *w, const uint8_t *bytes, size_t size)
{
    if (w->size >= BEGINS)
        return;
    size_t room = BEGINS - (size_t)w->size;
    memcpy(w->begins + w->size, bytes, size < room ? size : room);
}

/* What holds little is let be; one that replaces what is read takes turns with all others. */
static void ask_for_room(struct writer *w, size_t size)
{
    uint64_t wanted = w->expected > 0 ? storage_share(w->expected) : STORAGE_WRITING;

    if (w->taken == 0 && !w->little && w->size + size > STORAGE_LITTLE)
        w->taken = budget_take(&w->object.storage->writing,
                               w->condition == OBJECT_UNCHANGED ? STORAGE_WRITING : wanted);
}

static struct result write_bytes(struct sink *self, const void *bytes, size_t size, struct err *err)
{
    struct writer *w = (struct writer *)self;
    const uint8_t *at = bytes;

    note_beginning(w, at, size);
    ask_for_room(w, size);
    while (size > 0) {
        if (w->now != NULL && w->now->size == w->buffer.part_size && !send_now(w, err).ok)
            return FAIL;
        if (w->now == NULL && !take_slot(w, err).ok)
            return FAIL;
        uint64_t room = w->buffer.part_size - w->now->size;
        size_t n = size < room ? size : (size_t)room;
        if (!part_buffer_put(&w->buffer, (size_t)(w->now - w->slots), w->now->size, at, n, err).ok)
            return FAIL;
        w->now->size += n;
        w->size += n;
        at += n;
        size -= n;
    }
    return OK;
}

/* All that was written, in one request. */
static struct result put_all(struct writer *w, struct err *err)
{
    struct view all = {w->begins, 0};

    if (w->now != NULL)
        all = part_buffer_memory(&w->buffer, (size_t)(w->now - w->slots), w->now->size);
    if (w->condition != OBJECT_ANY && !s3_heeds_conditions(&w->object, err).ok)
        return FAIL;
    return s3_put(&w->object, w->condition, &w->look, all, NULL, err);
}

static struct result commit(struct object_writer *self, struct err *err)
{
    struct writer *w = (struct writer *)self;
    struct view begins = {w->begins, w->size < BEGINS ? (size_t)w->size : BEGINS};

    if (!w->begun && (w->now == NULL || w->buffer.memory != NULL))
        return put_all(w, err);
    if ((w->now != NULL && !send_now(w, err).ok) || !wait_for_parts(w, err).ok)
        return FAIL;
    return upload_complete(&w->upload, w->condition, &w->look, begins, NULL, err);
}

static void close_writer(struct object_writer *self)
{
    struct writer *w = (struct writer *)self;

    thread_pool_finish(&w->pool);
    upload_abort(&w->upload);
    pthread_mutex_destroy(&w->lock);
    pthread_cond_destroy(&w->changed);
    part_buffer_free(&w->buffer);
    if (w->taken > 0)
        budget_give(&w->object.storage->writing, w->taken);
    object_close(&w->object);
    object_look_end(&w->look);
    free(w);
}

/* Whether something is there that must not be replaced. Who may not look finds out at the end, by
 * the condition. */
static struct result check_new(const struct object *o, struct err *err)
{
    struct object_look look OBJECT_LOOK_CLEANUP = {0};
    struct err why = {0};
    uint8_t byte;
    size_t got;

    struct result there = s3_read(o, &look, 0, &byte, 1, &got, &why);
    bool archived = why.class == ERR_POLICY && strstr(why.text, "InvalidObjectState") != NULL;
    if (there.ok || archived) {
        (void)fail_named(err, ERR_EXISTS, "'%s' already exists", o->path);
        return fail_hint_option(err, "--force replaces it, -o names another");
    }
    bool conditioned = s3_condition(o, OBJECT_NEW) == OBJECT_NEW;
    if ((why.class == ERR_POLICY && conditioned) ||
        (why.class == ERR_MISSING && strstr(why.text, "NoSuchBucket") == NULL))
        return OK;
    *err = why;
    return why.class == ERR_POLICY
               ? fail_hint_option(err, "with --no-condition only this look shows that nothing is "
                                       "there; --force does without it")
               : FAIL;
}

/* Parts of one size carry what is expected. */
static struct result expect(struct sink *self, uint64_t size, struct err *err)
{
    struct writer *w = (struct writer *)self;
    uint64_t all = w->size + size, part_size = part_size_for(all);

    if (w->last > 0)
        return OK;
    if (part_size == 0) {
        (void)fail_named(err, ERR_FAILED,
                         "'%s' would have %" PRIu64 " bytes, more than an object can",
                         w->object.path, all);
        return fail_hint(err, "split what is sealed");
    }
    w->expected = all;
    return part_size <= w->buffer.part_size ? OK : shape(w, part_size, err);
}

/* What stands in the way of an object, and what goes with it. */
static struct result prepare(struct writer *w, const struct object *o,
                             const struct object_making *how, struct err *err)
{
    if (!s3_check_current(o, err).ok || (how->condition == OBJECT_NEW && !check_new(o, err).ok))
        return FAIL;
    if (!object_in(&w->object, o->storage, o->key, o->path, err).ok ||
        !shape(w, S3_PART_MIN, err).ok)
        return FAIL;
    return how->look != NULL ? s3_kept(o, how->look, &w->look, err)
                             : s3_wished(how->wish, &w->look.kept, err);
}

struct result s3_create(struct object_writer **out, const struct object *o,
                        const struct object_making *how, struct err *err)
{
    struct writer *w = calloc(1, sizeof *w);

    if (w == NULL)
        return fail_memory(err);
    w->writer =
        (struct object_writer){{.write = write_bytes, .expect = expect}, commit, close_writer};
    w->room = how->condition == OBJECT_UNCHANGED ? ROOM_BOTH_WAYS : ROOM;
    w->condition = how->condition;
    w->little = how->wish != NULL && how->wish->little;
    w->upload.object = &w->object;
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->changed, NULL);
    if (!prepare(w, o, how, err).ok) {
        close_writer(&w->writer);
        return FAIL;
    }
    *out = &w->writer;
    return OK;
}
