/* slot: the branch key wrapped by one master key (docs/FORMAT.md section 3.2).
 *
 * A method is a row that a key store brings: its code, its header fields in order, the sizes its
 * wrap may have. Writing, reading and showing a slot all follow that row. How a method wraps is the
 * store's. A slot of a method that has no row is carried along as it is. */
#ifndef BULLA_CRYPTO_SLOT_H
#define BULLA_CRYPTO_SLOT_H

#include "base/err.h"
#include "base/text.h"
#include "base/wire.h"
#include "crypto/envelope_core.h"

#define SLOT_HEADER_MAX 1024 /* bytes */
#define SLOT_WRAP_MAX 6144
#define SLOT_FIELD_MAX 512 /* bytes of a field at most */
#define SLOT_FIELDS_MAX 5  /* of a method */
#define BRANCH_ID_SIZE 32
#define SLOT_AAD_MAX (sizeof BRANCH_KEY_LABEL - 1 + BRANCH_ID_SIZE + 2 + SLOT_HEADER_MAX)

/* How the additional data of a wrap begins, and the info of HPKE: FORMAT.md section 5. */
#define BRANCH_KEY_LABEL "bulla/v2 branch key"

enum slot_kind {
    SLOT_FIXED,  /* min bytes */
    SLOT_NUMBER, /* u32 from min to max */
    SLOT_BYTES,  /* u16 length from min to max, bytes */
    SLOT_TEXT    /* the same, UTF-8 */
};

/* What a field tells of the key that a slot is of. */
enum slot_names {
    SLOT_NAMES_NOTHING,
    SLOT_NAMES_KEY,    /* all slots of one key have it */
    SLOT_NAMES_VERSION /* those of the same version of it have */
};

struct slot_field {
    const char *name; /* as inspect shows it; JSON has _ for spaces */
    enum slot_kind kind;
    uint32_t min, max; /* at most SLOT_FIELD_MAX bytes */
    enum slot_names names;
};

struct slot;

struct slot_method {
    uint16_t code; /* 0 in the row of all that have none, and after the last of a list */
    const char *name;
    uint16_t wrap_min, wrap_max;                          /* bytes */
    const struct slot_field *fields[SLOT_FIELDS_MAX + 1]; /* NULL after the last */

    /* What a slot says of its key: as slot_describe, where the name of the method and the first
     * field that names a key or its version would not do; or NULL. */
    void (*describe)(const struct slot *slot, char *out, size_t room);

    unsigned most;      /* slots of an envelope; 0 = any number */
    const char *plural; /* what they are called where there are too many */
    bool foreign;       /* no bulla opens it yet */
};

/* slot_method_find gives the row of a code, NULL if no key store has it. The list of the stores
 * has it from them (keystore/registry.c): nobody here knows them. */
const struct slot_method *slot_method_find(unsigned code);

struct slot {
    const struct slot_method *method; /* never NULL once a slot was begun or decoded */
    uint16_t code;                    /* as the file has it */
    size_t header_size, wrap_size;    /* bytes */
    uint8_t header[SLOT_HEADER_MAX];
    uint8_t wrap[SLOT_WRAP_MAX];
};

const char *slot_method_name(unsigned code);

/* slot_encode puts a slot; one that breaks its method's row makes the writer bad. */
void slot_encode(struct wire_writer *w, const struct slot *slot);

/* slot_decode takes one slot; ERR_DAMAGED. */
FALLIBLE slot_decode(struct slot *slot, struct wire_reader *r, struct err *err);

/* slot_understood is false for a slot that no key store of this bulla can open, whatever the key.
 */
bool slot_understood(const struct slot *slot);

/* slot_moves is true for a slot that a key store may move to another key by itself; the tag of an
 * envelope does not cover its content. */
bool slot_moves(const struct slot *slot);

bool slot_equal(const struct slot *a, const struct slot *b);

/* slot_begin makes *slot an empty slot of a method; the slot_put_ functions add its header fields,
 * in the order of the method's row. */
void slot_begin(struct slot *slot, unsigned code);
void slot_put_number(struct slot *slot, uint32_t value);
void slot_put_fixed(struct slot *slot, const void *bytes, size_t size);
void slot_put_sized(struct slot *slot, const void *bytes, size_t size);

/* slot_wrap is the wrapped branch key. */
struct view slot_wrap(const struct slot *slot);

/* slot_view gives the bytes of a field (of a number, its 4 bytes); empty if the method has no such
 * field. */
struct view slot_view(const struct slot *slot, const struct slot_field *field);
uint32_t slot_number(const struct slot *slot, const struct slot_field *field);

/* slot_field_takes is true if a field of bytes or text may have this value. */
bool slot_field_takes(const struct slot_field *field, struct view value);

/* slot_same_key is true if two slots name one key, and with version true one version of it, as far
 * as their fields tell. */
bool slot_same_key(const struct slot *a, const struct slot *b, bool version);

/* slot_describe writes what a slot says of its key, for people, escaped: the fields that identify
 * it.
 */
#define SLOT_DESCRIBED_MAX (2 * TEXT_ESCAPED(SLOT_FIELD_MAX) + 64) /* bytes */
void slot_describe(const struct slot *slot, char out[SLOT_DESCRIBED_MAX]);

/* slot_aad writes the additional data of a slot's wrap: section 5 of FORMAT.md. out holds
 * SLOT_AAD_MAX bytes. */
struct view slot_aad(const struct slot *slot, const uint8_t branch_id[BRANCH_ID_SIZE],
                     uint8_t *out);

#endif
