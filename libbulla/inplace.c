#include "libbulla/inplace.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

struct result inplace_open(const struct place *place, int *fd, struct stat *st, struct err *err)
{
    int opened FD_CLEANUP =
        openat(place->dir, place->name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

    if (opened < 0 || fstat(opened, st) != 0)
        return fail_input(err, "cannot open '%s' for writing", place->path);
    if (!S_ISREG(st->st_mode))
        return fail(err, ERR_FAILED, "'%s' is not a regular file", place->path);
    if (flock(opened, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK)
            return fail_errno(err, "cannot lock '%s'", place->path);
        (void)fail(err, ERR_FAILED, "another program holds a lock on '%s'", place->path);
        err_hint(err, "whoever may read the file can hold one; lslocks tells who does");
        return FAIL;
    }
    *fd = opened;
    opened = -1;
    return OK;
}

struct result inplace_check(const struct envelope_health *health, const char *name, struct err *err)
{
    for (unsigned i = 0; i < 2; i++)
        if (health->copy[i] == COPY_UNSUPPORTED) {
            (void)fail(err, ERR_UNSUPPORTED, "'%s': envelope copy %c is not for this bulla (%s)",
                       name, "AB"[i], health -> fault[i]);
            err_hint(err, "what it says would be lost; a newer bulla reads it");
            return FAIL;
        }
    return OK;
}

static struct result write_copy(int fd, const char *name, const uint8_t *copy, size_t region,
                                unsigned which, bool sync, struct err *err)
{
    struct fd_sink sink = fd_sink(fd, name);

    if (lseek(fd, (off_t)(which * region), SEEK_SET) < 0)
        return fail_errno(err, "cannot seek in '%s'", name);
    if (!sink_write(&sink.sink, copy, region, err).ok)
        return FAIL;
    if (sync && fdatasync(fd) != 0)
        return fail_errno(err, "cannot sync '%s'", name);
    return OK;
}

struct result inplace_write(int fd, const char *name, const struct envelope *e, unsigned first,
                            bool sync, struct err *err)
{
    uint8_t *copy;

    if (!envelope_encode(e, &copy, err).ok)
        return FAIL;
    size_t region = envelope_size(e) / 2;
    struct result r = write_copy(fd, name, copy, region, first, sync, err);
    if (r.ok)
        r = write_copy(fd, name, copy, region, !first, sync, err);
    free(copy);
    return r;
}
