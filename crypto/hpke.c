#include "crypto/hpke.h"

#include <sodium.h>
#include <string.h>

#include "base/secret.h"

#define HASH_SIZE SHA256_SIZE /* of the key schedule */
#define LABELED_MAX 512

/* struct hpke_kem: a row of RFC 9180, 7.1. suite is the suite_id of the KEM (4.1), whole that of
 * all (5.1); both name HKDF-SHA256 and AES-256-GCM for the rest. */
struct hpke_kem {
    const struct hkdf_hash *hash;
    size_t enc, point; /* bytes: of public keys, of the Diffie-Hellman secret */
    struct view suite, whole;
};

#define KEM(hash, enc, point, id)                                                                  \
    {                                                                                              \
        hash, enc, point, {(const uint8_t *)"KEM\x00" id, 5},                                      \
        {                                                                                          \
            (const uint8_t *)"HPKE\x00" id "\x00\x01\x00\x02", 10                                  \
        }                                                                                          \
    }

static const struct hpke_kem kem_x25519 = KEM(&hkdf_sha256, X25519_SIZE, X25519_SIZE, "\x20");
const struct hpke_kem hpke_p256 = KEM(&hkdf_sha256, P256_POINT_SIZE, P256_SHARED_SIZE, "\x10");
const struct hpke_kem hpke_p384 = KEM(&hkdf_sha384, P384_POINT_SIZE, P384_SHARED_SIZE, "\x11");

/* struct schedule: by what keys are derived, and for which suite_id. */
struct schedule {
    const struct crypto *crypto;
    const struct hkdf_hash *hash;
    struct view suite;
};

/* Puts "HPKE-v1", suite and label: how every labeled input begins. */
static void put_label(struct wire_writer *w, struct view suite, const char *label)
{
    wire_put_bytes(w, "HPKE-v1", 7);
    wire_put_bytes(w, suite.bytes, suite.size);
    wire_put_bytes(w, label, strlen(label));
}

/* LabeledExtract (RFC 9180, 4): as many bytes as the hash has. */
static struct result labeled_extract(const struct schedule *s, struct view salt, const char *label,
                                     struct view ikm, uint8_t *out, struct err *err)
{
    struct secret input SECRET_CLEANUP = {0};

    if (!secret_new(&input, LABELED_MAX, err).ok)
        return FAIL;
    struct wire_writer w = wire_writer(input.bytes, input.size);
    put_label(&w, s->suite, label);
    wire_put_bytes(&w, ikm.bytes, ikm.size);
    if (w.bad)
        return fail(err, ERR_FAILED, "the input of a key derivation is too long");
    return hkdf_extract(s->crypto, s->hash, salt, (struct view){input.bytes, w.used}, out, err);
}

/* LabeledExpand (RFC 9180, 4). */
static struct result labeled_expand(const struct schedule *s, const uint8_t *prk, const char *label,
                                    struct view info, uint8_t *out, size_t size, struct err *err)
{
    uint8_t input[LABELED_MAX];
    struct wire_writer w = wire_writer(input, sizeof input);

    wire_put_u16(&w, (uint16_t)size);
    put_label(&w, s->suite, label);
    wire_put_bytes(&w, info.bytes, info.size);
    if (w.bad)
        return fail(err, ERR_FAILED, "the input of a key derivation is too long");
    return hkdf_expand(s->crypto, s->hash, (struct view){prk, s->hash->size},
                       (struct view){input, w.used}, out, size, err);
}

/* ExtractAndExpand (RFC 9180, 4.1): the shared secret from the shared point. */
static struct result shared_secret(const struct crypto *crypto, const struct hpke_agreement *a,
                                   uint8_t *out, struct err *err)
{
    const struct hpke_kem *kem = a->kem;
    const struct schedule s = {crypto, kem->hash, kem->suite};
    struct secret prk SECRET_CLEANUP = {0};
    uint8_t context[2 * HPKE_ENC_MAX];

    memcpy(context, a->enc, kem->enc);
    memcpy(context + kem->enc, a->recipient, kem->enc);
    if (!secret_new(&prk, kem->hash->size, err).ok ||
        !labeled_extract(&s, view_text(""), "eae_prk", (struct view){a->shared_point, kem->point},
                         prk.bytes, err)
             .ok)
        return FAIL;
    return labeled_expand(&s, prk.bytes, "shared_secret", (struct view){context, 2 * kem->enc}, out,
                          kem->hash->size, err);
}

/* KeySchedule in base mode (RFC 9180, 5.1), down to an AEAD under the key, and the nonce of its
 * first message. */
static struct result key_schedule(const struct crypto *crypto, struct view suite,
                                  struct view shared, struct view info, struct aead **aead,
                                  uint8_t nonce[AEAD_NONCE_SIZE], struct err *err)
{
    const struct schedule s = {crypto, &hkdf_sha256, suite};
    struct view none = view_text("");
    struct secret keys SECRET_CLEANUP = {0};
    uint8_t context[1 + 2 * HASH_SIZE] = {0};
    struct view c = {context, sizeof context};

    if (!secret_new(&keys, HASH_SIZE + KEY_SIZE, err).ok ||
        !labeled_extract(&s, none, "psk_id_hash", none, context + 1, err).ok ||
        !labeled_extract(&s, none, "info_hash", info, context + 1 + HASH_SIZE, err).ok ||
        !labeled_extract(&s, shared, "secret", none, keys.bytes, err).ok ||
        !labeled_expand(&s, keys.bytes, "key", c, keys.bytes + HASH_SIZE, KEY_SIZE, err).ok ||
        !labeled_expand(&s, keys.bytes, "base_nonce", c, nonce, AEAD_NONCE_SIZE, err).ok)
        return FAIL;
    return aead_new(aead, crypto, AEAD_AES_256_GCM, keys.bytes + HASH_SIZE, err);
}

/* From the shared point to the AEAD. */
static struct result start(const struct crypto *crypto, const struct hpke_agreement *a,
                           struct view info, struct aead **aead, uint8_t nonce[AEAD_NONCE_SIZE],
                           struct err *err)
{
    struct secret shared SECRET_CLEANUP = {0};

    if (!secret_new(&shared, a->kem->hash->size, err).ok ||
        !shared_secret(crypto, a, shared.bytes, err).ok)
        return FAIL;
    return key_schedule(crypto, a->kem->whole, (struct view){shared.bytes, shared.size}, info, aead,
                        nonce, err);
}

/* The shared point of the private key of one side and the public key of the other. */
static struct result x25519_point(const uint8_t *private_key, const uint8_t *public_key,
                                  struct secret *point, struct err *err)
{
    if (!secret_new(point, X25519_SIZE, err).ok)
        return FAIL;
    if (crypto_scalarmult_curve25519(point->bytes, private_key, public_key) != 0)
        return fail(err, ERR_DAMAGED, "not a public key");
    return OK;
}

struct result x25519_public(const uint8_t private_key[X25519_SIZE], uint8_t out[X25519_SIZE],
                            struct err *err)
{
    if (crypto_scalarmult_curve25519_base(out, private_key) != 0)
        return fail(err, ERR_FAILED, "libsodium failed to compute a public key");
    return OK;
}

bool x25519_is_canonical(const uint8_t public_key[X25519_SIZE])
{
    /* p = 2^255 - 19, least byte first: ed ff ... ff 7f */
    size_t i = X25519_SIZE - 2;

    if (public_key[X25519_SIZE - 1] != 0x7f)
        return public_key[X25519_SIZE - 1] < 0x7f;
    while (i > 0 && public_key[i] == 0xff)
        i--;
    return i > 0 || public_key[0] < 0xed;
}

struct result hpke_seal_with(const struct crypto *crypto, const uint8_t ephemeral[X25519_SIZE],
                             const uint8_t public_key[X25519_SIZE],
                             const struct hpke_binding *binding, struct view plain, uint8_t *out,
                             struct err *err)
{
    struct secret point SECRET_CLEANUP = {0};
    uint8_t enc[X25519_SIZE];

    if (!x25519_public(ephemeral, enc, err).ok ||
        !x25519_point(ephemeral, public_key, &point, err).ok)
        return FAIL;
    const struct hpke_agreement a = {&kem_x25519, point.bytes, enc, public_key};
    return hpke_seal_agreed(crypto, &a, binding, plain, out, err);
}

struct result hpke_seal(const struct crypto *crypto, const uint8_t public_key[X25519_SIZE],
                        const struct hpke_binding *binding, struct view plain, uint8_t *out,
                        struct err *err)
{
    struct secret ephemeral SECRET_CLEANUP = {0};

    if (!secret_random(&ephemeral, X25519_SIZE, err).ok)
        return FAIL;
    return hpke_seal_with(crypto, ephemeral.bytes, public_key, binding, plain, out, err);
}

struct result hpke_open(const struct crypto *crypto, const uint8_t private_key[X25519_SIZE],
                        const struct hpke_binding *binding, struct view sealed, uint8_t *out,
                        struct err *err)
{
    struct secret point SECRET_CLEANUP = {0};
    uint8_t mine[X25519_SIZE];

    if (sealed.size < HPKE_OVERHEAD)
        return fail(err, ERR_DAMAGED, "not authentic");
    if (!x25519_public(private_key, mine, err).ok ||
        !x25519_point(private_key, sealed.bytes, &point, err).ok)
        return FAIL;
    const struct hpke_agreement a = {
        .kem = &kem_x25519, .shared_point = point.bytes, .recipient = mine};
    return hpke_open_agreed(crypto, &a, binding, sealed, out, err);
}

struct result hpke_seal_agreed(const struct crypto *crypto, const struct hpke_agreement *agreement,
                               const struct hpke_binding *binding, struct view plain, uint8_t *out,
                               struct err *err)
{
    struct aead *aead AEAD_CLEANUP = NULL;
    uint8_t nonce[AEAD_NONCE_SIZE];
    size_t enc = agreement->kem->enc;

    if (!start(crypto, agreement, binding->info, &aead, nonce, err).ok)
        return FAIL;
    memcpy(out, agreement->enc, enc);
    return aead_seal(aead, nonce, binding->aad, plain.bytes, plain.size, out + enc, err);
}

struct result hpke_open_agreed(const struct crypto *crypto, const struct hpke_agreement *agreement,
                               const struct hpke_binding *binding, struct view sealed, uint8_t *out,
                               struct err *err)
{
    struct hpke_agreement a = *agreement;
    struct aead *aead AEAD_CLEANUP = NULL;
    uint8_t nonce[AEAD_NONCE_SIZE];
    size_t enc = a.kem->enc;

    if (sealed.size < enc + AEAD_TAG_SIZE)
        return fail(err, ERR_DAMAGED, "not authentic");
    a.enc = sealed.bytes;
    if (!start(crypto, &a, binding->info, &aead, nonce, err).ok)
        return FAIL;
    return aead_open(aead, nonce, binding->aad, sealed.bytes + enc, sealed.size - enc, out, err);
}
