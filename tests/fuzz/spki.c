/* Public keys as they come from files and tokens: each has one DER, and what is taken can seal. */
#include "crypto/spki.h"
#include "tests/fuzz/fuzz.h"

static struct result take(struct spki *spki, struct wire_reader *r, struct err *err)
{
    struct view first;

    switch (fuzz_byte(r) % 4) {
    case 0:
        return spki_read(spki, fuzz_crypto(), fuzz_rest(r), err);
    case 1:
        first = wire_get_sized(r);
        return spki_from_rsa(spki, fuzz_crypto(), first, fuzz_rest(r), err);
    case 2:
        return spki_from_point(spki, fuzz_crypto(), fuzz_rest(r), err);
    default:
        return spki_from_certificate(spki, fuzz_crypto(), fuzz_rest(r), err);
    }
}

/* The same key again. Whether an RSA modulus is a sound one is tried with random numbers (SP
 * 800-56B, 6.4.2), so that one which is no product of two primes may be taken now and refused then.
 */
static void check_same(const struct spki *spki, struct result r, const struct spki *again,
                       const struct err *err)
{
    if (r.ok)
        HOLDS(memcmp(again, spki, sizeof *spki) == 0);
    else
        HOLDS(spki->kind == SPKI_RSA && err->class == ERR_DAMAGED);
}

/* By its DER, and for EC by its point. */
static void check_again(const struct spki *spki)
{
    struct spki again;
    struct err err;

    struct result r = spki_read(&again, fuzz_crypto(), (struct view){spki->der, spki->size}, &err);
    check_same(spki, r, &again, &err);
    if (spki->kind == SPKI_RSA)
        return;
    r = spki_from_point(&again, fuzz_crypto(), spki_point(spki), &err);
    check_same(spki, r, &again, &err);
}

static void check_seals(const struct spki *spki)
{
    static const uint8_t secret[KEY_SIZE];
    uint8_t out[RSA_BYTES_MAX + HPKE_ENC_MAX + KEY_SIZE + AEAD_TAG_SIZE];
    const struct hpke_binding none = {{secret, 0}, {secret, 0}};
    struct err err;

    if (spki->kind == SPKI_RSA)
        HOLDS(spki_seal_rsa(spki, fuzz_crypto(), false, secret, sizeof secret, out, &err).ok);
    else
        HOLDS(spki_seal_ec(spki, fuzz_crypto(), &none, (struct view){secret, sizeof secret}, out,
                           &err)
                  .ok);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wire_reader r = wire_reader(data, size);
    struct err err = {0};
    struct spki spki;

    fuzz_spoil(&spki, sizeof spki);
    if (take(&spki, &r, &err).ok) {
        check_again(&spki);
        check_seals(&spki);
        return 0;
    }
    fuzz_refused(&err);
    HOLDS(fuzz_untouched(&spki, sizeof spki));
    return 0;
}
