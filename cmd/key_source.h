/* key_source: where the keys of a run come from. -k goes before BULLA_KEY, and that before the
 * config file, which chooses nothing then. */
#ifndef BULLA_CMD_KEY_SOURCE_H
#define BULLA_CMD_KEY_SOURCE_H

#include "cmd/config.h"
#include "cmd/options.h"
#include "keystore/keystore.h"

/* struct key_source: keys, as they are named there. */
struct key_source {
    const char *const *names;
    size_t count;
    const char *one;                    /* that of BULLA_KEY, or NULL */
    const struct config_choice *choice; /* of the config file, or NULL */
};

/* key_source_find finds the keys; count is 0 if there are none. Of an encryption, those for what
 * has no path. *from is not to be moved. */
FALLIBLE key_source_find(struct key_source *from, const struct options *o, struct err *err);

/* key_source_is_config is true if it is for the config file to say. */
bool key_source_is_config(const struct options *o);

/* key_source_none is the failure of a run that has no key. */
FALLIBLE key_source_none(struct err *err);

/* key_source_visit calls visit for every key that the config file may choose for this run. */
void key_source_visit(const struct options *o,
                      void (*visit)(void *arg, enum use use, const char *given), void *arg);

/* key_source_settle takes from the config file what a key of this reference needs and neither an
 * option nor the environment says: the module, the address of a service. */
FALLIBLE key_source_settle(struct keystore_env *env, const char *reference, struct err *err);

#endif
