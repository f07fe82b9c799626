#include "cmd/file_list.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/stream.h"
#include "cmd/standard_streams.h"
#include "storage/registry.h"

#define LISTED_MAX 8192 /* bytes of a name in a list; a longer one cannot be opened */

struct result file_list_check(const char *path, struct err *err)
{
    struct stat st;

    if (path == NULL || standard_named(path) || stat(path, &st) == 0 || errno != ENOENT)
        return OK;
    return fail_input(err, "cannot open '%s'", path);
}

/* The next name of a list; *more is false after the last. */
static struct result next_name(FILE *file, const char *path, int end, char name[LISTED_MAX + 1],
                               bool *more, struct err *err)
{
    size_t size = 0;
    int c;

    while ((c = getc(file)) != EOF && c != end) {
        if (c == '\0') {
            (void)fail(err, ERR_USAGE, "a name in '%s' has a zero byte in it", path);
            return fail_hint(err, "with -0, zero bytes end the names");
        }
        if (size == LISTED_MAX)
            return fail(err, ERR_USAGE, "a name in '%s' is longer than %d bytes", path, LISTED_MAX);
        name[size++] = (char)c;
    }
    if (c == EOF && ferror(file))
        return fail_errno(err, "cannot read '%s'", path);
    name[size] = '\0';
    *more = c != EOF || size > 0;
    return OK;
}

static struct result read_all(FILE *file, const char *path, int end,
                              bool (*each)(void *arg, const char *name), void *arg, struct err *err)
{
    char name[LISTED_MAX + 1];
    bool more = true;

    while (!stream_interrupted()) {
        if (!next_name(file, path, end, name, &more, err).ok)
            return FAIL;
        if (!more || (name[0] != '\0' && !each(arg, name)))
            return OK;
    }
    return OK;
}

#define SCHEME_SIZE 5 /* "s3://" */

/* Reads no further than the first name: whoever writes the list may wait until that is done. The
 * empty names before it are dropped, since they count for nothing. */
static bool begins_with_object(FILE *file, int end)
{
    char begin[SCHEME_SIZE + 1] = "";
    size_t size = 0;
    int c;

    while ((c = getc(file)) == end && !stream_interrupted())
        ;
    for (; c != EOF; c = getc(file)) {
        begin[size++] = (char)c;
        if (size == SCHEME_SIZE || c == end)
            break;
    }
    for (size_t i = size; i > 0; i--)
        (void)ungetc((unsigned char)begin[i - 1], file);
    return storage_names(begin);
}

/* The list that was looked into, which is read on from there: of a pipe, what was read is gone. */
static struct {
    const char *path;
    FILE *file;
} begun;

static FILE *open_list(const char *path)
{
    if (standard_named(path))
        return stdin;
    if (begun.file != NULL && strcmp(begun.path, path) == 0)
        return begun.file;
    return fopen(path, "re");
}

static int end_of_name(bool null)
{
    return null ? '\0' : '\n';
}

bool file_list_has_objects(const char *path, bool null)
{
    FILE *file = open_list(path);

    if (file != NULL && file != stdin) {
        begun.path = path;
        begun.file = file;
    }
    return file != NULL && begins_with_object(file, end_of_name(null));
}

struct result file_list_read(const char *path, bool null, bool (*each)(void *arg, const char *name),
                             void *arg, struct err *err)
{
    FILE *file = open_list(path);

    if (file == NULL)
        return fail_input(err, "cannot open '%s'", path);
    struct result done =
        read_all(file, file == stdin ? "standard input" : path, end_of_name(null), each, arg, err);
    if (file == begun.file)
        begun.file = NULL;
    if (file != stdin)
        (void)fclose(file); /* it was only read */
    return done;
}
