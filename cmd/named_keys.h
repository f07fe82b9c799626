/* named_keys: the keys that a command line, BULLA_KEY and the config file name, found and opened.
 */
#ifndef BULLA_CMD_NAMED_KEYS_H
#define BULLA_CMD_NAMED_KEYS_H

#include "cmd/options.h"
#include "libbulla/session.h"

/* named_keys_fallback is the value of BULLA_KEY if the list has no key; NULL if it has one, or if
 * BULLA_KEY is not set. */
const char *named_keys_fallback(const struct list *keys);

/* named_keys_are_operands is true if the operands of a verb are keys. */
bool named_keys_are_operands(const struct verb *v);

/* named_keys_visit calls visit for each key of a command line, as the user named it. */
void named_keys_visit(const struct verb *v, const struct options *o,
                      void (*visit)(void *arg, enum use use, const char *given), void *arg);

/* named_keys_open opens a session with the keys of -k, else of BULLA_KEY, else of the config file,
 * in which names are looked up. Without any key: ERR_USAGE if need is true. */
FALLIBLE named_keys_open(struct session *s, const struct options *o, bool need, struct err *err);

/* named_keys_open_set opens the keys of a list. */
FALLIBLE named_keys_open_set(struct keyset *set, struct keystore_env *env, const struct list *list,
                             struct err *err);

/* named_keys_is_name is true for what can only be a name of the config file: it has no scheme, and
 * neither '/' nor '.' in front of a '#'. */
bool named_keys_is_name(const char *given);

/* named_keys_reference replaces a name of the config file by its reference, and an alias by what it
 * stands for (key_alias.h); the caller frees. ERR_MISSING if no config file has the name. */
FALLIBLE named_keys_reference(const char *given, char **reference, struct err *err);

#endif
