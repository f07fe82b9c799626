#include "keystore/awskms/slots.h"

#include <stdio.h>

const struct slot_field awskms_key_arn = {"key ARN", SLOT_TEXT, SLOT_KEY_ARN_MIN, SLOT_KEY_ARN_MAX,
                                          SLOT_NAMES_VERSION};
const struct slot_field awskms_material_id = {"key material id", SLOT_TEXT, 0, SLOT_MATERIAL_ID_MAX,
                                              SLOT_NAMES_NOTHING};

/* The key, and its key material if KMS told: a rotation makes new material. */
static void describe(const struct slot *slot, char *out, size_t room)
{
    struct view arn = slot_view(slot, &awskms_key_arn);
    struct view material = slot_view(slot, &awskms_material_id);
    char first[TEXT_ESCAPED(SLOT_KEY_ARN_MAX)], second[TEXT_ESCAPED(SLOT_MATERIAL_ID_MAX)];

    snprintf(out, room, "%s%s%s", text_escape(first, sizeof first, arn.bytes, arn.size),
             material.size > 0 ? " material " : "",
             text_escape(second, sizeof second, material.bytes, material.size));
}

const struct slot_method awskms_methods[] = {
    {SLOT_AWSKMS, "awskms", 1, SLOT_WRAP_MAX, {&awskms_key_arn, &awskms_material_id}, describe},
    {0},
};
