#include "keystore/key_pair.h"

#include <string.h>

#include "base/text.h"

static const struct view info = {(const uint8_t *)BRANCH_KEY_LABEL, sizeof BRANCH_KEY_LABEL - 1};

bool key_pair_is_slot(const struct slot *slot)
{
    return slot_view(slot, SLOT_SPKI_HASH).size == SHA256_SIZE;
}

bool key_pair_is_mine(const struct spki *spki, const struct slot *slot)
{
    return key_pair_is_slot(slot) &&
           memcmp(slot_view(slot, SLOT_SPKI_HASH).bytes, spki->hash, SHA256_SIZE) == 0;
}

void key_pair_put_hint(struct slot *slot, enum slot_field field, struct view hint)
{
    const struct slot_field_info *f = slot_field_info(field);
    bool fits = hint.size >= f->min && hint.size <= f->max &&
                (f->kind != SLOT_TEXT || text_is_utf8(hint.bytes, hint.size));

    slot_put_sized(slot, hint.bytes, fits ? hint.size : 0);
}

enum slot_code key_pair_method(const struct spki *spki, bool sha1)
{
    if (spki->kind == SPKI_RSA)
        return sha1 ? SLOT_PKCS11_RSA_OAEP_SHA1 : SLOT_PKCS11_RSA_OAEP_SHA256;
    return spki->kind == SPKI_P256 ? SLOT_PKCS11_P256_HPKE : SLOT_PKCS11_P384_HPKE;
}

struct result key_pair_wrap(const struct spki *spki, const struct crypto *crypto,
                            const struct key_pair_hints *hints, bool sha1,
                            const struct branch_identity *branch, const struct secret *branch_key,
                            struct slot *slot, struct err *err)
{
    uint8_t aad[SLOT_AAD_MAX];

    slot_begin(slot, key_pair_method(spki, sha1));
    slot_put_fixed(slot, spki->hash, SHA256_SIZE);
    key_pair_put_hint(slot, SLOT_TOKEN_LABEL, hints->token_label);
    key_pair_put_hint(slot, SLOT_TOKEN_SERIAL, hints->token_serial);
    key_pair_put_hint(slot, SLOT_KEY_LABEL, hints->key_label);
    key_pair_put_hint(slot, SLOT_OPTIONAL_CKA_ID, hints->id);
    if (spki->kind == SPKI_RSA) {
        slot->wrap_size = spki->bits / 8;
        return spki_seal_rsa(spki, crypto, sha1, branch_key->bytes, branch_key->size, slot->wrap,
                             err);
    }
    slot->wrap_size = spki_point(spki).size + KEY_SIZE + AEAD_TAG_SIZE;
    const struct hpke_binding binding = {info, slot_aad(slot, branch->id, aad)};
    return spki_seal_ec(spki, crypto, &binding, secret_view(branch_key), slot->wrap, err);
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
    *branch_key = secret_take(&opened);
    return OK;
}
