#include "keystore/branch.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/host.h"
#include "base/stream.h"
#include "base/text.h"

#define ENTRY_SIZE (SHA256_SIZE + KEY_SIZE) /* what it was opened by, and the key */
#define TABLE_START 256                     /* entries */

/* The beginning of a branch id is enough to tell it from the others of a run. */
static const char *short_id(const uint8_t id[BRANCH_ID_SIZE], char out[17])
{
    return text_hex(out, id, 8);
}

/* The words for what a key made of a slot. */
static void explain_slot(const struct master_key *key, const struct envelope *e,
                         const struct slot *slot, enum unwrapped u, const struct err *why)
{
    static const char *const words[] = {[UNWRAP_OPENED] = "it opens",
                                        [UNWRAP_NOT_MINE] = "not of this key",
                                        [UNWRAP_FAILED] = "it does not open: "};
    char what[SLOT_DESCRIBED_MAX];

    slot_describe(slot, what);
    host_explain("key '%s': slot %zu, of %s: %s%s", keystore_shown(key), (size_t)(slot - e->slots),
                 what, words[u], u == UNWRAP_FAILED ? why->text : "");
}

enum unwrapped branch_unwrap_own(struct master_key *key, const struct branch_identity *identity,
                                 const struct slot *slot, const struct secret *branch_key,
                                 struct err *err)
{
    struct secret back SECRET_CLEANUP = {0};
    enum unwrapped u = key->ops->unwrap(key, identity, slot, &back, err);

    if (u != UNWRAP_OPENED || (back.size == branch_key->size &&
                               sodium_memcmp(back.bytes, branch_key->bytes, back.size) == 0))
        return u;
    (void)fail(err, ERR_FAILED, "the %s key store does not unwrap what it wrapped", key->ops->name);
    return UNWRAP_FAILED;
}

struct result branch_wrap(struct master_key *key, const struct branch_identity *identity,
                          const struct secret *branch_key, struct slot *slot, struct err *err)
{
    char id[17];

    if (!key->ops->wrap(key, identity, branch_key, slot, err).ok)
        return FAIL;
    host_explain("key '%s': wrapped the new branch key %s...", keystore_shown(key),
                 short_id(identity->id, id));
    if (!key->ops->reopens(key))
        return OK;
    key->kdf_work = 0; /* nobody else chose what this slot costs */
    enum unwrapped u = branch_unwrap_own(key, identity, slot, branch_key, err);
    if (u == UNWRAP_NOT_MINE)
        return fail(err, ERR_FAILED, "a wrap by the %s key store does not open again",
                    key->ops->name);
    key->proved = u == UNWRAP_OPENED;
    return key->proved ? OK : FAIL;
}

struct result branch_prove(struct master_key *key, const struct branch_identity *identity,
                           const struct secret *branch_key, const struct slot *slot,
                           struct err *err)
{
    if (key->proved || (key->ops->seals_only != NULL && key->ops->seals_only(key)))
        return OK;
    enum unwrapped u = branch_unwrap_own(key, identity, slot, branch_key, err);
    host_explain("key '%s': unwrapped what it wrapped, before slots of other keys go",
                 keystore_shown(key));
    if (u == UNWRAP_NOT_MINE)
        (void)fail(err, ERR_NO_KEY, "another key opens it");
    if (u != UNWRAP_OPENED)
        err_context(err, "the new %s key does not open what is sealed to it", key->ops->name);
    key->proved = u == UNWRAP_OPENED;
    return key->proved ? OK : FAIL;
}

static struct result prove_all(const struct branch *b, const struct keyset *keys, struct err *err)
{
    struct branch_identity identity = {branch_key_id(&b->key), &b->context};

    for (size_t i = 0; i < keys->count; i++)
        if (!branch_prove(keys->keys[i], &identity, &b->key.key, &b->slots[i], err).ok)
            return FAIL;
    return OK;
}

struct result branch_new(struct branch *b, const struct crypto *crypto, const struct keyset *keys,
                         const struct context *context, struct err *err)
{
    struct branch made BRANCH_CLEANUP = {0};
    struct secret key SECRET_CLEANUP = {0};

    if (keys->count > SLOTS_MAX)
        return fail(err, ERR_USAGE, "more than %d keys", SLOTS_MAX);
    made.slots = malloc(keys->count * sizeof *made.slots);
    if (made.slots == NULL)
        return fail_memory(err);
    if (!context_copy(&made.context, context, err).ok || !secret_random(&key, KEY_SIZE, err).ok ||
        !branch_key_derive(&made.key, crypto, &key, context, err).ok)
        return FAIL;
    struct branch_identity identity = {branch_key_id(&made.key), context};
    for (; made.slot_count < keys->count; made.slot_count++) {
        struct master_key *master = keys->keys[made.slot_count];
        if (!branch_wrap(master, &identity, &key, &made.slots[made.slot_count], err).ok)
            return FAIL;
    }
    *b = TAKE(made);
    return OK;
}

void branch_free(struct branch *b)
{
    branch_key_free(&b->key);
    context_free(&b->context);
    free(b->slots);
    *b = (struct branch){0};
}

/* The hash by which an entry is found: of this very slot of this very branch. */
static void hash_slot(const uint8_t branch_id[BRANCH_ID_SIZE], const struct slot *slot,
                      uint8_t out[SHA256_SIZE])
{
    uint8_t fixed[2 + 2 + 2];
    struct wire_writer w = wire_writer(fixed, sizeof fixed);

    wire_put_u16(&w, slot->code);
    wire_put_u16(&w, (uint16_t)slot->header_size);
    wire_put_u16(&w, (uint16_t)slot->wrap_size);
    sha256(out,
           (struct view[]){{branch_id, BRANCH_ID_SIZE},
                           {fixed, sizeof fixed},
                           {slot->header, slot->header_size},
                           {slot->wrap, slot->wrap_size}},
           4);
}

static uint8_t *entry(const struct branch_table *t, uint32_t number)
{
    return t->entries.bytes + (size_t)(number - 1) * ENTRY_SIZE;
}

/* The place of an entry in the index, or the empty one where it would be. */
static uint32_t *find(const struct branch_table *t, const uint8_t hash[SHA256_SIZE])
{
    struct wire_reader r = wire_reader(hash, SHA256_SIZE);
    size_t mask = 2 * t->room - 1, i = wire_get_u32(&r) & mask;

    while (t->index[i] != 0 && memcmp(entry(t, t->index[i]), hash, SHA256_SIZE) != 0)
        i = (i + 1) & mask;
    return &t->index[i];
}

/* Twice the room, or the first. */
static struct result grow(struct branch_table *t, struct err *err)
{
    struct branch_table larger BRANCH_TABLE_CLEANUP = {
        .room = t->room == 0 ? TABLE_START : 2 * t->room, .count = t->count};

    larger.index = calloc(2 * larger.room, sizeof *larger.index);
    if (larger.index == NULL)
        return fail_memory(err);
    if (!secret_new(&larger.entries, larger.room * ENTRY_SIZE, err).ok)
        return FAIL;
    if (t->count > 0)
        memcpy(larger.entries.bytes, t->entries.bytes, t->count * ENTRY_SIZE);
    for (uint32_t n = 1; n <= t->count; n++)
        *find(&larger, entry(&larger, n)) = n;
    secret_free(&t->entries);
    free(t->index);
    t->entries = TAKE(larger.entries);
    t->index = larger.index;
    t->room = larger.room;
    larger.index = NULL;
    return OK;
}

static struct result remember(struct branch_table *t, const uint8_t branch_id[BRANCH_ID_SIZE],
                              const struct slot *slot, const struct secret *key, struct err *err)
{
    uint8_t hash[SHA256_SIZE];

    if (t->count == BRANCH_TABLE_MAX) {
        t->forgotten++;
        return OK;
    }
    if (t->count == t->room && !grow(t, err).ok)
        return FAIL;
    hash_slot(branch_id, slot, hash);
    uint32_t *at = find(t, hash);
    if (*at == 0) {
        *at = (uint32_t)++t->count;
        memcpy(entry(t, *at), hash, SHA256_SIZE);
    }
    memcpy(entry(t, *at) + SHA256_SIZE, key->bytes, KEY_SIZE);
    return OK;
}

/* The key that a slot gave in this run, a view of the table; empty if it did not. */
static struct secret known(const struct branch_table *t, const uint8_t branch_id[BRANCH_ID_SIZE],
                           const struct slot *slot)
{
    uint8_t hash[SHA256_SIZE];

    if (t->count == 0)
        return (struct secret){0};
    hash_slot(branch_id, slot, hash);
    uint32_t at = *find(t, hash);
    return at == 0 ? (struct secret){0} : (struct secret){entry(t, at) + SHA256_SIZE, KEY_SIZE};
}

/* From a branch key down to the data key. ERR_NO_KEY if it is not this envelope's. */
static struct result open_below(const struct crypto *crypto, const struct envelope *e,
                                const struct secret *key, struct branch_opened *o, struct err *err)
{
    struct branch_opened made BRANCH_OPENED_CLEANUP = {0};

    if (!branch_key_derive(&made.branch, crypto, key, &e->core.context, err).ok ||
        !envelope_unwrap(e, crypto, &made.branch, &made.data_key, err).ok ||
        !envelope_tag_fits(e, &made.branch, &made.tag_fits, err).ok)
        return FAIL;
    *o = TAKE(made);
    return OK;
}

/* True if a slot of the envelope gave its branch key before. A failure other than "not this key" is
 * left to the slow way, which will meet it again. */
static bool open_known(const struct branch_table *t, const struct crypto *crypto,
                       const struct envelope *e, struct branch_opened *o)
{
    struct err ignored;

    for (size_t s = 0; s < e->slot_count; s++) {
        struct secret key = known(t, e->branch_id, &e->slots[s]);
        if (key.size > 0 && open_below(crypto, e, &key, o, &ignored).ok) {
            host_explain("slot %zu: opened before in this run, no key is asked", s);
            return true;
        }
    }
    return false;
}

/* One master key on one slot, down to the data key. "Not this key" leaves *err untouched. */
static bool open_slot(struct branch_table *t, const struct crypto *crypto, struct master_key *key,
                      const struct envelope *e, const struct slot *slot, struct branch_opened *o,
                      struct err *err)
{
    struct branch_identity identity = {e->branch_id, &e->core.context};
    struct secret branch_key SECRET_CLEANUP = {0};
    struct err why = {0};

    enum unwrapped u = key->ops->unwrap(key, &identity, slot, &branch_key, &why);
    explain_slot(key, e, slot, u, &why);
    if (u == UNWRAP_OPENED) {
        t->unwraps++;
        if (open_below(crypto, e, &branch_key, o, &why).ok &&
            remember(t, e->branch_id, slot, &branch_key, &why).ok)
            return true;
        branch_opened_free(o);
    }
    bool failed = u == UNWRAP_FAILED || (u == UNWRAP_OPENED && why.class != ERR_NO_KEY);
    if (failed && err->class != ERR_STORE) /* of several reasons, the one that may pass is told */
        *err = why;
    return false;
}

bool branch_slot_known(const struct branch_table *table, const struct envelope *e,
                       const struct slot *slot, const struct branch_opened *o)
{
    struct secret seen = known(table, e->branch_id, slot);

    return seen.size > 0 && sodium_memcmp(seen.bytes, o->branch.key.bytes, KEY_SIZE) == 0;
}

bool branch_slot_opens(struct branch_table *table, struct master_key *key, const struct envelope *e,
                       const struct slot *slot, const struct branch_opened *o, struct err *err)
{
    struct branch_identity identity = {e->branch_id, &e->core.context};

    if (branch_slot_known(table, e, slot, o))
        return true;
    enum unwrapped u = branch_unwrap_own(key, &identity, slot, &o->branch.key, err);
    explain_slot(key, e, slot, u, err);
    if (u != UNWRAP_OPENED)
        return false;
    table->unwraps++;
    return remember(table, e->branch_id, slot, &o->branch.key, err).ok;
}

/* Says which slots there are, as 'bulla inspect' does, and no more: nobody shall learn how near a
 * key was. */
static void hint_at_slots(const struct keyset *keys, const struct envelope *e, struct err *err)
{
    char list[ERR_HINT_MAX - 64 - KEY_DOUBT_MAX] = "", what[SLOT_DESCRIBED_MAX];
    char doubt[KEY_DOUBT_MAX] = "";
    size_t used = 0;

    for (size_t s = 0; s < e->slot_count; s++) {
        for (size_t k = 0; k < keys->count; k++)
            if (keys->keys[k]->ops->doubt != NULL)
                keys->keys[k]->ops->doubt(keys->keys[k], &e->slots[s], doubt);
        slot_describe(&e->slots[s], what);
        if (used + strlen(what) + sizeof ", ..." >= sizeof list) {
            snprintf(list + used, sizeof list - used, "...");
            break;
        }
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", what,
                                 s + 1 < e->slot_count ? ", " : "");
    }
    err_hint(err, "%s%sit was sealed to %s, as 'bulla inspect' shows%s", doubt,
             doubt[0] != '\0' ? "; " : "", list, host_is_program() ? "; -k names a key" : "");
}

/* Why no key opened it. */
static struct result not_opened(const struct keyset *keys, const struct envelope *e,
                                const struct err *failed, struct err *err)
{
    char what[SLOT_DESCRIBED_MAX];

    if (failed->class != ERR_NONE) {
        *err = *failed;
        return FAIL;
    }
    for (size_t s = 0; s < e->slot_count; s++)
        if (!slot_understood(&e->slots[s])) {
            slot_describe(&e->slots[s], what);
            return fail(err, ERR_UNSUPPORTED,
                        "none of the given keys opens it, and this bulla cannot use its slot of %s",
                        what);
        }
    (void)fail(err, ERR_NO_KEY, "none of the given keys opens it");
    hint_at_slots(keys, e, err);
    return FAIL;
}

struct result branch_open(struct branch_table *table, const struct crypto *crypto,
                          const struct keyset *keys, const struct envelope *e,
                          struct branch_opened *o, struct err *err)
{
    struct err failed = {0};

    keyset_next_file(keys);
    if (open_known(table, crypto, e, o))
        return OK;
    for (size_t k = 0; k < keys->count; k++) {
        for (size_t s = 0; s < e->slot_count; s++) {
            if (stream_interrupted()) /* slots may take long, one after the other */
                return fail(err, ERR_INTERRUPTED, "interrupted");
            if (open_slot(table, crypto, keys->keys[k], e, &e->slots[s], o, &failed))
                return OK;
        }
    }
    return not_opened(keys, e, &failed, err);
}

struct result branch_remember(struct branch_table *table, const struct branch_key *key,
                              const struct slot *slots, size_t count, struct err *err)
{
    for (size_t i = 0; i < count; i++)
        if (!remember(table, branch_key_id(key), &slots[i], &key->key, err).ok)
            return FAIL;
    return OK;
}

void branch_opened_free(struct branch_opened *o)
{
    branch_key_free(&o->branch);
    secret_free(&o->data_key);
    o->tag_fits = false;
}

void branch_table_free(struct branch_table *table)
{
    secret_free(&table->entries);
    free(table->index);
    *table = (struct branch_table){0};
}

#define BRANCHES_MAX 64

/* struct made_branch: a branch and the keys that wrapped it. */
struct made_branch {
    struct branch branch;
    struct master_key **keys;
};

static const struct branch *find_branch(const struct branches *b, const struct keyset *keys,
                                        const struct context *context)
{
    for (size_t i = 0; i < b->count; i++) {
        const struct made_branch *m = &b->list[i];
        if (m->branch.slot_count == keys->count &&
            memcmp(m->keys, keys->keys, keys->count * sizeof *m->keys) == 0 &&
            context_equal(&m->branch.context, context))
            return &m->branch;
    }
    return NULL;
}

static void made_branch_free(struct made_branch *m)
{
    branch_free(&m->branch);
    free(m->keys);
    m->keys = NULL;
}

struct result branches_need(struct branches *b, struct branch_table *table,
                            const struct crypto *crypto, const struct keyset *keys,
                            const struct context *context, const struct branch **out,
                            struct err *err)
{
    struct made_branch made __attribute__((cleanup(made_branch_free))) = {0};

    *out = find_branch(b, keys, context);
    if (*out != NULL)
        return OK;
    if (b->list == NULL)
        b->list = calloc(BRANCHES_MAX, sizeof *b->list);
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): a list of pointers */
    made.keys = malloc(keys->count * sizeof *made.keys);
    if (b->list == NULL || made.keys == NULL)
        return fail_memory(err);
    memcpy(made.keys, keys->keys, keys->count * sizeof *made.keys);
    if (!branch_new(&made.branch, crypto, keys, context, err).ok ||
        (b->prove && !prove_all(&made.branch, keys, err).ok) ||
        !branch_remember(table, &made.branch.key, made.branch.slots, made.branch.slot_count, err)
             .ok)
        return FAIL;
    b->wraps += made.branch.slot_count;
    struct made_branch *at = &b->list[b->next];
    made_branch_free(at);
    *at = TAKE(made);
    b->next = (b->next + 1) % BRANCHES_MAX;
    b->count += b->count < BRANCHES_MAX;
    *out = &at->branch;
    return OK;
}

void branches_free(struct branches *b)
{
    for (size_t i = 0; i < b->count; i++)
        made_branch_free(&b->list[i]);
    free(b->list);
    *b = (struct branches){0};
}
