/* slots: what the slots look like of keys that the program around the library wraps and unwraps by
 * itself (docs/FORMAT.md section 3.2). */
#ifndef BULLA_KEYSTORE_EXTERNAL_SLOTS_H
#define BULLA_KEYSTORE_EXTERNAL_SLOTS_H

#include "crypto/slot.h"

#define SLOT_EXTERNAL 0x0041
#define SLOT_EXTERNAL_NAME_MAX 64 /* bytes of UTF-8 */

extern const struct slot_field external_name;
extern const struct slot_method external_methods[];

#endif
