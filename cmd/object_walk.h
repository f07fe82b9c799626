/* object_walk: visits the objects below a prefix, and says what each is by its name. */
#ifndef BULLA_CMD_OBJECT_WALK_H
#define BULLA_CMD_OBJECT_WALK_H

#include "libbulla/rewrap_object.h"
#include "storage/storage.h"

struct object_visitor {
    /* Called for each object, whatever its name. If the list has an envelope for it, that envelope
     * is not visited by itself. False stops the walk. */
    bool (*object)(void *arg, const struct object_entry *entry, enum envelope_beside envelope);
    void *arg;
};

/* object_walk visits the objects whose names begin with o->key, in the order of their names. Those
 * that a console makes to show a directory are left out. */
FALLIBLE object_walk(const struct object *o, const struct object_visitor *visitor, struct err *err);

/* object_walk_versions visits the old versions of these objects, and the marks that S3 keeps of
 * removed ones. Here an envelope is visited by itself too, and an object that ever had an envelope
 * counts as having one. */
FALLIBLE object_walk_versions(const struct object *o, const struct object_visitor *visitor,
                              struct err *err);

/* struct object_lister: where the entries come from, in the order of their names. */
struct object_lister {
    struct result (*list)(void *arg, bool (*each)(void *, const struct object_entry *),
                          void *each_arg, struct err *err);
    void *arg;
};

/* object_walk_list walks such a list; versions is true if it has old ones. */
FALLIBLE object_walk_list(const struct object_lister *lister, bool versions,
                          const struct object_visitor *visitor, struct err *err);

#endif
