/* ring_file: the keyring file, a JSON text for one owner only (docs/FORMAT.md section 8). */
#ifndef BULLA_KEYSTORE_KEYRING_RING_FILE_H
#define BULLA_KEYSTORE_KEYRING_RING_FILE_H

#include "base/place.h"
#include "keystore/keyring/ring.h"

#define RING_FILE_MAX 262144 /* bytes */

/* ring_file_load reads a keyring; one with a passphrase is locked then. The place may be of a
 * descriptor (base/descriptor.h), of which only the path counts. A file that may not be used, as
 * ring_access.h says, is ERR_POLICY; one that is not a keyring is ERR_DAMAGED or ERR_FOREIGN. */
FALLIBLE ring_file_load(struct ring *ring, const struct place *place, const char *credentials,
                        struct err *err);

/* ring_file_save writes a keyring, whole or not at all, for the owner only. Without replace nothing
 * may be at the place. */
FALLIBLE ring_file_save(const struct ring *ring, const struct place *place, bool replace,
                        struct err *err);

#endif
