#include "libbulla/external_key.h"

#include <stdlib.h>
#include <string.h>

#include "keystore/external/slots.h"
#include "libbulla/callback.h"

struct external_key {
    struct master_key key;
    struct bulla_key given;
};

static const struct keystore_ops external_ops;

struct result external_key_open(struct master_key **out, const struct bulla_key *given,
                                struct err *err)
{
    struct external_key *k = calloc(1, sizeof *k);

    if (k == NULL)
        return fail_memory(err);
    k->key.ops = &external_ops;
    if (!struct_take(&k->given, sizeof k->given, given, "a key", err).ok) {
        free(k);
        return FAIL;
    }
    *out = &k->key;
    return OK;
}

static void external_close(struct master_key *key)
{
    free(key);
}

static struct result external_wrap(struct master_key *key, const struct branch_identity *branch,
                                   const struct secret *branch_key, struct slot *slot,
                                   struct err *err)
{
    const struct bulla_key *k = &((struct external_key *)key)->given;
    uint8_t aad[SLOT_AAD_MAX];

    if (k->wrap == NULL)
        return fail(err, ERR_POLICY, "key '" EXTERNAL_SCHEME "%s' only opens", k->name);
    slot_begin(slot, SLOT_EXTERNAL);
    slot_put_sized(slot, k->name, strlen(k->name));
    struct view bound = slot_aad(slot, branch->id, aad);
    int status = k->wrap(k->arg, branch_key->bytes, bound.bytes, bound.size, slot->wrap,
                         sizeof slot->wrap, &slot->wrap_size);
    key->calls++;
    if (status == BULLA_DONE && slot->wrap_size > 0 && slot->wrap_size <= sizeof slot->wrap)
        return OK;
    return callback_failed(status, err, "key '" EXTERNAL_SCHEME "%s' did not wrap", k->name);
}

static bool is_mine(const struct master_key *key, const struct slot *slot)
{
    const struct bulla_key *k = &((const struct external_key *)key)->given;
    struct view name = slot_view(slot, &external_name);

    return slot->code == SLOT_EXTERNAL && name.size == strlen(k->name) &&
           memcmp(name.bytes, k->name, name.size) == 0;
}

static enum unwrapped external_unwrap(struct master_key *key, const struct branch_identity *branch,
                                      const struct slot *slot, struct secret *branch_key,
                                      struct err *err)
{
    const struct bulla_key *k = &((struct external_key *)key)->given;
    struct secret opened SECRET_CLEANUP = {0};
    uint8_t aad[SLOT_AAD_MAX];

    if (!is_mine(key, slot) || k->unwrap == NULL)
        return UNWRAP_NOT_MINE;
    if (!secret_new(&opened, KEY_SIZE, err).ok)
        return UNWRAP_FAILED;
    struct view bound = slot_aad(slot, branch->id, aad);
    int status =
        k->unwrap(k->arg, slot->wrap, slot->wrap_size, bound.bytes, bound.size, opened.bytes);
    key->calls++;
    if (status == BULLA_NO_KEY)
        return UNWRAP_NOT_MINE;
    if (status != BULLA_DONE) {
        (void)callback_failed(status, err, "key '" EXTERNAL_SCHEME "%s' did not unwrap", k->name);
        return UNWRAP_FAILED;
    }
    *branch_key = TAKE(opened);
    return UNWRAP_OPENED;
}

static bool external_seals_only(const struct master_key *key)
{
    return ((const struct external_key *)key)->given.unwrap == NULL;
}

/* It may be a call to a service, or ask a person. */
static bool external_reopens(const struct master_key *key)
{
    (void)key;
    return false;
}

static enum slot_match external_match(const struct master_key *key, const struct slot *slot)
{
    return is_mine(key, slot) ? SLOT_CURRENT : SLOT_OTHER;
}

static const struct keystore_ops external_ops = {
    .name = "external",
    .wrap = external_wrap,
    .unwrap = external_unwrap,
    .seals_only = external_seals_only,
    .reopens = external_reopens,
    .match = external_match,
    .close = external_close,
};
