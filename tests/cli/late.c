/* A signal that comes at the worst time: LATE names a function that is sent SIGTERM each time it
 * begins, on its own thread. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void late(const char *name)
{
    const char *wanted = getenv("LATE");

    if (wanted != NULL && strcmp(wanted, name) == 0)
        raise(SIGTERM);
}

ssize_t read(int fd, void *buf, size_t size)
{
    static ssize_t (*real)(int, void *, size_t);

    if (real == NULL)
        *(void **)&real = dlsym(RTLD_NEXT, "read");
    if (fd == STDIN_FILENO)
        late("read");
    return real(fd, buf, size);
}

/* Derives nothing, and fast. */
int crypto_pwhash(unsigned char *out, unsigned long long size, const char *text,
                  unsigned long long text_size, const unsigned char *salt,
                  unsigned long long passes, size_t memory, int algorithm)
{
    (void)text, (void)text_size, (void)salt, (void)passes, (void)memory, (void)algorithm;
    late("crypto_pwhash");
    memset(out, 0, (size_t)size);
    return 0;
}
