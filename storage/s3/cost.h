/* cost: what it takes to give an object another beginning. */
#ifndef BULLA_STORAGE_S3_COST_H
#define BULLA_STORAGE_S3_COST_H

#include "storage/storage.h"

/* s3_cost is the operation of struct storage_ops. */
struct object_cost s3_cost(const struct object_look *look, uint64_t moved);

#endif
