#include "keystore/keyring/secret_json.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/host.h"
#include "base/json_text.h"

/* What jansson needs, and to spare: for its copies of the text, and for each value. */
#define ROOM(size, values) (8 * (size_t)(size) + 272 * (size_t)(values) + 65536)

/* Of each thread: a keyring may be read again while other threads make or parse JSON. */
static _Thread_local struct secret arena __attribute__((tls_model("initial-exec")));
static _Thread_local size_t used __attribute__((tls_model("initial-exec")));

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of the two */
static json_malloc_t malloc_before = malloc;             /* what is outside of an arena */
static json_free_t free_before = free;

static void *take(size_t size)
{
    size_t rounded = (size + 15) & ~(size_t)15;

    if (arena.bytes == NULL)
        return malloc_before(size);
    if (rounded < size || rounded > arena.size - used)
        return NULL;
    used += rounded;
    return arena.bytes + used - rounded;
}

static bool in_arena(const void *bytes)
{
    uintptr_t from = (uintptr_t)arena.bytes, at = (uintptr_t)bytes;

    return arena.bytes != NULL && at >= from && at < from + arena.size;
}

/* The arena is freed as a whole. */
static void leave(void *bytes)
{
    if (!in_arena(bytes))
        free_before(bytes);
}

/* Once, before threads run; again only after another store set allocators of its own, which are
 * then used outside of arenas. All of them may free what others of them gave. */
static void install(void)
{
    json_malloc_t now;
    json_free_t free_now;

    pthread_mutex_lock(&lock);
    json_get_alloc_funcs(&now, &free_now);
    if (now != take) {
        malloc_before = now;
        free_before = free_now;
        json_set_alloc_funcs(take, leave);
    }
    pthread_mutex_unlock(&lock);
}

struct result secret_json_begin(size_t size, size_t values, struct err *err)
{
    json_object_seed(0);
    if (!host_is_program())
        return OK;
    install();
    used = 0;
    return secret_new(&arena, (ROOM(size, values) + 15) & ~(size_t)15, err);
}

void secret_json_end(void)
{
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

struct result secret_json_read(json_t **json, const void *text, size_t size, struct err *err)
{
    return secret_json_begin(size, values_at_most(text, size), err).ok
               ? json_text_read(json, text, size, err)
               : FAIL;
}

void secret_json_drop(json_t **json)
{
    json_text_drop(json);
    secret_json_end();
}
