#include "base/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"

#ifndef LANDLOCK_ACCESS_FS_REFER
#define LANDLOCK_ACCESS_FS_REFER (UINT64_C(1) << 13)
#endif
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (UINT64_C(1) << 14)
#endif

#define ON_FILES (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE)
#define READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define ON_DIRECTORIES                                                                             \
    (LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_DIR |     \
     LANDLOCK_ACCESS_FS_REMOVE_FILE)

/* What no run is allowed. */
#define NEVER                                                                                      \
    (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_MAKE_CHAR |   \
     LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK | \
     LANDLOCK_ACCESS_FS_MAKE_SYM)

static const uint64_t rights[] = {
    [ALLOW_READ] = READ,
    [ALLOW_READ_WRITE] = ON_FILES,
    [ALLOW_CHANGE] = ON_FILES | ON_DIRECTORIES | LANDLOCK_ACCESS_FS_TRUNCATE,
    [ALLOW_LINK] =
        ON_FILES | ON_DIRECTORIES | LANDLOCK_ACCESS_FS_TRUNCATE | LANDLOCK_ACCESS_FS_REFER,
};

void landlock_drop(struct ruleset *r)
{
    fd_close(&r->fd);
}

struct ruleset landlock_new(void)
{
    struct landlock_ruleset_attr attr = {.handled_access_fs = ON_FILES | ON_DIRECTORIES | NEVER};
    long abi =
        syscall(SYS_landlock_create_ruleset, NULL, (size_t)0, LANDLOCK_CREATE_RULESET_VERSION);

    if (abi < 1)
        return (struct ruleset){.fd = -1};
    if (abi >= 2)
        attr.handled_access_fs |= LANDLOCK_ACCESS_FS_REFER;
    if (abi >= 3)
        attr.handled_access_fs |= LANDLOCK_ACCESS_FS_TRUNCATE;
    return (struct ruleset){.fd = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof attr, 0),
                            .handled = attr.handled_access_fs};
}

/* If it cannot be opened by its name now, the run cannot open it either, and will say so. */
static bool is_not_there(int error)
{
    return error == ENOENT || error == ENOTDIR || error == EACCES || error == ELOOP ||
           error == ENAMETOOLONG;
}

void landlock_allow(struct ruleset *r, const char *path, enum ruleset_access access)
{
    /* A kernel that cannot allow links from one directory to another (before 5.19) refuses all. */
    if (access == ALLOW_LINK && (r->handled & LANDLOCK_ACCESS_FS_REFER) == 0)
        landlock_drop(r);
    if (r->fd < 0)
        return;

    int fd FD_CLEANUP = open(path, O_PATH | O_CLOEXEC);
    struct landlock_path_beneath_attr rule = {.allowed_access = rights[access] & r->handled,
                                              .parent_fd = fd};
    struct stat st;

    if (fd < 0 || fstat(fd, &st) != 0) {
        if (!is_not_there(errno))
            landlock_drop(r);
        return;
    }
    if (!S_ISDIR(st.st_mode))
        rule.allowed_access &= ON_FILES | LANDLOCK_ACCESS_FS_TRUNCATE;
    /* A pipe is in no directory: it takes no rule (EBADFD) and needs none. */
    if (syscall(SYS_landlock_add_rule, r->fd, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) != 0 &&
        errno != EBADFD)
        landlock_drop(r);
}

bool landlock_enforce(struct ruleset *r)
{
    return r->fd >= 0 && syscall(SYS_landlock_restrict_self, r->fd, 0) == 0;
}
