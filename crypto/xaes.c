#include "crypto/xaes.h"

#include <sodium.h>
#include <string.h>

#include "base/secret.h"

/* The key of one message: CMAC-AES256 as KDF in counter mode over the first half of the nonce. */
static struct result subkey(const struct crypto *crypto, const uint8_t key[KEY_SIZE],
                            const uint8_t *nonce, uint8_t out[KEY_SIZE], struct err *err)
{
    uint8_t l[16] = {0}, m[2][16] = {{0, 1, 'X', 0}, {0, 2, 'X', 0}};

    if (!aes256_blocks(crypto, key, l, l, 1, err).ok)
        return FAIL;
    uint8_t carry = (uint8_t)(-(l[0] >> 7) & 0x87);
    for (size_t i = 0; i < 16; i++)
        l[i] = (uint8_t)(l[i] << 1 | (i < 15 ? l[i + 1] >> 7 : 0));
    l[15] ^= carry;
    for (size_t k = 0; k < 2; k++) {
        memcpy(m[k] + 4, nonce, 12);
        for (size_t i = 0; i < 16; i++)
            m[k][i] ^= l[i];
    }
    struct result r = aes256_blocks(crypto, key, m[0], out, 2, err);
    sodium_memzero(l, sizeof l);
    sodium_memzero(m, sizeof m);
    return r;
}

static struct result start(const struct crypto *crypto, const uint8_t key[KEY_SIZE],
                           const uint8_t *nonce, struct aead **out, struct err *err)
{
    struct secret sub SECRET_CLEANUP = {0};

    if (!secret_new(&sub, KEY_SIZE, err).ok || !subkey(crypto, key, nonce, sub.bytes, err).ok)
        return FAIL;
    return aead_new(out, crypto, AEAD_AES_256_GCM, sub.bytes, err);
}

struct result xaes_seal_with(const struct crypto *crypto, const uint8_t key[KEY_SIZE],
                             const uint8_t nonce[XAES_NONCE_SIZE], struct view aad,
                             struct view plain, uint8_t *out, struct err *err)
{
    struct aead *aead AEAD_CLEANUP = NULL;

    if (!start(crypto, key, nonce, &aead, err).ok)
        return FAIL;
    return aead_seal(aead, nonce + 12, aad, plain.bytes, plain.size, out, err);
}

struct result xaes_seal(const struct crypto *crypto, const uint8_t key[KEY_SIZE], struct view aad,
                        struct view plain, uint8_t *out, struct err *err)
{
    if (!random_bytes(out, XAES_NONCE_SIZE, err).ok)
        return FAIL;
    return xaes_seal_with(crypto, key, out, aad, plain, out + XAES_NONCE_SIZE, err);
}

struct result xaes_open(const struct crypto *crypto, const uint8_t key[KEY_SIZE], struct view aad,
                        struct view sealed, uint8_t *out, struct err *err)
{
    struct aead *aead AEAD_CLEANUP = NULL;

    if (sealed.size < XAES_OVERHEAD)
        return fail(err, ERR_DAMAGED, "not authentic");
    if (!start(crypto, key, sealed.bytes, &aead, err).ok)
        return FAIL;
    return aead_open(aead, sealed.bytes + 12, aad, sealed.bytes + XAES_NONCE_SIZE,
                     sealed.size - XAES_NONCE_SIZE, out, err);
}
