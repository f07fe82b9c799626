#include "libbulla/replace.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/atomic_file.h"

#define COPY_STEP (1u << 20) /* bytes */

/* Copies the body after the envelope. */
static struct result copy_body(int from, uint64_t offset, int to, const char *name, struct err *err)
{
    struct source source = {.fd = from, .name = name};
    struct fd_sink sink = fd_sink(to, name);
    uint8_t *step = malloc(COPY_STEP);
    struct result r = step != NULL ? OK : fail(err, ERR_FAILED, "out of memory");
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
                           const struct envelope *e, int body, uint64_t body_at, bool keep_times,
                           struct err *err)
{
    struct atomic_file f ATOMIC_FILE_CLEANUP = {0};

    if (!atomic_file_open(&f, place, true, err).ok)
        return FAIL;
    f.over = old;
    struct fd_sink sink = fd_sink(f.fd, place->path);
    if (!envelope_write(e, &sink.sink, err).ok ||
        (body >= 0 && !copy_body(body, body_at, f.fd, place->path, err).ok) ||
        !atomic_file_like(&f, old, WHOSE_SAME, err).ok)
        return FAIL;
    if (!keep_times && futimens(f.fd, NULL) != 0)
        return fail_errno(err, "cannot set the times of '%s'", place->path);
    return atomic_file_commit(&f, err);
}
