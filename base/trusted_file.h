/* trusted_file: whether somebody else could have written what a file says.
 *
 * A file that chooses keys, modules or programs, or is a secret, is believed only if nobody but
 * root and the caller (the effective user) can write it or put another in its place. So every step
 * of its path is judged, from the root or, for a relative path, from the working directory, and
 * with every symbolic link that is followed:
 *
 *     directory       owned by root or the caller; not writable by group or others, unless it
 *                     is sticky, for then they cannot replace what is not theirs
 *     symbolic link   owned by root or the caller
 *     file            owned by root or the caller; not writable by group or others
 *
 * The file's own directory would not be enough: whoever can write to one above it can put another
 * directory in its place. A mode that an access control list widens shows that in its group bits.
 *
 * Believed without a look is what the caller opened himself and names by its descriptor (/dev/fd/N,
 * a pipe of the shell), and a character device such as /dev/null, which only root can make.
 *
 * In a user namespace the system's own directories and links may belong to a user who has no number
 * there. They are taken for root's, unless they lie in a directory such as /tmp. */
#ifndef BULLA_BASE_TRUSTED_FILE_H
#define BULLA_BASE_TRUSTED_FILE_H

#include "base/err.h"

/* trusted_file fails with ERR_POLICY unless the open file fd, which was opened by path, is to be
 * believed; another that took its place since may be there. The message calls it by its kind, such
 * as "config file"; the hint says what helps. */
FALLIBLE trusted_file(int fd, const char *path, const char *kind, struct err *err);

/* trusted_place judges the directories of a path alone: whether a file that is made there would be
 * believed afterwards. */
FALLIBLE trusted_place(const char *path, const char *kind, struct err *err);

/* TRUSTED_READS is a file that both read. */
#define TRUSTED_READS "/proc/self/uid_map"

#endif
