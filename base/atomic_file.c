#include "base/atomic_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/temporary.h"

static mode_t user_umask = 077;

void atomic_file_init(void)
{
    user_umask = umask(077);
}

mode_t atomic_file_umask(void)
{
    return user_umask;
}

/* The permissions that a file may have of those of another. */
static mode_t kept_mode(enum whose whose, bool ours_is_roots, bool strangers)
{
    if (whose == WHOSE_OWN && ours_is_roots)
        return strangers ? 0700 : 0755;
    if (whose == WHOSE_CALLER)
        return strangers ? 0700 : 0777 & ~user_umask;
    return 0777;
}

int fd_like(int fd, const struct stat *st, enum whose whose)
{
    struct timespec times[2] = {st->st_atim, st->st_mtim};
    struct stat mine;

    if (fstat(fd, &mine) != 0)
        return -1;
    bool strangers = mine.st_uid != st->st_uid;
    mode_t mode = st->st_mode & kept_mode(whose, mine.st_uid == 0, strangers);
    bool same = whose == WHOSE_SAME || (whose == WHOSE_OWN && (mine.st_uid != 0 || !strangers));
    if (same && strangers)
        (void)!fchown(fd, st->st_uid, (gid_t)-1);
    if (mine.st_gid != st->st_gid && (!same || fchown(fd, (uid_t)-1, st->st_gid) != 0))
        mode &= ~(mode_t)070;
    return fchmod(fd, mode) != 0 ? -1 : futimens(fd, times);
}

/* Fails unless a file may be put at place: nothing is there, or a regular file and replace is true;
 * *there tells which. */
static struct result check(const struct place *place, bool replace, bool *there, struct err *err)
{
    struct stat st;

    if (!place_stat(place, &st, there, err).ok)
        return FAIL;
    if (!*there)
        return OK;
    if (S_ISLNK(st.st_mode))
        return fail(err, ERR_FAILED, "'%s' is a symbolic link", place->path);
    if (S_ISDIR(st.st_mode))
        return fail(err, ERR_FAILED, "'%s' is a directory", place->path);
    if (!S_ISREG(st.st_mode))
        return fail(err, ERR_FAILED, "'%s' is not a regular file", place->path);
    return replace ? OK : fail(err, ERR_EXISTS, "'%s' already exists", place->path);
}

struct result atomic_file_open(struct atomic_file *f, const struct place *place, bool replace,
                               struct err *err)
{
    struct atomic_file made = {.fd = -1, .place = place, .open = true, .replace = replace};

    if (!check(place, replace, &made.there, err).ok || !place_readable(place, err).ok)
        return FAIL;
    /* An unnamed file gets its name by way of /proc. */
    bool can_name = access("/proc/self/fd", X_OK) == 0;
    if (can_name)
        made.fd = openat(place->dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (!can_name || (made.fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == ENOENT ||
                                      errno == EINVAL || errno == ENOSYS))) {
        made.named = true;
        if (!temporary_name(made.temp, err).ok)
            return FAIL;
        made.fd =
            openat(place->dir, made.temp, O_CREAT | O_EXCL | O_NOFOLLOW | O_RDWR | O_CLOEXEC, 0600);
    }
    if (made.fd < 0)
        return fail_errno(err, "cannot create '%s'", place->path);
    /* A run that finds it in a walk must not change it while it has its temporary name. Where there
     * are no locks, such a run cannot get one either. */
    (void)flock(made.fd, LOCK_EX | LOCK_NB);
    *f = made;
    return OK;
}

struct result atomic_file_private(const struct atomic_file *f, struct err *err)
{
    struct stat st;

    if (fstat(f->fd, &st) != 0)
        return fail_errno(err, "cannot look at '%s'", f->place->path);
    if (st.st_uid != geteuid())
        return fail(err, ERR_POLICY,
                    "'%s' would belong to another user: its file system gives it to user %u",
                    f->place->path, (unsigned)st.st_uid);
    if ((st.st_mode & 077) != 0)
        return fail(err, ERR_POLICY,
                    "'%s' could be used by others: its file system gives it the permissions %03o",
                    f->place->path, (unsigned)st.st_mode & 0777);
    return OK;
}

struct result atomic_file_like(struct atomic_file *f, const struct stat *st, enum whose whose,
                               struct err *err)
{
    if (fd_like(f->fd, st, whose) != 0)
        return fail_errno(err, "cannot set permissions and times of '%s'", f->place->path);
    return OK;
}

struct result atomic_file_public(struct atomic_file *f, struct err *err)
{
    if (fchmod(f->fd, 0666 & ~user_umask) != 0)
        return fail_errno(err, "cannot set permissions of '%s'", f->place->path);
    return OK;
}

/* Gives an unnamed file the name; an existing file there stays and makes this fail with EEXIST. */
static int link_unnamed(const struct atomic_file *f, const char *name)
{
    char self[32];

    snprintf(self, sizeof self, "/proc/self/fd/%d", f->fd);
    return linkat(AT_FDCWD, self, f->place->dir, name, AT_SYMLINK_FOLLOW);
}

static bool names_file(int dir, const char *name, const struct stat *file)
{
    struct stat now;

    return fstatat(dir, name, &now, AT_SYMLINK_NOFOLLOW) == 0 && file_same(&now, file);
}

static int exchange(const struct place *place, const char *temp)
{
    return renameat2(place->dir, temp, place->dir, place->name, RENAME_EXCHANGE);
}

/* Puts temp in the place of a file that is still *over. What another program has put there
 * meanwhile is newer than what ours was made from: it is seen because the two names are exchanged,
 * and goes back. Where they cannot be exchanged, an instant is left for it. */
static struct result put_over(const struct place *place, const char *temp, const struct stat *over,
                              struct err *err)
{
    int dir = place->dir;
    bool exchanged = names_file(dir, place->name, over) && exchange(place, temp) == 0;

    if (exchanged && names_file(dir, temp, over) && unlinkat(dir, temp, 0) == 0)
        return OK;
    if (exchanged && exchange(place, temp) != 0)
        return fail_errno(err, "cannot put what was at '%s' back in its place", place->path);
    if (!names_file(dir, place->name, over))
        return fail(err, ERR_FAILED, "'%s' was replaced by another program", place->path);
    if (renameat(dir, temp, dir, place->name) != 0)
        return fail_errno(err, "cannot put '%s' in its place", place->path);
    return OK;
}

/* The same; on failure temp is removed, if it is *ours and not what was in the place. */
static struct result put_ours(const struct place *place, const char *temp, const struct stat *ours,
                              const struct stat *over, struct err *err)
{
    struct result r = put_over(place, temp, over, err);

    if (!r.ok && names_file(place->dir, temp, ours))
        (void)unlinkat(place->dir, temp, 0);
    return r;
}

static struct result put_over_old(struct atomic_file *f, struct err *err)
{
    struct stat ours;

    if (fstat(f->fd, &ours) != 0)
        return fail_errno(err, "cannot look at '%s'", f->place->path);
    f->named = false;
    f->placed = put_ours(f->place, f->temp, &ours, f->over, err).ok;
    return f->placed ? OK : FAIL;
}

static struct result fail_put(const struct atomic_file *f, int error, struct err *err)
{
    bool cannot_link = error == EPERM || error == ENOSYS || error == EOPNOTSUPP;

    errno = error;
    (void)fail_errno(err, "cannot put '%s' in its place", f->place->path);
    if (!f->replace && cannot_link)
        err_hint(err, "this file system cannot refuse a name that is taken: use --force, "
                      "where that is an option, or another file system");
    return FAIL;
}

struct result atomic_file_put(struct atomic_file *f, struct err *err)
{
    int dir = f->place->dir, failed;

    f->tried = true;
    if (!f->replace) {
        failed = f->named ? temporary_rename(dir, f->temp, f->place->name)
                          : link_unnamed(f, f->place->name);
    } else {
        if (!f->named) {
            if (!temporary_name(f->temp, err).ok)
                return FAIL;
            if (link_unnamed(f, f->temp) != 0)
                return fail_errno(err, "cannot name '%s'", f->place->path);
            f->named = true;
        }
        if (f->over != NULL)
            return put_over_old(f, err);
        failed = renameat(dir, f->temp, dir, f->place->name);
    }
    if (failed != 0 && errno == EEXIST)
        return fail(err, ERR_EXISTS, "'%s' already exists", f->place->path);
    if (failed != 0)
        return fail_put(f, errno, err);
    f->named = false;
    f->placed = true;
    return OK;
}

struct result atomic_file_sync(const struct atomic_file *f, struct err *err)
{
    if (fsync(f->fd) != 0)
        return fail_errno(err, "cannot sync '%s'", f->place->path);
    return OK;
}

struct result atomic_file_end(struct atomic_file *f, bool sync, struct err *err)
{
    int fd = f->fd;

    f->fd = -1;
    if (close(fd) != 0)
        return fail_errno(err, "cannot close '%s'; it is in its place but may not be durable",
                          f->place->path);
    if (sync && fsync(f->place->dir) != 0)
        return fail_errno(err,
                          "cannot sync the folder of '%s'; it is in its place but may not be "
                          "durable",
                          f->place->path);
    return OK;
}

struct result atomic_file_commit(struct atomic_file *f, struct err *err)
{
    if (!atomic_file_sync(f, err).ok || !atomic_file_put(f, err).ok)
        return FAIL;
    return atomic_file_end(f, true, err);
}

struct result atomic_file_link(const struct place *made, const struct place *place,
                               const struct stat *over, struct err *err)
{
    char temp[TEMPORARY_MAX];
    struct stat ours;

    if (!place_readable(place, err).ok || !temporary_name(temp, err).ok)
        return FAIL;
    if (fstatat(made->dir, made->name, &ours, AT_SYMLINK_NOFOLLOW) != 0)
        return fail_errno(err, "cannot look at '%s'", made->path);
    if (linkat(made->dir, made->name, place->dir, temp, 0) != 0)
        return fail_errno(err, "cannot give '%s' the name '%s' too", made->path, place->path);
    return put_ours(place, temp, &ours, over, err).ok ? place_sync(place, err) : FAIL;
}

/* What an unnamed file holds goes when it is closed. Elsewhere closing may be what stores the
 * bytes, under the name even if that was unlinked: so the file is cut first and its name goes last.
 * After an attempt to put it in its place it may be there, whatever the system said. */
void atomic_file_discard(struct atomic_file *f)
{
    if (!f->open)
        return;
    if (f->named && !f->tried)
        (void)!ftruncate(f->fd, 0);
    fd_close(&f->fd);
    if (f->named)
        unlinkat(f->place->dir, f->temp, 0);
    *f = (struct atomic_file){0};
}
