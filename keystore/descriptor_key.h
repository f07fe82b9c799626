/* descriptor_key: keys that come through a descriptor that the caller opened, such as a pipe.
 *
 * A pipe can be read only once, but a run looks at a key several times: what it is, what it can do,
 * and in reencrypt once for each session. So a descriptor is read to its end when it is first asked
 * for. The bytes, or the reason why there are none, stay in protected memory until the host forgets
 * them. */
#ifndef BULLA_KEYSTORE_DESCRIPTOR_KEY_H
#define BULLA_KEYSTORE_DESCRIPTOR_KEY_H

#include <sys/stat.h>

#include "base/secret.h"

#define DESCRIPTOR_KEY_MAX 262144 /* bytes: as large as the largest key file */

/* descriptor_key_read gives a copy of what came through a descriptor, with a zero after it, and
 * what the descriptor leads to. *size is DESCRIPTOR_KEY_MAX + 1 if there was more. ERR_USAGE if the
 * descriptor is not open for reading, or neither a file nor a pipe; ERR_FOREIGN if nothing came. */
FALLIBLE descriptor_key_read(struct secret *text, size_t *size, struct stat *file, int fd,
                             struct err *err);

/* descriptor_key_forget wipes all that was read for this thread's host. */
void descriptor_key_forget(void);

#endif
