#include "keystore/pkcs11/generate_key.h"

#include <string.h>

#include "keystore/pkcs11/ckr.h"

static const uint8_t exponent[] = {0x01, 0x00, 0x01};

/* One row for each kind: how it is made, and what it is used by. */
static const struct row {
    const char *name;
    CK_MECHANISM_TYPE make;
    CK_FLAGS make_flag;
    CK_MECHANISM_TYPE use;
    CK_FLAGS use_flag;
    enum spki_kind curve; /* or SPKI_RSA */
    CK_ULONG bits;
} rows[] = {
    [MAKE_P256] = {"p256", CKM_EC_KEY_PAIR_GEN, CKF_GENERATE_KEY_PAIR, CKM_ECDH1_DERIVE, CKF_DERIVE,
                   SPKI_P256, 256},
    [MAKE_P384] = {"p384", CKM_EC_KEY_PAIR_GEN, CKF_GENERATE_KEY_PAIR, CKM_ECDH1_DERIVE, CKF_DERIVE,
                   SPKI_P384, 384},
    [MAKE_RSA2048] = {"rsa2048", CKM_RSA_PKCS_KEY_PAIR_GEN, CKF_GENERATE_KEY_PAIR,
                      CKM_RSA_PKCS_OAEP, CKF_DECRYPT, SPKI_RSA, 2048},
    [MAKE_RSA3072] = {"rsa3072", CKM_RSA_PKCS_KEY_PAIR_GEN, CKF_GENERATE_KEY_PAIR,
                      CKM_RSA_PKCS_OAEP, CKF_DECRYPT, SPKI_RSA, 3072},
    [MAKE_RSA4096] = {"rsa4096", CKM_RSA_PKCS_KEY_PAIR_GEN, CKF_GENERATE_KEY_PAIR,
                      CKM_RSA_PKCS_OAEP, CKF_DECRYPT, SPKI_RSA, 4096},
    [MAKE_AES256] = {"aes256", CKM_AES_KEY_GEN, CKF_GENERATE, CKM_AES_GCM, CKF_ENCRYPT, SPKI_RSA,
                     256},
};

#define ROWS (sizeof rows / sizeof *rows)

const char *generate_key_kind_name(enum generate_kind kind)
{
    return rows[kind].name;
}

/* What the second mechanism is where the first is missing. */
static bool can_use(struct token *t, const struct row *row)
{
    if (token_can(t, row->use, row->use_flag))
        return true;
    return row->use == CKM_RSA_PKCS_OAEP
               ? token_can(t, CKM_RSA_X_509, CKF_DECRYPT)
               : row->use == CKM_AES_GCM && token_can(t, CKM_AES_KEY_WRAP, CKF_WRAP | CKF_UNWRAP);
}

static bool can(struct token *t, enum generate_kind kind)
{
    return token_can(t, rows[kind].make, rows[kind].make_flag) && can_use(t, &rows[kind]);
}

struct result generate_key_choose(struct token *token, const char *name, enum generate_kind *kind,
                                  struct err *err)
{
    size_t i = 0;

    if (name == NULL) {
        i = can(token, MAKE_P256) ? MAKE_P256 : MAKE_RSA3072;
        name = rows[i].name;
    }
    while (i < ROWS && strcmp(rows[i].name, name) != 0)
        i++;
    if (i == ROWS)
        return fail(
            err, ERR_USAGE,
            "--kind is p256, p384, rsa2048, rsa3072, rsa4096 or aes256 on a token, not '%s'", name);
    if (!can(token, (enum generate_kind)i)) {
        (void)fail(err, ERR_NO_KEY, "token '%s' cannot make or use keys of the kind %s",
                   token->label, name);
        return fail_hint(err, "'bulla key list' shows what it can do");
    }
    *kind = (enum generate_kind)i;
    return OK;
}

enum generate_kind generate_key_like(const struct token_key *key)
{
    if (key->secret)
        return MAKE_AES256;
    if (key->spki.kind != SPKI_RSA)
        return key->spki.kind == SPKI_P256 ? MAKE_P256 : MAKE_P384;
    return key->spki.bits <= 2048   ? MAKE_RSA2048
           : key->spki.bits <= 3072 ? MAKE_RSA3072
                                    : MAKE_RSA4096;
}

#define TEMPLATE_MAX 16

/* struct template: attributes of an object to be. */
struct template
{
    CK_ATTRIBUTE list[TEMPLATE_MAX];
    CK_ULONG count;
};

static void put(struct template *t, CK_ATTRIBUTE_TYPE type, const void *value, size_t size)
{
    t->list[t->count++] = (CK_ATTRIBUTE){type, (void *)(uintptr_t)value, size};
}

static const CK_BBOOL yes = CK_TRUE, no = CK_FALSE;

static void put_flag(struct template *t, CK_ATTRIBUTE_TYPE type, bool value)
{
    put(t, type, value ? &yes : &no, sizeof(CK_BBOOL));
}

static void put_common(struct template *t, const char *label, const uint8_t *id, bool private)
{
    put_flag(t, CKA_TOKEN, true);
    put_flag(t, CKA_PRIVATE, private);
    put(t, CKA_LABEL, label, strlen(label));
    put(t, CKA_ID, id, GENERATE_ID_SIZE);
    if (!private)
        return;
    put_flag(t, CKA_SENSITIVE, true);
    put_flag(t, CKA_EXTRACTABLE, false);
}

static CK_RV make_pair(struct token *t, const struct row *row, const char *label, const uint8_t *id,
                       CK_OBJECT_HANDLE made[2])
{
    CK_MECHANISM mechanism = {row->make, NULL, 0};
    struct template public = {0}, private = {0};

    put_common(&public, label, id, false);
    put_common(&private, label, id, true);
    if (row->curve != SPKI_RSA) {
        struct view name = spki_parameters(row->curve);
        put(&public, CKA_EC_PARAMS, name.bytes, name.size);
        put_flag(&private, CKA_DERIVE, true);
    } else {
        put(&public, CKA_MODULUS_BITS, &row->bits, sizeof row->bits);
        put(&public, CKA_PUBLIC_EXPONENT, exponent, sizeof exponent);
        put_flag(&public, CKA_ENCRYPT, true);
        put_flag(&private, CKA_DECRYPT, true);
    }
    return CALL(t->module, C_GenerateKeyPair, t->session, &mechanism, public.list, public.count,
                private.list, private.count, &made[0], &made[1]);
}

static CK_RV make_aes(struct token *t, const struct row *row, const char *label, const uint8_t *id,
                      CK_OBJECT_HANDLE *made)
{
    bool gcm = token_can(t, CKM_AES_GCM, CKF_ENCRYPT | CKF_DECRYPT);
    CK_MECHANISM mechanism = {row->make, NULL, 0};
    CK_ULONG size = AES_KEY_BYTES;
    struct template template = {0};

    put_common(&template, label, id, true);
    put(&template, CKA_VALUE_LEN, &size, sizeof size);
    put_flag(&template, gcm ? CKA_ENCRYPT : CKA_WRAP, true);
    put_flag(&template, gcm ? CKA_DECRYPT : CKA_UNWRAP, true);
    return CALL(t->module, C_GenerateKey, t->session, &mechanism, template.list, template.count,
                made);
}

/* One key, one purpose: it must not sign, and its public half should say what the key is for, if
 * the token allows that. In the template, this makes tpm2-pkcs11 1.9.0 fail and leave objects in
 * the TPM, which is soon full. */
static void say(struct token *t, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE use, bool may)
{
    CK_BBOOL value = may ? CK_TRUE : CK_FALSE;
    CK_ATTRIBUTE attribute = {use, &value, sizeof value};

    if (token_flag(t, object, use, false) != may)
        (void)CALL(t->module, C_SetAttributeValue, t->session, object, &attribute, 1);
}

struct result generate_key(struct token *token, enum generate_kind kind, const char *label,
                           const uint8_t id[GENERATE_ID_SIZE], struct err *err)
{
    const struct row *row = &rows[kind];
    CK_OBJECT_HANDLE made[2] = {0};
    bool pair = kind != MAKE_AES256;
    CK_RV rv =
        pair ? make_pair(token, row, label, id, made) : make_aes(token, row, label, id, made);

    if (rv != CKR_OK)
        return ckr_fail(err, rv, "token '%s': making a key of the kind %s", token->label,
                        row->name);
    CK_OBJECT_HANDLE secret = made[pair ? 1 : 0];
    say(token, secret, CKA_SIGN, false);
    say(token, secret, CKA_SIGN_RECOVER, false);
    say(token, made[0], CKA_VERIFY, false);
    say(token, made[0], CKA_VERIFY_RECOVER, false);
    if (pair && row->curve != SPKI_RSA)
        say(token, made[0], CKA_DERIVE, true);
    if (token_flag(token, secret, CKA_SENSITIVE, true) &&
        !token_flag(token, secret, CKA_EXTRACTABLE, false))
        return OK;
    for (int i = 0; i <= pair; i++)
        (void)CALL(token->module, C_DestroyObject, token->session, made[i]);
    return fail(err, ERR_POLICY,
                "token '%s' made a key that can be taken out; it was removed again", token->label);
}
