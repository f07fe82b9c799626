#include "keystore/keystore.h"

#include <string.h>

const struct keystore_admin keystore_no_admin = {0};

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

struct store_state *store_states_find(const struct store_states *states,
                                      const struct keystore_ops *store)
{
    struct store_state *state = states != NULL ? states->first : NULL;

    while (state != NULL && state->store != store)
        state = state->next;
    return state;
}

void store_states_add(struct store_states *states, struct store_state *state)
{
    state->next = states->first;
    states->first = state;
}

void store_states_free(struct store_states *states)
{
    while (states->first != NULL) {
        struct store_state *state = states->first;
        states->first = state->next;
        state->drop(state);
    }
}
