#include "storage/s3/splice.h"

#include <string.h>

#include "base/clock.h"
#include "base/pages.h"
#include "base/thread_pool.h"
#include "storage/s3/checksum.h"
#include "storage/s3/conditions.h"
#include "storage/s3/multipart.h"
#include "storage/s3/objects.h"

#define PIECE ((uint64_t)1 << 30) /* bytes that one request copies */
#define TRIES 3                   /* of an upload that others get in the way of */
#define AT_ONCE 4                 /* copies of one object */

/* The bytes of each part that is copied, but the last. */
static uint64_t piece_size(uint64_t size)
{
    uint64_t piece = PIECE;

    while (piece < S3_COPY_MAX && (size - S3_PART_MIN) / piece >= S3_PARTS_MAX - 1)
        piece *= 2;
    return piece < S3_COPY_MAX ? piece : S3_COPY_MAX;
}

unsigned splice_copies(uint64_t size)
{
    uint64_t piece = piece_size(size);

    return (unsigned)((size - S3_PART_MIN + piece - 1) / piece);
}

/* struct splicing: an object on its way to another beginning. */
struct splicing {
    const struct object *object;
    const struct object_look *full; /* with all that is kept */
    struct view begins;
    uint64_t sum; /* of the object before, and once the first part was sent, of that to come */
    struct upload upload;
    pthread_mutex_t lock; /* for what follows, where threads copy */
    bool failed;
    struct err err;
};

/* Reads the first part, gives it its beginning and sends it. */
static struct result send_read(struct splicing *s, uint8_t *part, uint64_t *sum, struct err *err)
{
    struct object_look look = *s->full;
    size_t got = 0;

    look.kept = NULL;
    struct result r = s3_read(s->object, &look, 0, part, S3_PART_MIN, &got, err);
    object_look_end(&look);
    if (r.ok && got < S3_PART_MIN)
        r = fail_named(err, ERR_STORE, "'%s' ended after %zu bytes", s->object->path, got);
    if (!r.ok)
        return FAIL;
    *sum = checksum_changed(s->sum, (struct view){part, s->begins.size}, s->begins.bytes,
                            s->full->size);
    memcpy(part, s->begins.bytes, s->begins.size);
    return upload_part(&s->upload, 1, (struct view){part, S3_PART_MIN}, NULL, err);
}

/* *sum is what the checksum of the object will be. */
static struct result send_first(struct splicing *s, uint64_t *sum, struct err *err)
{
    struct budget *budget = &s->object->storage->writing;
    uint64_t taken = budget_take(budget, S3_PART_MIN);
    uint8_t *part = pages_map(S3_PART_MIN);
    struct result r = part != NULL ? send_read(s, part, sum, err) : fail_memory(err);

    pages_unmap(part, S3_PART_MIN);
    budget_give(budget, taken);
    return r;
}

/* Copies one part, whose number is the task, unless another failed. */
static void copy_part(void *arg, void *task)
{
    struct splicing *s = arg;
    unsigned number = (unsigned)(uintptr_t)task;
    uint64_t piece = piece_size(s->full->size), from = S3_PART_MIN + (number - 2) * piece;
    uint64_t left = s->full->size - from;
    struct err err = {0};

    pthread_mutex_lock(&s->lock);
    bool failed = s->failed;
    pthread_mutex_unlock(&s->lock);
    if (failed ||
        upload_copy(&s->upload, number, s->full, from, left < piece ? left : piece, &err).ok)
        return;
    pthread_mutex_lock(&s->lock);
    s->err = s->failed ? s->err : err;
    s->failed = true;
    pthread_mutex_unlock(&s->lock);
}

/* Copies what comes after the first part. Where there can be no threads, one after the other. */
static struct result copy_rest(struct splicing *s, struct err *err)
{
    unsigned count = splice_copies(s->full->size);
    struct thread_pool *pool =
        count > 1 ? thread_pool_start(count < AT_ONCE ? count : AT_ONCE, copy_part, s) : NULL;

    for (unsigned number = 2; number < 2 + count; number++)
        if (pool != NULL)
            thread_pool_add(pool, (void *)(uintptr_t)number);
        else
            copy_part(s, (void *)(uintptr_t)number);
    thread_pool_finish(&pool);
    if (s->failed)
        *err = s->err;
    return (struct result){!s->failed};
}

static struct result upload_all(struct splicing *s, uint64_t *sum, struct err *err)
{
    return upload_begin(&s->upload, s->full->kept, err).ok && send_first(s, sum, err).ok &&
                   copy_rest(s, err).ok
               ? upload_complete(&s->upload, OBJECT_UNCHANGED, s->full, s->begins, NULL, err)
               : FAIL;
}

/* What the server says of the new object. If it is somebody else's by now, nothing can be said. */
static struct result prove(const struct object *o, const char *tag, uint64_t expected,
                           enum object_proof *proof, struct err *err)
{
    uint64_t sum;
    bool kept;

    if (!s3_checksum(o, tag, &sum, &kept, err).ok) {
        err_done(err, "the object has its new beginning, but nothing shows that its body is whole");
        return FAIL;
    }
    if (!kept)
        return OK;
    *proof = PROOF_AGREES;
    if (sum == expected)
        return OK;
    (void)fail_named(err, ERR_DAMAGED,
                     "'%s': by the server's checksum, its body is not what it was before: the "
                     "server copied it wrong",
                     o->path);
    return fail_hint(err, "'bulla verify' shows what is damaged; put a copy in its place, or the "
                          "version before");
}

/* One try. *again is true if others got in the way, and all of it may be tried anew. */
static struct result try_once(struct splicing *s, bool keeps, enum object_proof *proof, bool *again,
                              struct err *err)
{
    uint64_t sum = 0;

    s->upload = (struct upload){.object = s->object};
    s->failed = false;
    struct result r = upload_all(s, &sum, err);
    upload_abort(&s->upload);
    *again = !r.ok && s->upload.conflict;
    return r.ok && keeps ? prove(s->object, s->upload.tag, sum, proof, err) : r;
}

struct result s3_splice(const struct object *o, const struct object_look *look, struct view bytes,
                        enum object_proof *proof, struct err *err)
{
    struct object_look full OBJECT_LOOK_CLEANUP = {0};
    struct splicing s = {
        .object = o, .full = &full, .begins = bytes, .lock = PTHREAD_MUTEX_INITIALIZER};

    *proof = PROOF_NONE;
    if (!s3_check_current(o, err).ok || !s3_heeds_completes(o, err).ok ||
        !s3_kept(o, look, &full, err).ok)
        return FAIL;
    bool keeps, again;
    struct err why = {0};
    if (!s3_checksum(o, look->tag, &s.sum, &keeps, err).ok)
        return FAIL;
    for (unsigned n = 1; !try_once(&s, keeps, proof, &again, &why).ok; n++)
        if (!again || n == TRIES || !clock_wait(500u << n)) {
            *err = why;
            return FAIL;
        }
    return OK;
}
