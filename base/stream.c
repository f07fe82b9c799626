#include "base/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/magic.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/host.h"
#include "base/place.h"

#ifndef EXFAT_SUPER_MAGIC
#define EXFAT_SUPER_MAGIC 0x2011BAB0
#endif

#define SKIP_STEP 16384u
#define COMPARE_STEP 16384u
#define PIPE_SIZE (1 << 20) /* what any user may ask for (pipe(7)) */

/* Bytes after which the system is asked to begin writing to the disk all that it has of a file, so
 * that memory does not fill with what is still to be written, and the sync at the end is short. */
#define FLUSH_STEP (UINT64_C(8) << 20)

bool stream_interrupted(void)
{
    return atomic_load(&host_current()->interrupted);
}

struct result source_look(const struct source *s, struct stat *st, struct err *err)
{
    *st = (struct stat){0};
    if (s->fd < 0)
        return OK;
    pipe_widen(s->fd);
    return fstat(s->fd, st) == 0 ? OK : fail_errno(err, "cannot look at %s", s->name);
}

/* Takes the bytes that were put back, as many as there are. */
static size_t take_ahead(struct source *s, void *buf, size_t size)
{
    size_t left = s->ahead_size - s->ahead_at, n = size < left ? size : left;

    if (n > 0)
        memcpy(buf, s->ahead + s->ahead_at, n);
    s->ahead_at += n;
    return n;
}

struct result source_read_ahead(struct source *s, size_t *size, struct err *err)
{
    uint8_t *ahead = malloc(*size);
    size_t got;

    if (ahead == NULL)
        return fail_memory(err);
    if (!source_read(s, ahead, *size, &got, err).ok) {
        free(ahead);
        return FAIL;
    }
    s->ahead = ahead;
    s->ahead_at = 0;
    s->ahead_size = *size = got;
    return OK;
}

struct result source_unread(struct source *s, const void *bytes, size_t size, struct err *err)
{
    if (size == 0)
        return OK;
    s->ahead = malloc(size);
    if (s->ahead == NULL)
        return fail_memory(err);
    memcpy(s->ahead, bytes, size);
    s->ahead_at = 0;
    s->ahead_size = size;
    return OK;
}

void source_forget(struct source *s)
{
    free(s->ahead);
    s->ahead = NULL;
    s->ahead_at = s->ahead_size = 0;
}

/* What to do after a call on a descriptor failed: true to repeat it, at once or, on a descriptor
 * that does not block, as soon as it may succeed. */
static bool again(int fd, short events)
{
    return errno == EINTR || (errno == EAGAIN && (host_wait(fd, events, -1) || errno == EINTR));
}

/* Fails once the host was interrupted. If no signal wakes a blocked call, this waits until the call
 * will not block. */
static struct result ready(int fd, short events, struct err *err)
{
    if (host_current()->wake > 0)
        while (!stream_interrupted() && !host_wait(fd, events, -1))
            continue;
    return stream_interrupted() ? fail(err, ERR_INTERRUPTED, "interrupted") : OK;
}

/* How many of so many bytes a descriptor that is ready takes at once: a pipe may have no more room.
 */
static size_t at_once(int fd, size_t size)
{
    bool pipe = size > PIPE_BUF && host_current()->wake > 0 && fcntl(fd, F_GETPIPE_SZ) > 0;

    return pipe ? PIPE_BUF : size;
}

/* end is asked only once: it may close the descriptor. */
static struct result end_reached(struct source *s, struct err *err)
{
    s->ended = s->end != NULL;
    return s->ended ? s->end(s->end_arg, err) : OK;
}

static void tell_watch(const struct source *s, size_t n)
{
    if (s->watch != NULL)
        s->watch->read(s->watch->arg, n);
}

/* Reads remote bytes, as many as there are. */
static struct result read_remote(struct source *s, void *buf, size_t size, size_t *got,
                                 struct err *err)
{
    uint64_t left = s->remote->size - s->remote_at;

    *got = left < size ? (size_t)left : size;
    if (!s->remote->read_at(s->remote->arg, s->remote_at, buf, *got, err).ok)
        return FAIL;
    s->remote_at += *got;
    tell_watch(s, *got);
    return OK;
}

/* *n is less than 0 if the call is to be made again. */
static struct result read_some(struct source *s, void *buf, size_t size, ssize_t *n,
                               struct err *err)
{
    size_t got;

    if (s->read == NULL) {
        if (!ready(s->fd, POLLIN, err).ok)
            return FAIL;
        *n = read(s->fd, buf, size);
        return *n >= 0 || again(s->fd, POLLIN) ? OK : fail_errno(err, "cannot read '%s'", s->name);
    }
    if (stream_interrupted())
        return fail(err, ERR_INTERRUPTED, "interrupted");
    if (!s->read(s->read_arg, buf, size, &got, err).ok)
        return FAIL;
    *n = (ssize_t)got;
    return OK;
}

struct result source_read(struct source *s, void *buf, size_t size, size_t *got, struct err *err)
{
    size_t have = take_ahead(s, buf, size), more;
    char *at = buf;

    if (s->remote != NULL) {
        *got = have;
        if (!read_remote(s, at + have, size - have, &more, err).ok)
            return FAIL;
        *got = have + more;
        return OK;
    }
    while (have < size && !s->ended) {
        ssize_t n;
        if (!read_some(s, at + have, size - have, &n, err).ok)
            return FAIL;
        if (n < 0)
            continue;
        if (n == 0 && !end_reached(s, err).ok)
            return FAIL;
        if (n == 0)
            break;
        have += (size_t)n;
        tell_watch(s, (size_t)n);
    }
    *got = have;
    return OK;
}

bool source_extent(const struct source *s, uint64_t *offset, uint64_t *size)
{
    size_t ahead = s->ahead_size - s->ahead_at;
    struct stat st;

    if (s->remote != NULL) {
        *offset = s->remote_at - ahead;
        *size = s->remote->size - *offset;
        return true;
    }
    off_t at = lseek(s->fd, 0, SEEK_CUR);

    if (at < (off_t)ahead || fstat(s->fd, &st) != 0 || !S_ISREG(st.st_mode))
        return false;
    *offset = (uint64_t)at - ahead;
    *size = (uint64_t)st.st_size > *offset ? (uint64_t)st.st_size - *offset : 0;
    return true;
}

struct result source_rewind(struct source *s, struct err *err)
{
    source_forget(s);
    s->remote_at = 0;
    if (s->remote == NULL && lseek(s->fd, 0, SEEK_SET) != 0)
        return fail_errno(err, "cannot read '%s' from its beginning", s->name);
    return OK;
}

void source_expect(const struct source *s)
{
    if (s->remote != NULL) {
        s->remote->expect(s->remote->arg);
        return;
    }
    (void)posix_fadvise(s->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
}

struct result source_changed(const struct source *s, struct err *err)
{
    (void)fail_named(err, ERR_FAILED, "'%s' changed while it was read", s->name);
    return fail_hint(err, "run again when nothing writes to it, or take a snapshot first");
}

struct result source_read_at(const struct source *s, uint64_t offset, void *buf, size_t size,
                             struct err *err)
{
    char *at = buf;
    size_t have = 0;

    if (s->remote != NULL) {
        tell_watch(s, size);
        return s->remote->read_at(s->remote->arg, offset, buf, size, err);
    }
    while (have < size) {
        if (stream_interrupted())
            return fail(err, ERR_INTERRUPTED, "interrupted");
        ssize_t n = pread(s->fd, at + have, size - have, (off_t)(offset + have));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail_errno(err, "cannot read '%s'", s->name);
        if (n == 0)
            return source_changed(s, err);
        have += (size_t)n;
        tell_watch(s, (size_t)n);
    }
    return OK;
}

struct result source_skip(struct source *s, uint64_t size, uint64_t *got, struct err *err)
{
    char drop[SKIP_STEP];
    uint64_t have = 0;

    while (have < size) {
        uint64_t left = size - have;
        size_t want = left < sizeof drop ? (size_t)left : sizeof drop, n;
        if (!source_read(s, drop, want, &n, err).ok)
            return FAIL;
        have += n;
        if (n < want)
            break;
    }
    *got = have;
    return OK;
}

/* A lease for reading is given only while nobody has the file open to write, and then there is
 * nothing to store. Whoever opens it in this instant asks for it by SIGIO, which the program
 * ignores, and others may not. What fails while it is stored is for whoever wrote it; nobody waits
 * until it is. */
void source_settle(const struct source *s)
{
    if (s->remote != NULL)
        return;
    if (host_is_program() && fcntl(s->fd, F_SETLEASE, F_RDLCK) == 0) {
        (void)fcntl(s->fd, F_SETLEASE, F_UNLCK);
        return;
    }
    (void)sync_file_range(s->fd, 0, 0, SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE);
}

struct result source_unchanged(const struct source *s, const struct stat *before, struct err *err)
{
    struct stat now;

    if (s->remote != NULL || !S_ISREG(before->st_mode))
        return OK;
    if (fstat(s->fd, &now) != 0)
        return fail_errno(err, "cannot look at '%s' again", s->name);
    if (!file_unchanged(&now, before))
        return source_changed(s, err);
    return OK;
}

bool source_touched(const struct source *s, const struct stat *before)
{
    struct stat now;

    return s->remote == NULL && S_ISREG(before->st_mode) &&
           (fstat(s->fd, &now) != 0 || now.st_ctim.tv_sec != before->st_ctim.tv_sec ||
            now.st_ctim.tv_nsec != before->st_ctim.tv_nsec);
}

void pipe_widen(int fd)
{
    if (host_is_program())
        (void)fcntl(fd, F_SETPIPE_SZ, PIPE_SIZE);
}

struct result sink_write(struct sink *s, const void *bytes, size_t size, struct err *err)
{
    return s->write(s, bytes, size, err);
}

struct result sink_write_at(struct sink *s, uint64_t offset, const void *bytes, size_t size,
                            struct err *err)
{
    return s->write_at(s, offset, bytes, size, err);
}

struct result sink_expect(struct sink *s, uint64_t size, struct err *err)
{
    return s->expect != NULL ? s->expect(s, size, err) : OK;
}

/* The last size bytes before end were just written. A failure here comes again in the sync, where
 * it counts. Pipes and the like have nothing to begin. */
static void begin_flush(const struct fd_sink *s, uint64_t end, size_t size)
{
    if (end / FLUSH_STEP != (end - size) / FLUSH_STEP)
        (void)sync_file_range(s->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
}

static struct result fd_write(struct sink *self, const void *bytes, size_t size, struct err *err)
{
    struct fd_sink *s = (struct fd_sink *)self;
    const char *at = bytes;
    const size_t all = size;

    while (size > 0) {
        if (!ready(s->fd, POLLOUT, err).ok)
            return FAIL;
        ssize_t n = write(s->fd, at, at_once(s->fd, size));
        if (n < 0 && again(s->fd, POLLOUT))
            continue;
        if (n < 0)
            return fail_errno(err, "cannot write '%s'", s->name);
        at += n;
        size -= (size_t)n;
        s->written += (uint64_t)n;
    }
    begin_flush(s, s->written, all);
    return OK;
}

static struct result fd_write_at(struct sink *self, uint64_t offset, const void *bytes, size_t size,
                                 struct err *err)
{
    struct fd_sink *s = (struct fd_sink *)self;
    uint64_t place = s->written + offset;
    const char *at = bytes;
    const size_t all = size;

    while (size > 0) {
        if (stream_interrupted())
            return fail(err, ERR_INTERRUPTED, "interrupted");
        ssize_t n = pwrite(s->fd, at, size, (off_t)place);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail_errno(err, "cannot write '%s'", s->name);
        at += n;
        place += (uint64_t)n;
        size -= (size_t)n;
    }
    begin_flush(s, place, all);
    return OK;
}

/* Kinds of file systems that store bytes as they are written: what is larger than their free space
 * does not fit. Others compress, or report a free space that they do not know. On some, reserving
 * takes no time and saves some later; in memory it takes as long as writing. */
static const struct fs_kind {
    long magic;
    bool reserves;
} fs_kinds[] = {
    {EXT4_SUPER_MAGIC, true},   {XFS_SUPER_MAGIC, true},    {TMPFS_MAGIC, false},
    {MSDOS_SUPER_MAGIC, false}, {EXFAT_SUPER_MAGIC, false},
};

/* NULL if it is of none of these, or has no size. */
static const struct fs_kind *find_kind(int fd, struct statfs *fs)
{
    if (fstatfs(fd, fs) != 0 || fs->f_blocks == 0)
        return NULL;
    for (size_t i = 0; i < sizeof fs_kinds / sizeof *fs_kinds; i++)
        if ((long)fs->f_type == fs_kinds[i].magic)
            return &fs_kinds[i];
    return NULL;
}

/* Reserving more than is free would, for a moment, take all free space from everybody who writes
 * there. Only root may use the last part of it. A user's quota is noticed when it is used up. */
static struct result check_room(const struct fd_sink *s, const struct statfs *fs, uint64_t size,
                                struct err *err)
{
    uint64_t blocks = geteuid() == 0 ? fs->f_bfree : fs->f_bavail;
    uint64_t block = (uint64_t)(fs->f_frsize > 0 ? fs->f_frsize : fs->f_bsize);

    if (size / block <= blocks)
        return OK;
    errno = ENOSPC;
    (void)fail_errno(err, "cannot write '%s'", s->name);
    return fail_hint(err,
                     "it needs %" PRIu64 " more bytes, and %" PRIu64
                     " are free: make room, or name "
                     "another place",
                     size, blocks * block);
}

/* Only a lack of room counts; whatever else is wrong, writing will tell. */
static struct result fd_expect(struct sink *self, uint64_t size, struct err *err)
{
    const struct fd_sink *s = (const struct fd_sink *)self;
    struct statfs fs;
    const struct fs_kind *kind = find_kind(s->fd, &fs);

    if (size == 0 || size > INT64_MAX - s->written || kind == NULL)
        return OK;
    if (!check_room(s, &fs, size, err).ok)
        return FAIL;
    while (kind->reserves &&
           fallocate(s->fd, FALLOC_FL_KEEP_SIZE, (off_t)s->written, (off_t)size) != 0) {
        if (stream_interrupted())
            return fail(err, ERR_INTERRUPTED, "interrupted");
        if (errno == ENOSPC || errno == EDQUOT || errno == EFBIG)
            return fail_errno(err, "cannot write '%s'", s->name);
        if (errno != EINTR)
            break;
    }
    return OK;
}

struct fd_sink fd_sink(int fd, const char *name)
{
    return (struct fd_sink){{.write = fd_write}, fd, name, 0};
}

struct fd_sink new_file_sink(int fd, const char *name, bool in_order)
{
    return (struct fd_sink){{fd_write, in_order ? NULL : fd_write_at, fd_expect}, fd, name, 0};
}

static struct result null_write(struct sink *self, const void *bytes, size_t size, struct err *err)
{
    (void)self, (void)bytes, (void)size, (void)err;
    return OK;
}

static struct result null_write_at(struct sink *self, uint64_t offset, const void *bytes,
                                   size_t size, struct err *err)
{
    (void)offset;
    return null_write(self, bytes, size, err);
}

struct sink null_sink(void)
{
    return (struct sink){.write = null_write, .write_at = null_write_at};
}

static struct result differs(const struct compare_sink *s, struct err *err)
{
    return fail_named(err, ERR_DAMAGED, "what was read back differs from '%s'", s->against.name);
}

static struct result compare_write(struct sink *self, const void *bytes, size_t size,
                                   struct err *err)
{
    struct compare_sink *s = (struct compare_sink *)self;
    const char *at = bytes;
    char step[COMPARE_STEP];

    while (size > 0) {
        size_t want = size < sizeof step ? size : sizeof step, got;
        if (!source_read(&s->against, step, want, &got, err).ok)
            return FAIL;
        if (got != want || memcmp(step, at, want) != 0)
            return differs(s, err);
        at += want;
        size -= want;
    }
    return OK;
}

struct compare_sink compare_sink(struct source against)
{
    return (struct compare_sink){{.write = compare_write}, against};
}

struct result compare_sink_finish(struct compare_sink *s, struct err *err)
{
    char more;
    size_t got;

    if (!source_read(&s->against, &more, 1, &got, err).ok)
        return FAIL;
    return got == 0 ? OK : differs(s, err);
}
