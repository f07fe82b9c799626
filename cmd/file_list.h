/* file_list: which files are those of a run: the names in a list, and the share of several runs. */
#ifndef BULLA_CMD_FILE_LIST_H
#define BULLA_CMD_FILE_LIST_H

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

/* file_list_has_objects is true if the first name in a list is that of an object: then the others
 * may be too, and the run needs the network. What it reads of standard input is put back. */
bool file_list_has_objects(const char *path);

/* file_list_read calls each for every name in the list at path, "-" for standard input, until each
 * is false or a signal comes. With null true a zero byte ends a name, else a line end; empty names
 * are left out. */
FALLIBLE file_list_read(const char *path, bool null, bool (*each)(void *arg, const char *name),
                        void *arg, struct err *err);

#endif
