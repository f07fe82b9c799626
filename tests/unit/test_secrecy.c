/* No decision is made by a secret, but for the one whether two are equal.
 *
 * Under valgrind, secrets are marked as if they had never been written: it counts each jump and
 * each address that depends on one (the method is Langley's ctgrind). A comparison makes one
 * decision at its end, so the count must not depend on where the two differ. */
#include <valgrind/memcheck.h>

#include "base/text.h"
#include "crypto/cobblestone.h"
#include "crypto/hpke.h"
#include "crypto/xaes.h"
#include "keystore/branch.h"
#include "keystore/keyring/ring.h"
#include "tests/unit/test.h"

static struct crypto *crypto;
static struct err err;

static void hide(const void *bytes, size_t size)
{
    (void)VALGRIND_MAKE_MEM_UNDEFINED(bytes, size);
}

static void show(const void *bytes, size_t size)
{
    (void)VALGRIND_MAKE_MEM_DEFINED(bytes, size);
}

/* A fresh secret that valgrind does not know. */
static struct secret hidden(void)
{
    struct secret s = {0};

    MUST(secret_random(&s, KEY_SIZE, &err).ok);
    hide(s.bytes, s.size);
    return s;
}

/* The decisions that a function makes which may fail, or any expression. */
#define DECISIONS(call) DECISIONS_OF((call).ok)
#define DECISIONS_OF(what) (decisions_begin(), (void)(what), decisions_end())

static unsigned before;

static void decisions_begin(void)
{
    before = VALGRIND_COUNT_ERRORS;
}

static unsigned decisions_end(void)
{
    return VALGRIND_COUNT_ERRORS - before;
}

/* Else nothing that follows could fail. */
static void the_method_finds_decisions(void)
{
    struct secret a SECRET_CLEANUP = hidden();
    uint8_t first[KEY_SIZE], last[KEY_SIZE];
    int (*volatile compare)(const void *, const void *, size_t) = memcmp;

    memcpy(first, a.bytes, KEY_SIZE);
    memcpy(last, a.bytes, KEY_SIZE);
    first[0] ^= 1;
    last[KEY_SIZE - 1] ^= 1;
    unsigned at_first = DECISIONS_OF(compare(a.bytes, first, KEY_SIZE));
    unsigned at_last = DECISIONS_OF(compare(a.bytes, last, KEY_SIZE));
    CHECK(at_first > 0);
    CHECK(at_last > at_first);
}

static void keys_seal_without_decisions(void)
{
    struct secret key SECRET_CLEANUP = hidden();
    uint8_t nonce[XAES_NONCE_SIZE] = {0}, plain[100] = {0}, out[sizeof plain + AEAD_TAG_SIZE];

    hide(plain, sizeof plain);
    CHECK(DECISIONS(xaes_seal_with(crypto, key.bytes, nonce, (struct view){0},
                                   (struct view){plain, sizeof plain}, out, &err)) == 0);
    for (enum aead_algorithm a = AEAD_AES_256_GCM; a <= AEAD_CHACHA20_POLY1305; a++) {
        struct aead *aead AEAD_CLEANUP = NULL;
        CHECK(DECISIONS(aead_new(&aead, crypto, a, key.bytes, &err)) == 0);
        CHECK(DECISIONS(aead_seal(aead, nonce, (struct view){0}, plain, sizeof plain, out, &err)) ==
              0);
    }
}

static void keys_are_derived_without_decisions(void)
{
    struct secret key SECRET_CLEANUP = hidden();
    uint8_t out[76], public_key[X25519_SIZE], salt[COBBLESTONE_SALT_SIZE] = {0};
    struct cobblestone c COBBLESTONE_CLEANUP = {0};
    struct view secret = {key.bytes, key.size};

    CHECK(DECISIONS(hkdf_expand(crypto, &hkdf_sha512, secret, (struct view){0}, out, sizeof out,
                                &err)) == 0);
    CHECK(DECISIONS(hkdf_extract(crypto, &hkdf_sha256, (struct view){0}, secret, out, &err)) == 0);
    CHECK(DECISIONS(hkdf_expand(crypto, &hkdf_sha384, (struct view){out, SHA384_SIZE}, secret, out,
                                sizeof out, &err)) == 0);
    CHECK(DECISIONS(cobblestone_derive(&c, crypto, AEAD_AES_256_GCM, secret, salt, (struct view){0},
                                       &err)) == 0);
    CHECK(DECISIONS(x25519_public(key.bytes, public_key, &err)) == 0);
}

static void keys_are_written_without_decisions(void)
{
    struct secret key SECRET_CLEANUP = hidden();
    char hex[2 * KEY_SIZE + 1];
    uint8_t check[RING_CHECK_SIZE];

    CHECK(DECISIONS_OF(text_hex(hex, key.bytes, key.size)) == 0);
    CHECK(DECISIONS_OF(ring_check_value(&key, check)) == 0);
}

/* The decisions of opening what was sealed, with one bit of the commitment wrong. */
static unsigned check_commitment(const struct secret *key, const uint8_t *prefix, size_t at)
{
    struct view secret = {key->bytes, key->size};
    struct cobblestone c = {0};
    uint8_t wrong[COBBLESTONE_PREFIX_SIZE];

    memcpy(wrong, prefix, sizeof wrong);
    wrong[at] ^= 1;
    unsigned n = DECISIONS(
        cobblestone_check(&c, crypto, AEAD_AES_256_GCM, secret, wrong, (struct view){0}, &err));
    cobblestone_end(&c);
    return n;
}

static void commitments_are_compared_at_once(void)
{
    struct secret key SECRET_CLEANUP = hidden();
    uint8_t salt[COBBLESTONE_SALT_SIZE] = {0};
    struct cobblestone c COBBLESTONE_CLEANUP = {0};

    MUST(cobblestone_derive(&c, crypto, AEAD_AES_256_GCM, (struct view){key.bytes, key.size}, salt,
                            (struct view){0}, &err)
             .ok);
    show(c.prefix, sizeof c.prefix);
    CHECK(check_commitment(&key, c.prefix, COBBLESTONE_SALT_SIZE) == 1);
    CHECK(check_commitment(&key, c.prefix, COBBLESTONE_PREFIX_SIZE - 1) == 1);
}

static void tags_are_compared_at_once(void)
{
    struct secret key SECRET_CLEANUP = hidden();
    uint8_t nonce[AEAD_NONCE_SIZE] = {0}, plain[64] = {0}, sealed[64 + AEAD_TAG_SIZE];

    for (enum aead_algorithm a = AEAD_AES_256_GCM; a <= AEAD_CHACHA20_POLY1305; a++) {
        struct aead *aead AEAD_CLEANUP = NULL;
        unsigned n[2];
        MUST(aead_new(&aead, crypto, a, key.bytes, &err).ok);
        for (size_t i = 0; i < 2; i++) {
            MUST(aead_seal(aead, nonce, (struct view){0}, plain, 64, sealed, &err).ok);
            show(sealed, sizeof sealed);
            sealed[i == 0 ? 64 : 64 + AEAD_TAG_SIZE - 1] ^= 1;
            n[i] = DECISIONS(
                aead_open(aead, nonce, (struct view){0}, sealed, sizeof sealed, plain, &err));
            show(plain, sizeof plain);
        }
        CHECK(n[0] > 0 && n[0] == n[1]);
    }
}

/* A store whose wraps open to another key. */
static size_t differs_at;
static const struct secret *wrapped;

static struct result other_wrap(struct master_key *key, const struct branch_identity *branch,
                                const struct secret *branch_key, struct slot *slot, struct err *e)
{
    (void)key, (void)branch, (void)slot, (void)e;
    wrapped = branch_key;
    return OK;
}

static enum unwrapped other_unwrap(struct master_key *key, const struct branch_identity *branch,
                                   const struct slot *slot, struct secret *branch_key,
                                   struct err *e)
{
    (void)key, (void)branch, (void)slot;
    MUST(secret_copy(branch_key, wrapped->bytes, wrapped->size, e).ok);
    branch_key->bytes[differs_at] ^= 1;
    return UNWRAP_OPENED;
}

static bool other_reopens(const struct master_key *key)
{
    (void)key;
    return true;
}

static void branch_keys_are_compared_at_once(void)
{
    static const struct keystore_ops ops = {
        .name = "other", .wrap = other_wrap, .unwrap = other_unwrap, .reopens = other_reopens};
    struct master_key key = {.ops = &ops};
    struct secret branch_key SECRET_CLEANUP = hidden();
    static const uint8_t id[BRANCH_ID_SIZE];
    const struct branch_identity identity = {.id = id};
    struct slot slot;

    differs_at = 0;
    CHECK(DECISIONS(branch_wrap(&key, &identity, &branch_key, &slot, &err)) == 1);
    differs_at = KEY_SIZE - 1;
    CHECK(DECISIONS(branch_wrap(&key, &identity, &branch_key, &slot, &err)) == 1);
}

int main(void)
{
    if (!RUNNING_ON_VALGRIND) {
        SKIP(secrecy, "it takes valgrind");
        return DONE();
    }
    MUST(secret_init(&err).ok && crypto_new(&crypto, &err).ok);
    RUN(the_method_finds_decisions);
    RUN(keys_seal_without_decisions);
    RUN(keys_are_derived_without_decisions);
    RUN(keys_are_written_without_decisions);
    RUN(commitments_are_compared_at_once);
    RUN(tags_are_compared_at_once);
    RUN(branch_keys_are_compared_at_once);
    crypto_free(&crypto);
    return DONE();
}
