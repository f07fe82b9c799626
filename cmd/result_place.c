#include "cmd/result_place.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "cmd/named_place.h"

struct result result_place_name(const struct batch *b, const char *name, char **out,
                                struct err *err)
{
    if (b->add != NULL) {
        if (text_ends_with(name, b->add)) {
            (void)fail(err, ERR_USAGE, "'%s' ends in %s already", name, b->add);
            return fail_hint(err, "-o names the output, if it is to be sealed once more");
        }
        if (asprintf(out, "%s%s", name, b->add) < 0)
            *out = NULL;
    } else {
        if (!text_ends_with(name, b->take)) {
            (void)fail(err, ERR_USAGE, "'%s' does not end in %s", name, b->take);
            return fail_hint(err, "-o names the output");
        }
        *out = strndup(name, strlen(name) - strlen(b->take));
    }
    return *out != NULL ? OK : fail_memory(err);
}

struct result result_place_in(const struct batch *b, const char *source_name, int dir,
                              const char *directory, size_t size, struct place *target,
                              struct err *err)
{
    char *name STRING_CLEANUP = NULL, *path STRING_CLEANUP = NULL;

    if (!result_place_name(b, source_name, &name, err).ok)
        return FAIL;
    if (directory == NULL ? asprintf(&path, "%s", name) < 0
                          : asprintf(&path, "%.*s/%s", (int)size, directory, name) < 0)
        return fail_memory(err);
    if (!place_in(target, dir, name, path, err).ok)
        return FAIL;
    return named_place_fits(target, "run it alone, and give a shorter name with -o", err);
}

struct result result_place_beside(const struct batch *b, const struct place *source,
                                  struct place *target, struct err *err)
{
    const char *slash = strrchr(source->path, '/');

    return result_place_in(b, source->name, source->dir, slash != NULL ? source->path : NULL,
                           slash != NULL ? (size_t)(slash - source->path) : 0, target, err);
}
