/* seal: from a file or a stream to a sealed file, whole or not at all. */
#ifndef BULLA_LIBBULLA_SEAL_H
#define BULLA_LIBBULLA_SEAL_H

#include "base/atomic_file.h"
#include "crypto/cobblestone.h"
#include "libbulla/output.h"
#include "libbulla/session.h"
#include "storage/storage.h"

struct seal_options {
    const struct keyset *keys; /* that it is sealed to; NULL = those of the session */
    enum suite suite;
    const char *name;    /* "" = none */
    uint64_t generation; /* 0 = none */
    struct context context;
    enum whose whose; /* what is sealed is, of a file */
    bool replace, remove_source;
    const char *file; /* that is named where a key fails; NULL = none is */
};

/* struct seal_place: what to seal and where to. */
struct seal_place {
    const struct place *source;  /* NULL = stream is read */
    const struct source *stream; /* one that is started later is no descriptor before */
    bool follow;                 /* whether source may be a symbolic link */
    const struct place *body;    /* NULL = it goes to the outlet */
    const struct outlet *outlet;
    const struct place *envelope;         /* NULL = in front of the body */
    const struct outlet *envelope_outlet; /* in place of envelope; NULL = none */
    const struct object *object;          /* what the outlet writes, if that is one; NULL = none */
    const struct object *envelope_object; /* and what envelope_outlet does */

    /* Starts the stream once the outputs are sure of a place; NULL = it has begun. */
    struct result (*start)(void *arg, struct source *stream, struct err *err);
    void *start_arg;
};

struct seal_report {
    uint8_t file_id[CORE_ID_SIZE];
    uint64_t plain_size; /* bytes */
    bool waits;          /* nothing was done yet: other names of the file are still to come */
    bool versioned;      /* the object that was replaced is kept, with its data key */
    bool replicated;     /* and another place has a copy of it */
};

#define SEAL_SIZE_UNKNOWN UINT64_MAX

/* seal_start draws file id, data key and salt, writes the envelope to the sink, in small regions if
 * the plaintext will have so few bytes, and readies *c, which the caller ends. The session makes a
 * branch key when there is none for this context. */
FALLIBLE seal_start(struct session *s, const struct seal_options *options, uint64_t plain_size,
                    struct sink *sink, struct cobblestone *c, struct seal_report *report,
                    struct err *err);

/* seal_file seals one source. Outputs appear only when they are whole and durable, and the source
 * ended well; what went to the outlet from one that did not lacks its last chunk, so that it does
 * not open as whole. */
FALLIBLE seal_file(struct session *s, const struct seal_options *options,
                   const struct seal_place *at, struct seal_report *report, struct err *err);

#endif
