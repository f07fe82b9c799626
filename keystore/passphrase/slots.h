/* slots: what the slots of passphrases look like (docs/FORMAT.md section 3.2). */
#ifndef BULLA_KEYSTORE_PASSPHRASE_SLOTS_H
#define BULLA_KEYSTORE_PASSPHRASE_SLOTS_H

#include "crypto/slot.h"

#define SLOT_PASSPHRASE 0x0003
#define SLOT_HINT_MAX 64       /* bytes of UTF-8 */
#define SLOT_PASSPHRASES_MAX 4 /* of an envelope: each guess at one costs a reader 64 MiB */

extern const struct slot_field passphrase_salt, passphrase_passes, passphrase_memory,
    passphrase_hint;
extern const struct slot_method passphrase_methods[];

#endif
