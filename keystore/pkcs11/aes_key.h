/* aes_key: wrapping by an AES key on the token, AES-GCM with additional data or AES key wrap (RFC
 * 3394). For the module's thread. */
#ifndef BULLA_KEYSTORE_PKCS11_AES_KEY_H
#define BULLA_KEYSTORE_PKCS11_AES_KEY_H

#include "keystore/pkcs11/login.h"
#include "keystore/pkcs11/token_keys.h"

/* aes_key_method says how a key of this token wraps: SLOT_PKCS11_AES_GCM where it can. ERR_NO_KEY
 * if it can neither. */
FALLIBLE aes_key_method(struct token *token, const struct token_key *key, unsigned *method,
                        struct err *err);

/* aes_key_wrap fills *slot. */
FALLIBLE aes_key_wrap(struct token *token, const struct login *login, const struct token_key *key,
                      const struct branch_identity *branch, const struct secret *branch_key,
                      struct slot *slot, struct err *err);

/* aes_key_unwrap opens a slot; ERR_DAMAGED if it is not authentic. The caller frees *branch_key. */
FALLIBLE aes_key_unwrap(struct token *token, const struct login *login, const struct token_key *key,
                        const struct branch_identity *branch, const struct slot *slot,
                        struct secret *branch_key, struct err *err);

/* aes_key_is_slot is true for slots of AES keys on tokens, aes_key_may_open for those that have
 * this key's CKA_ID and, where both tell one, its check value. A CKA_ID alone tells keys of two
 * tokens not apart: aes_key_is_checked is true if the check values were there to be compared. */
bool aes_key_is_slot(const struct slot *slot);
bool aes_key_may_open(const struct token_key *key, const struct slot *slot);
bool aes_key_is_checked(const struct token_key *key, const struct slot *slot);

#endif
