/* A keyring file: what is read and written is read and written again as the same bytes. */
#include "keystore/keyring/ring_file.h"
#include "tests/fuzz/fuzz.h"

#define ALLOWED_KIB 64 /* more than that, a passphrase is not tried with */

static void unlock(struct ring *ring)
{
    struct secret passphrase SECRET_CLEANUP = {0};
    struct err err = {0};

    HOLDS(secret_copy(&passphrase, "fuzz", 4, &err).ok);
    if (!ring_unlock(ring, fuzz_crypto(), &passphrase, ALLOWED_KIB, &err).ok) {
        fuzz_refused(&err);
        return;
    }
    HOLDS(!ring_locked(ring));
}

static void write_and_read(const struct ring *ring, const char *name, struct ring *again)
{
    struct place place PLACE_CLEANUP = {0};
    struct err err;

    HOLDS(place_open(&place, name, &err).ok);
    HOLDS(ring_save(ring, &place, true, &err).ok && ring_load(again, &place, &err).ok);
}

static void check_ring(struct ring *ring)
{
    struct ring second RING_CLEANUP = {0}, third RING_CLEANUP = {0};
    size_t size, again_size;

    for (size_t i = 0; i < ring->key_count; i++) {
        const struct ring_key *key = &ring->keys[i];
        HOLDS(ring_name_allowed(key->name) && ring_find(ring, key->name) == key);
        HOLDS(ring_find_id(ring, key->id) == key);
        HOLDS(key->version_count > 0);
    }
    if (ring_locked(ring))
        unlock(ring);
    write_and_read(ring, "again", &second);
    write_and_read(&second, "third", &third);
    char *text STRING_CLEANUP = fuzz_read("again", &size);
    char *again STRING_CLEANUP = fuzz_read("third", &again_size);
    HOLDS(size == again_size && memcmp(text, again, size) == 0);
    HOLDS(second.key_count == ring->key_count && second.protected == ring->protected);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct place place PLACE_CLEANUP = {0};
    struct err err = {0};
    struct ring ring;

    (void)fuzz_crypto();
    fuzz_folder();
    fuzz_write("given", data, size);
    fuzz_spoil(&ring, sizeof ring);
    HOLDS(place_open(&place, "given", &err).ok);
    if (ring_load(&ring, &place, &err).ok) {
        check_ring(&ring);
        ring_free(&ring);
        return 0;
    }
    fuzz_refused(&err);
    HOLDS(err.class == ERR_DAMAGED || err.class == ERR_UNSUPPORTED);
    HOLDS(fuzz_untouched(&ring, sizeof ring));
    return 0;
}
