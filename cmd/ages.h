/* ages: which of several keyrings is older than another that has the same key, or no copy of it. */
#ifndef BULLA_CMD_AGES_H
#define BULLA_CMD_AGES_H

#include "keystore/keystore.h"

/* struct ages: the versions that were listed; {0} is empty. */
struct ages {
    char **rings; /* their references */
    size_t ring_count;
    struct aged *rows;
    size_t count;
    bool full; /* there was no memory for a row */
};

#define AGES_CLEANUP __attribute__((cleanup(ages_free)))

/* ages_ring says whose versions come next. */
FALLIBLE ages_ring(struct ages *a, const char *reference, struct err *err);

/* ages_add takes a version of that ring. One whose store tells no highest version is left out. */
void ages_add(struct ages *a, const struct key_info *info);

/* ages_tell prints a line for each ring and key of which another ring knows more, or has another
 * key for a version, with json true on standard output too. Exit status: ERR_POLICY if there is
 * one. */
int ages_tell(struct ages *a, bool json);

void ages_free(struct ages *a);

#endif
