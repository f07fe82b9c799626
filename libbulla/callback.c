#include "libbulla/callback.h"

#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include "base/place.h"

struct result struct_take(void *copy, size_t room, const void *given, const char *what,
                          struct err *err)
{
    size_t size = room;

    memset(copy, 0, room);
    if (given == NULL)
        return OK;
    memcpy(&size, given, sizeof size);
    if (size <= sizeof size)
        return fail(err, ERR_USAGE, "the size of %s is not set", what);
    memcpy(copy, given, size < room ? size : room);
    for (size_t i = room; i < size; i++)
        if (((const uint8_t *)given)[i] != 0)
            return fail(err, ERR_UNSUPPORTED, "%s sets what this version of libbulla does not know",
                        what);
    return OK;
}

void struct_give(void *taken, const void *made, size_t size)
{
    size_t room = 0;

    if (taken == NULL)
        return;
    memcpy(&room, taken, sizeof room);
    size = room < size ? room : size;
    if (size > sizeof room)
        memcpy((char *)taken + sizeof room, (const char *)made + sizeof room, size - sizeof room);
}

enum err_class callback_class(int status)
{
    static const enum err_class classes[] = {
        ERR_FAILED, ERR_USAGE,   ERR_DAMAGED, ERR_NO_KEY,  ERR_STORE,       ERR_POLICY,
        ERR_EXISTS, ERR_MISSING, ERR_FOREIGN, ERR_PARTIAL, ERR_UNSUPPORTED, ERR_INTERRUPTED};

    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
        if ((int)classes[i] == status)
            return classes[i];
    return ERR_FAILED;
}

static struct result read_input(void *arg, void *buf, size_t size, size_t *got, struct err *err)
{
    const struct callback_source *s = arg;

    *got = 0;
    int status = s->input.read(s->input.arg, buf, size, got);
    return status == BULLA_DONE && *got <= size
               ? OK
               : callback_failed(status, err, "cannot read '%s'", s->source.name);
}

struct result callback_source_open(struct callback_source *s, const struct bulla_input *input,
                                   struct err *err)
{
    if (input == NULL)
        return fail(err, ERR_USAGE, "no input is given");
    if (!struct_take(&s->input, sizeof s->input, input, "an input", err).ok)
        return FAIL;
    s->source =
        (struct source){.fd = s->input.fd, .name = s->input.name != NULL ? s->input.name : "input"};
    if (s->input.read != NULL) {
        s->source.fd = -1;
        s->source.read = read_input;
        s->source.read_arg = s;
    } else if (s->input.fd < 0) {
        return fail(err, ERR_USAGE, "an input has neither a callback nor a descriptor");
    }
    return OK;
}

static struct result write_output(struct sink *self, const void *bytes, size_t size,
                                  struct err *err)
{
    const struct callback_sink *s = (const struct callback_sink *)self;

    if (stream_interrupted())
        return fail(err, ERR_INTERRUPTED, "interrupted");
    int status = s->output.write(s->output.arg, bytes, size);
    return status == BULLA_DONE ? OK
                                : callback_failed(status, err, "cannot write '%s'", s->outlet.name);
}

/* Whether it is a file that must not be written over. */
static struct result check_other(const struct callback_sink *s, const struct source *source,
                                 const struct session *session, struct err *err)
{
    struct stat out, in;

    if (s->output.write != NULL || fstat(s->output.fd, &out) != 0 || !S_ISREG(out.st_mode))
        return OK;
    if (source->fd >= 0 && fstat(source->fd, &in) == 0 && file_same(&out, &in))
        return fail(err, ERR_FAILED, "'%s' is the file that is read", s->outlet.name);
    if (keyset_lives_in(&session->keys, &out))
        return fail(err, ERR_FAILED, "'%s' is the keyring that is used", s->outlet.name);
    return OK;
}

struct result callback_sink_open(struct callback_sink *s, const struct bulla_output *output,
                                 const struct callback_source *source,
                                 const struct session *session, struct err *err)
{
    if (output == NULL)
        return fail(err, ERR_USAGE, "no output is given");
    if (!struct_take(&s->output, sizeof s->output, output, "an output", err).ok)
        return FAIL;
    const char *name = s->output.name != NULL ? s->output.name : "output";
    s->sink = (struct sink){.write = write_output};
    s->fd = fd_sink(s->output.fd, name);
    s->outlet = (struct outlet){s->output.write != NULL ? &s->sink : &s->fd.sink, -1, name};
    return s->output.write != NULL || s->output.fd >= 0
               ? check_other(s, &source->source, session, err)
               : fail(err, ERR_USAGE, "an output has neither a callback nor a descriptor");
}
