/* spki: public keys as SubjectPublicKeyInfo (RFC 5280, 4.1.2.7), and wrapping by them: RSA-OAEP
 * (RFC 8017, 7.1) with 2048 to 4096 bits, HPKE (hpke.h) with P-256 and P-384. */
#ifndef BULLA_CRYPTO_SPKI_H
#define BULLA_CRYPTO_SPKI_H

#include "crypto/hpke.h"

#define SPKI_MAX 1024 /* bytes; RSA of 4096 bits takes 550 */
#define RSA_BITS_MIN 2048
#define RSA_BITS_MAX 4096
#define RSA_BYTES_MAX (RSA_BITS_MAX / 8)

enum spki_kind { SPKI_RSA, SPKI_P256, SPKI_P384 };

/* struct spki: one public key, checked. */
struct spki {
    enum spki_kind kind;
    unsigned bits;
    char name[8]; /* "p256", "p384", or "rsa" and the bits */
    size_t size;  /* of der, bytes */
    uint8_t der[SPKI_MAX];
    uint8_t hash[SHA256_SIZE]; /* of der: what the key is known by */
};

/* spki_read takes DER; ERR_DAMAGED if it is not one, ERR_UNSUPPORTED if it is of a kind or size
 * that bulla does not wrap by. */
FALLIBLE spki_read(struct spki *spki, const struct crypto *crypto, struct view der,
                   struct err *err);

/* spki_from_rsa takes modulus and exponent, unsigned and big-endian; spki_from_point an
 * uncompressed point of the curve that its length tells. They fail as spki_read does. */
FALLIBLE spki_from_rsa(struct spki *spki, const struct crypto *crypto, struct view modulus,
                       struct view exponent, struct err *err);
FALLIBLE spki_from_point(struct spki *spki, const struct crypto *crypto, struct view point,
                         struct err *err);

/* spki_from_certificate takes the public key of an X.509 certificate in DER. */
FALLIBLE spki_from_certificate(struct spki *spki, const struct crypto *crypto, struct view der,
                               struct err *err);

/* spki_point gives the uncompressed point of an EC key: the last bytes of its DER. */
struct view spki_point(const struct spki *spki);

/* spki_parameters gives the name of a curve in DER, as CKA_EC_PARAMS has it. */
struct view spki_parameters(enum spki_kind curve);

/* spki_kem is the KEM for an EC key. */
const struct hpke_kem *spki_kem(const struct spki *spki);

/* spki_seal_rsa writes the RSA-OAEP encryption (MGF1 with the same hash, empty label) to out,
 * bits / 8 bytes. */
FALLIBLE spki_seal_rsa(const struct spki *spki, const struct crypto *crypto, bool sha1,
                       const uint8_t *in, size_t size, uint8_t *out, struct err *err);

/* spki_seal_ec is hpke_seal_agreed with an ephemeral key that it draws. */
FALLIBLE spki_seal_ec(const struct spki *spki, const struct crypto *crypto,
                      const struct hpke_binding *binding, struct view plain, uint8_t *out,
                      struct err *err);

#endif
