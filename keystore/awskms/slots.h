/* slots: what the slots of AWS KMS look like (docs/FORMAT.md section 3.2). */
#ifndef BULLA_KEYSTORE_AWSKMS_SLOTS_H
#define BULLA_KEYSTORE_AWSKMS_SLOTS_H

#include "crypto/slot.h"

/* Bytes of UTF-8. */
#define SLOT_KEY_ARN_MIN 20
#define SLOT_KEY_ARN_MAX 512
#define SLOT_MATERIAL_ID_MAX 128

#define SLOT_AWSKMS 0x0021

extern const struct slot_field awskms_key_arn, awskms_material_id;
extern const struct slot_method awskms_methods[];

#endif
