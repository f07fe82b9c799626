/* unsupported: what file systems cannot do, and what is done instead. The user is told once a run.
 */
#ifndef BULLA_BASE_UNSUPPORTED_H
#define BULLA_BASE_UNSUPPORTED_H

#include <stdbool.h>

enum unsupported {
    UNSUPPORTED_MODE = 1 << 0,  /* permissions */
    UNSUPPORTED_TIMES = 1 << 1, /* modification times */
    UNSUPPORTED_SYNC = 1 << 2,  /* the sync of a file or directory: the next best was done */
    UNSUPPORTED_NAME = 1 << 3,  /* to refuse a name that is taken, in one step: a look came first */
};

/* unsupported_note tells this thread's host (base/host.h) what the file system of path lacks (enum
 * unsupported, or 0), unless that was told before. */
void unsupported_note(const char *path, unsigned what);

/* unsupported_errno is true for an errno by which a file system refuses what it cannot do. */
bool unsupported_errno(int error);

#endif
