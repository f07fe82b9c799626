#include "base/secret.h"

#include <errno.h>
#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

/* The two sizes of cells, in bytes, and how many fit into a page. The first is for small secrets,
 * the second for what libraries derive from keys. */
static const struct cells {
    size_t size;
    unsigned count;
} small = {128, 32}, large = {SECRET_CELL_MAX, 8};

static atomic_bool unlocked;

/* struct page: the cells of a page; those in use have their bit set. Pages are kept until the end
 * of the process. */
struct page {
    const struct cells *kind;
    uint8_t *cells;
    uint32_t used;
    struct page *next;
};

static struct page *pages;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of the pages */

/* All pages lie between these. Most pointers that are asked about do not, and need no lock then. */
static atomic_uintptr_t lowest = UINTPTR_MAX, highest;

struct result secret_init(struct err *err)
{
    if (sodium_init() < 0)
        return fail(err, ERR_FAILED, "cannot initialise libsodium");
    return OK;
}

void secret_last_resort(void (*last_resort)(void))
{
    (void)sodium_set_misuse_handler(last_resort);
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

static uint32_t all_used(const struct cells *kind)
{
    return UINT32_MAX >> (32 - kind->count);
}

static struct page *page_with_room(const struct cells *kind)
{
    struct page *page = pages;

    while (page != NULL && (page->kind != kind || page->used == all_used(kind)))
        page = page->next;
    if (page != NULL)
        return page;
    page = malloc(sizeof *page);
    if (page == NULL)
        return NULL;
    *page = (struct page){kind, protected_memory(kind->size * kind->count), 0, pages};
    if (page->cells == NULL) {
        free(page);
        return NULL;
    }
    uintptr_t from = (uintptr_t)page->cells, to = from + kind->size * kind->count;
    if (from < atomic_load(&lowest))
        atomic_store(&lowest, from);
    if (to > atomic_load(&highest))
        atomic_store(&highest, to);
    pages = page;
    return page;
}

static uint8_t *cell_new(const struct cells *kind)
{
    uint8_t *cell = NULL;

    pthread_mutex_lock(&lock);
    struct page *page = page_with_room(kind);
    if (page != NULL) {
        unsigned i = (unsigned)__builtin_ctz(~page->used);
        page->used |= UINT32_C(1) << i;
        cell = page->cells + i * kind->size;
    }
    pthread_mutex_unlock(&lock);
    return cell;
}

/* The page that a cell is in; NULL if the bytes are not a cell. With the lock held. */
static struct page *page_of(const uint8_t *bytes)
{
    struct page *page = pages;

    while (page != NULL &&
           (uintptr_t)bytes - (uintptr_t)page->cells >= page->kind->size * page->kind->count)
        page = page->next;
    return page;
}

static bool may_be_cell(const void *bytes)
{
    return (uintptr_t)bytes >= atomic_load(&lowest) && (uintptr_t)bytes < atomic_load(&highest);
}

void *secret_cell(size_t size)
{
    return size <= small.size ? cell_new(&small) : size <= large.size ? cell_new(&large) : NULL;
}

size_t secret_cell_size(const void *bytes)
{
    if (!may_be_cell(bytes))
        return 0;
    pthread_mutex_lock(&lock);
    const struct page *page = page_of(bytes);
    size_t size = page != NULL ? page->kind->size : 0;
    pthread_mutex_unlock(&lock);
    return size;
}

bool secret_cell_free(void *bytes)
{
    if (!may_be_cell(bytes))
        return false;
    pthread_mutex_lock(&lock);
    struct page *page = page_of(bytes);
    if (page != NULL) {
        size_t size = page->kind->size;
        sodium_memzero(bytes, size);
        page->used &= ~(UINT32_C(1) << (size_t)((uint8_t *)bytes - page->cells) / size);
    }
    pthread_mutex_unlock(&lock);
    return page != NULL;
}

struct result secret_new(struct secret *s, size_t size, struct err *err)
{
    uint8_t *bytes = size <= small.size ? cell_new(&small) : protected_memory(size);

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
    *s = TAKE(fresh);
    return OK;
}

void secret_free(struct secret *s)
{
    if (s->bytes != NULL && !secret_cell_free(s->bytes))
        sodium_free(s->bytes);
    *s = (struct secret){0};
}

struct view secret_view(const struct secret *s)
{
    return (struct view){s->bytes, s->size};
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
