/* output: where a result goes: a file that appears whole, or a descriptor or callback that gets the
 * bytes. */
#ifndef BULLA_LIBBULLA_OUTPUT_H
#define BULLA_LIBBULLA_OUTPUT_H

#include "base/atomic_file.h"
#include "base/stream.h"
#include "libbulla/session.h"

/* struct outlet: who takes a result that is no file of its own. */
struct outlet {
    struct sink *sink; /* takes the bytes; NULL = they are written to fd */
    int fd;            /* is synced, unless nothing is; -1 with a sink */
    const char *name;

    /* Makes durable, and visible to others, what the sink took; NULL = there is nothing to do. */
    struct result (*commit)(void *arg, struct err *err);
    void *commit_arg;
    bool unclear; /* it failed, but what the sink took may be there all the same */
};

/* struct output: {0} is empty and safe to close; not to be moved once open. */
struct output {
    struct atomic_file file;
    struct fd_sink fd;
    struct session *session;
    const struct outlet *outlet; /* NULL = the file */
    struct sink *sink;           /* to be written to */
};

#define OUTPUT_CLEANUP __attribute__((cleanup(output_close)))

/* struct inputs: what an output must not be. */
struct inputs {
    const struct stat *source, *envelope; /* NULL = none */
    struct session *session;   /* what its keys live in, and what it wrote; NULL = none */
    const struct keyset *keys; /* what these live in; NULL = none */
};

/* output_open makes an output at place (NULL = at the outlet), which must not be one of the inputs.
 * place and outlet must outlive *o. */
FALLIBLE output_open(struct output *o, const struct place *place, const struct outlet *outlet,
                     bool replace, const struct inputs *inputs, struct err *err);

/* output_guard fails if others could read the file who must not, before anything is written to it:
 * see atomic_file_guard. like and whose are as for output_commit. */
FALLIBLE output_guard(const struct output *o, const struct stat *like, enum whose whose,
                      struct err *err);

/* output_commit makes what was written durable and, if it is a file, puts it in its place, like
 * *like (see fd_like) if that is a regular file, else with the permissions of any new file. It
 * fails if another result of the session is there by now. */
FALLIBLE output_commit(struct output *o, const struct stat *like, enum whose whose,
                       struct err *err);

/* output_close drops what was not committed. */
void output_close(struct output *o);

#endif
