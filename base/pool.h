/* pool: a few threads that take tasks from a short queue. */
#ifndef BULLA_BASE_POOL_H
#define BULLA_BASE_POOL_H

#include "base/err.h"

#define POOL_THREADS_MAX 64

struct pool;

/* pool_start starts threads (1 to POOL_THREADS_MAX), each of which calls run(arg, task) for one
 * task after the other. */
FALLIBLE pool_start(struct pool **out, unsigned threads, void (*run)(void *arg, void *task),
                    void *arg, struct err *err);

/* pool_add hands a task over; it waits while the queue is full. */
void pool_add(struct pool *pool, void *task);

/* pool_finish waits until every task is done, and frees the pool. NULL does nothing. */
void pool_finish(struct pool **pool);

#endif
