/* callback: reads the structs of the program that uses the library, and turns what its callbacks
 * return into errors. */
#ifndef BULLA_LIBBULLA_CALLBACK_H
#define BULLA_LIBBULLA_CALLBACK_H

#include "base/stream.h"
#include "libbulla/bulla.h"
#include "libbulla/output.h"

/* struct_take copies a struct of bulla.h, which begins with its size, to copy, which has room
 * bytes; NULL is one of zeros. ERR_USAGE if its size is not set, ERR_UNSUPPORTED if it says
 * anything that this version does not know. what is for messages. */
FALLIBLE struct_take(void *copy, size_t room, const void *given, const char *what, struct err *err);

/* struct_give copies the first of size bytes of a struct, as many as the caller's has, but for its
 * size. NULL takes nothing. */
void struct_give(void *taken, const void *made, size_t size);

/* callback_failed is fail with what a callback answered in place of BULLA_DONE. */
#define callback_failed(status, err, ...) fail(err, callback_class(status), __VA_ARGS__)
enum err_class callback_class(int status);

/* struct callback_source: an input as a source; not to be moved. */
struct callback_source {
    struct source source;
    struct bulla_input input;
};

FALLIBLE callback_source_open(struct callback_source *s, const struct bulla_input *input,
                              struct err *err);

/* struct callback_sink: an output as an outlet; not to be moved. */
struct callback_sink {
    struct sink sink;
    struct fd_sink fd;
    struct outlet outlet;
    struct bulla_output output;
};

/* callback_sink_open opens an output, which must not be the file of the source, which would be lost
 * with it, nor one that a key of the session lives in. */
FALLIBLE callback_sink_open(struct callback_sink *s, const struct bulla_output *output,
                            const struct callback_source *source, const struct session *session,
                            struct err *err);

#endif
