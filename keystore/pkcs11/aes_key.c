#include "keystore/pkcs11/aes_key.h"

#include <string.h>

#include "keystore/key_pair.h"
#include "keystore/pkcs11/ckr.h"
#include "keystore/pkcs11/login.h"

#define GCM_SIZE (KEY_SIZE + AEAD_TAG_SIZE)
#define KW_SIZE (KEY_SIZE + 8)
#define CHECK_VALUE_USUAL 3 /* bytes; PKCS#11 v2.40, 4.10.2 */
#define IV_ROOM 64          /* bytes; a module that makes the IV itself writes it there */

bool aes_key_is_slot(const struct slot *slot)
{
    return slot->method->code == SLOT_PKCS11_AES_GCM || slot->method->code == SLOT_PKCS11_AES_KW;
}

bool aes_key_is_checked(const struct token_key *key, const struct slot *slot)
{
    return slot_view(slot, &pkcs11_check_value).size >= CHECK_VALUE_USUAL &&
           key->check_size >= CHECK_VALUE_USUAL;
}

bool aes_key_may_open(const struct token_key *key, const struct slot *slot)
{
    if (!key->secret || !aes_key_is_slot(slot))
        return false;
    struct view id = slot_view(slot, &pkcs11_aes_id), check = slot_view(slot, &pkcs11_check_value);
    size_t both = check.size < key->check_size ? check.size : key->check_size;
    return id.size == key->id_size && memcmp(id.bytes, key->id, id.size) == 0 &&
           memcmp(check.bytes, key->check, both) == 0;
}

static bool may(struct token *t, const struct token_key *key, CK_ATTRIBUTE_TYPE one,
                CK_ATTRIBUTE_TYPE other)
{
    return token_flag(t, key->aes, one, true) && token_flag(t, key->aes, other, true);
}

struct result aes_key_method(struct token *token, const struct token_key *key, unsigned *method,
                             struct err *err)
{
    if (token_can(token, CKM_AES_GCM, CKF_ENCRYPT | CKF_DECRYPT) &&
        may(token, key, CKA_ENCRYPT, CKA_DECRYPT)) {
        *method = SLOT_PKCS11_AES_GCM;
        return OK;
    }
    if (token_can(token, CKM_AES_KEY_WRAP, CKF_WRAP | CKF_UNWRAP) &&
        may(token, key, CKA_WRAP, CKA_UNWRAP)) {
        *method = SLOT_PKCS11_AES_KW;
        return OK;
    }
    (void)fail(err, ERR_NO_KEY, "token '%s' lets key '%s' do neither AES-GCM nor AES key wrap",
               token->label, key->label);
    return fail_hint(err, "the token needs CKM_AES_GCM and the key CKA_ENCRYPT and CKA_DECRYPT, or "
                          "CKM_AES_KEY_WRAP, CKA_WRAP and CKA_UNWRAP");
}

/* If the tag is wrong, SoftHSM gives only a general error. Its name stays in the message, and the
 * status is that of a key that does not open the file. */
static struct result not_opened(CK_RV rv, struct err *err)
{
    if (ckr_damaged(rv))
        return fail(err, ERR_DAMAGED, "not authentic");
    if (rv == CKR_GENERAL_ERROR || rv == CKR_FUNCTION_FAILED) {
        err->class = ERR_NO_KEY;
        err_hint(err, "either the slot was changed, or the token failed");
    }
    return FAIL;
}

/* What came of a call that wraps, which must have given so many bytes. */
static struct result check_wrap(struct token *t, CK_RV rv, const char *call, CK_ULONG size,
                                CK_ULONG expected, struct err *err)
{
    if (rv != CKR_OK)
        return token_broken(t, rv, call, err);
    return size == expected ? OK
                            : fail(err, ERR_STORE, "token '%s': %s gave %lu bytes, not %lu",
                                   t->label, call, size, expected);
}

static CK_GCM_PARAMS gcm_params(uint8_t *iv, struct view aad)
{
    return (CK_GCM_PARAMS){.pIv = iv,
                           .ulIvLen = AEAD_NONCE_SIZE,
                           .ulIvBits = 8 * AEAD_NONCE_SIZE,
                           .pAAD = (unsigned char *)(uintptr_t)aad.bytes,
                           .ulAADLen = aad.size,
                           .ulTagBits = 8 * AEAD_TAG_SIZE};
}

static struct result gcm_wrap(struct token *t, const struct login *login,
                              const struct token_key *key, struct view aad,
                              const struct secret *branch_key, struct slot *slot, struct err *err)
{
    uint8_t iv[IV_ROOM] = {0}, sealed[2 * GCM_SIZE];
    CK_GCM_PARAMS params = gcm_params(iv, aad);
    CK_MECHANISM mechanism = {CKM_AES_GCM, &params, sizeof params};
    CK_ULONG size = sizeof sealed;

    if (!random_bytes(iv, AEAD_NONCE_SIZE, err).ok)
        return FAIL;
    CK_RV rv = CALL(t->module, C_EncryptInit, t->session, &mechanism, key->aes);
    if (rv == CKR_OK)
        rv = token_again(t, login, key->aes);
    if (rv == CKR_OK)
        rv = CALL(t->module, C_Encrypt, t->session, branch_key->bytes, branch_key->size, sealed,
                  &size);
    if (!check_wrap(t, rv, "C_Encrypt by AES-GCM", size, GCM_SIZE, err).ok)
        return FAIL;
    /* AWS CloudHSM makes the nonce itself and leaves it where it was given one. */
    memcpy(slot->wrap, iv, AEAD_NONCE_SIZE);
    memcpy(slot->wrap + AEAD_NONCE_SIZE, sealed, GCM_SIZE);
    slot->wrap_size = AEAD_NONCE_SIZE + GCM_SIZE;
    return OK;
}

static struct result gcm_unwrap(struct token *t, const struct login *login,
                                const struct token_key *key, struct view aad,
                                const struct slot *slot, struct secret *branch_key, struct err *err)
{
    struct secret plain SECRET_CLEANUP = {0};
    uint8_t iv[IV_ROOM] = {0}, sealed[GCM_SIZE];
    CK_GCM_PARAMS params = gcm_params(iv, aad);
    CK_MECHANISM mechanism = {CKM_AES_GCM, &params, sizeof params};

    /* SoftHSM wants room for the tag too. */
    if (!secret_new(&plain, GCM_SIZE, err).ok)
        return FAIL;
    CK_ULONG size = plain.size;
    memcpy(iv, slot->wrap, AEAD_NONCE_SIZE);
    memcpy(sealed, slot->wrap + AEAD_NONCE_SIZE, GCM_SIZE);
    CK_RV rv = CALL(t->module, C_DecryptInit, t->session, &mechanism, key->aes);
    if (rv == CKR_OK)
        rv = token_again(t, login, key->aes);
    if (rv != CKR_OK)
        return token_broken(t, rv, "C_DecryptInit by AES-GCM", err);
    rv = CALL(t->module, C_Decrypt, t->session, sealed, sizeof sealed, plain.bytes, &size);
    if (rv != CKR_OK) {
        (void)token_broken(t, rv, "C_Decrypt by AES-GCM", err).ok;
        return not_opened(rv, err);
    }
    if (size != KEY_SIZE)
        return fail(err, ERR_STORE, "token '%s': C_Decrypt gave %lu bytes, not %d", t->label, size,
                    KEY_SIZE);
    return secret_copy(branch_key, plain.bytes, KEY_SIZE, err);
}

/* For AES key wrap the branch key has to be an object of the session for a moment. */
static CK_RV import(struct token *t, const struct secret *branch_key, CK_OBJECT_HANDLE *out)
{
    CK_OBJECT_CLASS class = CKO_SECRET_KEY;
    CK_KEY_TYPE type = CKK_AES;
    CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
    CK_ATTRIBUTE template[] = {
        {CKA_CLASS, &class, sizeof class},   {CKA_KEY_TYPE, &type, sizeof type},
        {CKA_TOKEN, &no, sizeof no},         {CKA_SENSITIVE, &no, sizeof no},
        {CKA_EXTRACTABLE, &yes, sizeof yes}, {CKA_VALUE, branch_key->bytes, branch_key->size},
    };

    return CALL(t->module, C_CreateObject, t->session, template, sizeof template / sizeof *template,
                out);
}

static struct result kw_wrap(struct token *t, const struct token_key *key,
                             const struct secret *branch_key, struct slot *slot, struct err *err)
{
    CK_MECHANISM mechanism = {CKM_AES_KEY_WRAP, NULL, 0};
    CK_OBJECT_HANDLE object = CK_INVALID_HANDLE;
    uint8_t wrapped[2 * KW_SIZE];
    CK_ULONG size = sizeof wrapped;
    CK_RV rv = import(t, branch_key, &object);

    if (rv != CKR_OK)
        return token_broken(t, rv, "C_CreateObject", err);
    rv = CALL(t->module, C_WrapKey, t->session, &mechanism, key->aes, object, wrapped, &size);
    (void)CALL(t->module, C_DestroyObject, t->session, object);
    if (!check_wrap(t, rv, "C_WrapKey by AES key wrap", size, KW_SIZE, err).ok)
        return FAIL;
    memcpy(slot->wrap, wrapped, KW_SIZE);
    slot->wrap_size = KW_SIZE;
    return OK;
}

static struct result kw_unwrap(struct token *t, const struct token_key *key,
                               const struct slot *slot, struct secret *branch_key, struct err *err)
{
    CK_MECHANISM mechanism = {CKM_AES_KEY_WRAP, NULL, 0};
    CK_OBJECT_CLASS class = CKO_SECRET_KEY;
    CK_KEY_TYPE type = CKK_AES;
    CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
    CK_ATTRIBUTE template[] = {
        {CKA_CLASS, &class, sizeof class},   {CKA_KEY_TYPE, &type, sizeof type},
        {CKA_TOKEN, &no, sizeof no},         {CKA_SENSITIVE, &no, sizeof no},
        {CKA_EXTRACTABLE, &yes, sizeof yes},
    };
    struct secret plain SECRET_CLEANUP = {0};
    CK_OBJECT_HANDLE object = CK_INVALID_HANDLE;
    uint8_t wrapped[KW_SIZE];
    size_t size = 0;

    if (!secret_new(&plain, KEY_SIZE, err).ok)
        return FAIL;
    memcpy(wrapped, slot->wrap, KW_SIZE);
    CK_RV rv = CALL(t->module, C_UnwrapKey, t->session, &mechanism, key->aes, wrapped, KW_SIZE,
                    template, sizeof template / sizeof *template, &object);
    if (rv != CKR_OK) {
        (void)token_broken(t, rv, "C_UnwrapKey by AES key wrap", err).ok;
        return not_opened(rv, err);
    }
    bool got = token_value(t, object, CKA_VALUE, plain.bytes, plain.size, &size);
    (void)CALL(t->module, C_DestroyObject, t->session, object);
    if (!got || size != KEY_SIZE)
        return fail(err, ERR_STORE, "token '%s' unwrapped a key but does not give it", t->label);
    *branch_key = TAKE(plain);
    return OK;
}

struct result aes_key_wrap(struct token *token, const struct login *login,
                           const struct token_key *key, const struct branch_identity *branch,
                           const struct secret *branch_key, struct slot *slot, struct err *err)
{
    unsigned method;
    uint8_t aad[SLOT_AAD_MAX];

    if (!aes_key_method(token, key, &method, err).ok)
        return FAIL;
    slot_begin(slot, method);
    slot_put_sized(slot, key->check, key->check_size);
    key_pair_put_hint(slot, &key_pair_token_label, view_text(token->label));
    key_pair_put_hint(slot, &key_pair_token_serial, view_text(token->serial));
    key_pair_put_hint(slot, &key_pair_key_label, view_text(key->label));
    slot_put_sized(slot, key->id, key->id_size);
    if (method == SLOT_PKCS11_AES_KW)
        return kw_wrap(token, key, branch_key, slot, err);
    return gcm_wrap(token, login, key, slot_aad(slot, branch->id, aad), branch_key, slot, err);
}

struct result aes_key_unwrap(struct token *token, const struct login *login,
                             const struct token_key *key, const struct branch_identity *branch,
                             const struct slot *slot, struct secret *branch_key, struct err *err)
{
    uint8_t aad[SLOT_AAD_MAX];

    if (slot->method->code == SLOT_PKCS11_AES_KW)
        return kw_unwrap(token, key, slot, branch_key, err);
    return gcm_unwrap(token, login, key, slot_aad(slot, branch->id, aad), slot, branch_key, err);
}
