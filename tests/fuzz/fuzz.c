#include "tests/fuzz/fuzz.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define PATTERN 0xa5

bool fuzz_fault;
size_t fuzz_refusals;

void fuzz_broken(const char *file, int line, const char *what)
{
    if (fuzz_fault)
        exit(0);
    fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, what);
    abort();
}

static const char *variable(void *arg, const char *name)
{
    (void)arg;
    return getenv(name);
}

const struct environment fuzz_environment = {.get = variable};

const struct crypto *fuzz_crypto(void)
{
    static struct crypto *crypto;
    struct err err;

    if (crypto == NULL)
        HOLDS(secret_init(&err).ok && crypto_new(&crypto, &err).ok);
    return crypto;
}

void fuzz_spoil(void *out, size_t size)
{
    memset(out, PATTERN, size);
}

bool fuzz_untouched(const void *out, size_t size)
{
    const uint8_t *bytes = out;

    while (size > 0 && bytes[size - 1] == PATTERN)
        size--;
    return size == 0;
}

void fuzz_refused(const struct err *err)
{
    fuzz_refusals++;
    HOLDS(err->class != ERR_NONE && err->text[0] != '\0');
    HOLDS(memchr(err->text, '\0', sizeof err->text) != NULL);
    HOLDS(memchr(err->hint, '\0', sizeof err->hint) != NULL);
}

uint8_t fuzz_byte(struct wire_reader *r)
{
    struct view v = wire_get_view(r, 1);

    return v.size == 1 ? v.bytes[0] : 0;
}

struct view fuzz_rest(struct wire_reader *r)
{
    return wire_get_view(r, r->left);
}

char *fuzz_text(struct view v)
{
    char *text = calloc(1, v.size + 1);

    HOLDS(text != NULL);
    if (v.size > 0)
        memcpy(text, v.bytes, v.size);
    return text;
}

int fuzz_file(const void *bytes, size_t size)
{
    int fd = memfd_create("fuzz", MFD_CLOEXEC);

    HOLDS(fd >= 0 && (size == 0 || write(fd, bytes, size) == (ssize_t)size));
    HOLDS(lseek(fd, 0, SEEK_SET) == 0);
    return fd;
}

const char *fuzz_path(char out[FUZZ_PATH_SIZE], int fd)
{
    snprintf(out, FUZZ_PATH_SIZE, "/proc/self/fd/%d", fd);
    return out;
}

static char directory[] = "/dev/shm/bulla-fuzz-XXXXXX";
static pid_t directory_owner;

static void remove_directory(void)
{
    static const char *const names[] = {"given", "again", "third"};

    if (getpid() != directory_owner)
        return;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        (void)unlink(names[i]);
    (void)rmdir(directory);
}

void fuzz_directory(void)
{
    static bool made;

    if (made)
        return;
    HOLDS(mkdtemp(directory) != NULL && chdir(directory) == 0);
    directory_owner = getpid();
    made = atexit(remove_directory) == 0;
}

void fuzz_write(const char *name, const void *bytes, size_t size)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    HOLDS(fd >= 0 && (size == 0 || write(fd, bytes, size) == (ssize_t)size));
    close(fd);
}

char *fuzz_read(const char *name, size_t *size)
{
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    struct stat st;

    HOLDS(fd >= 0 && fstat(fd, &st) == 0);
    *size = (size_t)st.st_size;
    char *bytes = malloc(*size + 1);
    HOLDS(bytes != NULL && read(fd, bytes, *size) == (ssize_t)*size);
    bytes[*size] = '\0';
    close(fd);
    return bytes;
}
