/* xaes: XAES-256-GCM (c2sp.org/XAES-256-GCM), AES-256-GCM with a 24-byte random nonce. */
#ifndef BULLA_CRYPTO_XAES_H
#define BULLA_CRYPTO_XAES_H

#include "crypto/primitives.h"

#define XAES_NONCE_SIZE 24
#define XAES_OVERHEAD (XAES_NONCE_SIZE + AEAD_TAG_SIZE)

/* xaes_seal_with writes plain.size + AEAD_TAG_SIZE bytes to out under a nonce that must be new. */
FALLIBLE xaes_seal_with(const struct crypto *crypto, const uint8_t key[KEY_SIZE],
                        const uint8_t nonce[XAES_NONCE_SIZE], struct view aad, struct view plain,
                        uint8_t *out, struct err *err);

/* xaes_seal draws a nonce and writes nonce || ciphertext || tag, plain.size + XAES_OVERHEAD bytes.
 */
FALLIBLE xaes_seal(const struct crypto *crypto, const uint8_t key[KEY_SIZE], struct view aad,
                   struct view plain, uint8_t *out, struct err *err);

/* xaes_open takes what xaes_seal wrote and writes sealed.size - XAES_OVERHEAD bytes; ERR_DAMAGED if
 * it is not authentic under this key and aad. */
FALLIBLE xaes_open(const struct crypto *crypto, const uint8_t key[KEY_SIZE], struct view aad,
                   struct view sealed, uint8_t *out, struct err *err);

#endif
