/* wire: one bounded reader and one bounded writer for every binary structure.
 *
 * Integers are big-endian. Both are sticky: after the first step that does not fit, bad stays set,
 * reads give zeros or NULL and writes do nothing, so that a caller may check once at the end. */
#ifndef BULLA_BASE_WIRE_H
#define BULLA_BASE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* struct view: bytes that belong to somebody else. */
struct view {
    const uint8_t *bytes;
    size_t size;
};

/* view_text is a view of a string, without its zero. */
struct view view_text(const char *text);

struct wire_reader {
    const uint8_t *at;
    size_t left;
    bool bad;
};

struct wire_reader wire_reader(const void *bytes, size_t size);
uint16_t wire_get_u16(struct wire_reader *r);
uint32_t wire_get_u32(struct wire_reader *r);
uint64_t wire_get_u64(struct wire_reader *r);

/* wire_get_view takes size bytes; the view points into what the reader was made over. */
struct view wire_get_view(struct wire_reader *r, size_t size);

/* wire_get_sized takes a u16 length and that many bytes. */
struct view wire_get_sized(struct wire_reader *r);

void wire_get_bytes(struct wire_reader *r, void *out, size_t size);

/* wire_at_end is true when nothing failed and nothing is left. */
bool wire_at_end(const struct wire_reader *r);

struct wire_writer {
    uint8_t *start;
    size_t used, room;
    bool bad;
};

struct wire_writer wire_writer(void *out, size_t room);
void wire_put_u16(struct wire_writer *w, uint16_t v);
void wire_put_u32(struct wire_writer *w, uint32_t v);
void wire_put_u64(struct wire_writer *w, uint64_t v);
void wire_put_bytes(struct wire_writer *w, const void *bytes, size_t size);

/* wire_put_sized puts a u16 length and the bytes; more than 65535 is bad. */
void wire_put_sized(struct wire_writer *w, const void *bytes, size_t size);

#endif
