#include "cmd/named_place.h"

#include <string.h>

#include "cmd/setup.h"

static struct result open_object(struct named_place *n, const char *name, const struct options *o,
                                 struct err *err)
{
    setup_storage(&n->env, o, NULL);
    n->storages.env = &n->env;
    if (!storages_object(&n->storages, name, &n->object, err).ok)
        return FAIL;
    if (n->object.key[0] != '\0' && n->object.key[strlen(n->object.key) - 1] != '/')
        return OK;
    return fail(err, ERR_USAGE, "'%s' is a prefix of the names of objects; name one object", name);
}

struct result named_place_open(struct named_place *n, const char *name, const struct options *o,
                               struct err *err)
{
    return storage_names(name) ? open_object(n, name, o, err) : place_open(&n->place, name, err);
}

struct result named_place_open_new(struct named_place *n, const char *name, const struct options *o,
                                   struct err *err)
{
    return storage_names(name) ? open_object(n, name, o, err)
                               : place_open_new(&n->place, name, err);
}

struct result named_place_beside(struct named_place *beside, const struct named_place *n,
                                 const char *suffix, const char *hint, struct err *err)
{
    if (!n->place.open)
        return object_beside(&beside->object, &n->object, suffix, err);
    return place_beside(&beside->place, &n->place, suffix, err).ok
               ? named_place_fits(&beside->place, hint, err)
               : FAIL;
}

void named_place_close(struct named_place *n)
{
    place_close(&n->place);
    object_close(&n->object);
    storages_close(&n->storages);
}

struct sealed_place named_place_sealed(const struct named_place *n)
{
    return n->place.open ? (struct sealed_place){.body = &n->place, .follow = true}
                         : (struct sealed_place){.object = &n->object};
}

struct result named_place_envelope(struct named_place *n, struct sealed_place *from,
                                   const struct options *o, struct err *err)
{
    if (o->envelope == NULL)
        return OK;
    if (!named_place_open(n, o->envelope, o, err).ok)
        return FAIL;
    from->envelope = n->place.open ? &n->place : NULL;
    from->envelope_object = n->place.open ? NULL : &n->object;
    return OK;
}

struct result named_place_fits(const struct place *made, const char *hint, struct err *err)
{
    if (place_fits(made, err).ok)
        return OK;
    return fail_hint(err, "%s", hint);
}
