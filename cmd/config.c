#include "cmd/config.h"

#include <errno.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/trusted.h"

#define SYSTEM_CONFIG "/etc/bulla/config.ini"

struct lookup {
    const char *name;
    void (*each)(void *arg, const char *name); /* told of every name; else NULL */
    void *arg;
    char *found;
    bool twice, unknown, empty, no_memory;
    const char *broken; /* what the file has that cannot be read */
};

/* struct lines: a file as inih reads it, and whom to tell of a line that it would misread. */
struct lines {
    FILE *file;
    struct lookup *lookup;
};

static char *read_line(char *out, int room, void *arg)
{
    struct lines *lines = arg;
    int c = 0, size = 0;

    while (c != '\n' && (c = getc(lines->file)) != EOF) {
        if (c == '\0' || size == room - 1) {
            lines->lookup->broken = c == '\0' ? "a zero byte" : "a line that is too long";
            return NULL;
        }
        out[size++] = (char)c;
    }
    out[size] = '\0';
    return size > 0 && !ferror(lines->file) ? out : NULL;
}

static int on_pair(void *arg, const char *section, const char *name, const char *value)
{
    struct lookup *l = arg;

    if (strcmp(section, "keys") != 0) {
        l->unknown = true;
        return 0;
    }
    if (l->each != NULL)
        l->each(l->arg, name);
    if (l->each != NULL || strcmp(name, l->name) != 0)
        return 1;
    l->twice = l->twice || l->found != NULL;
    free(l->found);
    l->found = strdup(value);
    l->no_memory = l->found == NULL;
    l->empty = value[0] == '\0';
    return l->found != NULL && !l->twice && !l->empty;
}

/* Whether nothing is at a path, or nothing that this user can see: HOME may be a file, or somebody
 * else's directory. A file that is seen and cannot be read is another matter. */
static bool is_nowhere(const char *path)
{
    struct stat st;

    return lstat(path, &st) != 0 && (errno == ENOENT || errno == ENOTDIR || errno == EACCES ||
                                     errno == ELOOP || errno == ENAMETOOLONG);
}

/* Whoever could have written it would choose the keys, and the module that is loaded for them. */
static struct result believe(FILE *file, const char *path, struct err *err)
{
    char hint[ERR_HINT_MAX];

    if (trusted_file(fileno(file), path, "config file", err).ok)
        return OK;
    memcpy(hint, err->hint, sizeof hint);
    if (hint[0] != '\0')
        err_hint(err, "%s; BULLA_CONFIG names another", hint);
    return FAIL;
}

static struct result parse(FILE *file, const char *path, struct lookup *l, int *line,
                           struct err *err)
{
    if (!believe(file, path, err).ok)
        return FAIL;
    *line = ini_parse_stream(read_line, &(struct lines){file, l}, on_pair, l);
    return ferror(file) == 0 ? OK : fail_errno(err, "cannot read config file '%s'", path);
}

/* Reads one file. One that must be there is the one the user named. */
static struct result look_in(const char *path, bool must, struct lookup *l, struct err *err)
{
    if (!must && is_nowhere(path))
        return OK;
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return fail_input(err, "cannot open config file '%s'", path);
    int line;
    struct result r = parse(file, path, l, &line, err);
    (void)fclose(file); /* it was only read */
    if (!r.ok)
        return FAIL;
    if (l->broken != NULL)
        return fail(err, ERR_USAGE, "config file '%s' has %s", path, l->broken);
    if (line == 0)
        return OK;
    if (l->no_memory || line < 0)
        return fail(err, ERR_FAILED, "config file '%s' could not be read", path);
    if (l->twice)
        return fail(err, ERR_USAGE, "config file '%s', line %d: key '%s' stands twice", path, line,
                    l->name);
    if (l->empty)
        return fail(err, ERR_USAGE, "config file '%s', line %d: key '%s' is empty", path, line,
                    l->name);
    if (l->unknown)
        return fail(err, ERR_USAGE, "config file '%s', line %d: a section other than [keys]", path,
                    line);
    return fail(err, ERR_USAGE, "config file '%s', line %d: not 'name = value'", path, line);
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
        size = asprintf(&paths[0], "%s/bulla/config.ini", xdg);
    else if (home != NULL && home[0] == '/')
        size = asprintf(&paths[0], "%s/.config/bulla/config.ini", home);
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
