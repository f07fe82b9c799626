#include "storage/s3/splice.h"

#include "base/clock.h"
#include "storage/s3/checksum.h"
#include "storage/s3/conditions.h"
#include "storage/s3/multipart.h"
#include "storage/s3/objects.h"

#define PIECE ((uint64_t)1 << 30) /* bytes that one request copies */
#define TRIES 3                   /* of an upload that others get in the way of */
#define BEGINS 8192               /* bytes by which the object is known again */

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

/* Copies what comes after the first part. */
static struct result copy_rest(struct upload *u, const struct object_look *look, uint64_t from,
                               struct err *err)
{
    uint64_t piece = piece_size(look->size);

    for (unsigned number = 2; from < look->size; number++) {
        uint64_t left = look->size - from, size = left < piece ? left : piece;
        if (!upload_copy(u, number, look, from, size, err).ok)
            return FAIL;
        from += size;
    }
    return OK;
}

/* full is *look with all that is kept. */
static struct result upload_all(struct upload *u, const struct object_look *full, struct view bytes,
                                struct err *err)
{
    const struct view begins = {bytes.bytes, BEGINS};

    return upload_begin(u, full->kept, err).ok && upload_part(u, 1, bytes, NULL, err).ok &&
                   copy_rest(u, full, bytes.size, err).ok
               ? upload_complete(u, OBJECT_UNCHANGED, full, begins, NULL, err)
               : FAIL;
}

/* What the server says of the new object. If it is somebody else's by now, nothing can be said. */
static struct result prove(const struct object *o, const char *tag, uint64_t expected,
                           enum object_proof *proof, struct err *err)
{
    uint64_t sum;

    if (tag[0] == '\0' || !s3_checksum(o, tag, &sum))
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

struct result s3_splice(const struct object *o, const struct object_look *look, struct view bytes,
                        struct view was, enum object_proof *proof, struct err *err)
{
    struct object_look full OBJECT_LOOK_CLEANUP = {0};
    uint64_t before;

    *proof = PROOF_NONE;
    if (!s3_check_current(o, err).ok || !s3_heeds_completes(o, err).ok ||
        !s3_kept(o, look, &full, err).ok)
        return FAIL;
    bool keeps = s3_checksum(o, look->tag, &before);
    for (unsigned n = 1;; n++) {
        struct upload u = {.object = o};
        struct err why = {0};
        struct result r = upload_all(&u, &full, bytes, &why);
        upload_abort(&u);
        if (r.ok)
            return keeps ? prove(o, u.tag, checksum_changed(before, was, bytes.bytes, look->size),
                                 proof, err)
                         : OK;
        if (!u.conflict || n == TRIES || !clock_wait(500u << n)) {
            *err = why;
            return FAIL;
        }
    }
}
