/* rewrap_targets: the slots that a file is to get, by its present slots and what the user wants. */
#ifndef BULLA_LIBBULLA_REWRAP_TARGETS_H
#define BULLA_LIBBULLA_REWRAP_TARGETS_H

#include "libbulla/rewrap_plan.h"

/* struct target: a slot that the file is to have. */
struct target {
    const struct slot *old; /* the one in its place; NULL if there is none */
    struct master_key *key; /* that wraps it anew; NULL: the slot stays, its key is not at hand */
    enum slot_match match;  /* of the two */
};

/* struct work: one file being planned. */
struct work {
    struct rewrap *rewrap;
    struct session *session;
    const struct envelope *e;
    struct target targets[SLOTS_MAX];
    size_t count;
    struct slot *slots; /* SLOTS_MAX, what the file is to have */
    struct plan *plan;
};

/* targets_find fills in the targets, and w->plan->other. ERR_POLICY if no key would be left. */
FALLIBLE targets_find(struct work *w, struct err *err);

/* targets_as_before is true if they are, in their order, the slots that are there. */
bool targets_as_before(const struct work *w);

/* target_wanted is true if the user named the key of a target to be one of the file's. Any other
 * must have been that before: anybody can put a slot there that names a key. */
bool target_wanted(const struct work *w, const struct target *t);

#endif
