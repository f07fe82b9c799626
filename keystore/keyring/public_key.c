#include "keystore/keyring/public_key.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/descriptor.h"
#include "base/json_text.h"
#include "base/secret_file.h"
#include "base/text.h"
#include "base/trusted_file.h"
#include "keystore/descriptor_key.h"
#include "keystore/keyring/secret_json.h"

#define LAYOUT 1
#define FILE_MAX 4096 /* bytes */
#define MARK "\"bulla-public-key\""

static struct result read_members(struct public_key *key, json_t *json, struct err *err)
{
    const char *name, *id, *kind, *created, *public_key, *check;
    uint8_t given[RING_CHECK_SIZE], expected[RING_CHECK_SIZE];
    json_int_t layout, version;
    const struct json_member members[] = {{"bulla-public-key", JSON_INTEGER, &layout, false},
                                          {"name", JSON_STRING, &name, false},
                                          {"id", JSON_STRING, &id, false},
                                          {"kind", JSON_STRING, &kind, false},
                                          {"version", JSON_INTEGER, &version, false},
                                          {"created", JSON_STRING, &created, false},
                                          {"public", JSON_STRING, &public_key, false},
                                          {"check", JSON_STRING, &check, false}};

    if (!json_members(json, members, sizeof members / sizeof *members))
        return fail(err, ERR_DAMAGED, "a member is missing, unknown or of a wrong type");
    if (layout != LAYOUT || strcmp(kind, ring_kind_name(RING_X25519)) != 0)
        return fail(err, ERR_UNSUPPORTED, "its layout or kind is not known to this bulla");
    if (!ring_name_allowed(name) || !text_unhex(key->id, SLOT_KEY_ID_SIZE, id) || version < 1 ||
        version > UINT32_MAX || !text_untime(&key->created, created) ||
        !text_unhex(key->bytes, X25519_SIZE, public_key) ||
        !text_unhex(given, RING_CHECK_SIZE, check))
        return fail(err, ERR_DAMAGED, "a member has a value that is not allowed");
    memcpy(key->name, name, strlen(name) + 1);
    key->version = (uint32_t)version;
    ring_public_check(key->id, key->version, key->bytes, expected);
    if (memcmp(given, expected, RING_CHECK_SIZE) != 0 || !x25519_is_canonical(key->bytes))
        return fail(err, ERR_DAMAGED, "the key does not match its check value");
    return OK;
}

static struct result read_text(struct public_key *key, const char *text, size_t size,
                               struct err *err)
{
    json_t *json SECRET_JSON_CLEANUP = NULL;

    if (!secret_json_read(&json, text, size, err).ok)
        return FAIL;
    return read_members(key, json, err);
}

/* Reads a file that may be one; *size is 0 if none is there: whoever reads keyrings says so. */
static struct result read_file(const struct place *place, int *fd, struct secret *text,
                               size_t *size, struct stat *st, struct err *err)
{
    *fd = file_open(place->dir, place->name, O_RDONLY);
    *size = 0;
    if (*fd < 0 || fstat(*fd, st) != 0 || !S_ISREG(st->st_mode) || st->st_size > FILE_MAX)
        return OK;
    return secret_read(text, size, FILE_MAX, *fd, place->path, err);
}

struct result public_key_load(struct public_key *key, const struct place *place, bool *is_public,
                              struct err *err)
{
    struct secret text SECRET_CLEANUP = {0}; /* it may be a keyring after all */
    int fd FD_CLEANUP = -1, given = descriptor_number(place->path);
    struct stat st;
    size_t size = 0;

    *is_public = false;
    if (given >= 0 ? !descriptor_key_read(&text, &size, &st, given, err).ok
                   : !read_file(place, &fd, &text, &size, &st, err).ok)
        return FAIL;
    if (size == 0 || size > FILE_MAX || memmem(text.bytes, size, MARK, strlen(MARK)) == NULL)
        return OK;
    *is_public = true;
    if (given < 0 && !trusted_file(fd, place->path, "public key", err).ok)
        return FAIL;
    key->file = st;
    if (!read_text(key, (const char *)text.bytes, size, err).ok) {
        err_context(err, "public key '%s'", place->path);
        return FAIL;
    }
    return OK;
}

struct result public_key_text(const struct public_key *key, char **text, struct err *err)
{
    char id[2 * SLOT_KEY_ID_SIZE + 1], bytes[2 * X25519_SIZE + 1], check[2 * RING_CHECK_SIZE + 1];
    char created[TEXT_TIME_SIZE];
    uint8_t value[RING_CHECK_SIZE];
    struct public_key back;
    struct err why;

    ring_public_check(key->id, key->version, key->bytes, value);
    json_t *json = json_pack(
        "{s:i, s:s, s:s, s:s, s:I, s:s, s:s, s:s}", "bulla-public-key", LAYOUT, "name", key->name,
        "id", text_hex(id, key->id, SLOT_KEY_ID_SIZE), "kind", ring_kind_name(RING_X25519),
        "version", (json_int_t)key->version, "created", text_time(created, key->created), "public",
        text_hex(bytes, key->bytes, X25519_SIZE), "check", text_hex(check, value, RING_CHECK_SIZE));
    char *dumped = json == NULL ? NULL : json_dumps(json, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
    /* json_dumps silently leaves out a member whose name it has no memory for. */
    bool made = dumped != NULL && read_text(&back, dumped, strlen(dumped), &why).ok &&
                asprintf(text, "%s\n", dumped) >= 0;
    free(dumped);
    json_decref(json);
    return made ? OK : fail_memory(err);
}
