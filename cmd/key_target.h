/* key_target: the key that a verb of 'bulla key' works on, and what these verbs have in common. */
#ifndef BULLA_CMD_KEY_TARGET_H
#define BULLA_CMD_KEY_TARGET_H

#include <jansson.h>

#include "cmd/options.h"
#include "libbulla/session.h"

/* struct key_target: the one key that a verb was given, and what its store needs. */
struct key_target {
    struct session session; /* without keys */
    char *reference;
    const char *rest; /* as the store takes it */
    const struct keystore *store;
};

#define KEY_TARGET_CLEANUP __attribute__((cleanup(key_target_free)))

/* key_target_read fills *t, which the caller frees also after a failure. */
FALLIBLE key_target_read(struct key_target *t, const char *given, const struct options *o,
                         struct err *err);
void key_target_free(struct key_target *t);

/* key_target_cannot fails because the store of a key does not do something: ERR_UNSUPPORTED. */
FALLIBLE key_target_cannot(const struct key_target *t, const char *what, struct err *err);

/* key_change lets the store of a key change its state. */
FALLIBLE key_target_change(const struct key_target *t, enum key_change what, struct key_info *info,
                           struct err *err);

/* key_target_failed prints why something failed for a key, with existing keys of a similar name,
 * and returns the exit status. */
int key_target_failed(const char *given, struct err *err);

/* key_run does what a verb does to the one key that it was given; returns the exit status. */
int key_target_run(struct result (*run)(const struct options *o, struct err *err),
                   const struct options *o);

/* key_target_json makes an object of what is known of a key; terminal_json takes it over. */
json_t *key_target_json(const char *reference, const struct key_info *info);

/* key_target_tell tells what a key is now. */
void key_target_tell(const struct options *o, const struct key_target *t,
                     const struct key_info *info);

#endif
