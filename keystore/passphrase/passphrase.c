#include "keystore/passphrase/passphrase.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret_file.h"
#include "base/text.h"
#include "crypto/envelope.h"
#include "crypto/passphrase_kdf.h"
#include "crypto/xaes.h"
#include "keystore/passphrase/slots.h"

static const struct keystore_ops passphrase_ops;

struct passphrase {
    struct master_key key;
    const struct keystore_env *env;
    char hint[SLOT_HINT_MAX + 1];
    struct secret text; /* asked for once */
    bool asked;
    struct err why; /* it could not be got */
};

static void passphrase_close(struct master_key *key)
{
    struct passphrase *p = (struct passphrase *)key;

    secret_free(&p->text);
    free(p);
}

static struct result passphrase_open(struct master_key **out, const struct keystore_env *env,
                                     const char *reference, struct err *err)
{
    size_t size = strlen(reference);
    struct passphrase *p;

    if (size > SLOT_HINT_MAX || !text_is_utf8(reference, size))
        return fail(err, ERR_USAGE, "the hint of a passphrase is at most %d bytes of UTF-8",
                    SLOT_HINT_MAX);
    p = calloc(1, sizeof *p);
    if (p == NULL)
        return fail_memory(err);
    p->key.ops = &passphrase_ops;
    p->env = env;
    memcpy(p->hint, reference, size + 1);
    *out = &p->key;
    return OK;
}

/* Gets the passphrase, once in a run: a wrong one is not asked for again. stored is the hint in a
 * slot, for users who gave none. */
static struct result ask(struct passphrase *p, enum wanted wanted, struct view stored,
                         struct err *err)
{
    char what[SLOT_HINT_MAX + 32];

    if (p->text.bytes != NULL)
        return OK;
    if (p->asked) {
        *err = p->why;
        return FAIL;
    }
    p->asked = true;
    if (p->hint[0] == '\0' && stored.size > 0)
        snprintf(what, sizeof what, "passphrase (the file says: %.*s)", (int)stored.size,
                 (const char *)stored.bytes);
    else
        snprintf(what, sizeof what, "passphrase%s%s", p->hint[0] != '\0' ? " for " : "", p->hint);
    if (p->env->passphrase(p->env->arg, what, wanted, &p->text, err).ok)
        return OK;
    p->why = *err;
    return FAIL;
}

static struct result passphrase_wrap(struct master_key *key, const struct branch_identity *branch,
                                     const struct secret *branch_key, struct slot *slot,
                                     struct err *err)
{
    struct passphrase *p = (struct passphrase *)key;
    struct secret kek SECRET_CLEANUP = {0};
    uint8_t aad[SLOT_AAD_MAX];
    struct kdf_cost cost;

    if (!ask(p, WANT_NEW_PASSPHRASE, (struct view){0}, err).ok || !kdf_cost_new(&cost, err).ok ||
        !kdf_derive(&cost, KDF_MEMORY_KIB_MAX, &p->text, &kek, err).ok)
        return FAIL;
    slot_begin(slot, SLOT_PASSPHRASE);
    slot_put_fixed(slot, cost.salt, KDF_SALT_SIZE);
    slot_put_number(slot, cost.passes);
    slot_put_number(slot, cost.memory_kib);
    slot_put_sized(slot, p->hint, strlen(p->hint));
    slot->wrap_size = KEY_SIZE + XAES_OVERHEAD;
    return xaes_seal(p->env->crypto, kek.bytes, slot_aad(slot, branch->id, aad),
                     secret_view(branch_key), slot->wrap, err);
}

/* Whoever made the file says how many slots there are, and what each costs. As many as bulla itself
 * can write are within the limit. */
static struct result within_budget(const struct passphrase *p, const struct kdf_cost *cost,
                                   struct err *err)
{
    uint64_t own = (uint64_t)SLOTS_MAX * KDF_MEMORY_KIB * KDF_PASSES;
    uint64_t allowed = (uint64_t)p->env->kdf_memory_kib * KDF_PASSES_ALLOWED;
    uint64_t limit = allowed > own ? allowed : own;

    if (p->key.kdf_work + kdf_work(cost) <= limit)
        return OK;
    (void)fail(err, ERR_POLICY, "its passphrase slots cost more than %llu KiB times passes",
               (unsigned long long)limit);
    return fail_hint_option(err, "--max-kdf-mem MIB allows more than %u KiB",
                            p->env->kdf_memory_kib);
}

static struct result try_open(struct passphrase *p, const struct branch_identity *branch,
                              const struct slot *slot, struct secret *branch_key, struct err *err)
{
    struct secret kek SECRET_CLEANUP = {0}, opened SECRET_CLEANUP = {0};
    struct kdf_cost cost = {.passes = slot_number(slot, &passphrase_passes),
                            .memory_kib = slot_number(slot, &passphrase_memory)};
    uint8_t aad[SLOT_AAD_MAX];

    memcpy(cost.salt, slot_view(slot, &passphrase_salt).bytes, KDF_SALT_SIZE);
    if (!within_budget(p, &cost, err).ok ||
        !ask(p, WANT_PASSPHRASE, slot_view(slot, &passphrase_hint), err).ok ||
        !kdf_derive(&cost, p->env->kdf_memory_kib, &p->text, &kek, err).ok)
        return FAIL;
    p->key.kdf_work += kdf_work(&cost);
    if (!secret_new(&opened, KEY_SIZE, err).ok ||
        !xaes_open(p->env->crypto, kek.bytes, slot_aad(slot, branch->id, aad), slot_wrap(slot),
                   opened.bytes, err)
             .ok)
        return FAIL;
    *branch_key = TAKE(opened);
    return OK;
}

static enum unwrapped passphrase_unwrap(struct master_key *key,
                                        const struct branch_identity *branch,
                                        const struct slot *slot, struct secret *branch_key,
                                        struct err *err)
{
    struct err why = {0};

    if (slot->method->code != SLOT_PASSPHRASE)
        return UNWRAP_NOT_MINE;
    if (try_open((struct passphrase *)key, branch, slot, branch_key, &why).ok)
        return UNWRAP_OPENED;
    if (why.class == ERR_DAMAGED)
        return UNWRAP_NOT_MINE;
    *err = why;
    return UNWRAP_FAILED;
}

static bool passphrase_reopens(const struct master_key *key)
{
    (void)key;
    return true;
}

/* By what was given, and not by how it failed. */
static void passphrase_doubt(const struct master_key *key, const struct slot *slot,
                             char out[KEY_DOUBT_MAX])
{
    const struct passphrase *p = (const struct passphrase *)key;
    const char *odd = p->text.bytes != NULL ? secret_oddity(&p->text) : NULL;

    if (slot->method->code != SLOT_PASSPHRASE)
        return;
    snprintf(out, KEY_DOUBT_MAX, "the passphrase may be wrong%s%s", odd != NULL ? ": it " : "",
             odd != NULL ? odd : "");
}

/* Which passphrase a slot takes is not to be seen; only that it has the same hint. */
static enum slot_match passphrase_match(const struct master_key *key, const struct slot *slot)
{
    const struct passphrase *p = (const struct passphrase *)key;
    struct view hint = slot_view(slot, &passphrase_hint);

    if (slot->method->code != SLOT_PASSPHRASE || hint.size != strlen(p->hint) ||
        memcmp(hint.bytes, p->hint, hint.size) != 0)
        return SLOT_OTHER;
    return SLOT_MAYBE;
}

static const struct keystore_ops passphrase_ops = {
    .name = "passphrase",
    .open = passphrase_open,
    .wrap = passphrase_wrap,
    .unwrap = passphrase_unwrap,
    .reopens = passphrase_reopens,
    .doubt = passphrase_doubt,
    .match = passphrase_match,
    .close = passphrase_close,
};

static const struct keystore_scheme schemes[] = {
    {"passphrase:", true, "passphrase:[HINT]", "a passphrase; everybody can read the hint"},
    {0},
};

const struct keystore passphrase_store = {
    .title = "passphrase",
    .schemes = schemes,
    .methods = (const struct slot_method *const[]){passphrase_methods, NULL},
    .options = (const struct store_option *const[]){NULL},
    .reach = REACH_FILES,
    .ops = &passphrase_ops,
    .admin = &keystore_no_admin,
};
