#include "keystore/key_pair.h"

#include <string.h>

const struct slot_field key_pair_spki_hash = {"SPKI SHA-256", SLOT_FIXED, SHA256_SIZE, SHA256_SIZE,
                                              SLOT_NAMES_VERSION};
const struct slot_field key_pair_token_label = {"token label", SLOT_TEXT, 0, SLOT_TOKEN_LABEL_MAX,
                                                SLOT_NAMES_NOTHING};
const struct slot_field key_pair_token_serial = {"token serial", SLOT_TEXT, 0,
                                                 SLOT_TOKEN_SERIAL_MAX, SLOT_NAMES_NOTHING};
const struct slot_field key_pair_key_label = {"key label", SLOT_TEXT, 0, SLOT_KEY_LABEL_MAX,
                                              SLOT_NAMES_NOTHING};
const struct slot_field key_pair_id = {"CKA_ID", SLOT_BYTES, 0, SLOT_CKA_ID_MAX,
                                       SLOT_NAMES_NOTHING};

#define FIELDS                                                                                     \
    {                                                                                              \
        &key_pair_spki_hash, &key_pair_token_label, &key_pair_token_serial, &key_pair_key_label,   \
            &key_pair_id                                                                           \
    }

const struct slot_method key_pair_methods[] = {
    {SLOT_RSA_OAEP_SHA256, "pkcs11-rsa-oaep-sha256", 256, 512, FIELDS},
    {SLOT_RSA_OAEP_SHA1, "pkcs11-rsa-oaep-sha1", 256, 512, FIELDS},
    {SLOT_P256_HPKE, "pkcs11-p256-hpke", 113, 113, FIELDS},
    {SLOT_P384_HPKE, "pkcs11-p384-hpke", 145, 145, FIELDS},
    {0},
};

enum { OAEP_SHA256 = 1, OAEP_SHA1 };

static const struct choice hashes[] = {{"sha256", OAEP_SHA256}, {"sha1", OAEP_SHA1}, {NULL, 0}};

const struct store_option key_pair_options[] = {
    {"oaep", "HASH", STORE_CHOICE, STORE_SEALS, .choices = hashes, .usual = OAEP_SHA256,
     .help = "sha256 (the default), or sha1 for tokens that can do\n"
             "no other: the hash of RSA wraps"},
    {0},
};

bool key_pair_sha1(const struct store_settings *settings)
{
    return store_number(settings, &key_pair_options[0]) == OAEP_SHA1;
}

static const struct view info = {(const uint8_t *)BRANCH_KEY_LABEL, sizeof BRANCH_KEY_LABEL - 1};

bool key_pair_is_slot(const struct slot *slot)
{
    return slot_view(slot, &key_pair_spki_hash).size == SHA256_SIZE;
}

bool key_pair_is_mine(const struct spki *spki, const struct slot *slot)
{
    return key_pair_is_slot(slot) &&
           memcmp(slot_view(slot, &key_pair_spki_hash).bytes, spki->hash, SHA256_SIZE) == 0;
}

void key_pair_put_hint(struct slot *slot, const struct slot_field *field, struct view hint)
{
    slot_put_sized(slot, hint.bytes, slot_field_takes(field, hint) ? hint.size : 0);
}

unsigned key_pair_method(const struct spki *spki, bool sha1)
{
    if (spki->kind == SPKI_RSA)
        return sha1 ? SLOT_RSA_OAEP_SHA1 : SLOT_RSA_OAEP_SHA256;
    return spki->kind == SPKI_P256 ? SLOT_P256_HPKE : SLOT_P384_HPKE;
}

struct result key_pair_wrap(const struct key_pair_wrapping *by,
                            const struct branch_identity *branch, const struct secret *branch_key,
                            struct slot *slot, struct err *err)
{
    const struct key_pair_hints *hints = &by->hints;
    const struct spki *spki = by->spki;
    uint8_t aad[SLOT_AAD_MAX];

    slot_begin(slot, key_pair_method(spki, by->sha1));
    slot_put_fixed(slot, spki->hash, SHA256_SIZE);
    key_pair_put_hint(slot, &key_pair_token_label, hints->token_label);
    key_pair_put_hint(slot, &key_pair_token_serial, hints->token_serial);
    key_pair_put_hint(slot, &key_pair_key_label, hints->key_label);
    key_pair_put_hint(slot, &key_pair_id, hints->id);
    if (spki->kind == SPKI_RSA) {
        slot->wrap_size = spki->bits / 8;
        return spki_seal_rsa(spki, by->crypto, by->sha1, branch_key->bytes, branch_key->size,
                             slot->wrap, err);
    }
    slot->wrap_size = spki_point(spki).size + KEY_SIZE + AEAD_TAG_SIZE;
    const struct hpke_binding binding = {info, slot_aad(slot, branch->id, aad)};
    return spki_seal_ec(spki, by->crypto, &binding, secret_view(branch_key), slot->wrap, err);
}

struct result key_pair_open_ec(const struct spki *spki, const struct crypto *crypto,
                               const struct secret *shared, const struct branch_identity *branch,
                               const struct slot *slot, struct secret *branch_key, struct err *err)
{
    struct secret opened SECRET_CLEANUP = {0};
    uint8_t aad[SLOT_AAD_MAX];

    if (slot->wrap_size != spki_point(spki).size + KEY_SIZE + AEAD_TAG_SIZE)
        return fail(err, ERR_DAMAGED, "not authentic");
    const struct hpke_binding binding = {info, slot_aad(slot, branch->id, aad)};
    const struct hpke_agreement a = {
        .kem = spki_kem(spki), .shared_point = shared->bytes, .recipient = spki_point(spki).bytes};
    if (!secret_new(&opened, KEY_SIZE, err).ok ||
        !hpke_open_agreed(crypto, &a, &binding, slot_wrap(slot), opened.bytes, err).ok)
        return FAIL;
    *branch_key = TAKE(opened);
    return OK;
}
