/* key_alias: names of keys that stand for a path.
 *
 *     fd:N              /dev/fd/N, a descriptor that was open when bulla was started
 *     credential:NAME   $CREDENTIALS_DIRECTORY/NAME, a systemd credential
 *
 * Either may be followed by #NAME or #NAME:VERSION of a key. The stores know only paths. */
#ifndef BULLA_CMD_KEY_ALIAS_H
#define BULLA_CMD_KEY_ALIAS_H

#include "base/err.h"

/* key_alias_has is true if a name begins as one of these. */
bool key_alias_has(const char *given);

/* key_alias_resolve gives what a name stands for: itself, if it is no alias. The caller frees
 * *reference. ERR_USAGE. */
FALLIBLE key_alias_resolve(const char *given, char **reference, struct err *err);

/* key_alias_descriptor is the descriptor that a key is to be read from, or -1. */
int key_alias_descriptor(const char *given);

#define CREDENTIALS "CREDENTIALS_DIRECTORY"

/* key_alias_credentials is the directory of the unit's credentials, or NULL. */
const char *key_alias_credentials(void);

#endif
