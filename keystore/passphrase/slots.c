#include "keystore/passphrase/slots.h"

#include <stdio.h>

#include "crypto/passphrase_kdf.h"

const struct slot_field passphrase_salt = {"salt", SLOT_FIXED, KDF_SALT_SIZE, KDF_SALT_SIZE,
                                           SLOT_NAMES_NOTHING};
const struct slot_field passphrase_passes = {"passes", SLOT_NUMBER, KDF_PASSES, KDF_PASSES_MAX,
                                             SLOT_NAMES_NOTHING};
const struct slot_field passphrase_memory = {"memory KiB", SLOT_NUMBER, KDF_MEMORY_KIB,
                                             KDF_MEMORY_KIB_MAX, SLOT_NAMES_NOTHING};
const struct slot_field passphrase_hint = {"hint", SLOT_TEXT, 0, SLOT_HINT_MAX, SLOT_NAMES_NOTHING};

/* By its salt: two may have one hint. */
static void describe(const struct slot *slot, char *out, size_t room)
{
    struct view salt = slot_view(slot, &passphrase_salt);
    char hex[2 * KDF_SALT_SIZE + 1];

    snprintf(out, room, "passphrase %s", text_hex(hex, salt.bytes, salt.size));
}

const struct slot_method passphrase_methods[] = {
    {SLOT_PASSPHRASE,
     "passphrase",
     72,
     72,
     {&passphrase_salt, &passphrase_passes, &passphrase_memory, &passphrase_hint},
     describe,
     SLOT_PASSPHRASES_MAX,
     "passphrases"},
    {0},
};
