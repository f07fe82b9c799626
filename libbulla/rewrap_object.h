/* rewrap_object: a rewrap of an object in a storage, of which the body stays where it is. */
#ifndef BULLA_LIBBULLA_REWRAP_OBJECT_H
#define BULLA_LIBBULLA_REWRAP_OBJECT_H

#include "libbulla/rewrap.h"

/* rewrap_object is rewrap_file for an object, or the envelope that lies beside it. The object is
 * replaced in one step, if nobody else did that meanwhile: ERR_STORE then, and a run that begins
 * anew may do it. *separate is true if it is the one beside that counts. */
FALLIBLE rewrap_object(struct rewrap *r, const struct object *o, struct rewrap_report *report,
                       bool *separate, struct err *err);

#endif
