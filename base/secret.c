#include "base/secret.h"

#include <errno.h>
#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#define CELL_SIZE 128 /* bytes: what is not larger is small */
#define CELLS 32      /* in a page */

static atomic_bool unlocked;

/* struct page: the cells of a page; those in use have their bit set. Pages are kept until the end
 * of the process. */
struct page {
    uint8_t *cells;
    uint32_t used;
    struct page *next;
};

static struct page *pages;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of the pages */

struct result secret_init(struct err *err)
{
    if (sodium_init() < 0)
        return fail(err, ERR_FAILED, "cannot initialise libsodium");
    return OK;
}

static uint8_t *protected_memory(size_t size)
{
    uint8_t *bytes = sodium_malloc(size);

    /* sodium_malloc ignores a failing mlock, so ask again where the answer can be seen. */
    if (bytes != NULL && mlock(bytes, size) != 0)
        atomic_store(&unlocked, true);
    if (bytes != NULL)
        sodium_memzero(bytes, size);
    return bytes;
}

static struct page *page_with_room(void)
{
    struct page *page = pages;

    while (page != NULL && page->used == UINT32_MAX)
        page = page->next;
    if (page != NULL)
        return page;
    page = malloc(sizeof *page);
    if (page == NULL)
        return NULL;
    *page = (struct page){protected_memory(CELL_SIZE * CELLS), 0, pages};
    if (page->cells == NULL) {
        free(page);
        return NULL;
    }
    pages = page;
    return page;
}

static uint8_t *cell_new(void)
{
    uint8_t *cell = NULL;

    pthread_mutex_lock(&lock);
    struct page *page = page_with_room();
    if (page != NULL) {
        unsigned i = (unsigned)__builtin_ctz(~page->used);
        page->used |= UINT32_C(1) << i;
        cell = page->cells + i * CELL_SIZE;
    }
    pthread_mutex_unlock(&lock);
    return cell;
}

/* False if the bytes are not a cell. */
static bool cell_free(uint8_t *bytes)
{
    pthread_mutex_lock(&lock);
    struct page *page = pages;
    while (page != NULL && (uintptr_t)bytes - (uintptr_t)page->cells >= CELL_SIZE * CELLS)
        page = page->next;
    if (page != NULL) {
        sodium_memzero(bytes, CELL_SIZE);
        page->used &= ~(UINT32_C(1) << (size_t)(bytes - page->cells) / CELL_SIZE);
    }
    pthread_mutex_unlock(&lock);
    return page != NULL;
}

struct result secret_new(struct secret *s, size_t size, struct err *err)
{
    uint8_t *bytes = size <= CELL_SIZE ? cell_new() : protected_memory(size);

    if (bytes == NULL)
        return fail_errno(err, "cannot allocate %zu bytes of protected memory", size);
    *s = (struct secret){bytes, size};
    return OK;
}

struct result secret_copy(struct secret *s, const void *bytes, size_t size, struct err *err)
{
    if (!secret_new(s, size, err).ok)
        return FAIL;
    memcpy(s->bytes, bytes, size);
    return OK;
}

struct result secret_random(struct secret *s, size_t size, struct err *err)
{
    struct secret fresh SECRET_CLEANUP = {0};

    if (!secret_new(&fresh, size, err).ok || !random_bytes(fresh.bytes, size, err).ok)
        return FAIL;
    *s = secret_take(&fresh);
    return OK;
}

void secret_free(struct secret *s)
{
    if (s->bytes != NULL && !cell_free(s->bytes))
        sodium_free(s->bytes);
    *s = (struct secret){0};
}

struct secret secret_take(struct secret *s)
{
    struct secret taken = *s;

    *s = (struct secret){0};
    return taken;
}

bool secret_unlocked(void)
{
    return atomic_load(&unlocked);
}

struct result random_bytes(void *out, size_t size, struct err *err)
{
    uint8_t *at = out;

    while (size > 0) {
        ssize_t n = getrandom(at, size, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return fail_errno(err, "cannot get random bytes from the kernel");
        at += n;
        size -= (size_t)n;
    }
    return OK;
}
