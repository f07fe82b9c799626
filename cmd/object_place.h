/* object_place: what a verb may do with objects, and the names of results that are objects or are
 * made of some. */
#ifndef BULLA_CMD_OBJECT_PLACE_H
#define BULLA_CMD_OBJECT_PLACE_H

#include "base/place.h"
#include "cmd/batch.h"

/* objects_fit fails with ERR_USAGE unless the verb and its options take an object; operand is its
 * name. objects_fit_output does so for an object that -o names; many is true if it may get several
 * files. */
FALLIBLE objects_fit(const struct batch *b, const char *operand, struct err *err);
FALLIBLE objects_fit_output(const struct batch *b, bool many, struct err *err);

/* result_object is the object that -o names; below it, if that is a prefix, by the name of the
 * source (NULL = it has none). result_object_in is always below it. */
FALLIBLE result_object(const struct batch *b, const struct object *out, const char *name,
                       struct object *result, struct err *err);
FALLIBLE result_object_in(const struct batch *b, const struct object *out, const char *name,
                          struct object *result, struct err *err);

/* result_place_below makes a place in a directory, and the directories between, for what is opened
 * of an object whose name, with slashes, is that. ERR_POLICY if such a name could lead out of it.
 */
FALLIBLE result_place_below(const struct batch *b, const char *name, int dir, const char *path,
                            struct place *target, struct err *err);

#endif
