#include "crypto/primitives.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "crypto/openssl_memory.h"

#define AEAD_SIZE_MAX (1u << 30) /* fits OpenSSL's int */

/* struct algorithms: fetched when the first one is needed, because that takes a good part of a
 * short run. */
struct algorithms {
    pthread_mutex_t lock;
    EVP_CIPHER *gcm, *ecb;
    EVP_KDF *hkdf;
    bool ready;          /* all of them */
    atomic_uint holders; /* of the context that has them */
};

struct crypto {
    OSSL_LIB_CTX *lib;
    struct algorithms *algorithms;
};

/* OpenSSL's own set-up at its first use takes a third of a short run: tables of old names, texts of
 * errors, its configuration. Modules of tokens and libcurl may need these, bulla does not. */
#define FOR_OTHERS                                                                                 \
    (OPENSSL_INIT_NO_ADD_ALL_CIPHERS | OPENSSL_INIT_NO_ADD_ALL_DIGESTS |                           \
     OPENSSL_INIT_NO_LOAD_CRYPTO_STRINGS | OPENSSL_INIT_NO_LOAD_CONFIG)

void crypto_alone(void)
{
    openssl_memory_init();
    (void)OPENSSL_init_crypto(FOR_OTHERS, NULL);
}

struct result crypto_new(struct crypto **out, struct err *err)
{
    struct crypto *c CRYPTO_CLEANUP = calloc(1, sizeof *c);

    openssl_memory_init();
    /* The thread gets what it keeps errors in. OpenSSL makes that when the first error comes, and
     * if that one is want of memory while a context is freed, it waits for itself. */
    (void)ERR_peek_error();
    if (c == NULL)
        return fail_memory(err);
    c->algorithms = calloc(1, sizeof *c->algorithms);
    if (c->algorithms == NULL)
        return fail_memory(err);
    pthread_mutex_init(&c->algorithms->lock, NULL);
    c->algorithms->holders = 1;
    c->lib = OSSL_LIB_CTX_new();
    if (c->lib == NULL)
        return openssl_failed(err, "cannot initialise OpenSSL");
    *out = TAKE(c);
    return OK;
}

struct crypto *crypto_share(const struct crypto *crypto)
{
    atomic_fetch_add(&crypto->algorithms->holders, 1);
    return (struct crypto *)(uintptr_t)crypto;
}

void crypto_free(struct crypto **crypto)
{
    struct crypto *c = *crypto;

    *crypto = NULL;
    if (c == NULL || (c->algorithms != NULL && atomic_fetch_sub(&c->algorithms->holders, 1) > 1))
        return;
    if (c->algorithms != NULL) {
        EVP_KDF_free(c->algorithms->hkdf);
        EVP_CIPHER_free(c->algorithms->ecb);
        EVP_CIPHER_free(c->algorithms->gcm);
        pthread_mutex_destroy(&c->algorithms->lock);
    }
    free(c->algorithms);
    OSSL_LIB_CTX_free(c->lib);
    free(c);
}

/* Lets OpenSSL set up what the first cipher needs, so that this stays in ordinary memory. */
static bool try_cipher(const EVP_CIPHER *cipher)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    bool done = ctx != NULL && EVP_EncryptInit_ex2(ctx, cipher, NULL, NULL, NULL) == 1;

    EVP_CIPHER_CTX_free(ctx);
    return done;
}

static struct result fetch(struct algorithms *a, OSSL_LIB_CTX *lib, struct err *err)
{
    if (a->gcm == NULL)
        a->gcm = EVP_CIPHER_fetch(lib, "AES-256-GCM", NULL);
    if (a->ecb == NULL)
        a->ecb = EVP_CIPHER_fetch(lib, "AES-256-ECB", NULL);
    if (a->hkdf == NULL)
        a->hkdf = EVP_KDF_fetch(lib, "HKDF", NULL);
    a->ready = a->gcm != NULL && a->ecb != NULL && a->hkdf != NULL && try_cipher(a->gcm);
    return a->ready ? OK : openssl_failed(err, "OpenSSL has no AES-256-GCM, AES-256-ECB or HKDF");
}

static struct result algorithms_of(const struct crypto *c, const struct algorithms **out,
                                   struct err *err)
{
    struct result r = OK;

    pthread_mutex_lock(&c->algorithms->lock);
    if (!c->algorithms->ready)
        r = fetch(c->algorithms, c->lib, err);
    pthread_mutex_unlock(&c->algorithms->lock);
    *out = c->algorithms;
    return r;
}

OSSL_LIB_CTX *crypto_library(const struct crypto *crypto)
{
    return crypto->lib;
}

void sha256(uint8_t out[SHA256_SIZE], const struct view *parts, size_t count)
{
    crypto_hash_sha256_state state;

    crypto_hash_sha256_init(&state);
    for (size_t i = 0; i < count; i++)
        if (parts[i].size > 0)
            crypto_hash_sha256_update(&state, parts[i].bytes, parts[i].size);
    crypto_hash_sha256_final(&state, out);
    sodium_memzero(&state, sizeof state);
}

void hmac_sha256(uint8_t out[SHA256_SIZE], const uint8_t key[KEY_SIZE], struct view bytes)
{
    (void)crypto_auth_hmacsha256(out, bytes.bytes, bytes.size, key); /* it cannot fail */
}

const struct hkdf_hash hkdf_sha256 = {"SHA256", SHA256_SIZE};
const struct hkdf_hash hkdf_sha384 = {"SHA384", SHA384_SIZE};
const struct hkdf_hash hkdf_sha512 = {"SHA512", SHA512_SIZE};

/* struct hkdf: one step of HKDF; what the step does not take is empty. */
struct hkdf {
    int mode;
    const char *digest;
    struct view key, salt, info;
};

static OSSL_PARAM octets(const char *name, struct view v)
{
    return OSSL_PARAM_construct_octet_string(name, (void *)(uintptr_t)v.bytes, v.size);
}

static struct result hkdf(const struct crypto *crypto, const struct hkdf *h, uint8_t *out,
                          size_t size, struct err *err)
{
    const struct algorithms *algorithms;
    OSSL_PARAM params[6];
    size_t n = 0;
    int mode = h->mode;

    params[n++] = OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode);
    params[n++] =
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)(uintptr_t)h->digest, 0);
    params[n++] = octets(OSSL_KDF_PARAM_KEY, h->key);
    if (h->salt.size > 0)
        params[n++] = octets(OSSL_KDF_PARAM_SALT, h->salt);
    if (h->info.size > 0)
        params[n++] = octets(OSSL_KDF_PARAM_INFO, h->info);
    params[n] = OSSL_PARAM_construct_end();
    if (!algorithms_of(crypto, &algorithms, err).ok)
        return FAIL;
    EVP_KDF_CTX *kdf = EVP_KDF_CTX_new(algorithms->hkdf);
    int done = kdf != NULL && EVP_KDF_derive(kdf, out, size, params) == 1;
    EVP_KDF_CTX_free(kdf);
    if (!done)
        return openssl_failed(err, "OpenSSL failed to derive a key");
    return OK;
}

struct result hkdf_extract(const struct crypto *crypto, const struct hkdf_hash *hash,
                           struct view salt, struct view ikm, uint8_t *prk, struct err *err)
{
    struct hkdf h = {EVP_KDF_HKDF_MODE_EXTRACT_ONLY, hash->name, ikm, salt, {0}};

    return hkdf(crypto, &h, prk, hash->size, err);
}

struct result hkdf_expand(const struct crypto *crypto, const struct hkdf_hash *hash,
                          struct view prk, struct view info, uint8_t *out, size_t size,
                          struct err *err)
{
    struct hkdf h = {EVP_KDF_HKDF_MODE_EXPAND_ONLY, hash->name, prk, {0}, info};

    return hkdf(crypto, &h, out, size, err);
}

struct result aes256_blocks(const struct crypto *crypto, const uint8_t key[KEY_SIZE],
                            const uint8_t *in, uint8_t *out, size_t count, struct err *err)
{
    const struct algorithms *algorithms;
    int size = (int)(16 * count), got = 0;

    if (!algorithms_of(crypto, &algorithms, err).ok)
        return FAIL;
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    openssl_memory_begin();
    int done = ctx != NULL && EVP_EncryptInit_ex2(ctx, algorithms->ecb, key, NULL, NULL) == 1 &&
               EVP_CIPHER_CTX_set_padding(ctx, 0) == 1 &&
               EVP_EncryptUpdate(ctx, out, &got, in, size) == 1 && got == size;

    openssl_memory_end();
    EVP_CIPHER_CTX_free(ctx);
    if (!done)
        return openssl_failed(err, "OpenSSL failed to encrypt");
    return OK;
}

/* One row for each algorithm; the two libraries share nothing but this shape. */
struct aead_ops {
    struct result (*seal)(struct aead *a, const uint8_t *nonce, struct view aad, const uint8_t *in,
                          size_t size, uint8_t *out, struct err *err);
    struct result (*open)(struct aead *a, const uint8_t *nonce, struct view aad, const uint8_t *in,
                          size_t size, uint8_t *out, struct err *err);
};

struct aead {
    const struct aead_ops *ops;
    EVP_CIPHER_CTX *seal, *open; /* AES: both keyed, only the nonce changes */
    struct secret key;           /* ChaCha20 */
};

static struct result gcm_seal(struct aead *a, const uint8_t *nonce, struct view aad,
                              const uint8_t *in, size_t size, uint8_t *out, struct err *err)
{
    int n;

    if (EVP_EncryptInit_ex2(a->seal, NULL, NULL, nonce, NULL) != 1 ||
        (aad.size > 0 && EVP_EncryptUpdate(a->seal, NULL, &n, aad.bytes, (int)aad.size) != 1) ||
        (size > 0 && EVP_EncryptUpdate(a->seal, out, &n, in, (int)size) != 1) ||
        EVP_EncryptFinal_ex(a->seal, out + size, &n) != 1 ||
        EVP_CIPHER_CTX_ctrl(a->seal, EVP_CTRL_AEAD_GET_TAG, AEAD_TAG_SIZE, out + size) != 1)
        return openssl_failed(err, "OpenSSL failed to encrypt");
    return OK;
}

static struct result gcm_open(struct aead *a, const uint8_t *nonce, struct view aad,
                              const uint8_t *in, size_t size, uint8_t *out, struct err *err)
{
    size_t plain = size - AEAD_TAG_SIZE;
    uint8_t tag[AEAD_TAG_SIZE], rest[16];
    int n;

    memcpy(tag, in + plain, sizeof tag);
    if (EVP_DecryptInit_ex2(a->open, NULL, NULL, nonce, NULL) != 1 ||
        EVP_CIPHER_CTX_ctrl(a->open, EVP_CTRL_AEAD_SET_TAG, AEAD_TAG_SIZE, tag) != 1 ||
        (aad.size > 0 && EVP_DecryptUpdate(a->open, NULL, &n, aad.bytes, (int)aad.size) != 1) ||
        (plain > 0 && EVP_DecryptUpdate(a->open, out, &n, in, (int)plain) != 1)) {
        sodium_memzero(out, plain);
        return openssl_failed(err, "OpenSSL failed to decrypt");
    }
    if (EVP_DecryptFinal_ex(a->open, rest, &n) != 1) {
        sodium_memzero(out, plain);
        return fail(err, ERR_DAMAGED, "not authentic");
    }
    return OK;
}

static struct result chacha_seal(struct aead *a, const uint8_t *nonce, struct view aad,
                                 const uint8_t *in, size_t size, uint8_t *out, struct err *err)
{
    if (crypto_aead_chacha20poly1305_ietf_encrypt(out, NULL, in, size, aad.bytes, aad.size, NULL,
                                                  nonce, a->key.bytes) != 0)
        return fail(err, ERR_FAILED, "libsodium failed to encrypt");
    return OK;
}

static struct result chacha_open(struct aead *a, const uint8_t *nonce, struct view aad,
                                 const uint8_t *in, size_t size, uint8_t *out, struct err *err)
{
    if (crypto_aead_chacha20poly1305_ietf_decrypt(out, NULL, NULL, in, size, aad.bytes, aad.size,
                                                  nonce, a->key.bytes) != 0)
        return fail(err, ERR_DAMAGED, "not authentic");
    return OK;
}

static const struct aead_ops aead_ops[] = {
    [AEAD_AES_256_GCM] = {gcm_seal, gcm_open},
    [AEAD_CHACHA20_POLY1305] = {chacha_seal, chacha_open},
};

/* Gives both contexts their key. */
static bool set_keys(struct aead *a, const EVP_CIPHER *cipher, const uint8_t key[KEY_SIZE])
{
    a->seal = EVP_CIPHER_CTX_new();
    a->open = EVP_CIPHER_CTX_new();
    openssl_memory_begin();
    bool done = a->seal != NULL && a->open != NULL &&
                EVP_EncryptInit_ex2(a->seal, cipher, key, NULL, NULL) == 1 &&
                EVP_DecryptInit_ex2(a->open, cipher, key, NULL, NULL) == 1;
    openssl_memory_end();
    return done;
}

struct result aead_new(struct aead **out, const struct crypto *crypto,
                       enum aead_algorithm algorithm, const uint8_t key[KEY_SIZE], struct err *err)
{
    struct aead *a AEAD_CLEANUP = calloc(1, sizeof *a);
    const struct algorithms *algorithms;

    if (a == NULL)
        return fail_memory(err);
    if (!algorithms_of(crypto, &algorithms, err).ok)
        return FAIL;
    a->ops = &aead_ops[algorithm];
    if (algorithm == AEAD_CHACHA20_POLY1305) {
        if (!secret_copy(&a->key, key, KEY_SIZE, err).ok)
            return FAIL;
    } else if (!set_keys(a, algorithms->gcm, key)) {
        return openssl_failed(err, "OpenSSL failed to set a key");
    }
    *out = TAKE(a);
    return OK;
}

static struct result copy_context(EVP_CIPHER_CTX **out, const EVP_CIPHER_CTX *ctx, struct err *err)
{
    *out = EVP_CIPHER_CTX_new();
    openssl_memory_begin();
    bool done = *out != NULL && EVP_CIPHER_CTX_copy(*out, ctx) == 1;
    openssl_memory_end();
    if (!done)
        return openssl_failed(err, "OpenSSL failed to copy a key");
    return OK;
}

struct result aead_copy(struct aead **out, const struct aead *aead, struct err *err)
{
    struct aead *a AEAD_CLEANUP = calloc(1, sizeof *a);

    if (a == NULL)
        return fail_memory(err);
    a->ops = aead->ops;
    if (aead->key.bytes != NULL) {
        if (!secret_copy(&a->key, aead->key.bytes, KEY_SIZE, err).ok)
            return FAIL;
    } else if (!copy_context(&a->seal, aead->seal, err).ok ||
               !copy_context(&a->open, aead->open, err).ok) {
        return FAIL;
    }
    *out = TAKE(a);
    return OK;
}

void aead_free(struct aead **aead)
{
    struct aead *a = *aead;

    *aead = NULL;
    if (a == NULL)
        return;
    EVP_CIPHER_CTX_free(a->seal);
    EVP_CIPHER_CTX_free(a->open);
    secret_free(&a->key);
    free(a);
}

struct result aead_seal(struct aead *aead, const uint8_t nonce[AEAD_NONCE_SIZE], struct view aad,
                        const uint8_t *in, size_t size, uint8_t *out, struct err *err)
{
    if (size > AEAD_SIZE_MAX || aad.size > AEAD_SIZE_MAX)
        return fail(err, ERR_FAILED, "too much to encrypt at once");
    return aead->ops->seal(aead, nonce, aad, in, size, out, err);
}

struct result aead_open(struct aead *aead, const uint8_t nonce[AEAD_NONCE_SIZE], struct view aad,
                        const uint8_t *in, size_t size, uint8_t *out, struct err *err)
{
    if (size < AEAD_TAG_SIZE || size > AEAD_SIZE_MAX || aad.size > AEAD_SIZE_MAX)
        return fail(err, ERR_DAMAGED, "not authentic");
    return aead->ops->open(aead, nonce, aad, in, size, out, err);
}
