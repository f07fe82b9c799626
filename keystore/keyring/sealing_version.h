/* sealing_version: the version that a run seals to, which must still be active when the results
 * take their place. */
#ifndef BULLA_KEYSTORE_KEYRING_SEALING_VERSION_H
#define BULLA_KEYSTORE_KEYRING_SEALING_VERSION_H

#include "base/place.h"
#include "crypto/slot.h"
#include "keystore/keyring/slots.h"

/* struct sealing_version: {.held = -1} is none, and safe to drop. */
struct sealing_version {
    const char *path;        /* of the file; it belongs to the key */
    int given;               /* the descriptor that it came by, or -1 */
    const char *credentials; /* as in ring_access.h */
    bool is_public;          /* a public key file; else a keyring */
    char name[SLOT_KEY_NAME_MAX + 1];
    uint8_t id[SLOT_KEY_ID_SIZE];
    uint32_t version; /* 0 = none */
    struct stat seen; /* the file when the version was active in it */
    int held;         /* the lock by which 'bulla key destroy' knows of it, or -1 */
};

/* sealing_version_take takes the lock of the version that *u names, if *u has it not yet, and looks
 * whether the version is still active: it comes before every wrap. */
FALLIBLE sealing_version_take(struct sealing_version *u, struct err *err);

/* sealing_version_check looks at the file again, if it changed. ERR_POLICY if the version is not
 * active any more; OK if there is none. Of what came by a descriptor, only a file can be looked at,
 * and that it changed is ERR_POLICY; a pipe cannot, and nothing holds a lock for either. */
FALLIBLE sealing_version_check(struct sealing_version *u, struct err *err);

void sealing_version_drop(struct sealing_version *u);

#endif
