/* What bulla.h has for whole files: seal, open, verify, reencrypt. */
#include <string.h>

#include "libbulla/callback.h"
#include "libbulla/handle.h"
#include "libbulla/open.h"
#include "libbulla/reencrypt.h"
#include "libbulla/seal.h"

static void give_report(struct bulla_report *report, uint64_t plain_size,
                        const uint8_t file_id[CORE_ID_SIZE])
{
    struct bulla_report made = {.plain_size = plain_size};

    _Static_assert(sizeof made.file_id == CORE_ID_SIZE, "bulla.h and envelope_core.h agree");
    memcpy(made.file_id, file_id, sizeof made.file_id);
    struct_give(report, &made, sizeof made);
}

/* The options for sealing. The strings belong to the caller, the context to us. */
static struct result seal_options(struct seal_options *out, const struct bulla_seal_options *given,
                                  struct err *err)
{
    struct bulla_seal_options o;

    if (!struct_take(&o, sizeof o, given, "the options", err).ok ||
        !handle_suite(&out->suite, o.suite, SUITE_AES, err).ok)
        return FAIL;
    out->name = o.name != NULL ? o.name : "";
    out->generation = o.generation;
    return core_name_check(out->name, err).ok
               ? handle_context(&out->context, o.context, o.context_count, err)
               : FAIL;
}

static struct result seal(struct bulla *b, const struct seal_options *options,
                          const struct bulla_input *in, const struct bulla_output *out,
                          struct seal_report *report, struct err *err)
{
    struct callback_source source = {0};
    struct callback_sink sink = {0};
    struct seal_place at = {.stream = &source.source, .outlet = &sink.outlet};

    if (b->session.keys.count == 0)
        return fail(err, ERR_USAGE, "no key is given");
    return callback_source_open(&source, in, err).ok &&
                   callback_sink_open(&sink, out, &source, &b->session, err).ok
               ? seal_file(&b->session, options, &at, report, err)
               : FAIL;
}

int bulla_seal(struct bulla *handle, const struct bulla_seal_options *options,
               const struct bulla_input *in, const struct bulla_output *out,
               struct bulla_report *report, struct bulla_error *error)
{
    struct seal_options o = {0};
    struct seal_report made = {0};
    struct call c;

    call_begin(&c, handle);
    struct result r = seal_options(&o, options, &c.err);
    if (r.ok)
        r = seal(handle, &o, in, out, &made, &c.err);
    context_free(&o.context);
    if (r.ok)
        give_report(report, made.plain_size, made.file_id);
    return call_end(&c, r, error);
}

static struct result open_options(struct open_options *out, const struct bulla_open_options *given,
                                  struct err *err)
{
    struct bulla_open_options o;

    if (!struct_take(&o, sizeof o, given, "the options", err).ok)
        return FAIL;
    out->require_name = o.name;
    out->min_generation = o.generation;
    out->strict = o.strict != 0;
    return handle_context(&out->require_context, o.context, o.context_count, err);
}

/* out is NULL if nobody wants the plaintext. */
static struct result open_to(struct bulla *b, const struct open_options *options,
                             const struct bulla_input *in, const struct bulla_output *out,
                             struct bulla_report *report, struct err *err)
{
    struct callback_source source = {0};
    struct callback_sink sink = {0};
    struct sink nowhere = null_sink();
    struct sealed_place from = {.stream = &source.source};
    struct sealed f SEALED_CLEANUP = {0};
    uint64_t size = 0;

    if (!callback_source_open(&source, in, err).ok ||
        (out != NULL && !callback_sink_open(&sink, out, &source, &b->session, err).ok) ||
        !sealed_open(&f, &b->session, &from, err).ok ||
        !open_stream(&b->session, options, &f, out != NULL ? sink.outlet.sink : &nowhere, &size,
                     err)
             .ok)
        return FAIL;
    give_report(report, size, f.envelope.core.file_id);
    return OK;
}

int bulla_open(struct bulla *handle, const struct bulla_open_options *options,
               const struct bulla_input *in, const struct bulla_output *out,
               struct bulla_report *report, struct bulla_error *error)
{
    struct open_options o = {0};
    struct call c;

    call_begin(&c, handle);
    struct result r = open_options(&o, options, &c.err);
    if (r.ok && out == NULL)
        r = fail(&c.err, ERR_USAGE, "no output is given");
    if (r.ok)
        r = open_to(handle, &o, in, out, report, &c.err);
    context_free(&o.require_context);
    return call_end(&c, r, error);
}

int bulla_verify(struct bulla *handle, const struct bulla_open_options *options,
                 const struct bulla_input *in, struct bulla_report *report,
                 struct bulla_error *error)
{
    struct open_options o = {0};
    struct call c;

    call_begin(&c, handle);
    struct result r = open_options(&o, options, &c.err);
    o.strict = true;
    if (r.ok)
        r = open_to(handle, &o, in, NULL, report, &c.err);
    context_free(&o.require_context);
    return call_end(&c, r, error);
}

/* struct reencryption: from the keys of the handle to those of a session of its own, which is the
 * handle's if no keys are named. */
struct reencryption {
    struct bulla *handle;
    struct session other, *to;
    struct reencrypt_options options;
};

static void reencryption_end(struct reencryption *r)
{
    if (r->to == &r->other)
        session_close(&r->other);
}

static struct result reencryption_begin(struct reencryption *r,
                                        const struct bulla_reencrypt_options *given,
                                        struct err *err)
{
    struct session *from = &r->handle->session;
    struct bulla_reencrypt_options o;

    r->to = from;
    if (!struct_take(&o, sizeof o, given, "the options", err).ok ||
        !handle_suite(&r->options.suite, o.suite, 0, err).ok)
        return FAIL;
    r->options.generation = o.generation;
    r->options.any_keys = o.to_count > 0;
    if (o.to_count == 0)
        return OK;
    r->other.env = from->env;
    r->other.crew = from->crew;
    r->to = &r->other;
    return session_open(r->to, NULL, 0, err).ok
               ? handle_keys(r->handle, &r->to->keys, o.to, o.to_count, err)
               : FAIL;
}

static struct result reencrypt(struct reencryption *r, const struct bulla_input *in,
                               const struct bulla_output *out, struct seal_report *report,
                               struct err *err)
{
    struct callback_source source = {0};
    struct callback_sink sink = {0};
    struct sealed_place from = {.stream = &source.source};
    struct sealed f SEALED_CLEANUP = {0};

    return callback_source_open(&source, in, err).ok &&
                   callback_sink_open(&sink, out, &source, &r->handle->session, err).ok &&
                   sealed_open(&f, &r->handle->session, &from, err).ok
               ? reencrypt_stream(&r->handle->session, r->to, &r->options, &f, sink.outlet.sink,
                                  report, err)
               : FAIL;
}

int bulla_reencrypt(struct bulla *handle, const struct bulla_reencrypt_options *options,
                    const struct bulla_input *in, const struct bulla_output *out,
                    struct bulla_report *report, struct bulla_error *error)
{
    struct reencryption r = {.handle = handle};
    struct seal_report made = {0};
    struct call c;

    call_begin(&c, handle);
    struct result done = reencryption_begin(&r, options, &c.err);
    if (done.ok)
        done = reencrypt(&r, in, out, &made, &c.err);
    reencryption_end(&r);
    if (done.ok)
        give_report(report, made.plain_size, made.file_id);
    return call_end(&c, done, error);
}
