/* inventory: a list that S3 Inventory made of a bucket, in CSV. */
#ifndef BULLA_CMD_INVENTORY_H
#define BULLA_CMD_INVENTORY_H

#include "storage/storage.h"

/* inventory_read calls each for every object in the list at path, "-" for standard input, that is
 * a current one, with the name of its bucket, until each is false or a signal comes. The columns
 * are those that S3 Inventory begins with: bucket, key, in one of all versions their id and state,
 * and the size. ERR_USAGE for a list that is none. */
FALLIBLE inventory_read(const char *path,
                        bool (*each)(void *arg, const char *bucket,
                                     const struct object_entry *entry),
                        void *arg, struct err *err);

#endif
