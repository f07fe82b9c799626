#include "keystore/pkcs11/private.h"

#include <libp11.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/ui.h>
#include <pthread.h>
#include <string.h>

#include "keystore/pkcs11/ckr.h"
#include "keystore/pkcs11/guard.h"
#include "keystore/pkcs11/login.h"

/* struct borrowed: a private key on the token as OpenSSL's, by libp11. */
struct borrowed {
    PKCS11_CTX *ctx;
    PKCS11_SLOT *slots;
    unsigned slot_count;
    EVP_PKEY *key;
};

/* libp11 makes its tables when they are first used, without a lock. What is done under this one
 * calls the guard, but no module, so that none can keep it. */
static pthread_mutex_t libp11_lock = PTHREAD_MUTEX_INITIALIZER;

/* Keys before slots: the other way round, libp11 0.4.12 touches what it freed. */
static void give_back(struct borrowed *b)
{
    pthread_mutex_lock(&libp11_lock);
    EVP_PKEY_free(b->key);
    if (b->slots != NULL)
        PKCS11_release_all_slots(b->ctx, b->slots, b->slot_count);
    if (b->ctx != NULL) {
        PKCS11_CTX_unload(b->ctx);
        PKCS11_CTX_free(b->ctx);
    }
    pthread_mutex_unlock(&libp11_lock);
    *b = (struct borrowed){0};
    guard_clear();
    ERR_clear_error();
}

#define BORROWED_CLEANUP __attribute__((cleanup(give_back)))

static struct result libp11_failed(const struct token *token, const char *what, struct err *err)
{
    char text[256] = "it does not say why";
    unsigned long code = ERR_peek_last_error();

    if (guard_failed() != CKR_OK)
        return ckr_fail(err, guard_failed(), "token '%s': %s", token->label, what);
    if (code != 0)
        ERR_error_string_n(code, text, sizeof text);
    return fail(err, ERR_STORE, "token '%s': %s: libp11 failed: %s", token->label, what, text);
}

static struct result load(struct borrowed *b, const struct token *token, struct err *err)
{
    PKCS11_CTX *ctx = PKCS11_CTX_new();

    if (ctx == NULL)
        return fail(err, ERR_FAILED, "out of memory");
    /* Whatever it would ask of a person, it shall not: it reads standard input. */
    if (PKCS11_set_ui_method(ctx, (UI_METHOD *)(uintptr_t)UI_null(), NULL) != 0 ||
        PKCS11_CTX_load(ctx, "") != 0) {
        PKCS11_CTX_free(ctx);
        return libp11_failed(token, "loading", err);
    }
    b->ctx = ctx;
    return OK;
}

static struct result find(struct borrowed *b, const struct token *token, struct err *err)
{
    PKCS11_KEY *keys = NULL;
    unsigned count = 0;

    if (!load(b, token, err).ok)
        return FAIL;
    if (PKCS11_enumerate_slots(b->ctx, &b->slots, &b->slot_count) != 0 || b->slot_count != 1 ||
        b->slots[0].token == NULL || PKCS11_enumerate_keys(b->slots[0].token, &keys, &count) != 0 ||
        count != 1)
        return libp11_failed(token, "finding a private key", err);
    b->key = PKCS11_get_private_key(&keys[0]);
    return b->key != NULL ? OK : libp11_failed(token, "taking a private key", err);
}

static struct result borrow(struct borrowed *b, struct token *token, const struct token_key *key,
                            CK_OBJECT_HANDLE half, const struct crypto *crypto, struct err *err)
{
    if (!guard_set(token, key, crypto, half, err).ok)
        return FAIL;
    pthread_mutex_lock(&libp11_lock);
    struct result r = find(b, token, err);
    pthread_mutex_unlock(&libp11_lock);
    return r;
}

static struct result not_opened(struct token *token, CK_RV rv, const char *what, struct err *err)
{
    (void)token_broken(token, rv, what, err).ok;
    return ckr_damaged(rv) ? fail(err, ERR_DAMAGED, "not authentic") : FAIL;
}

static struct result take_key(const struct secret *plain, size_t size, struct secret *out,
                              struct err *err)
{
    if (size != KEY_SIZE)
        return fail(err, ERR_DAMAGED, "not authentic");
    return secret_copy(out, plain->bytes, KEY_SIZE, err);
}

static bool oaep_decrypt(EVP_PKEY *key, bool sha1, struct view wrapped, struct secret *plain,
                         size_t *size)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
    const EVP_MD *hash = sha1 ? EVP_sha1() : EVP_sha256();
    bool done = ctx != NULL && EVP_PKEY_decrypt_init(ctx) == 1 &&
                EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) == 1 &&
                EVP_PKEY_CTX_set_rsa_oaep_md(ctx, hash) == 1 &&
                EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, hash) == 1 &&
                EVP_PKEY_decrypt(ctx, plain->bytes, size, wrapped.bytes, wrapped.size) == 1;

    EVP_PKEY_CTX_free(ctx);
    return done;
}

/* The token gives the raw number, OpenSSL takes the padding off: any hash will do. */
static struct result decrypt_libp11(struct token *token, const struct token_key *key,
                                    CK_OBJECT_HANDLE half, const struct crypto *crypto, bool sha1,
                                    struct view wrapped, struct secret *out, struct err *err)
{
    struct borrowed b BORROWED_CLEANUP = {0};
    struct secret plain SECRET_CLEANUP = {0};

    if (!secret_new(&plain, RSA_BYTES_MAX, err).ok || !borrow(&b, token, key, half, crypto, err).ok)
        return FAIL;
    size_t size = plain.size;
    if (oaep_decrypt(b.key, sha1, wrapped, &plain, &size))
        return take_key(&plain, size, out, err);
    if (guard_failed() != CKR_OK)
        return not_opened(token, guard_failed(), "C_Decrypt", err);
    if (guard_used())
        return fail(err, ERR_DAMAGED, "not authentic");
    return libp11_failed(token, "decrypting", err);
}

/* Past libp11, which up to 0.4.18 knows no way to have a token undo OAEP: for tokens that give no
 * raw numbers, like a YubiHSM. */
static struct result decrypt_oaep(struct token *token, CK_OBJECT_HANDLE half, bool sha1,
                                  struct view wrapped, struct secret *out, struct err *err)
{
    CK_RSA_PKCS_OAEP_PARAMS params = {.hashAlg = sha1 ? CKM_SHA_1 : CKM_SHA256,
                                      .mgf = sha1 ? CKG_MGF1_SHA1 : CKG_MGF1_SHA256,
                                      .source = CKZ_DATA_SPECIFIED};
    CK_MECHANISM mechanism = {CKM_RSA_PKCS_OAEP, &params, sizeof params};
    struct secret plain SECRET_CLEANUP = {0};
    CK_ULONG size = RSA_BYTES_MAX;

    if (!secret_new(&plain, RSA_BYTES_MAX, err).ok)
        return FAIL;
    CK_RV rv = CALL(token->module, C_DecryptInit, token->session, &mechanism, half);
    if (rv == CKR_OK)
        rv = token_again(token, half);
    if (rv == CKR_OK)
        rv = CALL(token->module, C_Decrypt, token->session, (CK_BYTE *)(uintptr_t)wrapped.bytes,
                  wrapped.size, plain.bytes, &size);
    token->oaep_failed = rv;
    if (rv != CKR_OK) {
        (void)not_opened(token, rv, "C_Decrypt by RSA-OAEP", err).ok;
        if (!LIBP11_RAW_RSA && err->class != ERR_DAMAGED)
            err_hint(err,
                     "this bulla was built with a libp11 that does not do without the token's own "
                     "RSA-OAEP, and not every token knows that with SHA-256");
        return FAIL;
    }
    return take_key(&plain, size, out, err);
}

bool private_needs_oaep(struct token *token)
{
    return !LIBP11_RAW_RSA || !token_can(token, CKM_RSA_X_509, CKF_DECRYPT);
}

bool private_can_decrypt(struct token *token)
{
    return !private_needs_oaep(token) || token_can(token, CKM_RSA_PKCS_OAEP, CKF_DECRYPT);
}

struct result private_decrypt(struct token *token, const struct token_key *key,
                              CK_OBJECT_HANDLE half, const struct crypto *crypto, bool sha1,
                              struct view wrapped, struct secret *out, struct err *err)
{
    if (wrapped.size != key->spki.bits / 8)
        return fail(err, ERR_DAMAGED, "not authentic");
    if (private_needs_oaep(token))
        return decrypt_oaep(token, half, sha1, wrapped, out, err);
    return decrypt_libp11(token, key, half, crypto, sha1, wrapped, out, err);
}

static bool ecdh(EVP_PKEY *key, EVP_PKEY *peer, struct secret *shared)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
    size_t size = shared->size;
    bool done = ctx != NULL && EVP_PKEY_derive_init(ctx) == 1 &&
                EVP_PKEY_derive_set_peer(ctx, peer) == 1 &&
                EVP_PKEY_derive(ctx, shared->bytes, &size) == 1 && size == shared->size;

    EVP_PKEY_CTX_free(ctx);
    return done;
}

struct result private_derive(struct token *token, const struct token_key *key,
                             CK_OBJECT_HANDLE half, const struct crypto *crypto, struct view point,
                             struct secret *out, struct err *err)
{
    struct borrowed b BORROWED_CLEANUP = {0};
    struct secret shared SECRET_CLEANUP = {0};
    struct spki other;
    struct err ignored;

    /* A point that is not on the curve would tell of the private key: it is not sent. */
    if (!spki_from_point(&other, crypto, point, &ignored).ok || other.kind != key->spki.kind)
        return fail(err, ERR_DAMAGED, "not authentic");
    if (!secret_new(&shared, key->spki.kind == SPKI_P256 ? P256_SHARED_SIZE : P384_SHARED_SIZE, err)
             .ok ||
        !borrow(&b, token, key, half, crypto, err).ok)
        return FAIL;
    const unsigned char *at = other.der;
    EVP_PKEY *peer = d2i_PUBKEY(NULL, &at, (long)other.size);
    bool done = peer != NULL && ecdh(b.key, peer, &shared);
    EVP_PKEY_free(peer);
    if (!done && guard_failed() != CKR_OK)
        return not_opened(token, guard_failed(), "C_DeriveKey", err);
    if (!done)
        return libp11_failed(token, "deriving", err);
    *out = secret_take(&shared);
    return OK;
}
