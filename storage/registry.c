#include "storage/registry.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#ifdef BULLA_S3
#include "storage/s3/s3.h"
#endif

#define S3_SCHEME "s3://"

/* struct opened_storage: one in the list. */
struct opened_storage {
    struct opened_storage *next;
    struct storage *storage;
    char *bucket;
};

bool storage_names(const char *text)
{
    return strncmp(text, S3_SCHEME, strlen(S3_SCHEME)) == 0;
}

static struct result open_storage(struct storages *s, const char *bucket, struct storage **out,
                                  struct err *err)
{
#ifdef BULLA_S3
    return s3_open(out, s->env, bucket, err);
#else
    (void)s, (void)out;
    return fail(err, ERR_UNSUPPORTED, "bucket '%s': this bulla was built without S3", bucket);
#endif
}

static struct result find(struct storages *s, char *bucket, struct storage **out, struct err *err)
{
    struct opened_storage *o = s->first;

    while (o != NULL && strcmp(o->bucket, bucket) != 0)
        o = o->next;
    if (o != NULL) {
        *out = o->storage;
        return OK;
    }
    o = calloc(1, sizeof *o);
    if (o == NULL || (o->bucket = strdup(bucket)) == NULL) {
        free(o);
        return fail_memory(err);
    }
    if (!open_storage(s, bucket, &o->storage, err).ok) {
        free(o->bucket);
        free(o);
        return FAIL;
    }
    o->next = s->first;
    s->first = o;
    *out = o->storage;
    return OK;
}

/* The last "?versionId=" of a name begins a version: an empty one is the current. */
static struct result take_version(struct object *o, struct err *err)
{
    char *sign = NULL;

    for (char *at = o->key; (at = strstr(at, OBJECT_VERSION_SIGN)) != NULL; at++)
        sign = at;
    if (sign == NULL)
        return OK;
    *sign = '\0';
    if (sign[sizeof OBJECT_VERSION_SIGN - 1] == '\0')
        return OK;
    if (sign == o->key || sign[-1] == '/')
        return fail_named(err, ERR_USAGE, "'%s': a prefix has no version", o->path);
    o->version = strdup(sign + sizeof OBJECT_VERSION_SIGN - 1);
    return o->version != NULL ? OK : fail_memory(err);
}

/* What comes after the bucket, or its end. In an ARN a slash may stand before the last name. */
static const char *bucket_end(const char *bucket)
{
    static const char kind[] = ":accesspoint";
    const char *slash = strchrnul(bucket, '/');
    size_t before = (size_t)(slash - bucket), size = sizeof kind - 1;

    return strncmp(bucket, "arn:", 4) == 0 && *slash != '\0' && before > size &&
                   memcmp(slash - size, kind, size) == 0
               ? strchrnul(slash + 1, '/')
               : slash;
}

struct result storages_object(struct storages *s, const char *text, struct object *o,
                              struct err *err)
{
    const char *rest = text + strlen(S3_SCHEME), *end = bucket_end(rest);
    char *bucket STRING_CLEANUP = strndup(rest, (size_t)(end - rest));
    struct object made OBJECT_CLEANUP = {0};
    struct storage *storage;

    if (bucket == NULL)
        return fail_memory(err);
    if (!find(s, bucket, &storage, err).ok ||
        !object_in(&made, storage, *end == '/' ? end + 1 : "", text, err).ok ||
        !take_version(&made, err).ok)
        return FAIL;
    *o = TAKE(made);
    return OK;
}

void storages_close(struct storages *s)
{
    while (s->first != NULL) {
        struct opened_storage *o = s->first;
        s->first = o->next;
        o->storage->ops->close(o->storage);
        free(o->bucket);
        free(o);
    }
}
