/* s3: Amazon S3, and servers that speak as it does, as a storage. */
#ifndef BULLA_STORAGE_S3_S3_H
#define BULLA_STORAGE_S3_S3_H

#include "storage/storage.h"

/* s3_open makes a storage of a bucket, which nobody is asked about yet. Credentials, region and
 * endpoint are those of the user's settings for AWS. ERR_USAGE if it is no name of a bucket, or of
 * a kind that is not supported. */
FALLIBLE s3_open(struct storage **out, const struct storage_env *env, const char *bucket,
                 struct err *err);

#endif
