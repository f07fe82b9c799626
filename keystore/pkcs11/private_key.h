/* private_key: what needs the private key of a pair: RSA decryption and ECDH. For the module's
 * thread. */
#ifndef BULLA_KEYSTORE_PKCS11_PRIVATE_KEY_H
#define BULLA_KEYSTORE_PKCS11_PRIVATE_KEY_H

#include "keystore/pkcs11/login.h"
#include "keystore/pkcs11/token_keys.h"

/* struct private_key: one of the private keys that may be a pair's. */
struct private_key {
    struct token *token;
    const struct login *login;
    const struct spki *spki; /* of the pair */
    CK_OBJECT_HANDLE object;
    const struct crypto *crypto;
};

/* private_key_decrypt undoes RSA-OAEP. ERR_DAMAGED if it is not the encryption of KEY_SIZE bytes.
 * The caller frees *out. */
FALLIBLE private_key_decrypt(const struct private_key *key, bool sha1, struct view wrapped,
                             struct secret *out, struct err *err);

/* private_key_derive gives the x coordinate of the private key times a point. ERR_DAMAGED if it is
 * not a point of the curve. The caller frees *out. */
FALLIBLE private_key_derive(const struct private_key *key, struct view point, struct secret *out,
                            struct err *err);

/* private_key_needs_oaep is true if the token itself must undo OAEP, since it gives no raw numbers:
 * then whether it does so with SHA-256 is seen only when it is tried. */
bool private_key_needs_oaep(struct token *token);

/* private_key_can_decrypt is true if the token has a mechanism to open RSA slots by. */
bool private_key_can_decrypt(struct token *token);

#endif
