#include "cmd/needs.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "keystore/redact_reference.h"

struct result needs_take(struct needs *n, const struct keyset *keys, const struct options *o,
                         struct err *err)
{
    if (!keyset_locate(keys, false, err).ok)
        return FAIL;
    n->list = calloc(keys->count, sizeof *n->list);
    if (n->list == NULL && keys->count > 0)
        return fail_memory(err);
    for (; n->count < keys->count; n->count++)
        n->list[n->count] = (struct need){keys->keys[n->count], o->needs.items[n->count], 0};
    return OK;
}

void needs_free(struct needs *n)
{
    free(n->list);
    *n = (struct needs){0};
}

/* The master key alone in a set. */
static struct keyset only(const struct need *need)
{
    return (struct keyset){(struct master_key **)(uintptr_t)&need->key, 1};
}

/* Whether a slot is of any key of --needs. All these may go, so none of them counts as another way
 * in. */
static bool may_go(const struct needs *n, const struct slot *slot)
{
    bool may = false;

    for (size_t i = 0; i < n->count; i++) {
        const struct keyset key = only(&n->list[i]);
        may = may || keyset_matches(&key, slot);
    }
    return may;
}

/* By what the slots say, whether an envelope with a slot of the key has no other way in. A slot
 * that is not understood may or may not be one: if it is the only other slot, the answer is
 * unclear. */
static enum needed said(const struct needs *n, const struct envelope *e)
{
    size_t gone = 0, unknown = 0;

    for (size_t i = 0; i < e->slot_count; i++) {
        gone += may_go(n, &e->slots[i]);
        unknown += !slot_understood(&e->slots[i]);
    }
    if (gone + unknown < e->slot_count)
        return NEEDED_NOT;
    return unknown > 0 ? NEEDED_UNCLEAR : NEEDED;
}

/* Whether an envelope truly has another way in: anybody can put a slot there. The key itself shows
 * it, because it checks the tag; slots that a key store can move are not under the tag. */
static bool is_vouched_for(struct session *s, const struct need *need, const struct envelope *e)
{
    const struct keyset key = only(need);
    struct branch_opened o BRANCH_OPENED_CLEANUP = {0};
    struct err ignored = {0};

    if (!branch_open(&s->table, s->crypto, &key, e, &o, &ignored).ok || !o.tag_fits)
        return false;
    for (size_t i = 0; i < e->slot_count; i++)
        if (!keyset_matches(&key, &e->slots[i]) && slot_understood(&e->slots[i]) &&
            !slot_moves(&e->slots[i]))
            return true;
    return false;
}

/* Whether an envelope has a slot of the key itself, for a version that still opens. */
static bool has_slot(const struct envelope *e, const struct master_key *key)
{
    bool has = false;

    for (size_t i = 0; i < e->slot_count; i++) {
        enum slot_match match = key->ops->match(key, &e->slots[i]);
        has = has || (match != SLOT_OTHER && match != SLOT_DEAD);
    }
    return has;
}

static enum needed needs_of(const struct needs *n, const struct need *need,
                            const struct envelope *e)
{
    if (!has_slot(e, need->key))
        return NEEDED_NOT;
    enum needed needed = said(n, e);
    return needed == NEEDED_NOT && n->opens != NULL && !is_vouched_for(n->opens, need, e)
               ? NEEDED_UNCLEAR
               : needed;
}

/* Looks at both copies: the copy that does not count now may later be the only one left. */
enum needed needs_find(const struct needs *n, const struct need *need, const struct sealed *f)
{
    enum needed needed = needs_of(n, need, &f->envelope), other = NEEDED_NOT;

    if (f->other.slots != NULL)
        other = needs_of(n, need, &f->other);
    return needed > other ? needed : other;
}

struct result needs_unclear(const struct need *need, const char *name, struct err *err)
{
    char *shown STRING_CLEANUP = redact_reference(need->reference);

    (void)fail(err, ERR_PARTIAL, "'%s': nothing shows that it opens without %s", name,
               shown != NULL ? shown : "that key");
    return fail_hint(err, "'bulla rewrap' gives it slots that can be believed");
}
