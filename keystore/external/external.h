/* external: keys that the program around the library wraps and unwraps by itself. The library opens
 * them; here is what their slots look like. */
#ifndef BULLA_KEYSTORE_EXTERNAL_EXTERNAL_H
#define BULLA_KEYSTORE_EXTERNAL_EXTERNAL_H

#include "keystore/keystore.h"

extern const struct keystore external_store;

#endif
