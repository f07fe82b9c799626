#include "crypto/passphrase_kdf.h"

#include <sodium.h>

#include "crypto/primitives.h"

struct result kdf_cost_new(struct kdf_cost *cost, struct err *err)
{
    cost->passes = KDF_PASSES;
    cost->memory_kib = KDF_MEMORY_KIB;
    return random_bytes(cost->salt, KDF_SALT_SIZE, err);
}

uint64_t kdf_work(const struct kdf_cost *cost)
{
    return (uint64_t)cost->memory_kib * cost->passes;
}

struct result kdf_derive(const struct kdf_cost *cost, uint32_t allowed_kib,
                         const struct secret *passphrase, struct secret *key, struct err *err)
{
    struct secret made SECRET_CLEANUP = {0};

    if (cost->memory_kib > allowed_kib ||
        kdf_work(cost) > (uint64_t)allowed_kib * KDF_PASSES_ALLOWED ||
        cost->memory_kib > KDF_MEMORY_KIB_MAX || cost->passes > KDF_PASSES_MAX) {
        (void)fail(err, ERR_POLICY, "its passphrase costs %u KiB of memory and %u passes",
                   cost->memory_kib, cost->passes);
        return fail_hint_option(err, "--max-kdf-mem MIB allows more than %u KiB", allowed_kib);
    }
    if (!secret_new(&made, KEY_SIZE, err).ok)
        return FAIL;
    if (crypto_pwhash(made.bytes, made.size, (const char *)passphrase->bytes, passphrase->size,
                      cost->salt, cost->passes, (size_t)cost->memory_kib * 1024,
                      crypto_pwhash_ALG_ARGON2ID13) != 0)
        return fail_errno(err, "cannot derive a key with %u KiB of memory", cost->memory_kib);
    *key = TAKE(made);
    return OK;
}
