#include "keystore/keystore.h"

#include <string.h>

static const char *const state_names[] = {
    [KEY_ACTIVE] = "active",
    [KEY_RETIRED] = "retired",
    [KEY_DISABLED] = "disabled",
    [KEY_DESTROYED] = "destroyed",
};

const char *keystore_shown(const struct master_key *key)
{
    return key->shown != NULL ? key->shown : key->ops->name;
}

const char *key_state_name(enum key_state state)
{
    return state_names[state];
}

bool key_state_by_name(const char *name, enum key_state *state)
{
    for (enum key_state s = KEY_ACTIVE; s <= KEY_DESTROYED; s++)
        if (strcmp(state_names[s], name) == 0) {
            *state = s;
            return true;
        }
    return false;
}
