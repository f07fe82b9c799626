/* seccomp: takes system calls away from the process (seccomp(2)).
 *
 * Refused is what no run over files has a use for: other programs, the network, other processes,
 * the kernel's settings, owners and permissions of files by their names. It is a list of what is
 * refused, not of what is allowed: the C library of another year may do what it does by calls that
 * we do not know, and the run that it would break may be a restore. For the same reason a refused
 * call fails with EPERM, and nothing is killed.
 *
 * By hand and not by libseccomp, which each start of the program would have to load: a filter of
 * this shape is one comparison for each refused call. */
#ifndef BULLA_BASE_SECCOMP_H
#define BULLA_BASE_SECCOMP_H

#include <stdbool.h>

/* seccomp_refuse takes them from this thread and those it starts, for ever, which takes
 * no_new_privs; true if it did. */
bool seccomp_refuse(void);

#endif
