#include "crypto/openssl_memory.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "base/host.h"
#include "base/secret.h"

static _Thread_local bool guarded __attribute__((tls_model("initial-exec")));
static _Thread_local bool starved
    __attribute__((tls_model("initial-exec"))); /* starved: it did not get what it asked for */

static void *told(void *bytes)
{
    starved = starved || bytes == NULL;
    return bytes;
}

/* As OpenSSL's own: nothing for 0 bytes. */
static void *take(size_t size, const char *file, int line)
{
    (void)file, (void)line;
    if (size == 0)
        return NULL;
    void *bytes = guarded ? secret_cell(size) : NULL;
    return bytes != NULL ? bytes : told(malloc(size));
}

static void leave(void *bytes, const char *file, int line)
{
    (void)file, (void)line;
    if (!secret_cell_free(bytes))
        free(bytes);
}

static void *resize(void *bytes, size_t size, const char *file, int line)
{
    size_t had = secret_cell_size(bytes);

    if (bytes == NULL)
        return take(size, file, line);
    if (size == 0) {
        leave(bytes, file, line);
        return NULL;
    }
    if (had == 0)
        return told(realloc(bytes, size));
    if (size <= had)
        return bytes;
    void *more = take(size, file, line);
    if (more != NULL) {
        memcpy(more, bytes, had);
        leave(bytes, file, line);
    }
    return more;
}

void openssl_memory_init(void)
{
    if (host_is_program())
        (void)CRYPTO_set_mem_functions(take, resize, leave);
}

void openssl_memory_begin(void)
{
    guarded = true;
}

void openssl_memory_end(void)
{
    guarded = false;
}

struct result openssl_failed(struct err *err, const char *what)
{
    bool memory = starved;

    starved = false;
    return fail(err, ERR_FAILED, "%s", memory ? "out of memory" : what);
}
