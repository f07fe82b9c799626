/* aliases: names of keys that stand for a path.
 *
 *     fd:N              /dev/fd/N, a descriptor that was open when bulla was started
 *     credential:NAME   $CREDENTIALS_DIRECTORY/NAME, a systemd credential
 *
 * Either may be followed by #NAME or #NAME:VERSION of a key. The stores know only paths. */
#ifndef BULLA_CMD_ALIASES_H
#define BULLA_CMD_ALIASES_H

#include "base/err.h"

/* aliases_has is true if a name begins as one of these. */
bool aliases_has(const char *given);

/* aliases_resolve gives what a name stands for: itself, if it is no alias. The caller frees
 * *reference. ERR_USAGE. */
FALLIBLE aliases_resolve(const char *given, char **reference, struct err *err);

/* aliases_descriptor is the descriptor that a key is to be read from, or -1. */
int aliases_descriptor(const char *given);

#define CREDENTIALS "CREDENTIALS_DIRECTORY"

/* aliases_credentials is the directory of the unit's credentials, or NULL. */
const char *aliases_credentials(void);

#endif
