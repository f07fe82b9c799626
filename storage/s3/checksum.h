/* checksum: the CRC64NVME that S3 keeps of a whole object, by which it is seen that a body is what
 * it was without reading it. */
#ifndef BULLA_STORAGE_S3_CHECKSUM_H
#define BULLA_STORAGE_S3_CHECKSUM_H

#include "storage/s3/request.h"

/* s3_checksum asks for the checksum of an object that has this tag. *kept is false if the server
 * keeps none of the whole object, or the object has another tag by now. ERR_STORE if it does not
 * answer. */
FALLIBLE s3_checksum(const struct object *o, const char *tag, uint64_t *sum, bool *kept,
                     struct err *err);

/* checksum_changed is the checksum of an object of so many bytes that had sum, once its first
 * bytes, was, are replaced by as many others. */
uint64_t checksum_changed(uint64_t sum, struct view was, const uint8_t *now, uint64_t size);

#endif
