/* failing: makes allocations fail, by LD_PRELOAD.
 *
 * Allocations are counted from 1, of all threads together. Those from FAILING_FIRST to FAILING_LAST
 * fail, and FAILING_REPORT gets the number of the first that did. With none given, it gets a line
 * for each: its number, and whether OpenSSL asked for it. Children are left alone. mmap counts
 * where the program or a library calls it; what the C library maps for itself does not come here.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

#define NOTED 65536

static atomic_ullong count, first, last;
static atomic_bool reported;
static bool recording;
static int where; /* the report, far from the descriptors that the program gets */
static char by_openssl[NOTED];

/* OpenSSL asks by the functions that the program gave it, which ask here. */
typedef void *take_fn(size_t size, const char *file, int line);
typedef void *resize_fn(void *bytes, size_t size, const char *file, int line);
typedef void leave_fn(void *bytes, const char *file, int line);
static take_fn *take_for_openssl;
static resize_fn *resize_for_openssl;
static __thread bool openssl_asks;

static void report(const char *text, size_t size)
{
    int before = errno;

    if (write(where, text, size) != (ssize_t)size)
        _exit(125);
    errno = before;
}

static void *take(size_t size, const char *file, int line)
{
    openssl_asks = true;
    void *made = take_for_openssl(size, file, line);
    openssl_asks = false;
    return made;
}

static void *resize(void *bytes, size_t size, const char *file, int line)
{
    openssl_asks = true;
    void *made = resize_for_openssl(bytes, size, file, line);
    openssl_asks = false;
    return made;
}

int CRYPTO_set_mem_functions(take_fn *taker, resize_fn *resizer, leave_fn *leaver)
{
    int (*set)(take_fn *, resize_fn *, leave_fn *) = dlsym(RTLD_NEXT, "CRYPTO_set_mem_functions");

    take_for_openssl = taker;
    resize_for_openssl = resizer;
    return set(take, resize, leaver);
}

static bool fails(void)
{
    unsigned long long n = ++count;
    char line[32];

    if (recording && n < NOTED)
        by_openssl[n] = openssl_asks;
    if (n < first || n > last)
        return false;
    if (!atomic_exchange(&reported, true))
        report(line, (size_t)snprintf(line, sizeof line, "%llu\n", n));
    errno = ENOMEM;
    return true;
}

__attribute__((constructor)) static void begin(void)
{
    const char *from = getenv("FAILING_FIRST"), *to = getenv("FAILING_LAST");
    const char *path = getenv("FAILING_REPORT");
    int fd = path != NULL ? open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;

    /* Opened now: later the program may have shut itself out. */
    where = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 500);
    if (where < 0)
        _exit(125);
    close(fd);
    unsetenv("LD_PRELOAD");
    recording = from == NULL || to == NULL;
    first = recording ? 1 : strtoull(from, NULL, 10);
    last = recording ? 0 : strtoull(to, NULL, 10);
    count = 0;
}

__attribute__((destructor)) static void end(void)
{
    char line[32];

    for (unsigned long long n = 1; recording && n <= count && n < NOTED; n++)
        report(line, (size_t)snprintf(line, sizeof line, "%llu %d\n", n, by_openssl[n]));
}

void *malloc(size_t size)
{
    return fails() ? NULL : __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
    return fails() ? NULL : __libc_calloc(n, size);
}

void *realloc(void *old, size_t size)
{
    return fails() ? NULL : __libc_realloc(old, size);
}

void *memalign(size_t alignment, size_t size)
{
    return fails() ? NULL : __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return fails() ? NULL : __libc_memalign(alignment, size);
}

int posix_memalign(void **out, size_t alignment, size_t size)
{
    void *made = fails() ? NULL : __libc_memalign(alignment, size);

    if (made == NULL)
        return ENOMEM;
    *out = made;
    return 0;
}

void *mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset)
{
    return fails() ? MAP_FAILED
                   : (void *)syscall(SYS_mmap, at, size, protection, flags, fd, offset);
}
