/* envelope_copy: the envelope of a file taken out and put back, like a LUKS header backup. */
#ifndef BULLA_LIBBULLA_ENVELOPE_COPY_H
#define BULLA_LIBBULLA_ENVELOPE_COPY_H

#include "libbulla/open.h"

/* envelope_copy_export writes the envelope of *f, both copies good, to a place (NULL = the outlet).
 */
FALLIBLE envelope_copy_export(struct sealed *f, const struct place *out,
                              const struct outlet *outlet, bool replace, struct err *err);

/* envelope_copy_restore puts the envelope at from into the sealed file at body, in place: the worse
 * copy first, then the other, each synced, and both read back. An object gets both in one step, and
 * ERR_STORE if somebody else replaced it meanwhile. ERR_POLICY if the file has the
 * envelope of another file, or, unless force is true, a newer one of its own with other slots. If
 * it has none that is whole, the session's keys must prove that body and envelope belong together.
 */
FALLIBLE envelope_copy_restore(struct session *s, const struct sealed_place *body,
                               const struct sealed_place *from, bool force, struct err *err);

#endif
