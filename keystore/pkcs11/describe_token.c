#include "keystore/pkcs11/describe_token.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "keystore/key_pair.h"
#include "keystore/pkcs11/aes_key.h"
#include "keystore/pkcs11/login.h"
#include "keystore/pkcs11/private_key.h"
#include "keystore/pkcs11/token_job.h"

#define TEXT_MAX 512

/* The mechanisms that bulla makes use of, and what for. */
static const struct {
    CK_MECHANISM_TYPE type;
    CK_FLAGS flag;
    const char *name;
} mechanisms[] = {
    {CKM_RSA_X_509, CKF_DECRYPT, "RSA_X_509"},
    {CKM_RSA_PKCS_OAEP, CKF_DECRYPT, "RSA_PKCS_OAEP"},
    {CKM_ECDH1_DERIVE, CKF_DERIVE, "ECDH1_DERIVE"},
    {CKM_AES_GCM, CKF_DECRYPT, "AES_GCM"},
    {CKM_AES_KEY_WRAP, CKF_UNWRAP, "AES_KEY_WRAP"},
    {CKM_RSA_PKCS_KEY_PAIR_GEN, CKF_GENERATE_KEY_PAIR, "RSA_PKCS_KEY_PAIR_GEN"},
    {CKM_EC_KEY_PAIR_GEN, CKF_GENERATE_KEY_PAIR, "EC_KEY_PAIR_GEN"},
    {CKM_AES_KEY_GEN, CKF_GENERATE, "AES_KEY_GEN"},
};

/* What a token says of its PIN. */
static const struct {
    CK_FLAGS flag;
    const char *text;
} pin_flags[] = {
    {CKF_USER_PIN_LOCKED, "locked"},
    {CKF_USER_PIN_FINAL_TRY, "one try is left"},
    {CKF_USER_PIN_COUNT_LOW, "a wrong one was given"},
    {CKF_PROTECTED_AUTHENTICATION_PATH, "entered on the token"},
    {CKF_LOGIN_REQUIRED, "needed"},
};

static void append(char *text, const char *word)
{
    size_t size = strlen(text);

    snprintf(text + size, TEXT_MAX - size, "%s%s", size > 0 ? ", " : "", word);
}

static void fact(struct token_job *job, const char *name, const char *value)
{
    token_job_fact(job, false, name, value);
}

static void token_facts(struct token_job *job, struct token *t)
{
    char text[TEXT_MAX] = "", maker[65], model[33];
    size_t i;

    token_text(maker, t->info.manufacturerID, sizeof t->info.manufacturerID);
    token_text(model, t->info.model, sizeof t->info.model);
    fact(job, "token label", t->label);
    fact(job, "token serial", t->serial);
    fact(job, "manufacturer", maker);
    fact(job, "model", model);
    fact(job, "module", t->module->name);
    for (i = 0; i < sizeof pin_flags / sizeof *pin_flags; i++)
        if ((t->info.flags & pin_flags[i].flag) != 0)
            append(text, pin_flags[i].text);
    fact(job, "PIN", text[0] != '\0' ? text : "none");
    text[0] = '\0';
    for (i = 0; i < sizeof mechanisms / sizeof *mechanisms; i++)
        if (token_can(t, mechanisms[i].type, mechanisms[i].flag))
            append(text, mechanisms[i].name);
    fact(job, "mechanisms", text[0] != '\0' ? text : "none that bulla uses");
}

/* How bulla would use a key, or why it cannot; and where its private half is. */
static void use_facts(struct token_job *job, struct token *t, const struct token_key *key)
{
    struct err err = {0};
    unsigned method = SLOT_PKCS11_AES_GCM;
    struct halves halves = {{key->aes}, key->secret};
    struct err none;
    bool in_sight;
    bool usable = key->secret ? aes_key_method(t, key, &method, &err).ok
                              : token_keys_fit(t, key, &in_sight, &err).ok;
    bool sha1 = key_pair_sha1(&job->reference->env.settings);

    if (!key->secret && !token_keys_private(t, key, &halves, &none).ok)
        halves.count = 0;
    CK_OBJECT_HANDLE object = halves.count > 0 ? halves.list[0] : 0;
    fact(job, "usable", usable ? "yes" : err.text);
    if (usable)
        fact(job, "method",
             slot_method_name(key->secret ? method : key_pair_method(&key->spki, sha1)));
    if (object == 0) {
        fact(job, "private key", "seen after a login only");
        return;
    }
    fact(job, "extractable", token_flag(t, object, CKA_EXTRACTABLE, false) ? "yes" : "no");
    if (token_flag(t, object, CKA_ALWAYS_AUTHENTICATE, false))
        fact(job, "PIN at each use", "yes");
}

static void key_facts(struct token_job *job, struct token *t, const struct token_key *key)
{
    char hex[2 * SLOT_CKA_ID_MAX + 1];

    fact(job, "key label", key->label);
    fact(job, "CKA_ID", text_hex(hex, key->id, key->id_size));
    fact(job, "kind", key->secret ? "aes256" : key->spki.name);
    if (key->secret)
        fact(job, "check value", text_hex(hex, key->check, key->check_size));
    else
        fact(job, "SPKI SHA-256", text_hex(hex, key->spki.hash, SHA256_SIZE));
    use_facts(job, t, key);
}

static struct result describe(struct token_job *job, struct err *err)
{
    struct key_reference *n = job->reference;
    const struct token_key *key;

    token_facts(job, n->token);
    if (!key_reference_one(n, &key, err).ok)
        return FAIL;
    /* A login shows more keys. If it fails, the next use of the key will say so. */
    struct err ignored;
    (void)token_login(n->token, &n->login, &ignored).ok;
    key_facts(job, n->token, key);
    return OK;
}

struct result pkcs11_describe(struct master_key *key, const struct key_sink *sink, struct err *err)
{
    struct token_job *job = token_job_new((struct key_reference *)key, describe, err);

    if (job == NULL || !token_job_do(job, err))
        return FAIL;
    token_job_tell(job, sink);
    token_job_free(job);
    return OK;
}

static void list_keys(struct token_job *job, struct token *t, const struct token_keys *keys)
{
    for (size_t i = 0; i < keys->count; i++) {
        char *uri = token_keys_uri(&keys->list[i], t, &job->reference->uri);
        token_job_fact(job, true, "key", uri);
        free(uri);
        key_facts(job, t, &keys->list[i]);
    }
    for (size_t i = 0; i < keys->unusable_count; i++) {
        char *uri = uri_for(&job->reference->uri, &t->info, keys->unusable[i].label, NULL);
        token_job_fact(job, true, "key", uri);
        free(uri);
        fact(job, "key label", keys->unusable[i].label);
        fact(job, "usable", keys->unusable[i].why);
    }
}

/* A reference to no token in particular, or to public keys, takes no PIN. */
static bool wants_login(const struct uri *uri, const struct token *t)
{
    bool one = p11_kit_uri_get_slot_id(uri->parsed) == t->slot;
    const CK_TOKEN_INFO *info = p11_kit_uri_get_token_info(uri->parsed);

    one = one || info->label[0] != '\0' || info->serialNumber[0] != '\0';
    return one && (!uri->has_class || uri->class != CKO_PUBLIC_KEY);
}

static struct result list_token(void *arg, struct token *t, struct err *err)
{
    struct token_job *job = arg;
    struct key_reference *n = job->reference;
    struct token_keys keys __attribute__((cleanup(token_keys_free))) = {0};
    char *uri = uri_for(&n->uri, &t->info, NULL, NULL);

    token_job_fact(job, true, "token", uri);
    free(uri);
    token_facts(job, t);
    if (wants_login(&n->uri, t) && !token_login(t, &n->login, err).ok)
        return FAIL;
    if (!token_keys_find(&keys, t, &n->uri, n->crypto, err).ok)
        return FAIL;
    list_keys(job, t, &keys);
    return OK;
}

static struct result list(struct token_job *job, struct err *err)
{
    return token_each(job->reference->module, &job->reference->uri, list_token, job, err);
}

struct result pkcs11_list(const struct keystore_env *env, const char *reference,
                          const struct key_sink *sink, struct err *err)
{
    struct key_reference *n;
    struct token_job *job;

    if (!token_job_open(&n, &job, env, reference, list, NULL, err).ok)
        return FAIL;
    token_job_tell(job, sink);
    token_job_free(job);
    key_reference_drop(n);
    return OK;
}
