/* handle: the content of struct bulla, and how each of its functions begins and ends. */
#ifndef BULLA_LIBBULLA_HANDLE_H
#define BULLA_LIBBULLA_HANDLE_H

#include "base/host.h"
#include "libbulla/bulla.h"
#include "libbulla/session.h"

struct bulla {
    struct host host;
    struct store_states states; /* what the key stores remember for it */
    struct session session;
    struct bulla_options options;
    pthread_mutex_t turn; /* of the calls */
};

/* struct call: a function of bulla.h that is running; it is ended by call_end. */
struct call {
    struct bulla *handle;
    struct host *before;
    struct err err;
};

/* call_begin waits for the turn of the handle, and has this thread work for it. */
void call_begin(struct call *c, struct bulla *handle);

/* call_end ends it, and gives what the function returns: the status of what went wrong if done is
 * not OK, which *error gets too, if that is not NULL. */
int call_end(struct call *c, struct result done, struct bulla_error *error);

/* handle_keys opens the keys that references name, also those that the program wraps by itself, and
 * adds them to *set, which the caller closes, on failure too. */
FALLIBLE handle_keys(struct bulla *b, struct keyset *set, const char *const *references,
                     size_t count, struct err *err);

/* handle_context reads "KEY=VALUE" pairs; the caller frees *context, on failure too. */
FALLIBLE handle_context(struct context *context, const char *const *pairs, size_t count,
                        struct err *err);

/* handle_suite reads an enum bulla_suite; usual is what its zero means. */
FALLIBLE handle_suite(enum suite *suite, int given, enum suite usual, struct err *err);

#endif
