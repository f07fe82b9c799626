/* rewrap_object: a rewrap of an object in a storage, of which the body stays where it is. */
#ifndef BULLA_LIBBULLA_REWRAP_OBJECT_H
#define BULLA_LIBBULLA_REWRAP_OBJECT_H

#include "libbulla/rewrap.h"

/* rewrap_object is rewrap_file for an object, or the envelope that lies beside it. The object is
 * replaced in one step, if nobody else did that meanwhile: ERR_STORE then, and a run that begins
 * anew may do it. envelope is true if an envelope is known to lie beside it, which is an exported
 * one where the object has its own. */
FALLIBLE rewrap_object(struct rewrap *r, const struct object *o, bool envelope,
                       struct rewrap_report *report, struct err *err);

#endif
