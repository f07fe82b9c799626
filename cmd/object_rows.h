/* object_rows: the options of verbs that read or write objects. */
#ifndef BULLA_CMD_OBJECT_ROWS_H
#define BULLA_CMD_OBJECT_ROWS_H

#include "cmd/options.h"
#include "storage/storage.h"

/* rows_objects are those of every verb that takes objects, rows_new_objects those of one that makes
 * them, rows_conditions of one that writes any. */
extern const struct row rows_objects[], rows_new_objects[], rows_conditions[];

/* object_rows_wish fills what new objects are to have. ERR_USAGE if that is given and there are to
 * be none. */
FALLIBLE object_rows_wish(struct object_wish *wish, const struct options *o, struct err *err);

#endif
