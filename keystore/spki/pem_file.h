/* pem_file: the key store of public keys in PEM files, by which a host without a token seals to a
 * key that lies on one. */
#ifndef BULLA_KEYSTORE_SPKI_PEM_FILE_H
#define BULLA_KEYSTORE_SPKI_PEM_FILE_H

#include "keystore/keystore.h"

extern const struct keystore_ops pem_file_ops;

/* pem_file_is is true if path is a regular file that begins like PEM: with text, and a line
 * "-----BEGIN …" within its first bytes. */
bool pem_file_is(const char *path);

#endif
