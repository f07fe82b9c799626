/* aes: wrapping by an AES key on the token, AES-GCM with additional data or AES key wrap (RFC
 * 3394). For the module's thread. */
#ifndef BULLA_KEYSTORE_PKCS11_AES_H
#define BULLA_KEYSTORE_PKCS11_AES_H

#include "keystore/pkcs11/keys.h"

/* aes_method says how a key of this token wraps: SLOT_PKCS11_AES_GCM where it can. ERR_NO_KEY if it
 * can neither. */
FALLIBLE aes_method(struct token *token, const struct token_key *key, enum slot_code *method,
                    struct err *err);

/* aes_wrap fills *slot. */
FALLIBLE aes_wrap(struct token *token, const struct token_key *key,
                  const struct branch_identity *branch, const struct secret *branch_key,
                  struct slot *slot, struct err *err);

/* aes_unwrap opens a slot; ERR_DAMAGED if it is not authentic. The caller frees *branch_key. */
FALLIBLE aes_unwrap(struct token *token, const struct token_key *key,
                    const struct branch_identity *branch, const struct slot *slot,
                    struct secret *branch_key, struct err *err);

/* aes_is_slot is true for slots of AES keys on tokens, aes_may_open for those that have this key's
 * CKA_ID and, where both tell one, its check value. A CKA_ID alone tells keys of two tokens not
 * apart: aes_is_checked is true if the check values were there to be compared. */
bool aes_is_slot(const struct slot *slot);
bool aes_may_open(const struct token_key *key, const struct slot *slot);
bool aes_is_checked(const struct token_key *key, const struct slot *slot);

#endif
