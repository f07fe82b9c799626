/* rewrap_object: a rewrap of an object in a storage, of which the body stays where it is. */
#ifndef BULLA_LIBBULLA_REWRAP_OBJECT_H
#define BULLA_LIBBULLA_REWRAP_OBJECT_H

#include "libbulla/rewrap.h"

/* What is known of an envelope that lies beside an object. */
enum envelope_beside {
    BESIDE_UNKNOWN, /* not even whether there is one */
    BESIDE_OLDER,   /* it was put there before the object */
    BESIDE_NEWER
};

/* rewrap_object is rewrap_file for an object, or the envelope that lies beside it. The object is
 * replaced in one step, if nobody else did that meanwhile: ERR_STORE then, and a run that begins
 * anew may do it. An envelope beside it is an exported one where the object has its own; if it is
 * newer and says that it was made apart from its body, the object is not looked at. */
FALLIBLE rewrap_object(struct rewrap *r, const struct object *o, enum envelope_beside beside,
                       struct rewrap_report *report, struct err *err);

#endif
