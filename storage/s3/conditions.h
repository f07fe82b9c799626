/* conditions: whether a server heeds them. One that ignores If-Match would let a rewrap write over
 * what somebody else wrote meanwhile. AWS heeds them; of any other server it is found out, by a
 * request that nobody who heeds them carries out. */
#ifndef BULLA_STORAGE_S3_CONDITIONS_H
#define BULLA_STORAGE_S3_CONDITIONS_H

#include "storage/s3/request.h"

/* s3_heeds_conditions fails with ERR_POLICY unless If-Match works for a PUT; a name beside that of
 * the object is used, once for a bucket. s3_heeds_completes is the same for an upload in parts. */
FALLIBLE s3_heeds_conditions(const struct object *o, struct err *err);
FALLIBLE s3_heeds_completes(const struct object *o, struct err *err);

#endif
