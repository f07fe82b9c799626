/* inplace: the envelope copies of a sealed file, replaced one after the other where they stand. */
#ifndef BULLA_LIBBULLA_INPLACE_H
#define BULLA_LIBBULLA_INPLACE_H

#include "base/place.h"
#include "crypto/envelope.h"

/* inplace_open opens a regular file for writing and locks it (flock), so that two programs do not
 * change one envelope at once; ERR_FAILED if another has it. The caller closes *fd. */
FALLIBLE inplace_open(const struct place *place, int *fd, struct stat *st, struct err *err);

/* inplace_check fails with ERR_UNSUPPORTED if one of the copies is of a kind that this bulla does
 * not know: what is in it would be lost. name is that of the file. */
FALLIBLE inplace_check(const struct envelope_health *health, const char *name, struct err *err);

/* inplace_write puts the envelope into both copies, the copy numbered first (0 = A) before the
 * other, and with sync true each is on the disk before the next thing happens: at every instant one
 * copy is whole, the old or the new. */
FALLIBLE inplace_write(int fd, const char *name, const struct envelope *e, unsigned first,
                       bool sync, struct err *err);

#endif
