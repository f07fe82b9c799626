#include "keystore/awskms/profile.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/secret_file.h"
#include "base/text.h"
#include "base/trusted.h"

#define FILE_MAX (1024 * 1024) /* bytes */
#define BLANKS " \t\r\f\v"
#define BYTE_ORDER_MARK "\xef\xbb\xbf"

enum kind { NO_SECTION, OTHER, PROFILE, SERVICES };

/* How a section of the config file begins that is not only its name. */
static const struct {
    const char *word;
    enum kind kind;
} kinds[] = {{"profile", PROFILE}, {"services", SERVICES}};

/* struct profile_pair: one "key = value". A section begins with a pair of an empty key; a line
 * below a key without a value is a pair of its own, of which that key is the parent. */
struct profile_pair {
    enum kind kind;
    const char *section, *parent, *key;
    char *value;
    unsigned line;
};

/* struct reading: where in a file its reader is. */
struct reading {
    struct profile_file *file;
    const char *path;
    bool is_config; /* its sections say what they are: [profile x] */
    char *at, *end; /* of the lines to come */
    unsigned line;
    enum kind kind;
    const char *section;
    size_t last; /* the pair of the last key of this section, if it has one */
    bool has_key;
    size_t indent; /* of that key */
};

static struct result bad_line(const struct reading *r, unsigned line, const char *what,
                              struct err *err)
{
    return fail(err, ERR_USAGE, "AWS file '%s', line %u: %s", r->path, line, what);
}

/* Text without blanks at its ends; cuts them off. */
static char *trim(char *text)
{
    text += strspn(text, BLANKS);
    for (size_t n = strlen(text); n > 0 && strchr(BLANKS, text[n - 1]) != NULL; n--)
        text[n - 1] = '\0';
    return text;
}

static struct result add_pair(const struct reading *r, const char *parent, const char *key,
                              char *value, struct err *err)
{
    struct profile_file *f = r->file;
    struct profile_pair *grown = f->pairs;

    if ((f->count & (f->count - 1)) == 0)
        grown = reallocarray(f->pairs, f->count > 0 ? 2 * f->count : 1, sizeof *grown);
    if (grown == NULL)
        return fail(err, ERR_FAILED, "out of memory");
    f->pairs = grown;
    f->pairs[f->count++] = (struct profile_pair){r->kind, r->section, parent, key, value, r->line};
    return OK;
}

/* A name without its quotes. */
static char *unquote(char *name)
{
    size_t size = strlen(name);

    if (size < 2 || (name[0] != '"' && name[0] != '\'') || name[size - 1] != name[0])
        return name;
    name[size - 1] = '\0';
    return name + 1;
}

/* Whether a section's name begins with a word of its own. */
static bool has_word(const char *name, const char *word)
{
    size_t size = strlen(word);

    return strncmp(name, word, size) == 0 && name[size] != '\0' &&
           strchr(BLANKS "\"'", name[size]) != NULL;
}

static struct result begin_section(struct reading *r, char *name, struct err *err)
{
    name = trim(name);
    if (strcmp(name, "DEFAULT") == 0) /* the AWS tools add it to every profile, but it is not one */
        return bad_line(r, r->line, "section [DEFAULT] is not a profile; [default] is one", err);
    r->section = unquote(name);
    r->kind = r->is_config && strcmp(name, "default") != 0 ? OTHER : PROFILE;
    for (size_t i = 0; r->kind == OTHER && i < sizeof kinds / sizeof *kinds; i++)
        if (has_word(name, kinds[i].word)) {
            r->kind = kinds[i].kind;
            r->section = unquote(trim(name + strlen(kinds[i].word)));
        }
    r->has_key = false;
    return add_pair(r, "", "", name + strlen(name), err);
}

/* A line that is indented more than the key above it belongs to that key's value: to its end, or,
 * if the key's own line has none, as a pair below the key. */
static struct result more_value(struct reading *r, char *text, struct err *err)
{
    const struct profile_pair *above = &r->file->pairs[r->last];

    if (above->value[0] == '\0') {
        char *sign = strchr(text, '=');
        if (sign == NULL)
            return bad_line(r, r->line, "not 'name = value'", err);
        *sign = '\0';
        return add_pair(r, above->key, trim(text), trim(sign + 1), err);
    }
    char *end = above->value + strlen(above->value); /* a line's end is between it and text */
    *end = '\n';
    memmove(end + 1, text, strlen(text) + 1);
    return OK;
}

/* A byte that is not printable ASCII may be another kind of blank, before a name that we look for.
 */
static bool is_name(const char *key)
{
    for (const char *c = key; *c != '\0'; c++)
        if (*c < ' ' || *c > '~')
            return false;
    return key[0] != '\0';
}

static struct result read_key(struct reading *r, char *text, size_t indent, struct err *err)
{
    char *sign = strpbrk(text, "=:");

    if (r->kind == NO_SECTION)
        return bad_line(r, r->line, "before the first [section]", err);
    if (sign == NULL)
        return bad_line(r, r->line, "not 'name = value'", err);
    *sign = '\0';
    text = trim(text);
    if (!is_name(text))
        return bad_line(r, r->line, "not a name of printable ASCII before '='", err);
    r->last = r->file->count;
    r->has_key = true;
    r->indent = indent;
    return add_pair(r, "", text, trim(sign + 1), err);
}

/* As configparser of Python, and so the AWS tools, read a line. */
static struct result read_line(struct reading *r, char *line, size_t size, struct err *err)
{
    if (!text_is_utf8(line, size)) /* UTF-16, say */
        return bad_line(r, r->line, "not UTF-8", err);

    size_t indent = strspn(line, BLANKS);
    char *text = trim(line), *shut = strrchr(text, ']');
    if (text[0] == '\0' || text[0] == '#' || text[0] == ';')
        return OK;
    if (r->has_key && indent > r->indent)
        return more_value(r, text, err);
    if (text[0] != '[' || shut == NULL || shut == text + 1)
        return read_key(r, text, indent, err);
    *shut = '\0';
    return begin_section(r, text + 1, err);
}

/* The next line, which ends with a zero now, and its size: ended by LF, CR LF or CR. */
static char *next_line(struct reading *r, size_t *size)
{
    char *line = r->at, *stop = line;

    while (stop < r->end && *stop != '\n' && *stop != '\r')
        stop++;
    r->at = stop + 1;
    if (*stop == '\r' && *r->at == '\n' && r->at < r->end)
        r->at++;
    *stop = '\0';
    r->line++;
    *size = (size_t)(stop - line);
    return line;
}

static int compare(const void *a, const void *b)
{
    const struct profile_pair *x = a, *y = b;
    int order = (int)x->kind - (int)y->kind;

    if (order == 0)
        order = strcmp(x->section, y->section);
    if (order == 0)
        order = strcmp(x->parent, y->parent);
    return order != 0 ? order : strcasecmp(x->key, y->key);
}

static int compare_by_line(const void *a, const void *b)
{
    const struct profile_pair *x = a, *y = b;
    int order = compare(a, b);

    return order != 0 ? order : (int)(x->line > y->line) - (int)(x->line < y->line);
}

/* Sorts the pairs. Sections and keys that are given twice are refused: not all tools of AWS take
 * the same of the two; below a key the last counts. */
static struct result sort(const struct reading *r, struct err *err)
{
    struct profile_pair *pairs = r->file->pairs;

    if (r->file->count > 0)
        qsort(pairs, r->file->count, sizeof *pairs, compare_by_line);
    for (size_t i = 1; i < r->file->count; i++)
        if (pairs[i].parent[0] == '\0' && compare(&pairs[i - 1], &pairs[i]) == 0)
            return bad_line(r, pairs[i].line,
                            pairs[i].key[0] != '\0' ? "the name is given twice in its section"
                                                    : "the section is given twice",
                            err);
    return OK;
}

static struct result read_lines(struct reading *r, struct err *err)
{
    size_t size;

    if (strncmp(r->at, BYTE_ORDER_MARK, strlen(BYTE_ORDER_MARK)) == 0)
        r->at += strlen(BYTE_ORDER_MARK);
    while (r->at < r->end) {
        char *line = next_line(r, &size);
        if (!read_line(r, line, size, err).ok)
            return FAIL;
    }
    return sort(r, err);
}

/* Whether the directory of a path lies where this user may not look. */
static bool is_out_of_sight(const char *path)
{
    char *copy STRING_CLEANUP = strdup(path);
    struct stat st;

    return copy != NULL && lstat(dirname(copy), &st) != 0 && errno == EACCES;
}

/* Whether nothing is at the path, and nothing says that a file should be there: neither a variable
 * that names it nor a link whose target is gone. In a home directory of somebody else there is none
 * either; one in a directory of ours that is closed may be meant. */
static bool is_absent(const char *path, bool was_named)
{
    struct stat st;

    if (was_named)
        return false;
    if (errno == EACCES)
        return is_out_of_sight(path);
    return (errno == ENOENT || errno == ENOTDIR) && lstat(path, &st) != 0;
}

/* The whole of a file, with a zero behind it; nothing if it is not there. *doubt is an error if
 * somebody else may have written it. */
static struct result read_text(struct secret *text, size_t *size, const char *path, bool was_named,
                               struct err *doubt, struct err *err)
{
    int fd FD_CLEANUP = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    int error = errno;
    struct stat st;

    if (fd < 0 && is_absent(path, was_named))
        return OK;
    errno = error;
    if (fd < 0 || fstat(fd, &st) != 0)
        return fail_errno(err, "cannot open AWS file '%s'", path);
    if (S_ISCHR(st.st_mode)) /* /dev/null stands for no file */
        return OK;
    if (!S_ISREG(st.st_mode))
        return fail(err, ERR_FAILED, "AWS file '%s' is not a regular file", path);
    if (st.st_size > FILE_MAX)
        return fail(err, ERR_FAILED, "AWS file '%s' is longer than %d bytes", path, FILE_MAX);
    (void)!trusted_file(fd, path, "AWS file", doubt).ok;
    if (!secret_read(text, size, (size_t)st.st_size, fd, path, err).ok)
        return FAIL;
    return *size == (size_t)st.st_size
               ? OK
               : fail(err, ERR_FAILED, "AWS file '%s' changed while it was read", path);
}

/* What says where plaintext keys go, or which program runs, must be the caller's own. Other lines
 * need not be: credentials are often those of a container's host. */
static struct result check_choices(const struct reading *r, const struct err *doubt,
                                   struct err *err)
{
    static const char *const choices[] = {"credential_process", "role_arn", "endpoint_url",
                                          "ca_bundle"};

    for (size_t p = 0; doubt->class != ERR_NONE && p < r->file->count; p++)
        for (size_t c = 0; c < sizeof choices / sizeof *choices; c++)
            if (strcasecmp(r->file->pairs[p].key, choices[c]) == 0) {
                *err = *doubt;
                err_context(err, "%s in line %u", choices[c], r->file->pairs[p].line);
                return FAIL;
            }
    return OK;
}

/* The path in a variable, or of the usual file in the home directory; NULL if there is none. The
 * caller frees *path. */
static struct result find_path(char **path, bool *was_named, const char *variable,
                               const char *usual, struct err *err)
{
    const char *named = getenv(variable), *home = getenv("HOME");

    *path = NULL;
    *was_named = named != NULL && named[0] != '\0';
    if (!*was_named)
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
                               bool is_config, struct err *err)
{
    struct reading r = {.file = file, .is_config = is_config};
    char *path STRING_CLEANUP = NULL;
    struct err doubt = {0};
    bool was_named;
    size_t size;

    if (!find_path(&path, &was_named, variable, usual, err).ok)
        return FAIL;
    if (path != NULL && !read_text(&file->text, &size, path, was_named, &doubt, err).ok) {
        if (err->class == ERR_FAILED)
            err_hint(err, "%s=/dev/null means that there is no such file", variable);
        return FAIL;
    }
    if (file->text.bytes == NULL)
        return OK;
    r.path = path;
    r.at = (char *)file->text.bytes;
    r.end = r.at + size;
    return read_lines(&r, err).ok ? check_choices(&r, &doubt, err) : FAIL;
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

/* The last of several; only lines below a key may have the same name. */
static const struct profile_pair *find(const struct profile_file *file, struct profile_pair what)
{
    for (size_t i = file->count; i-- > 0;)
        if (compare(&file->pairs[i], &what) == 0)
            return &file->pairs[i];
    return NULL;
}

static const struct profile_pair *find_key(const struct profile_file *file, const char *profile,
                                           const char *key)
{
    return find(file, (struct profile_pair){PROFILE, profile, "", key, NULL, 0});
}

static const char *value_in(const struct profile_pair *pair)
{
    return pair != NULL && pair->value[0] != '\0' ? pair->value : NULL;
}

static const struct profile_pair *find_in_both(const struct profiles *profiles, const char *profile,
                                               const char *key)
{
    const struct profile_pair *pair = find_key(&profiles->credentials, profile, key);

    return pair != NULL ? pair : find_key(&profiles->config, profile, key);
}

bool profile_exists(const struct profiles *profiles, const char *profile)
{
    return find_in_both(profiles, profile, "") != NULL;
}

const char *profile_get_in(const struct profile_file *file, const char *profile, const char *key)
{
    return value_in(find_key(file, profile, key));
}

const char *profile_get(const struct profiles *profiles, const char *profile, const char *key)
{
    return value_in(find_in_both(profiles, profile, key));
}

bool profile_is_empty(const struct profiles *profiles, const char *profile, const char *key)
{
    const struct profile_pair *pair = find_in_both(profiles, profile, key);

    return pair != NULL && pair->value[0] == '\0';
}

bool profile_has_services(const struct profiles *profiles, const char *section)
{
    return find(&profiles->config, (struct profile_pair){SERVICES, section, "", "", NULL, 0}) !=
           NULL;
}

const char *profile_service_get(const struct profiles *profiles, const char *section,
                                const char *service, const char *key)
{
    return value_in(
        find(&profiles->config, (struct profile_pair){SERVICES, section, service, key, NULL, 0}));
}
