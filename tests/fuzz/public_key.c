/* A public key file: what is read and written is read and written again as the same text. */
#include "keystore/keyring/public_key.h"
#include "tests/fuzz/fuzz.h"

static struct result load(struct public_key *key, const char *name, bool *is_public,
                          struct err *err)
{
    struct place place PLACE_CLEANUP = {0};

    HOLDS(place_open(&place, name, err).ok);
    return public_key_load(key, &place, is_public, err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct public_key key = {0}, again = {0};
    bool is_public = false, still = false;
    char *text STRING_CLEANUP = NULL, *second STRING_CLEANUP = NULL;
    struct err err = {0};

    (void)fuzz_crypto();
    fuzz_directory();
    fuzz_write("given", data, size);
    if (!load(&key, "given", &is_public, &err).ok) {
        fuzz_refused(&err);
        HOLDS(is_public && (err.class == ERR_DAMAGED || err.class == ERR_UNSUPPORTED));
        return 0;
    }
    if (!is_public)
        return 0;
    HOLDS(ring_name_allowed(key.name) && key.version > 0 && x25519_is_canonical(key.bytes));
    HOLDS(public_key_text(&key, &text, &err).ok);
    fuzz_write("again", text, strlen(text));
    HOLDS(load(&again, "again", &still, &err).ok && still);
    HOLDS(public_key_text(&again, &second, &err).ok && strcmp(text, second) == 0);
    return 0;
}
