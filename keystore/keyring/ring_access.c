#include "keystore/keyring/ring_access.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/descriptor.h"
#include "base/mount_permissions.h"
#include "base/trusted_file.h"

static struct result no_keyring(const char *path, struct err *err)
{
    (void)fail(err, ERR_MISSING, "there is no keyring '%s'", path);
    if (strcmp(path, "passphrase") == 0)
        err_hint(err, "for a passphrase, write passphrase:");
    else
        err_hint(err, "bring its copy back, if it was here; 'bulla inspect FILE' shows which key a "
                      "file needs");
    return FAIL;
}

/* A named pipe is not read: a second look would wait for ever. */
struct result ring_access_open(const struct place *place, int *out, struct stat *st,
                               struct err *err)
{
    int fd FD_CLEANUP = file_open(place->dir, place->name, O_RDONLY);

    if (fd < 0 && errno == ENOENT)
        return no_keyring(place->path, err);
    bool socket = fd < 0 && errno == ENXIO;
    if (!socket && (fd < 0 || fstat(fd, st) != 0))
        return fail_errno(err, "cannot open keyring '%s'", place->path);
    if (socket || !S_ISREG(st->st_mode)) {
        (void)fail(err, ERR_POLICY, "keyring '%s' is not a regular file", place->path);
        if (!socket && S_ISFIFO(st->st_mode))
            err_hint_option(err, "open the pipe where bulla is started: -k fd:3 3<'%s'",
                            place->path);
        return FAIL;
    }
    *out = fd;
    fd = -1;
    return OK;
}

/* Whether a file, and not only a link to it, is in the directory of credentials. */
static bool is_credential(const struct place *place, const char *credentials)
{
    struct stat directory, given;

    return credentials != NULL && stat(credentials, &given) == 0 &&
           fstat(place->dir, &directory) == 0 && file_same(&directory, &given);
}

static bool is_link(const struct place *place)
{
    struct stat st;

    return fstatat(place->dir, place->name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode);
}

/* Nobody can chmod there, and whoever set it up may have given the file to a group. */
static bool is_set_up(int fd, const struct place *place, const char *credentials)
{
    struct statvfs fs;

    return (is_credential(place, credentials) && !is_link(place)) ||
           (fstatvfs(fd, &fs) == 0 && (fs.f_flag & ST_RDONLY) != 0 &&
            !mount_permissions_missing(fd));
}

static struct result refuse(int fd, const struct stat *st, const char *path, struct err *err)
{
    bool others = st->st_uid == geteuid();

    if (others)
        (void)fail(err, ERR_POLICY, "keyring '%s' may be used by others (mode %03o)", path,
                   (unsigned)st->st_mode & 0777);
    else
        (void)fail(err, ERR_POLICY, "keyring '%s' belongs to another user", path);
    if (mount_permissions_hint(fd, err))
        return FAIL;
    if (others)
        err_hint(err, "chmod 600 '%s', and consider who may have read it", path);
    else
        err_hint(err, "run bulla as its owner, or 'chown' it");
    return FAIL;
}

struct result ring_access_judge(int fd, const struct stat *st, const struct place *place,
                                const char *credentials, struct err *err)
{
    bool own = st->st_uid == geteuid() && (st->st_mode & 077) == 0;

    if (!own && !is_set_up(fd, place, credentials))
        return refuse(fd, st, place->path, err);
    return trusted_file(fd, place->path, "keyring", err);
}

struct result ring_access_path(const char *path, struct err *err)
{
    if (descriptor_number(path) < 0)
        return OK;
    (void)fail(err, ERR_USAGE, "a keyring that comes through a descriptor can only be read");
    return fail_hint(err, "to change it, name the file that it is kept in");
}

struct result ring_access_change(const struct place *place, bool exists, const char *credentials,
                                 struct err *err)
{
    if (is_credential(place, credentials)) {
        (void)fail(err, ERR_POLICY,
                   "keyring '%s' is a credential: a copy that is gone when its "
                   "unit ends",
                   place->path);
        return fail_hint(err, "change the file that LoadCredential= of the unit names");
    }
    if (!exists || !is_link(place))
        return OK;
    (void)fail(err, ERR_POLICY, "keyring '%s' is a symbolic link", place->path);
    return fail_hint(err, "name the file it leads to");
}
