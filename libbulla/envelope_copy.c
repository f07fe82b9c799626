#include "libbulla/envelope_copy.h"

#include <string.h>
#include <unistd.h>

#include "libbulla/in_place.h"
#include "libbulla/object_envelope.h"
#include "libbulla/object_losses.h"
#include "libbulla/output.h"
#include "libbulla/replace_file.h"

struct result envelope_copy_export(struct sealed *f, const struct place *out,
                                   const struct outlet *outlet, bool replace, struct err *err)
{
    struct output output OUTPUT_CLEANUP = {0};
    const struct inputs inputs = {&f->st, f->separate ? &f->envelope_st : NULL, NULL};

    if (!output_open(&output, out, outlet, replace, &inputs, err).ok ||
        !envelope_write(&f->envelope, output.sink, err).ok)
        return FAIL;
    return output_commit(&output, &f->st, WHOSE_OWN, err);
}

static const char *name_of(const struct sealed_place *at)
{
    return at->object != NULL ? at->object->path : at->body->path;
}

/* The envelope is written into the room that the file has for copies, whatever the room was when it
 * was exported. */
static struct result fit_copies(struct envelope *e, uint64_t body_at, const char *name,
                                struct err *err)
{
    if (body_at == 0)
        return fail(err, ERR_FAILED,
                    "'%s' has no envelope of its own: it is a body that belongs "
                    "beside one",
                    name);
    e->exponent = REGION_EXPONENT_MIN;
    if (!envelope_fit(e, err).ok)
        return FAIL;
    if (envelope_size(e) > body_at) {
        (void)fail(err, ERR_FAILED, "'%s' has no room for an envelope of this size", name);
        return fail_hint(err, "'bulla decrypt --envelope' opens it with the envelope as it is");
    }
    while (envelope_size(e) < body_at)
        e->exponent++;
    return OK;
}

/* Makes a source of the body in the file that is to be repaired, for an envelope from another file.
 * The caller closes *fd. */
static struct result join(struct sealed *envelope, const struct sealed_place *body,
                          const struct stat *st, int *fd, struct err *err)
{
    struct stat opened;

    source_forget(&envelope->source);
    object_source_close(&envelope->remote);
    envelope->separate = true;
    if (body->object != NULL) {
        if (!object_source_open(&envelope->remote, body->object, err).ok)
            return FAIL;
        envelope->source = object_source_of(envelope->remote, NULL);
        return OK;
    }
    if (!place_open_file(body->body, false, fd, &opened, err).ok)
        return FAIL;
    envelope->source = (struct source){.fd = *fd, .name = body->body->path};
    return file_same(&opened, st)
               ? OK
               : fail(err, ERR_FAILED, "'%s' was replaced by another program", body->body->path);
}

/* Proves with the keys that the body after the copies belongs to the envelope. Otherwise nothing is
 * written: a body without an envelope looks like any other file, and would be destroyed. */
static struct result prove(struct session *s, const struct sealed_place *body,
                           const struct stat *st, struct sealed *envelope, struct err *err)
{
    struct cobblestone c COBBLESTONE_CLEANUP = {0};
    struct open_options any = {0};
    int fd FD_CLEANUP = -1;

    if (s->keys.count == 0) {
        (void)fail(err, ERR_POLICY, "'%s' has no whole envelope of its own", name_of(body));
        return fail_hint_option(err, "-k KEY proves that this one belongs to it");
    }
    return join(envelope, body, st, &fd, err).ok && open_start(s, &any, envelope, &c, err).ok
               ? fit_copies(&envelope->envelope, envelope->body_at, name_of(body), err)
               : FAIL;
}

/* Whether two envelopes of one file differ in their sequence numbers alone. */
static bool same_slots(const struct envelope *a, const struct envelope *b)
{
    bool same = a->slot_count == b->slot_count &&
                memcmp(a->wrapped_key, b->wrapped_key, WRAPPED_KEY_SIZE) == 0;

    for (size_t i = 0; i < a->slot_count && same; i++)
        same = slot_equal(&a->slots[i], &b->slots[i]);
    return same;
}

/* Compares the envelope in the file with the one to be put in, and picks the next sequence number.
 * A copy that an interrupted restore wrote is not newer. */
static struct result check(const char *name, const struct envelope *now, struct envelope *e,
                           bool force, struct err *err)
{
    if (memcmp(now->core_hash, e->core_hash, SHA256_SIZE) != 0)
        return fail(err, ERR_POLICY, "'%s' has the envelope of another file", name);
    if (!fit_copies(e, envelope_size(now), name, err).ok)
        return FAIL;
    if (now->sequence > e->sequence && !same_slots(now, e) && !force) {
        (void)fail(err, ERR_POLICY, "'%s' has a newer envelope", name);
        return fail_hint_option(err, "--force puts the older one in all the same");
    }
    /* After the last number comes the first: until both copies have it, the one that is there still
     * counts. */
    if (now->sequence >= e->sequence)
        e->sequence = now->sequence == SEQUENCE_MAX ? 1 : now->sequence + 1;
    return OK;
}

/* Reads the envelope that is to be put in: a file of nothing else. */
static struct result read_envelope(struct sealed *f, const struct session *s,
                                   const struct sealed_place *from, struct err *err)
{
    struct sealed_place at = *from;

    at.follow = at.alone = true;
    if (!sealed_open(f, s, &at, err).ok)
        return FAIL;
    if (f->st.st_size != (off_t)envelope_size(&f->envelope))
        return fail(err, ERR_FAILED, "'%s' is not an envelope file", name_of(from));
    return OK;
}

/* Both copies must be good now. */
static struct result read_back(const struct session *s, const struct sealed_place *body,
                               const struct envelope *e, struct err *err)
{
    struct sealed f SEALED_CLEANUP = {0};

    if (!sealed_open(&f, s, body, err).ok) {
        err->class = err->class == ERR_FOREIGN ? ERR_DAMAGED : err->class;
        return FAIL;
    }
    if (f.health.copy[0] != COPY_GOOD || f.health.copy[1] != COPY_GOOD ||
        f.envelope.sequence != e->sequence)
        return fail(err, ERR_DAMAGED, "'%s': what was read back is not what was written",
                    name_of(body));
    return OK;
}

/* One sector may have both copies of a small file, and the beginning of its body: it is replaced
 * whole. Not if it has other names, which would keep the old one. */
static struct result put(const struct place *body, int fd, const struct stat *st,
                         const struct envelope *e, unsigned first, struct err *err)
{
    const struct in_place in = {fd, body->path, first, true};
    bool whole = e->exponent < REGION_EXPONENT_USUAL && st->st_nlink == 1, unable = false;

    if (!whole && !in_place_write(&in, e, &unable, err).ok)
        return FAIL;
    if (unable && st->st_nlink > 1)
        return fail(err, ERR_FAILED,
                    "'%s' has several names, and its file system cannot change a part of a file",
                    body->path);
    return whole || unable ? replace_file(body, st, e, envelope_size(e), false, err) : OK;
}

/* Nobody else changes the file meanwhile. For an object, its storage makes sure of that. */
static struct result lock_body(const struct sealed_place *body, int *fd, struct stat *st,
                               struct err *err)
{
    return body->object != NULL ? OK : in_place_open(body->body, fd, st, err);
}

/* What the file has, with *now, now; it may be too damaged for an envelope to be read. */
static struct result look(const struct session *s, const struct sealed_place *at,
                          const struct stat *st, struct sealed *now, struct err *err)
{
    struct err why = {0};

    if (!sealed_open(now, s, at, &why).ok) {
        if (why.class == ERR_DAMAGED || why.class == ERR_FOREIGN)
            return OK;
        *err = why;
        return FAIL;
    }
    if (at->object == NULL && !file_same(&now->st, st))
        return fail(err, ERR_FAILED, "'%s' was replaced by another program", at->body->path);
    return in_place_check(&now->health, name_of(at), err);
}

static struct result put_object(struct session *s, const struct object *o,
                                const struct object_source *seen, const struct envelope *e,
                                struct err *err)
{
    const struct object_look *look = object_source_look(seen);
    enum object_proof unused;

    return object_losses_warn(s, o, look, err).ok
               ? object_envelope_put(o, look, envelope_size(e), e, &unused, err)
               : FAIL;
}

struct result envelope_copy_restore(struct session *s, const struct sealed_place *body,
                                    const struct sealed_place *from, bool force, struct err *err)
{
    struct sealed_place at = {.body = body->body, .object = body->object, .alone = true};
    struct sealed envelope SEALED_CLEANUP = {0}, now SEALED_CLEANUP = {0};
    struct envelope *e = &envelope.envelope;
    int fd FD_CLEANUP = -1;
    struct stat st;

    if (!lock_body(&at, &fd, &st, err).ok || !read_envelope(&envelope, s, from, err).ok ||
        !look(s, &at, &st, &now, err).ok)
        return FAIL;
    if (now.open ? !check(name_of(&at), &now.envelope, e, force, err).ok
                 : !prove(s, &at, &st, &envelope, err).ok)
        return FAIL;
    struct result done =
        at.object != NULL
            ? put_object(s, at.object, now.open ? now.remote : envelope.remote, e, err)
            : put(at.body, fd, &st, e, now.open ? !now.health.used : 0, err);
    if (!done.ok || read_back(s, &at, e, err).ok)
        return done;
    err_done(err, "the envelope was written, but could not be read back");
    return FAIL;
}
