#include "keystore/pkcs11/pkcs11.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/host.h"
#include "keystore/key_pair.h"
#include "keystore/pkcs11/aes_key.h"
#include "keystore/pkcs11/ckr.h"
#include "keystore/pkcs11/describe_token.h"
#include "keystore/pkcs11/login.h"
#include "keystore/pkcs11/manage_keys.h"
#include "keystore/pkcs11/module.h"
#include "keystore/pkcs11/private_key.h"
#include "keystore/pkcs11/token_job.h"

static struct result resolve(struct token_job *job, struct err *err)
{
    return key_reference_resolve(job->reference, err);
}

static void pkcs11_close(struct master_key *key)
{
    key_reference_drop((struct key_reference *)key);
}

static struct result open_now(struct key_reference **out, const struct keystore_env *env,
                              const char *reference, struct err *err)
{
    struct token_job *job;

    if (!token_job_open(out, &job, env, reference, resolve, NULL, err).ok)
        return FAIL;
    token_job_free(job);
    return OK;
}

/* In a run that has other keys, what stands for one that could not be opened. */
static struct result open_away(struct key_reference **out, const struct keystore_env *env,
                               struct err *err)
{
    struct err why = *err;

    if (!env->may_be_away || (why.class != ERR_STORE && why.class != ERR_NO_KEY) ||
        !key_reference_away(out, env, &why, err).ok)
        return FAIL;
    if (env->warn != NULL)
        env->warn(env->arg, why.text);
    return OK;
}

static struct result pkcs11_open(struct master_key **out, const struct keystore_env *env,
                                 const char *reference, struct err *err)
{
    struct key_reference *n;

    if (!open_now(&n, env, reference, err).ok && !open_away(&n, env, err).ok)
        return FAIL;
    *out = &n->key;
    return OK;
}

/* Called before each operation of a key on the token, on the module's thread. The caller may give
 * up on that thread, so nothing here belongs to the caller. */
static void count_call(struct key_reference *n, const char *what)
{
    n->key.calls++;
    host_explain("the token %s", what);
}

static struct result open_rsa(const struct private_key *key, const struct slot *slot,
                              struct secret *out, struct err *err)
{
    bool sha1 = slot->method->code == SLOT_RSA_OAEP_SHA1;

    return private_key_decrypt(key, sha1, (struct view){slot->wrap, slot->wrap_size}, out, err);
}

static struct result open_ec(const struct private_key *key, const struct branch_identity *branch,
                             const struct slot *slot, struct secret *out, struct err *err)
{
    struct secret shared SECRET_CLEANUP = {0};
    struct view point = {slot->wrap, spki_point(key->spki).size};

    if (slot->wrap_size < point.size)
        return fail(err, ERR_DAMAGED, "not authentic");
    if (!private_key_derive(key, point, &shared, err).ok)
        return FAIL;
    return key_pair_open_ec(key->spki, key->crypto, &shared, branch, slot, out, err);
}

/* Tries each private key that may be the other half, until one opens the wrap. If none does, a
 * reason other than "another key" is reported first. */
static struct result open_pair(struct key_reference *n, const struct token_key *key,
                               const struct branch_identity *branch, const struct slot *slot,
                               struct secret *out, struct err *err)
{
    struct err told = {0};
    struct halves halves;

    if (!token_keys_private(n->token, key, &halves, err).ok)
        return FAIL;
    for (size_t i = 0; i < halves.count; i++) {
        struct private_key half = {n->token, &n->login, &key->spki, halves.list[i], n->crypto};
        struct err why = {0};
        count_call(n, key->spki.kind == SPKI_RSA ? "decrypts by the private key"
                                                 : "derives by the private key");
        if (key->spki.kind == SPKI_RSA ? open_rsa(&half, slot, out, &why).ok
                                       : open_ec(&half, branch, slot, out, &why).ok)
            return OK;
        if (i == 0 || told.class == ERR_DAMAGED)
            told = why;
    }
    *err = told;
    return FAIL;
}

static struct result open_slot(struct key_reference *n, const struct token_key *key,
                               const struct branch_identity *branch, const struct slot *slot,
                               struct secret *out, struct err *err)
{
    if (!token_login(n->token, &n->login, err).ok)
        return FAIL;
    if (key->secret) {
        count_call(n, "unwraps by the secret key");
        return aes_key_unwrap(n->token, &n->login, key, branch, slot, out, err);
    }
    return open_pair(n, key, branch, slot, out, err);
}

/* Whether an error of a module means that it does not know OAEP with SHA-256. Some say so at once,
 * some when they look at the padding. Any other error is about the token, and may pass. */
static bool means_mechanism(CK_RV rv)
{
    static const CK_RV those[] = {
        CKR_MECHANISM_INVALID, CKR_MECHANISM_PARAM_INVALID, CKR_ARGUMENTS_BAD,
        CKR_FUNCTION_FAILED,   CKR_GENERAL_ERROR,           CKR_DATA_INVALID,
        CKR_DATA_LEN_RANGE,    CKR_ENCRYPTED_DATA_INVALID,  CKR_ENCRYPTED_DATA_LEN_RANGE,
    };

    for (size_t i = 0; i < sizeof those / sizeof *those; i++)
        if (those[i] == rv)
            return true;
    return false;
}

/* Unwraps what was wrapped just now. */
static struct result try_wrap(struct token_job *job, const struct token_key *key,
                              const struct branch_identity *branch, struct err *err)
{
    struct key_reference *n = job->reference;
    struct secret back SECRET_CLEANUP = {0};

    n->token->oaep_failed = CKR_OK;
    bool opened = open_slot(n, key, branch, &job->slot, &back, err).ok;
    if (!opened && err->class != ERR_DAMAGED)
        return FAIL;
    if (opened && sodium_memcmp(back.bytes, job->branch_key.bytes, KEY_SIZE) == 0)
        return OK;
    return fail(err, ERR_NO_KEY, "token '%s' does not open what is sealed to its public key '%s'",
                n->token->label, key->label);
}

/* Wraps by a key pair. If the token undoes OAEP itself, only a trial shows whether it knows
 * SHA-256. The trial takes the PIN, but a wrap that does not open would be worse. */
static struct result wrap_pair(struct token_job *job, const struct token_key *key,
                               const struct branch_identity *branch, struct err *err)
{
    struct key_reference *n = job->reference;
    struct key_pair_wrapping by = {&key->spki,
                                   n->crypto,
                                   {view_text(n->token->label),
                                    view_text(n->token->serial),
                                    view_text(key->label),
                                    {key->id, key->id_size}},
                                   key_pair_sha1(&n->env.settings)};

    if (!key_pair_wrap(&by, branch, &job->branch_key, &job->slot, err).ok)
        return FAIL;
    if (key->spki.kind != SPKI_RSA || by.sha1 || !private_key_needs_oaep(n->token))
        return OK;
    struct err why = {0};
    if (try_wrap(job, key, branch, &why).ok)
        return OK;
    if (!means_mechanism(n->token->oaep_failed)) {
        *err = why;
        return FAIL;
    }
    by.sha1 = true;
    if (!key_pair_wrap(&by, branch, &job->branch_key, &job->slot, err).ok ||
        !try_wrap(job, key, branch, err).ok)
        return FAIL;
    token_job_warn(job, "the token cannot do RSA-OAEP with SHA-256: SHA-1 is used");
    return OK;
}

/* Sealing asks for no PIN, and may therefore know no more than this. */
static struct result check_pair(struct token_job *job, const struct token_key *key, struct err *err)
{
    struct key_reference *n = job->reference;
    char text[ERR_TEXT_MAX];
    bool in_sight;

    if (!token_keys_fit(n->token, key, &in_sight, err).ok)
        return FAIL;
    if (in_sight || key->meant || !n->env.seals || n->warned)
        return OK;
    n->warned = true;
    snprintf(text, sizeof text,
             "key '%s': nothing shows that token '%s' can open what is sealed to it; 'bulla key "
             "check' tries that",
             key->label, n->token->label);
    token_job_warn(job, text);
    return OK;
}

static struct result wrap(struct token_job *job, struct err *err)
{
    struct key_reference *n = job->reference;
    struct branch_identity branch = {job->branch_id, NULL};
    const struct token_key *key;

    if (!key_reference_one(n, &key, err).ok)
        return FAIL;
    n->secret = key->secret;
    if (!key->secret)
        return check_pair(job, key, err).ok ? wrap_pair(job, key, &branch, err) : FAIL;
    if (!token_login(n->token, &n->login, err).ok)
        return FAIL;
    count_call(n, "wraps by the secret key");
    return aes_key_wrap(n->token, &n->login, key, &branch, &job->branch_key, &job->slot, err);
}

static struct result pkcs11_wrap(struct master_key *key, const struct branch_identity *branch,
                                 const struct secret *branch_key, struct slot *slot,
                                 struct err *err)
{
    struct key_reference *n = (struct key_reference *)key;

    if (n->away.class != ERR_NONE) {
        *err = n->away;
        return FAIL;
    }
    struct token_job *job = token_job_new(n, wrap, err);
    if (job == NULL)
        return FAIL;
    memcpy(job->branch_id, branch->id, BRANCH_ID_SIZE);
    if (!secret_copy(&job->branch_key, branch_key->bytes, branch_key->size, err).ok) {
        token_job_free(job);
        return FAIL;
    }
    if (!token_job_do(job, err))
        return FAIL;
    *slot = job->slot;
    token_job_free(job);
    return OK;
}

static bool same(struct view v, const char *text)
{
    return v.size == strlen(text) && memcmp(v.bytes, text, v.size) == 0;
}

/* A slot that says it is of this token. */
static bool of_token(const struct key_reference *n, const struct slot *slot)
{
    return (key_pair_is_slot(slot) || aes_key_is_slot(slot)) &&
           same(slot_view(slot, &key_pair_token_label), n->token->label) &&
           same(slot_view(slot, &key_pair_token_serial), n->token->serial);
}

/* The key that a slot certainly belongs to. If there is no check value to tell AES keys apart,
 * everything that the slot says of its key must match, because a slot of the key may be kept or
 * removed. */
static const struct token_key *owner(const struct key_reference *n, const struct slot *slot)
{
    for (size_t i = 0; i < n->keys.count; i++) {
        const struct token_key *k = &n->keys.list[i];
        bool mine =
            !k->secret
                ? key_pair_is_mine(&k->spki, slot)
                : aes_key_may_open(k, slot) &&
                      (aes_key_is_checked(k, slot) ||
                       (of_token(n, slot) && same(slot_view(slot, &key_pair_key_label), k->label)));
        if (mine)
            return k;
    }
    return NULL;
}

/* The key to try: the certain one, or one that may be it. */
static const struct token_key *opener(const struct key_reference *n, const struct slot *slot)
{
    const struct token_key *k = owner(n, slot);

    for (size_t i = 0; i < n->keys.count && k == NULL; i++)
        if (aes_key_may_open(&n->keys.list[i], slot))
            k = &n->keys.list[i];
    return k;
}

/* Keys that are seen only after a login are looked for only if the slot is of this token. */
static struct result find_opener(struct key_reference *n, const struct slot *slot,
                                 const struct token_key **key, struct err *err)
{
    *key = opener(n, slot);
    if (*key != NULL || n->complete || n->uri.has_label || n->uri.id_size > 0 || !of_token(n, slot))
        return OK;
    if (!key_reference_login(n, true, err).ok)
        return FAIL;
    *key = opener(n, slot);
    return OK;
}

static struct result unwrap(struct token_job *job, struct err *err)
{
    struct branch_identity branch = {job->branch_id, NULL};
    const struct token_key *key;
    struct err why = {0};

    job->unwrapped = UNWRAP_NOT_MINE;
    if (!find_opener(job->reference, &job->slot, &key, err).ok)
        return FAIL;
    if (key == NULL)
        return OK;
    if (open_slot(job->reference, key, &branch, &job->slot, &job->branch_key, &why).ok) {
        job->unwrapped = UNWRAP_OPENED;
        return OK;
    }
    if (why.class == ERR_DAMAGED)
        return OK;
    *err = why;
    return FAIL;
}

static enum unwrapped pkcs11_unwrap(struct master_key *key, const struct branch_identity *branch,
                                    const struct slot *slot, struct secret *branch_key,
                                    struct err *err)
{
    struct key_reference *n = (struct key_reference *)key;

    if (!key_pair_is_slot(slot) && !aes_key_is_slot(slot))
        return UNWRAP_NOT_MINE;
    if (n->away.class != ERR_NONE) {
        *err = n->away;
        return UNWRAP_FAILED;
    }
    struct token_job *job = token_job_new(n, unwrap, err);
    if (job == NULL)
        return UNWRAP_FAILED;
    memcpy(job->branch_id, branch->id, BRANCH_ID_SIZE);
    job->slot = *slot;
    if (!token_job_do(job, err))
        return UNWRAP_FAILED;
    enum unwrapped u = job->unwrapped;
    if (u == UNWRAP_OPENED)
        *branch_key = TAKE(job->branch_key);
    token_job_free(job);
    return u;
}

/* A wrap by an AES key is made by the token alone; one by a public key was computed here. */
static bool pkcs11_reopens(const struct master_key *key)
{
    return ((const struct key_reference *)key)->secret;
}

static enum slot_match pkcs11_match(const struct master_key *key, const struct slot *slot)
{
    const struct key_reference *n = (const struct key_reference *)key;
    const struct token_key *k = owner(n, slot);

    if (k != NULL)
        return n->keys.family && k != token_keys_newest(&n->keys) ? SLOT_OLD : SLOT_CURRENT;
    return n->token != NULL && !n->complete && !n->uri.has_label && n->uri.id_size == 0 &&
                   of_token(n, slot)
               ? SLOT_MAYBE
               : SLOT_OTHER;
}

/* What a key has that is away is not known. */
static struct result pkcs11_locate(struct master_key *key, bool version, struct err *err)
{
    const struct key_reference *n = (const struct key_reference *)key;

    (void)version;
    if (n->away.class == ERR_NONE)
        return OK;
    *err = n->away;
    return FAIL;
}

const struct keystore_ops pkcs11_ops = {
    .name = "pkcs11",
    .open = pkcs11_open,
    .wrap = pkcs11_wrap,
    .unwrap = pkcs11_unwrap,
    .reopens = pkcs11_reopens,
    .match = pkcs11_match,
    .locate = pkcs11_locate,
    .close = pkcs11_close,
    .describe = pkcs11_describe,
};

const struct keystore_admin pkcs11_admin = {
    .create = pkcs11_create,
    .rotate = pkcs11_rotate,
    .export_public = pkcs11_export_public,
    .list = pkcs11_list,
};
