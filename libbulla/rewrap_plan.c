#include "libbulla/rewrap_plan.h"

#include <stdlib.h>
#include <string.h>

#include "libbulla/rewrap_targets.h"

static struct result check_age(const struct work *w, struct err *err)
{
    const struct rewrap *r = w->rewrap;
    const struct keyset *sets[] = {&w->session->keys, &r->to, &r->add, &r->remove};

    for (size_t i = 0; i < 4; i++)
        if (!keyset_check_age(sets[i], w->e->slots, w->e->slot_count, err).ok)
            return FAIL;
    return OK;
}

/* Where an envelope opens nothing, or is none, or not there. */
static bool opens_nothing(const struct err *err)
{
    return err->class == ERR_MISSING || err->class == ERR_FOREIGN || err->class == ERR_DAMAGED;
}

enum export rewrap_plan_export(struct rewrap *r, const struct sealed_place *exported,
                               const struct sealed *file)
{
    struct sealed f SEALED_CLEANUP = {0};
    struct session silent = {0}, *s = r->session;
    struct err err = {0};

    if (!sealed_open(&f, &silent, exported, &err).ok)
        return opens_nothing(&err) ? EXPORT_NONE : EXPORT_UNREAD;
    if (file != NULL &&
        memcmp(f.envelope.core.file_id, file->envelope.core.file_id, CORE_ID_SIZE) != 0)
        return EXPORT_NONE;
    pthread_mutex_lock(&s->lock);
    bool due = rewrap_plan_is_due(r, &f.envelope);
    pthread_mutex_unlock(&s->lock);
    return due ? EXPORT_OLD : EXPORT_NONE;
}

bool rewrap_plan_is_due(struct rewrap *r, const struct envelope *e)
{
    struct plan plan = {0};
    struct work w = {.rewrap = r, .session = r->session, .e = e, .plan = &plan};
    struct err ignored;

    return !targets_find(&w, &ignored).ok || (!plan.other && !targets_as_before(&w));
}

/* struct move: the result of a slot that a key store moves by itself. */
struct move {
    bool done;
    struct err failed; /* a key that should have done it could not */
};

/* One key on one slot, once in a run. This does not show that the slot opens this very file: the
 * store only knows the branch and the context. */
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

/* Whether a slot may be moved to the target's key: a slot of another key only if the user wants
 * that. */
static bool may_become(const struct work *w, const struct target *t, const struct slot *slot)
{
    return target_wanted(w, t) || t->key->ops->match(t->key, slot) != SLOT_OTHER;
}

/* Tries every slot with every key that may open it: first the slot that is to be replaced, and
 * first the keys that were named to open. */
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
                if (&w->e->slots[s] != t->old && may_become(w, t, &w->e->slots[s]) &&
                    !try_move(w, from, t->key, &w->e->slots[s], out, m, err).ok)
                    return FAIL;
        }
    return OK;
}

/* Whether key stores can do everything by themselves: one new slot for each old slot, which the tag
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

/* Moves the slots one for one; the branch key does not come here. A current slot is moved too, to
 * its own key: that shows that it is what it says. m->done is false if a store could not. */
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
        return fail_memory(err);
    memcpy(e->slots, w->slots, w->count * sizeof *e->slots);
    w->plan->stays = w->plan->changed;
    return OK;
}

static bool says_to_be_of(const struct slot *slot, const struct master_key *key)
{
    enum slot_match m = key->ops->match(key, slot);

    return m == SLOT_CURRENT || m == SLOT_OLD;
}

/* Whether a slot says that it is of this new key, and of no key that is named to open. */
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
        return fail_memory(err);
    for (size_t n = 0; n < 3; n++)
        for (int movers = 0; movers < (movers_too ? 2 : 1); movers++)
            for (size_t i = 0; i < sets[n]->count; i++) {
                struct master_key *key = sets[n]->keys[i];
                if ((key->ops->move != NULL) == (movers == 1) && (n == 0 || owns_slot(w, key)))
                    out->keys[out->count++] = key;
            }
    return OK;
}

/* Opens the file. If a store failed to move a slot, it is not asked for the branch key instead:
 * that would take a permission that nobody meant to give. Why the move failed is reported if no
 * other key opens the file either. */
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

static bool is_vouched_for(const struct work *w, const struct slot *slot)
{
    return w->plan->opened.tag_fits && !slot_moves(slot);
}

/* Whether a slot that says it is of a key at hand is. *err, if it is touched, says why that cannot
 * be seen. */
static bool is_true(struct work *w, struct master_key *key, const struct slot *slot,
                    struct err *err)
{
    struct move m = {0};
    struct slot out;

    if (key->ops->seals_only != NULL && key->ops->seals_only(key))
        return is_vouched_for(w, slot);
    if (key->ops->move == NULL ||
        branch_slot_known(&w->session->table, w->e, slot, &w->plan->opened))
        return branch_slot_opens(&w->session->table, key, w->e, slot, &w->plan->opened, err);
    if (!try_move(w, key, key, slot, &out, &m, err).ok)
        return false;
    /* "Not this key" is an answer, and no failure. */
    if (!m.done && m.failed.class != ERR_NO_KEY)
        *err = m.failed;
    return m.done;
}

/* Looks at a slot that is to stay as it is. One that only looked like a key's is another's; one
 * that is not what it says is made anew, if its key is one of the file's. */
static struct result check_kept(struct work *w, struct target *t, struct err *err)
{
    struct err why = {0};

    if (t->key == NULL || (t->match != SLOT_CURRENT && t->match != SLOT_MAYBE) ||
        is_true(w, t->key, t->old, &why))
        return OK;
    if (why.class != ERR_NONE) {
        *err = why;
        return FAIL;
    }
    if (t->match == SLOT_MAYBE && w->rewrap->to.count == 0)
        t->key = NULL;
    t->match = SLOT_OLD;
    return OK;
}

/* A key that is about to get a slot and was not named for that: some slot must show that it has
 * been one of the file's. */
static struct result check_owner(struct work *w, const struct target *t, struct err *err)
{
    char what[SLOT_DESCRIBED_MAX];
    struct err why = {0};

    if (t->key == NULL || t->match != SLOT_OLD || target_wanted(w, t) || is_vouched_for(w, t->old))
        return OK;
    for (size_t s = 0; s < w->e->slot_count; s++)
        if (t->key->ops->match(t->key, &w->e->slots[s]) != SLOT_OTHER &&
            is_true(w, t->key, &w->e->slots[s], &why))
            return OK;
    if (why.class != ERR_NONE) {
        *err = why;
        return FAIL;
    }
    slot_describe(t->old, what);
    (void)fail(err, ERR_DAMAGED,
               "its slot of %s does not open it, and may have been put there by "
               "anybody",
               what);
    return fail_hint_option(err, "--add makes that key one of its keys; --remove drops the slot");
}

/* A slot whose key is not at hand, once it is known that slots were changed. */
static struct result check_other(struct work *w, const struct target *t, struct err *err)
{
    char what[SLOT_DESCRIBED_MAX];

    if (t->key != NULL || w->plan->opened.tag_fits || slot_moves(t->old))
        return OK;
    slot_describe(t->old, what);
    (void)fail(err, ERR_DAMAGED,
               "its slots were changed by somebody who does not have its branch key, and that of "
               "%s cannot be checked",
               what);
    return fail_hint_option(err,
                            "-k gives that key too; --to gives it new slots and drops all others");
}

static struct result believe(struct work *w, struct err *err)
{
    for (size_t i = 0; i < w->count; i++) {
        struct target *t = &w->targets[i];
        if (!check_kept(w, t, err).ok || !check_owner(w, t, err).ok || !check_other(w, t, err).ok)
            return FAIL;
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

/* A new slot, by a key that has none there, of the branch that the file has. */
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

/* The branch stays: each slot stays, or is a new wrap of the branch key that all files of the
 * branch share. */
static struct result wrap_old_branch(struct work *w, struct err *err)
{
    bool sure = false;

    for (size_t i = 0; i < w->count; i++) {
        const struct target *t = &w->targets[i];
        bool keep = t->old != NULL &&
                    (t->key == NULL || t->match == SLOT_CURRENT || t->match == SLOT_MAYBE);
        if (t->old == NULL && !w->rewrap->share_branch) {
            (void)fail(err, ERR_POLICY,
                       "not all of its keys are given, so an added key would open every file of "
                       "its branch");
            return fail_hint_option(err, "-k gives the other keys; --share-branch accepts that");
        }
        sure = sure || t->key != NULL || !slot_moves(t->old);
        if (keep)
            w->slots[i] = *t->old;
        else if (!wrap_again(w, t->key, &w->slots[i], err).ok)
            return FAIL;
    }
    if (!sure) {
        (void)fail(err, ERR_POLICY, "no key would be left that was seen to open it");
        return fail_hint_option(err, "-k gives the keys to keep");
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
    w->plan->changed = !o->tag_fits || !targets_as_before(w);
    if (!w->plan->changed) {
        e->slots = malloc(w->count * sizeof *e->slots);
        if (e->slots == NULL)
            return fail_memory(err);
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
    if (!check_age(w, err).ok || !targets_find(w, err).ok)
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

struct result rewrap_plan_make(struct plan *p, struct rewrap *r, const struct sealed *f,
                               struct err *err)
{
    struct plan made PLAN_CLEANUP = {0};
    struct work w = {
        .rewrap = r, .session = r->session, .e = &f->envelope, .slots = r->scratch, .plan = &made};

    if (f->other.slots != NULL &&
        memcmp(f->other.core_hash, f->envelope.core_hash, SHA256_SIZE) != 0)
        return fail(err, ERR_DAMAGED, "its two envelope copies are of different files");
    if (!plan_slots(&w, err).ok)
        return FAIL;
    *p = TAKE(made);
    return OK;
}

void rewrap_plan_end(struct plan *p)
{
    free(p->envelope.slots);
    p->envelope = (struct envelope){0};
    branch_opened_free(&p->opened);
}
