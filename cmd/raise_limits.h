/* raise_limits: the most that the system lets this process have (getrlimit(2)). */
#ifndef BULLA_CMD_RAISE_LIMITS_H
#define BULLA_CMD_RAISE_LIMITS_H

/* raise_limits makes the most of the limits of the process, once, before any thread starts. It
 * raises what may be raised: the number of descriptors, but not above what fits into a set of
 * select(2), which libraries may use, and the memory that may be locked. Threads, those of
 * libraries too, get a stack of one size, which is otherwise that of the first thread (ulimit -s).
 * Where address space is limited, they share one heap: each further one would take 64 MiB. */
void raise_limits(void);

#endif
