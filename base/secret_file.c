#include "base/secret_file.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/place.h"
#include "base/stream.h"
#include "base/text.h"
#include "base/trusted_file.h"

struct result secret_read(struct secret *text, size_t *size, size_t max, int fd, const char *name,
                          struct err *err)
{
    struct secret all SECRET_CLEANUP = {0};
    struct source source = {.fd = fd, .name = name};

    if (!secret_new(&all, max + 2, err).ok ||
        !source_read(&source, all.bytes, max + 1, size, err).ok)
        return FAIL;
    all.bytes[*size] = 0;
    *text = TAKE(all);
    return OK;
}

/* *size is max + 1 if there is more than max. */
static struct result read_file(const struct secret_file *f, struct secret *text, size_t *size,
                               struct stat *st, struct err *err)
{
    int fd FD_CLEANUP = f->regular ? file_open(AT_FDCWD, f->path, O_RDONLY)
                                   : open(f->path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    struct err *judged = f->doubt != NULL ? f->doubt : err;
    struct secret all SECRET_CLEANUP = {0};

    if (fd < 0 || fstat(fd, st) != 0)
        return fail_input(err, "cannot open %s '%s'", f->noun, f->path);
    bool regular = S_ISREG(st->st_mode);
    size_t most = regular && (size_t)st->st_size < f->max ? (size_t)st->st_size : f->max;
    if (f->regular && !regular)
        return fail(err, ERR_FAILED, "%s '%s' is not a regular file", f->noun, f->path);
    if (f->believed && !trusted_file(fd, f->path, f->noun, judged).ok && judged == err)
        return FAIL;
    if (!secret_read(&all, size, most, fd, f->path, err).ok) {
        err_context(err, "%s", f->noun);
        return FAIL;
    }
    if (regular && *size <= f->max && *size != (size_t)st->st_size)
        return fail(err, ERR_FAILED, "%s '%s' changed while it was read", f->noun, f->path);
    *text = TAKE(all);
    return OK;
}

struct result secret_file_read(const struct secret_file *f, struct secret *text, size_t *size,
                               struct stat *st, struct err *err)
{
    struct secret all SECRET_CLEANUP = {0};

    if (!read_file(f, &all, size, st, err).ok)
        return FAIL;
    if (*size > f->max)
        return fail(err, ERR_USAGE, "%s '%s' is longer than %zu bytes", f->noun, f->path, f->max);
    *text = TAKE(all);
    return OK;
}

struct result secret_file_line(const struct secret_file *f, struct secret *line, struct err *err)
{
    struct stat st;
    size_t size;

    if (!secret_file_read(f, line, &size, &st, err).ok)
        return FAIL;
    line->bytes[strcspn((const char *)line->bytes, "\r\n")] = '\0';
    return OK;
}

struct result secret_typed(struct secret *out, const struct secret *read, size_t size,
                           const char *noun, const char *from, struct err *err)
{
    if (size > 0 && read->bytes[size - 1] == '\n')
        size--;
    if (size == 0)
        return fail(err, ERR_USAGE, "the %s from %s is empty", noun, from);
    if (size > SECRET_TYPED_MAX)
        return fail(err, ERR_USAGE, "the %s from %s is longer than %d bytes", noun, from,
                    SECRET_TYPED_MAX);
    if (!text_is_utf8(read->bytes, size))
        return fail(err, ERR_USAGE, "the %s from %s is not UTF-8", noun, from);
    return secret_copy(out, read->bytes, size, err);
}

struct result secret_read_typed(struct secret *out, int fd, const char *noun, const char *from,
                                struct err *err)
{
    struct secret all SECRET_CLEANUP = {0};
    size_t size;

    if (!secret_read(&all, &size, SECRET_TYPED_MAX + 1, fd, from, err).ok)
        return FAIL;
    return secret_typed(out, &all, size, noun, from, err);
}

struct result secret_file_typed(struct secret *out, const char *path, const char *file_noun,
                                const char *noun, struct err *err)
{
    struct secret_file file = {
        .noun = file_noun, .path = path, .max = SECRET_TYPED_MAX + 1, .believed = true};
    struct secret all SECRET_CLEANUP = {0};
    char *from STRING_CLEANUP = NULL;
    struct stat st;
    size_t size;

    if (!read_file(&file, &all, &size, &st, err).ok)
        return FAIL;
    if (asprintf(&from, "'%s'", path) < 0)
        return fail_memory(err);
    return secret_typed(out, &all, size, noun, from, err);
}

const char *secret_oddity(const struct secret *s)
{
    static const uint8_t mark[] = {0xef, 0xbb, 0xbf};

    if (s->size >= sizeof mark && memcmp(s->bytes, mark, sizeof mark) == 0)
        return "begins with a byte order mark";
    if (memchr(s->bytes, '\n', s->size) != NULL || memchr(s->bytes, '\r', s->size) != NULL)
        return "has a line end in it";
    return NULL;
}
