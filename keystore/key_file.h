/* key_file: whether a file looks like a key file. */
#ifndef BULLA_KEYSTORE_KEY_FILE_H
#define BULLA_KEYSTORE_KEY_FILE_H

#include <stdbool.h>

/* key_file_is is true if a name in an open directory is a regular file that looks like a keyring, a
 * public key or a PEM file with one. What cannot be read does not. */
bool key_file_is(int dir, const char *name);

#endif
