#include "base/atomic_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/host.h"
#include "base/unsupported.h"

#define TIMES_APART 2 /* seconds that FAT rounds to */

/* The permissions that a file may take over from another. */
static mode_t kept_mode(enum whose whose, bool ours_is_roots, bool strangers)
{
    if (whose == WHOSE_OWN && ours_is_roots)
        return strangers ? 0700 : 0755;
    if (whose == WHOSE_CALLER)
        return strangers ? 0700 : 0777 & ~host_current()->umask;
    return 0777;
}

/* The permissions that fd_like gives, before it is known whether the group can be kept. */
static mode_t wanted_mode(const struct stat *mine, const struct stat *st, enum whose whose)
{
    if (st == NULL)
        return 0666 & ~host_current()->umask;
    return st->st_mode & kept_mode(whose, mine->st_uid == 0, mine->st_uid != st->st_uid);
}

/* Execute bits that nobody wanted do no harm, and do not count. */
static unsigned lacks_mode(mode_t got, mode_t wanted)
{
    return ((got & ~wanted & 0666) | (wanted & ~got & 0777)) != 0 ? UNSUPPORTED_MODE : 0;
}

static int set_mode(int fd, mode_t mode, unsigned *lacks)
{
    struct stat now;

    if ((fchmod(fd, mode) != 0 && !unsupported_errno(errno)) || fstat(fd, &now) != 0)
        return -1;
    *lacks |= lacks_mode(now.st_mode, mode);
    return 0;
}

static int set_times(int fd, const struct stat *st, unsigned *lacks)
{
    struct timespec times[2] = {st->st_atim, st->st_mtim};
    struct stat now;

    if ((futimens(fd, times) != 0 && !unsupported_errno(errno)) || fstat(fd, &now) != 0)
        return -1;
    if (now.st_mtim.tv_sec > st->st_mtim.tv_sec + TIMES_APART ||
        now.st_mtim.tv_sec < st->st_mtim.tv_sec - TIMES_APART)
        *lacks |= UNSUPPORTED_TIMES;
    return 0;
}

int fd_like(int fd, const struct stat *st, enum whose whose, unsigned *lacks)
{
    struct stat mine;

    if (fstat(fd, &mine) != 0)
        return -1;
    bool strangers = mine.st_uid != st->st_uid;
    mode_t mode = wanted_mode(&mine, st, whose) & 0777;
    bool same = whose == WHOSE_SAME || (whose == WHOSE_OWN && (mine.st_uid != 0 || !strangers));
    if (same && strangers)
        (void)!fchown(fd, st->st_uid, (gid_t)-1);
    if (mine.st_gid != st->st_gid && (!same || fchown(fd, (uid_t)-1, st->st_gid) != 0))
        mode &= ~(mode_t)070;
    return set_mode(fd, mode, lacks) != 0 ? -1 : set_times(fd, st, lacks);
}

bool fd_readable_by_more(int fd, const struct stat *st, enum whose whose, mode_t *mode,
                         mode_t *wanted)
{
    struct stat mine;

    *mode = *wanted = 0;
    if (fstat(fd, &mine) != 0)
        return true;
    *mode = mine.st_mode & 0777;
    *wanted = wanted_mode(&mine, st, whose) & 0777;
    if (st != NULL && mine.st_gid != st->st_gid)
        *wanted &= ~(mode_t)070;
    mode_t reading = S_ISDIR(mine.st_mode) ? 055 : 044;
    return (*mode & ~*wanted & reading) != 0;
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
        return fail_named(err, ERR_FAILED, "'%s' is a symbolic link", place->path);
    if (S_ISDIR(st.st_mode))
        return fail_named(err, ERR_FAILED, "'%s' is a directory", place->path);
    if (!S_ISREG(st.st_mode))
        return fail_named(err, ERR_FAILED, "'%s' is not a regular file", place->path);
    return replace ? OK : fail_named(err, ERR_EXISTS, "'%s' already exists", place->path);
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
    /* Some mounts on which files have names from the beginning, such as those of object stores,
     * take bytes only in order, and say so too late. */
    made.in_order = made.named;
    /* Another run that finds the file in a walk must not change it while it has its temporary name.
     * If there are no locks here, that run gets none either. */
    (void)flock(made.fd, LOCK_EX | LOCK_NB);
    *f = made;
    return OK;
}

struct result atomic_file_guard(const struct atomic_file *f, const struct stat *st,
                                enum whose whose, struct err *err)
{
    mode_t mode, wanted;

    if (!fd_readable_by_more(f->fd, st, whose, &mode, &wanted))
        return OK;
    return fail_named(
        err, ERR_POLICY,
        "'%s' could be read by others: its file system gives it the permissions %03o in "
        "place of %03o",
        f->place->path, (unsigned)mode, (unsigned)wanted);
}

struct result atomic_file_private(const struct atomic_file *f, struct err *err)
{
    struct stat st;

    if (fstat(f->fd, &st) != 0)
        return fail_errno(err, "cannot look at '%s'", f->place->path);
    if (st.st_uid != geteuid())
        return fail_named(err, ERR_POLICY,
                          "'%s' would belong to another user: its file system gives it to user %u",
                          f->place->path, (unsigned)st.st_uid);
    if ((st.st_mode & 077) != 0)
        return fail_named(
            err, ERR_POLICY,
            "'%s' could be used by others: its file system gives it the permissions %03o",
            f->place->path, (unsigned)st.st_mode & 0777);
    return OK;
}

struct result atomic_file_like(struct atomic_file *f, const struct stat *st, enum whose whose,
                               struct err *err)
{
    if (fd_like(f->fd, st, whose, &f->lacks) != 0)
        return fail_errno(err, "cannot set permissions and times of '%s'", f->place->path);
    return OK;
}

struct result atomic_file_public(struct atomic_file *f, struct err *err)
{
    if (set_mode(f->fd, 0666 & ~host_current()->umask, &f->lacks) != 0)
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

/* Puts temp in the place of a file that is still *over. A file that another program has put there
 * meanwhile is newer than the one ours was made from. It is noticed because the two names are
 * exchanged, and goes back. Without an exchange, there is an instant in which it is lost. A FUSE is
 * not asked to exchange: some pass over what they are asked for, and exfat-fuse 1.4.0 ends at it,
 * and its mount with it. */
static struct result put_over(const struct place *place, const char *temp, const struct stat *over,
                              struct err *err)
{
    int dir = place->dir;
    bool exchanged =
        !dir_is_fuse(dir) && names_file(dir, place->name, over) && exchange(place, temp) == 0;

    if (exchanged && names_file(dir, temp, over) && unlinkat(dir, temp, 0) == 0)
        return OK;
    if (exchanged && exchange(place, temp) != 0)
        return fail_errno(err, "cannot put what was at '%s' back in its place", place->path);
    if (!names_file(dir, place->name, over))
        return fail_named(err, ERR_FAILED, "'%s' was replaced by another program", place->path);
    if (renameat(dir, temp, dir, place->name) != 0)
        return fail_errno(err, "cannot put '%s' in its place", place->path);
    return OK;
}

/* After a failure the temporary name may belong to our file, or to the old one, which then stays.
 */
static struct result put_over_old(struct atomic_file *f, struct err *err)
{
    struct stat ours;

    if (fstat(f->fd, &ours) != 0)
        return fail_errno(err, "cannot look at '%s'", f->place->path);
    f->placed = put_over(f->place, f->temp, f->over, err).ok;
    f->named = !f->placed && names_file(f->place->dir, f->temp, &ours);
    return f->placed ? OK : FAIL;
}

struct result atomic_file_hand_over(struct atomic_file *f, struct err *err)
{
    if (!f->named || f->handed_over)
        return OK;
    if (fd_hand_over(f->fd) != 0)
        return fail_errno(err, "cannot write '%s'", f->place->path);
    f->handed_over = true;
    return OK;
}

/* A file with a name may have been opened for writing only. */
struct result atomic_file_read_back(const struct atomic_file *f, int *fd, struct err *err)
{
    int opened FD_CLEANUP = f->named
                                ? openat(f->place->dir, f->temp, O_RDONLY | O_NOFOLLOW | O_CLOEXEC)
                                : fcntl(f->fd, F_DUPFD_CLOEXEC, 0);
    struct stat ours, there;

    if (opened < 0 || fstat(f->fd, &ours) != 0 || fstat(opened, &there) != 0 ||
        lseek(opened, 0, SEEK_SET) != 0)
        return fail_errno(err, "cannot read '%s' back", f->place->path);
    if (!file_same(&ours, &there))
        return fail_named(err, ERR_FAILED, "'%s' was replaced by another program", f->place->path);
    *fd = opened;
    opened = -1;
    return OK;
}

/* FAT takes fewer names than we have bytes: the file is there, but cannot be called this. */
static bool is_no_name(const struct atomic_file *f, int error)
{
    struct stat ours;

    return (error == ENOENT || error == EINVAL || error == EILSEQ) && f->named &&
           fstat(f->fd, &ours) == 0 && names_file(f->place->dir, f->temp, &ours);
}

static struct result fail_put(const struct atomic_file *f, int error, struct err *err)
{
    errno = error;
    (void)fail_errno(err, "cannot put '%s' in its place", f->place->path);
    if (!f->named && unsupported_errno(error))
        err_hint(err,
                 "this file system cannot name an unnamed file: write to another, and move the "
                 "result there");
    if (is_no_name(f, error))
        err_hint(err, "its file system may not take this name, as FAT takes no colon");
    return FAIL;
}

struct result atomic_file_put(struct atomic_file *f, struct err *err)
{
    int dir = f->place->dir, failed;

    if (!atomic_file_hand_over(f, err).ok)
        return FAIL;
    f->tried = true;
    if (!f->replace) {
        failed = f->named ? temporary_rename(dir, f->temp, f->place->name, &f->lacks)
                          : link_unnamed(f, f->place->name);
    } else {
        if (!f->named) {
            if (!temporary_name(f->temp, err).ok)
                return FAIL;
            if (link_unnamed(f, f->temp) != 0)
                return fail_put(f, errno, err);
            f->named = true;
        }
        if (f->over != NULL)
            return put_over_old(f, err);
        failed = renameat(dir, f->temp, dir, f->place->name);
    }
    if (failed != 0 && errno == EEXIST)
        return fail_named(err, ERR_EXISTS, "'%s' already exists", f->place->path);
    if (failed != 0)
        return fail_put(f, errno, err);
    f->named = false;
    f->placed = true;
    return OK;
}

struct result atomic_file_sync(struct atomic_file *f, struct err *err)
{
    if (fd_sync(f->fd, f->place->dir, &f->lacks) != 0)
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
    if (sync && fd_sync(f->place->dir, f->place->dir, &f->lacks) != 0)
        return fail_errno(err,
                          "cannot sync the directory of '%s'; it is in its place but may not be "
                          "durable",
                          f->place->path);
    unsupported_note(f->place->path, f->lacks);
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
    if (put_over(place, temp, over, err).ok)
        return place_sync(place, err);
    if (names_file(place->dir, temp, &ours))
        (void)unlinkat(place->dir, temp, 0);
    return FAIL;
}

/* A mount may store a file without bytes later than when it is closed. With one byte written, it
 * stores it then. */
static void empty(int fd)
{
    struct stat st;

    if (fstat(fd, &st) == 0 && st.st_size == 0)
        (void)!write(fd, "", 1);
    else
        (void)!ftruncate(fd, 0);
}

/* The bytes of an unnamed file are gone when it is closed. Closing a named file may store its
 * bytes, even if the name is unlinked: so the file is cut first, and its name is removed last.
 * After an attempt to put it in its place it may be there, whatever the system said. */
void atomic_file_discard(struct atomic_file *f)
{
    if (!f->open)
        return;
    if (f->named && !f->tried)
        empty(f->fd);
    fd_close(&f->fd);
    if (f->named)
        unlinkat(f->place->dir, f->temp, 0);
    *f = (struct atomic_file){0};
}
