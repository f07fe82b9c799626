/* in_place: the envelope copies of a sealed file, replaced one after the other where they stand. */
#ifndef BULLA_LIBBULLA_IN_PLACE_H
#define BULLA_LIBBULLA_IN_PLACE_H

#include "base/place.h"
#include "crypto/envelope.h"

/* in_place_open opens a regular file for writing and locks it (flock), so that two programs do not
 * change one envelope at once; ERR_FAILED if another has it. The caller closes *fd. */
FALLIBLE in_place_open(const struct place *place, int *fd, struct stat *st, struct err *err);

/* in_place_check fails with ERR_UNSUPPORTED if one of the copies is of a kind that this bulla does
 * not know: what is in it would be lost. name is that of the file. */
FALLIBLE in_place_check(const struct envelope_health *health, const char *name, struct err *err);

/* struct in_place: a file that is open for writing, and how. */
struct in_place {
    int fd;
    const char *name;
    unsigned first; /* the copy to be written before the other, 0 = A */
    bool sync;      /* each copy is on the disk before the next thing happens */
};

/* in_place_write puts the envelope into both copies, one after the other: at every instant one copy
 * is whole, the old or the new. *unable is true, which is no failure, if nothing was written
 * because the file system writes no part of a file. What it says only when a file is closed is a
 * failure too; which of the two envelopes is stored is then not known. */
FALLIBLE in_place_write(const struct in_place *in, const struct envelope *e, bool *unable,
                        struct err *err);

#endif
