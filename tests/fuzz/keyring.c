/* A keyring file: what is read and written is read and written again as the same bytes. */
#include <jansson.h>
#include <sys/stat.h>

#include "keystore/key_age.h"
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
    HOLDS(ring_file_save(ring, &place, true, &err).ok &&
          ring_file_load(again, &place, NULL, &err).ok);
}

/* What is written says what was read: no number was cut on the way. */
static void check_same(const void *given, size_t given_size, const void *text, size_t size)
{
    json_t *before = json_loadb(given, given_size, 0, NULL);
    json_t *after = json_loadb(text, size, 0, NULL);

    HOLDS(json_equal(before, after));
    json_decref(before);
    json_decref(after);
}

static void check_ring(struct ring *ring, const void *given, size_t given_size)
{
    struct ring second RING_CLEANUP = {0}, third RING_CLEANUP = {0};
    size_t size, again_size;

    for (size_t i = 0; i < ring->key_count; i++) {
        const struct ring_key *key = &ring->keys[i];
        HOLDS(ring_name_allowed(key->name) && ring_find(ring, key->name) == key);
        HOLDS(ring_find_id(ring, key->id) == key);
        HOLDS(key->version_count > 0 && key->rotate_after <= KEY_ROTATE_AFTER_MAX);
    }
    if (ring_locked(ring))
        unlock(ring);
    write_and_read(ring, "again", &second);
    write_and_read(&second, "third", &third);
    char *text STRING_CLEANUP = fuzz_read("again", &size);
    char *again STRING_CLEANUP = fuzz_read("third", &again_size);
    HOLDS(size == again_size && memcmp(text, again, size) == 0);
    check_same(given, given_size, text, size);
    HOLDS(second.key_count == ring->key_count && second.protected == ring->protected);
}

static bool has(const char *mark, const uint8_t *data, size_t size)
{
    return memmem(data, size < 4096 ? size : 4096, mark, strlen(mark)) != NULL;
}

/* What others may use is refused, and called a keyring only if it looks like one. */
static void check_shared(const struct place *place, const uint8_t *data, size_t size)
{
    enum err_class unmarked = has("bulla-public-key", data, size) ? ERR_FAILED : ERR_FOREIGN;
    struct ring ring RING_CLEANUP = {0};
    struct err err = {0};

    HOLDS(chmod("given", 0644) == 0);
    HOLDS(!ring_file_load(&ring, place, NULL, &err).ok);
    HOLDS(err.class == (has("bulla-keyring", data, size) ? ERR_POLICY : unmarked));
    HOLDS(chmod("given", 0600) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct place place PLACE_CLEANUP = {0};
    struct err err = {0};
    struct ring ring;

    (void)fuzz_crypto();
    fuzz_directory();
    fuzz_write("given", data, size);
    fuzz_spoil(&ring, sizeof ring);
    HOLDS(place_open(&place, "given", &err).ok);
    check_shared(&place, data, size);
    if (ring_file_load(&ring, &place, NULL, &err).ok) {
        check_ring(&ring, data, size);
        ring_free(&ring);
        return 0;
    }
    fuzz_refused(&err);
    HOLDS(err.class == ERR_DAMAGED || err.class == ERR_UNSUPPORTED ||
          !has("bulla-keyring", data, size));
    HOLDS(fuzz_untouched(&ring, sizeof ring));
    return 0;
}
