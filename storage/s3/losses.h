/* losses: what a replacement of an object would lose, because S3 does not show it: at all, or to
 * whoever may not read it. An answer without tags, or without a lock, looks the same either way. */
#ifndef BULLA_STORAGE_S3_LOSSES_H
#define BULLA_STORAGE_S3_LOSSES_H

#include "storage/s3/request.h"

/* s3_check_seen fails with ERR_POLICY if the object may have tags, or a lock, that may not be read.
 * It asks once for a bucket. */
FALLIBLE s3_check_seen(const struct object *o, const struct object_look *look, struct err *err);

/* s3_add_lock adds the lock of an object to *look, for a server that shows it by HEAD alone. After
 * s3_check_seen. */
FALLIBLE s3_add_lock(const struct object *o, struct object_look *look, struct err *err);

/* s3_losses is the operation of struct storage_ops. */
FALLIBLE s3_losses(const struct object *o, const struct object_look *look, struct object_losses *l,
                   struct err *err);

#endif
