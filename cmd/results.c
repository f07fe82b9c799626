#include "cmd/results.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"

/* The name of a result, which the caller frees. */
static struct result result_name(const struct batch *b, const char *name, char **out,
                                 struct err *err)
{
    if (b->add != NULL) {
        if (text_ends_with(name, b->add)) {
            (void)fail(err, ERR_USAGE, "'%s' ends in %s already", name, b->add);
            err_hint(err, "-o names the output, if it is to be sealed once more");
            return FAIL;
        }
        if (asprintf(out, "%s%s", name, b->add) < 0)
            *out = NULL;
    } else {
        if (!text_ends_with(name, b->take)) {
            (void)fail(err, ERR_USAGE, "'%s' does not end in %s", name, b->take);
            err_hint(err, "-o names the output");
            return FAIL;
        }
        *out = strndup(name, strlen(name) - strlen(b->take));
    }
    return *out != NULL ? OK : fail(err, ERR_FAILED, "out of memory");
}

struct result results_in(const struct batch *b, const char *source_name, int dir,
                         const char *dir_path, struct place *target, struct err *err)
{
    char *name STRING_CLEANUP = NULL, *path STRING_CLEANUP = NULL;

    if (!result_name(b, source_name, &name, err).ok)
        return FAIL;
    if (asprintf(&path, "%s/%s", dir_path, name) < 0)
        return fail(err, ERR_FAILED, "out of memory");
    return place_in(target, dir, name, path, err);
}

struct result results_beside(const struct batch *b, const struct place *source,
                             struct place *target, struct err *err)
{
    char *name STRING_CLEANUP = NULL, *path STRING_CLEANUP = NULL;
    const char *slash = strrchr(source->path, '/');
    int folder = slash == NULL ? 0 : (int)(slash + 1 - source->path);

    if (!result_name(b, source->name, &name, err).ok)
        return FAIL;
    if (asprintf(&path, "%.*s%s", folder, source->path, name) < 0)
        return fail(err, ERR_FAILED, "out of memory");
    return place_in(target, source->dir, name, path, err);
}
