#include "keystore/keyring/secret_json.h"

#include <jansson.h>

static struct secret arena;
static size_t used;
static json_malloc_t malloc_before; /* what others use */
static json_free_t free_before;

static void *take(size_t size)
{
    size_t rounded = (size + 15) & ~(size_t)15;

    if (rounded < size || rounded > arena.size - used)
        return NULL;
    used += rounded;
    return arena.bytes + used - rounded;
}

/* The arena is freed as a whole. */
static void leave(void *bytes)
{
    (void)bytes;
}

struct result secret_json_begin(size_t room, struct err *err)
{
    json_object_seed(0);
    if (!secret_new(&arena, (room + 15) & ~(size_t)15, err).ok)
        return FAIL;
    used = 0;
    json_get_alloc_funcs(&malloc_before, &free_before);
    json_set_alloc_funcs(take, leave);
    return OK;
}

void secret_json_end(void)
{
    json_set_alloc_funcs(malloc_before, free_before);
    secret_free(&arena);
}
