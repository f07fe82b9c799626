/* Published vectors through the code that bulla itself uses.
 *
 * XAES-256-GCM: the vectors of c2sp.org/XAES-256-GCM. Cobblestone-256 and AES-256-GCM: Wycheproof
 * files (Apache-2.0), read from the directory in BULLA_VECTORS and skipped aloud where that is not
 * set. */
#include <jansson.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <sys/mman.h>
#include <zlib.h>

#include "base/text.h"
#include "crypto/body.h"
#include "crypto/spki.h"
#include "crypto/xaes.h"
#include "tests/unit/test.h"

#define CT_MAX (8u << 20)

static struct crypto *crypto;

static struct view text_view(const char *s)
{
    return (struct view){(const uint8_t *)s, strlen(s)};
}

static void xaes_spec_vectors(void)
{
    static const struct {
        uint8_t key;
        const char *aad, *ciphertext;
    } cases[] = {
        {1, "", "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271"},
        {3, "c2sp.org/XAES-256-GCM", "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d"},
    };
    const uint8_t *nonce = (const uint8_t *)"ABCDEFGHIJKLMNOPQRSTUVWX";
    const uint8_t *text = (const uint8_t *)"XAES-256-GCM";

    for (size_t i = 0; i < 2; i++) {
        uint8_t key[KEY_SIZE], out[28], message[24 + 28], plain[12];
        char hex[57];
        struct err err = {0};
        memset(key, cases[i].key, sizeof key);
        struct view aad = text_view(cases[i].aad);
        CHECK(xaes_seal_with(crypto, key, nonce, aad, (struct view){text, 12}, out, &err).ok);
        CHECK(strcmp(text_hex(hex, out, sizeof out), cases[i].ciphertext) == 0);
        memcpy(message, nonce, 24);
        memcpy(message + 24, out, sizeof out);
        CHECK(xaes_open(crypto, key, aad, (struct view){message, sizeof message}, plain, &err).ok);
        CHECK(memcmp(plain, text, 12) == 0);
        message[30] ^= 1;
        CHECK(!xaes_open(crypto, key, aad, (struct view){message, sizeof message}, plain, &err).ok);
        CHECK(err.class == ERR_DAMAGED);
    }
}

/* A SHAKE-128 instance as a stream of bytes, made in one go. */
static uint8_t *shake_stream(size_t size)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    uint8_t *out = malloc(size);

    MUST(ctx != NULL && out != NULL && EVP_DigestInit(ctx, EVP_shake128()) == 1 &&
         EVP_DigestFinalXOF(ctx, out, size) == 1);
    EVP_MD_CTX_free(ctx);
    return out;
}

static void xaes_accumulated_vectors(void)
{
    const size_t size = 10000 * (32 + 24 + 2 + 2 * 255);
    uint8_t *stream = shake_stream(size), *at = stream, digest[32];
    EVP_MD_CTX *sum = EVP_MD_CTX_new();
    char hex[65];

    MUST(sum != NULL && EVP_DigestInit(sum, EVP_shake128()) == 1);
    for (int i = 0; i < 10000; i++) {
        uint8_t *key = at, *nonce = at + 32, *plain = at + 57, out[255 + 16];
        size_t n = at[56];
        struct view aad = {plain + n + 1, plain[n]};
        struct err err = {0};
        MUST(xaes_seal_with(crypto, key, nonce, aad, (struct view){plain, n}, out, &err).ok);
        MUST(EVP_DigestUpdate(sum, out, n + 16) == 1);
        at = plain + n + 1 + aad.size;
    }
    MUST(EVP_DigestFinalXOF(sum, digest, sizeof digest) == 1);
    CHECK(strcmp(text_hex(hex, digest, 32),
                 "e6b9edf2df6cec60c8cbd864e2211b597fb69a529160cd040d56c0c210081939") == 0);
    EVP_MD_CTX_free(sum);
    free(stream);
}

static json_t *load(const char *name)
{
    char path[4096];
    json_error_t where;

    snprintf(path, sizeof path, "%s/%s", getenv("BULLA_VECTORS"), name);
    json_t *json = json_load_file(path, 0, &where);
    MUST(json != NULL);
    return json;
}

static const char *text(json_t *test, const char *member)
{
    const char *s = json_string_value(json_object_get(test, member));

    return s != NULL ? s : "";
}

/* Bytes of a hex member; the caller frees. */
static uint8_t *bytes(json_t *test, const char *member, size_t *size)
{
    const char *hex = text(test, member);
    uint8_t *out = malloc(strlen(hex) / 2 + 1);

    *size = strlen(hex) / 2;
    MUST(out != NULL && text_unhex(out, *size, hex));
    return out;
}

struct collector {
    struct sink sink;
    uint8_t *bytes;
    size_t size;
};

static struct result collect(struct sink *self, const void *bytes, size_t size, struct err *err)
{
    struct collector *c = (struct collector *)self;

    (void)err;
    MUST(c->size + size <= CT_MAX);
    memcpy(c->bytes + c->size, bytes, size);
    c->size += size;
    return OK;
}

/* Opens a message as bulla does: the prefix, then the body as a stream. */
/* Of the calling thread alone. */
static struct result run_body(struct body body, uint64_t *size, struct err *err)
{
    struct crew crew;

    crew_init(&crew, 1, BODY_BLOCK_SIZE);
    body.crew = &crew;
    struct result r = body_run(&body, size, err);
    crew_free(&crew);
    return r;
}

static struct result open_message(struct view key, struct view context, const uint8_t *ct,
                                  size_t size, struct sink *sink, struct err *err)
{
    struct cobblestone c COBBLESTONE_CLEANUP = {0};
    uint64_t plain;

    if (size < COBBLESTONE_PREFIX_SIZE)
        return fail(err, ERR_DAMAGED, "too short");
    if (!cobblestone_check(&c, crypto, AEAD_AES_256_GCM, key, ct, context, err).ok)
        return FAIL;
    int fd = memfd_create("body", MFD_CLOEXEC);
    size -= COBBLESTONE_PREFIX_SIZE;
    MUST(fd >= 0 && write(fd, ct + COBBLESTONE_PREFIX_SIZE, size) == (ssize_t)size &&
         lseek(fd, 0, SEEK_SET) == 0);
    struct source source = {.fd = fd, .name = "vector"};
    struct result r =
        run_body((struct body){.open = &c, .source = &source, .sink = sink}, &plain, err);
    close(fd);
    return r;
}

/* What was released must be the longest valid prefix that the vector describes. */
static void check_message(json_t *test, struct collector *got, bool opened)
{
    uint8_t hash[64];
    char hex[129];
    unsigned size;

    CHECK(opened == (strcmp(text(test, "result"), "valid") == 0));
    CHECK((json_int_t)got->size == json_integer_value(json_object_get(test, "msgLength")));
    if (json_object_get(test, "msgSha512") == NULL)
        return;
    MUST(EVP_Digest(got->bytes, got->size, hash, &size, EVP_sha512(), NULL) == 1);
    CHECK(strcmp(text_hex(hex, hash, 64), text(test, "msgSha512")) == 0);
}

static void check_sealing(json_t *test, struct view key, struct view context, const uint8_t *ct,
                          size_t size, const struct collector *plain)
{
    struct collector again = {{collect}, malloc(CT_MAX), 0};
    struct cobblestone c COBBLESTONE_CLEANUP = {0};
    struct err err = {0};
    uint64_t got;
    int fd = memfd_create("plain", MFD_CLOEXEC);

    (void)test;
    MUST(again.bytes != NULL && fd >= 0 &&
         write(fd, plain->bytes, plain->size) == (ssize_t)plain->size &&
         lseek(fd, 0, SEEK_SET) == 0);
    MUST(cobblestone_derive(&c, crypto, AEAD_AES_256_GCM, key, ct, context, &err).ok);
    struct source source = {.fd = fd, .name = "plain"};
    CHECK(
        run_body((struct body){.seal = &c, .source = &source, .sink = &again.sink}, &got, &err).ok);
    CHECK(again.size == size && memcmp(again.bytes, ct, size) == 0);
    close(fd);
    free(again.bytes);
}

static void wycheproof_cobblestone(void)
{
    json_t *json = load("c2sp_chunked_encryption_aes_256_gcm_test.json"), *group, *test;
    uint8_t *ct = malloc(CT_MAX);
    size_t g, t, count = 0;

    MUST(ct != NULL);
    json_array_foreach(json_object_get(json, "testGroups"), g, group)
        json_array_foreach(json_object_get(group, "tests"), t, test)
    {
        struct collector got = {{collect}, malloc(CT_MAX), 0};
        size_t key_size, context_size, packed_size;
        uint8_t *key = bytes(test, "key", &key_size), *context = bytes(test, "ctx", &context_size),
                *packed = bytes(test, "ct", &packed_size);
        uLongf size = CT_MAX;
        struct err err = {0};
        MUST(got.bytes != NULL && uncompress(ct, &size, packed, packed_size) == Z_OK);
        struct view k = {key, key_size}, c = {context, context_size};
        bool opened = open_message(k, c, ct, size, &got.sink, &err).ok;
        check_message(test, &got, opened);
        CHECK(opened || err.class == ERR_DAMAGED);
        if (opened)
            check_sealing(test, k, c, ct, size, &got);
        count++;
        free(key), free(context), free(packed), free(got.bytes);
    }
    CHECK(count == 35);
    free(ct);
    json_decref(json);
}

static void check_gcm(json_t *test)
{
    size_t key_size, iv_size, aad_size, msg_size, ct_size, tag_size;
    uint8_t *key = bytes(test, "key", &key_size), *iv = bytes(test, "iv", &iv_size),
            *aad = bytes(test, "aad", &aad_size), *msg = bytes(test, "msg", &msg_size),
            *ct = bytes(test, "ct", &ct_size), *tag = bytes(test, "tag", &tag_size);
    uint8_t *sealed = calloc(1, ct_size + 16), *plain = calloc(1, ct_size + 16);
    struct aead *aead AEAD_CLEANUP = NULL;
    struct err err = {0};

    MUST(sealed != NULL && plain != NULL && tag_size == 16);
    MUST(aead_new(&aead, crypto, AEAD_AES_256_GCM, key, &err).ok);
    memcpy(sealed, ct, ct_size);
    memcpy(sealed + ct_size, tag, 16);
    struct view a = {aad, aad_size};
    bool valid = strcmp(text(test, "result"), "valid") == 0;
    CHECK(aead_open(aead, iv, a, sealed, ct_size + 16, plain, &err).ok == valid);
    CHECK(!valid || memcmp(plain, msg, msg_size) == 0);
    if (valid) {
        CHECK(aead_seal(aead, iv, a, msg, msg_size, plain, &err).ok);
        CHECK(memcmp(plain, sealed, ct_size + 16) == 0);
    }
    free(key), free(iv), free(aad), free(msg), free(ct), free(tag), free(sealed), free(plain);
}

static void wycheproof_aes_256_gcm(void)
{
    json_t *json = load("aes_gcm_test.json"), *group, *test;
    size_t g, t, count = 0;

    json_array_foreach(json_object_get(json, "testGroups"), g, group)
    {
        if (json_integer_value(json_object_get(group, "keySize")) != 256 ||
            json_integer_value(json_object_get(group, "ivSize")) != 96)
            continue;
        json_array_foreach(json_object_get(group, "tests"), t, test)
        {
            check_gcm(test);
            count++;
        }
    }
    CHECK(count > 50);
    json_decref(json);
}

static void unhex(uint8_t *out, size_t size, const char *hex)
{
    MUST(text_unhex(out, size, hex));
}

/* RFC 9180's test-vectors.json: mode 0, KEM 0x0020, KDF 0x0001, AEAD 0x0002, encryption 0. */
static void hpke_rfc9180(void)
{
    static const char plain[] = "Beauty is truth, truth beauty";
    uint8_t ephemeral[32], private_key[32], public_key[32], got[32], expected[77], out[77],
        back[29];
    const struct hpke_binding binding = {text_view("Ode on a Grecian Urn"), text_view("Count-0")};
    const struct hpke_binding other = {binding.info, text_view("Count-1")};
    struct err err = {0};

    unhex(ephemeral, 32, "179d4b53b6365c45b600c4163b61d95cbc2f4d9e36f1695558dce265ab8bab11");
    unhex(private_key, 32, "497b4502664cfea5d5af0b39934dac72242a74f8480451e1aee7d6a53320333d");
    unhex(public_key, 32, "430f4b9859665145a6b1ba274024487bd66f03a2dd577d7753c68d7d7d00c00c");
    unhex(expected, 77,
          "6c93e09869df3402d7bf231bf540fadd35cd56be14f97178f0954db94b7fc256"
          "e5d84cd531cfb583096e7cfa9641bd3079cf3a91cda813c52deb5f512be9931980a41de125"
          "a925cdad859d5b7a");
    CHECK(x25519_public(private_key, got, &err).ok && memcmp(got, public_key, 32) == 0);
    CHECK(hpke_seal_with(crypto, ephemeral, public_key, &binding, text_view(plain), out, &err).ok);
    CHECK(memcmp(out, expected, 77) == 0);
    CHECK(hpke_open(crypto, private_key, &binding, (struct view){out, 77}, back, &err).ok);
    CHECK(memcmp(back, plain, 29) == 0);
    CHECK(!hpke_open(crypto, private_key, &other, (struct view){out, 77}, back, &err).ok);
    CHECK(err.class == ERR_DAMAGED);
    memset(out, 0, 32);
    CHECK(!hpke_open(crypto, private_key, &binding, (struct view){out, 77}, back, &err).ok);
    CHECK(err.class == ERR_DAMAGED);
}

/* Seals to a fresh key and opens with what OpenSSL makes of its private half. */
static void check_ec(const char *curve, size_t point_size, size_t shared_size, size_t size)
{
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", curve), *peer;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
    uint8_t point[P384_POINT_SIZE], secret[32] = "a branch key", back[32] = {0};
    uint8_t sealed[HPKE_ENC_MAX + 48], shared[P384_SHARED_SIZE];
    const struct hpke_binding binding = {text_view("info"), text_view("aad")};
    const struct hpke_binding other = {binding.info, text_view("aae")};
    size_t got = 0, n = shared_size;
    struct spki spki, ephemeral;
    struct err err = {0};

    MUST(EVP_PKEY_get_octet_string_param(key, "encoded-pub-key", point, sizeof point, &got) == 1);
    CHECK(spki_from_point(&spki, crypto, (struct view){point, got}, &err).ok);
    CHECK(got == point_size && spki_point(&spki).size == point_size);
    CHECK(memcmp(spki_point(&spki).bytes, point, point_size) == 0);
    CHECK(spki_seal_ec(&spki, crypto, &binding, (struct view){secret, 32}, sealed, &err).ok);
    CHECK(spki_from_point(&ephemeral, crypto, (struct view){sealed, point_size}, &err).ok);
    const unsigned char *at = ephemeral.der;
    peer = d2i_PUBKEY(NULL, &at, (long)ephemeral.size);
    MUST(peer != NULL && EVP_PKEY_derive_init(ctx) == 1);
    MUST(EVP_PKEY_derive_set_peer(ctx, peer) == 1 && EVP_PKEY_derive(ctx, shared, &n) == 1);
    CHECK(n == shared_size && point_size + 48 == size);
    const struct hpke_agreement agreement = {spki_kem(&spki), shared, NULL, point};
    CHECK(
        hpke_open_agreed(crypto, &agreement, &binding, (struct view){sealed, size}, back, &err).ok);
    CHECK(memcmp(back, secret, 32) == 0);
    CHECK(
        !hpke_open_agreed(crypto, &agreement, &other, (struct view){sealed, size}, back, &err).ok);
    CHECK(err.class == ERR_DAMAGED);
    point[point_size - 1] ^= 1;
    CHECK(!spki_from_point(&spki, crypto, (struct view){point, got}, &err).ok);
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(peer);
    EVP_PKEY_free(key);
}

/* The wraps themselves are opened by an independent program, in tests/tokens. */
static void hpke_nist_curves(void)
{
    check_ec("P-256", P256_POINT_SIZE, P256_SHARED_SIZE, 113);
    check_ec("P-384", P384_POINT_SIZE, P384_SHARED_SIZE, 145);
}

static bool reads(EVP_PKEY *key, enum err_class class)
{
    uint8_t *der = NULL;
    int size = i2d_PUBKEY(key, &der);
    struct err err = {0};
    struct spki spki;
    bool read = spki_read(&spki, crypto, (struct view){der, (size_t)size}, &err).ok;

    OPENSSL_free(der);
    EVP_PKEY_free(key);
    return err.class == class && read == (class == ERR_NONE);
}

static void public_keys_that_are_taken(void)
{
    struct err err = {0};
    struct spki spki;

    CHECK(reads(EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048), ERR_NONE));
    CHECK(reads(EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)1024), ERR_UNSUPPORTED));
    CHECK(reads(EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-521"), ERR_UNSUPPORTED));
    CHECK(reads(EVP_PKEY_Q_keygen(NULL, NULL, "EC", "secp256k1"), ERR_UNSUPPORTED));
    CHECK(reads(EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), ERR_UNSUPPORTED));
    CHECK(!spki_read(&spki, crypto, text_view("0"), &err).ok && err.class == ERR_DAMAGED);
}

int main(void)
{
    struct err err = {0};

    MUST(secret_init(&err).ok && crypto_new(&crypto, &err).ok);
    RUN(xaes_spec_vectors);
    RUN(xaes_accumulated_vectors);
    RUN(hpke_rfc9180);
    RUN(hpke_nist_curves);
    RUN(public_keys_that_are_taken);
    if (getenv("BULLA_VECTORS") != NULL) {
        RUN(wycheproof_cobblestone);
        RUN(wycheproof_aes_256_gcm);
    } else {
        SKIP(wycheproof_cobblestone, "BULLA_VECTORS is not set");
        SKIP(wycheproof_aes_256_gcm, "BULLA_VECTORS is not set");
    }
    crypto_free(&crypto);
    return DONE();
}
