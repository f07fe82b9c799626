#include "crypto/spki.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>

#include "base/secret.h"
#include "crypto/openssl_memory.h"

/* The DER in front of the point of an EC key (RFC 5480): algorithm, curve, bit string. */
static const uint8_t p256_prefix[] = {0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48,
                                      0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48,
                                      0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00};
static const uint8_t p384_prefix[] = {0x30, 0x76, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86,
                                      0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b,
                                      0x81, 0x04, 0x00, 0x22, 0x03, 0x62, 0x00};

/* One row for each curve, by kind. */
static const struct curve {
    const char *name;
    size_t point, shared; /* bytes */
    const uint8_t *prefix;
    size_t prefix_size;
    const struct hpke_kem *kem;
} curves[] = {
    [SPKI_P256] = {"P-256", P256_POINT_SIZE, P256_SHARED_SIZE, p256_prefix, sizeof p256_prefix,
                   &hpke_p256},
    [SPKI_P384] = {"P-384", P384_POINT_SIZE, P384_SHARED_SIZE, p384_prefix, sizeof p384_prefix,
                   &hpke_p384},
};

static void pkey_free(EVP_PKEY **key)
{
    EVP_PKEY_free(*key);
}

static void pkey_ctx_free(EVP_PKEY_CTX **ctx)
{
    EVP_PKEY_CTX_free(*ctx);
}

#define PKEY_CLEANUP __attribute__((cleanup(pkey_free)))
#define PKEY_CTX_CLEANUP __attribute__((cleanup(pkey_ctx_free)))

static EVP_PKEY *parse(const struct crypto *crypto, struct view der)
{
    const unsigned char *at = der.bytes;
    EVP_PKEY *key = d2i_PUBKEY_ex(NULL, &at, (long)der.size, crypto_library(crypto), NULL);

    ERR_clear_error();
    if (key != NULL && at == der.bytes + der.size)
        return key;
    EVP_PKEY_free(key);
    return NULL;
}

/* The kind of a key; false if it is not one that we know. */
static bool kind_of(EVP_PKEY *key, enum spki_kind *kind)
{
    char group[32] = "";

    if (EVP_PKEY_is_a(key, "RSA")) {
        *kind = SPKI_RSA;
        return true;
    }
    if (!EVP_PKEY_is_a(key, "EC") || EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME,
                                                                    group, sizeof group, NULL) != 1)
        return false;
    *kind = strcmp(group, SN_X9_62_prime256v1) == 0 ? SPKI_P256 : SPKI_P384;
    return *kind == SPKI_P256 || strcmp(group, SN_secp384r1) == 0;
}

/* A wrap by a broken key would not open, so its number or point must be valid. */
static bool sound(EVP_PKEY *key, const struct crypto *crypto)
{
    EVP_PKEY_CTX *ctx PKEY_CTX_CLEANUP =
        EVP_PKEY_CTX_new_from_pkey(crypto_library(crypto), key, NULL);
    bool good = ctx != NULL && EVP_PKEY_public_check(ctx) == 1;

    ERR_clear_error();
    return good;
}

/* Whether the DER is that of a named curve. */
static bool as_named(const struct spki *spki)
{
    const struct curve *c = &curves[spki->kind];

    return spki->size == c->prefix_size + c->point &&
           memcmp(spki->der, c->prefix, c->prefix_size) == 0;
}

/* The exponents in use, Fermat's primes. Any other is a sign of damage that cannot be seen
 * otherwise. */
static bool usual_exponent(EVP_PKEY *key)
{
    BIGNUM *e = NULL;
    bool usual = EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &e) == 1 &&
                 (BN_is_word(e, 3) || BN_is_word(e, 5) || BN_is_word(e, 17) || BN_is_word(e, 257) ||
                  BN_is_word(e, 65537));

    BN_free(e);
    return usual;
}

static struct result check_rsa(EVP_PKEY *key, unsigned bits, struct err *err)
{
    if (bits < RSA_BITS_MIN || bits > RSA_BITS_MAX)
        return fail(err, ERR_UNSUPPORTED, "an RSA key of %u bits, not %d to %d", bits, RSA_BITS_MIN,
                    RSA_BITS_MAX);
    if (bits % 8 != 0)
        return fail(err, ERR_UNSUPPORTED, "an RSA key of %u bits, which is not a multiple of 8",
                    bits);
    if (!usual_exponent(key))
        return fail(err, ERR_UNSUPPORTED, "an RSA key with an unusual exponent");
    return OK;
}

/* Encodes the key anew, so that one key has one hash however it was written. */
static struct result fill(struct spki *spki, const struct crypto *crypto, EVP_PKEY *key,
                          struct err *err)
{
    struct spki made = {0};

    if (!kind_of(key, &made.kind))
        return fail(err, ERR_UNSUPPORTED, "the public key is neither RSA nor of P-256 or P-384");
    made.bits = (unsigned)EVP_PKEY_get_bits(key);
    if (made.kind == SPKI_RSA && !check_rsa(key, made.bits, err).ok)
        return FAIL;
    if (made.kind != SPKI_RSA)
        EVP_PKEY_set_utf8_string_param(key, OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT,
                                       OSSL_PKEY_EC_POINT_CONVERSION_FORMAT_UNCOMPRESSED);
    if (!sound(key, crypto))
        return fail(err, ERR_DAMAGED, "the public key is not valid");
    int size = i2d_PUBKEY(key, NULL);
    if (size <= 0 || size > SPKI_MAX)
        return fail(err, ERR_DAMAGED, "the public key cannot be encoded");
    made.size = (size_t)i2d_PUBKEY(key, &(unsigned char *){made.der});
    if (made.kind != SPKI_RSA && !as_named(&made))
        return fail(err, ERR_UNSUPPORTED, "the public key has explicit curve parameters");
    snprintf(made.name, sizeof made.name, made.kind == SPKI_RSA ? "rsa%u" : "p%u", made.bits);
    sha256(made.hash, &(struct view){made.der, made.size}, 1);
    *spki = made;
    return OK;
}

struct result spki_read(struct spki *spki, const struct crypto *crypto, struct view der,
                        struct err *err)
{
    EVP_PKEY *key PKEY_CLEANUP = parse(crypto, der);

    if (key == NULL)
        return fail(err, ERR_DAMAGED, "not a SubjectPublicKeyInfo");
    return fill(spki, crypto, key, err);
}

static EVP_PKEY *build_rsa(const struct crypto *crypto, struct view modulus, struct view exponent)
{
    EVP_PKEY_CTX *ctx PKEY_CTX_CLEANUP =
        EVP_PKEY_CTX_new_from_name(crypto_library(crypto), "RSA", NULL);
    BIGNUM *n = BN_bin2bn(modulus.bytes, (int)modulus.size, NULL);
    BIGNUM *e = BN_bin2bn(exponent.bytes, (int)exponent.size, NULL);
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    OSSL_PARAM *params = NULL;
    EVP_PKEY *key = NULL;

    if (ctx != NULL && n != NULL && e != NULL && build != NULL &&
        OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
        OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, e) == 1)
        params = OSSL_PARAM_BLD_to_param(build);
    if (params == NULL || EVP_PKEY_fromdata_init(ctx) != 1 ||
        EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
        key = NULL;
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(build);
    BN_free(n);
    BN_free(e);
    ERR_clear_error();
    return key;
}

struct result spki_from_rsa(struct spki *spki, const struct crypto *crypto, struct view modulus,
                            struct view exponent, struct err *err)
{
    bool fits = modulus.size > 0 && modulus.size <= RSA_BYTES_MAX + 8 && exponent.size > 0 &&
                exponent.size <= 32;
    EVP_PKEY *key PKEY_CLEANUP = fits ? build_rsa(crypto, modulus, exponent) : NULL;

    if (key == NULL)
        return fail(err, ERR_DAMAGED, "not an RSA public key");
    return fill(spki, crypto, key, err);
}

struct result spki_from_point(struct spki *spki, const struct crypto *crypto, struct view point,
                              struct err *err)
{
    uint8_t der[SPKI_MAX];

    for (size_t i = SPKI_P256; i < sizeof curves / sizeof *curves; i++) {
        if (curves[i].point != point.size)
            continue;
        memcpy(der, curves[i].prefix, curves[i].prefix_size);
        memcpy(der + curves[i].prefix_size, point.bytes, point.size);
        return spki_read(spki, crypto, (struct view){der, curves[i].prefix_size + point.size}, err);
    }
    return fail(err, ERR_UNSUPPORTED, "not a point of P-256 or P-384");
}

struct result spki_from_certificate(struct spki *spki, const struct crypto *crypto, struct view der,
                                    struct err *err)
{
    const unsigned char *at = der.bytes;
    uint8_t *info = NULL;
    X509 *x509 = der.size <= INT32_MAX ? d2i_X509(NULL, &at, (long)der.size) : NULL;
    int size = x509 == NULL ? 0 : i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x509), &info);
    struct result r = size <= 0 ? fail(err, ERR_DAMAGED, "not a certificate")
                                : spki_read(spki, crypto, (struct view){info, (size_t)size}, err);

    OPENSSL_free(info);
    X509_free(x509);
    ERR_clear_error();
    return r;
}

struct view spki_point(const struct spki *spki)
{
    size_t size = curves[spki->kind].point;

    return (struct view){spki->der + spki->size - size, size};
}

struct view spki_parameters(enum spki_kind curve)
{
    /* After the two sequences and the nine bytes of id-ecPublicKey; the bit string is the rest. */
    const struct curve *c = &curves[curve];
    size_t size = 2u + c->prefix[2 + 2 + 9 + 1];

    return (struct view){c->prefix + 2 + 2 + 9, size};
}

const struct hpke_kem *spki_kem(const struct spki *spki)
{
    return curves[spki->kind].kem;
}

struct result spki_seal_rsa(const struct spki *spki, const struct crypto *crypto, bool sha1,
                            const uint8_t *in, size_t size, uint8_t *out, struct err *err)
{
    EVP_PKEY *key PKEY_CLEANUP = parse(crypto, (struct view){spki->der, spki->size});
    EVP_PKEY_CTX *ctx PKEY_CTX_CLEANUP =
        key == NULL ? NULL : EVP_PKEY_CTX_new_from_pkey(crypto_library(crypto), key, NULL);
    const char *hash = sha1 ? "SHA1" : "SHA256";
    size_t room = spki->bits / 8;

    if (ctx == NULL || EVP_PKEY_encrypt_init(ctx) != 1 ||
        EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) != 1 ||
        EVP_PKEY_CTX_set_rsa_oaep_md_name(ctx, hash, NULL) != 1 ||
        EVP_PKEY_CTX_set_rsa_mgf1_md_name(ctx, hash, NULL) != 1 ||
        EVP_PKEY_encrypt(ctx, out, &room, in, size) != 1 || room != spki->bits / 8) {
        ERR_clear_error();
        return openssl_failed(err, "OpenSSL failed to encrypt by an RSA key");
    }
    return OK;
}

/* Makes an ephemeral key and the secret that it shares with the recipient's. */
static bool agree(const struct crypto *crypto, const struct curve *curve, EVP_PKEY *recipient,
                  uint8_t *enc, uint8_t *shared)
{
    EVP_PKEY *mine PKEY_CLEANUP =
        EVP_PKEY_Q_keygen(crypto_library(crypto), NULL, "EC", curve->name);
    EVP_PKEY_CTX *ctx PKEY_CTX_CLEANUP =
        mine == NULL ? NULL : EVP_PKEY_CTX_new_from_pkey(crypto_library(crypto), mine, NULL);
    size_t size = curve->shared, got = 0;

    return ctx != NULL &&
           EVP_PKEY_get_octet_string_param(mine, OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, enc,
                                           curve->point, &got) == 1 &&
           got == curve->point && enc[0] == 0x04 && EVP_PKEY_derive_init(ctx) == 1 &&
           EVP_PKEY_derive_set_peer(ctx, recipient) == 1 &&
           EVP_PKEY_derive(ctx, shared, &size) == 1 && size == curve->shared;
}

struct result spki_seal_ec(const struct spki *spki, const struct crypto *crypto,
                           const struct hpke_binding *binding, struct view plain, uint8_t *out,
                           struct err *err)
{
    const struct curve *curve = &curves[spki->kind];
    EVP_PKEY *key PKEY_CLEANUP = parse(crypto, (struct view){spki->der, spki->size});
    struct secret shared SECRET_CLEANUP = {0};
    uint8_t enc[HPKE_ENC_MAX];

    if (!secret_new(&shared, curve->shared, err).ok)
        return FAIL;
    if (key == NULL || !agree(crypto, curve, key, enc, shared.bytes)) {
        ERR_clear_error();
        return openssl_failed(err, "OpenSSL failed to agree on a key");
    }
    const struct hpke_agreement a = {curve->kem, shared.bytes, enc, spki_point(spki).bytes};
    return hpke_seal_agreed(crypto, &a, binding, plain, out, err);
}
