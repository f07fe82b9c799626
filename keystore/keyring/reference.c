#include "keystore/keyring/reference.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/descriptor.h"
#include "base/secret_file.h"
#include "keystore/keyring/ring_file.h"

void reference_free(struct reference *r)
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

    if (size > SLOT_KEY_NAME_MAX)
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

struct result reference_split(struct reference *r, const char *text, struct err *err)
{
    const char *hash = strrchr(text, '#');
    bool named = hash != NULL && split_name(r, hash + 1);

    if (!named) {
        r->name[0] = '\0';
        r->version = 0;
    }
    r->path = named ? strndup(text, (size_t)(hash - text)) : strdup(text);
    if (r->path == NULL)
        return fail_memory(err);
    return OK;
}

static struct result no_such_key(const char *path, const char *name, struct err *err)
{
    (void)fail(err, ERR_FAILED, "keyring '%s' has no key '%s'", path, name);
    return fail_hint(err, "'bulla key list %s' shows its keys", path);
}

struct result reference_no_version(const struct reference *at, struct err *err)
{
    return fail(err, ERR_FAILED, "key '%s' of keyring '%s' has no version %u", at->name, at->path,
                at->version);
}

struct result reference_key(const struct reference *at, const struct ring *ring,
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

struct result reference_ask(const struct reference *at, const struct keystore_env *env,
                            struct secret *passphrase, struct err *err)
{
    char what[ERR_TEXT_MAX / 2];

    snprintf(what, sizeof what, "passphrase of keyring '%s'", at->path);
    return env->passphrase(env->arg, what, WANT_PASSPHRASE, passphrase, err);
}

struct result reference_unlock_by(const struct reference *at, struct ring *ring,
                                  const struct keystore_env *env, const struct secret *passphrase,
                                  struct err *err)
{
    if (ring_unlock(ring, env->crypto, passphrase, env->kdf_memory_kib, err).ok)
        return OK;
    err_context(err, "keyring '%s'", at->path);
    const char *odd = secret_oddity(passphrase);
    if (err->class == ERR_NO_KEY && odd != NULL)
        err_hint(err, "the passphrase %s", odd);
    return FAIL;
}

struct result reference_unlock(const struct reference *at, struct ring *ring,
                               const struct keystore_env *env, struct err *err)
{
    struct secret passphrase SECRET_CLEANUP = {0};

    if (!reference_ask(at, env, &passphrase, err).ok)
        return FAIL;
    return reference_unlock_by(at, ring, env, &passphrase, err);
}

/* A descriptor is in no directory. */
static struct result find_place(struct place *place, char *path, struct err *err)
{
    if (descriptor_number(path) < 0)
        return place_open(place, path, err);
    *place = (struct place){.dir = -1, .path = path};
    return OK;
}

struct result reference_load(struct reference *at, const char *text, const struct keystore_env *env,
                             struct ring *ring, struct public_key *public_key, bool *is_public,
                             struct err *err)
{
    struct place place PLACE_CLEANUP = {0};

    if (!reference_split(at, text, err).ok || !find_place(&place, at->path, err).ok ||
        !public_key_load(public_key, &place, is_public, err).ok)
        return FAIL;
    if (*is_public)
        return OK;
    if (!ring_file_load(ring, &place, env->credentials, err).ok)
        return FAIL;
    if (at->name[0] == '\0')
        return OK;
    const struct ring_key *key = ring_find(ring, at->name);
    if (key == NULL)
        return no_such_key(at->path, at->name, err);
    return at->version == 0 || ring_version(key, at->version) != NULL
               ? OK
               : reference_no_version(at, err);
}
