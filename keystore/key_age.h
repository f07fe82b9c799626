/* key_age: how old a version of a key is, and whether that is more than the key's rotation period.
 */
#ifndef BULLA_KEYSTORE_KEY_AGE_H
#define BULLA_KEYSTORE_KEY_AGE_H

#include "keystore/keystore.h"

#define KEY_ROTATE_AFTER_MAX 36500 /* days that may be stated */

/* key_age gives the age of a version in whole days; now is in seconds since 1970. */
uint64_t key_age(const struct key_info *info, uint64_t now);

/* key_age_overdue is true for an active version that is older than its key's rotate_after. */
bool key_age_overdue(const struct key_info *info, uint64_t now);

#endif
