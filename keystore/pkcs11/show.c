#include "keystore/pkcs11/show.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "keystore/key_pair.h"
#include "keystore/pkcs11/aes.h"
#include "keystore/pkcs11/login.h"
#include "keystore/pkcs11/named.h"
#include "keystore/pkcs11/private_key.h"

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

static void fact(struct task *task, const char *name, const char *value)
{
    task_fact(task, false, name, value);
}

static void token_facts(struct task *task, struct token *t)
{
    char text[TEXT_MAX] = "", maker[65], model[33];
    size_t i;

    token_text(maker, t->info.manufacturerID, sizeof t->info.manufacturerID);
    token_text(model, t->info.model, sizeof t->info.model);
    fact(task, "token label", t->label);
    fact(task, "token serial", t->serial);
    fact(task, "manufacturer", maker);
    fact(task, "model", model);
    fact(task, "module", t->module->name);
    for (i = 0; i < sizeof pin_flags / sizeof *pin_flags; i++)
        if ((t->info.flags & pin_flags[i].flag) != 0)
            append(text, pin_flags[i].text);
    fact(task, "PIN", text[0] != '\0' ? text : "none");
    text[0] = '\0';
    for (i = 0; i < sizeof mechanisms / sizeof *mechanisms; i++)
        if (token_can(t, mechanisms[i].type, mechanisms[i].flag))
            append(text, mechanisms[i].name);
    fact(task, "mechanisms", text[0] != '\0' ? text : "none that bulla uses");
}

/* How bulla would use a key, or why it cannot; and where its private half is. */
static void use_facts(struct task *task, struct token *t, const struct token_key *key)
{
    struct err err = {0};
    enum slot_code method = SLOT_PKCS11_AES_GCM;
    struct halves halves = {{key->aes}, key->secret};
    struct err none;
    bool in_sight;
    bool usable =
        key->secret ? aes_method(t, key, &method, &err).ok : keys_fit(t, key, &in_sight, &err).ok;
    bool sha1 = task->named->env->token.oaep_sha1;

    if (!key->secret && !keys_private(t, key, &halves, &none).ok)
        halves.count = 0;
    CK_OBJECT_HANDLE object = halves.count > 0 ? halves.list[0] : 0;
    fact(task, "usable", usable ? "yes" : err.text);
    if (usable)
        fact(task, "method",
             slot_method_name(key->secret ? method : key_pair_method(&key->spki, sha1)));
    if (object == 0) {
        fact(task, "private key", "seen after a login only");
        return;
    }
    fact(task, "extractable", token_flag(t, object, CKA_EXTRACTABLE, false) ? "yes" : "no");
    if (token_flag(t, object, CKA_ALWAYS_AUTHENTICATE, false))
        fact(task, "PIN at each use", "yes");
}

static void key_facts(struct task *task, struct token *t, const struct token_key *key)
{
    char hex[2 * SLOT_CKA_ID_MAX + 1];

    fact(task, "key label", key->label);
    fact(task, "CKA_ID", text_hex(hex, key->id, key->id_size));
    fact(task, "kind", key->secret ? "aes256" : key->spki.name);
    if (key->secret)
        fact(task, "check value", text_hex(hex, key->check, key->check_size));
    else
        fact(task, "SPKI SHA-256", text_hex(hex, key->spki.hash, SHA256_SIZE));
    use_facts(task, t, key);
}

static struct result describe(struct task *task, struct err *err)
{
    struct named *n = task->named;
    const struct token_key *key;

    token_facts(task, n->token);
    if (!named_one(n, &key, err).ok)
        return FAIL;
    /* A login shows more. If it fails, who uses the key next is told so. */
    struct err ignored;
    (void)token_login(n->token, &n->uri, n->env, &ignored).ok;
    key_facts(task, n->token, key);
    return OK;
}

struct result pkcs11_describe(struct master_key *key, const struct key_sink *sink, struct err *err)
{
    struct task *task = task_new((struct named *)key, describe, err);

    if (task == NULL || !task_do(task, err))
        return FAIL;
    task_tell(task, sink);
    task_free(task);
    return OK;
}

static void list_keys(struct task *task, struct token *t, const struct token_keys *keys)
{
    for (size_t i = 0; i < keys->count; i++) {
        char *uri = keys_uri(&keys->list[i], t, &task->named->uri);
        task_fact(task, true, "key", uri);
        free(uri);
        key_facts(task, t, &keys->list[i]);
    }
    for (size_t i = 0; i < keys->unusable_count; i++) {
        char *uri = uri_for(&task->named->uri, &t->info, keys->unusable[i].label, NULL);
        task_fact(task, true, "key", uri);
        free(uri);
        fact(task, "key label", keys->unusable[i].label);
        fact(task, "usable", keys->unusable[i].why);
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
    struct task *task = arg;
    struct named *n = task->named;
    struct token_keys keys __attribute__((cleanup(keys_free))) = {0};
    char *uri = uri_for(&n->uri, &t->info, NULL, NULL);

    task_fact(task, true, "token", uri);
    free(uri);
    token_facts(task, t);
    if (wants_login(&n->uri, t) && !token_login(t, &n->uri, n->env, err).ok)
        return FAIL;
    if (!keys_find(&keys, t, &n->uri, n->env->crypto, err).ok)
        return FAIL;
    list_keys(task, t, &keys);
    return OK;
}

static struct result list(struct task *task, struct err *err)
{
    return token_each(task->named->module, &task->named->uri, list_token, task, err);
}

struct result pkcs11_list(const struct keystore_env *env, const char *reference,
                          const struct key_sink *sink, struct err *err)
{
    struct named *n;
    struct task *task;

    if (!named_do(&n, &task, env, reference, list, NULL, err).ok)
        return FAIL;
    task_tell(task, sink);
    task_free(task);
    named_close(n);
    return OK;
}
