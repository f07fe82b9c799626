#include "keystore/awskms/profile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/secret_file.h"

#define FILE_MAX (1024 * 1024) /* bytes */
#define BLANKS " \t\r\f\v"

/* struct profile_pair: one "key = value"; a section without any has one pair with an empty key. */
struct profile_pair {
    const char *profile, *key, *value;
};

/* struct reading: where in a file its reader is. */
struct reading {
    struct profile_file *file;
    bool sections_say_profile; /* [profile x], as in the config file */
    const char *profile;       /* NULL: none yet, or a section of something else */
    size_t indent;             /* of the last key */
    bool has_key;              /* in this section */
};

/* Text without blanks at its ends; cuts them off. */
static char *trim(char *text)
{
    text += strspn(text, BLANKS);
    for (size_t n = strlen(text); n > 0 && strchr(BLANKS, text[n - 1]) != NULL; n--)
        text[n - 1] = '\0';
    return text;
}

static struct result add_pair(struct profile_file *f, struct profile_pair pair, struct err *err)
{
    struct profile_pair *grown = f->pairs;

    if ((f->count & (f->count - 1)) == 0)
        grown = reallocarray(f->pairs, f->count > 0 ? 2 * f->count : 1, sizeof *grown);
    if (grown == NULL)
        return fail(err, ERR_FAILED, "out of memory");
    f->pairs = grown;
    f->pairs[f->count++] = pair;
    return OK;
}

/* The profile of a section's name, or NULL for a section of another kind. */
static char *section_profile(const struct reading *r, char *name)
{
    name = trim(name);
    if (r->sections_say_profile && strcmp(name, "default") != 0) {
        size_t word = strlen("profile");
        if (strncmp(name, "profile", word) != 0 || strchr(BLANKS "\"'", name[word]) == NULL ||
            name[word] == '\0')
            return NULL;
        name = trim(name + word);
    }
    size_t size = strlen(name);
    if (size >= 2 && (name[0] == '"' || name[0] == '\'') && name[size - 1] == name[0]) {
        name[size - 1] = '\0';
        name++;
    }
    return name;
}

/* As configparser of Python reads a line: one that is indented more than the key above it belongs
 * to that key's value, and no key of ours has such values. */
static struct result read_line(struct reading *r, char *line, struct err *err)
{
    size_t indent = strspn(line, BLANKS);
    char *text = trim(line);

    if (text[0] == '\0' || text[0] == '#' || text[0] == ';' || (r->has_key && indent > r->indent))
        return OK;
    if (text[0] == '[' && strrchr(text, ']') != NULL) {
        *strrchr(text, ']') = '\0';
        r->profile = section_profile(r, text + 1);
        r->has_key = false;
        return r->profile == NULL
                   ? OK
                   : add_pair(r->file, (struct profile_pair){r->profile, "", ""}, err);
    }
    r->has_key = true;
    r->indent = indent;
    char *sign = strpbrk(text, "=:");
    if (r->profile == NULL || sign == NULL)
        return OK;
    *sign = '\0';
    struct profile_pair pair = {r->profile, trim(text), trim(sign + 1)};
    return add_pair(r->file, pair, err);
}

static struct result read_lines(struct reading *r, struct err *err)
{
    char *line = (char *)r->file->text.bytes, *next;

    for (; line != NULL; line = next) {
        next = strchr(line, '\n');
        if (next != NULL)
            *next++ = '\0';
        if (!read_line(r, line, err).ok)
            return FAIL;
    }
    return OK;
}

/* The whole of a file, with a zero behind it; nothing if it is not there. */
static struct result read_text(struct secret *text, const char *path, struct err *err)
{
    int fd FD_CLEANUP = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    struct stat st;
    size_t size;

    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return OK;
    if (fd < 0 || fstat(fd, &st) != 0)
        return fail_errno(err, "cannot open '%s'", path);
    if (S_ISCHR(st.st_mode)) /* /dev/null stands for no file */
        return OK;
    if (!S_ISREG(st.st_mode) || st.st_size > FILE_MAX)
        return fail(err, ERR_FAILED, "'%s' is not a file of at most %d bytes", path, FILE_MAX);
    return secret_read(text, &size, (size_t)st.st_size, fd, path, err);
}

/* The path in a variable, or of the usual file in the home folder; NULL if there is none. The
 * caller frees *path. */
static struct result find_path(char **path, const char *variable, const char *usual,
                               struct err *err)
{
    const char *named = getenv(variable), *home = getenv("HOME");

    *path = NULL;
    if (named == NULL || named[0] == '\0')
        named = usual;
    bool in_home = strncmp(named, "~/", 2) == 0;
    if (in_home && home == NULL)
        return OK;
    if (asprintf(path, "%s%s", in_home ? home : "", named + in_home) < 0) {
        *path = NULL;
        return fail(err, ERR_FAILED, "out of memory");
    }
    return OK;
}

static struct result read_file(struct profile_file *file, const char *variable, const char *usual,
                               bool say_profile, struct err *err)
{
    struct reading r = {.file = file, .sections_say_profile = say_profile};
    char *path STRING_CLEANUP = NULL;

    if (!find_path(&path, variable, usual, err).ok ||
        (path != NULL && !read_text(&file->text, path, err).ok))
        return FAIL;
    return file->text.bytes != NULL ? read_lines(&r, err) : OK;
}

struct result profiles_read(struct profiles *profiles, struct err *err)
{
    struct profiles made = {0};

    if (!read_file(&made.config, "AWS_CONFIG_FILE", "~/.aws/config", true, err).ok ||
        !read_file(&made.credentials, "AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials", false,
                   err)
             .ok) {
        profiles_free(&made);
        return FAIL;
    }
    *profiles = made;
    return OK;
}

void profiles_free(struct profiles *profiles)
{
    secret_free(&profiles->config.text);
    secret_free(&profiles->credentials.text);
    free(profiles->config.pairs);
    free(profiles->credentials.pairs);
    *profiles = (struct profiles){0};
}

/* The last of several, as the AWS tools have it. */
static const struct profile_pair *find(const struct profile_file *file, const char *profile,
                                       const char *key)
{
    for (size_t i = file->count; i-- > 0;)
        if (strcmp(file->pairs[i].profile, profile) == 0 &&
            strcasecmp(file->pairs[i].key, key) == 0)
            return &file->pairs[i];
    return NULL;
}

bool profile_exists(const struct profiles *profiles, const char *profile)
{
    return find(&profiles->config, profile, "") != NULL ||
           find(&profiles->credentials, profile, "") != NULL;
}

const char *profile_get_in(const struct profile_file *file, const char *profile, const char *key)
{
    const struct profile_pair *pair = find(file, profile, key);

    return pair != NULL && pair->value[0] != '\0' ? pair->value : NULL;
}

const char *profile_get(const struct profiles *profiles, const char *profile, const char *key)
{
    const char *value = profile_get_in(&profiles->credentials, profile, key);

    return value != NULL ? value : profile_get_in(&profiles->config, profile, key);
}
