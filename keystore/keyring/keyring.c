#include "keystore/keyring/keyring.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/descriptor.h"
#include "keystore/key_age.h"
#include "keystore/keyring/known_passphrase.h"
#include "keystore/keyring/manage_keys.h"
#include "keystore/keyring/reference.h"
#include "keystore/keyring/sealing_version.h"

/* struct keyring: a keyring file, or a public key file, which can wrap only. */
static const struct keystore_ops keyring_ops;

struct keyring {
    struct master_key key;
    const struct keystore_env *env;
    struct reference at;
    struct ring ring;
    struct known_passphrase *unlock; /* NULL if it was not locked when it was opened */
    bool is_public;
    struct public_key public_key;
    struct sealing_version used;
};

static void keyring_close(struct master_key *key)
{
    struct keyring *k = (struct keyring *)key;

    sealing_version_drop(&k->used);
    known_passphrase_drop(k->unlock);
    ring_free(&k->ring);
    reference_free(&k->at);
    free(k);
}

static struct result keyring_open(struct master_key **out, const struct keystore_env *env,
                                  const char *reference, struct err *err)
{
    struct keyring *k = calloc(1, sizeof *k);

    if (k == NULL)
        return fail_memory(err);
    k->key.ops = &keyring_ops;
    k->env = env;
    k->used.held = -1;
    if (!reference_load(&k->at, reference, env, &k->ring, &k->public_key, &k->is_public, err).ok ||
        (ring_locked(&k->ring) && !known_passphrase_hold(&k->unlock, &k->ring.file, err).ok)) {
        keyring_close(&k->key);
        return FAIL;
    }
    *out = &k->key;
    return OK;
}

static struct result keyring_file(const char *reference, char **path, struct err *err)
{
    struct reference at REFERENCE_CLEANUP = {0};

    if (!reference_split(&at, reference, err).ok)
        return FAIL;
    *path = at.path;
    at.path = NULL;
    return OK;
}

static bool keyring_seals_only(const struct master_key *key)
{
    return ((const struct keyring *)key)->is_public;
}

static bool keyring_reopens(const struct master_key *key)
{
    const struct keyring *k = (const struct keyring *)key;

    return !k->is_public && !ring_locked(&k->ring);
}

static bool keyring_overdue(const struct master_key *key, uint64_t now, struct key_info *info)
{
    const struct keyring *k = (const struct keyring *)key;
    struct err ignored;
    struct ring_key *ring_key;

    if (k->is_public || !reference_key(&k->at, &k->ring, &ring_key, &ignored).ok)
        return false;
    const struct ring_version *v = ring_active(ring_key);
    if (v == NULL)
        return false;
    *info = (struct key_info){.version = v->number,
                              .state = v->state,
                              .created = v->created,
                              .rotate_after = ring_key->rotate_after};
    memcpy(info->name, ring_key->name, sizeof ring_key->name);
    return key_age_overdue(info, now);
}

static bool keyring_lives_in(const struct master_key *key, const struct stat *st)
{
    const struct keyring *k = (const struct keyring *)key;

    struct stat now;

    /* The keyring may have been replaced since it was read. */
    return file_same(k->is_public ? &k->public_key.file : &k->ring.file, st) ||
           (stat(k->at.path, &now) == 0 && file_same(&now, st));
}

static struct result need_unlocked(struct keyring *k, struct err *err)
{
    if (!ring_locked(&k->ring))
        return OK;
    return known_passphrase_ring(k->unlock, &k->at, &k->ring, k->env, err);
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

    if (!reference_key(&k->at, &k->ring, &key, err).ok)
        return FAIL;
    const struct ring_version *v = ring_active(key);
    if (v == NULL || (k->at.version != 0 && k->at.version != v->number)) {
        (void)fail(err, ERR_POLICY, "key '%s' of keyring '%s' has no %sactive version", key->name,
                   k->at.path, k->at.version != 0 ? "such " : "");
        return fail_hint(err, "only an active version wraps; 'bulla key rotate' makes one");
    }
    *w = (struct wrapping){.name = key->name, .id = key->id, .version = v->number};
    if (key->kind == RING_X25519) {
        w->public_key = v->public_key;
        return OK;
    }
    w->secret = &v->key;
    return need_unlocked(k, err);
}

static struct result keyring_still_active(struct master_key *key, struct err *err)
{
    return sealing_version_check(&((struct keyring *)key)->used, err);
}

/* The version is the same for every wrap. */
static struct result use_version(struct keyring *k, const struct wrapping *w, struct err *err)
{
    struct sealing_version *u = &k->used;

    if (u->version == 0) {
        u->path = k->at.path;
        u->given = descriptor_number(k->at.path);
        u->credentials = k->env->credentials;
        u->is_public = k->is_public;
        u->seen = k->is_public ? k->public_key.file : k->ring.file;
        memcpy(u->name, w->name, strlen(w->name) + 1);
        memcpy(u->id, w->id, SLOT_KEY_ID_SIZE);
        u->version = w->version;
    }
    return sealing_version_take(u, err);
}

static struct result keyring_wrap(struct master_key *key, const struct branch_identity *branch,
                                  const struct secret *branch_key, struct slot *slot,
                                  struct err *err)
{
    struct keyring *k = (struct keyring *)key;
    const struct public_key *p = &k->public_key;
    struct wrapping w = {p->name, p->id, p->bytes, NULL, p->version};
    uint8_t aad[SLOT_AAD_MAX];

    if ((!k->is_public && !ring_wrapping(k, &w, err).ok) || !use_version(k, &w, err).ok)
        return FAIL;
    slot_begin(slot, w.public_key != NULL ? SLOT_KEYRING_X25519 : SLOT_KEYRING_XAES);
    slot_put_fixed(slot, w.id, SLOT_KEY_ID_SIZE);
    slot_put_number(slot, w.version);
    slot_put_sized(slot, w.name, strlen(w.name));
    const struct hpke_binding binding = {view_text(BRANCH_KEY_LABEL),
                                         slot_aad(slot, branch->id, aad)};
    struct view plain = secret_view(branch_key);
    if (w.public_key == NULL) {
        slot->wrap_size = KEY_SIZE + XAES_OVERHEAD;
        return xaes_seal(k->env->crypto, w.secret->bytes, binding.aad, plain, slot->wrap, err);
    }
    slot->wrap_size = KEY_SIZE + HPKE_OVERHEAD;
    return hpke_seal(k->env->crypto, w.public_key, &binding, plain, slot->wrap, err);
}

/* The kind of key that a slot of this store is for; false if it is not of this store. */
static bool slot_kind(const struct slot *slot, enum ring_kind *kind)
{
    *kind = slot->method->code == SLOT_KEYRING_X25519 ? RING_X25519 : RING_SYMMETRIC;
    return slot->method->code == SLOT_KEYRING_X25519 || slot->method->code == SLOT_KEYRING_XAES;
}

/* The key that a slot is of, in whatever version, if this ring has it. */
static const struct ring_key *slot_key(const struct keyring *k, const struct slot *slot)
{
    enum ring_kind kind;

    if (!slot_kind(slot, &kind))
        return NULL;
    const struct ring_key *key = ring_find_id(&k->ring, slot_view(slot, &keyring_key_id).bytes);
    return key != NULL && key->kind == kind ? key : NULL;
}

static bool is_named(const struct keyring *k, const struct ring_key *key)
{
    return k->at.name[0] == '\0' || strcmp(key->name, k->at.name) == 0;
}

static enum slot_match public_match(const struct public_key *key, const struct slot *slot)
{
    enum ring_kind kind;

    if (!slot_kind(slot, &kind) || kind != RING_X25519 ||
        memcmp(slot_view(slot, &keyring_key_id).bytes, key->id, SLOT_KEY_ID_SIZE) != 0)
        return SLOT_OTHER;
    uint32_t number = slot_number(slot, &keyring_key_version);
    return number > key->version ? SLOT_NEWER : number < key->version ? SLOT_OLD : SLOT_CURRENT;
}

/* What a slot of another version is to a reference that names one version. */
static enum slot_match match_beside(const struct ring_version *v)
{
    return v == NULL || v->state == KEY_DESTROYED ? SLOT_DEAD : SLOT_OTHER;
}

static enum slot_match ring_match(const struct keyring *k, const struct slot *slot)
{
    const struct ring_key *key = slot_key(k, slot);
    bool one = k->at.version != 0;

    if (key == NULL || (!one && !is_named(k, key)))
        return SLOT_OTHER;
    uint32_t number = slot_number(slot, &keyring_key_version);
    const struct ring_version *v = ring_version(key, number);
    if (number > ring_highest(key))
        return SLOT_NEWER;
    if (one && (number != k->at.version || !is_named(k, key)))
        return match_beside(v);
    return v != NULL && v->state == KEY_ACTIVE ? SLOT_CURRENT : SLOT_OLD;
}

static enum slot_match keyring_match(const struct master_key *key, const struct slot *slot)
{
    const struct keyring *k = (const struct keyring *)key;

    return k->is_public ? public_match(&k->public_key, slot) : ring_match(k, slot);
}

static struct result open_wrap(struct keyring *k, const struct ring_version *v,
                               const struct branch_identity *branch, const struct slot *slot,
                               struct secret *branch_key, struct err *err)
{
    const struct crypto *crypto = k->env->crypto;
    struct secret opened SECRET_CLEANUP = {0};
    uint8_t aad[SLOT_AAD_MAX];

    if (!secret_new(&opened, KEY_SIZE, err).ok)
        return FAIL;
    const struct hpke_binding binding = {view_text(BRANCH_KEY_LABEL),
                                         slot_aad(slot, branch->id, aad)};
    struct view sealed = slot_wrap(slot);
    struct result r = slot->method->code == SLOT_KEYRING_X25519
                          ? hpke_open(crypto, v->key.bytes, &binding, sealed, opened.bytes, err)
                          : xaes_open(crypto, v->key.bytes, binding.aad, sealed, opened.bytes, err);
    if (r.ok)
        *branch_key = TAKE(opened);
    return r;
}

/* The newer copy of the ring opens the file: the user must look for that, not for another key. */
static enum unwrapped too_old(const struct keyring *k, const struct ring_key *key, uint32_t number,
                              struct err *err)
{
    (void)fail(err, ERR_POLICY,
               "keyring '%s' is older than the file: the file is sealed to version %u of key '%s', "
               "and the keyring has it up to version %u",
               k->at.path, number, key->name, ring_highest(key));
    err_hint(err, "use the newer copy of the keyring");
    return UNWRAP_FAILED;
}

static enum unwrapped keyring_unwrap(struct master_key *key, const struct branch_identity *branch,
                                     const struct slot *slot, struct secret *branch_key,
                                     struct err *err)
{
    struct keyring *k = (struct keyring *)key;
    const struct ring_key *owner = slot_key(k, slot);
    struct err why = {0};

    if (owner == NULL || !is_named(k, owner))
        return UNWRAP_NOT_MINE;
    uint32_t number = slot_number(slot, &keyring_key_version);
    if (number > ring_highest(owner))
        return too_old(k, owner, number, err);
    const struct ring_version *v = ring_version(owner, number);
    if (v == NULL || v->state == KEY_DESTROYED || (k->at.version != 0 && k->at.version != number))
        return UNWRAP_NOT_MINE;
    if (v->state == KEY_DISABLED) {
        (void)fail(err, ERR_POLICY, "version %u of key '%s' in keyring '%s' is disabled", v->number,
                   owner->name, k->at.path);
        return UNWRAP_FAILED;
    }
    if (!need_unlocked(k, err).ok)
        return UNWRAP_FAILED;
    if (open_wrap(k, v, branch, slot, branch_key, &why).ok)
        return UNWRAP_OPENED;
    if (why.class == ERR_DAMAGED)
        return UNWRAP_NOT_MINE;
    *err = why;
    return UNWRAP_FAILED;
}

static const struct keystore_ops keyring_ops = {
    .name = "keyring",
    .open = keyring_open,
    .wrap = keyring_wrap,
    .unwrap = keyring_unwrap,
    .seals_only = keyring_seals_only,
    .reopens = keyring_reopens,
    .match = keyring_match,
    .still_active = keyring_still_active,
    .close = keyring_close,
    .lives_in = keyring_lives_in,
    .overdue = keyring_overdue,
};

static const struct keystore_admin admin = {
    .create = manage_create,
    .rotate = manage_rotate,
    .change = manage_change,
    .protect = manage_protect,
    .export_public = manage_export_public,
    .list = manage_list,
};

static const struct keystore_scheme schemes[] = {
    {"file:", true, "PATH or file:PATH",
     "a keyring, a public key file or a PEM file; in the\nworking directory ./NAME"},
    {"", false, "PATH#NAME[:VERSION]", "one of the keys of a keyring, or a version of it"},
    {0},
};

const struct keystore keyring_store = {
    .title = "keyring",
    .schemes = schemes,
    .methods = (const struct slot_method *const[]){keyring_methods, NULL},
    .options = (const struct store_option *const[]){NULL},
    .reach = REACH_FILES,
    .ops = &keyring_ops,
    .admin = &admin,
    .file = keyring_file,
    .reads = keyring_file,
};
