#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/stream.h"
#include "base/text.h"
#include "cmd/batch.h"
#include "cmd/named_keys.h"
#include "cmd/named_place.h"
#include "cmd/object_rows.h"
#include "cmd/outcome.h"
#include "cmd/progress.h"
#include "cmd/setup.h"
#include "cmd/shared_rows.h"
#include "cmd/standard_streams.h"
#include "cmd/terminal.h"
#include "cmd/verbs.h"
#include "libbulla/recognize.h"

/* What decrypt and verify share: they differ in where the plaintext goes. */
struct decrypt {
    const struct options *options;
    struct session session;
    struct open_options open;
    struct outlet outlet; /* where no file is named */
    struct body_range range;
    bool only_verify;
};

/* N, or -N from the end; 0 for NULL. */
static struct result read_offset(const char *text, struct body_range *range, struct err *err)
{
    char *end;

    if (text == NULL)
        return OK;
    range->from_end = text[0] == '-';
    const char *digits = text + range->from_end;
    errno = 0;
    range->offset = strtoull(digits, &end, 10);
    if (*digits < '0' || *digits > '9' || *end != '\0' || errno != 0 || range->offset > INT64_MAX)
        return fail(err, ERR_USAGE, "--offset is a number of bytes, or -N, not '%s'", text);
    return OK;
}

/* --offset and --length. What is a part of a file must not take the name of the whole. */
static struct result read_range(struct decrypt *d, const struct options *o, struct err *err)
{
    if (o->offset == NULL && o->length == 0)
        return OK;
    if (o->output == NULL || o->operands.count > 1 || o->recursive || o->files_from != NULL)
        return fail(err, ERR_USAGE, "--offset and --length need one FILE and -o");
    if (o->remove_source)
        return fail(err, ERR_USAGE, "--remove-source does not go with a part of a file");
    d->range.length = o->length > 0 ? o->length : UINT64_MAX;
    d->open.range = &d->range;
    return read_offset(o->offset, &d->range, err);
}

static struct result read_options(struct decrypt *d, struct err *err)
{
    const struct options *o = d->options;

    d->open = (struct open_options){.require_name = o->require_name,
                                    .min_generation = o->min_generation,
                                    .replace = o->force,
                                    .remove_source = o->remove_source,
                                    .allow_wider = o->allow_wider,
                                    .outlet = &d->outlet,
                                    .strict = d->only_verify,
                                    .whose = o->same_owner ? WHOSE_SAME : WHOSE_CALLER};
    return setup_context(&d->open.require_context, &o->require_context, err);
}

static struct result check_output(const struct decrypt *d, const struct item *item, struct err *err)
{
    if (!d->only_verify && item->target == NULL && d->options->output == NULL &&
        isatty(standard_output_fd()))
        return fail(err, ERR_USAGE, "plaintext goes to a terminal only with -o -");
    return OK;
}

static void report(json_t *json, const struct sealed *f, uint64_t size)
{
    const struct core *core = &f->envelope.core;
    char id[2 * CORE_ID_SIZE + 1];

    terminal_put(json, "file_id", json_string(text_hex(id, core->file_id, CORE_ID_SIZE)));
    terminal_put(json, "bytes", json_integer((json_int_t)size));
    terminal_put(json, "copies_good",
                 json_integer((f->health.copy[0] == COPY_GOOD) + (f->health.copy[1] == COPY_GOOD)));
}

static struct result each(void *arg, const struct item *item, json_t *json, struct err *err)
{
    struct decrypt *d = arg;
    struct named_place envelope NAMED_PLACE_CLEANUP = {0};
    struct sealed f SEALED_CLEANUP = {0};
    const struct source in = standard_input();
    struct sealed_place from = {
        .body = item->source, .stream = &in, .object = item->object, .follow = item->follow};
    struct sink nowhere = null_sink();
    uint64_t size = 0;

    if (!standard_input_check(&from, err).ok || !check_output(d, item, err).ok ||
        !named_place_envelope(&envelope, &from, d->options, err).ok ||
        !sealed_open(&f, &d->session, &from, err).ok)
        return FAIL;
    if (item->object != NULL)
        progress_size((uint64_t)f.st.st_size);
    struct result r = d->only_verify
                          ? open_stream(&d->session, &d->open, &f, &nowhere, &size, err)
                          : open_file(&d->session, &d->open, &from, &f, item->target, &size, err);
    if (r.ok && json != NULL)
        report(json, &f, size);
    else if (r.ok && d->only_verify)
        terminal_note("'%s': all %" PRIu64 " bytes are authentic", f.source.name, size);
    return r;
}

static int run(const struct options *o, struct batch batch, bool only_verify)
{
    struct decrypt d = {.options = o, .outlet = standard_output(), .only_verify = only_verify};
    struct err err = {0};
    int status;

    batch.options = o;
    batch.each = each;
    batch.arg = &d;
    batch.session = &d.session;
    batch.guard = !o->allow_wider;
    batch.whose = o->same_owner ? WHOSE_SAME : WHOSE_CALLER;
    d.session.env.may_be_away = o->keys.count > 1;
    if (!read_options(&d, &err).ok || !read_range(&d, o, &err).ok ||
        !setup_sync(&d.session, o, &err).ok || !named_keys_open(&d.session, o, true, &err).ok)
        status = terminal_error(&err);
    else
        status = outcome_finish(&d.session, batch_run(&batch));
    outcome_calls(o, keyset_calls(&d.session.keys));
    context_free(&d.open.require_context);
    session_close(&d.session);
    return status;
}

static int decrypt(const struct options *o)
{
    return run(o,
               (struct batch){.parallel = true,
                              .objects_at_once = OBJECTS_AT_ONCE,
                              .done = "opened",
                              .take = SEALED_SUFFIX,
                              .only = SEALED_SUFFIX,
                              .takes_objects = true,
                              .proof = true},
               false);
}

static const struct row rows[] = {
    {"offset", 0, "N", TEXT, FIELD(offset),
     "open only from byte N on, or with -N only the last N\n"
     "bytes; needs -o"},
    {"length", 0, "N", NUMBER, FIELD(length), "open at most N bytes; needs -o"},
    {"same-owner", 0, NULL, FLAG, FIELD(same_owner),
     "give results the owner (as root), the group and all\n"
     "permissions of the sealed files; whoever can write to a\n"
     "sealed file chooses them"},
    {"allow-wider", 0, NULL, FLAG, FIELD(allow_wider),
     "write results too where the file system lets more users\n"
     "read them than their permissions should"},
    {0},
};

const struct verb verb_decrypt = {
    .name = "decrypt",
    .operands = "[FILE...]",
    .most = ANY_NUMBER,
    .summary = "open sealed files, or standard input",
    .more = "FILE.bulla becomes FILE. Without FILE, or with -, standard input is opened to\n"
            "standard output. A file appears only when all of it was authentic. On a pipe, only\n"
            "exit status 0 means that the output is complete, and the first of several files\n"
            "that fails ends the run. Results are yours, with the times of the sealed files and\n"
            "their permissions less the umask; what another user's sealed file held is for you\n"
            "alone.\n",
    .run = decrypt,
    .operand = USE_BESIDE,
    .fallback = FALLBACK_OPEN,
    .rows = (const struct row *const[]){rows_key, rows_output, rows_envelope, rows, rows_result,
                                        rows_force, rows_require, rows_batch, rows_json,
                                        rows_one_file_system, rows_follow, rows_allow_empty,
                                        rows_objects, rows_jobs, rows_all, NULL},
    .key_rows = (const struct row *const[]){rows_passphrase, rows_pin, NULL},
    .store_uses = STORE_OPENS,
    .examples = "  bulla decrypt -k ./backup.ring -o restored.tar backup.tar.bulla\n"
                "  bulla decrypt -k ./backup.ring --recursive -o restored upload\n"
                "  bulla decrypt -k ./backup.ring -o - data.tar.bulla | tar -t\n",
};

static int verify(const struct options *o)
{
    return run(o,
               (struct batch){.parallel = true,
                              .objects_at_once = OBJECTS_AT_ONCE,
                              .done = "verified",
                              .only = SEALED_SUFFIX,
                              .looks = 1u << RECOGNIZED_SEALED | 1u << RECOGNIZED_BODY,
                              .takes_objects = true,
                              .proof = true},
               true);
}

const struct verb verb_verify = {
    .name = "verify",
    .operands = "[FILE...]",
    .most = ANY_NUMBER,
    .summary = "decrypt everything and write nothing",
    .more = "Checks each FILE, or standard input, to its last byte.\n",
    .run = verify,
    .operand = USE_READ,
    .fallback = FALLBACK_OPEN,
    .rows = (const struct row *const[]){rows_key, rows_envelope, rows_require, rows_batch,
                                        rows_json, rows_one_file_system, rows_follow,
                                        rows_allow_empty, rows_objects, rows_jobs, rows_all, NULL},
    .key_rows = (const struct row *const[]){rows_passphrase, rows_pin, NULL},
    .store_uses = STORE_OPENS,
    .examples = "  bulla verify -k ./backup.ring --recursive upload\n",
};
