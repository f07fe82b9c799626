#include "crypto/slot.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "crypto/passphrase.h"

static const struct slot_field_info fields[] = {
    [SLOT_KEY_ID] = {"key id", SLOT_FIXED, SLOT_KEY_ID_SIZE, SLOT_KEY_ID_SIZE},
    [SLOT_KEY_VERSION] = {"key version", SLOT_NUMBER, 1, UINT32_MAX},
    [SLOT_KEY_NAME] = {"key name", SLOT_TEXT, 1, SLOT_KEY_NAME_MAX},
    [SLOT_SALT] = {"salt", SLOT_FIXED, KDF_SALT_SIZE, KDF_SALT_SIZE},
    [SLOT_PASSES] = {"passes", SLOT_NUMBER, KDF_PASSES, KDF_PASSES_MAX},
    [SLOT_MEMORY] = {"memory KiB", SLOT_NUMBER, KDF_MEMORY_KIB, KDF_MEMORY_KIB_MAX},
    [SLOT_HINT] = {"hint", SLOT_TEXT, 0, SLOT_HINT_MAX},
    [SLOT_SPKI_HASH] = {"SPKI SHA-256", SLOT_FIXED, SHA256_SIZE, SHA256_SIZE},
    [SLOT_TOKEN_LABEL] = {"token label", SLOT_TEXT, 0, SLOT_TOKEN_LABEL_MAX},
    [SLOT_TOKEN_SERIAL] = {"token serial", SLOT_TEXT, 0, SLOT_TOKEN_SERIAL_MAX},
    [SLOT_KEY_LABEL] = {"key label", SLOT_TEXT, 0, SLOT_KEY_LABEL_MAX},
    [SLOT_CKA_ID] = {"CKA_ID", SLOT_BYTES, 1, SLOT_CKA_ID_MAX},
    [SLOT_OPTIONAL_CKA_ID] = {"CKA_ID", SLOT_BYTES, 0, SLOT_CKA_ID_MAX},
    [SLOT_CHECK_VALUE] = {"check value", SLOT_BYTES, 0, SLOT_CHECK_VALUE_MAX},
    [SLOT_KEY_ARN] = {"key ARN", SLOT_TEXT, SLOT_KEY_ARN_MIN, SLOT_KEY_ARN_MAX},
    [SLOT_MATERIAL_ID] = {"key material id", SLOT_TEXT, 0, SLOT_MATERIAL_ID_MAX},
};

#define KEYRING_FIELDS                                                                             \
    {                                                                                              \
        SLOT_KEY_ID, SLOT_KEY_VERSION, SLOT_KEY_NAME                                               \
    }
#define TOKEN_PAIR_FIELDS                                                                          \
    {                                                                                              \
        SLOT_SPKI_HASH, SLOT_TOKEN_LABEL, SLOT_TOKEN_SERIAL, SLOT_KEY_LABEL, SLOT_OPTIONAL_CKA_ID  \
    }
#define TOKEN_AES_FIELDS                                                                           \
    {                                                                                              \
        SLOT_CHECK_VALUE, SLOT_TOKEN_LABEL, SLOT_TOKEN_SERIAL, SLOT_KEY_LABEL, SLOT_CKA_ID         \
    }

static const struct slot_method methods[] = {
    {SLOT_KEYRING_XAES, "keyring-xaes", 72, 72, KEYRING_FIELDS},
    {SLOT_KEYRING_X25519, "keyring-x25519", 80, 80, KEYRING_FIELDS},
    {SLOT_PASSPHRASE, "passphrase", 72, 72, {SLOT_SALT, SLOT_PASSES, SLOT_MEMORY, SLOT_HINT}},
    {SLOT_KEYRING_MLKEM768_X25519, "keyring-mlkem768-x25519", 1168, 1168, KEYRING_FIELDS},
    {SLOT_PKCS11_RSA_OAEP_SHA256, "pkcs11-rsa-oaep-sha256", 256, 512, TOKEN_PAIR_FIELDS},
    {SLOT_PKCS11_RSA_OAEP_SHA1, "pkcs11-rsa-oaep-sha1", 256, 512, TOKEN_PAIR_FIELDS},
    {SLOT_PKCS11_P256_HPKE, "pkcs11-p256-hpke", 113, 113, TOKEN_PAIR_FIELDS},
    {SLOT_PKCS11_P384_HPKE, "pkcs11-p384-hpke", 145, 145, TOKEN_PAIR_FIELDS},
    {SLOT_PKCS11_AES_GCM, "pkcs11-aes-gcm", 60, 60, TOKEN_AES_FIELDS},
    {SLOT_PKCS11_AES_KW, "pkcs11-aes-kw", 40, 40, TOKEN_AES_FIELDS},
    {SLOT_AWSKMS, "awskms", 1, SLOT_WRAP_MAX, {SLOT_KEY_ARN, SLOT_MATERIAL_ID}},
    {SLOT_EXTERNAL, "external", 1, SLOT_WRAP_MAX, {SLOT_KEY_NAME}},
    {0, "unknown", 0, SLOT_WRAP_MAX, {SLOT_NO_FIELD}}, /* the last: all other codes */
};

static const struct slot_method *method_by_code(unsigned code)
{
    const struct slot_method *row = methods;

    while (row->code != 0 && row->code != code)
        row++;
    return row;
}

const char *slot_method_name(enum slot_code code)
{
    return method_by_code(code)->name;
}

bool slot_understood(const struct slot *slot)
{
    return slot->method->code != 0 && slot->method->code != SLOT_KEYRING_MLKEM768_X25519;
}

bool slot_moves(const struct slot *slot)
{
    return slot->code >= 0x0020 && slot->code <= 0x003f;
}

bool slot_equal(const struct slot *a, const struct slot *b)
{
    return a->code == b->code && a->header_size == b->header_size && a->wrap_size == b->wrap_size &&
           memcmp(a->header, b->header, a->header_size) == 0 &&
           memcmp(a->wrap, b->wrap, a->wrap_size) == 0;
}

const struct slot_field_info *slot_field_info(enum slot_field field)
{
    return &fields[field];
}

/* Takes one field from a header; the reader is bad if it breaks its row. */
static struct view get_field(struct wire_reader *r, enum slot_field field)
{
    const struct slot_field_info *f = &fields[field];
    struct view v;

    switch (f->kind) {
    case SLOT_FIXED:
        return wire_get_view(r, f->min);
    case SLOT_NUMBER: {
        v = wire_get_view(r, 4);
        struct wire_reader number = wire_reader(v.bytes, v.size);
        uint32_t n = wire_get_u32(&number);
        r->bad = r->bad || n < f->min || n > f->max;
        return v;
    }
    case SLOT_BYTES:
    case SLOT_TEXT:
        v = wire_get_sized(r);
        r->bad = r->bad || v.size < f->min || v.size > f->max ||
                 (f->kind == SLOT_TEXT && !text_is_utf8(v.bytes, v.size));
        return v;
    }
    r->bad = true;
    return (struct view){0};
}

/* One rule for writing and reading. */
static bool well_formed(const struct slot *slot)
{
    struct wire_reader r = wire_reader(slot->header, slot->header_size);

    for (const enum slot_field *f = slot->method->fields; *f != SLOT_NO_FIELD; f++)
        (void)get_field(&r, *f);
    return (slot->method->code == 0 || wire_at_end(&r)) &&
           slot->wrap_size >= slot->method->wrap_min && slot->wrap_size <= slot->method->wrap_max;
}

void slot_encode(struct wire_writer *w, const struct slot *slot)
{
    if (!well_formed(slot)) {
        w->bad = true;
        return;
    }
    wire_put_u16(w, slot->code);
    wire_put_sized(w, slot->header, slot->header_size);
    wire_put_sized(w, slot->wrap, slot->wrap_size);
}

struct result slot_decode(struct slot *slot, struct wire_reader *r, struct err *err)
{
    uint16_t code = wire_get_u16(r);

    slot_begin(slot, code);
    struct view header = wire_get_sized(r), wrap = wire_get_sized(r);
    if (r->bad)
        return fail(err, ERR_DAMAGED, "a slot ends too early");
    if (header.size > sizeof slot->header || wrap.size > sizeof slot->wrap)
        return fail(err, ERR_DAMAGED, "a slot is too long");
    slot_put_fixed(slot, header.bytes, header.size);
    memcpy(slot->wrap, wrap.bytes, wrap.size);
    slot->wrap_size = wrap.size;
    if (!well_formed(slot))
        return fail(err, ERR_DAMAGED, "a slot is not as its method demands");
    return OK;
}

void slot_begin(struct slot *slot, enum slot_code code)
{
    slot->method = method_by_code(code);
    slot->code = (uint16_t)code;
    slot->header_size = slot->wrap_size = 0;
}

/* What does not fit leaves a header that is too short, which slot_encode refuses. */
static void put(struct slot *slot, void (*put_bytes)(struct wire_writer *, const void *, size_t),
                const void *bytes, size_t size)
{
    struct wire_writer w =
        wire_writer(slot->header + slot->header_size, sizeof slot->header - slot->header_size);

    put_bytes(&w, bytes, size);
    if (!w.bad)
        slot->header_size += w.used;
}

void slot_put_number(struct slot *slot, uint32_t value)
{
    uint8_t bytes[4];
    struct wire_writer w = wire_writer(bytes, sizeof bytes);

    wire_put_u32(&w, value);
    put(slot, wire_put_bytes, bytes, sizeof bytes);
}

void slot_put_fixed(struct slot *slot, const void *bytes, size_t size)
{
    put(slot, wire_put_bytes, bytes, size);
}

void slot_put_sized(struct slot *slot, const void *bytes, size_t size)
{
    put(slot, wire_put_sized, bytes, size);
}

struct view slot_wrap(const struct slot *slot)
{
    return (struct view){slot->wrap, slot->wrap_size};
}

struct view slot_view(const struct slot *slot, enum slot_field field)
{
    struct wire_reader r = wire_reader(slot->header, slot->header_size);

    for (const enum slot_field *f = slot->method->fields; *f != SLOT_NO_FIELD; f++) {
        struct view v = get_field(&r, *f);
        if (*f == field)
            return v;
    }
    return (struct view){0};
}

uint32_t slot_number(const struct slot *slot, enum slot_field field)
{
    struct view v = slot_view(slot, field);
    struct wire_reader r = wire_reader(v.bytes, v.size);

    return wire_get_u32(&r);
}

struct view slot_aad(const struct slot *slot, const uint8_t branch_id[BRANCH_ID_SIZE], uint8_t *out)
{
    struct wire_writer w = wire_writer(out, SLOT_AAD_MAX);

    wire_put_bytes(&w, BRANCH_KEY_LABEL, strlen(BRANCH_KEY_LABEL));
    wire_put_bytes(&w, branch_id, BRANCH_ID_SIZE);
    wire_put_u16(&w, slot->code);
    wire_put_bytes(&w, slot->header, slot->header_size);
    return (struct view){out, w.used};
}

/* A key of AWS KMS, and which of its materials, where KMS told: a rotation makes another. */
static void describe_arn(const struct slot *slot, const char *arn, char *out, size_t room)
{
    struct view material = slot_view(slot, SLOT_MATERIAL_ID);
    char text[TEXT_ESCAPED(SLOT_MATERIAL_ID_MAX)];

    snprintf(out, room, "%s%s%s", arn, material.size > 0 ? " material " : "",
             text_escape(text, sizeof text, material.bytes, material.size));
}

void slot_describe(const struct slot *slot, char out[SLOT_DESCRIBED_MAX])
{
    const size_t room = SLOT_DESCRIBED_MAX;
    struct view name = slot_view(slot, SLOT_KEY_NAME), id = slot_view(slot, SLOT_KEY_ID);
    struct view arn = slot_view(slot, SLOT_KEY_ARN), spki = slot_view(slot, SLOT_SPKI_HASH);
    struct view cka = slot_view(slot, SLOT_CKA_ID), salt = slot_view(slot, SLOT_SALT);
    char text[TEXT_ESCAPED(SLOT_KEY_ARN_MAX)], hex[2 * SLOT_CKA_ID_MAX + 1];

    if (name.size > 0 && id.size == 0)
        text_escape(out, room, name.bytes, name.size);
    else if (name.size > 0)
        snprintf(out, room, "%s v%" PRIu32 " (%s)",
                 text_escape(text, sizeof text, name.bytes, name.size),
                 slot_number(slot, SLOT_KEY_VERSION), text_hex(hex, id.bytes, id.size));
    else if (arn.size > 0)
        describe_arn(slot, text_escape(text, sizeof text, arn.bytes, arn.size), out, room);
    else if (slot->method->code == 0)
        snprintf(out, room, "unknown method 0x%04x", slot->code);
    else {
        struct view v = spki.size > 0 ? spki : cka.size > 0 ? cka : salt;
        snprintf(out, room, "%s %s", slot->method->name, text_hex(hex, v.bytes, v.size));
    }
}
