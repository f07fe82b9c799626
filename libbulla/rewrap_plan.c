#include "libbulla/rewrap_plan.h"

#include <stdlib.h>
#include <string.h>

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

static bool same_field(const struct slot *a, const struct slot *b, enum slot_field field)
{
    struct view x = slot_view(a, field), y = slot_view(b, field);

    return x.size == y.size && (x.size == 0 || memcmp(x.bytes, y.bytes, x.size) == 0);
}

/* Whether two slots that one reference matches are of one key: it may name a keyring or a token of
 * several, or replicas. An old slot may be of an earlier key of one name on a token. */
static bool of_one_key(const struct slot *a, const struct slot *b, bool both_current)
{
    return same_field(a, b, SLOT_KEY_ID) &&
           (!both_current || (same_field(a, b, SLOT_SPKI_HASH) && same_field(a, b, SLOT_CKA_ID) &&
                              same_field(a, b, SLOT_KEY_ARN)));
}

/* The target of the same key; two references may name one. */
static struct target *twin_of(struct work *w, const struct slot *slot)
{
    for (size_t i = 0; i < w->count; i++) {
        struct target *t = &w->targets[i];
        enum slot_match m = t->key == NULL ? SLOT_OTHER : t->key->ops->match(t->key, slot);
        if ((m == SLOT_CURRENT || m == SLOT_OLD) &&
            of_one_key(t->old, slot, m == SLOT_CURRENT && t->match == SLOT_CURRENT))
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

static struct result find_targets(struct work *w, struct err *err)
{
    const struct rewrap *r = w->rewrap;

    if (!(r->to.count > 0                           ? target_to(w, err)
          : r->add.count > 0 || r->remove.count > 0 ? target_change(w, err)
                                                    : target_refresh(w, err))
             .ok)
        return FAIL;
    if (w->count == 0) {
        (void)fail(err, ERR_POLICY, "no key would be left to open it");
        err_hint(err, "--add another first");
        return FAIL;
    }
    return OK;
}

static struct result check_age(const struct work *w, struct err *err)
{
    const struct rewrap *r = w->rewrap;
    const struct keyset *sets[] = {&w->session->keys, &r->to, &r->add, &r->remove};

    for (size_t i = 0; i < 4; i++)
        if (!keyset_check_age(sets[i], w->e->slots, w->e->slot_count, err).ok)
            return FAIL;
    return OK;
}

/* Whether the slots that are to be are, in their order, those that are there. */
static bool as_before(const struct work *w)
{
    bool same = w->count == w->e->slot_count;

    for (size_t i = 0; i < w->count && same; i++)
        same = w->targets[i].old == &w->e->slots[i] &&
               (w->targets[i].key == NULL || w->targets[i].match == SLOT_CURRENT ||
                w->targets[i].match == SLOT_MAYBE);
    return same;
}

bool plan_is_due(struct rewrap *r, const struct envelope *e)
{
    struct plan plan = {0};
    struct work w = {.rewrap = r, .session = r->session, .e = e, .plan = &plan};
    struct err ignored;

    return !find_targets(&w, &ignored).ok || (!plan.other && !as_before(&w));
}

/* struct move: what came of having a key store turn a slot into another by itself. */
struct move {
    bool done;
    struct err failed; /* a key that should have done it could not */
};

/* One key on one slot, once in a run. That the slot opens this very file is not seen here: the
 * store only knows that it is of this branch and this context. */
static struct result try_move(struct work *w, struct master_key *from, struct master_key *to,
                              const struct slot *old, struct slot *out, struct move *m,
                              struct err *err)
{
    struct branch_identity identity = {w->e->branch_id, &w->e->core.context};
    uint8_t name[SHA256_SIZE];
    struct err why = {0};

    if (from->ops != to->ops || from->ops->match(from, old) == SLOT_OTHER)
        return OK;
    slot_table_name(to, w->e->branch_id, old, name);
    m->done = slot_table_find(&w->rewrap->made, name, out);
    if (m->done)
        return OK;
    enum unwrapped u = to->ops->move(from, to, &identity, old, out, &why);
    if (u == UNWRAP_FAILED)
        m->failed = why;
    if (u != UNWRAP_OPENED)
        return OK;
    m->done = true;
    w->rewrap->wraps++;
    return slot_table_add(&w->rewrap->made, name, out, err);
}

/* Every slot, by every key that may open: first those named to open, then the new key itself; and
 * first the slot that is to be replaced. */
static struct result move_one(struct work *w, const struct target *t, struct slot *out,
                              struct move *m, struct err *err)
{
    const struct keyset self = {&(struct master_key *){t->key}, 1};
    const struct keyset *sets[] = {&w->session->keys, &self};

    for (size_t n = 0; n < 2; n++)
        for (size_t k = 0; k < sets[n]->count && !m->done; k++) {
            struct master_key *from = sets[n]->keys[k];
            if (!try_move(w, from, t->key, t->old, out, m, err).ok)
                return FAIL;
            for (size_t s = 0; s < w->e->slot_count && !m->done && t->match != SLOT_CURRENT; s++)
                if (&w->e->slots[s] != t->old &&
                    !try_move(w, from, t->key, &w->e->slots[s], out, m, err).ok)
                    return FAIL;
        }
    return OK;
}

/* Whether key stores can do all that is to be done by themselves: a slot for a slot, which the tag
 * allows without the branch key. */
static bool can_move(const struct work *w)
{
    bool any = false, can = w->count == w->e->slot_count;

    for (size_t i = 0; i < w->count && can; i++) {
        const struct target *t = &w->targets[i];
        any = any || t->key != NULL;
        can = t->old == &w->e->slots[i] &&
              (t->key == NULL || (t->key->ops->move != NULL && slot_moves(t->old)));
    }
    return any && can;
}

/* The slots one for one, without the branch key coming here. A current slot is moved too, to
 * itself: that shows it to be what it says. m->done is false if a store could not. */
static struct result move_all(struct work *w, struct move *m, struct err *err)
{
    m->done = true;
    for (size_t i = 0; i < w->count && m->done; i++) {
        const struct target *t = &w->targets[i];
        w->slots[i] = *t->old;
        if (t->key == NULL)
            continue;
        m->done = false;
        if (!move_one(w, t, &w->slots[i], m, err).ok)
            return FAIL;
        if (m->done && t->match == SLOT_CURRENT)
            w->slots[i] = *t->old;
        else
            w->plan->changed = true;
    }
    return OK;
}

/* The envelope with these slots and no other change: the tag leaves them out. */
static struct result finish_moved(struct work *w, struct err *err)
{
    struct envelope *e = &w->plan->envelope;

    *e = *w->e;
    e->slots = malloc(w->count * sizeof *e->slots);
    if (e->slots == NULL)
        return fail(err, ERR_FAILED, "out of memory");
    memcpy(e->slots, w->slots, w->count * sizeof *e->slots);
    w->plan->stays = w->plan->changed;
    return OK;
}

static bool says_to_be_of(const struct slot *slot, const struct master_key *key)
{
    enum slot_match m = key->ops->match(key, slot);

    return m == SLOT_CURRENT || m == SLOT_OLD;
}

/* Whether a slot says that it is of a new key, and of none that is named to open. */
static bool owns_slot(const struct work *w, const struct master_key *key)
{
    const struct keyset *mine = &w->session->keys;

    for (size_t i = 0; i < w->e->slot_count; i++) {
        const struct slot *slot = &w->e->slots[i];
        bool asked = false;
        for (size_t k = 0; k < mine->count; k++)
            asked = asked || says_to_be_of(slot, mine->keys[k]);
        if (!asked && says_to_be_of(slot, key))
            return true;
    }
    return false;
}

/* The keys that may open the file, those whose stores cannot move slots first: the keys named to
 * open, and then the new ones that it has already, as after a run that did it before. */
static struct result opening_keys(const struct work *w, bool movers_too, struct keyset *out,
                                  struct err *err)
{
    const struct keyset *sets[] = {&w->session->keys, &w->rewrap->to, &w->rewrap->add};

    /* NOLINTNEXTLINE(bugprone-sizeof-expression): a list of pointers */
    out->keys = calloc(sets[0]->count + sets[1]->count + sets[2]->count + 1, sizeof *out->keys);
    if (out->keys == NULL)
        return fail(err, ERR_FAILED, "out of memory");
    for (size_t n = 0; n < 3; n++)
        for (int movers = 0; movers < (movers_too ? 2 : 1); movers++)
            for (size_t i = 0; i < sets[n]->count; i++) {
                struct master_key *key = sets[n]->keys[i];
                if ((key->ops->move != NULL) == (movers == 1) && (n == 0 || owns_slot(w, key)))
                    out->keys[out->count++] = key;
            }
    return OK;
}

/* Opens the file. After a store should have moved a slot and could not, it is not asked for the
 * branch key instead, which would take, and ask for, a permission that nobody meant to give. Why it
 * could not is said if no other key opens the file either. */
static struct result open_keys(struct work *w, const struct err *failed, struct err *err)
{
    bool moved = failed->class != ERR_NONE;
    struct keyset keys = {0};

    if (!opening_keys(w, !moved, &keys, err).ok)
        return FAIL;
    struct result r =
        branch_open(&w->session->table, w->session->crypto, &keys, w->e, &w->plan->opened, err);
    if (!r.ok && moved && err->class == ERR_NO_KEY)
        *err = *failed;
    free(keys.keys); /* the keys are the session's and the run's */
    return r;
}

/* Whether a slot that says it is of a key at hand is. *err, if it is touched, says why that cannot
 * be seen. */
static bool is_true(struct work *w, const struct target *t, struct err *err)
{
    struct master_key *key = t->key;
    struct move m = {0};
    struct slot out;

    if (key->ops->seals_only != NULL && key->ops->seals_only(key))
        return w->plan->opened.tag_fits && !slot_moves(t->old);
    if (key->ops->move == NULL ||
        branch_slot_known(&w->session->table, w->e, t->old, &w->plan->opened))
        return branch_slot_opens(&w->session->table, key, w->e, t->old, &w->plan->opened, err);
    if (!try_move(w, key, key, t->old, &out, &m, err).ok)
        return false;
    if (!m.done && m.failed.class != ERR_NONE)
        *err = m.failed;
    return m.done;
}

/* Looks at every slot that is to stay as it is. One that only looked like a key's is another's; one
 * that is not what it says is made anew. */
static struct result believe(struct work *w, struct err *err)
{
    char what[SLOT_DESCRIBED_MAX];

    for (size_t i = 0; i < w->count; i++) {
        struct target *t = &w->targets[i];
        struct err why = {0};
        if (t->key != NULL && (t->match == SLOT_CURRENT || t->match == SLOT_MAYBE) &&
            !is_true(w, t, &why)) {
            if (why.class != ERR_NONE) {
                *err = why;
                return FAIL;
            }
            if (t->match == SLOT_MAYBE && w->rewrap->to.count == 0)
                t->key = NULL;
            t->match = SLOT_OLD;
        }
        if (t->key == NULL && !w->plan->opened.tag_fits && !slot_moves(t->old)) {
            slot_describe(t->old, what);
            (void)fail(err, ERR_DAMAGED,
                       "its slots were changed by somebody who does not have its branch key, and "
                       "that of %s cannot be checked",
                       what);
            err_hint(err, "-k gives that key too; --to gives it new slots and drops all others");
            return FAIL;
        }
    }
    return OK;
}

static bool all_at_hand(const struct work *w)
{
    bool all = true;

    for (size_t i = 0; i < w->count; i++)
        all = all && w->targets[i].key != NULL;
    return all;
}

/* The branch of this run for the keys that the file is to have. */
static struct result run_branch(struct work *w, const struct branch **out, struct err *err)
{
    struct session *s = w->session;
    struct master_key *keys[SLOTS_MAX];
    const struct keyset set = {keys, w->count};

    for (size_t i = 0; i < w->count; i++)
        keys[i] = w->targets[i].key;
    return branches_need(&s->branches, &s->table, s->crypto, &set, &w->e->core.context, out, err);
}

/* A slot of the branch that the file has, by a key that has none there. */
static struct result wrap_again(struct work *w, struct master_key *key, struct slot *out,
                                struct err *err)
{
    struct branch_identity identity = {w->e->branch_id, &w->e->core.context};
    const struct branch_key *branch = &w->plan->opened.branch;
    uint8_t name[SHA256_SIZE];

    slot_table_name(key, w->e->branch_id, NULL, name);
    if (slot_table_find(&w->rewrap->made, name, out))
        return OK;
    if (!branch_wrap(key, &identity, &branch->key, out, err).ok ||
        !branch_prove(key, &identity, &branch->key, out, err).ok)
        return FAIL;
    w->rewrap->wraps++;
    return slot_table_add(&w->rewrap->made, name, out, err).ok
               ? branch_remember(&w->session->table, branch, out, 1, err)
               : FAIL;
}

/* The branch stays: a slot stays, or is wrapped from the branch key that all files of the branch
 * share. */
static struct result wrap_old_branch(struct work *w, struct err *err)
{
    bool sure = false;

    for (size_t i = 0; i < w->count; i++) {
        const struct target *t = &w->targets[i];
        bool keep = t->old != NULL &&
                    (t->key == NULL || t->match == SLOT_CURRENT || t->match == SLOT_MAYBE);
        if (t->old == NULL && !w->rewrap->share_branch) {
            (void)fail(err, ERR_POLICY,
                       "not all keys that it has are given, so that a key which is added would "
                       "open every file of its branch");
            err_hint(err, "-k gives the other keys; --share-branch accepts that");
            return FAIL;
        }
        sure = sure || t->key != NULL || !slot_moves(t->old);
        if (keep)
            w->slots[i] = *t->old;
        else if (!wrap_again(w, t->key, &w->slots[i], err).ok)
            return FAIL;
    }
    if (!sure) {
        (void)fail(err, ERR_POLICY, "no key would be left that was seen to open it");
        err_hint(err, "-k gives the keys that shall stay");
        return FAIL;
    }
    w->plan->stays = true;
    return OK;
}

static struct result finish_opened(struct work *w, struct err *err)
{
    const struct branch_opened *o = &w->plan->opened;
    const struct branch *fresh = NULL;
    struct envelope *e = &w->plan->envelope;

    *e = *w->e;
    e->slots = NULL;
    w->plan->changed = !o->tag_fits || !as_before(w);
    if (!w->plan->changed) {
        e->slots = malloc(w->count * sizeof *e->slots);
        if (e->slots == NULL)
            return fail(err, ERR_FAILED, "out of memory");
        memcpy(e->slots, w->e->slots, w->count * sizeof *e->slots);
        return OK;
    }
    if (all_at_hand(w) ? !run_branch(w, &fresh, err).ok : !wrap_old_branch(w, err).ok)
        return FAIL;
    return envelope_wrap(e, w->session->crypto, fresh != NULL ? &fresh->key : &o->branch,
                         &o->data_key, fresh != NULL ? fresh->slots : w->slots, w->count, err);
}

static struct result plan_slots(struct work *w, struct err *err)
{
    struct move m = {0};

    keyset_next_file(&w->rewrap->to);
    keyset_next_file(&w->rewrap->add);
    if (!check_age(w, err).ok || !find_targets(w, err).ok)
        return FAIL;
    if (w->plan->other)
        return OK;
    if (can_move(w) && !move_all(w, &m, err).ok)
        return FAIL;
    if (m.done)
        return finish_moved(w, err);
    w->plan->changed = false;
    return open_keys(w, &m.failed, err).ok && believe(w, err).ok ? finish_opened(w, err) : FAIL;
}

struct result plan_make(struct plan *p, struct rewrap *r, const struct sealed *f, struct err *err)
{
    struct plan made PLAN_CLEANUP = {0};
    struct work w = {
        .rewrap = r, .session = r->session, .e = &f->envelope, .slots = r->scratch, .plan = &made};

    if (f->other.slots != NULL &&
        memcmp(f->other.core_hash, f->envelope.core_hash, SHA256_SIZE) != 0)
        return fail(err, ERR_DAMAGED, "its two envelope copies are of different files");
    if (!plan_slots(&w, err).ok)
        return FAIL;
    *p = made;
    made = (struct plan){0};
    return OK;
}

void plan_end(struct plan *p)
{
    free(p->envelope.slots);
    p->envelope = (struct envelope){0};
    branch_opened_free(&p->opened);
}
