/* file_systems: the file systems that a run writes to, which are synced once at its end. */
#ifndef BULLA_BASE_FILE_SYSTEMS_H
#define BULLA_BASE_FILE_SYSTEMS_H

#include <sys/types.h>

#include "base/err.h"

#define FILE_SYSTEMS_MAX 32

/* struct file_systems: {0} is empty and safe to close. */
struct file_systems {
    struct file_system {
        dev_t device;
        int fd;
    } list[FILE_SYSTEMS_MAX];
    size_t count;
};

/* file_systems_add notes the file system of an open directory, before anything is written to it:
 * errors count from then on. */
FALLIBLE file_systems_add(struct file_systems *f, int dir, const char *path, struct err *err);

/* file_systems_sync makes all that was written to them durable (syncfs). */
FALLIBLE file_systems_sync(const struct file_systems *f, struct err *err);
void file_systems_close(struct file_systems *f);

#endif
