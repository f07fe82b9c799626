#include "libbulla/replace_file.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/unsupported.h"

#define COPY_STEP (1u << 20) /* bytes */

/* Copies the body after the envelope. The file is opened again, because some file systems cannot
 * read what was opened for writing. */
static struct result copy_body(const struct place *place, const struct stat *old, uint64_t offset,
                               int to, struct err *err)
{
    const char *name = place->path;
    int from FD_CLEANUP = -1;
    struct stat st;

    if (!place_open_file(place, false, &from, &st, err).ok)
        return FAIL;
    if (!file_same(&st, old))
        return fail(err, ERR_FAILED, "'%s' was replaced by another program", name);
    struct source source = {.fd = from, .name = name};
    struct fd_sink sink = fd_sink(to, name);
    uint8_t *step = malloc(COPY_STEP);
    struct result r = step != NULL ? OK : fail_memory(err);
    size_t got = COPY_STEP;

    if (r.ok && lseek(from, (off_t)offset, SEEK_SET) < 0)
        r = fail_errno(err, "cannot seek in '%s'", name);
    while (r.ok && got == COPY_STEP) {
        r = source_read(&source, step, COPY_STEP, &got, err);
        if (r.ok)
            r = sink_write(&sink.sink, step, got, err);
    }
    free(step);
    return r;
}

struct result replace_file(const struct place *place, const struct stat *old,
                           const struct envelope *e, uint64_t body_at, bool keep_times,
                           struct err *err)
{
    struct atomic_file f ATOMIC_FILE_CLEANUP = {0};

    if (!atomic_file_open(&f, place, true, err).ok)
        return FAIL;
    f.over = old;
    struct fd_sink sink = fd_sink(f.fd, place->path);
    if (!envelope_write(e, &sink.sink, err).ok ||
        (body_at != REPLACE_NO_BODY && !copy_body(place, old, body_at, f.fd, err).ok) ||
        !atomic_file_like(&f, old, WHOSE_SAME, err).ok)
        return FAIL;
    if (!keep_times && futimens(f.fd, NULL) != 0 && !unsupported_errno(errno))
        return fail_errno(err, "cannot set the times of '%s'", place->path);
    return atomic_file_commit(&f, err);
}
