/* thread_pool: a few threads that take tasks from a short queue. */
#ifndef BULLA_BASE_THREAD_POOL_H
#define BULLA_BASE_THREAD_POOL_H

#include "base/threads.h"

struct thread_pool;

/* thread_pool_start starts as many of the threads (1 to THREADS_MAX) as the system lets it, each of
 * which calls run(arg, task) for one task after the other; NULL if there can be none. */
struct thread_pool *thread_pool_start(unsigned threads, void (*run)(void *arg, void *task),
                                      void *arg);

/* thread_pool_add hands a task over; it waits while the queue is full. */
void thread_pool_add(struct thread_pool *pool, void *task);

/* thread_pool_wait waits until every task is done. */
void thread_pool_wait(struct thread_pool *pool);

/* thread_pool_finish waits until every task is done, and frees the pool. NULL does nothing. */
void thread_pool_finish(struct thread_pool **pool);

#endif
