/* temporary_name: names that only bulla gives, ".bulla-" and 16 hex digits, for files that are
 * about to be put in place or removed. */
#ifndef BULLA_BASE_TEMPORARY_NAME_H
#define BULLA_BASE_TEMPORARY_NAME_H

#include "base/err.h"

#define TEMPORARY_MAX 32 /* bytes, with the terminating zero */

/* temporary_name makes a name that nothing else has. */
FALLIBLE temporary_name(char out[TEMPORARY_MAX], struct err *err);

/* temporary_is is true for such a name: of a file that another run works on, or that a killed run
 * left. */
bool temporary_is(const char *name);

/* temporary_rename renames temp in a directory to name, which must be free: EEXIST if it is not.
 * UNSUPPORTED_NAME is added to *lacks if the file system cannot refuse a name that is taken: then
 * it is looked for first, and other runs wait for their turn. Returns as a system call does. */
int temporary_rename(int dir, const char *temp, const char *name, unsigned *lacks);

#endif
