#include "libbulla/rewrap_stream.h"

#include <stdlib.h>

#include "libbulla/in_place.h"
#include "libbulla/rewrap_plan.h"

#define COPY_STEP ((size_t)256 << 10)

static struct result copy_rest(struct sealed *f, struct sink *sink, struct err *err)
{
    uint8_t *step = malloc(COPY_STEP);
    struct result r = step != NULL ? OK : fail_memory(err);
    size_t got = COPY_STEP;

    while (r.ok && got == COPY_STEP) {
        r = source_read(&f->source, step, COPY_STEP, &got, err);
        if (r.ok)
            r = sink_write(sink, step, got, err);
    }
    free(step);
    return r;
}

/* The body as it is. If its key is at hand, it must be that of the envelope. */
static struct result copy_body(const struct rewrap *r, const struct plan *p, struct sealed *f,
                               struct sink *sink, struct err *err)
{
    uint8_t prefix[COBBLESTONE_PREFIX_SIZE];
    size_t got;

    if (!source_read(&f->source, prefix, sizeof prefix, &got, err).ok)
        return FAIL;
    if (p->opened.data_key.size > 0 &&
        !sealed_check_prefix(f, r->session, &p->opened.data_key, prefix, got, err).ok)
        return FAIL;
    return sink_write(sink, prefix, got, err).ok ? copy_rest(f, sink, err) : FAIL;
}

static struct result make_plan(struct plan *p, struct rewrap *r, struct sealed *f, struct err *err)
{
    pthread_mutex_lock(&r->session->lock);
    struct result planned = rewrap_plan_make(p, r, f, err);
    pthread_mutex_unlock(&r->session->lock);
    if (!planned.ok)
        err_file(err, f->source.name);
    return planned;
}

/* The envelope as it is written; one that stays keeps its number. */
static struct result ready_envelope(const struct plan *p, const struct sealed *f, bool changes,
                                    struct envelope *e, struct err *err)
{
    const struct envelope *now = &f->envelope;

    *e = changes ? p->envelope : *now;
    e->exponent = now->exponent;
    e->sequence = !changes ? now->sequence : now->sequence == SEQUENCE_MAX ? 1 : now->sequence + 1;
    return envelope_fit(e, err);
}

static struct result write_all(const struct rewrap *r, const struct plan *p, struct sealed *f,
                               bool changes, struct sink *sink, struct err *err)
{
    struct envelope e;

    return ready_envelope(p, f, changes, &e, err).ok && envelope_write(&e, sink, err).ok &&
                   copy_body(r, p, f, sink, err).ok
               ? rewrap_still_active(r, err)
               : FAIL;
}

struct result rewrap_stream(struct rewrap *r, struct sealed *f, struct sink *sink,
                            enum rewrapped *outcome, struct err *err)
{
    struct plan p PLAN_CLEANUP = {0};

    if (!in_place_check(&f->health, f->source.name, err).ok || !make_plan(&p, r, f, err).ok)
        return FAIL;
    bool whole = f->health.copy[0] == COPY_GOOD && f->health.copy[1] == COPY_GOOD;
    bool changes = !p.other && (p.changed || !whole);
    if (!r->dry_run && !write_all(r, &p, f, changes, sink, err).ok)
        return FAIL;
    *outcome = p.other ? REWRAP_OTHER : changes ? REWRAP_DONE : REWRAP_CURRENT;
    return OK;
}
