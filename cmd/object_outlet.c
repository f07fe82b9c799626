#include "cmd/object_outlet.h"

static struct result commit(void *arg, struct err *err)
{
    struct object_outlet *o = arg;
    struct result r = o->writer->commit(o->writer, err);

    o->committed = r.ok;
    o->outlet.unclear = !r.ok && (err->class == ERR_STORE || err->class == ERR_INTERRUPTED);
    return r;
}

struct result object_outlet_open(struct object_outlet *o, const struct object *object, bool replace,
                                 const struct object_wish *wish, struct err *err)
{
    const struct object_making how = {.condition = replace ? OBJECT_ANY : OBJECT_NEW, .wish = wish};

    if (!object->storage->ops->create(&o->writer, object, &how, err).ok)
        return FAIL;
    o->outlet = (struct outlet){.sink = &o->writer->sink,
                                .fd = -1,
                                .name = object->path,
                                .commit = commit,
                                .commit_arg = o};
    return OK;
}

void object_outlet_close(struct object_outlet *o)
{
    if (o->writer != NULL)
        o->writer->close(o->writer);
    o->writer = NULL;
}
