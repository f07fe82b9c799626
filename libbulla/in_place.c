#include "libbulla/in_place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/stream.h"

struct result in_place_open(const struct place *place, int *fd, struct stat *st, struct err *err)
{
    int opened FD_CLEANUP = file_open(place->dir, place->name, O_RDWR | O_NOFOLLOW);

    if (opened < 0 || fd_stat(opened, st) != 0)
        return fail_input(err, "cannot open '%s' for writing", place->path);
    if (!S_ISREG(st->st_mode))
        return fail(err, ERR_FAILED, "'%s' is not a regular file", place->path);
    if (flock(opened, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK)
            return fail_errno(err, "cannot lock '%s'", place->path);
        (void)fail(err, ERR_FAILED, "another program holds a lock on '%s'", place->path);
        return fail_hint(err, "whoever may read the file can hold one; lslocks tells who does");
    }
    *fd = opened;
    opened = -1;
    return OK;
}

struct result in_place_check(const struct envelope_health *health, const char *name,
                             struct err *err)
{
    for (unsigned i = 0; i < 2; i++)
        if (health->copy[i] == COPY_UNSUPPORTED) {
            (void)fail(err, ERR_UNSUPPORTED, "'%s': envelope copy %c is not for this bulla (%s)",
                       name, "AB"[i], health -> fault[i]);
            return fail_hint(err, "what it says would be lost; a newer bulla reads it");
        }
    return OK;
}

/* Writes until all is written or a write fails; returns how much was written. */
static size_t write_at(int fd, const uint8_t *bytes, size_t size, off_t at)
{
    size_t done = 0;

    while (done < size) {
        ssize_t n = pwrite(fd, bytes + done, size - done, at + (off_t)done);
        if (n < 0 && (errno != EINTR || stream_interrupted()))
            break;
        done += n > 0 ? (size_t)n : 0;
    }
    return done;
}

/* The errors of mounts of object stores, which can replace a file, but not change a part of it. */
static bool cannot_change(int error)
{
    return error == ESPIPE || error == EPERM || error == ENOSYS || error == EOPNOTSUPP;
}

/* *none is true if nothing at all could be written. */
static struct result write_copy(const struct in_place *in, const uint8_t *copy, size_t region,
                                unsigned which, bool *none, struct err *err)
{
    if (stream_interrupted())
        return fail(err, ERR_INTERRUPTED, "interrupted");
    size_t done = write_at(in->fd, copy, region, (off_t)(which * region));
    *none = done == 0 && cannot_change(errno);
    if (done < region)
        return fail_errno(err, "cannot write '%s'", in->name);
    if (in->sync && fdatasync(in->fd) != 0)
        return fail_errno(err, "cannot sync '%s'", in->name);
    return OK;
}

/* After it there is nothing more to write, and a mount that uploads what is closed does so now. */
static struct result write_last(const struct in_place *in, const uint8_t *copy, size_t region,
                                struct err *err)
{
    bool none;

    if (!write_copy(in, copy, region, !in->first, &none, err).ok)
        return FAIL;
    if (fd_hand_over(in->fd) != 0)
        return fail_errno(err, "cannot write '%s'", in->name);
    return OK;
}

struct result in_place_write(const struct in_place *in, const struct envelope *e, bool *unable,
                             struct err *err)
{
    uint8_t *copy;

    *unable = false;
    if (!envelope_encode(e, &copy, err).ok)
        return FAIL;
    size_t region = envelope_size(e) / 2;
    struct result r = write_copy(in, copy, region, in->first, unable, err);
    if (r.ok)
        r = write_last(in, copy, region, err);
    else if (*unable)
        r = OK;
    free(copy);
    return r;
}
