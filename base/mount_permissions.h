/* mount_permissions: file systems on which the mount decides who owns all files and who may use
 * them, such as FAT on a USB stick. There chmod and chown do not help. */
#ifndef BULLA_BASE_MOUNT_PERMISSIONS_H
#define BULLA_BASE_MOUNT_PERMISSIONS_H

#include <stdbool.h>

#include "base/err.h"

/* mount_permissions_missing is true if fd, which may be opened with O_PATH, is on one. */
bool mount_permissions_missing(int fd);

/* mount_permissions_hint hints at the mount option that keeps files there for the caller alone;
 * false, and no hint, if fd is on a file system with permissions. */
bool mount_permissions_hint(int fd, struct err *err);

#endif
