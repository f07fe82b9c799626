#include "keystore/pkcs11/private_key.h"

#include "crypto/oaep.h"
#include "keystore/pkcs11/ckr.h"

static struct result not_opened(struct token *token, CK_RV rv, const char *what, struct err *err)
{
    (void)token_broken(token, rv, what, err).ok;
    return ckr_damaged(rv) ? fail(err, ERR_DAMAGED, "not authentic") : FAIL;
}

/* Has the token decrypt: *plain has *size bytes then, no more than it has room for. */
static CK_RV decrypt(const struct private_key *key, CK_MECHANISM *mechanism, struct view wrapped,
                     struct secret *plain, CK_ULONG *size)
{
    struct token *token = key->token;
    CK_RV rv = CALL(token->module, C_DecryptInit, token->session, mechanism, key->object);

    *size = plain->size;
    if (rv == CKR_OK)
        rv = token_again(token, key->login, key->object);
    if (rv == CKR_OK)
        rv = CALL(token->module, C_Decrypt, token->session, (CK_BYTE *)(uintptr_t)wrapped.bytes,
                  wrapped.size, plain->bytes, size);
    return rv == CKR_OK && (*size > plain->size || *size == 0) ? CKR_GENERAL_ERROR : rv;
}

/* The token gives the raw number, and the padding is taken off here: any hash will do. */
static struct result decrypt_raw(const struct private_key *key, bool sha1, struct view wrapped,
                                 struct secret *out, struct err *err)
{
    CK_MECHANISM mechanism = {CKM_RSA_X_509, NULL, 0};
    struct secret padded SECRET_CLEANUP = {0};
    CK_ULONG size;

    if (!secret_new(&padded, RSA_BYTES_MAX, err).ok)
        return FAIL;
    CK_RV rv = decrypt(key, &mechanism, wrapped, &padded, &size);
    if (rv != CKR_OK)
        return not_opened(key->token, rv, "C_Decrypt", err);
    return oaep_unpad(key->crypto, sha1, padded.bytes, size, wrapped.size, out, err);
}

/* For tokens that give no raw numbers, like a YubiHSM. */
static struct result decrypt_oaep(const struct private_key *key, bool sha1, struct view wrapped,
                                  struct secret *out, struct err *err)
{
    CK_RSA_PKCS_OAEP_PARAMS params = {.hashAlg = sha1 ? CKM_SHA_1 : CKM_SHA256,
                                      .mgf = sha1 ? CKG_MGF1_SHA1 : CKG_MGF1_SHA256,
                                      .source = CKZ_DATA_SPECIFIED};
    CK_MECHANISM mechanism = {CKM_RSA_PKCS_OAEP, &params, sizeof params};
    struct secret plain SECRET_CLEANUP = {0};
    CK_ULONG size;

    if (!secret_new(&plain, RSA_BYTES_MAX, err).ok)
        return FAIL;
    CK_RV rv = decrypt(key, &mechanism, wrapped, &plain, &size);
    key->token->oaep_failed = rv;
    if (rv != CKR_OK)
        return not_opened(key->token, rv, "C_Decrypt by RSA-OAEP", err);
    return size == KEY_SIZE ? secret_copy(out, plain.bytes, KEY_SIZE, err)
                            : fail(err, ERR_DAMAGED, "not authentic");
}

bool private_key_needs_oaep(struct token *token)
{
    return !token_can(token, CKM_RSA_X_509, CKF_DECRYPT);
}

bool private_key_can_decrypt(struct token *token)
{
    return !private_key_needs_oaep(token) || token_can(token, CKM_RSA_PKCS_OAEP, CKF_DECRYPT);
}

struct result private_key_decrypt(const struct private_key *key, bool sha1, struct view wrapped,
                                  struct secret *out, struct err *err)
{
    if (wrapped.size != key->spki->bits / 8)
        return fail(err, ERR_DAMAGED, "not authentic");
    return private_key_needs_oaep(key->token) ? decrypt_oaep(key, sha1, wrapped, out, err)
                                              : decrypt_raw(key, sha1, wrapped, out, err);
}

/* Reads the secret that was derived, which is an object of the session until then. */
static CK_RV take_derived(struct token *token, CK_OBJECT_HANDLE derived, struct secret *shared)
{
    size_t size = 0;

    token->value_failed = CKR_OK;
    bool got = token_value(token, derived, CKA_VALUE, shared->bytes, shared->size, &size);
    (void)CALL(token->module, C_DestroyObject, token->session, derived);
    if (!got)
        return token->value_failed != CKR_OK ? token->value_failed : CKR_ATTRIBUTE_SENSITIVE;
    return size == shared->size ? CKR_OK : CKR_GENERAL_ERROR;
}

/* What the secret is used for happens here, not on the token. */
static CK_RV derive(const struct private_key *key, struct view point, struct secret *shared)
{
    struct token *token = key->token;
    CK_ECDH1_DERIVE_PARAMS params = {.kdf = CKD_NULL,
                                     .ulPublicDataLen = point.size,
                                     .pPublicData = (CK_BYTE *)(uintptr_t)point.bytes};
    CK_MECHANISM mechanism = {CKM_ECDH1_DERIVE, &params, sizeof params};
    CK_OBJECT_CLASS class = CKO_SECRET_KEY;
    CK_KEY_TYPE type = CKK_GENERIC_SECRET;
    CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
    CK_ULONG size = shared->size;
    CK_OBJECT_HANDLE derived = CK_INVALID_HANDLE;
    CK_ATTRIBUTE template[] = {
        {CKA_CLASS, &class, sizeof class},   {CKA_KEY_TYPE, &type, sizeof type},
        {CKA_TOKEN, &no, sizeof no},         {CKA_SENSITIVE, &no, sizeof no},
        {CKA_EXTRACTABLE, &yes, sizeof yes}, {CKA_VALUE_LEN, &size, sizeof size},
    };
    CK_RV rv = CALL(token->module, C_DeriveKey, token->session, &mechanism, key->object, template,
                    sizeof template / sizeof *template, &derived);

    return rv == CKR_OK ? take_derived(token, derived, shared) : rv;
}

struct result private_key_derive(const struct private_key *key, struct view point,
                                 struct secret *out, struct err *err)
{
    struct secret shared SECRET_CLEANUP = {0};
    size_t size = key->spki->kind == SPKI_P256 ? P256_SHARED_SIZE : P384_SHARED_SIZE;
    struct spki other;
    struct err ignored;

    /* A point that is not on the curve would tell of the private key: it is not sent. */
    if (!spki_from_point(&other, key->crypto, point, &ignored).ok || other.kind != key->spki->kind)
        return fail(err, ERR_DAMAGED, "not authentic");
    if (!secret_new(&shared, size, err).ok)
        return FAIL;
    CK_RV rv = derive(key, point, &shared);
    if (rv != CKR_OK)
        return not_opened(key->token, rv, "C_DeriveKey", err);
    *out = TAKE(shared);
    return OK;
}
