/* used: the version that a run seals to, which must still be active when the results take their
 * place. */
#ifndef BULLA_KEYSTORE_KEYRING_USED_H
#define BULLA_KEYSTORE_KEYRING_USED_H

#include "base/place.h"
#include "crypto/slot.h"

/* struct used: {.held = -1} is none, and safe to drop. */
struct used {
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

/* used_take takes the lock of the version that *u names, if *u has it not yet, and looks whether
 * the version is still active: it comes before every wrap. */
FALLIBLE used_take(struct used *u, struct err *err);

/* used_check looks at the file again, if it changed. ERR_POLICY if the version is not active any
 * more; OK if there is none. Of what came by a descriptor, only a file can be looked at, and that
 * it changed is ERR_POLICY; a pipe cannot, and nothing holds a lock for either. */
FALLIBLE used_check(struct used *u, struct err *err);

void used_drop(struct used *u);

#endif
