/* open: from a sealed file to its plaintext, whole or not at all. */
#ifndef BULLA_LIBBULLA_OPEN_H
#define BULLA_LIBBULLA_OPEN_H

#include "base/atomic_file.h"
#include "crypto/body.h"
#include "libbulla/output.h"
#include "libbulla/session.h"
#include "storage/object_source.h"

#define SEALED_SUFFIX ".bulla" /* of the name of what is sealed */
#define ENVELOPE_SUFFIX ".env" /* after the name of a body whose envelope lies beside it */

/* struct sealed_place: where a sealed file is. */
struct sealed_place {
    const struct place *body;     /* NULL = stream is read */
    const struct source *stream;  /* at its beginning */
    const struct object *object;  /* in place of both; NULL = none */
    const struct place *envelope; /* NULL = in the body's file, or beside it, by ENVELOPE_SUFFIX */
    const struct object *envelope_object; /* in place of that; NULL = none */
    bool follow;                          /* whether body may be a symbolic link */
    bool alone;                           /* do not look for an envelope beside the body */
};

/* struct sealed: a sealed file, opened for reading; {0} is empty and safe to close. */
struct sealed {
    struct source source;
    struct stat st;
    struct envelope envelope;
    struct envelope other; /* the copy that does not count; empty if damaged or the same */
    struct envelope_health health;
    bool tag_fits;                  /* set by open_start */
    uint64_t body_at;               /* where the body begins in its file; set by open_start too */
    bool separate;                  /* the envelope came from a file of its own */
    struct stat envelope_st;        /* that file */
    struct place beside;            /* and that was found beside the body, here */
    struct object_source *remote;   /* of an object; NULL = none */
    struct object beside_object;    /* its envelope, found beside it, */
    struct object_look beside_look; /* and what that was */
    bool open;
    int owned; /* the descriptor to close, or -1 */
};

#define SEALED_CLEANUP __attribute__((cleanup(sealed_close)))

/* sealed_open opens a sealed file and reads its envelope, which needs no key; copies that are not
 * good are warned of. */
FALLIBLE sealed_open(struct sealed *f, const struct session *s, const struct sealed_place *from,
                     struct err *err);

/* sealed_open_apart opens the envelope beside an object, and no more, if it says that it was made
 * with a body that has none of its own: then it stands for the object. *found is false if there is
 * none that says so. A copy of an envelope that was exported does not, and another object may have
 * been put there after either: whoever calls knows that this one is newer. envelope is made the
 * object of it, must outlive *f, and is closed by the caller in any case. */
FALLIBLE sealed_open_apart(struct sealed *f, const struct session *s, const struct object *o,
                           struct object *envelope, bool *found, struct err *err);

/* sealed_read is sealed_open on a descriptor that stands at the beginning of a self-contained file.
 */
FALLIBLE sealed_read(struct sealed *f, const struct session *s, int fd, const char *name,
                     struct err *err);
void sealed_close(struct sealed *f);

/* sealed_remains is true if the envelope is a separate one, but what is left of another stands in
 * front of the body, and warns of that. Random bytes in its place are not told from a body, which
 * takes a key. */
bool sealed_remains(const struct sealed *f, const struct session *s);

struct open_options {
    const char *require_name;       /* NULL = any */
    struct context require_context; /* pairs that the file must have */
    uint64_t min_generation;        /* 0 = any */
    bool replace, remove_source;
    bool allow_wider; /* a result that others could read who must not, where it cannot be helped */
    bool strict;      /* a tag that does not match is an error, not a warning */
    enum whose whose; /* the plaintext is */
    const struct body_range *range; /* what is wanted of the plaintext; NULL = all */
    const struct outlet *outlet;    /* of open_file, where no place is named */
};

/* open_start opens the data key, checks what the options require, and finds the body by its
 * commitment: the source of *f stands at chunk 0 then, and the caller ends *c. */
FALLIBLE open_start(struct session *s, const struct open_options *options, struct sealed *f,
                    struct cobblestone *c, struct err *err);

/* sealed_check_body fails with ERR_DAMAGED unless the body begins as one of this data key and this
 * envelope does. The source of *f is at chunk 0 then. */
FALLIBLE sealed_check_body(struct sealed *f, const struct session *s, const struct secret *data_key,
                           struct err *err);

/* sealed_check_prefix does that for the first size bytes of a body, at most
 * COBBLESTONE_PREFIX_SIZE. */
FALLIBLE sealed_check_prefix(const struct sealed *f, const struct session *s,
                             const struct secret *data_key, const uint8_t *prefix, size_t size,
                             struct err *err);

/* open_body runs a body whose source is *f after open_start. That the file may change meanwhile, as
 * its envelope does in a rewrap, is no matter: what is opened is authentic to its last chunk. */
FALLIBLE open_body(struct session *s, struct sealed *f, struct body *body, uint64_t *size,
                   struct err *err);

/* open_stream does that and opens the body into the sink, which gets only authentic bytes; they are
 * all only if this succeeds. *size is their number. */
FALLIBLE open_stream(struct session *s, const struct open_options *options, struct sealed *f,
                     struct sink *sink, uint64_t *size, struct err *err);

/* open_file opens *f, which stands at from, to a place (NULL = the outlet of the options). */
FALLIBLE open_file(struct session *s, const struct open_options *options,
                   const struct sealed_place *from, struct sealed *f, const struct place *out,
                   uint64_t *size, struct err *err);

/* open_compare fails with ERR_DAMAGED unless the sealed file holds what the file plain does, both
 * read from the disk as far as the system lets us choose. *st tells which sealed file it was. */
FALLIBLE open_compare(struct session *s, const struct sealed_place *from,
                      const struct source *plain, struct stat *st, struct err *err);

/* open_compare_new is open_compare for a self-contained file that has no name yet, at fd. */
FALLIBLE open_compare_new(struct session *s, int fd, const struct source *plain, struct err *err);

#endif
