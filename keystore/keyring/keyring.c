#include "keystore/keyring/keyring.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>

#include "base/text.h"
#include "crypto/xaes.h"
#include "keystore/keyring/public.h"
#include "keystore/keyring/ring_file.h"

#define FALLBACK_NAME "key"
#define HPKE_INFO "bulla/v1 branch key"

/* struct reference: PATH, PATH#NAME or PATH#NAME:VERSION, taken apart; {0} is empty. */
struct reference {
    char *path;
    char name[RING_NAME_MAX + 1]; /* empty = every key of the file */
    uint32_t version;             /* 0 = every version, and the active one for wrapping */
};

#define REFERENCE_CLEANUP __attribute__((cleanup(reference_free)))

/* struct keyring: a keyring file, or a public key file, which can wrap only. */
struct keyring {
    struct master_key key;
    const struct keystore_env *env;
    struct reference at;
    struct ring ring;
    bool asked; /* for the passphrase: a wrong one is never tried twice */
    bool is_public;
    struct public_key public_key;
};

static void reference_free(struct reference *r)
{
    free(r->path);
    *r = (struct reference){0};
}

/* Reads NAME or NAME:VERSION; false if it is neither. */
static bool split_name(struct reference *r, const char *text)
{
    size_t size = strcspn(text, ":");
    const char *digits = text[size] == ':' ? text + size + 1 : NULL;
    uint64_t version = 0;

    if (size > RING_NAME_MAX)
        return false;
    memcpy(r->name, text, size);
    r->name[size] = '\0';
    for (const char *c = digits; c != NULL && *c != '\0'; c++) {
        version = 10 * version + (uint64_t)(*c - '0');
        if (*c < '0' || *c > '9' || version > UINT32_MAX)
            return false;
    }
    r->version = (uint32_t)version;
    return ring_name_allowed(r->name) && (digits == NULL || version > 0);
}

/* Takes a reference apart; a '#' with nothing allowed behind it is part of the path. */
static struct result split(struct reference *r, const char *text, struct err *err)
{
    const char *hash = strrchr(text, '#');
    bool named = hash != NULL && split_name(r, hash + 1);

    if (!named) {
        r->name[0] = '\0';
        r->version = 0;
    }
    r->path = named ? strndup(text, (size_t)(hash - text)) : strdup(text);
    if (r->path == NULL)
        return fail(err, ERR_FAILED, "out of memory");
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
    reference_free(&k->at);
    free(k);
}

static struct result no_such_version(const struct reference *at, struct err *err)
{
    return fail(err, ERR_FAILED, "key '%s' of keyring '%s' has no version %u", at->name, at->path,
                at->version);
}

static struct result load(struct keyring *k, const char *reference, struct err *err)
{
    struct place place PLACE_CLEANUP = {0};

    if (!split(&k->at, reference, err).ok || !place_open(&place, k->at.path, err).ok ||
        !public_load(&k->public_key, &place, &k->is_public, err).ok)
        return FAIL;
    if (k->is_public)
        return OK;
    if (!ring_load(&k->ring, &place, err).ok)
        return FAIL;
    if (k->at.name[0] == '\0')
        return OK;
    const struct ring_key *key = ring_find(&k->ring, k->at.name);
    if (key == NULL)
        return no_such_key(k->at.path, k->at.name, err);
    if (k->at.version != 0 && ring_version(key, k->at.version) == NULL)
        return no_such_version(&k->at, err);
    return OK;
}

static struct result keyring_open(struct master_key **out, const struct keystore_env *env,
                                  const char *reference, struct err *err)
{
    struct keyring *k = calloc(1, sizeof *k);

    if (k == NULL)
        return fail(err, ERR_FAILED, "out of memory");
    k->key.ops = &keyring_ops;
    k->env = env;
    if (!load(k, reference, err).ok) {
        keyring_close(&k->key);
        return FAIL;
    }
    *out = &k->key;
    return OK;
}

/* The key that a reference means where there can be but one: the one that is named, or the only
 * one. */
static struct result one_key(const struct ring *ring, const struct reference *at,
                             struct ring_key **out, struct err *err)
{
    if (at->name[0] != '\0') {
        *out = ring_find(ring, at->name);
        return *out != NULL ? OK : no_such_key(at->path, at->name, err);
    }
    if (ring->key_count == 1) {
        *out = &ring->keys[0];
        return OK;
    }
    (void)fail(err, ERR_USAGE, "keyring '%s' has %zu keys", at->path, ring->key_count);
    if (ring->key_count > 0)
        err_hint(err, "name one: %s#%s", at->path, ring->keys[0].name);
    else
        err_hint(err, "'bulla key new %s#NAME' makes one", at->path);
    return FAIL;
}

/* Opens a locked ring with its passphrase, which is asked for once. */
static struct result unlock(struct ring *ring, const struct keystore_env *env, const char *path,
                            struct err *err)
{
    struct secret passphrase SECRET_CLEANUP = {0};
    char what[ERR_TEXT_MAX / 2];

    snprintf(what, sizeof what, "passphrase of keyring '%s'", path);
    if (!env->passphrase(env->arg, what, false, &passphrase, err).ok)
        return FAIL;
    if (!ring_unlock(ring, env->crypto, &passphrase, env->kdf_memory_kib, err).ok) {
        err_context(err, "keyring '%s'", path);
        return FAIL;
    }
    return OK;
}

static struct result need_unlocked(struct keyring *k, struct err *err)
{
    if (!ring_locked(&k->ring))
        return OK;
    if (k->asked)
        return fail(err, ERR_NO_KEY, "keyring '%s' is locked", k->at.path);
    k->asked = true;
    return unlock(&k->ring, k->env, k->at.path, err);
}

/* struct wrapping: what a wrap is made with. */
struct wrapping {
    const char *name;
    const uint8_t *id, *public_key; /* NULL for a symmetric key */
    const struct secret *secret;
    uint32_t version;
};

static struct result ring_wrapping(struct keyring *k, struct wrapping *w, struct err *err)
{
    struct ring_key *key;

    if (!one_key(&k->ring, &k->at, &key, err).ok)
        return FAIL;
    const struct ring_version *v = ring_active(key);
    if (v == NULL || (k->at.version != 0 && k->at.version != v->number)) {
        (void)fail(err, ERR_POLICY, "key '%s' of keyring '%s' has no such active version",
                   key->name, k->at.path);
        err_hint(err, "only an active version wraps; 'bulla key rotate' makes one");
        return FAIL;
    }
    *w = (struct wrapping){.name = key->name, .id = key->id, .version = v->number};
    if (key->kind == RING_X25519) {
        w->public_key = v->public_key;
        return OK;
    }
    w->secret = &v->key;
    return need_unlocked(k, err);
}

static struct result keyring_wrap(struct master_key *key, const struct branch_identity *branch,
                                  const struct secret *branch_key, struct slot *slot,
                                  struct err *err)
{
    struct keyring *k = (struct keyring *)key;
    const struct public_key *p = &k->public_key;
    struct wrapping w = {p->name, p->id, p->bytes, NULL, p->version};
    uint8_t aad[SLOT_AAD_MAX];

    if (!k->is_public && !ring_wrapping(k, &w, err).ok)
        return FAIL;
    slot_begin(slot, w.public_key != NULL ? SLOT_KEYRING_X25519 : SLOT_KEYRING_XAES);
    slot_put_fixed(slot, w.id, RING_ID_SIZE);
    slot_put_number(slot, w.version);
    slot_put_sized(slot, w.name, strlen(w.name));
    struct view bound = slot_aad(slot, branch->id, aad);
    if (w.public_key == NULL) {
        slot->wrap_size = KEY_SIZE + XAES_OVERHEAD;
        return xaes_seal(k->env->crypto, w.secret->bytes, bound, branch_key->bytes,
                         branch_key->size, slot->wrap, err);
    }
    slot->wrap_size = KEY_SIZE + HPKE_OVERHEAD;
    struct view info = {(const uint8_t *)HPKE_INFO, strlen(HPKE_INFO)};
    return hpke_seal(k->env->crypto, w.public_key, info, bound, branch_key->bytes, branch_key->size,
                     slot->wrap, err);
}

/* The kind of key that a slot of this store is for; false if it is not of this store. */
static bool slot_kind(const struct slot *slot, enum ring_kind *kind)
{
    *kind = slot->method->code == SLOT_KEYRING_X25519 ? RING_X25519 : RING_SYMMETRIC;
    return slot->method->code == SLOT_KEYRING_X25519 || slot->method->code == SLOT_KEYRING_XAES;
}

/* The key that a slot is of, if this ring and this reference have it. */
static const struct ring_key *slot_owner(const struct keyring *k, const struct slot *slot)
{
    enum ring_kind kind;

    if (!slot_kind(slot, &kind) ||
        (k->at.version != 0 && k->at.version != slot_number(slot, SLOT_KEY_VERSION)))
        return NULL;
    const struct ring_key *key = ring_find_id(&k->ring, slot_view(slot, SLOT_KEY_ID).bytes);
    if (key == NULL || key->kind != kind)
        return NULL;
    return k->at.name[0] == '\0' || strcmp(key->name, k->at.name) == 0 ? key : NULL;
}

static enum slot_match public_match(const struct public_key *key, const struct slot *slot)
{
    enum ring_kind kind;

    if (!slot_kind(slot, &kind) || kind != RING_X25519 ||
        memcmp(slot_view(slot, SLOT_KEY_ID).bytes, key->id, RING_ID_SIZE) != 0)
        return SLOT_OTHER;
    return slot_number(slot, SLOT_KEY_VERSION) == key->version ? SLOT_CURRENT : SLOT_OLD;
}

static enum slot_match keyring_match(const struct master_key *key, const struct slot *slot)
{
    const struct keyring *k = (const struct keyring *)key;
    const struct ring_key *owner = slot_owner(k, slot);

    if (k->is_public)
        return public_match(&k->public_key, slot);
    if (owner == NULL)
        return SLOT_OTHER;
    const struct ring_version *active = ring_active(owner);
    return active != NULL && active->number == slot_number(slot, SLOT_KEY_VERSION) ? SLOT_CURRENT
                                                                                   : SLOT_OLD;
}

static struct result open_wrap(struct keyring *k, const struct ring_version *v,
                               const struct branch_identity *branch, const struct slot *slot,
                               struct secret *branch_key, struct err *err)
{
    struct view info = {(const uint8_t *)HPKE_INFO, strlen(HPKE_INFO)};
    const struct crypto *crypto = k->env->crypto;
    struct secret opened SECRET_CLEANUP = {0};
    uint8_t aad[SLOT_AAD_MAX];

    if (!need_unlocked(k, err).ok || !secret_new(&opened, KEY_SIZE, err).ok)
        return FAIL;
    struct view bound = slot_aad(slot, branch->id, aad);
    struct result r = slot->method->code == SLOT_KEYRING_X25519
                          ? hpke_open(crypto, v->key.bytes, info, bound, slot->wrap,
                                      slot->wrap_size, opened.bytes, err)
                          : xaes_open(crypto, v->key.bytes, bound, slot->wrap, slot->wrap_size,
                                      opened.bytes, err);
    if (r.ok)
        *branch_key = secret_take(&opened);
    return r;
}

static enum unwrapped keyring_unwrap(struct master_key *key, const struct branch_identity *branch,
                                     const struct slot *slot, struct secret *branch_key,
                                     struct err *err)
{
    struct keyring *k = (struct keyring *)key;
    const struct ring_key *owner = slot_owner(k, slot);
    const struct ring_version *v =
        owner == NULL ? NULL : ring_version(owner, slot_number(slot, SLOT_KEY_VERSION));
    struct err why = {0};

    if (v == NULL || v->state == KEY_DESTROYED)
        return UNWRAP_NOT_MINE;
    if (v->state == KEY_DISABLED) {
        (void)fail(err, ERR_POLICY, "version %u of key '%s' in keyring '%s' is disabled", v->number,
                   owner->name, k->at.path);
        return UNWRAP_FAILED;
    }
    if (open_wrap(k, v, branch, slot, branch_key, &why).ok)
        return UNWRAP_OPENED;
    if (why.class == ERR_DAMAGED)
        return UNWRAP_NOT_MINE;
    *err = why;
    return UNWRAP_FAILED;
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
    *info = (struct key_info){.kind = ring_kind_name(key->kind),
                              .version = v->number,
                              .state = v->state,
                              .created = v->created,
                              .rotate_after = key->rotate_after};
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
    return *exists ? ring_load(ring, place, err) : OK;
}

/* Saves a changed ring and reads it back; *info tells of one of its keys as it stands in the file.
 */
static struct result save(const struct ring *ring, const struct place *place, bool replace,
                          const char *name, uint32_t version, struct key_info *info,
                          struct err *err)
{
    struct ring saved RING_CLEANUP = {0};

    if (!ring_save(ring, place, replace, err).ok || !ring_load(&saved, place, err).ok)
        return FAIL;
    const struct ring_key *key = ring_find(&saved, name);
    const struct ring_version *v = key == NULL ? NULL : ring_version(key, version);
    if (v == NULL)
        return fail(err, ERR_FAILED, "keyring '%s' was changed by another program", place->path);
    fill_info(info, key, v);
    return OK;
}

/* A new ring gets a passphrase if one is wanted; an old one that has one is opened by it. */
static struct result ready_ring(struct ring *ring, const struct keystore_env *env, const char *path,
                                bool exists, bool want_passphrase, struct err *err)
{
    struct secret passphrase SECRET_CLEANUP = {0};
    char what[ERR_TEXT_MAX / 2];

    if (exists && want_passphrase)
        return fail(err, ERR_USAGE,
                    "keyring '%s' is there already: 'bulla key passphrase' sets one", path);
    if (exists)
        return ring_locked(ring) ? unlock(ring, env, path, err) : OK;
    if (!want_passphrase)
        return OK;
    snprintf(what, sizeof what, "new passphrase of keyring '%s'", path);
    if (!env->passphrase(env->arg, what, true, &passphrase, err).ok)
        return FAIL;
    return ring_protect(ring, env->crypto, &passphrase, err);
}

static struct result keyring_create(const struct keystore_env *env, const char *reference,
                                    const struct key_wanted *want, struct key_info *info,
                                    struct err *err)
{
    struct reference at REFERENCE_CLEANUP = {0};
    struct place place PLACE_CLEANUP = {0};
    struct ring ring RING_CLEANUP = {0};
    enum ring_kind kind = RING_SYMMETRIC;
    bool exists;

    if (want->kind != NULL && !ring_kind_by_name(want->kind, &kind))
        return fail(err, ERR_USAGE, "--kind is symmetric or x25519, not '%s'", want->kind);
    if (!split(&at, reference, err).ok || !place_open(&place, at.path, err).ok ||
        !lock(&place, err).ok || !ring_for_new(&ring, &place, at.name[0] != '\0', &exists, err).ok)
        return FAIL;
    if (at.version != 0)
        return fail(err, ERR_USAGE, "a new key begins with version 1");
    if (at.name[0] == '\0')
        default_name(&place, at.name);
    if (!ready_ring(&ring, env, at.path, exists, want->passphrase, err).ok)
        return FAIL;
    if (!ring_add(&ring, env->crypto, at.name, kind, want->rotate_after, want->now, err).ok) {
        err_context(err, "keyring '%s'", at.path);
        return FAIL;
    }
    return save(&ring, &place, exists, at.name, 1, info, err);
}

/* struct change: a ring that is about to be changed, locked, and the key that a reference means. */
struct change {
    struct reference at;
    struct place place;
    struct ring ring;
    struct ring_key *key;
};

#define CHANGE_CLEANUP __attribute__((cleanup(change_end)))

static void change_end(struct change *c)
{
    reference_free(&c->at);
    place_close(&c->place);
    ring_free(&c->ring);
}

static struct result change_begin(struct change *c, const char *reference, struct err *err)
{
    if (!split(&c->at, reference, err).ok || !place_open(&c->place, c->at.path, err).ok ||
        !lock(&c->place, err).ok)
        return FAIL;
    return ring_load(&c->ring, &c->place, err);
}

static struct result keyring_rotate(const struct keystore_env *env, const char *reference,
                                    uint64_t now, struct key_info *info, struct err *err)
{
    struct change c CHANGE_CLEANUP = {0};

    if (!change_begin(&c, reference, err).ok || !one_key(&c.ring, &c.at, &c.key, err).ok)
        return FAIL;
    if (c.at.version != 0)
        return fail(err, ERR_USAGE, "a key is rotated, not one of its versions");
    if ((ring_locked(&c.ring) && !unlock(&c.ring, env, c.at.path, err).ok) ||
        !ring_rotate(&c.ring, env->crypto, c.key, now, err).ok)
        return FAIL;
    return save(&c.ring, &c.place, true, c.key->name, ring_active(c.key)->number, info, err);
}

/* The version that a change means: the one that is named, or the active one where that is clear. */
static struct result changed_version(const struct change *c, enum key_change change,
                                     struct ring_version **out, struct err *err)
{
    if (c->at.version != 0) {
        *out = ring_version(c->key, c->at.version);
        return *out != NULL ? OK : no_such_version(&c->at, err);
    }
    *out = change == KEY_RETIRE ? ring_active(c->key) : NULL;
    if (*out != NULL)
        return OK;
    if (change == KEY_RETIRE)
        return fail(err, ERR_POLICY, "key '%s' has no active version", c->key->name);
    (void)fail(err, ERR_USAGE, "no version of key '%s' is named", c->key->name);
    err_hint(err, "name it: %s#%s:VERSION", c->at.path, c->key->name);
    return FAIL;
}

static struct result keyring_change(const char *reference, enum key_change change,
                                    struct key_info *info, struct err *err)
{
    struct change c CHANGE_CLEANUP = {0};
    struct ring_version *version;

    if (!change_begin(&c, reference, err).ok || !one_key(&c.ring, &c.at, &c.key, err).ok ||
        !changed_version(&c, change, &version, err).ok ||
        !ring_change(c.key, version, change, err).ok)
        return FAIL;
    return save(&c.ring, &c.place, true, c.key->name, version->number, info, err);
}

static struct result keyring_protect(const struct keystore_env *env, const char *reference,
                                     bool remove, struct err *err)
{
    struct secret fresh SECRET_CLEANUP = {0};
    struct change c CHANGE_CLEANUP = {0};
    struct ring saved RING_CLEANUP = {0};
    char what[ERR_TEXT_MAX / 2];

    if (!change_begin(&c, reference, err).ok)
        return FAIL;
    if (c.at.name[0] != '\0')
        return fail(err, ERR_USAGE, "a passphrase is for the whole keyring: name '%s'", c.at.path);
    if (ring_locked(&c.ring) && !unlock(&c.ring, env, c.at.path, err).ok)
        return FAIL;
    snprintf(what, sizeof what, "new passphrase of keyring '%s'", c.at.path);
    if (!remove && !env->passphrase(env->arg, what, true, &fresh, err).ok)
        return FAIL;
    if (!ring_protect(&c.ring, env->crypto, remove ? NULL : &fresh, err).ok ||
        !ring_save(&c.ring, &c.place, true, err).ok)
        return FAIL;
    return ring_load(&saved, &c.place, err);
}

static struct result keyring_export_public(const char *reference, char **text, struct err *err)
{
    struct change c CHANGE_CLEANUP = {0};

    if (!change_begin(&c, reference, err).ok || !one_key(&c.ring, &c.at, &c.key, err).ok)
        return FAIL;
    if (c.key->kind != RING_X25519) {
        (void)fail(err, ERR_FAILED, "key '%s' is symmetric and has no public key", c.key->name);
        err_hint(err, "'bulla key new --kind x25519' makes one that has");
        return FAIL;
    }
    const struct ring_version *v =
        c.at.version != 0 ? ring_version(c.key, c.at.version) : ring_active(c.key);
    if (v == NULL || v->state != KEY_ACTIVE)
        return fail(err, ERR_POLICY, "key '%s' has no such active version", c.key->name);
    struct public_key public_key = {.version = v->number, .created = v->created};
    memcpy(public_key.name, c.key->name, sizeof public_key.name);
    memcpy(public_key.id, c.key->id, RING_ID_SIZE);
    memcpy(public_key.bytes, v->public_key, X25519_SIZE);
    return public_text(&public_key, text, err);
}

static struct result keyring_list(const char *reference, const struct key_list_sink *sink,
                                  struct err *err)
{
    struct keyring *k;
    struct master_key *key;

    if (!keyring_open(&key, NULL, reference, err).ok)
        return FAIL;
    k = (struct keyring *)key;
    if (k->is_public) {
        struct key_info info = {.kind = "x25519 public",
                                .version = k->public_key.version,
                                .state = KEY_ACTIVE,
                                .created = k->public_key.created};
        memcpy(info.name, k->public_key.name, sizeof k->public_key.name);
        text_hex(info.id, k->public_key.id, RING_ID_SIZE);
        sink->row(sink->arg, &info);
    }
    for (size_t i = 0; i < k->ring.key_count; i++) {
        const struct ring_key *ring_key = &k->ring.keys[i];
        if (k->at.name[0] != '\0' && strcmp(ring_key->name, k->at.name) != 0)
            continue;
        for (size_t v = 0; v < ring_key->version_count; v++) {
            struct key_info info;
            if (k->at.version != 0 && ring_key->versions[v].number != k->at.version)
                continue;
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
    .match = keyring_match,
    .close = keyring_close,
    .create = keyring_create,
    .rotate = keyring_rotate,
    .change = keyring_change,
    .protect = keyring_protect,
    .export_public = keyring_export_public,
    .list = keyring_list,
};
