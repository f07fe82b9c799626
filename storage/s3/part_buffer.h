/* part_buffer: the parts of an object that are gathered or on their way, each in a slot of its own.
 *
 * Parts that fit are held in memory. Larger ones go to a file without a name, in TMPDIR or
 * /var/tmp: what is held there is sealed. */
#ifndef BULLA_STORAGE_S3_PART_BUFFER_H
#define BULLA_STORAGE_S3_PART_BUFFER_H

#include "http/http.h"
#include "storage/storage.h"

#define PART_SLOTS_MAX 4

/* part_size_for is the size of parts of which 10,000 hold an object of so many bytes; 0 if there is
 * none. part_size_next is that of the part after the first parts of a stream, of which the last had
 * the size now: it doubles every 1,000 parts, so that 10,000 hold 4.8 TiB. */
uint64_t part_size_for(uint64_t object_size);
uint64_t part_size_next(uint64_t now, unsigned parts);

/* struct part_buffer: {0} is none and safe to free. */
struct part_buffer {
    uint64_t part_size; /* bytes of a slot */
    size_t slots;       /* at most PART_SLOTS_MAX */
    size_t room;        /* bytes of memory */
    uint8_t *memory;    /* NULL: the parts are in the file */
    int file;
};

/* part_buffer_shape makes slots of this size, which is no less than before. Others that there were
 * hold nothing any more, but for the first kept bytes of the first one. room is how much memory
 * they may take. */
FALLIBLE part_buffer_shape(struct part_buffer *b, uint64_t part_size, size_t room, uint64_t kept,
                           const struct environment *environment, struct err *err);

/* part_buffer_put writes to a slot, at an offset in it. */
FALLIBLE part_buffer_put(const struct part_buffer *b, size_t slot, uint64_t at, const void *bytes,
                         size_t size, struct err *err);

/* part_buffer_memory is what a slot holds, if that is memory; part_buffer_file else. */
struct view part_buffer_memory(const struct part_buffer *b, size_t slot, uint64_t size);
struct http_file part_buffer_file(const struct part_buffer *b, size_t slot, uint64_t size);

void part_buffer_free(struct part_buffer *b);

#endif
