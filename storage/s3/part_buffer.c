#include "storage/s3/part_buffer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/pages.h"
#include "storage/s3/request.h"

#define GROWS_EVERY 1000 /* parts, where nobody knows how many there will be */
#define SPOOLED_SLOTS 2  /* one is gathered while the other is on its way */

uint64_t part_size_for(uint64_t object_size)
{
    uint64_t size = S3_PART_MIN;

    while (size < object_size / S3_PARTS_MAX + 1 && size <= S3_PART_MAX)
        size *= 2;
    return size <= S3_PART_MAX ? size : 0;
}

uint64_t part_size_next(uint64_t now, unsigned parts)
{
    bool due = parts > 0 && parts % GROWS_EVERY == 0 && 2 * now <= S3_PART_MAX;

    return due ? 2 * now : now;
}

static const char *spool_directory(const struct environment *environment)
{
    const char *given = environment_get(environment, "TMPDIR");

    return given != NULL ? given : "/var/tmp";
}

/* Not every file system has files that never had a name. */
static int open_named(const char *directory)
{
    char *path STRING_CLEANUP = NULL;

    if (asprintf(&path, "%s/bulla-XXXXXX", directory) < 0) {
        path = NULL;
        return -1;
    }
    int fd = mkostemp(path, O_CLOEXEC);
    if (fd >= 0)
        (void)unlink(path);
    return fd;
}

static struct result open_spool(struct part_buffer *b, const struct environment *environment,
                                struct err *err)
{
    const char *directory = spool_directory(environment);

    b->file = open(directory, O_TMPFILE | O_RDWR | O_EXCL | O_CLOEXEC, 0600);
    if (b->file < 0)
        b->file = open_named(directory);
    if (b->file >= 0)
        return OK;
    (void)fail_errno(err, "cannot make a temporary file in '%s'", directory);
    return fail_hint(err, "TMPDIR names another directory");
}

static struct result write_file(int fd, uint64_t at, const uint8_t *bytes, size_t size,
                                struct err *err)
{
    while (size > 0) {
        ssize_t n = pwrite(fd, bytes, size, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            (void)fail_errno(err, "cannot write to a temporary file");
            return fail_hint(
                err, "TMPDIR names another directory, with room for two parts of the upload");
        }
        at += (uint64_t)n;
        bytes += n;
        size -= (size_t)n;
    }
    return OK;
}

static void unmap_memory(struct part_buffer *b)
{
    pages_unmap(b->memory, b->room);
    b->memory = NULL;
}

struct result part_buffer_shape(struct part_buffer *b, uint64_t part_size, size_t room,
                                uint64_t kept, const struct environment *environment,
                                struct err *err)
{
    bool first = b->slots == 0, fits = part_size <= room;
    size_t slots = fits ? room / (size_t)part_size : SPOOLED_SLOTS;

    if (first)
        b->file = -1;
    if (fits && b->memory == NULL && (b->memory = pages_map(room)) == NULL)
        return fail_memory(err);
    if (!fits && b->file < 0 && !open_spool(b, environment, err).ok)
        return FAIL;
    if (!fits && b->memory != NULL) {
        if (!write_file(b->file, 0, b->memory, (size_t)kept, err).ok)
            return FAIL;
        unmap_memory(b);
    }
    b->room = room;
    b->part_size = part_size;
    b->slots = slots < PART_SLOTS_MAX ? slots : PART_SLOTS_MAX;
    return OK;
}

struct result part_buffer_put(const struct part_buffer *b, size_t slot, uint64_t at,
                              const void *bytes, size_t size, struct err *err)
{
    uint64_t from = slot * b->part_size + at;

    if (b->memory == NULL)
        return write_file(b->file, from, bytes, size, err);
    memcpy(b->memory + from, bytes, size);
    return OK;
}

struct view part_buffer_memory(const struct part_buffer *b, size_t slot, uint64_t size)
{
    return b->memory != NULL ? (struct view){b->memory + slot * b->part_size, (size_t)size}
                             : (struct view){0};
}

struct http_file part_buffer_file(const struct part_buffer *b, size_t slot, uint64_t size)
{
    return (struct http_file){b->file, slot * b->part_size, size};
}

void part_buffer_free(struct part_buffer *b)
{
    unmap_memory(b);
    if (b->slots > 0)
        fd_close(&b->file);
    *b = (struct part_buffer){0};
}
