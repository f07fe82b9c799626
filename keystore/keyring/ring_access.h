/* ring_access: which keyring files are opened, and which may be changed.
 *
 *     read      a regular file, also through symbolic links, that only those who are believed
 *               (base/trusted_file.h) can write or replace, and that is either
 *               - the caller's own, for nobody else to use, or
 *               - as the system set it up: on a read-only mount, as secrets of containers are, or a
 *                 systemd credential. Not on a medium without permissions
 * (base/mount_permissions.h), whose mount can be told who may read changed   no symbolic link, no
 * credential, nothing that came through a descriptor
 *
 * The directory of credentials is passed along; NULL if there is none. */
#ifndef BULLA_KEYSTORE_KEYRING_RING_ACCESS_H
#define BULLA_KEYSTORE_KEYRING_RING_ACCESS_H

#include "base/place.h"

/* ring_access_open opens a keyring that is a file. ERR_MISSING if there is none. */
FALLIBLE ring_access_open(const struct place *place, int *fd, struct stat *st, struct err *err);

/* ring_access_judge fails with ERR_POLICY if the open file may not be used. */
FALLIBLE ring_access_judge(int fd, const struct stat *st, const struct place *place,
                           const char *credentials, struct err *err);

/* ring_access_path comes before a keyring is made or changed: ERR_USAGE if it is a descriptor. */
FALLIBLE ring_access_path(const char *path, struct err *err);

/* ring_access_change comes after that: ERR_POLICY for a credential and, with exists true, for a
 * symbolic link. */
FALLIBLE ring_access_change(const struct place *place, bool exists, const char *credentials,
                            struct err *err);

#endif
