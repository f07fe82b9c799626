/* hpke: RFC 9180 base mode, single-shot, with HKDF-SHA256 and AES-256-GCM. The KEM is
 * DHKEM(X25519, HKDF-SHA256), or for keys on tokens DHKEM(P-256, HKDF-SHA256) or
 * DHKEM(P-384, HKDF-SHA384); there the Diffie-Hellman itself is done by others (spki.h, a token).
 */
#ifndef BULLA_CRYPTO_HPKE_H
#define BULLA_CRYPTO_HPKE_H

#include "crypto/primitives.h"

#define X25519_SIZE 32      /* bytes: private keys, public keys and shared points */
#define P256_SHARED_SIZE 32 /* bytes: the x coordinate of the shared point */
#define P384_SHARED_SIZE 48
#define P256_POINT_SIZE (1 + 2 * P256_SHARED_SIZE) /* uncompressed */
#define P384_POINT_SIZE (1 + 2 * P384_SHARED_SIZE)
#define HPKE_ENC_MAX P384_POINT_SIZE
#define HPKE_OVERHEAD (X25519_SIZE + AEAD_TAG_SIZE)

/* x25519_public computes the public key of a private one. */
FALLIBLE x25519_public(const uint8_t private_key[X25519_SIZE], uint8_t out[X25519_SIZE],
                       struct err *err);

/* x25519_is_canonical is false for encodings that no private key gives (RFC 7748, 5: p and above):
 * a key derivation that takes them as they are would differ from the recipient's. */
bool x25519_is_canonical(const uint8_t public_key[X25519_SIZE]);

/* struct hpke_binding: what a message is bound to: info of the key schedule (5.1), AAD of the AEAD.
 */
struct hpke_binding {
    struct view info, aad;
};

/* hpke_seal_with writes enc || ciphertext || tag, plain.size + HPKE_OVERHEAD bytes, under an
 * ephemeral private key that must be new. ERR_DAMAGED if the public key is not one. */
FALLIBLE hpke_seal_with(const struct crypto *crypto, const uint8_t ephemeral[X25519_SIZE],
                        const uint8_t public_key[X25519_SIZE], const struct hpke_binding *binding,
                        struct view plain, uint8_t *out, struct err *err);

/* hpke_seal draws the ephemeral key. */
FALLIBLE hpke_seal(const struct crypto *crypto, const uint8_t public_key[X25519_SIZE],
                   const struct hpke_binding *binding, struct view plain, uint8_t *out,
                   struct err *err);

/* hpke_open takes what hpke_seal wrote and writes sealed.size - HPKE_OVERHEAD bytes; ERR_DAMAGED if
 * it is not authentic under this key and binding. */
FALLIBLE hpke_open(const struct crypto *crypto, const uint8_t private_key[X25519_SIZE],
                   const struct hpke_binding *binding, struct view sealed, uint8_t *out,
                   struct err *err);

/* struct hpke_kem: one of the two KEMs over the curves of NIST. */
struct hpke_kem;
extern const struct hpke_kem hpke_p256, hpke_p384;

/* struct hpke_agreement: what the two sides of a Diffie-Hellman have: the ephemeral public key
 * (enc) and the recipient's, both uncompressed points, and the x coordinate of the point that
 * either makes of its own private key and the other's public key. */
struct hpke_agreement {
    const struct hpke_kem *kem;
    const uint8_t *shared_point, *enc, *recipient;
};

/* hpke_seal_agreed writes enc || ciphertext || tag. */
FALLIBLE hpke_seal_agreed(const struct crypto *crypto, const struct hpke_agreement *agreement,
                          const struct hpke_binding *binding, struct view plain, uint8_t *out,
                          struct err *err);

/* hpke_open_agreed takes what hpke_seal_agreed wrote, of which enc is the beginning: the
 * agreement's is not looked at. ERR_DAMAGED if it is not authentic. */
FALLIBLE hpke_open_agreed(const struct crypto *crypto, const struct hpke_agreement *agreement,
                          const struct hpke_binding *binding, struct view sealed, uint8_t *out,
                          struct err *err);

#endif
