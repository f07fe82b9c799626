#include "libbulla/slot_table.h"

#include <stdlib.h>
#include <string.h>

#define BLOCK_SIZE ((size_t)65536)
#define INDEX_START 512

void slot_table_name(const struct master_key *key, const uint8_t branch_id[BRANCH_ID_SIZE],
                     const struct slot *old, uint8_t out[SHA256_SIZE])
{
    static const struct slot none;
    uint8_t sizes[6];
    struct wire_writer w = wire_writer(sizes, sizeof sizes);

    if (old == NULL)
        old = &none;
    wire_put_u16(&w, old->code);
    wire_put_u16(&w, (uint16_t)old->header_size);
    wire_put_u16(&w, (uint16_t)old->wrap_size);
    sha256(out,
           (struct view[]){{(const uint8_t *)&key, sizeof key},
                           {branch_id, BRANCH_ID_SIZE},
                           {sizes, sizeof sizes},
                           {old->header, old->header_size},
                           {old->wrap, old->wrap_size}},
           5);
}

static const uint8_t *entry(const struct slot_table *t, uint32_t at)
{
    return t->blocks[(at - 1) / BLOCK_SIZE] + (at - 1) % BLOCK_SIZE;
}

/* The place of an entry in the index, or the empty one where it would be. */
static uint32_t *find(const struct slot_table *t, const uint8_t name[SHA256_SIZE])
{
    struct wire_reader r = wire_reader(name, SHA256_SIZE);
    size_t i = wire_get_u32(&r) & (t->room - 1);

    while (t->index[i] != 0 && memcmp(entry(t, t->index[i]), name, SHA256_SIZE) != 0)
        i = (i + 1) & (t->room - 1);
    return &t->index[i];
}

bool slot_table_find(const struct slot_table *t, const uint8_t name[SHA256_SIZE], struct slot *slot)
{
    struct err ignored;

    if (t->room == 0 || *find(t, name) == 0)
        return false;
    uint32_t at = *find(t, name);
    size_t left = BLOCK_SIZE - (at - 1) % BLOCK_SIZE - SHA256_SIZE;
    struct wire_reader r = wire_reader(entry(t, at) + SHA256_SIZE, left);
    return slot_decode(slot, &r, &ignored).ok;
}

static struct result grow_index(struct slot_table *t, struct err *err)
{
    struct slot_table larger = *t;

    larger.room = t->room == 0 ? INDEX_START : 2 * t->room;
    larger.index = calloc(larger.room, sizeof *larger.index);
    if (larger.index == NULL)
        return fail_memory(err);
    for (size_t i = 0; i < t->room; i++)
        if (t->index[i] != 0)
            *find(&larger, entry(t, t->index[i])) = t->index[i];
    free(t->index);
    *t = larger;
    return OK;
}

/* A block that has room for so many bytes. */
static struct result need_block(struct slot_table *t, size_t size, struct err *err)
{
    if (t->block_count > 0 && BLOCK_SIZE - t->used >= size)
        return OK;
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): a list of pointers */
    uint8_t **blocks = realloc(t->blocks, (t->block_count + 1) * sizeof *blocks);
    if (blocks == NULL)
        return fail_memory(err);
    t->blocks = blocks;
    blocks[t->block_count] = malloc(BLOCK_SIZE);
    if (blocks[t->block_count] == NULL)
        return fail_memory(err);
    t->block_count++;
    t->used = 0;
    return OK;
}

struct result slot_table_add(struct slot_table *t, const uint8_t name[SHA256_SIZE],
                             const struct slot *slot, struct err *err)
{
    size_t size = SHA256_SIZE + 6 + slot->header_size + slot->wrap_size;

    if ((t->block_count + 1) * BLOCK_SIZE > SLOT_TABLE_BYTES_MAX) {
        t->forgotten++;
        return OK;
    }
    if ((2 * t->count >= t->room && !grow_index(t, err).ok) || !need_block(t, size, err).ok)
        return FAIL;
    size_t at = (t->block_count - 1) * BLOCK_SIZE + t->used;
    struct wire_writer w = wire_writer(t->blocks[t->block_count - 1] + t->used, size);
    wire_put_bytes(&w, name, SHA256_SIZE);
    slot_encode(&w, slot);
    if (w.bad)
        return fail(err, ERR_FAILED, "a key store made a slot that is not allowed");
    t->used += size;
    t->count++;
    *find(t, name) = (uint32_t)at + 1;
    return OK;
}

void slot_table_free(struct slot_table *t)
{
    for (size_t i = 0; i < t->block_count; i++)
        free(t->blocks[i]);
    free(t->blocks);
    free(t->index);
    *t = (struct slot_table){0};
}
