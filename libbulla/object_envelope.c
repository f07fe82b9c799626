#include "libbulla/object_envelope.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* struct change: an object and what its beginning becomes. */
struct change {
    const struct object *object;
    const struct object_look *look;
    uint64_t old; /* bytes of the envelope that it has */
    const struct envelope *envelope;
};

/* Fills a buffer with both copies and what comes after them. */
static struct result fill(const struct change *c, uint8_t *to, size_t room, struct err *err)
{
    struct object_look look = *c->look;
    size_t size = envelope_size(c->envelope), rest = room - size, got = 0;
    uint8_t *copy;

    if (!envelope_encode(c->envelope, &copy, err).ok)
        return FAIL;
    memcpy(to, copy, size / 2);
    memcpy(to + size / 2, copy, size / 2);
    free(copy);
    if (rest == 0)
        return OK;
    look.kept = NULL;
    struct result r =
        c->object->storage->ops->read(c->object, &look, c->old, to + size, rest, &got, err);
    object_look_end(&look);
    if (r.ok && got < rest)
        return fail(err, ERR_STORE, "'%s' ended after %" PRIu64 " bytes", c->object->path,
                    c->old + got);
    return r;
}

static struct result put_filled(const struct change *c, uint8_t *bytes, size_t size, bool splice,
                                struct err *err)
{
    const struct storage_ops *ops = c->object->storage->ops;
    const struct view whole = {bytes, size};

    if (!fill(c, bytes, size, err).ok)
        return FAIL;
    return splice ? ops->splice(c->object, c->look, whole, err)
                  : ops->replace(c->object, c->look, whole, err);
}

struct result object_envelope_put(const struct object *o, const struct object_look *look,
                                  uint64_t old, const struct envelope *e, pthread_mutex_t *turn,
                                  struct err *err)
{
    const struct change c = {o, look, old, e};
    size_t part = o->storage->ops->splice_size;
    uint64_t all = look->size - old + envelope_size(e);
    bool splice = look->size > part, wait = all > SMALL_BODY_MAX;
    size_t size = splice ? part : (size_t)all;
    uint8_t *bytes = malloc(size);

    if (bytes == NULL)
        return fail_memory(err);
    if (wait)
        pthread_mutex_lock(turn);
    struct result r = put_filled(&c, bytes, size, splice, err);
    if (wait)
        pthread_mutex_unlock(turn);
    free(bytes);
    return r;
}
