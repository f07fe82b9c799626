#include "keystore/pkcs11/pkcs11.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/host.h"
#include "keystore/key_pair.h"
#include "keystore/pkcs11/aes.h"
#include "keystore/pkcs11/ckr.h"
#include "keystore/pkcs11/login.h"
#include "keystore/pkcs11/manage.h"
#include "keystore/pkcs11/module.h"
#include "keystore/pkcs11/named.h"
#include "keystore/pkcs11/private_key.h"
#include "keystore/pkcs11/show.h"

static struct result resolve(struct task *task, struct err *err)
{
    return named_resolve(task->named, err);
}

static void pkcs11_close(struct master_key *key)
{
    named_close((struct named *)key);
}

static struct result open_now(struct master_key **out, const struct keystore_env *env,
                              const char *reference, struct err *err)
{
    struct named *n;
    struct task *task;

    if (!named_do(&n, &task, env, reference, resolve, NULL, err).ok)
        return FAIL;
    task_free(task);
    *out = &n->key;
    return OK;
}

/* Stands for a key that could not be opened, in a run that has others. */
static struct result open_away(struct master_key **out, const struct keystore_env *env,
                               struct err *err)
{
    struct named *n = calloc(1, sizeof *n);

    if (n == NULL)
        return FAIL;
    n->key.ops = &pkcs11_ops;
    n->env = env;
    n->away = *err;
    if (env->warn != NULL)
        env->warn(env->arg, err->text);
    *out = &n->key;
    return OK;
}

static struct result pkcs11_open(struct master_key **out, const struct keystore_env *env,
                                 const char *reference, struct err *err)
{
    if (open_now(out, env, reference, err).ok)
        return OK;
    if (!env->token.may_be_away || (err->class != ERR_STORE && err->class != ERR_NO_KEY))
        return FAIL;
    return open_away(out, env, err);
}

/* Before each operation of a key on the token. On the module's thread, which may be left behind:
 * nothing is named that its user frees. */
static void count_call(struct named *n, const char *what)
{
    n->key.calls++;
    host_explain("the token %s", what);
}

static struct result open_rsa(struct named *n, const struct token_key *key, CK_OBJECT_HANDLE half,
                              const struct slot *slot, struct secret *out, struct err *err)
{
    bool sha1 = slot->method->code == SLOT_PKCS11_RSA_OAEP_SHA1;
    struct view wrapped = {slot->wrap, slot->wrap_size};

    count_call(n, "decrypts by the private key");
    return private_key_decrypt(n->token, key, half, n->env->crypto, sha1, wrapped, out, err);
}

static struct result open_ec(struct named *n, const struct token_key *key, CK_OBJECT_HANDLE half,
                             const struct branch_identity *branch, const struct slot *slot,
                             struct secret *out, struct err *err)
{
    struct secret shared SECRET_CLEANUP = {0};
    struct view point = {slot->wrap, spki_point(&key->spki).size};

    if (slot->wrap_size < point.size)
        return fail(err, ERR_DAMAGED, "not authentic");
    count_call(n, "derives by the private key");
    if (!private_key_derive(n->token, key, half, n->env->crypto, point, &shared, err).ok)
        return FAIL;
    return key_pair_open_ec(&key->spki, n->env->crypto, &shared, branch, slot, out, err);
}

/* By each private key that may be the pair's, until one opens it. If none does, a reason other than
 * "another key" is reported first. */
static struct result open_pair(struct named *n, const struct token_key *key,
                               const struct branch_identity *branch, const struct slot *slot,
                               struct secret *out, struct err *err)
{
    struct halves halves;

    if (!keys_private(n->token, key, &halves, err).ok)
        return FAIL;
    for (size_t i = 0; i < halves.count; i++) {
        CK_OBJECT_HANDLE half = halves.list[i];
        struct err why = {0};
        if (key->spki.kind == SPKI_RSA ? open_rsa(n, key, half, slot, out, &why).ok
                                       : open_ec(n, key, half, branch, slot, out, &why).ok)
            return OK;
        if (i == 0 || err->class == ERR_DAMAGED)
            *err = why;
    }
    return FAIL;
}

static struct result open_slot(struct named *n, const struct token_key *key,
                               const struct branch_identity *branch, const struct slot *slot,
                               struct secret *out, struct err *err)
{
    if (!token_login(n->token, &n->uri, n->env, err).ok)
        return FAIL;
    if (key->secret) {
        count_call(n, "unwraps by the secret key");
        return aes_unwrap(n->token, key, branch, slot, out, err);
    }
    return open_pair(n, key, branch, slot, out, err);
}

/* Whether a module says by this that it does not know SHA-256 here. Some say so when they are
 * asked, some when they look at the padding; all else is about the token, and may pass. */
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
static struct result try_wrap(struct task *task, const struct token_key *key,
                              const struct branch_identity *branch, struct err *err)
{
    struct named *n = task->named;
    struct secret back SECRET_CLEANUP = {0};

    n->token->oaep_failed = CKR_OK;
    bool opened = open_slot(n, key, branch, &task->slot, &back, err).ok;
    if (!opened && err->class != ERR_DAMAGED)
        return FAIL;
    if (opened && sodium_memcmp(back.bytes, task->branch_key.bytes, KEY_SIZE) == 0)
        return OK;
    return fail(err, ERR_NO_KEY, "token '%s' does not open what is sealed to its public key '%s'",
                n->token->label, key->label);
}

/* Wraps by a pair. Where the token undoes OAEP itself, whether it does with SHA-256 is seen only
 * when it is tried, and a wrap that does not open is worse than the PIN that takes. */
static struct result wrap_pair(struct task *task, const struct token_key *key,
                               const struct branch_identity *branch, struct err *err)
{
    struct named *n = task->named;
    struct key_pair_hints hints = {view_text(n->token->label),
                                   view_text(n->token->serial),
                                   view_text(key->label),
                                   {key->id, key->id_size}};
    bool sha1 = n->env->token.oaep_sha1;

    if (!key_pair_wrap(&key->spki, n->env->crypto, &hints, sha1, branch, &task->branch_key,
                       &task->slot, err)
             .ok)
        return FAIL;
    if (key->spki.kind != SPKI_RSA || sha1 || !private_key_needs_oaep(n->token))
        return OK;
    struct err why = {0};
    if (try_wrap(task, key, branch, &why).ok)
        return OK;
    if (!means_mechanism(n->token->oaep_failed)) {
        *err = why;
        return FAIL;
    }
    if (!key_pair_wrap(&key->spki, n->env->crypto, &hints, true, branch, &task->branch_key,
                       &task->slot, err)
             .ok ||
        !try_wrap(task, key, branch, err).ok)
        return FAIL;
    task_warn(task, "the token cannot do RSA-OAEP with SHA-256: SHA-1 is used");
    return OK;
}

/* Sealing asks for no PIN, and so may know no more than this. */
static struct result check_pair(struct task *task, const struct token_key *key, struct err *err)
{
    struct named *n = task->named;
    char text[ERR_TEXT_MAX];
    bool in_sight;

    if (!keys_fit(n->token, key, &in_sight, err).ok)
        return FAIL;
    if (in_sight || key->meant || !n->env->seals || n->warned)
        return OK;
    n->warned = true;
    snprintf(text, sizeof text,
             "key '%s': nothing shows that token '%s' can open what is sealed to it; 'bulla key "
             "check' tries that",
             key->label, n->token->label);
    task_warn(task, text);
    return OK;
}

static struct result wrap(struct task *task, struct err *err)
{
    struct named *n = task->named;
    struct branch_identity branch = {task->branch_id, NULL};
    const struct token_key *key;

    if (!named_one(n, &key, err).ok)
        return FAIL;
    n->secret = key->secret;
    if (!key->secret)
        return check_pair(task, key, err).ok ? wrap_pair(task, key, &branch, err) : FAIL;
    if (!token_login(n->token, &n->uri, n->env, err).ok)
        return FAIL;
    count_call(n, "wraps by the secret key");
    return aes_wrap(n->token, key, &branch, &task->branch_key, &task->slot, err);
}

static struct result pkcs11_wrap(struct master_key *key, const struct branch_identity *branch,
                                 const struct secret *branch_key, struct slot *slot,
                                 struct err *err)
{
    struct named *n = (struct named *)key;

    if (n->away.class != ERR_NONE) {
        *err = n->away;
        return FAIL;
    }
    struct task *task = task_new(n, wrap, err);
    if (task == NULL)
        return FAIL;
    memcpy(task->branch_id, branch->id, BRANCH_ID_SIZE);
    if (!secret_copy(&task->branch_key, branch_key->bytes, branch_key->size, err).ok) {
        task_free(task);
        return FAIL;
    }
    if (!task_do(task, err))
        return FAIL;
    *slot = task->slot;
    task_free(task);
    return OK;
}

static bool same(struct view v, const char *text)
{
    return v.size == strlen(text) && memcmp(v.bytes, text, v.size) == 0;
}

/* A slot that says it is of this token. */
static bool of_token(const struct named *n, const struct slot *slot)
{
    return (key_pair_is_slot(slot) || aes_is_slot(slot)) &&
           same(slot_view(slot, SLOT_TOKEN_LABEL), n->token->label) &&
           same(slot_view(slot, SLOT_TOKEN_SERIAL), n->token->serial);
}

/* The key that a slot is of for certain. Where no check value tells AES keys apart, all that the
 * slot says of its key has to be so: what is taken for a key's slot may be left or removed. */
static const struct token_key *owner(const struct named *n, const struct slot *slot)
{
    for (size_t i = 0; i < n->keys.count; i++) {
        const struct token_key *k = &n->keys.list[i];
        bool mine =
            !k->secret
                ? key_pair_is_mine(&k->spki, slot)
                : aes_may_open(k, slot) &&
                      (aes_is_checked(k, slot) ||
                       (of_token(n, slot) && same(slot_view(slot, SLOT_KEY_LABEL), k->label)));
        if (mine)
            return k;
    }
    return NULL;
}

/* The key to try: that, or one that may be it. */
static const struct token_key *opener(const struct named *n, const struct slot *slot)
{
    const struct token_key *k = owner(n, slot);

    for (size_t i = 0; i < n->keys.count && k == NULL; i++)
        if (aes_may_open(&n->keys.list[i], slot))
            k = &n->keys.list[i];
    return k;
}

/* What may be seen after a login only is looked for only if the slot is of this token. */
static struct result find_opener(struct named *n, const struct slot *slot,
                                 const struct token_key **key, struct err *err)
{
    *key = opener(n, slot);
    if (*key != NULL || n->complete || n->uri.has_label || n->uri.id_size > 0 || !of_token(n, slot))
        return OK;
    if (!named_login(n, true, err).ok)
        return FAIL;
    *key = opener(n, slot);
    return OK;
}

static struct result unwrap(struct task *task, struct err *err)
{
    struct branch_identity branch = {task->branch_id, NULL};
    const struct token_key *key;
    struct err why = {0};

    task->unwrapped = UNWRAP_NOT_MINE;
    if (!find_opener(task->named, &task->slot, &key, err).ok)
        return FAIL;
    if (key == NULL)
        return OK;
    if (open_slot(task->named, key, &branch, &task->slot, &task->branch_key, &why).ok) {
        task->unwrapped = UNWRAP_OPENED;
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
    struct named *n = (struct named *)key;

    if (!key_pair_is_slot(slot) && !aes_is_slot(slot))
        return UNWRAP_NOT_MINE;
    if (n->away.class != ERR_NONE) {
        *err = n->away;
        return UNWRAP_FAILED;
    }
    struct task *task = task_new(n, unwrap, err);
    if (task == NULL)
        return UNWRAP_FAILED;
    memcpy(task->branch_id, branch->id, BRANCH_ID_SIZE);
    task->slot = *slot;
    if (!task_do(task, err))
        return UNWRAP_FAILED;
    enum unwrapped u = task->unwrapped;
    if (u == UNWRAP_OPENED)
        *branch_key = secret_take(&task->branch_key);
    task_free(task);
    return u;
}

/* A wrap by an AES key is made by the token alone; one by a public key was computed here. */
static bool pkcs11_reopens(const struct master_key *key)
{
    return ((const struct named *)key)->secret;
}

static enum slot_match pkcs11_match(const struct master_key *key, const struct slot *slot)
{
    const struct named *n = (const struct named *)key;
    const struct token_key *k = owner(n, slot);

    if (k != NULL)
        return n->keys.family && k != keys_newest(&n->keys) ? SLOT_OLD : SLOT_CURRENT;
    return n->token != NULL && !n->complete && !n->uri.has_label && n->uri.id_size == 0 &&
                   of_token(n, slot)
               ? SLOT_MAYBE
               : SLOT_OTHER;
}

const struct keystore_ops pkcs11_ops = {
    .name = "pkcs11",
    .reach = REACH_MODULES,
    .open = pkcs11_open,
    .wrap = pkcs11_wrap,
    .unwrap = pkcs11_unwrap,
    .reopens = pkcs11_reopens,
    .match = pkcs11_match,
    .close = pkcs11_close,
    .create = pkcs11_create,
    .rotate = pkcs11_rotate,
    .export_public = pkcs11_export_public,
    .list = pkcs11_list,
    .describe = pkcs11_describe,
    .left_behind = module_left_behind,
};
