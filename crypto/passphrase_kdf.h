/* passphrase_kdf: keys from passphrases, by Argon2id (RFC 9106, version 0x13, 1 lane). */
#ifndef BULLA_CRYPTO_PASSPHRASE_KDF_H
#define BULLA_CRYPTO_PASSPHRASE_KDF_H

#include "base/secret.h"

#define KDF_SALT_SIZE 16
#define KDF_PASSES 3
#define KDF_MEMORY_KIB 65536
#define KDF_PASSES_MAX 1024 /* caps for writing and reading */
#define KDF_MEMORY_KIB_MIN 8
#define KDF_MEMORY_KIB_MAX 4194304
#define KDF_MEMORY_KIB_ALLOWED KDF_MEMORY_KIB /* what a reader takes unless told otherwise */
#define KDF_PASSES_ALLOWED 8                  /* over the memory allowed; more over less */

/* struct kdf_cost: what a key is derived with, besides the passphrase. */
struct kdf_cost {
    uint8_t salt[KDF_SALT_SIZE];
    uint32_t passes, memory_kib;
};

/* kdf_cost_new draws a salt, for the cost that bulla writes. */
FALLIBLE kdf_cost_new(struct kdf_cost *cost, struct err *err);

/* kdf_work is memory in KiB times passes, which the time that it takes goes by. */
uint64_t kdf_work(const struct kdf_cost *cost);

/* kdf_derive makes *key, KEY_SIZE bytes. ERR_POLICY, before any work, if the cost is above
 * allowed_kib or the caps. */
FALLIBLE kdf_derive(const struct kdf_cost *cost, uint32_t allowed_kib,
                    const struct secret *passphrase, struct secret *key, struct err *err);

#endif
