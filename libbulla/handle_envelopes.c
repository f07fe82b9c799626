/* What bulla.h has for envelopes, which leaves the data alone: rewrap, status, inspect. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libbulla/callback.h"
#include "libbulla/handle.h"
#include "libbulla/rewrap.h"
#include "libbulla/rewrap_plan.h"
#include "libbulla/rewrap_stream.h"

#define REWRAP_CLEANUP __attribute__((cleanup(rewrap_end)))

static struct result begin_rewrap(struct rewrap *r, struct bulla *b,
                                  const struct bulla_change *given, struct err *err)
{
    struct bulla_change c;

    r->session = &b->session;
    if (!struct_take(&c, sizeof c, given, "the change", err).ok)
        return FAIL;
    if (c.to_count > 0 && c.add_count + c.remove_count > 0)
        return fail(err, ERR_USAGE, "'to' does not go with 'add' and 'remove'");
    r->dry_run = c.dry_run != 0;
    r->preserve_times = c.preserve_times != 0;
    return handle_keys(b, &r->to, c.to, c.to_count, err).ok &&
                   handle_keys(b, &r->add, c.add, c.add_count, err).ok &&
                   handle_keys(b, &r->remove, c.remove, c.remove_count, err).ok
               ? rewrap_start(r, err)
               : FAIL;
}

static int outcome_of(enum rewrapped done)
{
    static const int outcomes[] = {[REWRAP_CURRENT] = BULLA_REWRAP_CURRENT,
                                   [REWRAP_OTHER] = BULLA_REWRAP_OTHER,
                                   [REWRAP_DONE] = BULLA_REWRAP_DONE,
                                   [REWRAP_GREW] = BULLA_REWRAP_COPIED,
                                   [REWRAP_WAITS] = BULLA_REWRAP_WAITS};

    return outcomes[done];
}

static struct result rewrap_path(struct bulla *b, const struct bulla_change *change,
                                 const char *path, int *outcome, struct err *err)
{
    struct rewrap r REWRAP_CLEANUP = {0};
    struct place place PLACE_CLEANUP = {0};
    struct rewrap_report report;

    if (path == NULL)
        return fail(err, ERR_USAGE, "no path is given");
    if (!begin_rewrap(&r, b, change, err).ok || !place_open(&place, path, err).ok ||
        !rewrap_file(&r, &place, &report, err).ok)
        return FAIL;
    if (outcome != NULL)
        *outcome = outcome_of(report.outcome);
    return OK;
}

int bulla_rewrap(struct bulla *handle, const struct bulla_change *change, const char *path,
                 int *outcome, struct bulla_error *error)
{
    struct call c;

    call_begin(&c, handle);
    return call_end(&c, rewrap_path(handle, change, path, outcome, &c.err), error);
}

static struct result rewrap_to(struct bulla *b, const struct bulla_change *change,
                               const struct bulla_input *in, const struct bulla_output *out,
                               int *outcome, struct err *err)
{
    struct rewrap r REWRAP_CLEANUP = {0};
    struct callback_source source = {0};
    struct callback_sink sink = {0};
    struct sealed_place from = {.stream = &source.source};
    struct sealed f SEALED_CLEANUP = {0};
    enum rewrapped done;

    if (!begin_rewrap(&r, b, change, err).ok || !callback_source_open(&source, in, err).ok ||
        (!r.dry_run && !callback_sink_open(&sink, out, &source, &b->session, err).ok) ||
        !sealed_open(&f, &b->session, &from, err).ok ||
        !rewrap_stream(&r, &f, sink.outlet.sink, &done, err).ok)
        return FAIL;
    if (outcome != NULL)
        *outcome = outcome_of(done);
    return OK;
}

int bulla_rewrap_stream(struct bulla *handle, const struct bulla_change *change,
                        const struct bulla_input *in, const struct bulla_output *out, int *outcome,
                        struct bulla_error *error)
{
    struct call c;

    call_begin(&c, handle);
    return call_end(&c, rewrap_to(handle, change, in, out, outcome, &c.err), error);
}

static unsigned copies_good(const struct sealed *f)
{
    return (unsigned)(f->health.copy[0] == COPY_GOOD) + (f->health.copy[1] == COPY_GOOD);
}

/* The strongest answer that any key gives about a slot. */
static enum slot_match match_of(const struct keyset *keys, const struct slot *slot)
{
    enum slot_match most = SLOT_OTHER;

    for (size_t i = 0; i < keys->count; i++) {
        enum slot_match match = keys->keys[i]->ops->match(keys->keys[i], slot);
        most = match > most ? match : most;
    }
    return most;
}

static void count_slot(struct bulla_state *state, enum slot_match match)
{
    state->slots++;
    state->other += match == SLOT_OTHER;
    state->maybe += match == SLOT_MAYBE;
    state->old += match == SLOT_OLD || match == SLOT_DEAD || match == SLOT_NEWER;
    state->current += match == SLOT_CURRENT;
}

static struct result look(struct bulla *b, const struct bulla_input *in, struct bulla_state *state,
                          struct err *err)
{
    struct rewrap r REWRAP_CLEANUP = {0};
    struct callback_source source = {0};
    struct sealed_place from = {.stream = &source.source};
    struct sealed f SEALED_CLEANUP = {0};

    if (!begin_rewrap(&r, b, NULL, err).ok || !callback_source_open(&source, in, err).ok ||
        !sealed_open(&f, &b->session, &from, err).ok)
        return FAIL;
    *state = (struct bulla_state){.copies_good = copies_good(&f)};
    for (size_t i = 0; i < f.envelope.slot_count; i++)
        count_slot(state, match_of(&b->session.keys, &f.envelope.slots[i]));
    state->due = state->copies_good < 2 || rewrap_plan_is_due(&r, &f.envelope);
    return OK;
}

int bulla_status(struct bulla *handle, const struct bulla_input *in, struct bulla_state *state,
                 struct bulla_error *error)
{
    struct bulla_state made;
    struct call c;

    call_begin(&c, handle);
    struct result r = look(handle, in, &made, &c.err);
    if (r.ok)
        struct_give(state, &made, sizeof made);
    return call_end(&c, r, error);
}

/* struct told: a struct bulla_info with what it points to. */
struct told {
    struct bulla_info info;
    char name[CORE_NAME_MAX + 1];
    char *pairs[CONTEXT_PAIRS_MAX];
    struct bulla_slot slots[SLOTS_MAX], *slot_list[SLOTS_MAX];
    char keys[SLOTS_MAX][SLOT_DESCRIBED_MAX];
};

void bulla_info_free(struct bulla_info *info)
{
    struct told *t = (struct told *)info;

    for (size_t i = 0; t != NULL && i < CONTEXT_PAIRS_MAX; i++)
        free(t->pairs[i]);
    free(t);
}

static void tell_slots(struct told *t, const struct envelope *e)
{
    for (size_t i = 0; i < e->slot_count; i++) {
        const struct slot *slot = &e->slots[i];
        slot_describe(slot, t->keys[i]);
        t->slots[i] = (struct bulla_slot){slot->method->name, t->keys[i], slot->code};
        t->slot_list[i] = &t->slots[i];
    }
    t->info.slots = (const struct bulla_slot *const *)t->slot_list;
    t->info.slot_count = e->slot_count;
}

static struct result tell_context(struct told *t, const struct context *context, struct err *err)
{
    for (size_t i = 0; i < context->count; i++)
        if (asprintf(&t->pairs[i], "%s=%s", context->pairs[i].key, context->pairs[i].value) < 0) {
            t->pairs[i] = NULL;
            return fail_memory(err);
        }
    t->info.context = (const char *const *)t->pairs;
    t->info.context_count = context->count;
    return OK;
}

static struct result tell(const struct sealed *f, struct bulla_info **info, struct err *err)
{
    const struct core *core = &f->envelope.core;
    struct told *t = calloc(1, sizeof *t);

    if (t == NULL)
        return fail_memory(err);
    memcpy(t->info.file_id, core->file_id, CORE_ID_SIZE);
    memcpy(t->name, core->name, sizeof t->name);
    t->info.created = core->created;
    t->info.generation = core->generation;
    t->info.name = t->name;
    t->info.suite = suite_by_code(core->suite)->name;
    t->info.copies_good = copies_good(f);
    t->info.envelope_size = envelope_size(&f->envelope);
    tell_slots(t, &f->envelope);
    if (!tell_context(t, &core->context, err).ok) {
        bulla_info_free(&t->info);
        return FAIL;
    }
    *info = &t->info;
    return OK;
}

static struct result inspect(struct bulla *b, const struct bulla_input *in,
                             struct bulla_info **info, struct err *err)
{
    struct callback_source source = {0};
    struct sealed_place from = {.stream = &source.source};
    struct sealed f SEALED_CLEANUP = {0};

    return callback_source_open(&source, in, err).ok && sealed_open(&f, &b->session, &from, err).ok
               ? tell(&f, info, err)
               : FAIL;
}

int bulla_inspect(struct bulla *handle, const struct bulla_input *in, struct bulla_info **info,
                  struct bulla_error *error)
{
    struct call c;

    call_begin(&c, handle);
    return call_end(&c, inspect(handle, in, info, &c.err), error);
}
