/* wishes: what goes with an object besides its bytes, as the headers of a request. */
#ifndef BULLA_STORAGE_S3_WISHES_H
#define BULLA_STORAGE_S3_WISHES_H

#include "storage/storage.h"

/* s3_wished gives the headers of a new object (struct object_look, kept), which the caller frees;
 * wish is NULL if there is none. ERR_USAGE for what S3 cannot have. */
FALLIBLE s3_wished(const struct object_wish *wish, char **kept, struct err *err);

/* s3_read_file_look fills in what the kept headers say of the file that an object was made of, by
 * rclone's names: mtime, seconds since 1970 with a fraction, and mode, in octal. What cannot be
 * read is left out. */
void s3_read_file_look(struct object_look *look);

/* s3_drop_past_lock takes a retention out of kept headers that is over by now, in seconds since
 * 1970: S3 refuses to give one. */
void s3_drop_past_lock(char *kept, uint64_t now);

#endif
