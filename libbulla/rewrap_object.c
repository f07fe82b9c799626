#include "libbulla/rewrap_object.h"

#include "libbulla/in_place.h"
#include "libbulla/object_envelope.h"
#include "libbulla/object_losses.h"
#include "libbulla/rewrap_plan.h"

/* struct job: one object being rewrapped. */
struct job {
    struct rewrap *rewrap;
    const struct object *named;
    struct object apart; /* an envelope that stands for the object, and is named in its place */
    struct sealed sealed;
    struct plan plan;
    const struct object *written;   /* the object, or the envelope beside it */
    const struct object_look *look; /* of that */
};

static void job_end(struct job *j)
{
    rewrap_plan_end(&j->plan);
    sealed_close(&j->sealed);
    object_close(&j->apart);
}

static struct result look(struct job *j, enum envelope_beside beside, struct err *err)
{
    const struct sealed_place from = {.object = j->named};
    struct session *s = j->rewrap->session;
    bool apart = false;

    if (beside == BESIDE_NEWER &&
        !sealed_open_apart(&j->sealed, s, j->named, &j->apart, &apart, err).ok)
        return FAIL;
    if (apart)
        j->named = &j->apart;
    else if (!sealed_open(&j->sealed, s, &from, err).ok)
        return FAIL;
    bool separate = j->sealed.separate;
    j->written = separate ? &j->sealed.beside_object : j->named;
    j->look = separate ? &j->sealed.beside_look : object_source_look(j->sealed.remote);
    if (!in_place_check(&j->sealed.health, j->written->path, err).ok)
        return FAIL;
    pthread_mutex_lock(&s->lock);
    struct result planned = rewrap_plan_make(&j->plan, j->rewrap, &j->sealed, err);
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

/* One at the object, and one more at an envelope beside it. */
static void count_looks(const struct job *j, struct object_cost *cost)
{
    const struct object_cost one = j->written->storage->ops->cost(j->look, 0);

    cost->class = one.class;
    cost->reads = 1 + j->sealed.separate;
    cost->down = cost->reads * OBJECT_HEAD;
    cost->price = cost->reads * one.price_of_look;
}

/* What the change takes, besides the looks. */
static void add_cost(const struct job *j, struct object_cost *cost)
{
    const struct object_cost change =
        j->written->storage->ops->cost(j->look, envelope_size(&j->sealed.envelope));

    cost->reads += change.reads;
    cost->writes = change.writes;
    cost->up = change.up;
    cost->down += change.down;
    cost->price += change.price;
}

static struct result write_out(struct job *j, struct rewrap_report *report, struct err *err)
{
    struct envelope e;

    if (!ready_envelope(j, &e, err).ok)
        return FAIL;
    report->outcome = REWRAP_DONE;
    add_cost(j, &report->cost);
    if (!object_losses_warn(j->rewrap->session, j->written, j->look, err).ok)
        return FAIL;
    if (j->rewrap->dry_run)
        return OK;
    return check_body(j, err).ok && rewrap_still_active(j->rewrap, err).ok
               ? object_envelope_put(j->written, j->look, envelope_size(&j->sealed.envelope), &e,
                                     &report->proof, err)
               : FAIL;
}

static enum export look_at_export(const struct job *j)
{
    struct object beside OBJECT_CLEANUP = {0};
    const struct sealed_place from = {.object = &beside, .alone = true};
    struct err err;

    return object_beside(&beside, j->named, ENVELOPE_SUFFIX, &err).ok
               ? rewrap_plan_export(j->rewrap, &from, NULL)
               : EXPORT_UNREAD;
}

struct result rewrap_object(struct rewrap *r, const struct object *o, enum envelope_beside beside,
                            struct rewrap_report *report, struct err *err)
{
    struct job j __attribute__((cleanup(job_end))) = {.rewrap = r, .named = o};

    *report = (struct rewrap_report){0};
    if (!look(&j, beside, err).ok)
        return FAIL;
    report->outcome = j.plan.other ? REWRAP_OTHER : REWRAP_CURRENT;
    count_looks(&j, &report->cost);
    if (has_work(&j) && !write_out(&j, report, err).ok)
        return FAIL;
    report->stayed = report->outcome == REWRAP_DONE && j.plan.stays;
    report->versioned = report->outcome == REWRAP_DONE &&
                        (r->dry_run ? j.look->versioned : object_stays(j.written, j.look));
    report->replicated = report->outcome == REWRAP_DONE && j.look->replicated;
    if (beside != BESIDE_UNKNOWN && j.named == o && !j.sealed.separate && !j.plan.other)
        report->exported = look_at_export(&j);
    return OK;
}
