#include "keystore/keyring/ring.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define CHECK_LABEL "bulla/v1 key check"
#define PUBLIC_LABEL "bulla/v1 public key check"
#define WRAP_LABEL "bulla/v1 keyring"
#define WRAP_AAD_SIZE (sizeof WRAP_LABEL - 1 + SLOT_KEY_ID_SIZE + 4)

static const char *const kind_names[] = {
    [RING_SYMMETRIC] = "symmetric",
    [RING_X25519] = "x25519",
};

const char *ring_kind_name(enum ring_kind kind)
{
    return kind_names[kind];
}

bool ring_kind_by_name(const char *name, enum ring_kind *kind)
{
    for (enum ring_kind k = RING_SYMMETRIC; k <= RING_X25519; k++)
        if (strcmp(kind_names[k], name) == 0) {
            *kind = k;
            return true;
        }
    return false;
}

bool ring_name_allowed(const char *name)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    size_t size = strlen(name);

    return size >= 1 && size <= SLOT_KEY_NAME_MAX && strspn(name, allowed) == size &&
           strchr("._-", name[0]) == NULL;
}

void ring_check_value(const struct secret *key, uint8_t out[RING_CHECK_SIZE])
{
    uint8_t hash[SHA256_SIZE];
    struct view parts[] = {{(const uint8_t *)CHECK_LABEL, strlen(CHECK_LABEL)},
                           {key->bytes, key->size}};

    sha256(hash, parts, 2);
    memcpy(out, hash, RING_CHECK_SIZE);
}

void ring_public_check(const uint8_t id[SLOT_KEY_ID_SIZE], uint32_t version,
                       const uint8_t public_key[X25519_SIZE], uint8_t out[RING_CHECK_SIZE])
{
    uint8_t bytes[SLOT_KEY_ID_SIZE + 4 + X25519_SIZE], hash[SHA256_SIZE];
    struct wire_writer w = wire_writer(bytes, sizeof bytes);

    wire_put_bytes(&w, id, SLOT_KEY_ID_SIZE);
    wire_put_u32(&w, version);
    wire_put_bytes(&w, public_key, X25519_SIZE);
    struct view parts[] = {{(const uint8_t *)PUBLIC_LABEL, strlen(PUBLIC_LABEL)}, {bytes, w.used}};
    sha256(hash, parts, 2);
    memcpy(out, hash, RING_CHECK_SIZE);
}

bool ring_locked(const struct ring *ring)
{
    return ring->protected && ring->kek.bytes == NULL;
}

/* What a version's wrap is bound to: the key it is of, and its number. */
static struct view wrap_aad(const struct ring_key *key, const struct ring_version *v,
                            uint8_t out[WRAP_AAD_SIZE])
{
    struct wire_writer w = wire_writer(out, WRAP_AAD_SIZE);

    wire_put_bytes(&w, WRAP_LABEL, strlen(WRAP_LABEL));
    wire_put_bytes(&w, key->id, SLOT_KEY_ID_SIZE);
    wire_put_u32(&w, v->number);
    return (struct view){out, w.used};
}

static struct result wrap_version(const struct crypto *crypto, const struct secret *kek,
                                  const struct ring_key *key, struct ring_version *v,
                                  struct err *err)
{
    uint8_t aad[WRAP_AAD_SIZE];

    return xaes_seal(crypto, kek->bytes, wrap_aad(key, v, aad), secret_view(&v->key), v->wrapped,
                     err);
}

struct result ring_check_pair(enum ring_kind kind, const struct ring_version *v, struct err *err)
{
    uint8_t expected[X25519_SIZE];

    if (kind != RING_X25519)
        return OK;
    if (!x25519_public(v->key.bytes, expected, err).ok)
        return FAIL;
    if (memcmp(expected, v->public_key, X25519_SIZE) != 0)
        return fail(err, ERR_DAMAGED, "a public key is not that of its private key");
    return OK;
}

static struct result unwrap_version(const struct crypto *crypto, const struct secret *kek,
                                    const struct ring_key *key, struct ring_version *v,
                                    struct err *err)
{
    struct secret opened SECRET_CLEANUP = {0};
    uint8_t aad[WRAP_AAD_SIZE], check[RING_CHECK_SIZE];

    if (!secret_new(&opened, KEY_SIZE, err).ok)
        return FAIL;
    if (!xaes_open(crypto, kek->bytes, wrap_aad(key, v, aad),
                   (struct view){v->wrapped, RING_WRAPPED_SIZE}, opened.bytes, err)
             .ok)
        return err->class == ERR_DAMAGED ? fail(err, ERR_NO_KEY, "wrong passphrase") : FAIL;
    ring_check_value(&opened, check);
    if (sodium_memcmp(check, v->check, RING_CHECK_SIZE) != 0)
        return fail(err, ERR_DAMAGED, "a key does not match its check value");
    v->key = TAKE(opened);
    return ring_check_pair(key->kind, v, err);
}

/* Does something to every version that has a key, or had one before the ring was locked. */
static struct result
each_version(struct ring *ring, const struct crypto *crypto, const struct secret *kek,
             struct result (*act)(const struct crypto *, const struct secret *,
                                  const struct ring_key *, struct ring_version *, struct err *),
             struct err *err)
{
    for (size_t i = 0; i < ring->key_count; i++)
        for (size_t v = 0; v < ring->keys[i].version_count; v++)
            if (ring->keys[i].versions[v].state != KEY_DESTROYED &&
                !act(crypto, kek, &ring->keys[i], &ring->keys[i].versions[v], err).ok)
                return FAIL;
    return OK;
}

struct result ring_unlock(struct ring *ring, const struct crypto *crypto,
                          const struct secret *passphrase, uint32_t allowed_kib, struct err *err)
{
    struct secret kek SECRET_CLEANUP = {0};

    if (!kdf_derive(&ring->cost, allowed_kib, passphrase, &kek, err).ok ||
        !each_version(ring, crypto, &kek, unwrap_version, err).ok)
        return FAIL;
    ring->kek = TAKE(kek);
    return OK;
}

struct result ring_protect(struct ring *ring, const struct crypto *crypto,
                           const struct secret *passphrase, struct err *err)
{
    struct secret kek SECRET_CLEANUP = {0};
    struct kdf_cost cost = {0};

    if (passphrase != NULL && (!kdf_cost_new(&cost, err).ok ||
                               !kdf_derive(&cost, KDF_MEMORY_KIB_MAX, passphrase, &kek, err).ok ||
                               !each_version(ring, crypto, &kek, wrap_version, err).ok))
        return FAIL;
    secret_free(&ring->kek);
    ring->kek = TAKE(kek);
    ring->cost = cost;
    ring->protected = passphrase != NULL;
    return OK;
}

/* Fills a version with a fresh key and what goes with it. */
static struct result fill_version(const struct ring *ring, const struct crypto *crypto,
                                  const struct ring_key *key, struct ring_version *v,
                                  struct err *err)
{
    struct secret fresh SECRET_CLEANUP = {0};

    if (!secret_random(&fresh, KEY_SIZE, err).ok)
        return FAIL;
    if (key->kind == RING_X25519 && !x25519_public(fresh.bytes, v->public_key, err).ok)
        return FAIL;
    ring_check_value(&fresh, v->check);
    v->key = TAKE(fresh);
    if (ring->protected && !wrap_version(crypto, &ring->kek, key, v, err).ok) {
        secret_free(&v->key);
        return FAIL;
    }
    return OK;
}

/* Adds an active version with a fresh key, which is drawn before anything changes. */
static struct result add_version(const struct ring *ring, const struct crypto *crypto,
                                 struct ring_key *key, uint64_t now, struct err *err)
{
    uint32_t last = ring_highest(key);
    struct ring_version fresh = {.number = last + 1, .state = KEY_ACTIVE, .created = now};

    if (key->version_count == RING_VERSIONS_MAX || last == UINT32_MAX)
        return fail(err, ERR_FAILED, "key '%s' has all the versions it can have", key->name);
    struct ring_version *grown = reallocarray(key->versions, key->version_count + 1, sizeof *grown);
    if (grown == NULL)
        return fail_memory(err);
    key->versions = grown;
    if (!fill_version(ring, crypto, key, &fresh, err).ok)
        return FAIL;
    key->versions[key->version_count++] = fresh;
    return OK;
}

struct result ring_add(struct ring *ring, const struct crypto *crypto, const char *name,
                       enum ring_kind kind, uint32_t rotate_after, uint64_t now, struct err *err)
{
    struct ring_key key = {.kind = kind, .created = now, .rotate_after = rotate_after};
    struct ring_key *grown;

    if (ring_find(ring, name) != NULL)
        return fail(err, ERR_EXISTS, "there is a key '%s' already", name);
    if (ring->key_count == RING_KEYS_MAX)
        return fail(err, ERR_FAILED, "there are %d keys already", RING_KEYS_MAX);
    if (!random_bytes(key.id, sizeof key.id, err).ok)
        return FAIL;
    memcpy(key.name, name, strlen(name) + 1);
    grown = reallocarray(ring->keys, ring->key_count + 1, sizeof *grown);
    if (grown == NULL)
        return fail_memory(err);
    ring->keys = grown;
    if (!add_version(ring, crypto, &key, now, err).ok) {
        free(key.versions);
        return FAIL;
    }
    ring->keys[ring->key_count++] = key;
    return OK;
}

struct result ring_rotate(struct ring *ring, const struct crypto *crypto, struct ring_key *key,
                          uint64_t now, struct err *err)
{
    struct ring_version *old = ring_active(key);
    size_t index = old == NULL ? 0 : (size_t)(old - key->versions);

    if (!add_version(ring, crypto, key, now, err).ok)
        return FAIL;
    if (old != NULL)
        key->versions[index].state = KEY_RETIRED;
    return OK;
}

/* The states from which each change is allowed, and where it leads. */
static const struct {
    unsigned from; /* bits of enum key_state */
    enum key_state to;
    const char *verb;
} changes[] = {
    [KEY_RETIRE] = {1u << KEY_ACTIVE, KEY_RETIRED, "retired"},
    [KEY_DISABLE] = {1u << KEY_ACTIVE | 1u << KEY_RETIRED, KEY_DISABLED, "disabled"},
    [KEY_ENABLE] = {1u << KEY_DISABLED, KEY_RETIRED, "enabled"},
    [KEY_DESTROY] = {1u << KEY_RETIRED | 1u << KEY_DISABLED, KEY_DESTROYED, "destroyed"},
};

struct result ring_change(struct ring_key *key, struct ring_version *version,
                          enum key_change change, struct err *err)
{
    if ((changes[change].from & 1u << version->state) == 0) {
        (void)fail(err, ERR_POLICY, "version %u of key '%s' is %s and cannot be %s",
                   version->number, key->name, key_state_name(version->state),
                   changes[change].verb);
        if (change == KEY_DESTROY && version->state == KEY_ACTIVE)
            err_hint(err, "'bulla key rotate' or 'bulla key retire' comes first");
        return FAIL;
    }
    version->state = changes[change].to;
    if (version->state == KEY_DESTROYED) {
        secret_free(&version->key);
        memset(version->wrapped, 0, sizeof version->wrapped);
    }
    return OK;
}

struct ring_key *ring_find(const struct ring *ring, const char *name)
{
    for (size_t i = 0; i < ring->key_count; i++)
        if (strcmp(ring->keys[i].name, name) == 0)
            return &ring->keys[i];
    return NULL;
}

struct ring_key *ring_find_id(const struct ring *ring, const uint8_t id[SLOT_KEY_ID_SIZE])
{
    for (size_t i = 0; i < ring->key_count; i++)
        if (memcmp(ring->keys[i].id, id, SLOT_KEY_ID_SIZE) == 0)
            return &ring->keys[i];
    return NULL;
}

struct ring_version *ring_active(const struct ring_key *key)
{
    for (size_t i = 0; i < key->version_count; i++)
        if (key->versions[i].state == KEY_ACTIVE)
            return &key->versions[i];
    return NULL;
}

struct ring_version *ring_version(const struct ring_key *key, uint32_t number)
{
    for (size_t i = 0; i < key->version_count; i++)
        if (key->versions[i].number == number)
            return &key->versions[i];
    return NULL;
}

uint32_t ring_highest(const struct ring_key *key)
{
    return key->version_count == 0 ? 0 : key->versions[key->version_count - 1].number;
}

size_t ring_destroyed(const struct ring *ring)
{
    size_t count = 0;

    for (size_t k = 0; k < ring->key_count; k++)
        for (size_t v = 0; v < ring->keys[k].version_count; v++)
            count += ring->keys[k].versions[v].state == KEY_DESTROYED;
    return count;
}

void ring_free(struct ring *ring)
{
    for (size_t i = 0; i < ring->key_count; i++) {
        for (size_t v = 0; v < ring->keys[i].version_count; v++)
            secret_free(&ring->keys[i].versions[v].key);
        free(ring->keys[i].versions);
    }
    secret_free(&ring->kek);
    free(ring->keys);
    *ring = (struct ring){0};
}
