/* shard: the share of the files that this run takes, where several runs divide them (--shard). */
#ifndef BULLA_CMD_SHARD_H
#define BULLA_CMD_SHARD_H

#include <stdint.h>

#include "base/err.h"

/* struct shard: the files that are ours, of several runs; {0} takes all. */
struct shard {
    uint64_t share, shares; /* share is 1 or more; shares is 0 if there is one run */
};

/* shard_read reads "I/N"; NULL takes all. ERR_USAGE. */
FALLIBLE shard_read(struct shard *s, const char *text, struct err *err);

/* shard_has is true for a file of our share: by the hash of its name, so that no list has to be
 * agreed on. */
bool shard_has(const struct shard *s, const char *path);

#endif
