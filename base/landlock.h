/* landlock: confines the process, for the rest of its life, to files that it names (landlock(7)).
 *
 * What is confined: reading, writing, cutting, making, removing and running files, and opening
 * directories. Not confined: what is open already, and looking at what a file is (stat). So no
 * descriptor can be had of what lies outside but one that is good for nothing else (O_PATH).
 *
 * A ruleset that cannot be what it should be is dropped, and then nothing is confined: a run must
 * not fail for it. */
#ifndef BULLA_BASE_LANDLOCK_H
#define BULLA_BASE_LANDLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* struct ruleset: to be made by landlock_new. */
struct ruleset {
    int fd;           /* -1: the kernel has no Landlock, or the ruleset was dropped */
    uint64_t handled; /* what the kernel can refuse */
};

#define RULESET_CLEANUP __attribute__((cleanup(landlock_drop)))

enum ruleset_access {
    ALLOW_READ,       /* files and directories */
    ALLOW_READ_WRITE, /* files that are there, as a terminal */
    ALLOW_CHANGE,     /* files, and making and removing them */
    ALLOW_LINK        /* all that, and names in several such directories for one file */
};

struct ruleset landlock_new(void);

/* landlock_allow allows something to a file, or to all below a directory. A symbolic link stands
 * for what it leads to. What is not there needs no rule. */
void landlock_allow(struct ruleset *r, const char *path, enum ruleset_access access);

/* landlock_enforce confines this thread and those it starts, which takes no_new_privs; true if it
 * did. */
bool landlock_enforce(struct ruleset *r);

void landlock_drop(struct ruleset *r);

#endif
