/* A sealed file that somebody changed, and a rewrap of it by a keyring of two keys in two versions
 * (rewrap.ring): to the active versions, to one key, and with a key more. What the plan says opens
 * to the same data key as before and is current then; a file that no key opens stays as it is, and
 * nobody says that it is current. */
#include "keystore/keyring/slots.h"
#include "libbulla/rewrap_plan.h"
#include "tests/fuzz/copies.h"

/* struct kind: a rewrap by these references; NULL = none. */
static const struct kind {
    const char *to, *add;
} kinds[] = {{NULL, NULL}, {"given#one", NULL}, {"given#two", NULL}, {NULL, "given#two"}};

#define KINDS (sizeof kinds / sizeof *kinds)

static struct session session;
static struct rewrap rewraps[KINDS];

static void open_set(struct keyset *set, const char *reference)
{
    struct err err;

    if (reference != NULL)
        HOLDS(keyset_open(set, &session.env, &reference, 1, &err).ok);
}

/* The keys are opened once, and remember nothing of a file. */
static void ready(void)
{
    static bool done;
    struct err err;
    size_t size;

    if (done)
        return;
    (void)fuzz_crypto();
    char *ring STRING_CLEANUP = fuzz_read(REWRAP_RING, &size);
    fuzz_directory();
    fuzz_write("given", ring, size);
    HOLDS(session_open(&session, (const char *[]){"given#one", "given#two"}, 2, &err).ok);
    for (size_t i = 0; i < KINDS; i++) {
        rewraps[i] = (struct rewrap){.session = &session, .share_branch = true};
        open_set(&rewraps[i].to, kinds[i].to);
        open_set(&rewraps[i].add, kinds[i].add);
        HOLDS(rewrap_start(&rewraps[i], &err).ok);
    }
    done = true;
}

/* Each file is judged as if it were the first of a run. */
static void forget(void)
{
    branch_table_free(&session.table);
    branches_free(&session.branches);
    for (size_t i = 0; i < KINDS; i++)
        slot_table_free(&rewraps[i].made);
}

/* Whether somebody without the branch key changed the slots, by the bytes alone. */
static bool tag_is_right(const struct envelope *e, const struct branch_key *branch)
{
    struct envelope fitted = *e;
    uint8_t tag[SHA256_SIZE], *copy;
    struct err err;

    HOLDS(envelope_fit(&fitted, &err).ok && envelope_encode(&fitted, &copy, &err).ok);
    copy_tag(copy_content(copy), branch, tag);
    free(copy);
    return memcmp(tag, e->tag, sizeof tag) == 0;
}

/* One key on one slot, by nothing that was seen before. */
static bool slot_opens(struct master_key *key, const struct envelope *e, const struct slot *slot,
                       struct branch_opened *o)
{
    struct branch_identity identity = {e->branch_id, &e->core.context};
    struct secret branch SECRET_CLEANUP = {0};
    struct branch_opened made BRANCH_OPENED_CLEANUP = {0};
    struct err err;

    if (key->ops->unwrap(key, &identity, slot, &branch, &err) != UNWRAP_OPENED)
        return false;
    HOLDS(branch_key_derive(&made.branch, fuzz_crypto(), &branch, &e->core.context, &err).ok);
    if (!envelope_unwrap(e, fuzz_crypto(), &made.branch, &made.data_key, &err).ok)
        return false;
    made.tag_fits = tag_is_right(e, &made.branch);
    branch_opened_free(o);
    *o = TAKE(made);
    return true;
}

static bool opens(const struct keyset *keys, const struct envelope *e, struct branch_opened *o)
{
    for (size_t k = 0; k < keys->count; k++)
        for (size_t i = 0; i < e->slot_count; i++)
            if (slot_opens(keys->keys[k], e, &e->slots[i], o))
                return true;
    return false;
}

static bool same_key(const struct branch_opened *a, const struct branch_opened *b)
{
    return memcmp(a->data_key.bytes, b->data_key.bytes, KEY_SIZE) == 0;
}

static struct master_key *owner(const struct slot *slot)
{
    for (size_t i = 0; i < session.keys.count; i++) {
        struct master_key *key = session.keys.keys[i];
        if (key->ops->match(key, slot) != SLOT_OTHER)
            return key;
    }
    return NULL;
}

/* A file that nothing is to be done to: every slot of one of our keys opens it, in the version that
 * is active, and the others are as the tag says. */
static void check_current(const struct envelope *e, const struct plan *p,
                          const struct branch_opened *o)
{
    struct branch_opened now BRANCH_OPENED_CLEANUP = {0};

    HOLDS(p->envelope.slot_count == e->slot_count && o->tag_fits && !p->stays);
    for (size_t i = 0; i < e->slot_count; i++) {
        const struct slot *s = &e->slots[i];
        HOLDS(slot_equal(s, &p->envelope.slots[i]));
        if (owner(s) == NULL)
            continue;
        HOLDS(slot_number(s, &keyring_key_version) == 2);
        HOLDS(slot_opens(owner(s), e, s, &now) && same_key(&now, o));
    }
}

/* All that a file is to have opens it, or was there when nobody had changed the slots, or is moved
 * by its key store, which the tag leaves out. The number of those that open it. */
static size_t check_slots(const struct envelope *made, const struct envelope *e,
                          const struct branch_opened *o)
{
    struct branch_opened now BRANCH_OPENED_CLEANUP = {0};
    size_t ours = 0;

    HOLDS(made->slot_count >= 1 && made->slot_count <= SLOTS_MAX);
    for (size_t i = 0; i < made->slot_count; i++) {
        const struct slot *s = &made->slots[i];
        bool there = false;
        for (size_t n = 0; n < e->slot_count; n++)
            there = there || slot_equal(s, &e->slots[n]);
        ours += owner(s) != NULL;
        if (owner(s) != NULL)
            HOLDS(slot_opens(owner(s), made, s, &now) && same_key(&now, o) && now.tag_fits);
        else
            HOLDS(there && (o->tag_fits || slot_moves(s)));
    }
    return ours;
}

/* Written, read and planned again, nothing is left to do. */
static void check_again(struct rewrap *r, const struct plan *p)
{
    struct sealed sealed = {.envelope = p->envelope};
    struct envelope read ENVELOPE_CLEANUP = {0};
    struct plan again PLAN_CLEANUP = {0};
    uint8_t *copy;
    struct err err = {0};

    HOLDS(envelope_fit(&sealed.envelope, &err).ok);
    HOLDS(envelope_encode(&sealed.envelope, &copy, &err).ok);
    HOLDS(copy_read(&read, copy, envelope_size(&sealed.envelope) / 2));
    free(copy);
    sealed.envelope = read;
    HOLDS(rewrap_plan_make(&again, r, &sealed, &err).ok && !again.changed && !again.other);
    HOLDS(!rewrap_plan_is_due(r, &read));
}

static void check_changed(struct rewrap *r, const struct envelope *e, const struct plan *p,
                          const struct branch_opened *o)
{
    const struct keyset *keys = r->to.count > 0 ? &r->to : &session.keys;
    struct branch_opened now BRANCH_OPENED_CLEANUP = {0};
    const struct envelope *made = &p->envelope;

    HOLDS(memcmp(made->core_hash, e->core_hash, SHA256_SIZE) == 0);
    HOLDS(p->stays == (memcmp(made->branch_id, e->branch_id, BRANCH_ID_SIZE) == 0));
    HOLDS(p->stays == (check_slots(made, e, o) < made->slot_count));
    HOLDS(r->to.count == 0 || made->slot_count == r->to.count);
    HOLDS(opens(keys, made, &now) && now.tag_fits && same_key(&now, o));
    check_again(r, p);
    forget();
    check_again(r, p);
}

/* Neither of a version that the ring lacks, nor with a copy of another file. */
static void check_planned(const struct sealed *f)
{
    const struct envelope *e = &f->envelope;

    for (size_t i = 0; i < e->slot_count; i++)
        HOLDS(owner(&e->slots[i]) == NULL || slot_number(&e->slots[i], &keyring_key_version) <= 2);
    HOLDS(f->other.slots == NULL || memcmp(f->other.core_hash, e->core_hash, SHA256_SIZE) == 0);
}

static void check_plan(struct rewrap *r, const struct sealed *f, const struct branch_opened *o)
{
    struct plan p PLAN_CLEANUP = {0};
    struct err err = {0};
    bool opened = o->data_key.size > 0;

    if (!rewrap_plan_make(&p, r, f, &err).ok) {
        fuzz_refused(&err);
        HOLDS(p.envelope.slots == NULL && p.opened.data_key.size == 0);
        return;
    }
    check_planned(f);
    if (p.other) {
        HOLDS(!opened && !p.changed && p.envelope.slots == NULL);
        for (size_t i = 0; i < f->envelope.slot_count; i++)
            HOLDS(owner(&f->envelope.slots[i]) == NULL);
        return;
    }
    HOLDS(opened && same_key(&p.opened, o));
    if (p.changed)
        check_changed(r, &f->envelope, &p, o);
    else
        check_current(&f->envelope, &p, o);
}

/* A run opens what the slots of an envelope open, whatever it opened before. */
static void check_open(const struct envelope *e, const struct branch_opened *alone)
{
    struct branch_opened o BRANCH_OPENED_CLEANUP = {0};
    struct err err = {0};
    bool ok = branch_open(&session.table, session.crypto, &session.keys, e, &o, &err).ok;

    HOLDS(ok == (alone->data_key.size > 0) && ok == (o.data_key.size > 0));
    if (!ok)
        fuzz_refused(&err);
    else
        HOLDS(same_key(&o, alone) && o.tag_fits == alone->tag_fits);
}

/* As first and only file of a run, and as one that comes after its other copy. */
static void check_file(const struct sealed *f, bool after)
{
    struct branch_opened o BRANCH_OPENED_CLEANUP = {0}, other BRANCH_OPENED_CLEANUP = {0};

    (void)opens(&session.keys, &f->envelope, &o);
    (void)opens(&session.keys, &f->other, &other);
    for (size_t i = 0; i < KINDS; i++) {
        forget();
        if (after)
            check_open(&f->other, &other);
        check_open(&f->envelope, &o);
        check_plan(&rewraps[i], f, &o);
    }
    forget();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int fd FD_CLEANUP = fuzz_file(data, size);
    struct sealed sealed SEALED_CLEANUP = {0};
    struct err err = {0};

    ready();
    if (!sealed_read(&sealed, &session, fd, "input", &err).ok)
        return 0;
    check_file(&sealed, false);
    if (sealed.other.slots != NULL)
        check_file(&sealed, true);
    return 0;
}

/* Who has the branch key can make the tag; the id is that of the branch already. */
static void own(uint8_t *copy, const struct envelope *e)
{
    struct branch_opened o BRANCH_OPENED_CLEANUP = {0};

    if (opens(&session.keys, e, &o))
        copy_own(copy, e, &o.branch);
}

/* A change of the slots: i is one of those of e, n says more; from is the other copy, if that is
 * valid, else e. */
typedef void change(struct envelope *e, size_t i, const struct envelope *from, unsigned n);

static void drop(struct envelope *e, size_t i, const struct envelope *from, unsigned n)
{
    (void)from, (void)n;
    e->slot_count--;
    memmove(&e->slots[i], &e->slots[i + 1], (e->slot_count - i) * sizeof *e->slots);
}

static void plant(struct envelope *e, size_t i, const struct envelope *from, unsigned n)
{
    struct slot planted = from->slots[n / 2 % from->slot_count];

    e->slots[n % 2 != 0 && e->slot_count < SLOTS_MAX ? e->slot_count++ : i] = planted;
}

static void swap(struct envelope *e, size_t i, const struct envelope *from, unsigned n)
{
    size_t other = n % e->slot_count;
    struct slot kept = e->slots[i];

    (void)from;
    e->slots[i] = e->slots[other];
    e->slots[other] = kept;
}

static void flip(uint8_t *bytes, size_t size, unsigned n)
{
    if (size > 0)
        bytes[n / 8 % size] ^= (uint8_t)(1 << n % 8);
}

static void flip_wrap(struct envelope *e, size_t i, const struct envelope *from, unsigned n)
{
    (void)from;
    flip(e->slots[i].wrap, e->slots[i].wrap_size, n);
}

static void flip_header(struct envelope *e, size_t i, const struct envelope *from, unsigned n)
{
    (void)from;
    flip(e->slots[i].header, e->slots[i].header_size, n);
}

static void set_method(struct envelope *e, size_t i, const struct envelope *from, unsigned n)
{
    struct slot old = e->slots[i], *slot = &e->slots[i];

    (void)from;
    slot_begin(slot, n % 0x30);
    slot_put_fixed(slot, old.header, old.header_size);
    slot->wrap_size = old.wrap_size;
}

static void set_version(struct envelope *e, size_t i, const struct envelope *from, unsigned n)
{
    (void)from;
    if (e->slots[i].header_size > SLOT_KEY_ID_SIZE + 4)
        e->slots[i].header[SLOT_KEY_ID_SIZE + 3] = (uint8_t)(n % 4);
}

static change *const changes[] = {drop,      plant,       plant,      swap,
                                  flip_wrap, flip_header, set_method, set_version};

/* Changes the slots of one copy; false if it has none, or may not have what would come out. */
static bool change_file(uint8_t *data, size_t size, unsigned seed)
{
    struct envelope e ENVELOPE_CLEANUP = {0}, other ENVELOPE_CLEANUP = {0};
    size_t region = size > COPY_HEADER && data[10] == 0 ? (size_t)1 << data[11] % 32 : size;
    uint8_t *copy = data + seed % 2 * region, *made;
    struct err err;

    if (region > size / 2 || !copy_read(&e, copy, region))
        return false;
    (void)copy_read(&other, data + !(seed % 2) * region, region);
    e.slots = realloc(e.slots, SLOTS_MAX * sizeof *e.slots);
    HOLDS(e.slots != NULL);
    changes[seed / 2 % 8](&e, seed / 32 % e.slot_count, other.slots != NULL ? &other : &e,
                          seed / 1024);
    e.sequence += seed / 512 % 2;
    if (!envelope_encode(&e, &made, &err).ok)
        return false;
    memcpy(copy, made, region);
    free(made);
    if (seed / 16 % 2 == 0)
        own(copy, &e);
    return true;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t room, unsigned seed)
{
    ready();
    if (seed % 4 != 0 && change_file(data, size, seed / 4))
        return size;
    return copies_change(data, size, room, seed / 4, own);
}
