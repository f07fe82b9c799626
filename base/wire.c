#include "base/wire.h"

#include <string.h>

struct wire_reader wire_reader(const void *bytes, size_t size)
{
    return (struct wire_reader){.at = bytes, .left = size};
}

struct view view_text(const char *text)
{
    return (struct view){(const uint8_t *)text, strlen(text)};
}

/* The only place where a reader advances. */
struct view wire_get_view(struct wire_reader *r, size_t size)
{
    if (r->bad || size > r->left) {
        r->bad = true;
        return (struct view){0};
    }
    struct view v = {r->at, size};
    r->at += size;
    r->left -= size;
    return v;
}

static uint64_t get_integer(struct wire_reader *r, size_t size)
{
    struct view v = wire_get_view(r, size);
    uint64_t n = 0;

    /*@ loop assigns i, n; */
    for (size_t i = 0; i < v.size; i++)
        n = n << 8 | v.bytes[i];
    return n;
}

uint16_t wire_get_u16(struct wire_reader *r)
{
    return (uint16_t)get_integer(r, 2);
}

uint32_t wire_get_u32(struct wire_reader *r)
{
    return (uint32_t)get_integer(r, 4);
}

uint64_t wire_get_u64(struct wire_reader *r)
{
    return get_integer(r, 8);
}

struct view wire_get_sized(struct wire_reader *r)
{
    return wire_get_view(r, wire_get_u16(r));
}

void wire_get_bytes(struct wire_reader *r, void *out, size_t size)
{
    struct view v = wire_get_view(r, size);

    if (v.size == size && size > 0)
        memcpy(out, v.bytes, size);
    else
        memset(out, 0, size);
}

bool wire_at_end(const struct wire_reader *r)
{
    return !r->bad && r->left == 0;
}

struct wire_writer wire_writer(void *out, size_t room)
{
    return (struct wire_writer){.start = out, .room = room};
}

/* The only place where a writer advances. */
void wire_put_bytes(struct wire_writer *w, const void *bytes, size_t size)
{
    if (w->bad || size > w->room - w->used) {
        w->bad = true;
        return;
    }
    if (size > 0)
        memcpy(w->start + w->used, bytes, size);
    w->used += size;
}

static void put_integer(struct wire_writer *w, uint64_t v, size_t size)
{
    uint8_t bytes[8];

    /*@ loop assigns i, bytes[0 .. 7]; */
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(v >> 8 * (size - 1 - i));
    wire_put_bytes(w, bytes, size);
}

void wire_put_u16(struct wire_writer *w, uint16_t v)
{
    put_integer(w, v, 2);
}

void wire_put_u32(struct wire_writer *w, uint32_t v)
{
    put_integer(w, v, 4);
}

void wire_put_u64(struct wire_writer *w, uint64_t v)
{
    put_integer(w, v, 8);
}

void wire_put_sized(struct wire_writer *w, const void *bytes, size_t size)
{
    if (size > UINT16_MAX) {
        w->bad = true;
        return;
    }
    wire_put_u16(w, (uint16_t)size);
    wire_put_bytes(w, bytes, size);
}
