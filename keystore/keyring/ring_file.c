#include "keystore/keyring/ring_file.h"

#include <jansson.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/descriptor.h"
#include "base/json_text.h"
#include "base/mount_permissions.h"
#include "base/secret_file.h"
#include "base/stream.h"
#include "base/text.h"
#include "keystore/descriptor_key.h"
#include "keystore/key_age.h"
#include "keystore/keyring/ring_access.h"
#include "keystore/keyring/secret_json.h"

#define LAYOUT 1
#define VERSION_JSON_MAX 768  /* bytes of text for one version */
#define VERSION_VALUES_MAX 24 /* and values in it */

#define MARK "bulla-keyring"
#define PUBLIC_MARK "bulla-public-key"
#define MARK_WITHIN 4096 /* bytes from the beginning */

_Static_assert(DESCRIPTOR_KEY_MAX == RING_FILE_MAX,
               "a keyring may come by a descriptor, whatever its size");

#define NO_DAYS INT64_MIN /* where the member is not there */

static struct result malformed(struct err *err, const char *what)
{
    return fail(err, ERR_DAMAGED, "%s", what);
}

/* struct version_text: the members of a version that hold bytes; NULL if not there. */
struct version_text {
    const char *key, *wrapped, *check, *public_key, *public_check;
};

/* Reads the key of a version, or its wrap if the ring has a passphrase. */
static struct result read_key_bytes(const struct ring *ring, enum ring_kind kind,
                                    struct ring_version *v, const struct version_text *t,
                                    struct err *err)
{
    uint8_t check[RING_CHECK_SIZE];

    if (ring->protected) {
        if (t->key != NULL || t->wrapped == NULL ||
            !text_unhex(v->wrapped, RING_WRAPPED_SIZE, t->wrapped))
            return malformed(err, "a wrapped key is not 144 lowercase hex digits");
        return OK;
    }
    if (t->key == NULL || t->wrapped != NULL)
        return malformed(err, "a version is wrapped, but the keyring has no passphrase");
    if (!secret_new(&v->key, KEY_SIZE, err).ok)
        return FAIL;
    if (!text_unhex(v->key.bytes, KEY_SIZE, t->key))
        return malformed(err, "a key is not 64 lowercase hex digits");
    ring_check_value(&v->key, check);
    if (sodium_memcmp(check, v->check, RING_CHECK_SIZE) != 0)
        return malformed(err, "a key does not match its check value");
    return ring_check_pair(kind, v, err);
}

/* Reads the public key of kind x25519, which must seal right even while the private one is locked.
 */
static struct result read_public(const struct ring_key *key, struct ring_version *v,
                                 const struct version_text *t, struct err *err)
{
    uint8_t given[RING_CHECK_SIZE], expected[RING_CHECK_SIZE];

    if (key->kind != RING_X25519)
        return t->public_key == NULL && t->public_check == NULL
                   ? OK
                   : malformed(err, "a symmetric key has a public key");
    if (t->public_key == NULL || !text_unhex(v->public_key, X25519_SIZE, t->public_key) ||
        t->public_check == NULL || !text_unhex(given, RING_CHECK_SIZE, t->public_check))
        return malformed(err, "a public key is not 64 lowercase hex digits, or its check not 8");
    ring_public_check(key->id, v->number, v->public_key, expected);
    if (memcmp(given, expected, RING_CHECK_SIZE) != 0 || !x25519_is_canonical(v->public_key))
        return malformed(err, "a public key does not match its check value");
    return OK;
}

static struct result read_material(const struct ring *ring, const struct ring_key *key,
                                   struct ring_version *v, const struct version_text *t,
                                   struct err *err)
{
    if (v->state == KEY_DESTROYED) {
        if (t->key != NULL || t->wrapped != NULL || t->check != NULL || t->public_key != NULL ||
            t->public_check != NULL)
            return malformed(err, "a destroyed version has a key");
        return OK;
    }
    if (t->check == NULL || (t->key == NULL && t->wrapped == NULL))
        return malformed(err, "a version has no key or no check");
    if (!text_unhex(v->check, RING_CHECK_SIZE, t->check))
        return malformed(err, "a check value is not 8 lowercase hex digits");
    if (!read_public(key, v, t, err).ok)
        return FAIL;
    return read_key_bytes(ring, key->kind, v, t, err);
}

static struct result read_version(const struct ring *ring, struct ring_key *key, json_t *json,
                                  struct err *err)
{
    struct ring_version *v = &key->versions[key->version_count];
    const char *state, *created;
    struct version_text t = {0};
    json_int_t number;
    const struct json_member members[] = {{"version", JSON_INTEGER, &number, false},
                                          {"state", JSON_STRING, &state, false},
                                          {"created", JSON_STRING, &created, false},
                                          {"key", JSON_STRING, &t.key, true},
                                          {"wrapped", JSON_STRING, &t.wrapped, true},
                                          {"check", JSON_STRING, &t.check, true},
                                          {"public", JSON_STRING, &t.public_key, true},
                                          {"public-check", JSON_STRING, &t.public_check, true}};

    key->version_count++;
    if (!json_members(json, members, sizeof members / sizeof *members))
        return malformed(err, "a version has a member that is missing, unknown or of a wrong type");
    if (number < 1 || number > UINT32_MAX)
        return malformed(err, "a version number is out of range");
    v->number = (uint32_t)number;
    if (key->version_count > 1 && v->number <= v[-1].number)
        return malformed(err, "the version numbers do not ascend");
    if (!key_state_by_name(state, &v->state))
        return malformed(err, "a version's state is not active, retired, disabled or destroyed");
    if (!text_untime(&v->created, created))
        return malformed(err, "a creation time is not like 2026-11-23T19:05:00Z");
    return read_material(ring, key, v, &t, err);
}

static struct result read_versions(const struct ring *ring, struct ring_key *key, json_t *json,
                                   struct err *err)
{
    size_t count = json_array_size(json), active = 0;

    if (!json_is_array(json) || count < 1 || count > RING_VERSIONS_MAX)
        return malformed(err, "a key has no versions, or too many");
    key->versions = calloc(count, sizeof *key->versions);
    if (key->versions == NULL)
        return fail_memory(err);
    for (size_t i = 0; i < count; i++) {
        if (!read_version(ring, key, json_array_get(json, i), err).ok)
            return FAIL;
        active += key->versions[i].state == KEY_ACTIVE;
    }
    return active <= 1 ? OK : malformed(err, "more than one version is active");
}

static struct result read_key(struct ring *ring, json_t *json, struct err *err)
{
    const char *name, *id, *kind, *created;
    struct ring_key key = {0};
    json_int_t days = NO_DAYS;
    json_t *versions;
    const struct json_member members[] = {{"name", JSON_STRING, &name, false},
                                          {"id", JSON_STRING, &id, false},
                                          {"kind", JSON_STRING, &kind, false},
                                          {"created", JSON_STRING, &created, false},
                                          {"rotate-after-days", JSON_INTEGER, &days, true},
                                          {"versions", JSON_ARRAY, &versions, false}};

    if (!json_members(json, members, sizeof members / sizeof *members))
        return malformed(err, "a key has a member that is missing, unknown or of a wrong type");
    if (!ring_name_allowed(name))
        return malformed(err, "a key's name is not 1 to 64 letters, digits, '.', '_' or '-'");
    if (ring_find(ring, name) != NULL)
        return malformed(err, "two keys have one name");
    if (!text_unhex(key.id, SLOT_KEY_ID_SIZE, id))
        return malformed(err, "a key's id is not 32 lowercase hex digits");
    if (ring_find_id(ring, key.id) != NULL)
        return malformed(err, "two keys have one id");
    if (!ring_kind_by_name(kind, &key.kind))
        return fail(err, ERR_UNSUPPORTED, "a key is of a kind that this bulla does not know");
    if (!text_untime(&key.created, created))
        return malformed(err, "a creation time is not like 2026-11-23T19:05:00Z");
    if (days != NO_DAYS && (days < 1 || days > KEY_ROTATE_AFTER_MAX))
        return malformed(err, "a key's rotate-after-days is out of range");
    key.rotate_after = days == NO_DAYS ? 0 : (uint32_t)days;
    memcpy(key.name, name, strlen(name) + 1);
    ring->keys[ring->key_count++] = key;
    return read_versions(ring, &ring->keys[ring->key_count - 1], versions, err);
}

/* The cost of the ring's passphrase, if it has one. */
static struct result read_passphrase(struct ring *ring, json_t *json, struct err *err)
{
    json_int_t passes, memory;
    const char *salt;
    const struct json_member members[] = {{"salt", JSON_STRING, &salt, false},
                                          {"passes", JSON_INTEGER, &passes, false},
                                          {"memory-kib", JSON_INTEGER, &memory, false}};

    if (json == NULL)
        return OK;
    if (!json_members(json, members, sizeof members / sizeof *members) ||
        !text_unhex(ring->cost.salt, KDF_SALT_SIZE, salt) || passes < 1 ||
        passes > KDF_PASSES_MAX || memory < KDF_MEMORY_KIB_MIN || memory > KDF_MEMORY_KIB_MAX)
        return malformed(err, "its passphrase parameters are not allowed");
    ring->cost.passes = (uint32_t)passes;
    ring->cost.memory_kib = (uint32_t)memory;
    ring->protected = true;
    return OK;
}

static struct result read_ring(struct ring *ring, json_t *json, struct err *err)
{
    json_int_t layout;
    json_t *keys, *passphrase = NULL;
    const struct json_member members[] = {{MARK, JSON_INTEGER, &layout, false},
                                          {"passphrase", JSON_OBJECT, &passphrase, true},
                                          {"keys", JSON_ARRAY, &keys, false}};

    if (!json_is_object(json) || !json_is_integer(json_object_get(json, MARK)))
        return malformed(err, "it is not a keyring");
    layout = json_integer_value(json_object_get(json, MARK));
    if (layout != LAYOUT)
        return fail(err, ERR_UNSUPPORTED, "its layout is not known to this bulla");
    if (!json_members(json, members, sizeof members / sizeof *members) || !json_is_array(keys) ||
        json_array_size(keys) > RING_KEYS_MAX)
        return malformed(err, "it has an unknown member, no keys, or too many");
    if (!read_passphrase(ring, passphrase, err).ok)
        return FAIL;
    ring->keys = calloc(json_array_size(keys) + 1, sizeof *ring->keys);
    if (ring->keys == NULL)
        return fail_memory(err);
    for (size_t i = 0; i < json_array_size(keys); i++)
        if (!read_key(ring, json_array_get(keys, i), err).ok)
            return FAIL;
    return OK;
}

static struct result parse(struct ring *ring, const struct secret *text, size_t size,
                           struct err *err)
{
    struct ring made RING_CLEANUP = {0};
    json_t *json SECRET_JSON_CLEANUP = NULL;

    if (!secret_json_read(&json, text->bytes, size, err).ok)
        return FAIL;
    if (!read_ring(&made, json, err).ok)
        return FAIL;
    *ring = TAKE(made);
    return OK;
}

/* What kind of file a text is that has no mark of a keyring. */
static struct result no_keyring_text(const void *text, size_t size, const char *path,
                                     struct err *err)
{
    if (memmem(text, size, PUBLIC_MARK, strlen(PUBLIC_MARK)) != NULL)
        return fail(err, ERR_FAILED, "'%s' is a public key, not a keyring", path);
    return fail(err, ERR_FOREIGN, "'%s' is not a bulla keyring, public key or PEM file", path);
}

/* If the user names the wrong kind of file, the message says so, and does not ask to change the
 * file. */
static struct result check_mark(const void *text, size_t size, const char *path, struct err *err)
{
    size_t within = size < MARK_WITHIN ? size : MARK_WITHIN;

    return memmem(text, within, MARK, strlen(MARK)) != NULL
               ? OK
               : no_keyring_text(text, within, path, err);
}

/* The same for a file that may not be used, of which no more is read. */
static struct result check_file_mark(int fd, const char *path, struct err *err)
{
    struct secret start SECRET_CLEANUP = {0};

    if (!secret_new(&start, MARK_WITHIN, err).ok)
        return FAIL;
    ssize_t n = pread(fd, start.bytes, start.size, 0);
    return n < 0 ? OK : check_mark(start.bytes, (size_t)n, path, err);
}

/* Whether a text is the remains of a keyring. */
static bool has_marks(const struct secret *text, size_t size)
{
    static const char *const marks[] = {MARK, "\"versions\""};

    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++)
        if (memmem(text->bytes, size, marks[i], strlen(marks[i])) != NULL)
            return true;
    return false;
}

/* Reads a file of the right kind and owner; *size is RING_FILE_MAX + 1 if it is larger. */
static struct result read_file(const struct place *place, const char *credentials,
                               struct secret *text, size_t *size, struct stat *st, struct err *err)
{
    int fd FD_CLEANUP = -1;
    struct err why;

    if (!ring_access_open(place, &fd, st, err).ok)
        return FAIL;
    if (!ring_access_judge(fd, st, place, credentials, &why).ok) {
        if (check_file_mark(fd, place->path, err).ok)
            *err = why;
        return FAIL;
    }
    size_t most = st->st_size > RING_FILE_MAX ? RING_FILE_MAX : (size_t)st->st_size;
    return secret_read(text, size, most, fd, place->path, err);
}

struct result ring_file_load(struct ring *ring, const struct place *place, const char *credentials,
                             struct err *err)
{
    int given = descriptor_number(place->path);
    struct secret text SECRET_CLEANUP = {0};
    struct stat mine;
    size_t size;

    if (given >= 0 ? !descriptor_key_read(&text, &size, &mine, given, err).ok
                   : !read_file(place, credentials, &text, &size, &mine, err).ok)
        return FAIL;
    if (size > RING_FILE_MAX && !check_mark(text.bytes, size, place->path, err).ok)
        return FAIL;
    if (size > RING_FILE_MAX)
        return fail(err, ERR_DAMAGED, "keyring '%s' is larger than %d bytes", place->path,
                    RING_FILE_MAX);
    if (!parse(ring, &text, size, err).ok) {
        if (err->class == ERR_DAMAGED && !has_marks(&text, size))
            return no_keyring_text(text.bytes, size, place->path, err);
        err_context(err, "keyring '%s'", place->path);
        return FAIL;
    }
    ring->file = mine;
    return OK;
}

static bool set_hex(json_t *json, const char *member, const uint8_t *bytes, size_t size)
{
    struct secret hex SECRET_CLEANUP = {0};
    struct err err;

    return secret_new(&hex, 2 * size + 1, &err).ok &&
           json_object_set_new(json, member,
                               json_string(text_hex((char *)hex.bytes, bytes, size))) == 0;
}

static json_t *version_json(const struct ring *ring, const struct ring_key *key,
                            const struct ring_version *v)
{
    uint8_t public_check[RING_CHECK_SIZE];
    char created[TEXT_TIME_SIZE];
    json_t *json = json_pack("{s:I, s:s, s:s}", "version", (json_int_t)v->number, "state",
                             key_state_name(v->state), "created", text_time(created, v->created));

    if (json == NULL || v->state == KEY_DESTROYED)
        return json;
    ring_public_check(key->id, v->number, v->public_key, public_check);
    bool done = (ring->protected ? set_hex(json, "wrapped", v->wrapped, RING_WRAPPED_SIZE)
                                 : set_hex(json, "key", v->key.bytes, KEY_SIZE)) &&
                set_hex(json, "check", v->check, RING_CHECK_SIZE) &&
                (key->kind != RING_X25519 ||
                 (set_hex(json, "public", v->public_key, X25519_SIZE) &&
                  set_hex(json, "public-check", public_check, RING_CHECK_SIZE)));
    return done ? json : NULL;
}

static json_t *key_json(const struct ring *ring, const struct ring_key *key)
{
    char created[TEXT_TIME_SIZE], id[2 * SLOT_KEY_ID_SIZE + 1];
    json_t *versions = json_array();

    for (size_t i = 0; i < key->version_count; i++)
        if (json_array_append_new(versions, version_json(ring, key, &key->versions[i])) != 0)
            return NULL;
    json_t *json = json_pack(
        "{s:s, s:s, s:s, s:s}", "name", key->name, "id", text_hex(id, key->id, SLOT_KEY_ID_SIZE),
        "kind", ring_kind_name(key->kind), "created", text_time(created, key->created));
    if (key->rotate_after != 0 &&
        json_object_set_new(json, "rotate-after-days", json_integer(key->rotate_after)) != 0)
        return NULL;
    return json_object_set_new(json, "versions", versions) == 0 ? json : NULL;
}

/* The text of a ring; NULL when the protected memory is too small for it. */
static char *ring_text(const struct ring *ring, json_t **json)
{
    char salt[2 * KDF_SALT_SIZE + 1];
    json_t *keys = json_array();

    for (size_t i = 0; i < ring->key_count; i++)
        if (json_array_append_new(keys, key_json(ring, &ring->keys[i])) != 0)
            return NULL;
    *json = json_pack("{s:i}", MARK, LAYOUT);
    if (ring->protected &&
        json_object_set_new(*json, "passphrase",
                            json_pack("{s:s, s:I, s:I}", "salt",
                                      text_hex(salt, ring->cost.salt, KDF_SALT_SIZE), "passes",
                                      (json_int_t)ring->cost.passes, "memory-kib",
                                      (json_int_t)ring->cost.memory_kib)) != 0)
        return NULL;
    return json_object_set_new(*json, "keys", keys) != 0
               ? NULL
               : json_dumps(*json, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
}

static struct result write_text(const struct place *place, bool replace, const char *text,
                                struct err *err)
{
    struct atomic_file f ATOMIC_FILE_CLEANUP = {0};

    if (!atomic_file_open(&f, place, replace, err).ok)
        return FAIL;
    if (!atomic_file_private(&f, err).ok) {
        if (!mount_permissions_hint(f.fd, err))
            err_hint(err, "mount it so that its files are yours alone, as with umask=077, or keep "
                          "the keyring in another place");
        return FAIL;
    }
    struct fd_sink sink = fd_sink(f.fd, place->path);
    if (!sink_write(&sink.sink, text, strlen(text), err).ok ||
        !sink_write(&sink.sink, "\n", 1, err).ok)
        return FAIL;
    return atomic_file_commit(&f, err);
}

struct result ring_file_save(const struct ring *ring, const struct place *place, bool replace,
                             struct err *err)
{
    size_t versions = 1;

    for (size_t i = 0; i < ring->key_count; i++)
        versions += ring->keys[i].version_count + 1;
    json_t *json SECRET_JSON_CLEANUP = NULL;
    if (!secret_json_begin(versions * VERSION_JSON_MAX, versions * VERSION_VALUES_MAX, err).ok)
        return FAIL;
    char *text = ring_text(ring, &json);
    if (text == NULL)
        return fail_memory(err);
    if (strlen(text) >= RING_FILE_MAX)
        return fail(err, ERR_FAILED, "keyring '%s' would be larger than %d bytes", place->path,
                    RING_FILE_MAX);
    return write_text(place, replace, text, err);
}
