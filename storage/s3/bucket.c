#include "storage/s3/bucket.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"

#define ARN "arn:"
#define POINT_NAME_MAX 50 /* bytes of the name of an access point */
#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define DIGITS "0123456789"

/* Names that S3 keeps for what is addressed in another way. */
static const struct {
    const char *ending, *what;
} kinds[] = {
    {"--x-s3", "a directory bucket"},
    {"--xa-s3", "an access point to a directory bucket"},
    {"--ol-s3", "an access point of S3 Object Lambda"},
};

static struct result refuse_kind(const char *text, const char *what, struct err *err)
{
    (void)fail(err, ERR_UNSUPPORTED, "'%s' is %s, which bulla does not use", text, what);
    return fail_hint(err, "name a general purpose bucket, or an access point to one");
}

static struct result no_name(const char *text, struct err *err)
{
    (void)fail(err, ERR_USAGE, "'%s' is not the name of a bucket", text);
    return fail_hint(err, "write s3://BUCKET/KEY");
}

static struct result read_name(struct bucket *b, const char *text, struct err *err)
{
    size_t size = strlen(text);

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (text_ends_with(text, kinds[i].ending))
            return refuse_kind(text, kinds[i].what, err);
    if (size < 3 || size > BUCKET_NAME_MAX || strspn(text, LOWER DIGITS ".-") != size ||
        text[0] == '.' || text[0] == '-' || strstr(text, "..") != NULL)
        return no_name(text, err);
    memcpy(b->name, text, size + 1);
    memcpy(b->source, text, size + 1);
    return OK;
}

/* Takes a field up to a separator off an ARN. False if it does not fit. */
static bool take_field(const char **at, const char *separators, char *out, size_t most)
{
    size_t size = strcspn(*at, separators);

    if (size > most || (*at)[size] == '\0')
        return false;
    memcpy(out, *at, size);
    out[size] = '\0';
    *at += size + 1;
    return true;
}

static bool is_point(const struct bucket *b, const char *partition, const char *kind)
{
    size_t size = strlen(b->name);

    return strncmp(partition, "aws", 3) == 0 && strcmp(kind, "accesspoint") == 0 &&
           region_is_valid(b->region) && strlen(b->account) == BUCKET_ACCOUNT_SIZE &&
           strspn(b->account, DIGITS) == BUCKET_ACCOUNT_SIZE && size >= 3 &&
           size <= POINT_NAME_MAX && strspn(b->name, LOWER DIGITS "-") == size &&
           b->name[0] != '-' && b->name[size - 1] != '-';
}

/* arn:PARTITION:s3:REGION:ACCOUNT:accesspoint/NAME, or with a colon before NAME. */
static struct result read_arn(struct bucket *b, const char *text, struct err *err)
{
    const char *at = text + strlen(ARN);
    char partition[32], service[32], kind[32];
    bool read = strlen(text) <= BUCKET_ARN_MAX &&
                take_field(&at, ":", partition, sizeof partition - 1) &&
                take_field(&at, ":", service, sizeof service - 1);

    if (read && strcmp(service, "s3") != 0)
        return refuse_kind(text, "of another service than S3", err);
    read = read && take_field(&at, ":", b->region, REGION_MAX) &&
           take_field(&at, ":", b->account, BUCKET_ACCOUNT_SIZE) &&
           take_field(&at, ":/", kind, sizeof kind - 1);
    if (read && b->region[0] == '\0')
        return refuse_kind(text, "an access point to several regions", err);
    if (read && strlen(at) <= BUCKET_NAME_MAX)
        memcpy(b->name, at, strlen(at) + 1);
    if (read && is_point(b, partition, kind)) {
        memcpy(b->source, text, strlen(text) + 1);
        return OK;
    }
    (void)fail(err, ERR_USAGE, "'%s' is not the ARN of an access point", text);
    return fail_hint(err, "write s3://arn:aws:s3:REGION:ACCOUNT:accesspoint/NAME/KEY");
}

struct result bucket_read(struct bucket *b, const char *text, struct err *err)
{
    *b = (struct bucket){0};
    return strncmp(text, ARN, strlen(ARN)) == 0 ? read_arn(b, text, err) : read_name(b, text, err);
}
