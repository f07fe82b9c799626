/* p11kit: p11-kit, loaded when the first token is named. Linked in the usual way, it would be in
 * every start of the program. */
#ifndef BULLA_KEYSTORE_PKCS11_P11KIT_H
#define BULLA_KEYSTORE_PKCS11_P11KIT_H

#include "base/err.h"

/* p11kit_load must be called before any function of it. ERR_UNSUPPORTED if it is not installed.
 */
FALLIBLE p11kit_load(struct err *err);

#endif
