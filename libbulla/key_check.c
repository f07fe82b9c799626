#include "libbulla/key_check.h"

#include <stdlib.h>

static bool unwraps(struct master_key *key, const struct branch_identity *branch,
                    const struct slot *slot, const struct secret *branch_key, struct err *err)
{
    enum unwrapped u = branch_unwrap_own(key, branch, slot, branch_key, err);

    if (u == UNWRAP_NOT_MINE)
        (void)fail(err, ERR_NO_KEY, "it seals, but does not open");
    return u == UNWRAP_OPENED;
}

struct result key_check(struct check *c, struct master_key *key, struct err *err)
{
    struct secret branch_key SECRET_CLEANUP = {0};
    const struct context none = {0};
    uint8_t id[BRANCH_ID_SIZE];
    struct branch_identity branch = {id, &none};

    *c = (struct check){0};
    if (!random_bytes(id, sizeof id, err).ok || !secret_random(&branch_key, KEY_SIZE, err).ok)
        return FAIL;
    struct slot *slot = calloc(1, sizeof *slot);
    if (slot == NULL)
        return fail_memory(err);
    c->wraps = key->ops->wrap(key, &branch, &branch_key, slot, &c->wrap_failed).ok;
    c->unwraps = c->wraps && unwraps(key, &branch, slot, &branch_key, &c->unwrap_failed);
    free(slot);
    return OK;
}
