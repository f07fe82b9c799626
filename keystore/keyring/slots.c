#include "keystore/keyring/slots.h"

#include <inttypes.h>
#include <stdio.h>

const struct slot_field keyring_key_id = {"key id", SLOT_FIXED, SLOT_KEY_ID_SIZE, SLOT_KEY_ID_SIZE,
                                          SLOT_NAMES_KEY};
const struct slot_field keyring_key_version = {"key version", SLOT_NUMBER, 1, UINT32_MAX,
                                               SLOT_NAMES_NOTHING};
const struct slot_field keyring_key_name = {"key name", SLOT_TEXT, 1, SLOT_KEY_NAME_MAX,
                                            SLOT_NAMES_NOTHING};

static void describe(const struct slot *slot, char *out, size_t room)
{
    struct view name = slot_view(slot, &keyring_key_name), id = slot_view(slot, &keyring_key_id);
    char text[TEXT_ESCAPED(SLOT_KEY_NAME_MAX)], hex[2 * SLOT_KEY_ID_SIZE + 1];

    snprintf(out, room, "%s v%" PRIu32 " (%s)",
             text_escape(text, sizeof text, name.bytes, name.size),
             slot_number(slot, &keyring_key_version), text_hex(hex, id.bytes, id.size));
}

#define FIELDS                                                                                     \
    {                                                                                              \
        &keyring_key_id, &keyring_key_version, &keyring_key_name                                   \
    }

const struct slot_method keyring_methods[] = {
    {SLOT_KEYRING_XAES, "keyring-xaes", 72, 72, FIELDS, describe},
    {SLOT_KEYRING_X25519, "keyring-x25519", 80, 80, FIELDS, describe},
    {SLOT_KEYRING_HYBRID, "keyring-mlkem768-x25519", 1168, 1168, FIELDS, describe, .foreign = true},
    {0},
};
