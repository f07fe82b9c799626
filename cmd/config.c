#include "cmd/config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/ini.h"
#include "base/secret_file.h"

#define SYSTEM_CONFIG "/etc/bulla/bulla.conf"
#define CONFIG_MAX (1024 * 1024) /* bytes */
#define KEYS 1                   /* the kind of its one section */

struct lookup {
    const char *name;
    void (*each)(void *arg, const char *name); /* told of every name; else NULL */
    void *arg;
    char *found;
};

static const char *section(char *text, int *kind, const char **fault)
{
    *kind = KEYS;
    *fault = "a section other than [keys]";
    return strcmp(text, "keys") == 0 ? text : NULL;
}

static const struct ini_dialect dialect = {
    .noun = "config file", .section = section, .compare = strcmp};

static struct result take(struct lookup *l, const struct ini *ini, const char *path,
                          struct err *err)
{
    const struct ini_pair *pair = NULL;

    for (size_t i = 0; l->each != NULL && i < ini->count; i++)
        if (ini->pairs[i].key[0] != '\0')
            l->each(l->arg, ini->pairs[i].key);
    if (l->each == NULL)
        pair = ini_find(ini, KEYS, "keys", "", l->name);
    if (pair == NULL)
        return OK;
    if (pair->value[0] == '\0')
        return fail(err, ERR_USAGE, "config file '%s', line %u: key '%s' is empty", path,
                    pair->line, l->name);
    l->found = strdup(pair->value);
    return l->found != NULL ? OK : fail(err, ERR_FAILED, "out of memory");
}

/* Whether nothing is at a path, or nothing that this user can see: HOME may be a file, or somebody
 * else's directory. A file that is seen and cannot be read is another matter. */
static bool is_nowhere(const char *path)
{
    struct stat st;

    return lstat(path, &st) != 0 && (errno == ENOENT || errno == ENOTDIR || errno == EACCES ||
                                     errno == ELOOP || errno == ENAMETOOLONG);
}

static struct result hint_another(struct err *err)
{
    char hint[ERR_HINT_MAX];

    memcpy(hint, err->hint, sizeof hint);
    if (err->class == ERR_POLICY && hint[0] != '\0')
        err_hint(err, "%s; BULLA_CONFIG names another", hint);
    return FAIL;
}

/* Reads one file. One that must be there is the one the user named. Whoever could have written it
 * would choose the keys, and the module that is loaded for them. */
static struct result look_in(const char *path, bool must, struct lookup *l, struct err *err)
{
    struct secret_file file = {
        .noun = dialect.noun, .path = path, .max = CONFIG_MAX, .believed = true};
    struct ini ini INI_CLEANUP = {0};
    struct stat st;
    size_t size;

    if (!must && is_nowhere(path))
        return OK;
    if (!secret_file_read(&file, &ini.text, &size, &st, err).ok)
        return hint_another(err);
    return ini_parse(&ini, &dialect, size, path, err).ok ? take(l, &ini, path, err) : FAIL;
}

/* The one file that counts, if the user named it, else NULL. */
static const char *named_file(void)
{
    const char *named = getenv("BULLA_CONFIG");

    return named != NULL && named[0] != '\0' ? named : NULL;
}

struct result config_files(char *paths[CONFIG_FILES], struct err *err)
{
    const char *xdg = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    int size = 0;

    paths[0] = paths[1] = NULL;
    if (named_file() != NULL)
        size = asprintf(&paths[0], "%s", named_file());
    else if (xdg != NULL && xdg[0] == '/')
        size = asprintf(&paths[0], "%s/bulla/bulla.conf", xdg);
    else if (home != NULL && home[0] == '/')
        size = asprintf(&paths[0], "%s/.config/bulla/bulla.conf", home);
    if (size < 0)
        paths[0] = NULL;
    if (size >= 0 && named_file() == NULL)
        size = asprintf(&paths[1], "%s", SYSTEM_CONFIG);
    if (size >= 0)
        return OK;
    string_free(&paths[0]);
    paths[1] = NULL;
    return fail(err, ERR_FAILED, "out of memory");
}

static struct result look_everywhere(struct lookup *l, struct err *err)
{
    char *paths[CONFIG_FILES];
    struct result r = config_files(paths, err);

    for (size_t i = 0; i < CONFIG_FILES; i++) {
        if (r.ok && l->found == NULL && paths[i] != NULL)
            r = look_in(paths[i], named_file() != NULL, l, err);
        string_free(&paths[i]);
    }
    return r;
}

struct result config_key(const char *name, char **reference, struct err *err)
{
    struct lookup l = {.name = name};

    if (!look_everywhere(&l, err).ok) {
        free(l.found);
        return FAIL;
    }
    *reference = l.found;
    return OK;
}

void config_each(void (*each)(void *arg, const char *name), void *arg)
{
    struct lookup l = {.each = each, .arg = arg};
    struct err ignored;

    (void)!look_everywhere(&l, &ignored).ok;
}
