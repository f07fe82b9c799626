#include "crypto/cobblestone.h"

#include <sodium.h>
#include <string.h>

#include "base/secret.h"

#define INFO_PREFIX "c2sp.org/chunked-encryption@v1+"
#define INFO_MAX 160
#define DERIVED_SIZE (KEY_SIZE + AEAD_NONCE_SIZE + 32)

/* The names of the IANA AEAD registry, as the key derivation takes them. */
static const char *const aead_name[] = {
    [AEAD_AES_256_GCM] = "AEAD_AES_256_GCM",
    [AEAD_CHACHA20_POLY1305] = "AEAD_CHACHA20_POLY1305",
};

struct result cobblestone_derive(struct cobblestone *c, const struct crypto *crypto,
                                 enum aead_algorithm algorithm, struct view key,
                                 const uint8_t salt[COBBLESTONE_SALT_SIZE], struct view context,
                                 struct err *err)
{
    struct secret derived SECRET_CLEANUP = {0};
    struct cobblestone made = {0};
    uint8_t info[INFO_MAX];
    struct wire_writer w = wire_writer(info, sizeof info);

    if (key.size != KEY_SIZE)
        return fail(err, ERR_DAMAGED, "a data key of %zu bytes", key.size);
    wire_put_bytes(&w, INFO_PREFIX, strlen(INFO_PREFIX));
    wire_put_bytes(&w, aead_name[algorithm], strlen(aead_name[algorithm]) + 1);
    wire_put_bytes(&w, salt, COBBLESTONE_SALT_SIZE);
    wire_put_bytes(&w, context.bytes, context.size);
    if (w.bad)
        return fail(err, ERR_FAILED, "a body context of %zu bytes", context.size);
    if (!secret_new(&derived, DERIVED_SIZE, err).ok ||
        !hkdf_expand(crypto, &hkdf_sha512, key, (struct view){info, w.used}, derived.bytes,
                     derived.size, err)
             .ok ||
        !aead_new(&made.aead, crypto, algorithm, derived.bytes, err).ok)
        return FAIL;
    memcpy(made.base_nonce, derived.bytes + KEY_SIZE, AEAD_NONCE_SIZE);
    memcpy(made.prefix, salt, COBBLESTONE_SALT_SIZE);
    memcpy(made.prefix + COBBLESTONE_SALT_SIZE, derived.bytes + KEY_SIZE + AEAD_NONCE_SIZE, 32);
    *c = made;
    return OK;
}

struct result cobblestone_check(struct cobblestone *c, const struct crypto *crypto,
                                enum aead_algorithm algorithm, struct view key,
                                const uint8_t prefix[COBBLESTONE_PREFIX_SIZE], struct view context,
                                struct err *err)
{
    struct cobblestone made COBBLESTONE_CLEANUP = {0};

    if (!cobblestone_derive(&made, crypto, algorithm, key, prefix, context, err).ok)
        return FAIL;
    if (sodium_memcmp(made.prefix, prefix, COBBLESTONE_PREFIX_SIZE) != 0)
        return fail(err, ERR_DAMAGED,
                    "the body does not belong to this envelope, or its first "
                    "%d bytes are damaged",
                    COBBLESTONE_PREFIX_SIZE);
    *c = TAKE(made);
    return OK;
}

struct result cobblestone_copy(struct cobblestone *out, const struct cobblestone *c,
                               struct err *err)
{
    struct cobblestone made = *c;

    if (!aead_copy(&made.aead, c->aead, err).ok)
        return FAIL;
    *out = made;
    sodium_memzero(&made, sizeof made);
    return OK;
}

void cobblestone_end(struct cobblestone *c)
{
    aead_free(&c->aead);
    sodium_memzero(c, sizeof *c);
}

static void chunk_nonce(const struct cobblestone *c, uint64_t chunk, uint8_t out[AEAD_NONCE_SIZE])
{
    memcpy(out, c->base_nonce, AEAD_NONCE_SIZE);
    for (size_t i = 0; i < 8; i++)
        out[AEAD_NONCE_SIZE - 1 - i] ^= (uint8_t)(chunk >> 8 * i);
}

struct result cobblestone_seal(struct cobblestone *c, uint64_t chunk, const uint8_t *in,
                               size_t size, uint8_t *out, struct err *err)
{
    uint8_t nonce[AEAD_NONCE_SIZE];

    if (chunk >= COBBLESTONE_CHUNKS_MAX)
        return fail(err, ERR_FAILED, "more than 4 PiB in one body");
    chunk_nonce(c, chunk, nonce);
    return aead_seal(c->aead, nonce, (struct view){0}, in, size, out, err);
}

struct result cobblestone_open(struct cobblestone *c, uint64_t chunk, const uint8_t *in,
                               size_t size, uint8_t *out, struct err *err)
{
    uint8_t nonce[AEAD_NONCE_SIZE];

    if (chunk >= COBBLESTONE_CHUNKS_MAX)
        return fail(err, ERR_DAMAGED, "more than 4 PiB in one body");
    chunk_nonce(c, chunk, nonce);
    return aead_open(c->aead, nonce, (struct view){0}, in, size, out, err);
}

bool cobblestone_plain_size(uint64_t message_size, uint64_t *plain_size)
{
    if (message_size < COBBLESTONE_PREFIX_SIZE)
        return false;
    uint64_t chunks = (message_size - COBBLESTONE_PREFIX_SIZE) / COBBLESTONE_SEALED_CHUNK_SIZE;
    uint64_t last = (message_size - COBBLESTONE_PREFIX_SIZE) % COBBLESTONE_SEALED_CHUNK_SIZE;
    if (last < AEAD_TAG_SIZE || chunks >= COBBLESTONE_CHUNKS_MAX)
        return false;
    *plain_size = chunks * COBBLESTONE_CHUNK_SIZE + last - AEAD_TAG_SIZE;
    return true;
}

uint64_t cobblestone_message_size(uint64_t plain_size)
{
    uint64_t chunks = plain_size / COBBLESTONE_CHUNK_SIZE + 1;

    return COBBLESTONE_PREFIX_SIZE + plain_size + chunks * AEAD_TAG_SIZE;
}
