#include "keystore/external/slots.h"

const struct slot_field external_name = {"key name", SLOT_TEXT, 1, SLOT_EXTERNAL_NAME_MAX,
                                         SLOT_NAMES_KEY};

static void describe(const struct slot *slot, char *out, size_t room)
{
    struct view name = slot_view(slot, &external_name);

    text_escape(out, room, name.bytes, name.size);
}

const struct slot_method external_methods[] = {
    {SLOT_EXTERNAL, "external", 1, SLOT_WRAP_MAX, {&external_name}, describe},
    {0},
};
