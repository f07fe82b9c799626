#include "base/buffer_pool.h"

#include <stdbool.h>

#include "base/pages.h"

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
    if (block != NULL) {
        b->free = block->next;
        b->count--;
    }
    pthread_mutex_unlock(&b->lock);
    return block;
}

void *buffer_pool_take(struct buffer_pool *b)
{
    void *block = take_free(b);

    return block != NULL ? block : pages_map(b->size);
}

void buffer_pool_give(struct buffer_pool *b, void *block)
{
    struct block *given = block;

    if (given == NULL)
        return;
    pthread_mutex_lock(&b->lock);
    bool keep = b->count < BUFFERS_KEPT;
    if (keep) {
        given->next = b->free;
        b->free = given;
        b->count++;
    }
    pthread_mutex_unlock(&b->lock);
    if (!keep)
        pages_unmap(given, b->size);
}

void buffer_pool_free(struct buffer_pool *b)
{
    for (void *block = take_free(b); block != NULL; block = take_free(b))
        pages_unmap(block, b->size);
}
