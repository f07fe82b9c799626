/* manage_keys: making, listing and changing the keys of a keyring file. Each function is the
 * operation of its name in struct keystore_ops. */
#ifndef BULLA_KEYSTORE_KEYRING_MANAGE_KEYS_H
#define BULLA_KEYSTORE_KEYRING_MANAGE_KEYS_H

#include "keystore/keystore.h"

FALLIBLE manage_create(const struct keystore_env *env, const char *reference,
                       const struct key_wanted *want, struct key_info *info, struct err *err);
FALLIBLE manage_rotate(const struct keystore_env *env, const char *reference, uint64_t now,
                       struct key_info *info, struct err *err);
FALLIBLE manage_change(const struct keystore_env *env, const char *reference,
                       enum key_change change, struct key_info *info, struct err *err);
FALLIBLE manage_protect(const struct keystore_env *env, const char *reference, bool remove,
                        struct err *err);
FALLIBLE manage_export_public(const struct keystore_env *env, const char *reference, char **text,
                              struct err *err);
FALLIBLE manage_list(const struct keystore_env *env, const char *reference,
                     const struct key_sink *sink, struct err *err);

#endif
