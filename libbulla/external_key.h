/* external_key: a key that the program which uses the library wraps by itself (struct bulla_key).
 */
#ifndef BULLA_LIBBULLA_EXTERNAL_KEY_H
#define BULLA_LIBBULLA_EXTERNAL_KEY_H

#include "keystore/keystore.h"
#include "libbulla/bulla.h"

#define EXTERNAL_SCHEME "external:"

/* external_key_open opens a key of the program, which must outlive *out. ERR_USAGE if it is not as
 * bulla.h demands. */
FALLIBLE external_key_open(struct master_key **out, const struct bulla_key *given, struct err *err);

#endif
