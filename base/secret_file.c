#include "base/secret_file.h"

#include <fcntl.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/stream.h"
#include "base/text.h"

struct result secret_read(struct secret *text, size_t *size, size_t max, int fd, const char *name,
                          struct err *err)
{
    struct secret all SECRET_CLEANUP = {0};
    struct source source = {.fd = fd, .name = name};

    if (!secret_new(&all, max + 2, err).ok ||
        !source_read(&source, all.bytes, max + 1, size, err).ok)
        return FAIL;
    all.bytes[*size] = 0;
    *text = secret_take(&all);
    return OK;
}

struct result secret_read_line(struct secret *line, size_t max, const char *path, struct err *err)
{
    struct secret all SECRET_CLEANUP = {0};
    int fd FD_CLEANUP = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    size_t size;

    if (fd < 0)
        return fail_errno(err, "cannot open '%s'", path);
    if (!secret_read(&all, &size, max, fd, path, err).ok)
        return FAIL;
    if (size > max)
        return fail(err, ERR_USAGE, "'%s' is longer than %zu bytes", path, max);
    all.bytes[strcspn((const char *)all.bytes, "\r\n")] = '\0';
    *line = secret_take(&all);
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

struct result secret_read_typed(struct secret *out, int fd, const char *name, const char *noun,
                                const char *from, struct err *err)
{
    struct secret all SECRET_CLEANUP = {0};
    size_t size;

    if (!secret_read(&all, &size, SECRET_TYPED_MAX + 1, fd, name, err).ok)
        return FAIL;
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
