#include "libbulla/recognize.h"

#include <string.h>
#include <unistd.h>

#include "base/text.h"

/* Whether a copy begins there. Copy B must record its own offset: otherwise an archive whose first
 * file is sealed would count as sealed. */
static bool begins_at(const struct source *s, uint64_t at, unsigned exponent)
{
    uint8_t start[ENVELOPE_MAGIC_SIZE + 4];
    struct err ignored;

    return source_read_at(s, at, start, sizeof start, &ignored).ok && envelope_begins(start) &&
           (at == 0 || (start[sizeof start - 2] == 0 && start[sizeof start - 1] == exponent));
}

/* Whether either copy of an envelope begins as it should: A, or B wherever it may be. */
static bool source_has_envelope(const struct source *s, unsigned exponent_max)
{
    bool found = begins_at(s, 0, 0);

    for (unsigned e = REGION_EXPONENT_MIN; e <= exponent_max && !found; e++)
        found = begins_at(s, UINT64_C(1) << e, e);
    return found;
}

static bool has_envelope(int fd)
{
    const struct source source = {.fd = fd, .name = ""};

    return source_has_envelope(&source, REGION_EXPONENT_MAX);
}

/* Whether the object beside it is an envelope and nothing else. */
static enum recognized recognize_beside(const struct object *o)
{
    struct object beside OBJECT_CLEANUP = {0};
    const struct sealed_place from = {.object = &beside, .alone = true};
    struct sealed f SEALED_CLEANUP = {0};
    struct session silent = {0};
    struct err why = {0};

    if (!object_beside(&beside, o, ENVELOPE_SUFFIX, &why).ok)
        return RECOGNIZED_UNKNOWN;
    if (sealed_open(&f, &silent, &from, &why).ok)
        return (uint64_t)f.st.st_size == envelope_size(&f.envelope) ? RECOGNIZED_BODY
                                                                    : RECOGNIZED_PLAIN;
    return why.class == ERR_MISSING || why.class == ERR_FOREIGN ? RECOGNIZED_PLAIN
                                                                : RECOGNIZED_UNKNOWN;
}

enum recognized recognize_object(const struct object *o, bool beside)
{
    struct object_source *remote __attribute__((cleanup(object_source_close))) = NULL;
    struct err err = {0};

    if (!object_source_open(&remote, o, &err).ok)
        return err.class == ERR_MISSING ? RECOGNIZED_GONE : RECOGNIZED_UNKNOWN;
    const struct source source = object_source_of(remote, NULL);
    if (source_has_envelope(&source, REGION_EXPONENT_USUAL))
        return RECOGNIZED_SEALED;
    return beside ? recognize_beside(o) : RECOGNIZED_PLAIN;
}

bool recognize_is_named(const char *name)
{
    return text_ends_with(name, SEALED_SUFFIX) ||
           text_ends_with(name, SEALED_SUFFIX ENVELOPE_SUFFIX);
}

bool recognize_is_sealed(const struct place *file)
{
    struct place beside PLACE_CLEANUP = {0};
    int fd FD_CLEANUP = -1;
    bool there = false;
    struct stat st;
    struct err err;

    if (!recognize_is_named(file->name) || !place_open_file(file, false, &fd, &st, &err).ok)
        return false;
    if (has_envelope(fd))
        return true;
    return text_ends_with(file->name, SEALED_SUFFIX) &&
           place_beside(&beside, file, ENVELOPE_SUFFIX, &err).ok &&
           place_stat(&beside, &st, &there, &err).ok && there;
}

/* Whether a file is an envelope and nothing else. */
static bool is_envelope(const struct place *file)
{
    const struct sealed_place from = {.body = file, .alone = true};
    struct sealed f SEALED_CLEANUP = {0};
    struct session silent = {0};
    struct err err;

    return sealed_open(&f, &silent, &from, &err).ok &&
           (uint64_t)f.st.st_size == envelope_size(&f.envelope);
}

/* Whose envelope it is, by the regular file that has its name without the ending. */
static enum recognized look_at_envelope(const struct place *envelope)
{
    char *name STRING_CLEANUP =
        strndup(envelope->name, strlen(envelope->name) - strlen(ENVELOPE_SUFFIX));
    struct place body PLACE_CLEANUP = {0};
    int fd FD_CLEANUP = -1;
    bool there = false;
    struct stat st;
    struct err err;

    if (name == NULL || !place_in(&body, envelope->dir, name, envelope->path, &err).ok ||
        !place_stat(&body, &st, &there, &err).ok || !there || !S_ISREG(st.st_mode))
        return RECOGNIZED_ALONE;
    return place_open_file(&body, false, &fd, &st, &err).ok && has_envelope(fd)
               ? RECOGNIZED_EXPORTED
               : RECOGNIZED_DETACHED;
}

enum recognized recognize(const struct place *file)
{
    struct place beside PLACE_CLEANUP = {0};
    int fd FD_CLEANUP = -1;
    bool there = true;
    struct stat st;
    struct err err;

    if (!place_open_file(file, false, &fd, &st, &err).ok)
        return place_stat(file, &st, &there, &err).ok && !there ? RECOGNIZED_GONE
                                                                : RECOGNIZED_UNKNOWN;
    if (has_envelope(fd))
        return text_ends_with(file->name, ENVELOPE_SUFFIX) && is_envelope(file)
                   ? look_at_envelope(file)
                   : RECOGNIZED_SEALED;
    if (place_beside(&beside, file, ENVELOPE_SUFFIX, &err).ok && is_envelope(&beside))
        return RECOGNIZED_BODY;
    return recognize_is_named(file->name) ? RECOGNIZED_BROKEN : RECOGNIZED_PLAIN;
}
