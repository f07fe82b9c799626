#include "base/secret.h"

#include <errno.h>
#include <sodium.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/random.h>

static atomic_bool unlocked;

struct result secret_init(struct err *err)
{
    if (sodium_init() < 0)
        return fail(err, ERR_FAILED, "cannot initialise libsodium");
    return OK;
}

struct result secret_new(struct secret *s, size_t size, struct err *err)
{
    uint8_t *bytes = sodium_malloc(size);

    if (bytes == NULL)
        return fail_errno(err, "cannot allocate %zu bytes of protected memory", size);
    /* sodium_malloc ignores a failing mlock, so ask again where the answer can be seen. */
    if (mlock(bytes, size) != 0)
        atomic_store(&unlocked, true);
    sodium_memzero(bytes, size);
    *s = (struct secret){bytes, size};
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
