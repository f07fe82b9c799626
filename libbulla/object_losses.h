/* object_losses: what an object loses when it is replaced, because its storage does not show it. */
#ifndef BULLA_LIBBULLA_OBJECT_LOSSES_H
#define BULLA_LIBBULLA_OBJECT_LOSSES_H

#include "libbulla/session.h"
#include "storage/storage.h"

/* object_losses_warn tells of it, once for a storage, before anything is changed. ERR_POLICY if the
 * object may have what must be kept and may not be read. */
FALLIBLE object_losses_warn(struct session *s, const struct object *o,
                            const struct object_look *look, struct err *err);

#endif
