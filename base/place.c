#include "base/place.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/temporary_name.h"
#include "base/unsupported.h"

bool file_same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

bool file_unchanged(const struct stat *a, const struct stat *b)
{
    return a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
           a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

bool dir_is_fuse(int dir)
{
    struct statfs fs;

    return fstatfs(dir, &fs) == 0 && fs.f_type == FUSE_SUPER_MAGIC;
}

int fd_sync(int fd, int dir, unsigned *lacks)
{
    if (fsync(fd) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP)
        return -1;
    *lacks |= UNSUPPORTED_SYNC;
    return syncfs(dir);
}

int fd_hand_over(int fd)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

    return copy < 0 ? -1 : close(copy);
}

static struct result set_names(struct place *p, const char *name, const char *path, struct err *err)
{
    p->name = strdup(name);
    p->path = strdup(path);
    if (p->name == NULL || p->path == NULL)
        return fail_memory(err);
    return OK;
}

/* A directory that may only be searched is good enough to open something in it. */
static int open_directory(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    return fd >= 0 || errno != EACCES ? fd : open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/* As a path says that ends with a slash. */
static struct result check_directory(const struct place *p, struct err *err)
{
    struct stat st;

    if (fstatat(p->dir, p->name, &st, 0) != 0)
        return fail_input(err, "cannot open '%s'", p->path);
    return S_ISDIR(st.st_mode) ? OK
                               : fail_named(err, ERR_FAILED, "'%s' is not a directory", p->path);
}

struct result place_open(struct place *p, const char *path, struct err *err)
{
    struct place made PLACE_CLEANUP = {.dir = -1, .open = true};
    char *copy STRING_CLEANUP = strdup(path);

    if (copy == NULL)
        return fail_memory(err);
    if (path[0] == '\0')
        return fail(err, ERR_USAGE, "an empty file name");
    for (size_t n = strlen(copy); n > 1 && copy[n - 1] == '/'; n--)
        copy[n - 1] = '\0';
    char *slash = strrchr(copy, '/');
    const char *name = slash == NULL ? copy : slash[1] == '\0' ? "." : slash + 1;
    if (!set_names(&made, name, path, err).ok)
        return FAIL;
    if (slash != NULL)
        slash[slash == copy ? 1 : 0] = '\0';
    made.dir = open_directory(slash == NULL ? "." : copy);
    if (made.dir < 0)
        return fail_input(err, "cannot open the directory of '%s'", path);
    if (path[strlen(path) - 1] == '/' && !check_directory(&made, err).ok)
        return FAIL;
    *p = TAKE(made);
    return OK;
}

struct result place_open_new(struct place *p, const char *path, struct err *err)
{
    if (place_open(p, path, err).ok)
        return OK;
    if (err->class == ERR_MISSING)
        err->class = ERR_FAILED; /* the directory is no input */
    return FAIL;
}

struct result place_in(struct place *p, int dir, const char *name, const char *path,
                       struct err *err)
{
    struct place made PLACE_CLEANUP = {.dir = -1, .open = true};

    if (!set_names(&made, name, path, err).ok)
        return FAIL;
    made.dir = fcntl(dir, F_DUPFD_CLOEXEC, 0);
    if (made.dir < 0)
        return fail_errno(err, "cannot open the directory of '%s'", path);
    *p = TAKE(made);
    return OK;
}

struct result place_beside(struct place *beside, const struct place *p, const char *suffix,
                           struct err *err)
{
    char *name STRING_CLEANUP = NULL;
    char *path STRING_CLEANUP = NULL;

    if (asprintf(&name, "%s%s", p->name, suffix) < 0 ||
        asprintf(&path, "%s%s", p->path, suffix) < 0)
        return fail_memory(err);
    return place_in(beside, p->dir, name, path, err);
}

void place_close(struct place *p)
{
    if (!p->open)
        return;
    fd_close(&p->dir);
    free(p->name);
    free(p->path);
    *p = (struct place){0};
}

struct result place_readable(const struct place *p, struct err *err)
{
    if ((fcntl(p->dir, F_GETFL) & O_PATH) == 0)
        return OK;
    errno = EACCES;
    return fail_errno(err, "cannot read the directory of '%s'", p->path);
}

int fd_stat(int fd, struct stat *st)
{
    struct statx fresh;

    (void)!statx(fd, "", AT_EMPTY_PATH | AT_STATX_FORCE_SYNC, STATX_BASIC_STATS, &fresh);
    return fstat(fd, st);
}

int file_open(int dir, const char *name, int flags)
{
    struct stat st;
    bool other =
        fstatat(dir, name, &st, (flags & O_NOFOLLOW) != 0 ? AT_SYMLINK_NOFOLLOW : 0) == 0 &&
        (S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode));

    return openat(dir, name, flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | (other ? O_PATH : 0));
}

struct result place_open_file(const struct place *p, bool follow, int *fd, struct stat *st,
                              struct err *err)
{
    int opened FD_CLEANUP = follow ? openat(p->dir, p->name, O_RDONLY | O_CLOEXEC | O_NOCTTY)
                                   : file_open(p->dir, p->name, O_RDONLY | O_NOFOLLOW);

    if (opened < 0 && errno == ELOOP && !follow)
        return fail_named(err, ERR_FAILED, "'%s' is a symbolic link", p->path);
    if (opened < 0 && errno == EINTR)
        return fail(err, ERR_INTERRUPTED, "interrupted");
    if (opened < 0 && errno == ENXIO)
        return fail_named(err, ERR_FAILED, "'%s' is a socket, or a device that is not there",
                          p->path);
    if (opened < 0)
        return fail_input(err, "cannot open '%s'", p->path);
    if (fd_stat(opened, st) != 0)
        return fail_errno(err, "cannot look at '%s'", p->path);
    if (S_ISDIR(st->st_mode))
        return fail_named(err, ERR_FAILED, "'%s' is a directory", p->path);
    if (!follow && !S_ISREG(st->st_mode))
        return fail_named(err, ERR_FAILED, "'%s' is not a regular file", p->path);
    *fd = opened;
    opened = -1;
    return OK;
}

struct result place_stat(const struct place *p, struct stat *st, bool *exists, struct err *err)
{
    *exists = fstatat(p->dir, p->name, st, AT_SYMLINK_NOFOLLOW) == 0;
    if (!*exists && errno != ENOENT)
        return fail_errno(err, "cannot look at '%s'", p->path);
    return OK;
}

struct result place_fits(const struct place *p, struct err *err)
{
    long most = fpathconf(p->dir, _PC_NAME_MAX);
    size_t size = strlen(p->name);

    if (most <= 0 || size <= (size_t)most) /* many a FUSE says 0 */
        return OK;
    return fail(err, ERR_FAILED,
                "the name of '%s' is too long: it has %zu bytes, and its file system takes %ld",
                p->path, size, most);
}

/* Whether a name in the directory is still the file *st, with the bytes that it had. */
static struct result check_same(const struct place *p, const char *name, bool renamed,
                                const struct stat *st, struct err *err)
{
    struct stat now;

    if (fstatat(p->dir, name, &now, AT_SYMLINK_NOFOLLOW) != 0)
        return fail_errno(err, "cannot look at '%s'", p->path);
    bool renumbered = renamed && dir_is_fuse(p->dir) && file_unchanged(st, &now);
    if (!file_same(st, &now) && !renumbered)
        return fail_named(err, ERR_FAILED, "'%s' is not the file that was read", p->path);
    if (!file_unchanged(st, &now))
        return fail_named(err, ERR_FAILED, "'%s' changed after it was read", p->path);
    return OK;
}

/* Gives the file that was put aside its name back; *err already says why. */
static struct result put_back(const struct place *p, const char *aside, struct err *err)
{
    unsigned lacks = 0;

    if (temporary_rename(p->dir, aside, p->name, &lacks) != 0)
        err_hint(err, "it is called '%s' in its directory now, because '%s' is taken", aside,
                 p->name);
    return FAIL;
}

struct result place_removable(const struct place *p, const struct stat *st, struct err *err)
{
    struct stat now;

    if (!S_ISREG(st->st_mode))
        return fail_named(err, ERR_FAILED, "'%s' is not a regular file and is not removed",
                          p->path);
    if (fstatat(p->dir, p->name, &now, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISLNK(now.st_mode))
        return OK; /* what happens meanwhile is for place_remove */
    (void)fail_named(err, ERR_FAILED, "'%s' is a symbolic link and is not removed", p->path);
    return fail_hint(err, "name the file that it leads to");
}

/* A look and an unlink are two steps: a new file that gets the name in between would be removed. So
 * the file is first renamed to a name that nobody else knows, where nobody replaces it. */
struct result place_remove(const struct place *p, const struct stat *st, struct err *err)
{
    char aside[TEMPORARY_MAX];

    if (!S_ISREG(st->st_mode))
        return fail_named(err, ERR_FAILED, "'%s' is not a regular file", p->path);
    if (!check_same(p, p->name, false, st, err).ok || !place_readable(p, err).ok ||
        !temporary_name(aside, err).ok)
        return FAIL;
    if (renameat(p->dir, p->name, p->dir, aside) != 0)
        return fail_errno(err, "cannot remove '%s'", p->path);
    if (!check_same(p, aside, true, st, err).ok)
        return put_back(p, aside, err);
    if (unlinkat(p->dir, aside, 0) != 0) {
        (void)fail_errno(err, "cannot remove '%s'", p->path);
        return put_back(p, aside, err);
    }
    return place_sync(p, err);
}

struct result place_sync(const struct place *p, struct err *err)
{
    unsigned lacks = 0;

    if (fd_sync(p->dir, p->dir, &lacks) != 0)
        return fail_errno(err, "cannot sync the directory of '%s'", p->path);
    unsupported_note(p->path, lacks);
    return OK;
}
