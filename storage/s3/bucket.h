/* bucket: what stands for a bucket in s3://BUCKET/KEY: its name, the alias of an access point,
 * which is used as one, or the ARN of an access point. */
#ifndef BULLA_STORAGE_S3_BUCKET_H
#define BULLA_STORAGE_S3_BUCKET_H

#include "aws/endpoint.h"
#include "base/err.h"

#define BUCKET_NAME_MAX 63     /* bytes */
#define BUCKET_ACCOUNT_SIZE 12 /* digits */
#define BUCKET_ARN_MAX 255     /* bytes */

/* struct bucket: a bucket, or an access point to one. */
struct bucket {
    char name[BUCKET_NAME_MAX + 1];
    char account[BUCKET_ACCOUNT_SIZE + 1]; /* of an access point; "" = it is a bucket */
    char region[REGION_MAX + 1];           /* of that */
    char source[BUCKET_ARN_MAX + 1];       /* what a copy names as the place of its source */
};

/* bucket_read reads what the user wrote. ERR_USAGE if that is no name, ERR_UNSUPPORTED if it is of
 * a kind that bulla does not use, with a hint. */
FALLIBLE bucket_read(struct bucket *b, const char *text, struct err *err);

#endif
