#include "libbulla/object_envelope.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/pages.h"

/* struct change: an object and what its beginning becomes. */
struct change {
    const struct object *object;
    const struct object_look *look;
    uint64_t old; /* bytes of the envelope that it has */
    const struct envelope *envelope;
    enum object_proof *proof;
};

/* Reads bytes of the object as it was looked at, all of them. */
static struct result read_all(const struct change *c, uint64_t offset, uint8_t *to, size_t size,
                              struct err *err)
{
    struct object_look look = *c->look;
    size_t got = 0;

    if (size == 0)
        return OK;
    look.kept = NULL;
    struct result r = c->object->storage->ops->read(c->object, &look, offset, to, size, &got, err);
    object_look_end(&look);
    if (r.ok && got < size)
        return fail_named(err, ERR_STORE, "'%s' ended after %" PRIu64 " bytes", c->object->path,
                          offset + got);
    return r;
}

static struct result put_copies(const struct change *c, uint8_t *to, struct err *err)
{
    size_t size = envelope_size(c->envelope);
    uint8_t *copy;

    if (!envelope_encode(c->envelope, &copy, err).ok)
        return FAIL;
    memcpy(to, copy, size / 2);
    memcpy(to + size / 2, copy, size / 2);
    free(copy);
    return OK;
}

/* The new envelope has the size of that which bytes, once read, begin with. */
static struct result splice(const struct change *c, uint8_t *bytes, size_t size, struct err *err)
{
    const struct view all = {bytes, size};
    uint8_t *was = malloc((size_t)c->old);

    if (was == NULL)
        return fail_memory(err);
    struct result r = read_all(c, 0, bytes, size, err);
    memcpy(was, bytes, r.ok ? (size_t)c->old : 0);
    if (r.ok)
        r = put_copies(c, bytes, err);
    if (r.ok)
        r = c->object->storage->ops->splice(c->object, c->look, all,
                                            (struct view){was, (size_t)c->old}, c->proof, err);
    free(was);
    return r;
}

static struct result replace(const struct change *c, uint8_t *bytes, size_t size, struct err *err)
{
    size_t envelope = envelope_size(c->envelope);

    return put_copies(c, bytes, err).ok &&
                   read_all(c, c->old, bytes + envelope, size - envelope, err).ok
               ? c->object->storage->ops->replace(c->object, c->look, (struct view){bytes, size},
                                                  err)
               : FAIL;
}

struct result object_envelope_put(const struct object *o, const struct object_look *look,
                                  uint64_t old, const struct envelope *e, pthread_mutex_t *turn,
                                  enum object_proof *proof, struct err *err)
{
    const struct change c = {o, look, old, e, proof};
    size_t part = o->storage->ops->splice_size;
    uint64_t all = look->size - old + envelope_size(e);
    bool moves = look->size <= part, wait = all > SMALL_BODY_MAX;
    size_t size = moves ? (size_t)all : part;
    uint8_t *bytes = pages_map(size);

    if (bytes == NULL)
        return fail_memory(err);
    if (wait)
        pthread_mutex_lock(turn);
    *proof = PROOF_NOT_DUE;
    struct result r = moves ? replace(&c, bytes, size, err) : splice(&c, bytes, size, err);
    if (wait)
        pthread_mutex_unlock(turn);
    pages_unmap(bytes, size);
    return r;
}
