/* key_pair: slots of key pairs that lie on tokens (docs/FORMAT.md section 5). Wrapping takes the
 * public key alone, so a PEM file and the token make the same slots. */
#ifndef BULLA_KEYSTORE_KEY_PAIR_H
#define BULLA_KEYSTORE_KEY_PAIR_H

#include "crypto/spki.h"
#include "keystore/keystore.h"

/* Caps of the fields, in bytes; of texts without a terminating zero. */
#define SLOT_TOKEN_LABEL_MAX 32
#define SLOT_TOKEN_SERIAL_MAX 16
#define SLOT_KEY_LABEL_MAX KEY_INFO_NAME_MAX
#define SLOT_CKA_ID_MAX 128

enum {
    SLOT_RSA_OAEP_SHA256 = 0x0011,
    SLOT_RSA_OAEP_SHA1 = 0x0012,
    SLOT_P256_HPKE = 0x0013,
    SLOT_P384_HPKE = 0x0014
};

extern const struct slot_field key_pair_spki_hash, key_pair_token_label, key_pair_token_serial,
    key_pair_key_label, key_pair_id;
extern const struct slot_method key_pair_methods[];

/* The option of both stores that wrap by public keys. */
extern const struct store_option key_pair_options[];

/* key_pair_sha1 is true if RSA is to wrap with SHA-1. */
bool key_pair_sha1(const struct store_settings *settings);

/* struct key_pair_hints: where the key lies, for people; each may be empty. */
struct key_pair_hints {
    struct view token_label, token_serial, key_label, id;
};

/* key_pair_wrap fills *slot, with RSA-OAEP by SHA-1 if sha1 is true. What of the hints does not fit
 * a slot is left out. */
FALLIBLE key_pair_wrap(const struct spki *spki, const struct crypto *crypto,
                       const struct key_pair_hints *hints, bool sha1,
                       const struct branch_identity *branch, const struct secret *branch_key,
                       struct slot *slot, struct err *err);

/* key_pair_method is the method that key_pair_wrap uses. */
unsigned key_pair_method(const struct spki *spki, bool sha1);

/* key_pair_is_slot is true for slots of key pairs, key_pair_is_mine for those of this key. */
bool key_pair_is_slot(const struct slot *slot);
bool key_pair_is_mine(const struct spki *spki, const struct slot *slot);

/* key_pair_put_hint adds a hint to a slot's header if the field takes it, else an empty one. */
void key_pair_put_hint(struct slot *slot, const struct slot_field *field, struct view hint);

/* key_pair_open_ec opens an EC slot by the x coordinate that the private key makes of the slot's
 * first bytes; ERR_DAMAGED if it is not authentic. The caller frees *branch_key. */
FALLIBLE key_pair_open_ec(const struct spki *spki, const struct crypto *crypto,
                          const struct secret *shared, const struct branch_identity *branch,
                          const struct slot *slot, struct secret *branch_key, struct err *err);

#endif
