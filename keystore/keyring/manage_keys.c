#include "keystore/keyring/manage_keys.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>

#include "base/clock.h"
#include "base/stream.h"
#include "base/text.h"
#include "base/trusted_file.h"
#include "keystore/keyring/public_key.h"
#include "keystore/keyring/reference.h"
#include "keystore/keyring/ring_access.h"
#include "keystore/keyring/ring_file.h"
#include "keystore/keyring/version_lock.h"

#define FALLBACK_NAME "key"
#define LOCK_PAUSE_MS 50
#define LOCK_TRIES 600

/* A name for a key that nobody named: that of the file, without the last dot and what follows it.
 */
static void default_name(const struct place *place, char name[SLOT_KEY_NAME_MAX + 1])
{
    const char *dot = strrchr(place->name, '.');
    size_t size =
        dot != NULL && dot != place->name ? (size_t)(dot - place->name) : strlen(place->name);

    memcpy(name, FALLBACK_NAME, sizeof FALLBACK_NAME);
    if (size > SLOT_KEY_NAME_MAX)
        return;
    char candidate[SLOT_KEY_NAME_MAX + 1];
    memcpy(candidate, place->name, size);
    candidate[size] = '\0';
    if (ring_name_allowed(candidate))
        memcpy(name, candidate, size + 1);
}

/* The bytes that identify the key of a version: for a key pair, those of its public half. */
static void fill_check(struct key_info *info, const struct ring_key *key,
                       const struct ring_version *v)
{
    uint8_t check[RING_CHECK_SIZE];

    if (v->state == KEY_DESTROYED)
        return;
    memcpy(check, v->check, sizeof check);
    if (key->kind == RING_X25519)
        ring_public_check(key->id, v->number, v->public_key, check);
    text_hex(info->check, check, sizeof check);
}

static void fill_info(struct key_info *info, const struct ring *ring, const struct ring_key *key,
                      const struct ring_version *v)
{
    *info = (struct key_info){.kind = ring_kind_name(key->kind),
                              .version = v->number,
                              .highest = ring_highest(key),
                              .destroyed = ring_destroyed(ring),
                              .state = v->state,
                              .created = v->created,
                              .rotate_after = key->rotate_after};
    memcpy(info->name, key->name, sizeof key->name);
    text_hex(info->id, key->id, SLOT_KEY_ID_SIZE);
    fill_check(info, key, v);
}

/* Locks the directory of a keyring, so that programs that change keyrings there take turns. Others
 * may hold such a lock for ever: after a while we give up. */
static struct result lock(const struct place *place, struct err *err)
{
    if (!place_readable(place, err).ok)
        return FAIL;
    for (int tries = 0; flock(place->dir, LOCK_EX | LOCK_NB) != 0; tries++) {
        if (stream_interrupted())
            return fail(err, ERR_INTERRUPTED, "interrupted");
        if (errno != EWOULDBLOCK && errno != EINTR)
            return fail_errno(err, "cannot lock the directory of '%s'", place->path);
        if (tries == LOCK_TRIES)
            return fail(err, ERR_FAILED, "another program holds a lock on the directory of '%s'",
                        place->path);
        (void)clock_wait(LOCK_PAUSE_MS);
    }
    return OK;
}

/* The ring to add to: what is there if a key is named, else a new one. */
static struct result ring_for_new(struct ring *ring, const struct place *place, bool named,
                                  const char *credentials, bool *exists, struct err *err)
{
    struct stat st;

    if (!place_stat(place, &st, exists, err).ok)
        return FAIL;
    if (*exists && !named) {
        (void)fail(err, ERR_EXISTS, "'%s' already exists", place->path);
        if (S_ISREG(st.st_mode))
            err_hint(err, "'bulla key new %s#NAME' adds a key to a keyring", place->path);
        return FAIL;
    }
    if (!ring_access_change(place, *exists, credentials, err).ok)
        return FAIL;
    return *exists ? ring_file_load(ring, place, credentials, err) : OK;
}

/* Saves a changed ring and reads it back. If only that fails, the text says that it was saved. */
static struct result save_ring(const struct ring *ring, const struct place *place, bool replace,
                               struct ring *saved, struct err *err)
{
    if (!ring_file_save(ring, place, replace, err).ok)
        return FAIL;
    if (ring_file_load(saved, place, NULL, err).ok)
        return OK;
    err_done(err, "keyring '%s' was written, but could not be read back", place->path);
    return FAIL;
}

/* The same; *info tells of one of its keys as it stands in the file. */
static struct result save(const struct ring *ring, const struct place *place, bool replace,
                          const char *name, uint32_t version, struct key_info *info,
                          struct err *err)
{
    struct ring saved RING_CLEANUP = {0};

    if (!save_ring(ring, place, replace, &saved, err).ok)
        return FAIL;
    const struct ring_key *key = ring_find(&saved, name);
    const struct ring_version *v = key == NULL ? NULL : ring_version(key, version);
    if (v == NULL)
        return fail(err, ERR_FAILED, "keyring '%s' was changed by another program", place->path);
    fill_info(info, &saved, key, v);
    return OK;
}

/* A new ring gets a passphrase if one is wanted; an old one that has one is opened by it. */
static struct result ready_ring(struct ring *ring, const struct keystore_env *env,
                                const struct reference *at, bool exists, bool want_passphrase,
                                struct err *err)
{
    struct secret passphrase SECRET_CLEANUP = {0};
    char what[ERR_TEXT_MAX / 2];

    if (exists && want_passphrase)
        return fail(err, ERR_USAGE,
                    "keyring '%s' is there already: 'bulla key passphrase' sets one", at->path);
    if (exists)
        return ring_locked(ring) ? reference_unlock(at, ring, env, err) : OK;
    if (!want_passphrase)
        return OK;
    snprintf(what, sizeof what, "new passphrase of keyring '%s'", at->path);
    if (!env->passphrase(env->arg, what, WANT_NEW_PASSPHRASE, &passphrase, err).ok)
        return FAIL;
    return ring_protect(ring, env->crypto, &passphrase, err);
}

struct result manage_create(const struct keystore_env *env, const char *reference,
                            const struct key_wanted *want, struct key_info *info, struct err *err)
{
    struct reference at REFERENCE_CLEANUP = {0};
    struct place place PLACE_CLEANUP = {0};
    struct ring ring RING_CLEANUP = {0};
    enum ring_kind kind = RING_SYMMETRIC;
    bool exists;

    if (want->kind != NULL && !ring_kind_by_name(want->kind, &kind))
        return fail(err, ERR_USAGE, "--kind is symmetric or x25519, not '%s'", want->kind);
    if (!reference_split(&at, reference, err).ok || !ring_access_path(at.path, err).ok ||
        !place_open_new(&place, at.path, err).ok || !trusted_place(at.path, "keyring", err).ok ||
        !lock(&place, err).ok ||
        !ring_for_new(&ring, &place, at.name[0] != '\0', env->credentials, &exists, err).ok)
        return FAIL;
    if (at.version != 0)
        return fail(err, ERR_USAGE, "a new key begins with version 1");
    if (want->now > TEXT_TIME_MAX)
        return fail(err, ERR_FAILED, "the clock of this machine is wrong");
    if (at.name[0] == '\0')
        default_name(&place, at.name);
    if (!ready_ring(&ring, env, &at, exists, want->passphrase, err).ok)
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

static struct result change_begin(struct change *c, const struct keystore_env *env,
                                  const char *reference, struct err *err)
{
    if (!reference_split(&c->at, reference, err).ok || !ring_access_path(c->at.path, err).ok ||
        !place_open(&c->place, c->at.path, err).ok ||
        !ring_access_change(&c->place, true, env->credentials, err).ok || !lock(&c->place, err).ok)
        return FAIL;
    return ring_file_load(&c->ring, &c->place, NULL, err);
}

struct result manage_rotate(const struct keystore_env *env, const char *reference, uint64_t now,
                            struct key_info *info, struct err *err)
{
    struct change c CHANGE_CLEANUP = {0};

    if (!change_begin(&c, env, reference, err).ok || !reference_key(&c.at, &c.ring, &c.key, err).ok)
        return FAIL;
    if (c.at.version != 0)
        return fail(err, ERR_USAGE, "a key is rotated, not one of its versions");
    if ((ring_locked(&c.ring) && !reference_unlock(&c.at, &c.ring, env, err).ok) ||
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
        return *out != NULL ? OK : reference_no_version(&c->at, err);
    }
    *out = change == KEY_RETIRE ? ring_active(c->key) : NULL;
    if (*out != NULL)
        return OK;
    if (change == KEY_RETIRE)
        return fail(err, ERR_POLICY, "key '%s' has no active version", c->key->name);
    (void)fail(err, ERR_USAGE, "no version of key '%s' is named", c->key->name);
    return fail_hint(err, "name it: %s#%s:VERSION", c->at.path, c->key->name);
}

static struct result check_unused(const struct change *c, const struct ring_version *version,
                                  struct err *err)
{
    if (!version_lock_anywhere(&c->place, c->key->id, version->number))
        return OK;
    (void)fail(err, ERR_POLICY, "version %u of key '%s' is in use: a run on this host seals to it",
               version->number, c->key->name);
    return fail_hint(err, "wait until that run ends; 'ps -fC bulla' shows what runs");
}

/* Every version that counted as a way in when the files were looked at must still be there. */
static struct result check_others(const struct change *c, const struct key_info *looked,
                                  struct err *err)
{
    if (ring_destroyed(&c->ring) == looked->destroyed)
        return OK;
    (void)fail(err, ERR_POLICY, "another version in keyring '%s' was destroyed meanwhile",
               c->at.path);
    return fail_hint(err, "run it again: files may need this one now");
}

struct result manage_change(const struct keystore_env *env, const char *reference,
                            enum key_change change, struct key_info *info, struct err *err)
{
    struct change c CHANGE_CLEANUP = {0};
    bool asks = change == KEY_MAY_DESTROY, destroys = change == KEY_DESTROY;
    struct ring_version *version;

    change = asks ? KEY_DESTROY : change;
    if (!change_begin(&c, env, reference, err).ok ||
        !reference_key(&c.at, &c.ring, &c.key, err).ok ||
        !changed_version(&c, change, &version, err).ok ||
        !ring_change(c.key, version, change, err).ok ||
        ((asks || destroys) && !check_unused(&c, version, err).ok) ||
        (destroys && !check_others(&c, info, err).ok))
        return FAIL;
    if (asks)
        fill_info(info, &c.ring, c.key, version);
    return asks ? OK : save(&c.ring, &c.place, true, c.key->name, version->number, info, err);
}

struct result manage_protect(const struct keystore_env *env, const char *reference, bool remove,
                             struct err *err)
{
    struct secret fresh SECRET_CLEANUP = {0};
    struct change c CHANGE_CLEANUP = {0};
    struct ring saved RING_CLEANUP = {0};
    char what[ERR_TEXT_MAX / 2];

    if (!change_begin(&c, env, reference, err).ok)
        return FAIL;
    if (c.at.name[0] != '\0')
        return fail(err, ERR_USAGE, "a passphrase is for the whole keyring: name '%s'", c.at.path);
    if (ring_locked(&c.ring) && !reference_unlock(&c.at, &c.ring, env, err).ok)
        return FAIL;
    snprintf(what, sizeof what, "new passphrase of keyring '%s'", c.at.path);
    if (!remove && !env->passphrase(env->arg, what, WANT_NEW_PASSPHRASE, &fresh, err).ok)
        return FAIL;
    if (!ring_protect(&c.ring, env->crypto, remove ? NULL : &fresh, err).ok)
        return FAIL;
    return save_ring(&c.ring, &c.place, true, &saved, err);
}

static struct result export_version(const struct ring_key *key, const struct ring_version *v,
                                    char **text, struct err *err)
{
    struct public_key public_key = {.version = v->number, .created = v->created};

    memcpy(public_key.name, key->name, sizeof public_key.name);
    memcpy(public_key.id, key->id, SLOT_KEY_ID_SIZE);
    memcpy(public_key.bytes, v->public_key, X25519_SIZE);
    return public_key_text(&public_key, text, err);
}

struct result manage_export_public(const struct keystore_env *env, const char *reference,
                                   char **text, struct err *err)
{
    struct reference at REFERENCE_CLEANUP = {0};
    struct ring ring RING_CLEANUP = {0};
    struct public_key public_key;
    struct ring_key *key;
    bool is_public;

    if (!reference_load(&at, reference, env, &ring, &public_key, &is_public, err).ok)
        return FAIL;
    if (is_public)
        return fail(err, ERR_FAILED, "'%s' is a public key already", at.path);
    if (!reference_key(&at, &ring, &key, err).ok)
        return FAIL;
    if (key->kind != RING_X25519) {
        (void)fail(err, ERR_FAILED, "key '%s' is symmetric and has no public key", key->name);
        return fail_hint(err, "'bulla key new --kind x25519' makes one that has");
    }
    const struct ring_version *v =
        at.version != 0 ? ring_version(key, at.version) : ring_active(key);
    if (v == NULL || v->state != KEY_ACTIVE)
        return fail(err, ERR_POLICY, "key '%s' has no such active version", key->name);
    return export_version(key, v, text, err);
}

static void list_public(const struct public_key *key, const struct key_sink *sink)
{
    struct key_info info = {.kind = "x25519 public",
                            .version = key->version,
                            .highest = key->version,
                            .state = KEY_ACTIVE,
                            .created = key->created};

    uint8_t check[RING_CHECK_SIZE];

    memcpy(info.name, key->name, sizeof key->name);
    text_hex(info.id, key->id, SLOT_KEY_ID_SIZE);
    ring_public_check(key->id, key->version, key->bytes, check);
    text_hex(info.check, check, sizeof check);
    sink->row(sink->arg, &info);
}

static void list_ring(const struct ring *ring, const struct reference *at,
                      const struct key_sink *sink)
{
    for (size_t i = 0; i < ring->key_count; i++) {
        const struct ring_key *key = &ring->keys[i];
        if (at->name[0] != '\0' && strcmp(key->name, at->name) != 0)
            continue;
        for (size_t v = 0; v < key->version_count; v++) {
            struct key_info info;
            if (at->version != 0 && key->versions[v].number != at->version)
                continue;
            fill_info(&info, ring, key, &key->versions[v]);
            sink->row(sink->arg, &info);
        }
    }
}

struct result manage_list(const struct keystore_env *env, const char *reference,
                          const struct key_sink *sink, struct err *err)
{
    struct reference at REFERENCE_CLEANUP = {0};
    struct ring ring RING_CLEANUP = {0};
    struct public_key public_key;
    bool is_public;

    if (!reference_load(&at, reference, env, &ring, &public_key, &is_public, err).ok)
        return FAIL;
    if (is_public)
        list_public(&public_key, sink);
    else
        list_ring(&ring, &at, sink);
    return OK;
}
