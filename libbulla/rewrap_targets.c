#include "libbulla/rewrap_targets.h"

#include <string.h>

static struct result add_target(struct work *w, const struct slot *old, struct master_key *key,
                                enum slot_match match, struct err *err)
{
    if (w->count == SLOTS_MAX)
        return fail(err, ERR_USAGE, "it would have more than %d keys", SLOTS_MAX);
    w->targets[w->count++] = (struct target){.old = old, .key = key, .match = match};
    return OK;
}

/* Whether a slot is, or may be, of a key. One of a dead version beside the version that a reference
 * names is not: nobody named it. */
static bool is_of(const struct master_key *key, const struct slot *slot, enum slot_match *match)
{
    *match = key->ops->match(key, slot);
    return *match != SLOT_OTHER && *match != SLOT_DEAD;
}

/* The key of some sets that a slot is of, the surest match first; NULL if it is of none. What may
 * be a slot of a key that is added, as one of another passphrase, is not taken for it. */
static struct master_key *owner_of(const struct keyset *const *sets, const struct slot *slot,
                                   enum slot_match *match)
{
    struct master_key *owner = NULL;

    *match = SLOT_OTHER;
    for (size_t n = 0; sets[n] != NULL; n++)
        for (size_t i = 0; i < sets[n]->count; i++) {
            enum slot_match m;
            if (!is_of(sets[n]->keys[i], slot, &m) || (m == SLOT_MAYBE && n > 0) ||
                (owner != NULL && (*match == SLOT_CURRENT || m == SLOT_MAYBE)))
                continue;
            owner = sets[n]->keys[i];
            *match = m;
        }
    return owner;
}

/* The target of the same key; two references may name one, and one reference several. An old slot
 * may be of an earlier key of one name. */
static struct target *twin_of(struct work *w, const struct slot *slot)
{
    for (size_t i = 0; i < w->count; i++) {
        struct target *t = &w->targets[i];
        enum slot_match m = t->key == NULL ? SLOT_OTHER : t->key->ops->match(t->key, slot);
        if ((m == SLOT_CURRENT || m == SLOT_OLD) &&
            slot_same_key(t->old, slot, m == SLOT_CURRENT && t->match == SLOT_CURRENT))
            return t;
    }
    return NULL;
}

/* A slot that stays, or is wrapped anew where its key is at hand; of two of one key one is enough,
 * and that is the current one. */
static struct result add_slot(struct work *w, const struct keyset *const *sets,
                              const struct slot *slot, struct err *err)
{
    enum slot_match match;
    struct master_key *key = owner_of(sets, slot, &match);
    struct target *twin = key != NULL && match != SLOT_MAYBE ? twin_of(w, slot) : NULL;

    if (twin == NULL)
        return add_target(w, slot, key, match, err);
    if (match == SLOT_CURRENT && twin->match != SLOT_CURRENT)
        *twin = (struct target){.old = slot, .key = key, .match = match};
    return OK;
}

/* Neither --to nor --add nor --remove: each slot of one of our keys goes to its active version. */
static struct result target_refresh(struct work *w, struct err *err)
{
    const struct keyset *sets[] = {&w->session->keys, NULL};

    for (size_t i = 0; i < w->e->slot_count; i++)
        if (!add_slot(w, sets, &w->e->slots[i], err).ok)
            return FAIL;
    w->plan->other = true;
    for (size_t i = 0; i < w->count; i++)
        w->plan->other = w->plan->other && w->targets[i].key == NULL;
    return OK;
}

/* Whether a key that is added has a slot: its own, or one that stays and is of another reference to
 * the same version. */
static bool has_slot(const struct work *w, const struct master_key *key)
{
    for (size_t i = 0; i < w->count; i++) {
        const struct target *t = &w->targets[i];
        if (t->key == key || (t->match == SLOT_CURRENT && t->key != NULL &&
                              key->ops->match(key, t->old) == SLOT_CURRENT))
            return true;
    }
    return false;
}

static bool is_removed(const struct rewrap *r, const struct slot *slot)
{
    enum slot_match ignored;
    bool removed = false;

    for (size_t i = 0; i < r->remove.count; i++)
        removed = removed || is_of(r->remove.keys[i], slot, &ignored);
    return removed;
}

/* --add and --remove. */
static struct result target_change(struct work *w, struct err *err)
{
    const struct rewrap *r = w->rewrap;
    const struct keyset *sets[] = {&w->session->keys, &r->add, NULL};

    for (size_t i = 0; i < w->e->slot_count; i++)
        if (!is_removed(r, &w->e->slots[i]) && !add_slot(w, sets, &w->e->slots[i], err).ok)
            return FAIL;
    for (size_t i = 0; i < r->add.count; i++)
        if (!has_slot(w, r->add.keys[i]) &&
            !add_target(w, NULL, r->add.keys[i], SLOT_OTHER, err).ok)
            return FAIL;
    return OK;
}

/* Whether a slot is the place of another reference to its key. */
static bool has_place(const struct work *w, const struct slot *slot)
{
    bool has = false;

    for (size_t i = 0; i < w->count; i++)
        has = has || (w->targets[i].old == slot && w->targets[i].match != SLOT_OTHER);
    return has;
}

/* --to: these keys and no others. The slot in its place is one of that key, or else the one that a
 * key store may turn into it. */
static struct result target_to(struct work *w, struct err *err)
{
    const struct keyset *to = &w->rewrap->to;

    for (size_t i = 0; i < to->count; i++) {
        const struct slot *old = NULL;
        enum slot_match best = SLOT_OTHER;
        for (size_t s = 0; s < w->e->slot_count && best != SLOT_CURRENT; s++) {
            enum slot_match m;
            if (!is_of(to->keys[i], &w->e->slots[s], &m) || has_place(w, &w->e->slots[s]) ||
                (best != SLOT_OTHER && m != SLOT_CURRENT))
                continue;
            old = &w->e->slots[s];
            best = m;
        }
        if (old == NULL && to->count == w->e->slot_count)
            old = &w->e->slots[i];
        if (!add_target(w, old, to->keys[i], best, err).ok)
            return FAIL;
    }
    return OK;
}

struct result targets_find(struct work *w, struct err *err)
{
    const struct rewrap *r = w->rewrap;

    if (!(r->to.count > 0                           ? target_to(w, err)
          : r->add.count > 0 || r->remove.count > 0 ? target_change(w, err)
                                                    : target_refresh(w, err))
             .ok)
        return FAIL;
    if (w->count == 0) {
        (void)fail(err, ERR_POLICY, "no key would be left to open it");
        return fail_hint_option(err, "--add another first");
    }
    return OK;
}

bool targets_as_before(const struct work *w)
{
    bool same = w->count == w->e->slot_count;

    for (size_t i = 0; i < w->count && same; i++)
        same = w->targets[i].old == &w->e->slots[i] &&
               (w->targets[i].key == NULL || w->targets[i].match == SLOT_CURRENT ||
                w->targets[i].match == SLOT_MAYBE);
    return same;
}

static bool has_key(const struct keyset *set, const struct master_key *key)
{
    for (size_t i = 0; i < set->count; i++)
        if (set->keys[i] == key)
            return true;
    return false;
}

bool target_wanted(const struct work *w, const struct target *t)
{
    return has_key(&w->rewrap->to, t->key) || has_key(&w->rewrap->add, t->key);
}
