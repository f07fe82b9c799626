#include "storage/s3/s3.h"

#include <stdlib.h>
#include <string.h>

#include "storage/s3/bucket.h"
#include "storage/s3/cost.h"
#include "storage/s3/list.h"
#include "storage/s3/losses.h"
#include "storage/s3/multipart.h"
#include "storage/s3/objects.h"
#include "storage/s3/request.h"
#include "storage/s3/splice.h"
#include "storage/s3/upload.h"

#define ATTEMPTS                                                                                   \
    8 /* of a request, unless the user's settings say: S3 asks clients to slow down                \
       */
#define ATTEMPTS_MAX 100
#define REGION_USUAL "us-east-1" /* that tells where a bucket is */

static void s3_close(struct storage *storage)
{
    struct s3 *s3 = (struct s3 *)storage;

    account_close(&s3->account);
    pthread_mutex_destroy(&s3->lock);
    pthread_mutex_destroy(&s3->probing);
    pthread_mutex_destroy(&s3->pace.lock);
    rate_end(&s3->rate);
    storage_end(storage);
    free(s3);
}

static const struct storage_ops s3_ops = {
    .read = s3_read,
    .replace = s3_replace,
    .splice = s3_splice,
    .splice_size = S3_PART_MIN,
    .cost = s3_cost,
    .losses = s3_losses,
    .create = s3_create,
    .remove = s3_remove,
    .drop = s3_drop,
    .list = s3_list,
    .close = s3_close,
};

static struct result open_s3(struct s3 *s3, const char *bucket, struct err *err)
{
    const struct storage_env *env = s3->env;

    if (!bucket_read(&s3->bucket, bucket, err).ok ||
        !account_open(&s3->account, &env->environment, env->timeout, err).ok)
        return FAIL;
    const struct aws *aws = &s3->account->aws;
    const char *region = aws->region[0] != '\0' ? aws->region : REGION_USUAL;
    const char *where = s3->bucket.region[0] != '\0' ? s3->bucket.region : region;
    memcpy(s3->region, where, strlen(where) + 1);
    chain_region(&s3->account->chain, region);
    if (!aws_custom_endpoint(&s3->custom, aws, "s3", err).ok)
        return FAIL;
    s3->heeds = s3->heeds_completes = s3->custom == NULL;
    return aws_number(&s3->attempts, aws, "AWS_MAX_ATTEMPTS", "max_attempts", ATTEMPTS_MAX,
                      ATTEMPTS, err);
}

struct result s3_open(struct storage **out, const struct storage_env *env, const char *bucket,
                      struct err *err)
{
    struct s3 *s3 = calloc(1, sizeof *s3);

    if (s3 == NULL)
        return fail_memory(err);
    storage_init(&s3->storage, &s3_ops);
    s3->env = env;
    pthread_mutex_init(&s3->lock, NULL);
    pthread_mutex_init(&s3->probing, NULL);
    pthread_mutex_init(&s3->pace.lock, NULL);
    rate_init(&s3->rate, env->bandwidth);
    if (!open_s3(s3, bucket, err).ok) {
        s3_close(&s3->storage);
        return FAIL;
    }
    *out = &s3->storage;
    return OK;
}
