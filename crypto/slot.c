#include "crypto/slot.h"

#include <stdio.h>
#include <string.h>

/* Of all codes that no store has. */
static const struct slot_method unknown = {.name = "unknown", .wrap_max = SLOT_WRAP_MAX};

static const struct slot_method *method_by_code(unsigned code)
{
    const struct slot_method *found = slot_method_find(code);

    return found != NULL ? found : &unknown;
}

const char *slot_method_name(unsigned code)
{
    return method_by_code(code)->name;
}

bool slot_understood(const struct slot *slot)
{
    return slot->method->code != 0 && !slot->method->foreign;
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

bool slot_field_takes(const struct slot_field *field, struct view value)
{
    return value.size >= field->min && value.size <= field->max &&
           (field->kind != SLOT_TEXT || text_is_utf8(value.bytes, value.size));
}

/* Takes one field from a header; the reader is bad if it breaks its row. */
static struct view get_field(struct wire_reader *r, const struct slot_field *f)
{
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
        r->bad = r->bad || !slot_field_takes(f, v);
        return v;
    }
    r->bad = true;
    return (struct view){0};
}

/* One rule for writing and reading. */
static bool well_formed(const struct slot *slot)
{
    struct wire_reader r = wire_reader(slot->header, slot->header_size);

    for (const struct slot_field *const *f = slot->method->fields; *f != NULL; f++)
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
        return fail(err, ERR_DAMAGED, "a slot breaks the rules of its method");
    return OK;
}

void slot_begin(struct slot *slot, unsigned code)
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

struct view slot_view(const struct slot *slot, const struct slot_field *field)
{
    struct wire_reader r = wire_reader(slot->header, slot->header_size);

    for (const struct slot_field *const *f = slot->method->fields; *f != NULL; f++) {
        struct view v = get_field(&r, *f);
        if (*f == field)
            return v;
    }
    return (struct view){0};
}

uint32_t slot_number(const struct slot *slot, const struct slot_field *field)
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

static bool names_alike(const struct slot *a, const struct slot *b, bool version)
{
    for (const struct slot_field *const *f = a->method->fields; *f != NULL; f++) {
        struct view x = slot_view(a, *f), y = slot_view(b, *f);
        bool names =
            (*f)->names == SLOT_NAMES_KEY || (version && (*f)->names == SLOT_NAMES_VERSION);
        if (names && (x.size != y.size || (x.size > 0 && memcmp(x.bytes, y.bytes, x.size) != 0)))
            return false;
    }
    return true;
}

bool slot_same_key(const struct slot *a, const struct slot *b, bool version)
{
    return names_alike(a, b, version) && names_alike(b, a, version);
}

/* The first field that tells a key from others, or NULL. */
static const struct slot_field *naming_field(const struct slot_method *method)
{
    const struct slot_field *const *f = method->fields;

    while (*f != NULL && (*f)->names == SLOT_NAMES_NOTHING)
        f++;
    return *f;
}

void slot_describe(const struct slot *slot, char out[SLOT_DESCRIBED_MAX])
{
    const size_t room = SLOT_DESCRIBED_MAX;
    const struct slot_field *field = naming_field(slot->method);
    struct view v = field != NULL ? slot_view(slot, field) : (struct view){0};
    char hex[2 * SLOT_FIELD_MAX + 1];

    if (slot->method->code == 0)
        snprintf(out, room, "unknown method 0x%04x", slot->code);
    else if (slot->method->describe != NULL)
        slot->method->describe(slot, out, room);
    else
        snprintf(out, room, "%s %s", slot->method->name, text_hex(hex, v.bytes, v.size));
}
