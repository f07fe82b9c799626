/* slots: what the slots of keyrings look like (docs/FORMAT.md section 3.2). */
#ifndef BULLA_KEYSTORE_KEYRING_SLOTS_H
#define BULLA_KEYSTORE_KEYRING_SLOTS_H

#include "crypto/slot.h"

#define SLOT_KEY_ID_SIZE 16  /* bytes */
#define SLOT_KEY_NAME_MAX 64 /* bytes of UTF-8 */

enum { SLOT_KEYRING_XAES = 0x0001, SLOT_KEYRING_X25519 = 0x0002, SLOT_KEYRING_HYBRID = 0x0004 };

extern const struct slot_field keyring_key_id, keyring_key_version, keyring_key_name;
extern const struct slot_method keyring_methods[];

#endif
