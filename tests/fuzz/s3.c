/* Answers of S3. Whatever answers, the secret key is in no message, no more is read than there is
 * room for, what was read has a tag, and a list has only names that begin as was asked. */
#include "storage/s3/s3.h"
#include "storage/s3/checksum.h"
#include "storage/s3/list.h"
#include "storage/s3/multipart.h"
#include "storage/s3/objects.h"
#include "tests/fuzz/fuzz.h"

#define PREFIX "t/"

static void check_err(const struct err *err)
{
    fuzz_refused(err);
    HOLDS(strstr(err->text, FUZZ_SECRET_KEY) == NULL && strstr(err->hint, FUZZ_SECRET_KEY) == NULL);
}

static bool on_entry(void *arg, const struct object_entry *entry)
{
    HOLDS(strncmp(entry->key, PREFIX, strlen(PREFIX)) == 0);
    return ++*(size_t *)arg < 10000;
}

static bool on_version(void *arg, const struct object_entry *entry)
{
    HOLDS(entry->look.version[0] != '\0');
    return on_entry(arg, entry);
}

static bool on_upload(void *arg, const struct object_entry *entry)
{
    HOLDS(entry->upload != NULL);
    return on_entry(arg, entry);
}

static void read_some(const struct object *o, struct object_look *look)
{
    uint8_t buf[64];
    struct err err = {0};
    size_t got = 0;

    if (!s3_read(o, look, 0, buf, sizeof buf, &got, &err).ok) {
        check_err(&err);
        return;
    }
    HOLDS(got <= sizeof buf && got <= look->size && look->tag[0] == '"');
    for (const char *c = look->kept; c != NULL && *c != '\0'; c++)
        HOLDS(*c != '\r');
}

static struct result upload_all(struct upload *u, const struct object_look *look, struct err *err)
{
    const struct view bytes = {(const uint8_t *)"bytes", 5};

    return upload_begin(u, look->kept, err).ok && upload_part(u, 1, bytes, NULL, err).ok &&
                   upload_copy(u, 2, look, 5, 10, err).ok
               ? upload_complete(u, OBJECT_UNCHANGED, look, bytes, NULL, err)
               : FAIL;
}

static void ask(const struct object *o, struct object_look *look, unsigned what)
{
    struct upload u = {.object = o};
    struct result r = OK;
    struct err err = {0};
    size_t count = 0;
    uint64_t sum;
    bool kept;

    if (what == 0)
        read_some(o, look);
    else if (what == 1)
        r = s3_list(o, LIST_OBJECTS, on_entry, &count, &err);
    else if (what == 5)
        r = s3_list(o, LIST_VERSIONS, on_version, &count, &err);
    else if (what == 7)
        r = s3_checksum(o, look->tag, &sum, &kept, &err);
    else if (what == 6)
        r = s3_list(o, LIST_UPLOADS, on_upload, &count, &err);
    else if (what == 2)
        r = s3_replace(o, look, (struct view){(const uint8_t *)"x", 1}, &err);
    else if (what == 3)
        r = s3_remove(o, look, &err);
    else
        r = upload_all(&u, look, &err);
    if (!r.ok)
        check_err(&err);
    upload_abort(&u);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct wire_reader r;
    struct storage_env env = {.environment = fuzz_environment, .timeout = 10};
    struct object_look look OBJECT_LOOK_CLEANUP = {0};
    struct object o OBJECT_CLEANUP = {0};
    struct storage *storage;
    struct err err = {0};

    fuzz_account();
    setenv("AWS_MAX_ATTEMPTS", "2", 1);
    r = wire_reader(data, size);
    fuzz_network_answers(&r);
    env.crypto = fuzz_crypto();
    HOLDS(s3_open(&storage, &env, "bucket", &err).ok);
    if (object_in(&o, storage, PREFIX, "s3://bucket/" PREFIX, &err).ok)
        for (unsigned n = 0; n < 4 && r.left > 0; n++)
            ask(&o, &look, fuzz_byte(&r) % 8);
    storage->ops->close(storage);
    return 0;
}
