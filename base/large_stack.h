/* large_stack: enough stack for a run, however small that of the first thread is (ulimit -s). */
#ifndef BULLA_BASE_LARGE_STACK_H
#define BULLA_BASE_LARGE_STACK_H

#include <stdbool.h>

#define LARGE_STACK_SIZE (4u << 20) /* bytes: a walk goes 256 directories deep */

/* large_stack_run calls run(arg), on memory of its own where the stack of the first thread may not
 * grow to LARGE_STACK_SIZE; *result is what run returned. False if there is no such memory, and run
 * was not called. Only the first thread calls it, once. */
bool large_stack_run(int (*run)(void *arg), void *arg, int *result);

#endif
