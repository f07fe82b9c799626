#include "keystore/descriptor_key.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/host.h"
#include "base/stream.h"

#define FIRST_ROOM 4096 /* bytes */

/* struct given: what came by one descriptor. */
struct given {
    struct given *next;
    const struct host *host;
    int fd;
    struct secret text; /* with a zero after it */
    size_t size;
    struct stat file;
    struct err why; /* if there is no text */
};

static struct given *all;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static struct result check(int fd, struct stat *file, struct err *err)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags < 0 || (flags & O_ACCMODE) == O_WRONLY || fstat(fd, file) != 0) {
        (void)fail(err, ERR_USAGE, "descriptor %d is not open for reading", fd);
        return fail_hint_option(err, "open it where bulla is started: -k fd:%d %d<FILE", fd, fd);
    }
    if (S_ISREG(file->st_mode) || S_ISFIFO(file->st_mode) || S_ISSOCK(file->st_mode))
        return OK;
    (void)fail(err, ERR_USAGE, "descriptor %d is neither a file nor a pipe", fd);
    return fail_hint_option(err, "a key comes from a file or a pipe: -k fd:%d %d<FILE", fd, fd);
}

/* Gives a text more room, and one byte besides. */
static struct result grow(struct secret *text, size_t size, size_t room, struct err *err)
{
    struct secret larger SECRET_CLEANUP = {0};

    if (!secret_new(&larger, room + 1, err).ok)
        return FAIL;
    if (size > 0)
        memcpy(larger.bytes, text->bytes, size);
    secret_free(text);
    *text = TAKE(larger);
    return OK;
}

/* Reads to the end. In a container little memory may be locked, so no more is taken than needed. */
static struct result read_text(struct given *g, struct source *source, struct err *err)
{
    struct secret text SECRET_CLEANUP = {0};
    size_t size = 0, room, got;

    for (room = FIRST_ROOM; size < DESCRIPTOR_KEY_MAX + 1; room *= 2) {
        room = room < DESCRIPTOR_KEY_MAX + 1 ? room : DESCRIPTOR_KEY_MAX + 1;
        if (!grow(&text, size, room, err).ok ||
            !source_read(source, text.bytes + size, room - size, &got, err).ok)
            return FAIL;
        size += got;
        if (size < room)
            break;
    }
    text.bytes[size] = 0;
    g->text = TAKE(text);
    g->size = size;
    return OK;
}

static struct result read_all(struct given *g, struct err *err)
{
    char name[32];
    struct source source = {.fd = g->fd, .name = name};

    snprintf(name, sizeof name, "descriptor %d", g->fd);
    if (!check(g->fd, &g->file, err).ok || !read_text(g, &source, err).ok)
        return FAIL;
    if (g->size > 0)
        return OK;
    secret_free(&g->text);
    (void)fail(err, ERR_FOREIGN, "no key came through %s: it is empty", name);
    return fail_hint(err, "see whether the program that should write the key failed");
}

/* The one of a descriptor; NULL if memory is out. */
static struct given *find(int fd)
{
    struct given *g = all;

    while (g != NULL && (g->host != host_current() || g->fd != fd))
        g = g->next;
    if (g != NULL || (g = calloc(1, sizeof *g)) == NULL)
        return g;
    g->host = host_current();
    g->fd = fd;
    g->next = all;
    all = g;
    (void)!read_all(g, &g->why).ok; /* it has no text then */
    return g;
}

struct result descriptor_key_read(struct secret *text, size_t *size, struct stat *file, int fd,
                                  struct err *err)
{
    pthread_mutex_lock(&lock);
    struct given *g = find(fd);
    pthread_mutex_unlock(&lock);
    if (g == NULL)
        return fail_memory(err);
    if (g->text.bytes == NULL) {
        *err = g->why;
        return FAIL;
    }
    if (!secret_copy(text, g->text.bytes, g->size + 1, err).ok)
        return FAIL;
    *size = g->size;
    *file = g->file;
    return OK;
}

void descriptor_key_forget(void)
{
    struct given **at = &all, *g;

    pthread_mutex_lock(&lock);
    while ((g = *at) != NULL) {
        if (g->host != host_current()) {
            at = &g->next;
            continue;
        }
        *at = g->next;
        secret_free(&g->text);
        free(g);
    }
    pthread_mutex_unlock(&lock);
}
