#include "keystore/branch.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/stream.h"

#define BRANCH_CACHE_MAX 1024

enum unwrapped branch_unwrap_own(struct master_key *key, const struct branch_identity *identity,
                                 const struct slot *slot, const struct secret *branch_key,
                                 struct err *err)
{
    struct secret back SECRET_CLEANUP = {0};
    enum unwrapped u = key->ops->unwrap(key, identity, slot, &back, err);

    if (u != UNWRAP_OPENED || (back.size == branch_key->size &&
                               sodium_memcmp(back.bytes, branch_key->bytes, back.size) == 0))
        return u;
    (void)fail(err, ERR_FAILED, "the %s key store does not unwrap what it wrapped", key->ops->name);
    return UNWRAP_FAILED;
}

struct result branch_wrap(struct master_key *key, const struct branch_identity *identity,
                          const struct secret *branch_key, struct slot *slot, struct err *err)
{
    if (!key->ops->wrap(key, identity, branch_key, slot, err).ok)
        return FAIL;
    if (!key->ops->reopens(key))
        return OK;
    enum unwrapped u = branch_unwrap_own(key, identity, slot, branch_key, err);
    if (u == UNWRAP_NOT_MINE)
        return fail(err, ERR_FAILED, "a wrap by the %s key store does not open again",
                    key->ops->name);
    return u == UNWRAP_OPENED ? OK : FAIL;
}

struct result branch_new(struct branch *b, const struct keyset *keys, const struct context *context,
                         struct err *err)
{
    struct branch made BRANCH_CLEANUP = {0};
    struct branch_identity identity = {made.id, context};

    made.context = *context;

    if (keys->count > SLOTS_MAX)
        return fail(err, ERR_USAGE, "more than %d keys", SLOTS_MAX);
    made.slots = calloc(keys->count, sizeof *made.slots);
    if (made.slots == NULL)
        return fail(err, ERR_FAILED, "out of memory");
    if (!random_bytes(made.id, sizeof made.id, err).ok ||
        !secret_random(&made.key, KEY_SIZE, err).ok)
        return FAIL;
    for (; made.slot_count < keys->count; made.slot_count++) {
        struct master_key *key = keys->keys[made.slot_count];
        if (!branch_wrap(key, &identity, &made.key, &made.slots[made.slot_count], err).ok)
            return FAIL;
    }
    *b = made;
    made = (struct branch){0};
    return OK;
}

void branch_free(struct branch *b)
{
    secret_free(&b->key);
    free(b->slots);
    *b = (struct branch){0};
}

static struct result cache_init(struct branch_cache *cache, struct err *err)
{
    if (cache->keys.bytes != NULL)
        return OK;
    free(cache->ids);
    cache->ids = calloc(BRANCH_CACHE_MAX, sizeof *cache->ids);
    if (cache->ids == NULL)
        return fail(err, ERR_FAILED, "out of memory");
    return secret_new(&cache->keys, (size_t)BRANCH_CACHE_MAX * KEY_SIZE, err);
}

static struct secret cached(const struct branch_cache *cache, size_t i)
{
    return (struct secret){cache->keys.bytes + i * KEY_SIZE, KEY_SIZE};
}

static void remember(struct branch_cache *cache, const uint8_t id[BRANCH_ID_SIZE],
                     const struct secret *key)
{
    memcpy(cache->ids[cache->next], id, BRANCH_ID_SIZE);
    memcpy(cached(cache, cache->next).bytes, key->bytes, KEY_SIZE);
    cache->next = (cache->next + 1) % BRANCH_CACHE_MAX;
    if (cache->count < BRANCH_CACHE_MAX)
        cache->count++;
}

/* struct opened: the two keys of an envelope. */
struct opened {
    struct secret branch_key, data_key;
};

/* True if a cached key opened the data key. A failure that is not "not this key" is left to the
 * slow way, which will meet it again. */
static bool open_cached(const struct branch_cache *cache, const struct crypto *crypto,
                        const struct envelope *e, struct opened *o)
{
    struct err ignored;

    for (size_t i = 0; i < cache->count; i++) {
        struct secret key = cached(cache, i);
        if (memcmp(cache->ids[i], e->core.branch_id, BRANCH_ID_SIZE) == 0 &&
            envelope_unwrap(e, crypto, &key, &o->data_key, &ignored).ok &&
            secret_copy(&o->branch_key, key.bytes, key.size, &ignored).ok)
            return true;
        secret_free(&o->data_key);
    }
    return false;
}

/* One master key on one slot, down to the data key. "Not this key" leaves *err untouched. */
static bool open_slot(struct branch_cache *cache, const struct crypto *crypto,
                      struct master_key *key, const struct envelope *e, const struct slot *slot,
                      struct opened *o, struct err *err)
{
    struct branch_identity identity = {e->core.branch_id, &e->core.context};
    struct secret branch_key SECRET_CLEANUP = {0};
    struct err why = {0};

    enum unwrapped u = key->ops->unwrap(key, &identity, slot, &branch_key, &why);
    if (u == UNWRAP_OPENED) {
        cache->unwraps++;
        if (envelope_unwrap(e, crypto, &branch_key, &o->data_key, &why).ok) {
            remember(cache, e->core.branch_id, &branch_key);
            o->branch_key = secret_take(&branch_key);
            return true;
        }
    }
    bool failed = u == UNWRAP_FAILED || (u == UNWRAP_OPENED && why.class != ERR_NO_KEY);
    if (failed && err->class != ERR_STORE) /* of several reasons, the one that may pass is told */
        *err = why;
    return false;
}

/* Says what 'bulla inspect' would: whose slots there are. No more, so that nobody learns how near a
 * key was. */
static void hint_at_slots(const struct keyset *keys, const struct envelope *e, struct err *err)
{
    static const char wrong[] = "the passphrase may be wrong; ";
    char list[ERR_HINT_MAX - 128] = "", what[SLOT_DESCRIBED_MAX];
    bool typed = false;
    size_t used = 0;

    for (size_t s = 0; s < e->slot_count; s++) {
        for (size_t k = 0; k < keys->count && e->slots[s].method->code == SLOT_PASSPHRASE; k++)
            typed = typed || strcmp(keys->keys[k]->ops->name, "passphrase") == 0;
        slot_describe(&e->slots[s], what);
        if (used + strlen(what) + sizeof ", ..." >= sizeof list) {
            snprintf(list + used, sizeof list - used, "...");
            break;
        }
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", what,
                                 s + 1 < e->slot_count ? ", " : "");
    }
    err_hint(err, "%sit was sealed to %s, as 'bulla inspect' shows; -k names a key",
             typed ? wrong : "", list);
}

static struct result open_any(struct branch_cache *cache, const struct crypto *crypto,
                              const struct keyset *keys, const struct envelope *e, struct opened *o,
                              struct err *err)
{
    struct err failed = {0};

    if (!cache_init(cache, err).ok)
        return FAIL;
    if (open_cached(cache, crypto, e, o))
        return OK;
    for (size_t k = 0; k < keys->count; k++) {
        keys->keys[k]->kdf_work = 0;
        for (size_t s = 0; s < e->slot_count; s++) {
            if (stream_interrupted()) /* slots may take long, one after the other */
                return fail(err, ERR_INTERRUPTED, "interrupted");
            if (open_slot(cache, crypto, keys->keys[k], e, &e->slots[s], o, &failed))
                return OK;
        }
    }
    if (failed.class != ERR_NONE) {
        *err = failed;
        return FAIL;
    }
    (void)fail(err, ERR_NO_KEY, "none of the given keys opens it");
    hint_at_slots(keys, e, err);
    return FAIL;
}

struct result branch_open(struct branch_cache *cache, const struct crypto *crypto,
                          const struct keyset *keys, const struct envelope *e,
                          struct secret *branch_key, struct secret *data_key, struct err *err)
{
    struct opened o = {0};

    if (!open_any(cache, crypto, keys, e, &o, err).ok)
        return FAIL;
    if (branch_key != NULL)
        *branch_key = secret_take(&o.branch_key);
    secret_free(&o.branch_key);
    *data_key = o.data_key;
    return OK;
}

struct result branch_remember(struct branch_cache *cache, const struct branch *b, struct err *err)
{
    if (!cache_init(cache, err).ok)
        return FAIL;
    remember(cache, b->id, &b->key);
    return OK;
}

void branch_cache_free(struct branch_cache *cache)
{
    secret_free(&cache->keys);
    free(cache->ids);
    *cache = (struct branch_cache){0};
}
