/* threads: how many threads there may be, and how they are started so that a signal can wake them.
 */
#ifndef BULLA_BASE_THREADS_H
#define BULLA_BASE_THREADS_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/buffer_pool.h"
#include "base/err.h"

#define THREADS_MAX 64

/* threads_allowed is the number of CPUs this process may run on, at most THREADS_MAX. */
unsigned threads_allowed(void);

/* threads_that_fit is how many of so many threads the limits of this process leave room for, at
 * least 1, where each works on a file of its own with so many bytes of memory besides its stack.
 * Half of the descriptors are left to a walk, or all that the deepest one takes. */
unsigned threads_that_fit(unsigned threads, size_t memory);

/* struct crew: how many more threads may work, and the blocks of memory that they work in. A thread
 * that works without asking makes spare negative, until another leaves. */
struct crew {
    atomic_int spare;
    struct buffer_pool blocks;
};

/* crew_init makes a crew of so many threads, with blocks of so many bytes. */
void crew_init(struct crew *crew, unsigned threads, size_t block_size);
void crew_free(struct crew *crew);

/* crew_take takes one thread out of the crew, if there is one to spare; crew_give puts it back. */
bool crew_take(struct crew *crew);
void crew_join(struct crew *crew); /* takes one in any case */
void crew_give(struct crew *crew);

/* crew_leave puts the calling thread back if more threads work than may, and is true then. */
bool crew_leave(struct crew *crew);

/* thread_start starts run(arg); the caller joins it by pthread_join. */
FALLIBLE thread_start(pthread_t *thread, void *(*run)(void *arg), void *arg, struct err *err);

/* threads_wake lets every system call that the first thread, or one of thread_start, is blocked in
 * return with EINTR, given that THREADS_WAKE_SIGNAL has a handler; safe in a signal handler. */
void threads_wake(void);
#define THREADS_WAKE_SIGNAL SIGURG

#endif
