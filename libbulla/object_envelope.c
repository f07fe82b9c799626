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

/* The new envelope has the size of the old one. */
static struct result splice(const struct change *c, struct err *err)
{
    size_t size = envelope_size(c->envelope);
    uint8_t *copies = malloc(size);

    if (copies == NULL)
        return fail_memory(err);
    struct result r = put_copies(c, copies, err);
    if (r.ok)
        r = c->object->storage->ops->splice(c->object, c->look, (struct view){copies, size},
                                            c->proof, err);
    free(copies);
    return r;
}

static struct result replace_by(const struct change *c, uint8_t *bytes, size_t size,
                                struct err *err)
{
    size_t envelope = envelope_size(c->envelope);

    return put_copies(c, bytes, err).ok &&
                   read_all(c, c->old, bytes + envelope, size - envelope, err).ok
               ? c->object->storage->ops->replace(c->object, c->look, (struct view){bytes, size},
                                                  err)
               : FAIL;
}

/* What holds little does not wait for room. */
static struct result replace(const struct change *c, struct err *err)
{
    struct budget *budget = &c->object->storage->writing;
    size_t size = (size_t)(c->look->size - c->old) + envelope_size(c->envelope);
    uint64_t taken = size > STORAGE_LITTLE ? budget_take(budget, size) : 0;
    uint8_t *bytes = pages_map(size);
    struct result r = bytes != NULL ? replace_by(c, bytes, size, err) : fail_memory(err);

    pages_unmap(bytes, size);
    budget_give(budget, taken);
    return r;
}

struct result object_envelope_put(const struct object *o, const struct object_look *look,
                                  uint64_t old, const struct envelope *e, enum object_proof *proof,
                                  struct err *err)
{
    const struct change c = {o, look, old, e, proof};

    *proof = PROOF_NOT_DUE;
    return look->size <= o->storage->ops->splice_size ? replace(&c, err) : splice(&c, err);
}
