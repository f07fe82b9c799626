/* replace_file: a new file with another envelope in the place of a sealed one, where the copies
 * cannot be written over one by one. */
#ifndef BULLA_LIBBULLA_REPLACE_FILE_H
#define BULLA_LIBBULLA_REPLACE_FILE_H

#include "base/place.h"
#include "crypto/envelope.h"

#define REPLACE_NO_BODY UINT64_MAX

/* replace_file makes a file of both copies of *e, and of the body that begins at byte body_at of
 * *old, if that is not REPLACE_NO_BODY. It takes place if the file there is still *old, and gets
 * the owner, the mode and, with keep_times, the times of *old. The new file is on the disk before
 * the old one goes. On failure the old one stays, unless the message says otherwise. */
FALLIBLE replace_file(const struct place *place, const struct stat *old, const struct envelope *e,
                      uint64_t body_at, bool keep_times, struct err *err);

#endif
