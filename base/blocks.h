/* blocks: large buffers of one size, which threads use again and again.
 *
 * They are mapped, not taken from the heap: what threads free there stays with the process. */
#ifndef BULLA_BASE_BLOCKS_H
#define BULLA_BASE_BLOCKS_H

#include <pthread.h>
#include <stddef.h>

/* struct blocks: those that nobody uses now. */
struct blocks {
    pthread_mutex_t lock;
    size_t size; /* bytes of each */
    void *free;  /* the first; each begins with a pointer to the next */
};

/* blocks_init makes *b empty; size is at least that of a pointer. */
void blocks_init(struct blocks *b, size_t size);

/* blocks_take gives a block to the caller; NULL if there is no memory. What it holds is not zero.
 */
void *blocks_take(struct blocks *b);

/* blocks_give takes it back, wiped of secrets by the caller; NULL does nothing. */
void blocks_give(struct blocks *b, void *block);

/* blocks_free frees those that were given back. */
void blocks_free(struct blocks *b);

#endif
