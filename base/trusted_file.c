#include "base/trusted_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/mount_permissions.h"

#define LINKS_MAX 40       /* as the kernel has it */
#define NO_USER 65534      /* who has no number in this user namespace */
#define PROC_ROOT 1        /* the inode of /proc, whose links are ordinary ones */
#define OTHERS (mode_t)022 /* may write it */
#define ROOM (2 * PATH_MAX)

/* struct walk: a path that is being followed. */
struct walk {
    const char *path, *kind; /* for messages */
    int fd;           /* the file that was opened by the path; -1: only its directories count */
    int at;           /* the directory that was reached */
    bool shared;      /* it is sticky, and others may make things there */
    char shown[ROOM]; /* the path of what is looked at, for messages */
    size_t parent;    /* bytes of it that are of its directory */
    char text[ROOM];  /* the path, or what links made of it */
    const char *rest; /* what is left of that, below the directory */
    bool anew;        /* the rest begins at the root, or at the working directory */
    bool absolute;    /* it began at the root */
    unsigned links;
};

#define WALK_CLEANUP __attribute__((cleanup(walk_end)))

static void walk_end(struct walk *w)
{
    fd_close(&w->at);
}

/* Whether there are users without a number here. */
static bool some_have_no_number(void)
{
    FILE *file = fopen(TRUSTED_READS, "re");
    uint64_t count, all = 0;

    if (file == NULL)
        return false;
    while (fscanf(file, "%*u %*u %" SCNu64, &count) == 1)
        all += count;
    (void)fclose(file); /* it was only read */
    return all < UINT32_MAX;
}

/* A file of an owner without a number may be the system's, but not in a directory where everybody
 * may make files. */
static bool is_ours(const struct walk *w, const struct stat *st)
{
    if (st->st_uid == 0 || st->st_uid == geteuid())
        return true;
    return st->st_uid == NO_USER && (S_ISDIR(st->st_mode) || S_ISLNK(st->st_mode)) && !w->shared &&
           some_have_no_number();
}

static const char *noun(const struct stat *st)
{
    return S_ISDIR(st->st_mode) ? "directory" : S_ISLNK(st->st_mode) ? "symbolic link" : "file";
}

/* The hint does not take a directory from its owner: it is better to copy the file. */
static void hint_owner(const struct walk *w, const struct stat *st, struct err *err)
{
    const char *copy = geteuid() == 0 ? "/etc/bulla" : "a directory of yours";

    if (S_ISREG(st->st_mode) && geteuid() == 0)
        err_hint(err, "if you trust it: chown root '%s', or copy it to %s", w->shown, copy);
    else
        err_hint(err, "if you trust it, copy it to %s, or run bulla as that user", copy);
}

static struct result judge_owner(const struct walk *w, int fd, const struct stat *st,
                                 struct err *err)
{
    if (is_ours(w, st))
        return OK;
    (void)fail(err, ERR_POLICY, "%s '%s' may be from somebody else: %s '%s' belongs to user %u",
               w->kind, w->path, noun(st), w->shown, (unsigned)st->st_uid);
    if (!mount_permissions_hint(fd, err))
        hint_owner(w, st, err);
    return FAIL;
}

static struct result judge_mode(const struct walk *w, int fd, const struct stat *st,
                                struct err *err)
{
    static const char *const who[] = {
        [0] = "", [1] = "others", [2] = "its group", [3] = "its group and others"};
    mode_t writers = st->st_mode & OTHERS;
    unsigned which = ((writers & 020) != 0 ? 2u : 0u) + ((writers & 002) != 0 ? 1u : 0u);

    if (which == 0 || (S_ISDIR(st->st_mode) && (st->st_mode & S_ISVTX) != 0))
        return OK;
    (void)fail(err, ERR_POLICY,
               "%s '%s' may be from somebody else: %s can write %s '%s' (mode %03o)", w->kind,
               w->path, who[which], noun(st), w->shown, (unsigned)st->st_mode & 0777);
    if (!mount_permissions_hint(fd, err))
        err_hint(err, "if you trust it: chmod %s%s-w '%s'", (which & 2) != 0 ? "g" : "",
                 (which & 1) != 0 ? "o" : "", w->shown);
    return FAIL;
}

/* A link has no mode of its own, and only root can make a device. fd is what is judged. */
static struct result judge(const struct walk *w, int fd, const struct stat *st, struct err *err)
{
    if (S_ISCHR(st->st_mode))
        return OK;
    if (!judge_owner(w, fd, st, err).ok)
        return FAIL;
    return S_ISLNK(st->st_mode) ? OK : judge_mode(w, fd, st, err);
}

static struct result cannot_look(const struct walk *w, struct err *err)
{
    return fail_errno(err, "cannot look at '%s', to see who may write %s '%s'", w->shown, w->kind,
                      w->path);
}

static struct result too_long(const struct walk *w, struct err *err)
{
    errno = ENAMETOOLONG;
    return cannot_look(w, err);
}

/* Continues in another directory, which is judged. */
static struct result enter(struct walk *w, int fd, struct err *err)
{
    struct stat st;

    if (fd < 0 || fstat(fd, &st) != 0)
        return cannot_look(w, err);
    fd_close(&w->at);
    w->at = fd;
    struct result r = judge(w, fd, &st, err);
    w->shared = (st.st_mode & OTHERS) != 0;
    return r;
}

static bool is_end(const struct walk *w)
{
    return w->rest[strspn(w->rest, "/")] == '\0';
}

/* Takes the next name off the rest, and adds it to the path; false at the end. */
static bool next_name(struct walk *w, char name[NAME_MAX + 2])
{
    const char *from = w->rest + strspn(w->rest, "/");
    size_t size = strcspn(from, "/");

    if (size == 0)
        return false;
    snprintf(name, NAME_MAX + 2, "%.*s", (int)size, from);
    w->rest = from + size;
    w->parent = strlen(w->shown);
    snprintf(w->shown + w->parent, sizeof w->shown - w->parent, "%s%s",
             w->absolute || w->parent > 0 ? "/" : "", name);
    return true;
}

/* Whether this is a link of the kernel's, to a descriptor or an open directory, whose text need not
 * be a path. */
static bool is_kernels(const struct walk *w)
{
    struct statfs fs;
    struct stat st;

    return fstatfs(w->at, &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC && fstat(w->at, &st) == 0 &&
           st.st_ino != PROC_ROOT;
}

/* Puts what a link says in front of the rest. */
static struct result follow(struct walk *w, int link, struct err *err)
{
    char target[ROOM];
    ssize_t size = readlinkat(link, "", target, PATH_MAX);

    if (size < 0)
        return cannot_look(w, err);
    if (++w->links > LINKS_MAX) {
        errno = ELOOP;
        return cannot_look(w, err);
    }
    size_t rest = strlen(w->rest);
    if (size == PATH_MAX || (size_t)size + 1 + rest >= sizeof target)
        return too_long(w, err);
    target[size] = '/';
    memcpy(target + size + 1, w->rest, rest + 1);
    memcpy(w->text, target, (size_t)size + 1 + rest + 1);
    w->rest = w->text;
    w->shown[w->parent] = '\0';
    w->anew = target[0] == '/';
    return OK;
}

/* Follows a link of the kernel's; *done is true if it led to a descriptor, which is the caller's
 * own.
 */
static struct result pass(struct walk *w, const char *name, bool *done, struct err *err)
{
    int fd FD_CLEANUP = openat(w->at, name, O_PATH | O_CLOEXEC);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) != 0)
        return cannot_look(w, err);
    *done = is_end(w) || !S_ISDIR(st.st_mode);
    if (*done)
        return OK;
    int next = fd;
    fd = -1;
    return enter(w, next, err);
}

/* The last name. The file that was opened is judged, not what has its name by now: a keyring may
 * have been rotated. Only those who are believed could have put another file there. */
static struct result arrive(const struct walk *w, struct err *err)
{
    struct stat opened;

    return fstat(w->fd, &opened) == 0 ? judge(w, w->fd, &opened, err) : cannot_look(w, err);
}

/* One name of the path; *done is true if it was the last. */
static struct result step(struct walk *w, const char *name, bool *done, struct err *err)
{
    *done = is_end(w);
    if (*done && w->fd < 0)
        return OK; /* it is about to be made */
    int fd FD_CLEANUP = openat(w->at, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;
    if (*done && fd < 0 && errno == ENOENT)
        return arrive(w, err);
    if (fd < 0 || fstat(fd, &st) != 0)
        return cannot_look(w, err);
    if (S_ISLNK(st.st_mode)) {
        if (is_kernels(w))
            return pass(w, name, done, err);
        *done = false;
        return judge(w, fd, &st, err).ok ? follow(w, fd, err) : FAIL;
    }
    if (*done)
        return arrive(w, err);
    int next = fd;
    fd = -1;
    return enter(w, next, err);
}

/* From the root, or from the working directory. */
static struct result start(struct walk *w, struct err *err)
{
    w->absolute = w->rest[0] == '/';
    w->anew = false;
    snprintf(w->shown, sizeof w->shown, w->absolute ? "/" : ".");
    if (!enter(w, open(w->shown, O_PATH | O_DIRECTORY | O_CLOEXEC), err).ok)
        return FAIL;
    w->shown[0] = '\0';
    return OK;
}

static struct result walk(int fd, const char *path, const char *kind, struct err *err)
{
    struct walk w WALK_CLEANUP = {.path = path, .kind = kind, .fd = fd, .at = -1, .anew = true};
    char name[NAME_MAX + 2];
    bool done = false;

    if (strlen(path) >= sizeof w.text)
        return too_long(&w, err);
    memcpy(w.text, path, strlen(path) + 1);
    w.rest = w.text;
    while (!done) {
        if (w.anew && !start(&w, err).ok)
            return FAIL;
        if (!next_name(&w, name))
            return OK;
        if (!step(&w, name, &done, err).ok)
            return FAIL;
    }
    return OK;
}

struct result trusted_file(int fd, const char *path, const char *kind, struct err *err)
{
    return walk(fd, path, kind, err);
}

struct result trusted_place(const char *path, const char *kind, struct err *err)
{
    return walk(-1, path, kind, err);
}
