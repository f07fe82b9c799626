/* buffer_pool: large buffers of one size, which threads use again and again.
 *
 * They are mapped, not taken from the heap: what threads free there stays with the process. */
#ifndef BULLA_BASE_BUFFER_POOL_H
#define BULLA_BASE_BUFFER_POOL_H

#include <pthread.h>
#include <stddef.h>

#define BUFFERS_KEPT 8 /* at most, that nobody uses: more are given back after many at once */

/* struct buffer_pool: those that nobody uses now. */
struct buffer_pool {
    pthread_mutex_t lock;
    size_t size; /* bytes of each */
    void *free;  /* the first; each begins with a pointer to the next */
    size_t count;
};

/* buffer_pool_init makes *b empty; size is at least that of a pointer. */
void buffer_pool_init(struct buffer_pool *b, size_t size);

/* buffer_pool_take gives a block to the caller; NULL if there is no memory. What it holds is not
 * zero.
 */
void *buffer_pool_take(struct buffer_pool *b);

/* buffer_pool_give takes it back, wiped of secrets by the caller; NULL does nothing. */
void buffer_pool_give(struct buffer_pool *b, void *block);

/* buffer_pool_free frees those that were given back. */
void buffer_pool_free(struct buffer_pool *b);

#endif
