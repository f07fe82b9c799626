#include "keystore/keyring/secret_json.h"

#include <string.h>

/* What jansson needs, and to spare: for its copies of the text, and for each value. */
#define ROOM(size, values) (8 * (size_t)(size) + 272 * (size_t)(values) + 65536)

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

struct result secret_json_begin(size_t size, size_t values, struct err *err)
{
    json_object_seed(0);
    if (!secret_new(&arena, (ROOM(size, values) + 15) & ~(size_t)15, err).ok)
        return FAIL;
    used = 0;
    json_get_alloc_funcs(&malloc_before, &free_before);
    json_set_alloc_funcs(take, leave);
    return OK;
}

void secret_json_end(void)
{
    if (arena.bytes == NULL)
        return;
    json_set_alloc_funcs(malloc_before, free_before);
    secret_free(&arena);
}

/* Each value but the first has one of these before it. */
static size_t values_at_most(const char *text, size_t size)
{
    size_t count = 1;

    for (size_t i = 0; i < size; i++)
        count += text[i] == '[' || text[i] == '{' || text[i] == ',' || text[i] == ':';
    return count;
}

/* There is room for all that the text may be: without, jansson 2.14 drops what it reads, and goes
 * beyond the end of what it kept. Its own message may quote the text. */
struct result secret_json_read(json_t **json, const void *text, size_t size, struct err *err)
{
    json_error_t where;

    if (!secret_json_begin(size, values_at_most(text, size), err).ok)
        return FAIL;
    *json = json_loadb(text, size, JSON_REJECT_DUPLICATES, &where);
    if (*json == NULL)
        return fail(err, ERR_DAMAGED, "it is not JSON: line %d, column %d", where.line,
                    where.column);
    return OK;
}

void secret_json_drop(json_t **json)
{
    json_decref(*json);
    secret_json_end();
}
