#include "http/wiping_allocator.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

/* Without this, the compiler would take the size that was asked for as the limit of the block. The
 * bytes beyond it may hold secrets too. */
static size_t size_of(void *bytes)
{
    void *volatile block = bytes;

    return malloc_usable_size(block);
}

void wiping_free(void *bytes)
{
    void *volatile block = bytes;

    if (bytes == NULL)
        return;
    explicit_bzero(block, size_of(bytes));
    free(bytes);
}

void *wiping_realloc(void *bytes, size_t size)
{
    void *grown = malloc(size);

    if (grown == NULL || bytes == NULL)
        return grown;
    size_t before = size_of(bytes);
    memcpy(grown, bytes, before < size ? before : size);
    wiping_free(bytes);
    return grown;
}

void wiping_text_free(char **text)
{
    wiping_free(*text);
    *text = NULL;
}
