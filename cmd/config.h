/* config: names for keys, from an INI file.
 *
 *     [keys]
 *     backup = /etc/bulla/backup.ring#backup
 *
 * Looked for at BULLA_CONFIG; without it in $XDG_CONFIG_HOME/bulla/config.ini (~/.config if that is
 * not set) and then in /etc/bulla/config.ini, as far as the user can see these. A file that
 * somebody else may have written is refused (ERR_POLICY). */
#ifndef BULLA_CMD_CONFIG_H
#define BULLA_CMD_CONFIG_H

#include "base/err.h"

#define CONFIG_FILES 2

/* config_files gives the paths of the files, in the order they are looked in; NULL where there is
 * none. The caller frees them. */
FALLIBLE config_files(char *paths[CONFIG_FILES], struct err *err);

/* config_key looks up a name; *reference, which the caller frees, is NULL if no file has it. */
FALLIBLE config_key(const char *name, char **reference, struct err *err);

/* config_each calls each for every name that a file has, as far as they can be read. */
void config_each(void (*each)(void *arg, const char *name), void *arg);

#endif
