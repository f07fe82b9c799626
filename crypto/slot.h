/* slot: the branch key wrapped by one master key (docs/FORMAT.md section 3.2).
 *
 * A method is a row of a table: its code, its header fields in order, the sizes its wrap may have.
 * Writing, reading and showing a slot all follow that row. How a method wraps is the key stores'.
 * A slot of a method that has no row is carried along as it is. */
#ifndef BULLA_CRYPTO_SLOT_H
#define BULLA_CRYPTO_SLOT_H

#include "base/err.h"
#include "base/text.h"
#include "base/wire.h"
#include "crypto/core.h"

/* Caps in bytes, of texts without a terminating zero: those of the fields as FORMAT.md section 3.2
 * has them, but for a passphrase's cost, which crypto/passphrase.h has. */
#define SLOT_HEADER_MAX 1024
#define SLOT_WRAP_MAX 6144
#define SLOT_KEY_ID_SIZE 16
#define SLOT_KEY_NAME_MAX 64
#define SLOT_HINT_MAX 64
#define SLOT_TOKEN_LABEL_MAX 32
#define SLOT_TOKEN_SERIAL_MAX 16
#define SLOT_KEY_LABEL_MAX 128
#define SLOT_CKA_ID_MAX 128
#define SLOT_CHECK_VALUE_MAX 8
#define SLOT_KEY_ARN_MIN 20
#define SLOT_KEY_ARN_MAX 512
#define SLOT_MATERIAL_ID_MAX 128
#define SLOT_FIELDS_MAX 5      /* of a method */
#define SLOT_PASSPHRASES_MAX 4 /* of an envelope: each guess at one costs a reader 64 MiB */
#define BRANCH_ID_SIZE 32
#define SLOT_AAD_MAX (sizeof BRANCH_KEY_LABEL - 1 + BRANCH_ID_SIZE + 2 + SLOT_HEADER_MAX)

/* How the additional data of a wrap begins, and the info of HPKE: FORMAT.md section 5. */
#define BRANCH_KEY_LABEL "bulla/v2 branch key"

enum slot_code {
    SLOT_KEYRING_XAES = 0x0001,
    SLOT_KEYRING_X25519 = 0x0002,
    SLOT_PASSPHRASE = 0x0003,
    SLOT_KEYRING_MLKEM768_X25519 = 0x0004,
    SLOT_PKCS11_RSA_OAEP_SHA256 = 0x0011,
    SLOT_PKCS11_RSA_OAEP_SHA1 = 0x0012,
    SLOT_PKCS11_P256_HPKE = 0x0013,
    SLOT_PKCS11_P384_HPKE = 0x0014,
    SLOT_PKCS11_AES_GCM = 0x0015,
    SLOT_PKCS11_AES_KW = 0x0016,
    SLOT_AWSKMS = 0x0021,
    SLOT_EXTERNAL = 0x0041
};

enum slot_field {
    SLOT_NO_FIELD, /* ends a method's list */
    SLOT_KEY_ID,
    SLOT_KEY_VERSION,
    SLOT_KEY_NAME,
    SLOT_SALT,
    SLOT_PASSES,
    SLOT_MEMORY,
    SLOT_HINT,
    SLOT_SPKI_HASH,
    SLOT_TOKEN_LABEL,
    SLOT_TOKEN_SERIAL,
    SLOT_KEY_LABEL,
    SLOT_CKA_ID,
    SLOT_OPTIONAL_CKA_ID,
    SLOT_CHECK_VALUE,
    SLOT_KEY_ARN,
    SLOT_MATERIAL_ID
};

enum slot_kind {
    SLOT_FIXED,  /* min bytes */
    SLOT_NUMBER, /* u32 from min to max */
    SLOT_BYTES,  /* u16 length from min to max, bytes */
    SLOT_TEXT    /* the same, UTF-8 */
};

struct slot_field_info {
    const char *name; /* as inspect shows it; JSON has _ for spaces */
    enum slot_kind kind;
    uint32_t min, max;
};

struct slot_method {
    enum slot_code code; /* 0 in the row of all that have none */
    const char *name;
    uint16_t wrap_min, wrap_max; /* bytes */
    enum slot_field fields[SLOT_FIELDS_MAX + 1];
};

struct slot {
    const struct slot_method *method; /* never NULL once a slot was begun or decoded */
    uint16_t code;                    /* as the file has it */
    size_t header_size, wrap_size;    /* bytes */
    uint8_t header[SLOT_HEADER_MAX];
    uint8_t wrap[SLOT_WRAP_MAX];
};

const char *slot_method_name(enum slot_code code);
const struct slot_field_info *slot_field_info(enum slot_field field);

/* slot_encode puts a slot; one that breaks its method's row makes the writer bad. */
void slot_encode(struct wire_writer *w, const struct slot *slot);

/* slot_decode takes one slot; ERR_DAMAGED. */
FALLIBLE slot_decode(struct slot *slot, struct wire_reader *r, struct err *err);

/* slot_understood is false for a slot that no key store of this bulla can open, whatever the key.
 */
bool slot_understood(const struct slot *slot);

/* slot_moves is true for a slot that a key store may move to another key by itself: the tag of an
 * envelope leaves out what is in it. */
bool slot_moves(const struct slot *slot);

bool slot_equal(const struct slot *a, const struct slot *b);

/* slot_begin makes *slot an empty slot of a method; the slot_put_ functions add its header fields,
 * in the order of the method's row. */
void slot_begin(struct slot *slot, enum slot_code code);
void slot_put_number(struct slot *slot, uint32_t value);
void slot_put_fixed(struct slot *slot, const void *bytes, size_t size);
void slot_put_sized(struct slot *slot, const void *bytes, size_t size);

/* slot_wrap is the wrapped branch key. */
struct view slot_wrap(const struct slot *slot);

/* slot_view gives the bytes of a field (of a number, its 4 bytes); empty if the method has no such
 * field. */
struct view slot_view(const struct slot *slot, enum slot_field field);
uint32_t slot_number(const struct slot *slot, enum slot_field field);

/* slot_describe writes what a slot says of its key, for people, escaped: the fields that identify
 * it.
 */
#define SLOT_DESCRIBED_MAX                                                                         \
    (TEXT_ESCAPED(SLOT_KEY_ARN_MAX) + TEXT_ESCAPED(SLOT_MATERIAL_ID_MAX) + 64) /* bytes */
void slot_describe(const struct slot *slot, char out[SLOT_DESCRIBED_MAX]);

/* slot_aad writes the additional data of a slot's wrap: section 5 of FORMAT.md. out holds
 * SLOT_AAD_MAX bytes. */
struct view slot_aad(const struct slot *slot, const uint8_t branch_id[BRANCH_ID_SIZE],
                     uint8_t *out);

#endif
