/* generate_key: makes keys on a token that cannot be taken out of it. For the module's thread. */
#ifndef BULLA_KEYSTORE_PKCS11_GENERATE_KEY_H
#define BULLA_KEYSTORE_PKCS11_GENERATE_KEY_H

#include "keystore/pkcs11/token_keys.h"

#define GENERATE_ID_SIZE 16 /* bytes of CKA_ID */

enum generate_kind { MAKE_P256, MAKE_P384, MAKE_RSA2048, MAKE_RSA3072, MAKE_RSA4096, MAKE_AES256 };

const char *generate_key_kind_name(enum generate_kind kind);

/* generate_key_choose reads the name of a kind; for NULL it takes p256 where the token can use
 * that, else rsa3072. ERR_USAGE for another name, ERR_NO_KEY if the token cannot make or use the
 * kind. */
FALLIBLE generate_key_choose(struct token *token, const char *name, enum generate_kind *kind,
                             struct err *err);

/* generate_key_like is the kind of a key that is there. */
enum generate_kind generate_key_like(const struct token_key *key);

/* generate_key makes a key in a writable session after a login. What was made, but is not as asked
 * for, is destroyed again. */
FALLIBLE generate_key(struct token *token, enum generate_kind kind, const char *label,
                      const uint8_t id[GENERATE_ID_SIZE], struct err *err);

#endif
