/* splice: another beginning for an object, of which the rest does not move. */
#ifndef BULLA_STORAGE_S3_SPLICE_H
#define BULLA_STORAGE_S3_SPLICE_H

#include "storage/storage.h"

/* splice_copies is the number of parts that the server copies of an object of so many bytes. */
unsigned splice_copies(uint64_t size);

/* s3_splice is the operation of struct storage_ops: an upload of a part that is read and sent, and
 * of others that the server copies from the object itself, some at once. Only the part that is sent
 * takes memory, of the budget for writing, and that before the copies begin. */
FALLIBLE s3_splice(const struct object *o, const struct object_look *look, struct view bytes,
                   enum object_proof *proof, struct err *err);

#endif
