/* seal_keys: the keys and the context that each file of a run is sealed to, where the config file
 * chooses them by its path. Keys are opened when the first file needs them. */
#ifndef BULLA_CMD_SEAL_KEYS_H
#define BULLA_CMD_SEAL_KEYS_H

#include <pthread.h>

#include "cmd/config.h"
#include "cmd/options.h"
#include "libbulla/session.h"

/* struct seal_keys: what one choice of the config file comes to. */
struct seal_keys {
    const struct config_choice *choice;
    struct keyset keys;
    struct context context; /* of the command line and the choice */
    struct err err;         /* why the keys could not be opened */
    struct seal_keys *next;
};

/* struct seal_choices: those of a run; {0} is empty and safe to end. */
struct seal_choices {
    const struct options *options;
    struct session *session;
    pthread_mutex_t lock; /* for what follows */
    struct seal_keys *first;
};

/* seal_choices_begin opens the session without keys. If every file gets the same ones, they are
 * opened at once. ERR_USAGE if no file gets any. */
FALLIBLE seal_choices_begin(struct seal_choices *c, struct session *s, const struct options *o,
                            struct err *err);

/* seal_choices_find gives what the file source is sealed to; for NULL, standard input, what is
 * chosen for the path of the result, which may be NULL too. By several threads at once. */
FALLIBLE seal_choices_find(struct seal_choices *c, const char *source, const char *result,
                           const struct seal_keys **out, struct err *err);

/* seal_choices_calls is keyset_calls of them all. */
uint64_t seal_choices_calls(const struct seal_choices *c);
void seal_choices_end(struct seal_choices *c);

/* seal_keys_context makes *out the pairs of --context and those of a choice that it does not have.
 * The caller frees *out. */
FALLIBLE seal_keys_context(struct context *out, const struct options *o,
                           const struct config_choice *choice, struct err *err);

/* seal_keys_path gives the real path of a file, with every symbolic link followed, or of one that
 * is still to be made, and the name of an object as it is; the caller frees it. It is NULL for a
 * descriptor. ERR_MISSING if the directory is not there. */
FALLIBLE seal_keys_path(const char *path, char **real, struct err *err);

#endif
