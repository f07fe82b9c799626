/* process_limits: the limits of this process (getrlimit(2)), and how much of them is left. */
#ifndef BULLA_BASE_PROCESS_LIMITS_H
#define BULLA_BASE_PROCESS_LIMITS_H

#include <stdbool.h>
#include <stddef.h>

#define PROCESS_LIMITS_DESCRIPTORS_MAX 1024           /* FD_SETSIZE */
#define PROCESS_LIMITS_THREAD_STACK ((size_t)2 << 20) /* bytes */

/* process_limits_descriptors is the number of descriptors that may be open at once, 1024 at most.
 */
unsigned process_limits_descriptors(void);

/* process_limits_descriptors_left is how many more descriptors may be opened now. */
unsigned process_limits_descriptors_left(void);

/* process_limits_memory_fits is true if so many bytes can be mapped now. */
bool process_limits_memory_fits(size_t bytes);

#endif
