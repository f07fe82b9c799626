#include "libbulla/rewrap.h"

#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "libbulla/inplace.h"

#define COPY_STEP (1u << 20) /* bytes */

/* struct slots: the slots a file is to have. */
struct slots {
    struct slot *list; /* SLOTS_MAX */
    size_t count;
    bool changed; /* differs from what the file has */
};

static void slots_free(struct slots *s)
{
    free(s->list);
}

/* struct job: one file being rewrapped. */
struct job {
    struct rewrap *rewrap;
    const struct envelope *envelope;
    bool whole;               /* both copies of it are good */
    struct secret branch_key; /* opened when the first wrap needs it */
    struct slots slots;
    bool other; /* none of the slots is of our keys, and no key was named to change that */
};

static void job_end(struct job *j)
{
    secret_free(&j->branch_key);
    slots_free(&j->slots);
}

/* The slot of a key's active version among some, or NULL. */
static const struct slot *current_slot(const struct slot *slots, size_t count,
                                       const struct master_key *key)
{
    for (size_t i = 0; i < count; i++)
        if (key->ops->match(key, &slots[i]) == SLOT_CURRENT)
            return &slots[i];
    return NULL;
}

static struct result append(struct slots *s, const struct slot *slot, struct err *err)
{
    if (s->count == SLOTS_MAX)
        return fail(err, ERR_USAGE, "it would have more than %d keys", SLOTS_MAX);
    s->list[s->count++] = *slot;
    return OK;
}

static const struct slot *cached(const struct wrap_cache *c, const struct master_key *key,
                                 const uint8_t what[SHA256_SIZE])
{
    for (size_t i = 0; i < c->count; i++)
        if (c->entries[i].key == key && sodium_memcmp(c->entries[i].what, what, SHA256_SIZE) == 0)
            return &c->entries[i].slot;
    return NULL;
}

static struct result remember(struct wrap_cache *c, const struct master_key *key,
                              const uint8_t what[SHA256_SIZE], const struct slot *slot,
                              struct err *err)
{
    if (c->entries == NULL)
        c->entries = calloc(WRAP_CACHE_MAX, sizeof *c->entries);
    if (c->entries == NULL)
        return fail(err, ERR_FAILED, "out of memory");
    struct wrapped *w = &c->entries[c->next];
    w->key = key;
    memcpy(w->what, what, SHA256_SIZE);
    w->slot = *slot;
    c->next = (c->next + 1) % WRAP_CACHE_MAX;
    c->count += c->count < WRAP_CACHE_MAX;
    return OK;
}

/* Anybody can seal a file under the branch id of another: a wrap is used again only for the very
 * same branch key, or in place of the very same slot, and for the same context. */
static void hash_wrapped(const struct job *j, struct view kind, struct view header,
                         struct view wrapped, uint8_t out[SHA256_SIZE])
{
    uint8_t sizes[8];
    struct view parts[5 + CONTEXT_VIEWS_MAX] = {
        kind, {j->envelope->core.branch_id, BRANCH_ID_SIZE}, {sizes, sizeof sizes}, header, wrapped,
    };
    struct wire_writer w = wire_writer(sizes, sizeof sizes);

    wire_put_u32(&w, (uint32_t)header.size);
    wire_put_u32(&w, (uint32_t)wrapped.size);
    sha256(out, parts, 5 + context_views(&j->envelope->core.context, parts + 5));
}

static void hash_branch(const struct job *j, uint8_t out[SHA256_SIZE])
{
    static const uint8_t kind[] = {0};

    hash_wrapped(j, (struct view){kind, 1}, (struct view){0},
                 (struct view){j->branch_key.bytes, j->branch_key.size}, out);
}

static void hash_slot(const struct job *j, const struct slot *slot, uint8_t out[SHA256_SIZE])
{
    static const uint8_t kind[] = {1};

    hash_wrapped(j, (struct view){kind, 1}, (struct view){slot->header, slot->header_size},
                 (struct view){slot->wrap, slot->wrap_size}, out);
}

/* Opens the branch key by these keys, or by all of the session if keys is NULL; by way of the data
 * key: only what opens this very file is wrapped anew. */
static struct result need_branch_key(struct job *j, const struct keyset *keys, struct err *err)
{
    struct session *s = j->rewrap->session;
    struct secret data_key SECRET_CLEANUP = {0};

    if (j->branch_key.bytes != NULL)
        return OK;
    return session_open_keys(s, keys, j->envelope, &j->branch_key, &data_key, err);
}

/* Appends what was made of something in this run already; false if nothing was. */
static bool append_known(struct job *j, const struct master_key *key,
                         const uint8_t what[SHA256_SIZE], struct result *r, struct err *err)
{
    const struct slot *known = cached(&j->rewrap->cache, key, what);

    if (known == NULL)
        return false;
    *r = append(&j->slots, known, err);
    return true;
}

static struct result append_made(struct job *j, const struct master_key *key,
                                 const uint8_t what[SHA256_SIZE], const struct slot *fresh,
                                 struct err *err)
{
    j->rewrap->wraps++;
    return remember(&j->rewrap->cache, key, what, fresh, err).ok ? append(&j->slots, fresh, err)
                                                                 : FAIL;
}

/* struct move: how a slot came, or did not come, from a key to another inside a store. */
struct move {
    bool done;
    struct result result; /* of the appending, if done */
    struct err failed;    /* a key that should have done it could not */
};

/* One key on one slot. That the slot opens this very file is not seen here: the store only knows
 * that it is of this branch id and this context. */
static void try_move(struct job *j, struct master_key *from, struct master_key *to,
                     const struct slot *old, struct move *m, struct err *err)
{
    struct branch_identity identity = {j->envelope->core.branch_id, &j->envelope->core.context};
    uint8_t what[SHA256_SIZE];
    struct err why = {0};

    if (from->ops != to->ops || from->ops->match(from, old) == SLOT_OTHER)
        return;
    hash_slot(j, old, what);
    m->done = append_known(j, to, what, &m->result, err);
    if (m->done)
        return;
    struct slot *fresh = calloc(1, sizeof *fresh);
    if (fresh == NULL) {
        (void)fail(&m->failed, ERR_FAILED, "out of memory");
        return;
    }
    enum unwrapped u = to->ops->move(from, to, &identity, old, fresh, &why);
    m->done = u == UNWRAP_OPENED;
    if (m->done)
        m->result = append_made(j, to, what, fresh, err);
    else if (u == UNWRAP_FAILED)
        m->failed = why;
    free(fresh);
}

/* Every slot, by every key that may open: first those named to open, then the new key itself. */
static void move_any(struct job *j, struct master_key *to, struct move *m, struct err *err)
{
    const struct envelope *e = j->envelope;
    const struct keyset *mine = &j->rewrap->session->keys;

    for (size_t k = 0; k < mine->count; k++)
        for (size_t i = 0; i < e->slot_count && !m->done; i++)
            try_move(j, mine->keys[k], to, &e->slots[i], m, err);
    for (size_t i = 0; i < e->slot_count && !m->done; i++)
        if (to->ops->match(to, &e->slots[i]) != SLOT_MAYBE)
            try_move(j, to, to, &e->slots[i], m, err);
}

static bool may_open(const struct master_key *key, const struct envelope *e)
{
    for (size_t i = 0; i < e->slot_count; i++)
        if (key->ops->match(key, &e->slots[i]) != SLOT_OTHER)
            return true;
    return false;
}

/* Opens the branch key by the keys of other stores, after the key's own store should have moved a
 * slot and could not: that store is not asked for the branch key instead, which would take, and ask
 * for, a permission that nobody meant to give. Why it could not is said if no other key opens the
 * file either. */
static struct result need_branch_key_elsewhere(struct job *j, const struct master_key *key,
                                               const struct err *failed, struct err *err)
{
    const struct keyset *mine = &j->rewrap->session->keys;
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): a list of pointers */
    struct keyset others = {.keys = calloc(mine->count + 1, sizeof *others.keys)};
    struct err why = {0};

    if (others.keys == NULL)
        return fail(err, ERR_FAILED, "out of memory");
    for (size_t i = 0; i < mine->count; i++)
        if (mine->keys[i]->ops != key->ops && may_open(mine->keys[i], j->envelope))
            others.keys[others.count++] = mine->keys[i];
    struct result r = others.count > 0 ? need_branch_key(j, &others, &why) : FAIL;
    if (!r.ok)
        *err = others.count == 0 || why.class == ERR_NO_KEY ? *failed : why;
    free(others.keys); /* the keys are the session's */
    return r;
}

/* Appends a fresh wrap by a key. */
static struct result append_fresh(struct job *j, struct master_key *key, struct err *err)
{
    struct branch_identity identity = {j->envelope->core.branch_id, &j->envelope->core.context};
    struct move move = {0};
    uint8_t what[SHA256_SIZE];
    struct slot fresh;
    struct result r;

    j->slots.changed = true;
    if (key->ops->move != NULL)
        move_any(j, key, &move, err);
    if (move.done)
        return move.result;
    r = move.failed.class != ERR_NONE ? need_branch_key_elsewhere(j, key, &move.failed, err)
                                      : need_branch_key(j, NULL, err);
    if (!r.ok)
        return FAIL;
    hash_branch(j, what);
    if (append_known(j, key, what, &r, err))
        return r;
    if (!branch_wrap(key, &identity, &j->branch_key, &fresh, err).ok)
        return FAIL;
    return append_made(j, key, what, &fresh, err);
}

/* A key's slot as it is if it is current, else a fresh one. */
static struct result append_current(struct job *j, struct master_key *key, struct err *err)
{
    const struct slot *has = current_slot(j->envelope->slots, j->envelope->slot_count, key);

    return has != NULL ? append(&j->slots, has, err) : append_fresh(j, key, err);
}

/* --to: these keys and no others. */
static struct result plan_to(struct job *j, struct err *err)
{
    const struct keyset *to = &j->rewrap->to;

    for (size_t i = 0; i < to->count; i++)
        if (!append_current(j, to->keys[i], err).ok)
            return FAIL;
    j->slots.changed = j->slots.changed || j->slots.count != j->envelope->slot_count;
    return OK;
}

/* --add and --remove. */
static struct result plan_change(struct job *j, struct err *err)
{
    const struct rewrap *r = j->rewrap;

    for (size_t i = 0; i < j->envelope->slot_count; i++)
        if (keyset_matches(&r->remove, &j->envelope->slots[i]))
            j->slots.changed = true;
        else if (!append(&j->slots, &j->envelope->slots[i], err).ok)
            return FAIL;
    for (size_t i = 0; i < r->add.count; i++)
        if (current_slot(j->slots.list, j->slots.count, r->add.keys[i]) == NULL &&
            !append_fresh(j, r->add.keys[i], err).ok)
            return FAIL;
    return OK;
}

static struct master_key *owner_of(const struct keyset *set, const struct slot *slot,
                                   enum slot_match *match)
{
    *match = SLOT_OTHER;
    for (size_t i = 0; i < set->count; i++) {
        *match = set->keys[i]->ops->match(set->keys[i], slot);
        if (*match == SLOT_OLD || *match == SLOT_CURRENT)
            return set->keys[i];
    }
    return NULL;
}

/* Neither: each slot of one of our keys moves to that key's active version. */
static struct result plan_refresh(struct job *j, struct err *err)
{
    const struct keyset *mine = &j->rewrap->session->keys;
    bool mine_any = false;

    for (size_t i = 0; i < j->envelope->slot_count; i++) {
        const struct slot *slot = &j->envelope->slots[i];
        enum slot_match match;
        struct master_key *key = owner_of(mine, slot, &match);
        bool old = key != NULL && match == SLOT_OLD;
        bool has = key != NULL && current_slot(j->envelope->slots, j->envelope->slot_count, key);
        struct result r = !old  ? append(&j->slots, slot, err)
                          : has ? OK
                                : append_fresh(j, key, err);
        if (!r.ok)
            return FAIL;
        j->slots.changed = j->slots.changed || old;
        mine_any = mine_any || key != NULL || keyset_matches(mine, slot);
    }
    j->other = !mine_any;
    return OK;
}

static bool has_work(const struct job *j)
{
    return !j->other && (j->slots.changed || !j->whole);
}

/* Its errors do not name the file. */
static struct result plan(struct job *j, struct err *err)
{
    const struct rewrap *r = j->rewrap;

    j->slots.list = calloc(SLOTS_MAX, sizeof *j->slots.list);
    if (j->slots.list == NULL)
        return fail(err, ERR_FAILED, "out of memory");
    if (!(r->to.count > 0                           ? plan_to(j, err)
          : r->add.count > 0 || r->remove.count > 0 ? plan_change(j, err)
                                                    : plan_refresh(j, err))
             .ok)
        return FAIL;
    if (j->slots.count == 0) {
        (void)fail(err, ERR_POLICY, "no key would be left to open it");
        err_hint(err, "--add another first");
        return FAIL;
    }
    if (has_work(j) && j->envelope->sequence == SEQUENCE_MAX)
        return fail(err, ERR_FAILED, "its sequence number cannot grow any more");
    return OK;
}

/* Copies the body behind the envelope of a new file. */
static struct result copy_body(int from, uint64_t offset, int to, const char *name, struct err *err)
{
    struct source source = {.fd = from, .name = name};
    struct fd_sink sink = fd_sink(to, name);
    uint8_t *step = malloc(COPY_STEP);
    struct result r = step != NULL ? OK : fail(err, ERR_FAILED, "out of memory");
    size_t got = COPY_STEP;

    if (r.ok && lseek(from, (off_t)offset, SEEK_SET) < 0)
        r = fail_errno(err, "cannot seek in '%s'", name);
    while (r.ok && got == COPY_STEP) {
        r = source_read(&source, step, COPY_STEP, &got, err);
        if (r.ok)
            r = sink_write(&sink.sink, step, got, err);
    }
    free(step);
    return r;
}

/* A new file with the envelope, and the body if body is not -1, in the place of the old one;
 * changed now, unless its times are to be kept. */
static struct result replace(const struct rewrap *r, const struct place *place,
                             const struct stat *st, struct envelope *e, int body, uint64_t body_at,
                             struct err *err)
{
    struct atomic_file f ATOMIC_FILE_CLEANUP = {0};

    if (!atomic_file_open(&f, place, true, err).ok)
        return FAIL;
    f.over = st;
    struct fd_sink sink = fd_sink(f.fd, place->path);
    if (!envelope_write(e, &sink.sink, err).ok ||
        (body >= 0 && !copy_body(body, body_at, f.fd, place->path, err).ok) ||
        !atomic_file_like(&f, st, WHOSE_SAME, err).ok)
        return FAIL;
    if (!r->preserve_times && futimens(f.fd, NULL) != 0)
        return fail_errno(err, "cannot set the times of '%s'", place->path);
    /* The old file goes only for one that a power cut does not take. */
    return atomic_file_commit(&f, err);
}

/* The smallest region that holds the envelope. */
static struct result needed_exponent(struct envelope *e, unsigned *exponent, struct err *err)
{
    unsigned before = e->exponent;
    uint8_t *copy;

    if (!envelope_encode(e, &copy, err).ok)
        return FAIL;
    free(copy);
    *exponent = e->exponent;
    e->exponent = before;
    return OK;
}

static struct result put(struct rewrap *r, const struct place *place, int fd, const struct stat *st,
                         const struct sealed *f, struct envelope *e, enum rewrapped *outcome,
                         struct err *err)
{
    unsigned exponent;

    if (!needed_exponent(e, &exponent, err).ok)
        return FAIL;
    *outcome = REWRAP_DONE;
    if (f->separate)
        return replace(r, place, st, e, -1, 0, err);
    if (exponent == e->exponent)
        return inplace_write(fd, place->path, e, !f->health.used, r->session->sync == SYNC_EACH,
                             err);
    session_warn(r->session, "'%s': its envelope needs %u bytes a copy now: the file is copied",
                 place->path, 1u << exponent);
    *outcome = REWRAP_GREW;
    return replace(r, place, st, e, fd, envelope_size(e), err);
}

static struct result write_out(struct job *j, const struct place *place, int fd,
                               const struct stat *st, const struct sealed *f,
                               enum rewrapped *outcome, struct err *err)
{
    struct timespec times[2] = {st->st_atim, st->st_mtim};
    struct envelope e = f->envelope;

    *outcome = j->other ? REWRAP_OTHER : REWRAP_CURRENT;
    if (!has_work(j))
        return OK;
    *outcome = REWRAP_DONE;
    if (j->rewrap->dry_run)
        return OK;
    e.sequence++;
    e.slots = j->slots.list;
    e.slot_count = j->slots.count;
    if (!put(j->rewrap, place, fd, st, f, &e, outcome, err).ok)
        return FAIL;
    if (j->rewrap->preserve_times && *outcome == REWRAP_DONE && !f->separate &&
        futimens(fd, times) != 0)
        return fail_errno(err, "the envelope of '%s' was written, but its times cannot be set",
                          place->path);
    return OK;
}

static struct result open_for(const struct rewrap *r, const struct place *place, int *fd,
                              struct stat *st, struct err *err)
{
    return r->dry_run ? place_open_file(place, false, fd, st, err)
                      : inplace_open(place, fd, st, err);
}

/* An exported envelope is not ours to change; but it still takes the keys that the file had. */
static void warn_of_export(const struct rewrap *r, const struct place *file, const struct sealed *f,
                           bool changed)
{
    struct place beside PLACE_CLEANUP = {0};
    const struct sealed_place from = {.body = &beside, .alone = true};
    struct sealed exported SEALED_CLEANUP = {0};
    struct session silent = {0};
    struct err err;

    if (f->separate || !place_beside(&beside, file, ENVELOPE_SUFFIX, &err).ok ||
        !sealed_open(&exported, &silent, &from, &err).ok)
        return;
    const struct envelope *e = &exported.envelope;
    if (memcmp(e->core.file_id, f->envelope.core.file_id, CORE_ID_SIZE) == 0 &&
        e->sequence < f->envelope.sequence + changed)
        session_warn(r->session,
                     "'%s' beside it is older and opens with the keys of then: 'bulla envelope "
                     "export --force' makes it anew",
                     beside.path);
}

struct result rewrap_file(struct rewrap *r, const struct place *file, enum rewrapped *outcome,
                          struct err *err)
{
    const struct sealed_place from = {.body = file};
    struct sealed seen SEALED_CLEANUP = {0}, f SEALED_CLEANUP = {0};
    struct job j __attribute__((cleanup(job_end))) = {.rewrap = r};
    int fd FD_CLEANUP = -1;
    struct session silent = {0};
    struct stat st;

    if (!sealed_open(&seen, &silent, &from, err).ok)
        return FAIL;
    const struct place *place = seen.separate ? &seen.beside : file;
    /* What was read without the lock may be old by now: it is read again under it. */
    if (!open_for(r, place, &fd, &st, err).ok || !sealed_open(&f, r->session, &from, err).ok)
        return FAIL;
    if (f.separate != seen.separate)
        return fail(err, ERR_FAILED, "'%s' changed while it was looked at", place->path);
    /* Nor may the envelope of one file get into another. */
    if (!file_same(&st, f.separate ? &f.envelope_st : &f.st))
        return fail(err, ERR_FAILED, "'%s' was replaced by another program", place->path);
    if (!inplace_check(&f.health, place->path, err).ok)
        return FAIL;
    j.envelope = &f.envelope;
    j.whole = f.health.copy[0] == COPY_GOOD && f.health.copy[1] == COPY_GOOD;
    pthread_mutex_lock(&r->lock);
    struct result planned = plan(&j, err);
    pthread_mutex_unlock(&r->lock);
    if (!planned.ok) {
        err_context(err, "'%s'", f.source.name);
        return FAIL;
    }
    if (!write_out(&j, place, fd, &st, &f, outcome, err).ok)
        return FAIL;
    if (!j.other)
        warn_of_export(r, file, &f, has_work(&j) && !r->dry_run);
    return OK;
}

/* A new key that does not tell is wrapped by, to learn what it is. */
static struct result locate_new(const struct keyset *set, struct err *err)
{
    for (size_t i = 0; i < set->count; i++) {
        const struct keyset one = {&set->keys[i], 1};
        struct err why = {0};
        if (!keyset_locate(&one, true, &why).ok && why.class != ERR_POLICY) {
            *err = why;
            return FAIL;
        }
    }
    return OK;
}

/* What is to be removed must be known, and for a refresh what is current. */
struct result rewrap_start(struct rewrap *r, struct err *err)
{
    r->lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    if (r->to.count + r->add.count + r->remove.count == 0)
        return keyset_locate(&r->session->keys, true, err);
    if (!locate_new(&r->to, err).ok || !locate_new(&r->add, err).ok)
        return FAIL;
    return keyset_locate(&r->remove, false, err);
}

void rewrap_end(struct rewrap *r)
{
    keyset_close(&r->to);
    keyset_close(&r->add);
    keyset_close(&r->remove);
    free(r->cache.entries);
    *r = (struct rewrap){0};
}
