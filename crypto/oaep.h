/* oaep: taking RSA-OAEP (RFC 8017, 7.1.2) off what a token decrypted. */
#ifndef BULLA_CRYPTO_OAEP_H
#define BULLA_CRYPTO_OAEP_H

#include "base/secret.h"
#include "crypto/primitives.h"

/* oaep_unpad takes the padding, made by SHA-1 or SHA-256 without a label, off the last `used` bytes
 * of a number below a modulus of so many bytes, in constant time. ERR_DAMAGED if that leaves
 * anything but KEY_SIZE bytes. The caller frees *out. */
FALLIBLE oaep_unpad(const struct crypto *crypto, bool sha1, const uint8_t *number, size_t used,
                    size_t modulus_size, struct secret *out, struct err *err);

#endif
