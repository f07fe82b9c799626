/* libraries: libp11 and p11-kit, loaded when the first token is named. Linked in the usual way,
 * they would be in every start of the program. */
#ifndef BULLA_KEYSTORE_PKCS11_LIBRARIES_H
#define BULLA_KEYSTORE_PKCS11_LIBRARIES_H

#include "base/err.h"

/* libraries_load must be called before any function of the two. ERR_UNSUPPORTED if they are not
 * installed. */
FALLIBLE libraries_load(struct err *err);

#endif
