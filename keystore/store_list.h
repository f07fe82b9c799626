/* store_list: the list of all key stores. */
#ifndef BULLA_KEYSTORE_STORE_LIST_H
#define BULLA_KEYSTORE_STORE_LIST_H

#include "keystore/keystore.h"

/* In the order in which they are told of; NULL after the last. */
extern const struct keystore *const keystores[];

#endif
