/* upload: an object that is written in order, by one PUT or in parts. */
#ifndef BULLA_STORAGE_S3_UPLOAD_H
#define BULLA_STORAGE_S3_UPLOAD_H

#include "storage/storage.h"

/* The operation of struct storage_ops. What was written is held until the server has it: nothing
 * is asked for twice. Of an object of unknown size, parts grow as it does, up to 4.8 TiB; of one
 * whose size is expected, all have the size that 10,000 of them need. */
FALLIBLE s3_create(struct object_writer **out, const struct object *o,
                   const struct object_making *how, struct err *err);

#endif
