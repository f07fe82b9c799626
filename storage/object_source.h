/* object_source: an object as a source of bytes.
 *
 * The first read gets the object's beginning, where an envelope is, and most that is to be known of
 * it. Whoever reads all of it has the rest fetched in large pieces by a few threads, ahead of what
 * is read; whoever reads a part gets that part. */
#ifndef BULLA_STORAGE_OBJECT_SOURCE_H
#define BULLA_STORAGE_OBJECT_SOURCE_H

#include "storage/storage.h"

/* The envelope as it usually is, and the beginning of a body. */
#define OBJECT_HEAD (8192 + 64)

struct object_source;

/* object_source_open reads the beginning of an object, which must outlive it. The caller closes. */
FALLIBLE object_source_open(struct object_source **out, const struct object *o, struct err *err);
void object_source_close(struct object_source **source);

/* object_source_done frees what was held to read all of it ahead; it can still be read. */
void object_source_done(struct object_source *source);

/* object_source_of is a source of all bytes of the object. */
struct source object_source_of(struct object_source *source, const struct watch *watch);

/* object_source_look is what the object was when it was opened; object_source_take_look gives that
 * to the caller, who ends it. */
const struct object_look *object_source_look(const struct object_source *source);
struct object_look object_source_take_look(struct object_source *source);

#endif
