#include "base/buffer_pool.h"

#include <sys/mman.h>

struct block {
    struct block *next;
};

void buffer_pool_init(struct buffer_pool *b, size_t size)
{
    *b = (struct buffer_pool){.lock = PTHREAD_MUTEX_INITIALIZER, .size = size};
}

static void *take_free(struct buffer_pool *b)
{
    pthread_mutex_lock(&b->lock);
    struct block *block = b->free;
    if (block != NULL)
        b->free = block->next;
    pthread_mutex_unlock(&b->lock);
    return block;
}

void *buffer_pool_take(struct buffer_pool *b)
{
    void *block = take_free(b);

    if (block != NULL)
        return block;
    block = mmap(NULL, b->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return block != MAP_FAILED ? block : NULL;
}

void buffer_pool_give(struct buffer_pool *b, void *block)
{
    struct block *given = block;

    if (given == NULL)
        return;
    pthread_mutex_lock(&b->lock);
    given->next = b->free;
    b->free = given;
    pthread_mutex_unlock(&b->lock);
}

void buffer_pool_free(struct buffer_pool *b)
{
    for (void *block = take_free(b); block != NULL; block = take_free(b))
        munmap(block, b->size);
}
