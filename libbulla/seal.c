#include "libbulla/seal.h"

#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "crypto/body.h"
#include "libbulla/open.h"

/* Where the two parts go: the envelope into a file of its own, or in front of the body. */
struct outputs {
    struct output body, envelope;
};

#define OUTPUTS_CLEANUP __attribute__((cleanup(outputs_close)))

static void outputs_close(struct outputs *o)
{
    output_close(&o->body);
    output_close(&o->envelope);
}

/* Two files cannot be replaced in one step, and a body with the envelope of another is lost: so a
 * detached pair is only ever made new, and an envelope without its body may be that of a body
 * elsewhere. */
static struct result check_pair(const struct seal_place *at, struct err *err)
{
    const struct place *both[] = {at->body, at->envelope};
    struct stat st;
    bool there;

    for (size_t i = 0; i < 2; i++) {
        if (both[i] == NULL)
            continue;
        if (!place_stat(both[i], &st, &there, err).ok)
            return FAIL;
        if (!there)
            continue;
        (void)fail(err, ERR_EXISTS, "'%s' already exists", both[i]->path);
        return fail_hint(err,
                         "body and envelope cannot be replaced in one step: remove both first, or "
                         "name others");
    }
    return OK;
}

/* Whether two places are one; a directory that cannot be looked at is not the same. */
static bool same_place(const struct place *a, const struct place *b)
{
    struct stat in_a, in_b;

    return a != NULL && strcmp(a->name, b->name) == 0 && fstat(a->dir, &in_a) == 0 &&
           fstat(b->dir, &in_b) == 0 && file_same(&in_a, &in_b);
}

static struct result outputs_open(struct outputs *o, const struct seal_options *options,
                                  const struct seal_place *at, const struct inputs *inputs,
                                  struct err *err)
{
    if (at->envelope_outlet != NULL)
        return output_open(&o->envelope, NULL, at->envelope_outlet, false, inputs, err).ok
                   ? output_open(&o->body, at->body, at->outlet, false, inputs, err)
                   : FAIL;
    if (at->envelope == NULL)
        return output_open(&o->body, at->body, at->outlet, options->replace, inputs, err);
    if (same_place(at->body, at->envelope))
        return fail(err, ERR_USAGE, "'%s' cannot be both the body and the envelope",
                    at->envelope->path);
    if (!check_pair(at, err).ok ||
        !output_open(&o->envelope, at->envelope, NULL, false, inputs, err).ok)
        return FAIL;
    return output_open(&o->body, at->body, at->outlet, false, inputs, err);
}

/* The envelope first: alone it does no harm, while a body without it could not be opened. It goes
 * again if the body does not come; not if the body is there and only its sync failed. */
static struct result outputs_commit(struct outputs *o, const struct seal_place *at,
                                    const struct stat *like, enum whose whose, struct err *err)
{
    struct stat envelope;
    struct err ignored;
    bool there;

    if (at->envelope_outlet != NULL)
        return output_commit(&o->envelope, like, whose, err).ok
                   ? output_commit(&o->body, like, whose, err)
                   : FAIL;
    if (at->envelope == NULL)
        return output_commit(&o->body, like, whose, err);
    if (!output_commit(&o->envelope, like, whose, err).ok)
        return FAIL;
    if (!place_stat(at->envelope, &envelope, &there, err).ok)
        return FAIL;
    if (output_commit(&o->body, like, whose, err).ok)
        return OK;
    bool may_be_there = o->body.file.placed || (o->body.outlet != NULL && o->body.outlet->unclear);
    if (there && !may_be_there)
        (void)!place_remove(at->envelope, &envelope, &ignored).ok;
    return FAIL;
}

static struct result fill_core(struct core *core, const struct seal_options *options,
                               struct err *err)
{
    *core = (struct core){.suite = options->suite,
                          .created = clock_now(),
                          .generation = options->generation,
                          .context = options->context};
    memcpy(core->name, options->name, strlen(options->name) + 1);
    return random_bytes(core->file_id, CORE_ID_SIZE, err);
}

static const struct keyset *keys_for(const struct session *s, const struct seal_options *options)
{
    return options->keys != NULL ? options->keys : &s->keys;
}

static void warn_overdue(const struct session *s, const struct keyset *keys)
{
    struct key_info info;

    for (size_t i = 0; i < keys->count; i++) {
        const struct master_key *key = keys->keys[i];
        if (key->ops->overdue != NULL && key->ops->overdue(key, clock_now(), &info))
            session_warn(s,
                         "version %u of key '%s' is older than the %u days its keyring states: "
                         "'bulla key rotate' makes the next",
                         info.version, info.name, info.rotate_after);
    }
}

/* Wraps a data key by the branch key of the file's context. */
static struct result wrap_data_key(struct session *s, const struct keyset *keys, struct envelope *e,
                                   const struct secret *data_key, struct err *err)
{
    const struct branch *branch;

    pthread_mutex_lock(&s->lock);
    size_t before = s->branches.count;
    struct result r =
        branches_need(&s->branches, &s->table, s->crypto, keys, &e->core.context, &branch, err);
    if (s->branches.count > before)
        warn_overdue(s, keys);
    if (r.ok)
        r = envelope_wrap(e, s->crypto, &branch->key, data_key, branch->slots, branch->slot_count,
                          err);
    pthread_mutex_unlock(&s->lock);
    return r;
}

/* Draws what is new for a file. */
static struct result new_envelope(struct session *s, const struct seal_options *options,
                                  uint64_t plain_size, struct envelope *e, struct secret *data_key,
                                  struct err *err)
{
    struct core core;

    if (!fill_core(&core, options, err).ok || !envelope_new(e, &core, err).ok ||
        !secret_random(data_key, KEY_SIZE, err).ok ||
        !wrap_data_key(s, keys_for(s, options), e, data_key, err).ok)
        return FAIL;
    if (plain_size < SMALL_BODY_MAX && cobblestone_message_size(plain_size) < SMALL_BODY_MAX)
        e->exponent = REGION_EXPONENT_MIN;
    return envelope_fit(e, err);
}

struct result seal_start(struct session *s, const struct seal_options *options, uint64_t plain_size,
                         struct sink *sink, struct cobblestone *c, struct seal_report *report,
                         struct err *err)
{
    struct envelope e ENVELOPE_CLEANUP = {0};
    struct secret data_key SECRET_CLEANUP = {0};
    uint8_t salt[COBBLESTONE_SALT_SIZE], context[ENVELOPE_CONTEXT_SIZE];

    if (!new_envelope(s, options, plain_size, &e, &data_key, err).ok) {
        if (options->file != NULL)
            err_file(err, options->file);
        return FAIL;
    }
    if (!envelope_write(&e, sink, err).ok || !random_bytes(salt, sizeof salt, err).ok)
        return FAIL;
    memcpy(report->file_id, e.core.file_id, CORE_ID_SIZE);
    return cobblestone_derive(c, s->crypto, suite_by_code(e.core.suite)->algorithm,
                              (struct view){data_key.bytes, data_key.size}, salt,
                              envelope_body_context(&e, context), err);
}

static struct result open_source(const struct seal_place *at, struct source *source, int *owned,
                                 struct stat *st, struct err *err)
{
    if (at->source == NULL) {
        *source = *at->stream;
        return source_look(source, st, err);
    }
    if (!place_open_file(at->source, at->follow, owned, st, err).ok)
        return FAIL;
    *source = (struct source){.fd = *owned, .name = at->source->path};
    return OK;
}

/* How many bytes a source has, if that is known before all are read; of a pipe, only if they are
 * few. Not for a detached envelope, which is never small. */
static struct result expected_size(const struct seal_place *at, struct source *source,
                                   uint64_t *size, struct err *err)
{
    uint64_t offset;

    *size = SEAL_SIZE_UNKNOWN;
    if (at->envelope != NULL || at->envelope_outlet != NULL || source_extent(source, &offset, size))
        return OK;
    size_t got = SMALL_BODY_MAX;
    struct result r = source_read_ahead(source, &got, err);
    *size = got < SMALL_BODY_MAX ? got : SEAL_SIZE_UNKNOWN;
    return r;
}

/* What must not be removed is not sealed either: whoever asked takes it for gone. */
static struct result check_source(struct session *s, const struct seal_options *options,
                                  const struct seal_place *at, const struct source *source,
                                  const struct stat *st, struct err *err)
{
    bool keyring = keyset_lives_in(keys_for(s, options), st);

    if (keyring)
        session_warn(
            s,
            "'%s' is the keyring that is used: a keyring sealed to itself cannot be opened "
            "without it",
            source->name);
    if (options->remove_source && at->source == NULL)
        return fail(err, ERR_USAGE, "%s is not removed", source->name);
    if (options->remove_source && !place_removable(at->source, st, err).ok)
        return FAIL;
    if (options->remove_source && keyring)
        return fail(err, ERR_FAILED, "'%s' is the keyring that is used and is not removed",
                    source->name);
    return OK;
}

/* Whether the source held the bytes that were sealed all the time. If only its change time differs,
 * its bytes may still have changed: they are compared, if the result can still be read. */
static struct result check_unchanged(struct session *s, const struct seal_place *at,
                                     const struct source *source, const struct stat *before,
                                     const struct outputs *o, struct err *err)
{
    if (!source_unchanged(source, before, err).ok)
        return FAIL;
    if (!source_touched(source, before))
        return OK;
    if (at->source == NULL || at->body == NULL || at->envelope != NULL)
        return source_changed(source, err);
    if (open_compare_new(s, o->body.file.fd, source, err).ok)
        return source_unchanged(source, before, err);
    return err->class == ERR_INTERRUPTED ? FAIL : source_changed(source, err);
}

/* Whether what the keys of the file wrapped by may still be used. */
static struct result still_active(struct session *s, const struct seal_options *options,
                                  struct err *err)
{
    pthread_mutex_lock(&s->lock);
    struct result r = keyset_still_active(keys_for(s, options), err);
    pthread_mutex_unlock(&s->lock);
    return r;
}

/* Removes the source after what was sealed was read back and compared with it. */
static struct result remove_source(struct session *s, const struct seal_options *options,
                                   const struct seal_place *at, const struct source *source,
                                   const struct stat *before, struct err *err)
{
    struct sealed_place from = {.body = at->body,
                                .object = at->object,
                                .envelope = at->envelope,
                                .envelope_object = at->envelope_object};
    struct stat sealed;

    if (!open_compare(s, &from, source, &sealed, err).ok ||
        !source_unchanged(source, before, err).ok || !still_active(s, options, err).ok ||
        !place_remove(at->source, before, err).ok) {
        err_done(err, "'%s' is not removed", source->name);
        return FAIL;
    }
    return OK;
}

struct result seal_file(struct session *s, const struct seal_options *options,
                        const struct seal_place *at, struct seal_report *report, struct err *err)
{
    struct outputs outputs OUTPUTS_CLEANUP = {0};
    struct cobblestone c COBBLESTONE_CLEANUP = {0};
    int owned FD_CLEANUP = -1;
    struct source source SOURCE_CLEANUP = {0};
    uint64_t expected;
    struct stat st;

    if (!open_source(at, &source, &owned, &st, err).ok)
        return FAIL;
    const struct inputs inputs = {&st, NULL, s, options->keys};
    if (!check_source(s, options, at, &source, &st, err).ok ||
        !outputs_open(&outputs, options, at, &inputs, err).ok ||
        (at->start != NULL && !at->start(at->start_arg, &source, err).ok))
        return FAIL;
    source.watch = s->watch;
    bool apart = at->envelope != NULL || at->envelope_outlet != NULL;
    struct sink *envelope = apart ? outputs.envelope.sink : outputs.body.sink;
    source_settle(&source);
    if (!expected_size(at, &source, &expected, err).ok ||
        !seal_start(s, options, expected, envelope, &c, report, err).ok ||
        !body_run(
             &(struct body){
                 .seal = &c, .source = &source, .sink = outputs.body.sink, .crew = s->crew},
             &report->plain_size, err)
             .ok ||
        !check_unchanged(s, at, &source, &st, &outputs, err).ok ||
        !still_active(s, options, err).ok ||
        !outputs_commit(&outputs, at, at->source != NULL ? &st : NULL, options->whose, err).ok)
        return FAIL;
    return options->remove_source ? remove_source(s, options, at, &source, &st, err) : OK;
}
