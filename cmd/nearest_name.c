#include "cmd/nearest_name.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/temporary_name.h"
#include "cmd/config.h"
#include "cmd/key_alias.h"
#include "cmd/named_keys.h"
#include "keystore/key_file.h"
#include "keystore/registry.h"

#define NEAREST 3
#define ALIKE 2     /* letters by which similar words may differ */
#define COMPARED 64 /* bytes of a name that are looked at */

/* struct nearest: the names that are most like one, the best first; each is owned. */
struct nearest {
    const char *wanted;
    const char *directory; /* as the user wrote it, with its slash */
    char *names[NEAREST];
    size_t distances[NEAREST];
};

static void nearest_free(struct nearest *n)
{
    for (size_t i = 0; i < NEAREST; i++)
        free(n->names[i]);
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* The number of letters to add, drop or change to turn one word into the other (Levenshtein). */
static size_t distance(const char *a, const char *b)
{
    size_t row[COMPARED + 1], size = strnlen(b, COMPARED);

    for (size_t j = 0; j <= size; j++)
        row[j] = j;
    for (size_t i = 1; i <= COMPARED && a[i - 1] != '\0'; i++) {
        size_t before = row[0]++;
        for (size_t j = 1; j <= size; j++) {
            size_t changed = before + (a[i - 1] != b[j - 1]);
            before = row[j];
            row[j] = least(changed, least(row[j], row[j - 1]) + 1);
        }
    }
    return row[size];
}

void nearest_consider(struct nearest_word *n, const char *word)
{
    size_t far = distance(n->wanted, word);

    if (far > ALIKE || far >= strlen(n->wanted) || (n->found != NULL && far >= n->distance))
        return;
    n->found = word;
    n->distance = far;
}

/* The rank of a name among the best; names that are equally close are in byte order. */
static size_t place_among(const struct nearest *n, const char *shown, size_t far)
{
    size_t at = 0;

    while (
        at < NEAREST && n->names[at] != NULL &&
        (n->distances[at] < far || (n->distances[at] == far && strcmp(n->names[at], shown) <= 0)))
        at++;
    return at;
}

static void consider(struct nearest *n, const char *directory, const char *name)
{
    char *shown = NULL;

    if (asprintf(&shown, "%s%s", directory, name) < 0)
        return;
    size_t far = distance(n->wanted, name), at = place_among(n, shown, far);
    if (at == NEAREST) {
        free(shown);
        return;
    }
    free(n->names[NEAREST - 1]);
    for (size_t i = NEAREST - 1; i > at; i--) {
        n->names[i] = n->names[i - 1];
        n->distances[i] = n->distances[i - 1];
    }
    n->names[at] = shown;
    n->distances[at] = far;
}

static void consider_configured(void *arg, const char *name)
{
    consider(arg, "", name);
}

/* The directory in front of a name: without one, it may be a name of the config file. */
static const char *as_a_path(const char *directory, const char *name)
{
    return directory[0] == '\0' && named_keys_is_name(name) ? "./" : directory;
}

static void consider_files(struct nearest *n, const char *directory)
{
    DIR *stream = opendir(directory);
    const struct dirent *entry;

    if (stream == NULL)
        return;
    while ((entry = readdir(stream)) != NULL)
        if (!temporary_is(entry->d_name) && key_file_is(dirfd(stream), entry->d_name))
            consider(n, as_a_path(n->directory, entry->d_name), entry->d_name);
    closedir(stream);
}

static void tell(const struct nearest *n, struct err *err)
{
    char text[ERR_HINT_MAX] = "";
    size_t used = 0;

    for (size_t i = 0; i < NEAREST && n->names[i] != NULL && used < sizeof text; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s'%s'", i > 0 ? ", " : "",
                                 n->names[i]);
    if (used > 0)
        err_hint(err, "keys that exist: %s; if it was here, bring its copy back", text);
}

/* The file that a key lives in, or would be in if it were one, if that is not there; NULL if not.
 */
static char *missing_file(const char *given)
{
    char *found STRING_CLEANUP = NULL, *reference STRING_CLEANUP = NULL, *path = NULL;
    const struct keystore *store;
    const char *rest;
    struct err ignored;

    if (named_keys_is_name(given) && !config_key(given, &found, &ignored).ok)
        return NULL;
    if (!key_alias_resolve(found != NULL ? found : given, &reference, &ignored).ok ||
        !registry_find(&store, &rest, reference, &ignored).ok || store->file == NULL ||
        !store->file(rest, &path, &ignored).ok)
        return NULL;
    if (access(path, F_OK) != 0 && errno == ENOENT)
        return path;
    free(path);
    return NULL;
}

void nearest_hint(const char *given, struct err *err)
{
    struct nearest n __attribute__((cleanup(nearest_free))) = {0};
    char *path STRING_CLEANUP = err->class == ERR_MISSING ? missing_file(given) : NULL;

    if (path == NULL || strcmp(path, "passphrase") == 0) /* which has a hint of its own */
        return;
    const char *slash = strrchr(path, '/');
    char *directory STRING_CLEANUP = strndup(path, slash != NULL ? (size_t)(slash + 1 - path) : 0);
    if (directory == NULL)
        return;
    n.directory = directory;
    n.wanted = slash != NULL ? slash + 1 : path;
    consider_files(&n, directory[0] != '\0' ? directory : ".");
    if (slash == NULL)
        config_each(consider_configured, &n);
    tell(&n, err);
}
