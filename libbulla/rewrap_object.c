#include "libbulla/rewrap_object.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "libbulla/in_place.h"
#include "libbulla/rewrap_plan.h"

/* struct job: one object being rewrapped. */
struct job {
    struct rewrap *rewrap;
    const struct object *named;
    struct sealed sealed;
    struct plan plan;
    const struct object *written;   /* the object, or the envelope beside it */
    const struct object_look *look; /* of that */
};

static void job_end(struct job *j)
{
    plan_end(&j->plan);
    sealed_close(&j->sealed);
}

static struct result look(struct job *j, struct err *err)
{
    const struct sealed_place from = {.object = j->named};
    struct session *s = j->rewrap->session;

    if (!sealed_open(&j->sealed, s, &from, err).ok)
        return FAIL;
    bool separate = j->sealed.separate;
    j->written = separate ? &j->sealed.beside_object : j->named;
    j->look = separate ? &j->sealed.beside_look : object_source_look(j->sealed.remote);
    if (!in_place_check(&j->sealed.health, j->written->path, err).ok)
        return FAIL;
    pthread_mutex_lock(&s->lock);
    struct result planned = plan_make(&j->plan, j->rewrap, &j->sealed, err);
    pthread_mutex_unlock(&s->lock);
    if (!planned.ok)
        err_file(err, j->named->path);
    else if (j->plan.opened.data_key.size > 0 && !j->plan.opened.tag_fits)
        session_warn(
            s,
            "'%s': its slots were changed by somebody who does not have its branch key: it "
            "gets new ones, but not for a key whose slot was dropped",
            j->named->path);
    return planned;
}

static bool has_work(const struct job *j)
{
    const struct envelope_health *h = &j->sealed.health;

    return !j->plan.other &&
           (j->plan.changed || h->copy[0] != COPY_GOOD || h->copy[1] != COPY_GOOD);
}

/* Whether the object is an envelope and nothing else. */
static bool is_envelope(const struct job *j)
{
    return j->look->size == envelope_size(&j->sealed.envelope);
}

/* The keys must open this body, and not only this envelope; one that was given alone has none. */
static struct result check_body(struct job *j, struct err *err)
{
    return j->plan.opened.data_key.size == 0 || (!j->sealed.separate && is_envelope(j))
               ? OK
               : sealed_check_body(&j->sealed, j->rewrap->session, &j->plan.opened.data_key, err);
}

/* The envelope as it is written. What the body's beginning is replaced with has its size. */
static struct result ready_envelope(const struct job *j, struct envelope *e, struct err *err)
{
    const struct envelope *now = &j->sealed.envelope;
    bool large = j->look->size > j->written->storage->ops->splice_size;

    *e = j->plan.envelope;
    e->exponent = now->exponent;
    e->sequence = now->sequence == SEQUENCE_MAX ? 1 : now->sequence + 1;
    if (!envelope_fit(e, err).ok)
        return FAIL;
    if (e->exponent == now->exponent || !large)
        return OK;
    (void)fail(
        err, ERR_UNSUPPORTED,
        "'%s': its envelope needs %u bytes a copy now, and the body cannot be moved where it "
        "is",
        j->named->path, 1u << e->exponent);
    return fail_hint(err, "download it, rewrap it and upload it again");
}

/* Fills a buffer with both copies and what comes after them: bytes of the object from old on. */
static struct result fill(const struct job *j, const struct envelope *e, struct view whole,
                          uint64_t old, struct err *err)
{
    struct object_look look = *j->look;
    uint8_t *to = (uint8_t *)(uintptr_t)whole.bytes, *copy;
    size_t size = envelope_size(e), rest = whole.size - size, got = 0;

    if (!envelope_encode(e, &copy, err).ok)
        return FAIL;
    memcpy(to, copy, size / 2);
    memcpy(to + size / 2, copy, size / 2);
    free(copy);
    if (rest == 0)
        return OK;
    look.kept = NULL;
    struct result r =
        j->written->storage->ops->read(j->written, &look, old, to + size, rest, &got, err);
    object_look_end(&look);
    if (r.ok && got < rest)
        return fail(err, ERR_STORE, "'%s' ended after %" PRIu64 " bytes", j->written->path,
                    old + got);
    return r;
}

static struct result put_filled(const struct job *j, const struct envelope *e, struct view whole,
                                bool splice, struct err *err)
{
    const struct storage_ops *ops = j->written->storage->ops;

    if (!fill(j, e, whole, envelope_size(&j->sealed.envelope), err).ok)
        return FAIL;
    return splice ? ops->splice(j->written, j->look, whole, err)
                  : ops->replace(j->written, j->look, whole, err);
}

/* One buffer of a few MiB at a time is enough: the others of a run wait for their turn. */
static struct result put(const struct job *j, const struct envelope *e, struct err *err)
{
    size_t part = j->written->storage->ops->splice_size;
    uint64_t all = j->look->size - envelope_size(&j->sealed.envelope) + envelope_size(e);
    bool splice = j->look->size > part, turn = all > SMALL_BODY_MAX;
    size_t size = splice ? part : (size_t)all;
    uint8_t *bytes = malloc(size);

    if (bytes == NULL)
        return fail_memory(err);
    if (turn)
        pthread_mutex_lock(&j->rewrap->session->turn);
    struct result r = put_filled(j, e, (struct view){bytes, size}, splice, err);
    if (turn)
        pthread_mutex_unlock(&j->rewrap->session->turn);
    free(bytes);
    return r;
}

static struct result write_out(struct job *j, struct rewrap_report *report, struct err *err)
{
    struct envelope e;

    if (!ready_envelope(j, &e, err).ok)
        return FAIL;
    report->outcome = REWRAP_DONE;
    if (j->rewrap->dry_run)
        return OK;
    return check_body(j, err).ok && rewrap_still_active(j->rewrap, err).ok ? put(j, &e, err) : FAIL;
}

/* An exported envelope is not ours to change; but it still takes the keys that the object had. */
static bool has_old_export(struct job *j)
{
    struct object beside OBJECT_CLEANUP = {0};
    const struct sealed_place from = {.object = &beside, .alone = true};
    struct sealed exported SEALED_CLEANUP = {0};
    struct session silent = {0}, *s = j->rewrap->session;
    struct err err;

    if (!object_beside(&beside, j->named, ENVELOPE_SUFFIX, &err).ok ||
        !sealed_open(&exported, &silent, &from, &err).ok)
        return false;
    pthread_mutex_lock(&s->lock);
    bool due = plan_is_due(j->rewrap, &exported.envelope);
    pthread_mutex_unlock(&s->lock);
    return due;
}

struct result rewrap_object(struct rewrap *r, const struct object *o, bool envelope,
                            struct rewrap_report *report, struct err *err)
{
    struct job j __attribute__((cleanup(job_end))) = {.rewrap = r, .named = o};

    *report = (struct rewrap_report){0};
    if (!look(&j, err).ok)
        return FAIL;
    report->outcome = j.plan.other ? REWRAP_OTHER : REWRAP_CURRENT;
    if (has_work(&j) && !write_out(&j, report, err).ok)
        return FAIL;
    report->stayed = report->outcome == REWRAP_DONE && j.plan.stays;
    report->versioned = report->outcome == REWRAP_DONE && j.look->versioned;
    report->exported = envelope && !j.sealed.separate && !j.plan.other && has_old_export(&j);
    return OK;
}
