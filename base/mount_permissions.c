#include "base/mount_permissions.h"

#include <stddef.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

/* struct medium: a file system by its number in statfs(2), and the mount options. */
static const struct medium {
    unsigned long type;
    bool on_device; /* only where it is mounted from a block device */
    const char *options;
} media[] = {
    {0x4d44, false, "umask=077"},                        /* FAT */
    {0x2011bab0, false, "umask=077"},                    /* exFAT */
    {0x5346544e, false, "umask=077"},                    /* NTFS */
    {0x7366746e, false, "umask=077"},                    /* NTFS by ntfs3 */
    {0x65735546, true, "umask=077"},                     /* exfat-fuse, ntfs-3g */
    {0xff534d42, false, "file_mode=0600,dir_mode=0700"}, /* CIFS */
    {0xfe534d42, false, "file_mode=0600,dir_mode=0700"}, /* SMB 2 and later */
};

static bool is_on_device(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 && major(st.st_dev) != 0;
}

/* The one that fd is on, or NULL. */
static const struct medium *find(int fd)
{
    struct statfs fs;

    if (fstatfs(fd, &fs) != 0)
        return NULL;
    for (size_t i = 0; i < sizeof media / sizeof *media; i++)
        if ((unsigned long)fs.f_type == media[i].type && (!media[i].on_device || is_on_device(fd)))
            return &media[i];
    return NULL;
}

bool mount_permissions_missing(int fd)
{
    return find(fd) != NULL;
}

bool mount_permissions_hint(int fd, struct err *err)
{
    const struct medium *m = find(fd);

    if (m != NULL)
        err_hint(err,
                 "on this file system the mount decides who may use a file: mount it with -o "
                 "%s,uid=%u, or use another place",
                 m->options, (unsigned)geteuid());
    return m != NULL;
}
