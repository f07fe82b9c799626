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

/* struct inplace: a file that is open for writing, and how. */
struct inplace {
    int fd;
    const char *name;
    unsigned first; /* the copy to be written before the other, 0 = A */
    bool sync;      /* each copy is on the disk before the next thing happens */
};

/* inplace_write puts the envelope into both copies, one after the other: at every instant one copy
 * is whole, the old or the new. *unable is true, which is no failure, if nothing was written
 * because the file system writes no part of a file. */
FALLIBLE inplace_write(const struct inplace *in, const struct envelope *e, bool *unable,
                       struct err *err);

#endif
