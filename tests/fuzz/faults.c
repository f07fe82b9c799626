/* faults: the n-th allocation or read of an input fails (replay.c, with --faults). The linker puts
 * these in the place of the functions (--wrap); OpenSSL allocates here too. */
#include <errno.h>
#include <jansson.h>
#include <openssl/crypto.h>
#include <stdarg.h>

#include "tests/fuzz/faults.h"
#include "tests/fuzz/fuzz.h"

#define REAL_AND_WRAP(type, name, parameters)                                                      \
    type __real_##name parameters;                                                                 \
    type __wrap_##name parameters;

REAL_AND_WRAP(void *, malloc, (size_t size))
REAL_AND_WRAP(void *, calloc, (size_t count, size_t size))
REAL_AND_WRAP(void *, realloc, (void *old, size_t size))
REAL_AND_WRAP(void *, reallocarray, (void *old, size_t count, size_t size))
REAL_AND_WRAP(char *, strdup, (const char *text))
REAL_AND_WRAP(char *, strndup, (const char *text, size_t size))
REAL_AND_WRAP(void *, sodium_malloc, (size_t size))
REAL_AND_WRAP(struct result, secret_new, (struct secret * s, size_t size, struct err *err))
REAL_AND_WRAP(struct result, secret_copy,
              (struct secret * s, const void *bytes, size_t size, struct err *err))
REAL_AND_WRAP(json_t *, json_loadb,
              (const char *text, size_t size, size_t flags, json_error_t *error))
REAL_AND_WRAP(ssize_t, read, (int fd, void *out, size_t size))
REAL_AND_WRAP(ssize_t, pread64, (int fd, void *out, size_t size, off_t at))
__attribute__((format(printf, 2, 3))) int __wrap_asprintf(char **out, const char *format, ...);

static size_t left;

void faults_set(size_t n)
{
    left = n;
}

bool faults_reached(void)
{
    return left == 0;
}

static bool fails(void)
{
    if (left == 0 || --left > 0)
        return false;
    fuzz_fault = true;
    errno = ENOMEM;
    return true;
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return fails() ? NULL : __real_realloc(old, size);
}

void *__wrap_reallocarray(void *old, size_t count, size_t size)
{
    return fails() ? NULL : __real_reallocarray(old, count, size);
}

char *__wrap_strdup(const char *text)
{
    return fails() ? NULL : __real_strdup(text);
}

char *__wrap_strndup(const char *text, size_t size)
{
    return fails() ? NULL : __real_strndup(text, size);
}

void *__wrap_sodium_malloc(size_t size)
{
    return fails() ? NULL : __real_sodium_malloc(size);
}

/* Small secrets share pages, so that few of them ask sodium_malloc(). */
struct result __wrap_secret_new(struct secret *s, size_t size, struct err *err)
{
    return fails() ? fail_errno(err, "no secret") : __real_secret_new(s, size, err);
}

struct result __wrap_secret_copy(struct secret *s, const void *bytes, size_t size, struct err *err)
{
    return fails() ? fail_errno(err, "no secret") : __real_secret_copy(s, bytes, size, err);
}

ssize_t __wrap_read(int fd, void *out, size_t size)
{
    return fails() ? -1 : __real_read(fd, out, size);
}

ssize_t __wrap_pread64(int fd, void *out, size_t size, off_t at)
{
    return fails() ? -1 : __real_pread64(fd, out, size, at);
}

__attribute__((format(printf, 2, 3))) int __wrap_asprintf(char **out, const char *format, ...)
{
    va_list ap;

    if (fails())
        return -1;
    va_start(ap, format);
    int size = vasprintf(out, format, ap);
    va_end(ap);
    return size;
}

static void *openssl_malloc(size_t size, const char *file, int line)
{
    (void)file, (void)line;
    return fails() ? NULL : __real_malloc(size);
}

static void *openssl_realloc(void *old, size_t size, const char *file, int line)
{
    (void)file, (void)line;
    return fails() ? NULL : __real_realloc(old, size);
}

static void openssl_free(void *bytes, const char *file, int line)
{
    (void)file, (void)line;
    free(bytes);
}

void faults_init(void)
{
    HOLDS(CRYPTO_set_mem_functions(openssl_malloc, openssl_realloc, openssl_free) == 1);
}

/* All memory is there for jansson's reader: without, version 2.14 may read beyond its own text
 * (akheron/jansson issue 362). */
json_t *__wrap_json_loadb(const char *text, size_t size, size_t flags, json_error_t *error)
{
    size_t kept = left;

    left = 0;
    json_t *json = __real_json_loadb(text, size, flags, error);
    left = kept;
    return json;
}
