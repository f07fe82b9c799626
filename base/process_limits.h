/* process_limits: what the system lets this process have (getrlimit(2)), and how much of it is
 * left. */
#ifndef BULLA_BASE_PROCESS_LIMITS_H
#define BULLA_BASE_PROCESS_LIMITS_H

#include <stdbool.h>
#include <stddef.h>

#define LIMITS_DESCRIPTORS_MAX 1024           /* FD_SETSIZE */
#define LIMITS_THREAD_STACK ((size_t)2 << 20) /* bytes */

/* limits_descriptors is the number of descriptors that may be open at once, 1024 at most. */
unsigned limits_descriptors(void);

/* limits_descriptors_left is how many of these are not open now. */
unsigned limits_descriptors_left(void);

/* limits_has_memory is true if so many bytes can be mapped now. */
bool limits_has_memory(size_t bytes);

#endif
