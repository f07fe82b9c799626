#include "keystore/awskms/arn.h"

#include <string.h>

#define SCHEME "aws-kms://"
#define ALIAS "alias/"
#define KEY "key/"
#define MULTI_REGION KEY "mrk-"
#define DIGITS "0123456789"
#define WORD "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ" DIGITS "_-"
#define ACCOUNT_DIGITS 12

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

/* Not empty, and of these characters alone. */
static bool made_of(const char *text, const char *characters)
{
    return text[0] != '\0' && text[strspn(text, characters)] == '\0';
}

static bool resource_is_valid(const char *resource)
{
    return begins(resource, KEY)     ? made_of(resource + strlen(KEY), WORD)
           : begins(resource, ALIAS) ? made_of(resource + strlen(ALIAS), WORD "/")
                                     : false;
}

/* Copies the text up to the next colon, or for the last part to the end; NULL if it does not fit.
 */
static const char *take_part(char *out, size_t room, const char *at, bool last)
{
    size_t size = last ? strlen(at) : strcspn(at, ":");

    if (size >= room || (!last && at[size] != ':'))
        return NULL;
    memcpy(out, at, size);
    out[size] = '\0';
    return at + size + !last;
}

bool arn_parse(struct arn *arn, const char *text, size_t size)
{
    struct arn a = {0};
    char prefix[4], service[4];
    const struct {
        char *out;
        size_t room;
    } parts[] = {{prefix, sizeof prefix},       {a.partition, sizeof a.partition},
                 {service, sizeof service},     {a.region, sizeof a.region},
                 {a.account, sizeof a.account}, {a.resource, sizeof a.resource}};
    size_t count = sizeof parts / sizeof *parts;

    if (size > SLOT_KEY_ARN_MAX || memchr(text, '\0', size) != NULL)
        return false;
    memcpy(a.text, text, size);
    const char *at = a.text;
    for (size_t i = 0; i < count && at != NULL; i++)
        at = take_part(parts[i].out, parts[i].room, at, i == count - 1);
    if (at == NULL || strcmp(prefix, "arn") != 0 || strcmp(service, "kms") != 0 ||
        !region_is_valid(a.partition) || !region_is_valid(a.region) ||
        strlen(a.account) != ACCOUNT_DIGITS || !made_of(a.account, DIGITS) ||
        !resource_is_valid(a.resource))
        return false;
    *arn = a;
    return true;
}

bool arn_is_key(const struct arn *arn)
{
    return begins(arn->resource, KEY);
}

bool arn_same_key(const struct arn *a, const struct arn *b)
{
    return strcmp(a->partition, b->partition) == 0 && strcmp(a->account, b->account) == 0 &&
           strcmp(a->resource, b->resource) == 0 && arn_is_key(a) &&
           (strcmp(a->region, b->region) == 0 || begins(a->resource, MULTI_REGION));
}

struct result key_name_parse(struct key_name *name, const char *reference, struct err *err)
{
    const char *id = reference + (begins(reference, SCHEME) ? strlen(SCHEME) : 0);
    struct key_name n = {0};
    bool is_arn = begins(id, "arn:");

    if (strlen(id) > SLOT_KEY_ARN_MAX || (is_arn              ? !arn_parse(&n.arn, id, strlen(id))
                                          : begins(id, ALIAS) ? !resource_is_valid(id)
                                                              : !made_of(id, WORD))) {
        (void)fail(err, ERR_USAGE, "'%s' does not name a key of AWS KMS", reference);
        return fail_hint(
            err, "it is arn:aws:kms:REGION:ACCOUNT:key/ID, alias/NAME, the ARN of an alias, or "
                 "aws-kms:// and one of them or a key id");
    }
    memcpy(n.id, id, strlen(id) + 1);
    *name = n;
    return OK;
}

bool key_name_fits(const struct key_name *name, const char *region, const struct arn *key)
{
    bool multi = begins(key->resource, MULTI_REGION);

    if (arn_is_key(&name->arn))
        return arn_same_key(&name->arn, key);
    if (strcmp(region, key->region) != 0 && !multi)
        return false;
    if (name->arn.text[0] != '\0')
        return strcmp(name->arn.partition, key->partition) == 0 &&
               strcmp(name->arn.account, key->account) == 0;
    return begins(name->id, ALIAS) || strcmp(name->id, key->resource + strlen(KEY)) == 0;
}
