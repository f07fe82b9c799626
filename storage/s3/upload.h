/* upload: an object that is written in order, by one PUT or in parts. */
#ifndef BULLA_STORAGE_S3_UPLOAD_H
#define BULLA_STORAGE_S3_UPLOAD_H

#include "storage/storage.h"

/* The operation of struct storage_ops. What was written is held until the server has it: nothing
 * is asked for twice. An object of unknown size can have 170 GiB, one of known size 195 GiB. */
FALLIBLE s3_create(struct object_writer **out, const struct object *o,
                   const struct object_making *how, struct err *err);

#endif
