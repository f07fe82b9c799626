/* hpke: RFC 9180 base mode, single-shot, with DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM.
 */
#ifndef BULLA_CRYPTO_HPKE_H
#define BULLA_CRYPTO_HPKE_H

#include "crypto/primitives.h"

#define X25519_SIZE 32 /* bytes: private keys, public keys and shared points */
#define HPKE_OVERHEAD (X25519_SIZE + AEAD_TAG_SIZE)

/* x25519_public computes the public key of a private one. */
FALLIBLE x25519_public(const uint8_t private_key[X25519_SIZE], uint8_t out[X25519_SIZE],
                       struct err *err);

/* x25519_is_canonical is false for encodings that no private key gives (RFC 7748, 5: p and above):
 * a key derivation that takes them as they are would differ from the recipient's. */
bool x25519_is_canonical(const uint8_t public_key[X25519_SIZE]);

/* hpke_seal_with writes enc || ciphertext || tag, size + HPKE_OVERHEAD bytes, under an ephemeral
 * private key that must be new. ERR_DAMAGED if the public key is not one. */
FALLIBLE hpke_seal_with(const struct crypto *crypto, const uint8_t ephemeral[X25519_SIZE],
                        const uint8_t public_key[X25519_SIZE], struct view info, struct view aad,
                        const uint8_t *in, size_t size, uint8_t *out, struct err *err);

/* hpke_seal draws the ephemeral key. */
FALLIBLE hpke_seal(const struct crypto *crypto, const uint8_t public_key[X25519_SIZE],
                   struct view info, struct view aad, const uint8_t *in, size_t size, uint8_t *out,
                   struct err *err);

/* hpke_open takes what hpke_seal wrote and writes size - HPKE_OVERHEAD bytes; ERR_DAMAGED if it is
 * not authentic under this key, info and aad. */
FALLIBLE hpke_open(const struct crypto *crypto, const uint8_t private_key[X25519_SIZE],
                   struct view info, struct view aad, const uint8_t *in, size_t size, uint8_t *out,
                   struct err *err);

#endif
