/* describe_token: lists what is on a token. */
#ifndef BULLA_KEYSTORE_PKCS11_DESCRIBE_TOKEN_H
#define BULLA_KEYSTORE_PKCS11_DESCRIBE_TOKEN_H

#include "keystore/keystore.h"

/* The operations list and describe of keystore.h. */
FALLIBLE pkcs11_list(const struct keystore_env *env, const char *reference,
                     const struct key_sink *sink, struct err *err);
FALLIBLE pkcs11_describe(struct master_key *key, const struct key_sink *sink, struct err *err);

#endif
