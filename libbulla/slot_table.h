/* slot_table: the slots that key stores made in a run, found by what they were made from. So each
 * is made once, whatever the number of files. */
#ifndef BULLA_LIBBULLA_SLOT_TABLE_H
#define BULLA_LIBBULLA_SLOT_TABLE_H

#include "keystore/keystore.h"

#define SLOT_TABLE_BYTES_MAX ((size_t)14 << 20)

/* struct slot_table: {0} is empty and safe to free. */
struct slot_table {
    uint8_t **blocks; /* where the entries are, one after the other */
    size_t block_count, used;
    uint32_t *index; /* an open hash of where they begin, plus 1 */
    size_t count, room;
    uint64_t forgotten; /* slots that did not fit any more */
};

/* slot_table_name writes what an entry is found by: the key that made it, and the slot of this
 * branch that it was made of, or the branch alone where old is NULL. */
void slot_table_name(const struct master_key *key, const uint8_t branch_id[BRANCH_ID_SIZE],
                     const struct slot *old, uint8_t out[SHA256_SIZE]);

/* slot_table_find is true if there is an entry, and copies its slot. */
bool slot_table_find(const struct slot_table *t, const uint8_t name[SHA256_SIZE],
                     struct slot *slot);

/* slot_table_add adds one that is not there yet, unless the table is full. */
FALLIBLE slot_table_add(struct slot_table *t, const uint8_t name[SHA256_SIZE],
                        const struct slot *slot, struct err *err);

void slot_table_free(struct slot_table *t);

#endif
