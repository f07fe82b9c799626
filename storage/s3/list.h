/* list: the objects of a bucket whose names begin alike (ListObjectsV2, ListObjectVersions), and
 * the uploads of such names (ListMultipartUploads). */
#ifndef BULLA_STORAGE_S3_LIST_H
#define BULLA_STORAGE_S3_LIST_H

#include "storage/storage.h"

/* s3_list is the operation of struct storage_ops; a page of the list is held at a time. */
FALLIBLE s3_list(const struct object *o, enum object_list what,
                 bool (*each)(void *arg, const struct object_entry *entry), void *arg,
                 struct err *err);

#endif
