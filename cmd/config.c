#include "cmd/config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "cmd/config_file.h"

#define SYSTEM_CONFIG "/etc/bulla/bulla.conf"

/* What was read so far, also a failure, because a pipe can be read only once. */
static struct {
    bool tried;
    struct err err;
    struct config_file file; /* empty if there is none */
} known[CONFIG_FILES];

/* Whether there is nothing at a path, or nothing that this user can see: HOME may be a file, or
 * somebody else's directory. A file that can be seen but not read is there, and is an error. */
static bool is_nowhere(const char *path)
{
    struct stat st;

    return lstat(path, &st) != 0 && (errno == ENOENT || errno == ENOTDIR || errno == EACCES ||
                                     errno == ELOOP || errno == ENAMETOOLONG);
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
    return fail_memory(err);
}

/* Reads the file of this number, unless there is none. One that must be there is the one that the
 * user named. */
static struct result read_file(size_t i, struct err *err)
{
    char *paths[CONFIG_FILES];
    struct result r = config_files(paths, err);

    if (r.ok && paths[i] != NULL && (named_file() != NULL || !is_nowhere(paths[i])))
        r = config_file_read(&known[i].file, paths[i], err);
    string_free(&paths[0]);
    string_free(&paths[1]);
    return r;
}

/* The file of this number, empty if there is none. */
static struct result file_at(size_t i, const struct config_file **file, struct err *err)
{
    if (!known[i].tried && !read_file(i, &known[i].err).ok)
        config_file_free(&known[i].file);
    known[i].tried = true;
    *file = &known[i].file;
    if (known[i].err.class == ERR_NONE)
        return OK;
    *err = known[i].err;
    return FAIL;
}

void config_forget(void)
{
    for (size_t i = 0; i < CONFIG_FILES; i++) {
        config_file_free(&known[i].file);
        known[i].err = (struct err){0};
        known[i].tried = false;
    }
}

struct result config_key(const char *name, char **reference, struct err *err)
{
    const struct config_file *file;

    *reference = NULL;
    for (size_t i = 0; i < CONFIG_FILES; i++) {
        if (!file_at(i, &file, err).ok)
            return FAIL;
        const struct ini_pair *pair = config_file_key(file, name);
        if (pair != NULL)
            return config_file_reference(file, pair, reference, err);
    }
    return OK;
}

void config_key_place(const char *name, const char **file, unsigned *line)
{
    for (size_t i = 0; i < CONFIG_FILES; i++) {
        const struct ini_pair *pair = config_file_key(&known[i].file, name);
        if (pair == NULL)
            continue;
        *file = known[i].file.path;
        *line = pair->line;
        return;
    }
}

void config_each(void (*each)(void *arg, const char *name), void *arg)
{
    const struct config_file *file;
    struct err ignored;

    for (size_t i = 0; i < CONFIG_FILES && file_at(i, &file, &ignored).ok; i++)
        for (size_t j = 0; j < file->ini.count; j++)
            if (config_file_names(&file->ini.pairs[j]))
                each(arg, file->ini.pairs[j].key);
}

/* The first rule of a file that matches a path; NULL if none does. */
static const struct config_choice *rule_for(const struct config_file *file, const char *path)
{
    for (size_t i = 0; path != NULL && i < file->rule_count; i++)
        if (config_file_fits(file, &file->rules[i], path))
            return &file->rules[i];
    return NULL;
}

/* Both files, read. */
static struct result all_files(const struct config_file *files[CONFIG_FILES], struct err *err)
{
    for (size_t i = 0; i < CONFIG_FILES; i++)
        if (!file_at(i, &files[i], err).ok)
            return FAIL;
    return OK;
}

struct result config_choose(const char *path, const struct config_choice **choice, struct err *err)
{
    const struct config_file *files[CONFIG_FILES];

    *choice = NULL;
    if (!all_files(files, err).ok)
        return FAIL;
    for (size_t i = 0; i < CONFIG_FILES && *choice == NULL; i++)
        *choice = rule_for(files[i], path);
    for (size_t i = 0; i < CONFIG_FILES && *choice == NULL; i++)
        *choice = files[i]->defaults.count > 0 ? &files[i]->defaults : NULL;
    return OK;
}

struct result config_openers(const struct config_choice **choice, struct err *err)
{
    const struct config_file *files[CONFIG_FILES];

    *choice = NULL;
    if (!all_files(files, err).ok)
        return FAIL;
    for (size_t i = 0; i < CONFIG_FILES && *choice == NULL; i++)
        *choice = files[i]->openers.count > 0    ? &files[i]->openers
                  : files[i]->defaults.count > 0 ? &files[i]->defaults
                                                 : NULL;
    return OK;
}

struct result config_all(void (*each)(void *arg, const struct config_choice *choice), void *arg,
                         struct err *err)
{
    const struct config_file *files[CONFIG_FILES];
    const struct config_choice *choice;

    if (!all_files(files, err).ok || !config_choose(NULL, &choice, err).ok)
        return FAIL;
    for (size_t i = 0; i < CONFIG_FILES; i++)
        for (size_t j = 0; j < files[i]->rule_count; j++)
            each(arg, &files[i]->rules[j]);
    if (choice != NULL)
        each(arg, choice);
    return OK;
}

struct result config_each_file(void (*each)(void *arg, const char *path, size_t keys, size_t rules),
                               void *arg, struct err *err)
{
    const struct config_file *files[CONFIG_FILES];

    if (!all_files(files, err).ok)
        return FAIL;
    for (size_t i = 0; i < CONFIG_FILES; i++) {
        size_t keys = 0;
        for (size_t j = 0; j < files[i]->ini.count; j++)
            keys += config_file_names(&files[i]->ini.pairs[j]);
        if (files[i]->path != NULL)
            each(arg, files[i]->path, keys, files[i]->rule_count);
    }
    return OK;
}

struct result config_setting(const struct store_option *option, const char **text, struct err *err)
{
    const struct config_file *files[CONFIG_FILES];

    *text = NULL;
    if (!all_files(files, err).ok)
        return FAIL;
    for (size_t i = 0; i < CONFIG_FILES && *text == NULL; i++)
        *text = store_text(&files[i]->settings, option);
    return OK;
}
