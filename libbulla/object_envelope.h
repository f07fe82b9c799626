/* object_envelope: the envelope of an object in a storage, replaced without moving the body. */
#ifndef BULLA_LIBBULLA_OBJECT_ENVELOPE_H
#define BULLA_LIBBULLA_OBJECT_ENVELOPE_H

#include "crypto/envelope.h"
#include "storage/storage.h"

/* object_envelope_put replaces the first bytes of an object, old of them, by both copies of the
 * envelope, if the object is still what *look says: ERR_STORE if not. The new envelope has the size
 * of the old one where the object is larger than splice_size. *proof says whether the storage shows
 * that the body is what it was; ERR_DAMAGED if it is not. */
FALLIBLE object_envelope_put(const struct object *o, const struct object_look *look, uint64_t old,
                             const struct envelope *e, enum object_proof *proof, struct err *err);

#endif
