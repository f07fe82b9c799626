#include "keystore/keyring/keyring.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>

#include "base/text.h"
#include "crypto/xaes.h"
#include "keystore/keyring/ring.h"

#define FALLBACK_NAME "key"

struct keyring {
    struct master_key key;
    const struct crypto *crypto;
    struct ring ring;
    char *path;
    char name[RING_NAME_MAX + 1]; /* the key that the reference names, or empty for all */
};

/* Splits a reference; a '#' with no allowed name behind it is part of the path. The caller frees.
 */
static struct result split(const char *reference, char **path, char name[RING_NAME_MAX + 1],
                           struct err *err)
{
    const char *hash = strrchr(reference, '#');
    bool named = hash != NULL && ring_name_allowed(hash + 1);

    *path = named ? strndup(reference, (size_t)(hash - reference)) : strdup(reference);
    if (*path == NULL)
        return fail(err, ERR_FAILED, "out of memory");
    name[0] = '\0';
    if (named)
        memcpy(name, hash + 1, strlen(hash + 1) + 1);
    return OK;
}

static struct result no_such_key(const char *path, const char *name, struct err *err)
{
    (void)fail(err, ERR_FAILED, "keyring '%s' has no key '%s'", path, name);
    err_hint(err, "'bulla key list %s' shows its keys", path);
    return FAIL;
}

static void keyring_close(struct master_key *key)
{
    struct keyring *k = (struct keyring *)key;

    ring_free(&k->ring);
    free(k->path);
    free(k);
}

static struct result load(struct keyring *k, const char *reference, struct err *err)
{
    struct place place PLACE_CLEANUP = {0};

    if (!split(reference, &k->path, k->name, err).ok || !place_open(&place, k->path, err).ok ||
        !ring_load(&k->ring, &place, NULL, err).ok)
        return FAIL;
    if (k->name[0] != '\0' && ring_find(&k->ring, k->name) == NULL)
        return no_such_key(k->path, k->name, err);
    return OK;
}

static struct result keyring_open(struct master_key **out, const struct crypto *crypto,
                                  const char *reference, struct err *err)
{
    struct keyring *k = calloc(1, sizeof *k);

    if (k == NULL)
        return fail(err, ERR_FAILED, "out of memory");
    k->key.ops = &keyring_ops;
    k->crypto = crypto;
    if (!load(k, reference, err).ok) {
        keyring_close(&k->key);
        return FAIL;
    }
    *out = &k->key;
    return OK;
}

/* The key that wraps: the one that is named, or the only one. */
static struct result wrapping_key(const struct keyring *k, const struct ring_key **out,
                                  struct err *err)
{
    if (k->name[0] != '\0') {
        *out = ring_find(&k->ring, k->name);
        return OK;
    }
    if (k->ring.key_count == 1) {
        *out = &k->ring.keys[0];
        return OK;
    }
    (void)fail(err, ERR_USAGE, "keyring '%s' has %zu keys", k->path, k->ring.key_count);
    if (k->ring.key_count > 0)
        err_hint(err, "name one: %s#%s", k->path, k->ring.keys[0].name);
    else
        err_hint(err, "'bulla key new %s#NAME' makes one", k->path);
    return FAIL;
}

static struct result keyring_wrap(struct master_key *key, const struct branch_identity *branch,
                                  const struct secret *branch_key, struct slot *slot,
                                  struct err *err)
{
    struct keyring *k = (struct keyring *)key;
    const struct ring_key *ring_key;
    uint8_t aad[SLOT_AAD_MAX];

    if (!wrapping_key(k, &ring_key, err).ok)
        return FAIL;
    const struct ring_version *v = ring_active(ring_key);
    if (v == NULL)
        return fail(err, ERR_POLICY, "key '%s' of keyring '%s' has no active version",
                    ring_key->name, k->path);
    slot_begin(slot, SLOT_KEYRING_XAES);
    slot_put_fixed(slot, ring_key->id, RING_ID_SIZE);
    slot_put_number(slot, v->number);
    slot_put_sized(slot, ring_key->name, strlen(ring_key->name));
    slot->wrap_size = KEY_SIZE + XAES_OVERHEAD;
    return xaes_seal(k->crypto, v->key.bytes, slot_aad(slot, branch->id, aad), branch_key->bytes,
                     branch_key->size, slot->wrap, err);
}

/* The version that a slot names, if this ring and this reference have it. */
static const struct ring_version *slot_version(const struct keyring *k, const struct slot *slot,
                                               const struct ring_key **owner)
{
    if (slot->method->code != SLOT_KEYRING_XAES)
        return NULL;
    *owner = ring_find_id(&k->ring, slot_view(slot, SLOT_KEY_ID).bytes);
    if (*owner == NULL || (k->name[0] != '\0' && strcmp((*owner)->name, k->name) != 0))
        return NULL;
    return ring_version(*owner, slot_number(slot, SLOT_KEY_VERSION));
}

static enum unwrapped keyring_unwrap(struct master_key *key, const struct branch_identity *branch,
                                     const struct slot *slot, struct secret *branch_key,
                                     struct err *err)
{
    struct keyring *k = (struct keyring *)key;
    struct secret opened SECRET_CLEANUP = {0};
    const struct ring_key *owner;
    uint8_t aad[SLOT_AAD_MAX];
    const struct ring_version *v = slot_version(k, slot, &owner);

    if (v == NULL || v->state == KEY_DESTROYED)
        return UNWRAP_NOT_MINE;
    if (v->state == KEY_DISABLED) {
        (void)fail(err, ERR_POLICY, "version %u of key '%s' in keyring '%s' is disabled", v->number,
                   owner->name, k->path);
        return UNWRAP_FAILED;
    }
    struct err why = {0};
    if (!secret_new(&opened, KEY_SIZE, &why).ok ||
        !xaes_open(k->crypto, v->key.bytes, slot_aad(slot, branch->id, aad), slot->wrap,
                   slot->wrap_size, opened.bytes, &why)
             .ok) {
        if (why.class == ERR_DAMAGED)
            return UNWRAP_NOT_MINE;
        *err = why;
        return UNWRAP_FAILED;
    }
    *branch_key = secret_take(&opened);
    return UNWRAP_OPENED;
}

/* A name for a key nobody named: that of the file, without what follows its last dot. */
static void default_name(const struct place *place, char name[RING_NAME_MAX + 1])
{
    const char *dot = strrchr(place->name, '.');
    size_t size =
        dot != NULL && dot != place->name ? (size_t)(dot - place->name) : strlen(place->name);

    memcpy(name, FALLBACK_NAME, sizeof FALLBACK_NAME);
    if (size > RING_NAME_MAX)
        return;
    char candidate[RING_NAME_MAX + 1];
    memcpy(candidate, place->name, size);
    candidate[size] = '\0';
    if (ring_name_allowed(candidate))
        memcpy(name, candidate, size + 1);
}

static void fill_info(struct key_info *info, const struct ring_key *key,
                      const struct ring_version *v)
{
    *info = (struct key_info){.kind = "keyring symmetric",
                              .version = v->number,
                              .state = v->state,
                              .created = v->created};
    memcpy(info->name, key->name, sizeof key->name);
    text_hex(info->id, key->id, RING_ID_SIZE);
}

/* Locks the directory of a keyring, so that two programs that change keyrings there take turns. */
static struct result lock(const struct place *place, struct err *err)
{
    while (flock(place->dir, LOCK_EX) != 0)
        if (errno != EINTR)
            return fail_errno(err, "cannot lock the folder of '%s'", place->path);
    return OK;
}

/* The ring to add to: what is there if a key is named, else a new one. */
static struct result ring_for_new(struct ring *ring, const struct place *place, bool named,
                                  bool *exists, struct err *err)
{
    struct stat st;

    if (!place_stat(place, &st, exists, err).ok)
        return FAIL;
    if (*exists && !named) {
        (void)fail(err, ERR_FAILED, "'%s' already exists", place->path);
        err_hint(err, "'bulla key new %s#NAME' adds a key to it", place->path);
        return FAIL;
    }
    return *exists ? ring_load(ring, place, NULL, err) : OK;
}

static struct result keyring_create(const char *reference, uint64_t now, struct key_info *info,
                                    struct err *err)
{
    struct place place PLACE_CLEANUP = {0};
    struct ring ring RING_CLEANUP = {0};
    char *path STRING_CLEANUP = NULL;
    char name[RING_NAME_MAX + 1];
    bool exists;

    if (!split(reference, &path, name, err).ok || !place_open(&place, path, err).ok ||
        !lock(&place, err).ok || !ring_for_new(&ring, &place, name[0] != '\0', &exists, err).ok)
        return FAIL;
    if (name[0] == '\0')
        default_name(&place, name);
    if (!ring_add(&ring, name, now, err).ok) {
        err_context(err, "keyring '%s'", path);
        return FAIL;
    }
    struct ring saved RING_CLEANUP = {0};
    if (!ring_save(&ring, &place, exists, err).ok || !ring_load(&saved, &place, NULL, err).ok)
        return FAIL;
    const struct ring_key *made = ring_find(&saved, name);
    if (made == NULL)
        return fail(err, ERR_FAILED, "keyring '%s' was changed by another program", path);
    fill_info(info, made, ring_active(made));
    return OK;
}

static struct result keyring_list(const char *reference, const struct key_list_sink *sink,
                                  struct err *err)
{
    struct keyring *k;
    struct master_key *key;

    if (!keyring_open(&key, NULL, reference, err).ok)
        return FAIL;
    k = (struct keyring *)key;
    for (size_t i = 0; i < k->ring.key_count; i++) {
        const struct ring_key *ring_key = &k->ring.keys[i];
        if (k->name[0] != '\0' && strcmp(ring_key->name, k->name) != 0)
            continue;
        for (size_t v = 0; v < ring_key->version_count; v++) {
            struct key_info info;
            fill_info(&info, ring_key, &ring_key->versions[v]);
            sink->row(sink->arg, &info);
        }
    }
    keyring_close(key);
    return OK;
}

const struct keystore_ops keyring_ops = {
    .name = "keyring",
    .open = keyring_open,
    .wrap = keyring_wrap,
    .unwrap = keyring_unwrap,
    .close = keyring_close,
    .create = keyring_create,
    .list = keyring_list,
};
