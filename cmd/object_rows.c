#include "cmd/object_rows.h"

#include "storage/registry.h"

const struct row rows_objects[] = {
    {"bandwidth", 0, "KIB", NUMBER, FIELD(bandwidth),
     "move at most so many KiB a second to and from S3", .most = UINT32_MAX, .unit = " KiB"},
    {"requester-pays", 0, NULL, FLAG, FIELD(requester_pays),
     "pay for the requests, in a bucket whose owner does not"},
    {0},
};

const struct row rows_conditions[] = {
    {"no-condition", 0, NULL, FLAG, FIELD(no_condition),
     "use a server that does not heed conditions, while nobody\n"
     "else writes there: what they write could be lost"},
    {0},
};

const struct row rows_new_objects[] = {
    {"storage-class", 0, "CLASS", TEXT, FIELD(storage_class),
     "of the new object, as STANDARD_IA or DEEP_ARCHIVE; a\n"
     ".env object keeps the usual one"},
    {"sse-kms-key", 0, "ID", TEXT, FIELD(sse_kms_key),
     "have S3 encrypt the object once more by this key (SSE-KMS)"},
    {"acl", 0, "ACL", TEXT, FIELD(acl), "canned ACL, as bucket-owner-full-control"},
    {"tag", 0, "K=V", LIST_OF_TEXT, FIELD(tags), "tag of the object; may be repeated"},
    {"metadata", 0, "K=V", LIST_OF_TEXT, FIELD(metadata),
     "metadata of the object (x-amz-meta-K); may be repeated"},
    {"expected-size", 0, "N", NUMBER, FIELD(expected_size),
     "bytes that standard input or a command will have: S3\n"
     "then gets fewer and larger parts"},
    {0},
};

struct result object_rows_wish(struct object_wish *wish, const struct options *o, struct err *err)
{
    bool objects = o->output != NULL && storage_names(o->output);
    bool any = o->storage_class != NULL || o->sse_kms_key != NULL || o->acl != NULL ||
               o->tags.count + o->metadata.count > 0 || o->expected_size > 0;

    *wish = (struct object_wish){.storage_class = o->storage_class,
                                 .sse_key = o->sse_kms_key,
                                 .acl = o->acl,
                                 .tags = o->tags.items,
                                 .tag_count = o->tags.count,
                                 .metadata = o->metadata.items,
                                 .metadata_count = o->metadata.count};
    if (objects || !any)
        return OK;
    (void)fail(err, ERR_USAGE, "the options of objects need an object for -o");
    return fail_hint(err, "-o s3://BUCKET/KEY");
}
