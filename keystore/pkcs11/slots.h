/* slots: what the slots of AES keys on tokens look like (docs/FORMAT.md section 3.2); those of
 * pairs are in keystore/key_pair.h. */
#ifndef BULLA_KEYSTORE_PKCS11_SLOTS_H
#define BULLA_KEYSTORE_PKCS11_SLOTS_H

#include "keystore/key_pair.h"

#define SLOT_CHECK_VALUE_MAX 8 /* bytes */

enum { SLOT_PKCS11_AES_GCM = 0x0015, SLOT_PKCS11_AES_KW = 0x0016 };

extern const struct slot_field pkcs11_check_value, pkcs11_aes_id;
extern const struct slot_method pkcs11_methods[];

#endif
