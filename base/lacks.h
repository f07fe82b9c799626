/* lacks: what file systems cannot do, and what was done in its place. Each lack is told once a run.
 */
#ifndef BULLA_BASE_LACKS_H
#define BULLA_BASE_LACKS_H

#include <stdbool.h>

enum lack {
    LACK_MODE = 1 << 0,  /* permissions */
    LACK_TIMES = 1 << 1, /* modification times */
    LACK_SYNC = 1 << 2,  /* the sync of a file or directory: the next best was done */
    LACK_NAME = 1 << 3,  /* to refuse a name that is taken, in one step: a look came first */
};

/* lacks_tell_to names who is told. Once, before any thread starts; until then nobody is. */
void lacks_tell_to(void (*tell)(void *arg, const char *text), void *arg);

/* lacks_note tells what the file system of path lacks (enum lack, or 0), unless that was told
 * before. */
void lacks_note(const char *path, unsigned what);

/* is_lack is true for an errno by which a file system refuses what it cannot do. */
bool is_lack(int error);

#endif
