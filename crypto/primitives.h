/* primitives: hash, key derivation and authenticated encryption, from OpenSSL and libsodium.
 *
 * OpenSSL is used through a library context of our own: the default one crashes when memory runs
 * out while it sets itself up. */
#ifndef BULLA_CRYPTO_PRIMITIVES_H
#define BULLA_CRYPTO_PRIMITIVES_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/wire.h"

#define KEY_SIZE 32 /* bytes: every symmetric key of bulla */
#define SHA256_SIZE 32
#define SHA384_SIZE 48
#define SHA512_SIZE 64
#define AEAD_NONCE_SIZE 12
#define AEAD_TAG_SIZE 16

/* struct crypto: the library context and the algorithms fetched from it; threads may share it. */
struct crypto;

/* crypto_alone says that nobody else in the process will use OpenSSL, whose start is shorter then;
 * it comes before crypto_new. */
void crypto_alone(void);

/* crypto_new makes a context, which the caller frees after all that was made with it. What it takes
 * of OpenSSL is fetched when it is needed first. */
FALLIBLE crypto_new(struct crypto **out, struct err *err);

/* crypto_share is the same context for one more holder, who frees it too. */
struct crypto *crypto_share(const struct crypto *crypto);

/* crypto_free lets *crypto go, which may be NULL, and makes it that; the last holder frees it. */
void crypto_free(struct crypto **crypto);

/* crypto_library is the library context, for what takes one (an OSSL_LIB_CTX). */
struct ossl_lib_ctx_st *crypto_library(const struct crypto *crypto);
#define CRYPTO_CLEANUP __attribute__((cleanup(crypto_free)))

/* sha256 hashes the parts one after the other (FIPS 180-4). */
void sha256(uint8_t out[SHA256_SIZE], const struct view *parts, size_t count);

/* hmac_sha256 authenticates bytes by a key of KEY_SIZE bytes (RFC 2104). */
void hmac_sha256(uint8_t out[SHA256_SIZE], const uint8_t key[KEY_SIZE], struct view bytes);

/* struct hkdf_hash: a hash that HKDF is made of. */
struct hkdf_hash {
    const char *name; /* as OpenSSL has it */
    size_t size;      /* bytes */
};
extern const struct hkdf_hash hkdf_sha256, hkdf_sha384, hkdf_sha512;

/* hkdf_extract and hkdf_expand are the steps of HKDF (RFC 5869, 2); hkdf_extract writes hash->size
 * bytes. */
FALLIBLE hkdf_extract(const struct crypto *crypto, const struct hkdf_hash *hash, struct view salt,
                      struct view ikm, uint8_t *prk, struct err *err);
FALLIBLE hkdf_expand(const struct crypto *crypto, const struct hkdf_hash *hash, struct view prk,
                     struct view info, uint8_t *out, size_t size, struct err *err);

/* aes256_blocks encrypts count 16-byte blocks with AES-256, each by itself (FIPS 197). */
FALLIBLE aes256_blocks(const struct crypto *crypto, const uint8_t key[KEY_SIZE], const uint8_t *in,
                       uint8_t *out, size_t count, struct err *err);

enum aead_algorithm {
    AEAD_AES_256_GCM,      /* NIST SP 800-38D, by OpenSSL */
    AEAD_CHACHA20_POLY1305 /* RFC 8439, by libsodium */
};

/* struct aead: one algorithm under one key; not to be used by two threads at once. */
struct aead;

/* aead_new makes one with a copy of the key; the caller frees it. */
FALLIBLE aead_new(struct aead **out, const struct crypto *crypto, enum aead_algorithm algorithm,
                  const uint8_t key[KEY_SIZE], struct err *err);

/* aead_copy makes another of the same key, for another thread; the caller frees it. */
FALLIBLE aead_copy(struct aead **out, const struct aead *aead, struct err *err);

/* aead_free wipes the key and frees *aead, which may be NULL, and makes it that. */
void aead_free(struct aead **aead);
#define AEAD_CLEANUP __attribute__((cleanup(aead_free)))

/* aead_seal writes size + AEAD_TAG_SIZE bytes to out, the tag last. size is at most 2^30. */
FALLIBLE aead_seal(struct aead *aead, const uint8_t nonce[AEAD_NONCE_SIZE], struct view aad,
                   const uint8_t *in, size_t size, uint8_t *out, struct err *err);

/* aead_open takes size bytes with the tag last and writes size - AEAD_TAG_SIZE. If they are not
 * authentic it fails with ERR_DAMAGED and out holds nothing of the plaintext. */
FALLIBLE aead_open(struct aead *aead, const uint8_t nonce[AEAD_NONCE_SIZE], struct view aad,
                   const uint8_t *in, size_t size, uint8_t *out, struct err *err);

#endif
