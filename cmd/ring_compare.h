/* ring_compare: which of several keyrings is older than another, or was rotated apart from it. */
#ifndef BULLA_CMD_RING_COMPARE_H
#define BULLA_CMD_RING_COMPARE_H

#include "keystore/keystore.h"

/* struct ring_compare: the versions that were listed; {0} is empty. */
struct ring_compare {
    char **rings; /* their references */
    size_t ring_count;
    struct aged *rows;
    size_t count;
    bool full; /* there was no memory for a row */
};

#define AGES_CLEANUP __attribute__((cleanup(ring_compare_free)))

/* ring_compare_ring says whose versions come next. */
FALLIBLE ring_compare_ring(struct ring_compare *a, const char *reference, struct err *err);

/* ring_compare_add takes a version of that ring. One whose store tells no highest version is left
 * out. */
void ring_compare_add(struct ring_compare *a, const struct key_info *info);

/* ring_compare_tell prints a line for each ring and key of which another ring knows more, or has
 * another key for a version, with json true on standard output too. Exit status: ERR_POLICY if
 * there is one. */
int ring_compare_tell(struct ring_compare *a, bool json);

void ring_compare_free(struct ring_compare *a);

#endif
