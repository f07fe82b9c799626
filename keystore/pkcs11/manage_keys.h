/* manage_keys: makes keys on a token and exports their public halves. */
#ifndef BULLA_KEYSTORE_PKCS11_MANAGE_KEYS_H
#define BULLA_KEYSTORE_PKCS11_MANAGE_KEYS_H

#include "keystore/keystore.h"

/* The operations of keystore.h of the same names. */
FALLIBLE pkcs11_create(const struct keystore_env *env, const char *reference,
                       const struct key_wanted *want, struct key_info *info, struct err *err);
FALLIBLE pkcs11_rotate(const struct keystore_env *env, const char *reference, uint64_t now,
                       struct key_info *info, struct err *err);
FALLIBLE pkcs11_export_public(const struct keystore_env *env, const char *reference, char **text,
                              struct err *err);

#endif
