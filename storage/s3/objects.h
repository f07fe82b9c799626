/* objects: whole objects of S3: reading, looking, putting, removing. */
#ifndef BULLA_STORAGE_S3_OBJECTS_H
#define BULLA_STORAGE_S3_OBJECTS_H

#include "storage/s3/request.h"

/* struct s3_headers: those of a request, which are freed by s3_headers_end; {0} is none. */
struct s3_headers {
    const char *lines[S3_HEADERS_MAX + 1]; /* ended by NULL */
    char *owned[S3_HEADERS_MAX];
    size_t count;
};
#define S3_HEADERS_CLEANUP __attribute__((cleanup(s3_headers_end)))

/* s3_headers_add adds one; s3_headers_keep those that go with an object (struct object_look). */
__attribute__((format(printf, 3, 4))) FALLIBLE s3_headers_add(struct s3_headers *h, struct err *err,
                                                              const char *format, ...);
FALLIBLE s3_headers_keep(struct s3_headers *h, const char *kept, struct err *err);
void s3_headers_end(struct s3_headers *h);

/* s3_headers_md5 adds the Content-MD5 of a request's body: some servers, and locked buckets, demand
 * it. */
FALLIBLE s3_headers_md5(struct s3_headers *h, const struct s3 *s3, const struct s3_request *r,
                        struct err *err);

/* s3_read_tags reads the answer to s3:GetObjectTagging: *text is what the header of a PUT says of
 * these tags, which the caller frees; NULL if there are none. ERR_STORE if it is no such answer. */
FALLIBLE s3_read_tags(const struct http_answer *answer, char **text, struct err *err);

/* s3_check_current fails with ERR_USAGE if the object is an old version, which nobody changes. */
FALLIBLE s3_check_current(const struct object *o, struct err *err);

/* The operations of struct storage_ops. */
FALLIBLE s3_read(const struct object *o, struct object_look *look, uint64_t offset, void *buf,
                 size_t size, size_t *got, struct err *err);
FALLIBLE s3_replace(const struct object *o, const struct object_look *look, struct view bytes,
                    struct err *err);
FALLIBLE s3_remove(const struct object *o, const struct object_look *look, struct err *err);

/* s3_put puts an object as the condition says; look is for OBJECT_UNCHANGED, or for what is kept.
 * ERR_EXISTS if a new one is there already, ERR_STORE if one is not what it was. *lost, which may
 * be NULL, is true if the condition is why it failed. */
FALLIBLE s3_put(const struct object *o, enum object_condition condition,
                const struct object_look *look, struct view bytes, bool *lost, struct err *err);

/* s3_note_version notes, of the answer to a write, whether the bucket keeps what was there before:
 * then what was written has a version of its own. */
void s3_note_version(const struct object *o, const struct http_answer *answer);

/* s3_add_condition adds the header of a condition. */
FALLIBLE s3_add_condition(struct s3_headers *h, enum object_condition condition,
                          const struct object_look *look, struct err *err);

/* s3_lost makes an error of a condition that did not hold; false if that is not why it was refused.
 */
bool s3_lost(const struct object *o, enum object_condition condition, const struct fault *fault,
             struct err *err);

/* s3_is_ours is true if the object begins with these bytes and has that size: what a request did
 * whose answer was lost. tag, of OBJECT_TAG_MAX + 1 bytes, gets the object's, and may be NULL. */
bool s3_is_ours(const struct object *o, struct view begins, uint64_t size, char *tag);

/* s3_kept makes *full what *look is, with the tags of the object too. The caller ends it. */
FALLIBLE s3_kept(const struct object *o, const struct object_look *look, struct object_look *full,
                 struct err *err);

#endif
