/* config: bulla.conf, an INI file with names for keys, and what a run takes that does not say it.
 *
 *     [keys]
 *     backup = /etc/bulla/backup.ring#backup
 *     db     = db.ring
 *
 *     [defaults]
 *     keys   = backup
 *     module = /usr/lib/softhsm/libsofthsm2.so
 *
 *     [rule databases]
 *     path        = /srv/db/?*
 *     keys        = db backup
 *     context.env = prod
 *
 * Looked for at BULLA_CONFIG; without it in $XDG_CONFIG_HOME/bulla/bulla.conf (~/.config if that is
 * not set) and then in /etc/bulla/bulla.conf, as far as the user can see these. A file that
 * somebody else may have written is refused (ERR_POLICY), and so is a section or an option that is
 * not known (ERR_USAGE). A relative path is meant from the file's own directory.
 *
 * A file is read once, when something is looked for that no file before it has. What is given from
 * it lives until config_forget. One thread at a time. */
#ifndef BULLA_CMD_CONFIG_H
#define BULLA_CMD_CONFIG_H

#include "base/err.h"
#include "crypto/envelope_core.h"
#include "keystore/store_option.h"

#define CONFIG_FILES 2

/* config_files gives the paths of the files, in the order they are looked in; NULL where there is
 * none. The caller frees them. */
FALLIBLE config_files(char *paths[CONFIG_FILES], struct err *err);

/* config_key looks up a name; *reference, which the caller frees, is NULL if no file has it. */
FALLIBLE config_key(const char *name, char **reference, struct err *err);

/* config_key_place tells where a name is that config_key found. */
void config_key_place(const char *name, const char **file, unsigned *line);

/* config_each calls each for every name that a file has, as far as they can be read. */
void config_each(void (*each)(void *arg, const char *name), void *arg);

/* struct config_choice: keys that a section of a file chooses, by their names. */
struct config_choice {
    const char *file;
    unsigned line;       /* that names the keys; 0 = it names none */
    const char *rule;    /* its name; NULL = it is [defaults] */
    const char *pattern; /* of paths that the rule matches */
    unsigned begins;     /* the line of the rule */
    const char **names;
    size_t count;
    struct context context; /* that goes with them */
};

/* config_choose gives the first rule, those of the user's file first, that is for an absolute path;
 * the default keys where there is none, or path is NULL; NULL if there are none either. */
FALLIBLE config_choose(const char *path, const struct config_choice **choice, struct err *err);

/* config_openers gives the keys that open files: those of open-keys, else the default ones, of the
 * first file that has either; NULL if none has. */
FALLIBLE config_openers(const struct config_choice **choice, struct err *err);

/* config_all calls each for every choice of all files, in the order in which they are tried. */
FALLIBLE config_all(void (*each)(void *arg, const struct config_choice *choice), void *arg,
                    struct err *err);

/* config_each_file calls each for every file that there is. */
FALLIBLE config_each_file(void (*each)(void *arg, const char *path, size_t keys, size_t rules),
                          void *arg, struct err *err);

/* config_setting gives what [defaults] says in place of an option of a key store; NULL if it does
 * not. */
FALLIBLE config_setting(const struct store_option *option, const char **text, struct err *err);

/* config_forget frees all that was read; it is read again then. */
void config_forget(void);

#endif
