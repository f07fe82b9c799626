/* private_key: what takes the private key of a pair: RSA decryption and ECDH. For the module's
 * thread. */
#ifndef BULLA_KEYSTORE_PKCS11_PRIVATE_KEY_H
#define BULLA_KEYSTORE_PKCS11_PRIVATE_KEY_H

#include "keystore/pkcs11/keys.h"

/* private_key_decrypt undoes RSA-OAEP by one of the private keys of a pair. ERR_DAMAGED if it is
 * not the encryption of KEY_SIZE bytes. The caller frees *out. */
FALLIBLE private_key_decrypt(struct token *token, const struct token_key *key,
                             CK_OBJECT_HANDLE half, const struct crypto *crypto, bool sha1,
                             struct view wrapped, struct secret *out, struct err *err);

/* private_key_derive gives the x coordinate of a private key of the pair times a point. ERR_DAMAGED
 * if it is not a point of the curve. The caller frees *out. */
FALLIBLE private_key_derive(struct token *token, const struct token_key *key, CK_OBJECT_HANDLE half,
                            const struct crypto *crypto, struct view point, struct secret *out,
                            struct err *err);

/* private_key_needs_oaep is true if the token itself must undo OAEP, since it gives no raw numbers:
 * then whether it does so with SHA-256 is seen only when it is tried. */
bool private_key_needs_oaep(struct token *token);

/* private_key_can_decrypt is true if the token has a mechanism to open RSA slots by. */
bool private_key_can_decrypt(struct token *token);

#endif
