/* object_outlet: an object that is written, as an outlet. */
#ifndef BULLA_CMD_OBJECT_OUTLET_H
#define BULLA_CMD_OBJECT_OUTLET_H

#include "libbulla/output.h"
#include "storage/storage.h"

/* struct object_outlet: {0} is none and safe to close; not to be moved once open. */
struct object_outlet {
    struct outlet outlet;
    struct object_writer *writer;
    bool committed;
};

/* object_outlet_open begins an object, which must outlive it. ERR_EXISTS if there is one and
 * replace is false. wish may be NULL. */
FALLIBLE object_outlet_open(struct object_outlet *o, const struct object *object, bool replace,
                            const struct object_wish *wish, struct err *err);

/* object_outlet_close drops an object that was not committed. */
void object_outlet_close(struct object_outlet *o);
#define OBJECT_OUTLET_CLEANUP __attribute__((cleanup(object_outlet_close)))

#endif
