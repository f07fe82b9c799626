/* pool: a few threads that take tasks from a short queue. */
#ifndef BULLA_BASE_POOL_H
#define BULLA_BASE_POOL_H

#include "base/threads.h"

struct pool;

/* pool_start starts as many of the threads (1 to THREADS_MAX) as the system lets it, each of which
 * calls run(arg, task) for one task after the other; NULL if there can be none. */
struct pool *pool_start(unsigned threads, void (*run)(void *arg, void *task), void *arg);

/* pool_add hands a task over; it waits while the queue is full. */
void pool_add(struct pool *pool, void *task);

/* pool_wait waits until every task is done. */
void pool_wait(struct pool *pool);

/* pool_finish waits until every task is done, and frees the pool. NULL does nothing. */
void pool_finish(struct pool **pool);

#endif
