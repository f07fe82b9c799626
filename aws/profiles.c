#include "aws/profiles.h"

#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/secret_file.h"

#define BLANKS " \t\r\f\v"
#define FILE_MAX (1024 * 1024) /* bytes */

enum { OTHER = 1, PROFILE, SERVICES };

/* The word in front of the name of a section of the config file. */
static const struct {
    const char *word;
    int kind;
} kinds[] = {{"profile", PROFILE}, {"services", SERVICES}};

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

/* The AWS tools add [DEFAULT] to every profile, but it is not one. */
static const char *credentials_section(char *name, int *kind, const char **fault)
{
    *kind = PROFILE;
    *fault = "section [DEFAULT] is not a profile; [default] is one";
    return strcmp(name, "DEFAULT") != 0 ? unquote(name) : NULL;
}

/* A section of the config file says what it is for: [profile x]. */
static const char *config_section(char *name, int *kind, const char **fault)
{
    if (strcmp(name, "default") == 0 || strcmp(name, "DEFAULT") == 0)
        return credentials_section(name, kind, fault);
    *kind = OTHER;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (has_word(name, kinds[i].word)) {
            *kind = kinds[i].kind;
            name += strlen(kinds[i].word);
            return unquote(name + strspn(name, BLANKS));
        }
    return unquote(name);
}

static const struct ini_dialect config_dialect = {"AWS file", config_section, strcasecmp, true,
                                                  true};
static const struct ini_dialect credentials_dialect = {"AWS file", credentials_section, strcasecmp,
                                                       true, true};

/* Whether the directory of a path lies where this user may not look. */
static bool is_out_of_sight(const char *path)
{
    char *copy STRING_CLEANUP = strdup(path);
    struct stat st;

    return copy != NULL && lstat(dirname(copy), &st) != 0 && errno == EACCES;
}

/* Whether there is no file at the path and none is expected: no variable names it, and it is not a
 * link whose target is gone. Somebody else's closed home directory counts as a missing file, but a
 * closed directory of ours may hold the file that is meant. /dev/null means no file. */
static bool is_none(const char *path, bool was_named)
{
    struct stat st;

    if (stat(path, &st) == 0)
        return S_ISCHR(st.st_mode);
    if (was_named || errno == EACCES)
        return !was_named && is_out_of_sight(path);
    return (errno == ENOENT || errno == ENOTDIR) && lstat(path, &st) != 0;
}

/* Lines that say where plaintext keys go, or which program runs, must be the caller's own. Other
 * lines need not be: credentials are often those of a container's host. */
static struct result check_choices(const struct ini *file, const struct err *doubt, struct err *err)
{
    static const char *const choices[] = {"credential_process", "role_arn", "endpoint_url",
                                          "ca_bundle"};

    for (size_t p = 0; doubt->class != ERR_NONE && p < file->count; p++)
        for (size_t c = 0; c < sizeof choices / sizeof *choices; c++)
            if (strcasecmp(file->pairs[p].key, choices[c]) == 0) {
                *err = *doubt;
                err_context(err, "%s in line %u", choices[c], file->pairs[p].line);
                return FAIL;
            }
    return OK;
}

/* The path from a variable, or that of the usual file in the home directory; NULL if there is none.
 * The caller frees *path. */
static struct result find_path(char **path, bool *was_named, const struct environment *e,
                               const char *variable, const char *usual, struct err *err)
{
    const char *named = environment_get(e, variable), *home = environment_get(e, "HOME");

    *path = NULL;
    *was_named = named != NULL;
    if (!*was_named)
        named = usual;
    bool in_home = strncmp(named, "~/", 2) == 0;
    if (in_home && home == NULL)
        return OK;
    if (asprintf(path, "%s%s", in_home ? home : "", named + in_home) < 0) {
        *path = NULL;
        return fail_memory(err);
    }
    return OK;
}

static struct result read_file(struct ini *ini, const struct ini_dialect *dialect,
                               const struct environment *e, const char *variable, const char *usual,
                               struct err *err)
{
    char *path STRING_CLEANUP = NULL;
    struct err doubt = {0};
    struct secret_file file = {
        .noun = dialect->noun, .max = FILE_MAX, .regular = true, .believed = true, .doubt = &doubt};
    struct stat st;
    bool was_named;
    size_t size;

    if (!find_path(&path, &was_named, e, variable, usual, err).ok)
        return FAIL;
    if (path == NULL || is_none(path, was_named))
        return OK;
    file.path = path;
    if (!secret_file_read(&file, &ini->text, &size, &st, err).ok) {
        return fail_hint(err, "%s=/dev/null means that there is no such file", variable);
    }
    return ini_parse(ini, dialect, size, path, err).ok ? check_choices(ini, &doubt, err) : FAIL;
}

struct result profiles_read(struct profiles *profiles, const struct environment *e, struct err *err)
{
    struct profiles made = {0};

    if (!read_file(&made.config, &config_dialect, e, "AWS_CONFIG_FILE", "~/.aws/config", err).ok ||
        !read_file(&made.credentials, &credentials_dialect, e, "AWS_SHARED_CREDENTIALS_FILE",
                   "~/.aws/credentials", err)
             .ok) {
        profiles_free(&made);
        return FAIL;
    }
    *profiles = made;
    return OK;
}

void profiles_free(struct profiles *profiles)
{
    ini_free(&profiles->config);
    ini_free(&profiles->credentials);
}

static const struct ini_pair *find_key(const struct ini *file, const char *profile, const char *key)
{
    return ini_find(file, PROFILE, profile, "", key);
}

static const char *value_in(const struct ini_pair *pair)
{
    return pair != NULL && pair->value[0] != '\0' ? pair->value : NULL;
}

static const struct ini_pair *find_in_both(const struct profiles *profiles, const char *profile,
                                           const char *key)
{
    const struct ini_pair *pair = find_key(&profiles->credentials, profile, key);

    return pair != NULL ? pair : find_key(&profiles->config, profile, key);
}

bool profile_exists(const struct profiles *profiles, const char *profile)
{
    return find_in_both(profiles, profile, "") != NULL;
}

const char *profile_get_in(const struct ini *file, const char *profile, const char *key)
{
    return value_in(find_key(file, profile, key));
}

const char *profile_get(const struct profiles *profiles, const char *profile, const char *key)
{
    return value_in(find_in_both(profiles, profile, key));
}

bool profile_is_empty(const struct profiles *profiles, const char *profile, const char *key)
{
    const struct ini_pair *pair = find_in_both(profiles, profile, key);

    return pair != NULL && pair->value[0] == '\0';
}

bool profile_has_services(const struct profiles *profiles, const char *section)
{
    return ini_find(&profiles->config, SERVICES, section, "", "") != NULL;
}

const char *profile_service_get(const struct profiles *profiles, const char *section,
                                const char *service, const char *key)
{
    return value_in(ini_find(&profiles->config, SERVICES, section, service, key));
}
