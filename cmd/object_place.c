#include "cmd/object_place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/host.h"
#include "cmd/result_place.h"
#include "storage/registry.h"

struct result objects_fit(const struct batch *b, const char *operand, struct err *err)
{
    const struct options *o = b->options;

    if (!b->takes_objects) {
        (void)fail(err, ERR_USAGE, "plaintext is not read from a bucket, as from '%s'", operand);
        return fail_hint(err, "pipe it: aws s3 cp %s - | bulla encrypt -k KEY -o OUT", operand);
    }
    if (b->take != NULL && o->output == NULL) {
        (void)fail(err, ERR_USAGE, "-o does not say where the plaintext of '%s' goes", operand);
        return fail_hint(err, "-o names a file or a directory, or - for standard output");
    }
    return OK;
}

/* A host that dies in the middle of an upload leaves parts, and these would be plaintext. */
static struct result plaintext_refused(const char *out, struct err *err)
{
    (void)fail(err, ERR_USAGE, "plaintext is not put into a bucket, as into '%s'", out);
    return fail_hint(err, "-o names a file, or - for a pipe, as to 'aws s3 cp - %s'", out);
}

struct result objects_fit_output(const struct batch *b, bool many, struct err *err)
{
    const struct options *o = b->options;
    const char *out = o->output;

    if (!b->makes_objects)
        return plaintext_refused(out, err);
    if (many && out[strlen(out) - 1] != '/') {
        (void)fail(err, ERR_USAGE, "several files need a prefix for -o, which ends in a slash");
        return fail_hint(err, "-o %s/", out);
    }
    if (many && o->force)
        return fail(err, ERR_USAGE, "--force does not go with several files and a prefix for -o");
    return OK;
}

struct result result_object_in(const struct batch *b, const struct object *out, const char *name,
                               struct object *result, struct err *err)
{
    char *suffix STRING_CLEANUP = NULL;

    if (!result_place_name(b, name, &suffix, err).ok)
        return FAIL;
    return object_beside(result, out, suffix, err);
}

struct result result_object(const struct batch *b, const struct object *out, const char *name,
                            struct object *result, struct err *err)
{
    bool prefix = out->key[0] == '\0' || out->key[strlen(out->key) - 1] == '/';

    if (!prefix)
        return object_copy(result, out, err);
    if (name == NULL)
        return fail(err, ERR_USAGE, "standard input needs the name of an object for -o, not '%s'",
                    out->path);
    return result_object_in(b, out, name, result, err);
}

/* Whether a part of an object's name is one of a file's. */
static bool is_plain(const char *part, size_t size)
{
    return size > 0 && size <= 255 && !(size == 1 && part[0] == '.') &&
           !(size == 2 && part[0] == '.' && part[1] == '.');
}

/* Opens a directory below another, and makes it if it is not there. */
static struct result enter(int *dir, const char *part, const char *path, struct err *err)
{
    if (mkdirat(*dir, part, 0777 & ~host_current()->umask) != 0 && errno != EEXIST)
        return fail_errno(err, "cannot make the directory '%s' in '%s'", part, path);
    int below = openat(*dir, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (below < 0)
        return fail_errno(err, "cannot open the directory '%s' in '%s'", part, path);
    fd_close(dir);
    *dir = below;
    return OK;
}

struct result result_place_below(const struct batch *b, const char *name, int dir, const char *path,
                                 struct place *target, struct err *err)
{
    int at FD_CLEANUP = fcntl(dir, F_DUPFD_CLOEXEC, 3);
    char *copy STRING_CLEANUP = strdup(name), *full STRING_CLEANUP = NULL, *rest = copy, *part;

    if (copy == NULL || at < 0)
        return fail_memory(err);
    while ((part = strsep(&rest, "/")) != NULL) {
        if (!is_plain(part, strlen(part)))
            return fail(err, ERR_POLICY, "the name '%s' cannot be that of a file", name);
        if (rest == NULL)
            break;
        if (!enter(&at, part, path, err).ok)
            return FAIL;
    }
    const char *slash = strrchr(name, '/');
    if (asprintf(&full, "%s%s%.*s", path, slash != NULL ? "/" : "",
                 slash != NULL ? (int)(slash - name) : 0, name) < 0) {
        full = NULL;
        return fail_memory(err);
    }
    return result_place_in(b, slash != NULL ? slash + 1 : name, at, full, strlen(full), target,
                           err);
}
