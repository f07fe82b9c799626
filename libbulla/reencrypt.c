#include "libbulla/reencrypt.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "libbulla/in_place.h"
#include "libbulla/object_losses.h"

/* What the new file has of the old one. */
static struct result carry_over(const struct core *core, const struct reencrypt_options *options,
                                struct seal_options *seal, struct err *err)
{
    *seal = (struct seal_options){.suite = options->suite != 0 ? options->suite : core->suite,
                                  .name = core->name,
                                  .generation = options->generation != 0 ? options->generation
                                                                         : core->generation,
                                  .context = core->context};
    if (seal->generation < core->generation)
        return fail(err, ERR_POLICY, "its generation is %" PRIu64 ", and cannot become %" PRIu64,
                    core->generation, seal->generation);
    return OK;
}

/* Whether a slot is of a given key. For a passphrase only opening it shows that: several may have
 * one hint. */
static bool is_given(struct session *s, const struct envelope *e, const struct slot *slot,
                     const struct branch_opened *o, struct err *err)
{
    for (size_t i = 0; i < s->keys.count; i++) {
        struct master_key *key = s->keys.keys[i];
        enum slot_match match = key->ops->match(key, slot);
        if (match != SLOT_OTHER &&
            (match != SLOT_MAYBE || branch_slot_opens(&s->table, key, e, slot, o, err)))
            return true;
    }
    return false;
}

/* Nobody who could open the file may lose access unnoticed. */
static struct result check_given(struct session *s, const struct envelope *e, struct err *err)
{
    struct branch_opened o BRANCH_OPENED_CLEANUP = {0};
    struct err why = {0};

    if (!branch_open(&s->table, s->crypto, &s->keys, e, &o, err).ok)
        return FAIL;
    for (size_t i = 0; i < e->slot_count; i++) {
        if (is_given(s, e, &e->slots[i], &o, &why))
            continue;
        if (why.class != ERR_NONE) {
            *err = why;
            return FAIL;
        }
        (void)fail(err, ERR_POLICY, "it is sealed to keys that were not given");
        return fail_hint_option(err, "--to names its new keys");
    }
    return OK;
}

/* Under the session's lock: another file may be having a key look for more on its token. */
static struct result check_keys(const struct sealed *f, struct session *to, bool any_keys,
                                struct err *err)
{
    pthread_mutex_lock(&to->lock);
    struct result r = any_keys ? OK : check_given(to, &f->envelope, err);
    if (r.ok) /* nor shall it go back to an old version */
        r = keyset_check_age(&to->keys, f->envelope.slots, f->envelope.slot_count, err);
    pthread_mutex_unlock(&to->lock);
    if (!r.ok)
        err_file(err, f->source.name);
    return r;
}

static uint64_t plain_size_of(const struct sealed *f)
{
    uint64_t size;

    return S_ISREG(f->st.st_mode) &&
                   cobblestone_plain_size((uint64_t)f->st.st_size - envelope_size(&f->envelope),
                                          &size)
               ? size
               : SEAL_SIZE_UNKNOWN;
}

/* Reads the new file from the disk, as far as the system lets us choose, to its last byte. The
 * branch key is at hand, even where only a public key was given. */
static struct result read_back(struct session *to, struct atomic_file *out, uint64_t expected,
                               struct err *err)
{
    const char *name = out->place->path;
    int fd FD_CLEANUP = -1;
    struct sealed f SEALED_CLEANUP = {0};
    struct sink nowhere = null_sink();
    struct open_options any = {.strict = true};
    uint64_t size;

    if (!atomic_file_sync(out, err).ok || !atomic_file_hand_over(out, err).ok ||
        !atomic_file_read_back(out, &fd, err).ok)
        return FAIL;
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    if (!sealed_read(&f, to, fd, name, err).ok ||
        !open_stream(to, &any, &f, &nowhere, &size, err).ok) {
        err_context(err, "reading back");
        return FAIL;
    }
    if (size != expected)
        return fail(err, ERR_DAMAGED, "reading back '%s': it has another size", name);
    return OK;
}

/* Fails if the new file cannot replace the old one; locked is NULL for an object. */
static struct result check_file(const struct sealed *f, const struct stat *locked, struct err *err)
{
    if (locked != NULL && !file_same(locked, &f->st))
        return fail(err, ERR_FAILED, "'%s' was replaced by another program", f->source.name);
    if (!in_place_check(&f->health, f->source.name, err).ok)
        return FAIL;
    if (!f->separate)
        return OK;
    (void)fail(err, ERR_FAILED, "'%s': a body and its envelope cannot be replaced in one step",
               f->source.name);
    return fail_hint(err, "decrypt it, and encrypt that under another name");
}

struct result reencrypt_stream(struct session *from, struct session *to,
                               const struct reencrypt_options *options, struct sealed *f,
                               struct sink *sink, struct seal_report *report, struct err *err)
{
    struct cobblestone old COBBLESTONE_CLEANUP = {0}, fresh COBBLESTONE_CLEANUP = {0};
    struct open_options any = {0};
    struct seal_options seal;

    if (!carry_over(&f->envelope.core, options, &seal, err).ok) {
        err_file(err, f->source.name);
        return FAIL;
    }
    seal.file = f->source.name;
    /* The old key is asked for before a new one. */
    if (!open_start(from, &any, f, &old, err).ok || !check_keys(f, to, options->any_keys, err).ok ||
        !seal_start(to, &seal, plain_size_of(f), sink, &fresh, report, err).ok)
        return FAIL;
    struct body body = {.open = &old, .seal = &fresh, .sink = sink};
    /* A change to the old file would be lost with it. */
    if (!open_body(from, f, &body, &report->plain_size, err).ok ||
        !source_unchanged(&f->source, &f->st, err).ok)
        return FAIL;
    return session_still_active(to, err);
}

/* Makes the new file and puts it in the place of the old one. */
static struct result replace(struct session *from, struct session *to,
                             const struct reencrypt_options *options, const struct place *place,
                             struct sealed *f, struct seal_report *report, struct err *err)
{
    struct atomic_file out ATOMIC_FILE_CLEANUP = {0};

    if (!atomic_file_open(&out, place, true, err).ok)
        return FAIL;
    out.over = &f->st;
    struct fd_sink sink = new_file_sink(out.fd, place->path, out.in_order);
    if (!reencrypt_stream(from, to, options, f, &sink.sink, report, err).ok ||
        !read_back(to, &out, report->plain_size, err).ok ||
        !atomic_file_like(&out, &f->st, WHOSE_SAME, err).ok || !session_still_active(to, err).ok)
        return FAIL;
    return atomic_file_commit(&out, err);
}

/* Claims the file at place for this thread: another thread may have replaced it meanwhile. */
static struct result claim_file(struct session *s, const struct place *place, struct claim *claim,
                                struct stat *st, struct err *err)
{
    struct stat claimed;
    bool there;

    if (!place_stat(place, st, &there, err).ok)
        return FAIL;
    do {
        claim_drop(claim);
        claimed = *st;
        session_claim(s, claim, &claimed);
        if (!place_stat(place, st, &there, err).ok)
            return FAIL;
    } while (there && !file_same(st, &claimed));
    return OK;
}

struct result reencrypt_file(struct session *from, struct session *to,
                             const struct reencrypt_options *options, const struct sealed_place *at,
                             struct seal_report *report, struct err *err)
{
    struct claim claim CLAIM_CLEANUP = {0}; /* dropped after the lock */
    struct hard_link_group *links LINK_GROUP_CLEANUP = NULL;
    struct sealed f SEALED_CLEANUP = {0};
    int locked FD_CLEANUP = -1; /* against a rewrap of the same file */
    struct stat st = {0};

    if (!claim_file(from, at->body, &claim, &st, err).ok ||
        !session_find_names(from, &st, at->body, &links, &report->waits, err).ok)
        return FAIL;
    if (report->waits)
        return OK;
    if (!in_place_open(at->body, &locked, &st, err).ok || !sealed_open(&f, from, at, err).ok ||
        !check_file(&f, &st, err).ok || !replace(from, to, options, at->body, &f, report, err).ok)
        return FAIL;
    return links == NULL ? OK : hard_link_group_move(links, at->body, err);
}

static void drop_writer(struct object_writer **w)
{
    if (*w != NULL)
        (*w)->close(*w);
}

struct result reencrypt_object(struct session *from, struct session *to,
                               const struct reencrypt_options *options, const struct object *o,
                               struct seal_report *report, struct err *err)
{
    struct object_writer *w __attribute__((cleanup(drop_writer))) = NULL;
    struct sealed f SEALED_CLEANUP = {0};
    const struct sealed_place at = {.object = o};

    if (!sealed_open(&f, from, &at, err).ok || !check_file(&f, NULL, err).ok)
        return FAIL;
    const struct object_look *look = object_source_look(f.remote);
    const struct object_making how = {.condition = OBJECT_UNCHANGED, .look = look};
    if (!object_losses_warn(from, o, look, err).ok ||
        !o->storage->ops->create(&w, o, &how, err).ok ||
        !reencrypt_stream(from, to, options, &f, &w->sink, report, err).ok || !w->commit(w, err).ok)
        return FAIL;
    report->versioned = object_stays(o, look);
    report->replicated = look->replicated;
    return OK;
}
