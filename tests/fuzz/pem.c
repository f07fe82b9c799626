/* A public key in PEM: what is read and written is read and written again as the same text. */
#include "keystore/pem.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text STRING_CLEANUP = NULL, *second STRING_CLEANUP = NULL;
    struct pem pem, again;
    struct err err = {0};

    if (size > PEM_MAX)
        return 0;
    fuzz_spoil(&pem, sizeof pem);
    if (!pem_read(&pem, fuzz_crypto(), (const char *)data, size, &err).ok) {
        fuzz_refused(&err);
        HOLDS(fuzz_untouched(&pem, sizeof pem));
        return 0;
    }
    HOLDS(pem_text(&pem, &text, &err).ok);
    /* Whether an RSA modulus is sound is tried with random numbers: see spki.c. */
    if (!pem_read(&again, fuzz_crypto(), text, strlen(text), &err).ok) {
        HOLDS(pem.spki.kind == SPKI_RSA && err.class == ERR_DAMAGED);
        return 0;
    }
    HOLDS(memcmp(&again.spki, &pem.spki, sizeof pem.spki) == 0);
    HOLDS(again.id_size == pem.id_size && memcmp(again.id, pem.id, pem.id_size) == 0);
    HOLDS(pem_text(&again, &second, &err).ok && strcmp(text, second) == 0);
    return 0;
}
