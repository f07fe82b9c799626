#include "keystore/pkcs11/key_reference.h"

#include <stdlib.h>
#include <string.h>

#include "keystore/pkcs11/pkcs11.h"

void key_reference_drop(struct key_reference *n)
{
    if (n == NULL || atomic_fetch_sub(&n->holders, 1) > 1)
        return;
    module_put(n->module, n->options.timeout);
    refused_tokens_drop(n->login.refused);
    crypto_free(&n->crypto);
    token_keys_free(&n->keys);
    uri_free(&n->uri);
    free(n);
}

static struct key_reference *make(const struct keystore_env *env, struct err *err)
{
    struct key_reference *n = calloc(1, sizeof *n);

    if (n == NULL) {
        (void)fail_memory(err);
        return NULL;
    }
    n->key.ops = &pkcs11_ops;
    n->holders = 1;
    n->env = *env;
    n->options = token_options_read(&env->settings);
    n->crypto = crypto_share(env->crypto);
    n->login = (struct login){.uri = &n->uri, .env = &n->env};
    return n;
}

struct result key_reference_new(struct key_reference **out, const struct keystore_env *env,
                                const char *reference, struct err *err)
{
    struct key_reference *n = make(env, err);

    if (n == NULL)
        return FAIL;
    if (!refused_tokens_of(&n->login.refused, env->states, &pkcs11_ops, err).ok ||
        !uri_read(&n->uri, reference, &n->options, err).ok ||
        !module_get(&n->module, &n->uri, &n->options, err).ok) {
        key_reference_drop(n);
        return FAIL;
    }
    *out = n;
    return OK;
}

struct result key_reference_away(struct key_reference **out, const struct keystore_env *env,
                                 const struct err *why, struct err *err)
{
    struct key_reference *n = make(env, err);

    if (n == NULL)
        return FAIL;
    n->away = *why;
    *out = n;
    return OK;
}

static bool is_named(const struct uri *uri)
{
    return uri->has_label || uri->id_size > 0;
}

struct result key_reference_find(struct key_reference *n, struct err *err)
{
    return token_keys_find(&n->keys, n->token, &n->uri, n->crypto, err);
}

struct result key_reference_login(struct key_reference *n, bool again, struct err *err)
{
    if (n->complete)
        return OK;
    if (!token_login(n->token, &n->login, err).ok)
        return FAIL;
    if ((again || n->keys.count == 0) && !key_reference_find(n, err).ok)
        return FAIL;
    n->complete = true;
    return OK;
}

static struct result none(const struct key_reference *n, struct err *err)
{
    if (n->keys.unusable_count > 0)
        (void)fail(err, ERR_NO_KEY, "key '%s': token '%s' has %s", n->uri.text, n->token->label,
                   n->keys.unusable[0].why);
    else
        (void)fail(err, ERR_NO_KEY, "key '%s': token '%s' has no such key", n->uri.text,
                   n->token->label);
    return fail_hint(err, "'bulla key list' with the token's URI shows its keys");
}

/* Two keys of one label, or of one version of a label, are no way to name a key. */
static struct result check_unique(const struct key_reference *n, struct err *err)
{
    const struct token_keys *keys = &n->keys;

    if (keys->count < 2 || !is_named(&n->uri))
        return OK;
    if (!keys->family)
        return token_keys_many(keys, n->token, &n->uri, err);
    for (size_t i = 0; i < keys->count; i++)
        for (size_t j = 0; j < i; j++)
            if (keys->list[i].version == keys->list[j].version) {
                (void)fail(err, ERR_USAGE, "key '%s': token '%s' has version %u twice", n->uri.text,
                           n->token->label, keys->list[i].version);
                token_keys_hint_two(&keys->list[j], &keys->list[i], n->token, &n->uri, err);
                return FAIL;
            }
    return OK;
}

struct result key_reference_resolve(struct key_reference *n, struct err *err)
{
    bool secret = n->uri.has_class && n->uri.class == CKO_SECRET_KEY;

    if (!token_find(&n->token, n->module, &n->uri, err).ok || !key_reference_find(n, err).ok)
        return FAIL;
    if (n->keys.count == 0 && n->keys.unusable_count == 0 && (is_named(&n->uri) || secret) &&
        !key_reference_login(n, false, err).ok)
        return FAIL;
    if (n->keys.count == 0 && is_named(&n->uri))
        return none(n, err);
    return check_unique(n, err);
}

/* A name without a version means the newest only in a rotation, and only if that has a private key
 * of the same label: on many tokens, anybody can put a public key. */
static struct result newest(struct key_reference *n, const struct token_key **key, struct err *err)
{
    const struct token_key *k = token_keys_newest(&n->keys);
    struct halves halves = {{k->aes}, 1};

    if (!token_login(n->token, &n->login, err).ok ||
        (!k->secret && !token_keys_private(n->token, k, &halves, err).ok))
        return FAIL;
    for (size_t i = 0; i < halves.count; i++) {
        char label[SLOT_KEY_LABEL_MAX + 1] = "";
        size_t size;
        if (token_value(n->token, halves.list[i], CKA_LABEL, label, SLOT_KEY_LABEL_MAX, &size) &&
            strncmp(label, k->label, sizeof label) == 0) {
            *key = k;
            return OK;
        }
    }
    return fail(err, ERR_NO_KEY, "token '%s': the private key for '%s' has another label",
                n->token->label, k->label);
}

static struct result several_versions(const struct key_reference *n, struct err *err)
{
    char *uri = token_keys_uri(token_keys_newest(&n->keys), n->token, &n->uri);

    (void)fail(err, ERR_USAGE, "key '%s': token '%s' has %zu versions of it", n->uri.text,
               n->token->label, n->keys.count);
    err_hint(err, "name the one to seal to: '%s' is the newest", uri != NULL ? uri : "");
    free(uri);
    return FAIL;
}

struct result key_reference_one(struct key_reference *n, const struct token_key **key,
                                struct err *err)
{
    if (n->keys.count == 0 && !key_reference_login(n, false, err).ok)
        return FAIL;
    if (n->keys.count == 0)
        return none(n, err);
    if (n->keys.count > 1) {
        if (!n->keys.family)
            return token_keys_many(&n->keys, n->token, &n->uri, err);
        return n->env.rotating ? newest(n, key, err) : several_versions(n, err);
    }
    *key = &n->keys.list[0];
    return OK;
}
