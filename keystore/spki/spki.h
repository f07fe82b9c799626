/* spki: the key store of public keys in PEM files, by which a host without a token seals to a
 * key that lies on one. */
#ifndef BULLA_KEYSTORE_SPKI_SPKI_H
#define BULLA_KEYSTORE_SPKI_SPKI_H

#include "keystore/keystore.h"

extern const struct keystore spki_store;

/* spki_is_file is true if path is a regular file or stands for a descriptor, and what is there has
 * at most PEM_MAX bytes, "-----BEGIN " anywhere, for PEM may have other text in front, and is not
 * JSON, as keyrings are. */
bool spki_is_file(const char *path);

#endif
