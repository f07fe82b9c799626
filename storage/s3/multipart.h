/* multipart: uploads in parts, of which nothing is seen before they are complete. */
#ifndef BULLA_STORAGE_S3_MULTIPART_H
#define BULLA_STORAGE_S3_MULTIPART_H

#include "storage/s3/request.h"

/* struct upload: one on its way; {.object} is none yet and safe to abort. */
struct upload {
    const struct object *object;
    char *id;             /* percent-encoded; NULL = none, or it is over */
    pthread_mutex_t lock; /* for what follows, where threads upload parts */
    char **tags;          /* of the parts, by their numbers less 1 */
    unsigned parts;       /* the highest number so far */
    uint64_t size;        /* bytes of all */
    bool unclear;         /* a part that failed may still be on its way */
    bool conflict; /* it failed for another request at the same time: all of it may be tried anew */
    char tag[OBJECT_TAG_MAX + 1]; /* of the object that it became */
};

/* upload_begin begins an upload; kept is what goes with the object (struct object_look), or NULL.
 */
FALLIBLE upload_begin(struct upload *u, const char *kept, struct err *err);

/* upload_part uploads a part of this number, from 1, which is in memory, or in a file where that is
 * not NULL; threads may do so at once. */
FALLIBLE upload_part(struct upload *u, unsigned number, struct view bytes,
                     const struct http_file *file, struct err *err);

/* upload_copy makes a part of bytes that the object has, if it is still what *look says. */
FALLIBLE upload_copy(struct upload *u, unsigned number, const struct object_look *look,
                     uint64_t offset, uint64_t size, struct err *err);

/* upload_complete puts the object in its place, if the condition holds. begins, bytes that no other
 * object begins with, tells whether one whose answer was lost did so; it may be empty. It
 * fails as s3_put. */
FALLIBLE upload_complete(struct upload *u, enum object_condition condition,
                         const struct object_look *look, struct view begins, bool *lost,
                         struct err *err);

/* s3_drop is the operation of struct storage_ops: it drops the parts of an upload that somebody
 * began. */
FALLIBLE s3_drop(const struct object *o, const char *upload, struct err *err);

/* upload_abort drops the parts of an upload that was not completed, and frees what it has. */
void upload_abort(struct upload *u);

#endif
