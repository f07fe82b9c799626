/* config_file: one bulla.conf, read and checked as a whole. config.h has what it looks like. */
#ifndef BULLA_CMD_CONFIG_FILE_H
#define BULLA_CMD_CONFIG_FILE_H

#include "base/ini.h"
#include "cmd/config.h"

/* struct config_file: {0} is empty and safe to free. */
struct config_file {
    char *path;
    char *directory; /* that relative paths are meant from, absolute; NULL = it has none */
    char *real;      /* the same without symbolic links, or NULL */
    struct ini ini;
    struct config_choice defaults, openers, *rules; /* rules as they follow in the file */
    size_t rule_count;
    struct store_settings settings; /* without an environment; the file owns their texts */
};

/* config_file_read reads the file at path into an empty *f, which the caller frees, on failure too.
 * ERR_USAGE names the line that makes no sense, ERR_POLICY says who may have written it. */
FALLIBLE config_file_read(struct config_file *f, const char *path, struct err *err);
void config_file_free(struct config_file *f);

/* config_file_key gives the pair that has the reference of a name, or NULL. */
const struct ini_pair *config_file_key(const struct config_file *f, const char *name);

/* config_file_names is true for such a pair. */
bool config_file_names(const struct ini_pair *pair);

/* config_file_reference makes a reference of a pair's value, which the caller frees: a relative
 * path is put below the file's directory. ERR_USAGE if there is none. */
FALLIBLE config_file_reference(const struct config_file *f, const struct ini_pair *pair,
                               char **reference, struct err *err);

/* config_file_fits is true if a rule matches an absolute path. */
bool config_file_fits(const struct config_file *f, const struct config_choice *rule,
                      const char *path);

#endif
