/* seccomp: takes system calls away from the process (seccomp(2)).
 *
 * Refused is what no run over files has a use for: other programs, the network, other processes,
 * memory and queues shared with them, the kernel's settings, attributes of files by their names.
 * What results need is refused where there are none. A filter cannot see of which file a descriptor
 * is: there, it goes by what else is asked for. Of ioctl, only what terminals know is left. It is a
 * list of what is refused, not of what is allowed: the C library of another year may do what it
 * does by calls that we do not know, and the run that it would break may be a restore. For the same
 * reason a refused call fails with EPERM, and nothing is killed.
 *
 * By hand and not by libseccomp, which each start of the program would have to load: a filter of
 * this shape is one comparison for each refused call. */
#ifndef BULLA_BASE_SECCOMP_H
#define BULLA_BASE_SECCOMP_H

#include <stdbool.h>

/* What a run does to the files that it opened. */
enum seccomp_use {
    SECCOMP_LOOK, /* nothing */
    SECCOMP_MAKE, /* sets their times and permissions, of which none is for more than to read, write
                     and run them */
    SECCOMP_GIVE  /* sets their owner and group, too */
};

/* seccomp_known is true if there is a filter for this kind of machine. */
bool seccomp_known(void);

/* seccomp_refuse takes them from this thread and those it starts, for ever, which takes
 * no_new_privs; true if it did. */
bool seccomp_refuse(enum seccomp_use use);

#endif
