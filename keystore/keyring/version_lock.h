/* version_lock: a lock that tells 'bulla key destroy' that a run on this host seals to a version.
 *
 * Such a run holds a read lock (F_OFD_SETLK) on one byte of the keyring's directory, at an offset
 * computed from key and version. Changes of keyrings lock the directory by flock, which is
 * independent of that: a rotation waits for no run. */
#ifndef BULLA_KEYSTORE_KEYRING_VERSION_LOCK_H
#define BULLA_KEYSTORE_KEYRING_VERSION_LOCK_H

#include "base/place.h"
#include "crypto/slot.h"
#include "keystore/keyring/slots.h"

/* version_lock_hold gives a descriptor that holds the lock of a version of a key in the file at
 * path until the caller closes it, or -1 where the directory cannot be read or has no locks. */
int version_lock_hold(const char *path, const uint8_t id[SLOT_KEY_ID_SIZE], uint32_t version);

/* version_lock_anywhere is true if another descriptor holds it; false too where there are no locks.
 */
bool version_lock_anywhere(const struct place *place, const uint8_t id[SLOT_KEY_ID_SIZE],
                           uint32_t version);

#endif
