#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/cleanup.h"
#include "base/host.h"
#include "base/stream.h"
#include "base/text.h"
#include "cmd/batch.h"
#include "cmd/key_source.h"
#include "cmd/named_keys.h"
#include "cmd/named_place.h"
#include "cmd/object_outlet.h"
#include "cmd/object_rows.h"
#include "cmd/outcome.h"
#include "cmd/seal_keys.h"
#include "cmd/setup.h"
#include "cmd/shared_rows.h"
#include "cmd/standard_streams.h"
#include "cmd/subprocess.h"
#include "cmd/terminal.h"
#include "cmd/verbs.h"
#include "libbulla/seal.h"
#include "storage/storage.h"

struct encrypt {
    const struct options *options;
    struct session session;
    struct seal_options seal;
    struct object_wish wish, envelope_wish; /* of new objects */
    struct seal_choices choices;            /* if the config file chooses the keys */
    char *script, *name;                    /* of the command, if there is one; owned */
    const char *argv[4];
    struct command command;
};

static struct result read_options(struct seal_options *seal, const struct options *o,
                                  struct err *err)
{
    *seal = (struct seal_options){.suite = o->suite != 0 ? (enum suite)o->suite : SUITE_AES,
                                  .name = o->name != NULL ? o->name : "",
                                  .generation = o->generation,
                                  .whose = o->same_owner ? WHOSE_SAME : WHOSE_OWN,
                                  .replace = o->force,
                                  .remove_source = o->remove_source};
    if (!core_name_check(seal->name, err).ok)
        return FAIL;
    return setup_context(&seal->context, &o->context, err);
}

/* The command of --from-command, for the shell: under the umask that we were started with. */
static struct result read_command(struct encrypt *e, struct err *err)
{
    const struct options *o = e->options;

    if (o->from_command == NULL)
        return OK;
    if (o->operands.count > 0 || o->files_from != NULL)
        return fail(err, ERR_USAGE, "--from-command takes no FILE");
    if (asprintf(&e->script, "umask %04o; %s", (unsigned)host_program()->umask, o->from_command) <
        0)
        e->script = NULL;
    if (asprintf(&e->name, "command '%s'", o->from_command) < 0)
        e->name = NULL;
    if (e->script == NULL || e->name == NULL)
        return fail_memory(err);
    memcpy(e->argv, (const char *[]){"/bin/sh", "-c", e->script, NULL}, sizeof e->argv);
    e->command = (struct command){.argv = e->argv, .name = e->name, .failure = ERR_FAILED};
    return OK;
}

/* struct apart: an envelope that goes to a place of its own; {0} is none. */
struct apart {
    struct named_place place;
    struct object_outlet outlet;
    bool wanted;
};

static void apart_end(struct apart *a)
{
    object_outlet_close(&a->outlet);
    named_place_close(&a->place);
}

/* Takes it away again, since the body did not come. */
static void take_back(struct apart *a)
{
    const struct object *o = &a->place.object;
    struct err ignored;

    if (a->outlet.committed)
        (void)!o->storage->ops->remove(o, NULL, &ignored).ok;
}

/* Whether a body may be there after all, although the answer that said so was lost. */
static bool may_be_there(const struct item *item)
{
    struct object_look look OBJECT_LOOK_CLEANUP = {0};
    const struct object *o = item->result;
    struct err err = {0};
    struct stat st;
    uint8_t byte;
    size_t got;
    bool there;

    if (item->target != NULL)
        return !place_stat(item->target, &st, &there, &err).ok || there;
    return o != NULL && (o->storage->ops->read(o, &look, 0, &byte, 1, &got, &err).ok ||
                         err.class != ERR_MISSING);
}

static struct result open_apart(struct apart *a, const struct options *o, const struct item *item,
                                struct err *err)
{
    const char *hint = "-o gives both files a shorter name";

    if (o->envelope != NULL)
        return named_place_open_new(&a->place, o->envelope, o, err);
    if (item->result != NULL)
        return object_beside(&a->place.object, item->result, ENVELOPE_SUFFIX, err);
    if (item->target == NULL)
        return fail(err, ERR_USAGE, "--detach to standard output needs --envelope ENV");
    return place_beside(&a->place.place, item->target, ENVELOPE_SUFFIX, err).ok
               ? named_place_fits(&a->place.place, hint, err)
               : FAIL;
}

/* Where the envelope goes: as --envelope says, or beside the body, or in front of it. */
static struct result envelope_place(const struct encrypt *e, const struct item *item,
                                    struct apart *a, struct seal_place *at, struct err *err)
{
    const struct options *o = e->options;

    a->wanted = o->envelope != NULL || o->detach;
    if (!a->wanted)
        return OK;
    if (!open_apart(a, o, item, err).ok)
        return FAIL;
    a->place.env.crypto = e->session.crypto;
    if (a->place.place.open) {
        at->envelope = &a->place.place;
        return OK;
    }
    at->envelope_outlet = &a->outlet.outlet;
    at->envelope_object = &a->place.object;
    return object_outlet_open(&a->outlet, &a->place.object, false, &e->envelope_wish, err);
}

/* What a file is sealed to, if the config file chooses that. */
static struct result choose(struct encrypt *e, const struct item *item, struct seal_options *seal,
                            struct err *err)
{
    const struct seal_keys *chosen;

    *seal = e->seal;
    if (e->choices.session == NULL)
        return OK;
    const char *source = item->source != NULL ? item->source->path : NULL;
    const char *result = item->target != NULL   ? item->target->path
                         : item->result != NULL ? item->result->path
                                                : NULL;
    if (!seal_choices_find(&e->choices, source, result, &chosen, err).ok)
        return FAIL;
    seal->keys = &chosen->keys;
    seal->context = chosen->context;
    return OK;
}

static struct result command_ended(void *running, struct err *err)
{
    return subprocess_end(running, err);
}

static struct result start_command(void *running, struct source *stream, struct err *err)
{
    struct subprocess *r = running;

    if (!subprocess_start(r->command, r, err).ok)
        return FAIL;
    stream->fd = r->out;
    stream->end = command_ended;
    stream->end_arg = r;
    pipe_widen(stream->fd);
    return OK;
}

/* Seals to wherever body and envelope go. */
static struct result seal(struct encrypt *e, const struct item *item,
                          const struct seal_options *seal, struct seal_place *at,
                          struct seal_report *report, struct err *err)
{
    struct object_outlet body OBJECT_OUTLET_CLEANUP = {0};
    struct apart apart __attribute__((cleanup(apart_end))) = {0};

    struct object_wish wish = e->wish;
    struct stat st;

    if (item->source != NULL && fstatat(item->source->dir, item->source->name, &st,
                                        item->follow ? 0 : AT_SYMLINK_NOFOLLOW) == 0)
        wish.like = &st;
    if (item->result != NULL) {
        bool pair = e->options->detach || e->options->envelope != NULL;
        if (!object_outlet_open(&body, item->result, seal->replace && !pair, &wish, err).ok)
            return FAIL;
        if (e->options->expected_size > 0 && item->source == NULL &&
            !sink_expect(body.outlet.sink, e->options->expected_size, err).ok)
            return FAIL;
        at->object = item->result;
        at->outlet = &body.outlet;
    }
    if (!envelope_place(e, item, &apart, at, err).ok)
        return FAIL;
    struct result r = seal_file(&e->session, seal, at, report, err);
    object_outlet_close(&body); /* no part of it comes after the look */
    if (!r.ok && !body.committed && (err->class == ERR_EXISTS || !may_be_there(item)))
        take_back(&apart);
    return r;
}

static struct result each(void *arg, const struct item *item, json_t *json, struct err *err)
{
    struct encrypt *e = arg;
    struct subprocess command SUBPROCESS_CLEANUP = {.command = &e->command};
    const struct source in = e->script == NULL
                                 ? standard_input()
                                 : (struct source){.fd = -1, .name = "output of the command"};
    const struct outlet out = standard_output();
    struct seal_place at = {.source = item->source,
                            .stream = &in,
                            .follow = item->follow,
                            .body = item->target,
                            .outlet = &out,
                            .start = e->script != NULL ? start_command : NULL,
                            .start_arg = &command};
    struct seal_report report = {0};
    struct seal_options options;
    char id[2 * CORE_ID_SIZE + 1];

    if (item->target == NULL && item->result == NULL && isatty(standard_output_fd())) {
        (void)fail(err, ERR_USAGE, "sealed data is not written to a terminal");
        return fail_hint(err, "-o names a file; > or | sends standard output elsewhere");
    }
    if (!choose(e, item, &options, err).ok || !seal(e, item, &options, &at, &report, err).ok)
        return FAIL;
    if (json != NULL) {
        terminal_put(json, "file_id", json_string(text_hex(id, report.file_id, CORE_ID_SIZE)));
        terminal_put(json, "bytes", json_integer((json_int_t)report.plain_size));
    }
    return OK;
}

static struct result open_keys(struct encrypt *e, struct err *err)
{
    return key_source_is_config(e->options)
               ? seal_choices_begin(&e->choices, &e->session, e->options, err)
               : named_keys_open(&e->session, e->options, true, err);
}

static int encrypt(const struct options *o)
{
    struct encrypt e = {.options = o};
    struct batch batch = {
        .options = o,
        .each = each,
        .arg = &e,
        .session = &e.session,
        .whose = o->same_owner ? WHOSE_SAME : WHOSE_OWN,
        .parallel = true,
        .objects_at_once = OBJECTS_AT_ONCE,
        .done = "sealed",
        .add = SEALED_SUFFIX,
        .makes_objects = true,
    };
    struct err err = {0};
    int status;

    e.session.env.seals = true;
    if (!object_rows_wish(&e.wish, o, &err).ok || !read_command(&e, &err).ok ||
        !read_options(&e.seal, o, &err).ok || !setup_sync(&e.session, o, &err).ok ||
        !open_keys(&e, &err).ok)
        status = terminal_error(&err);
    else {
        e.envelope_wish = e.wish;
        e.envelope_wish.storage_class = NULL;
        e.envelope_wish.apart = o->detach;
        e.envelope_wish.little = true;
        batch.crypto = e.session.crypto;
        status = outcome_finish(&e.session, batch_run(&batch));
    }
    outcome_calls(o, keyset_calls(&e.session.keys) + seal_choices_calls(&e.choices));
    context_free(&e.seal.context);
    string_free(&e.script);
    string_free(&e.name);
    seal_choices_end(&e.choices);
    session_close(&e.session);
    return status;
}

static const struct row rows[] = {
    {"envelope", 0, "ENV", TEXT, FIELD(envelope), "the envelope goes to a file of its own: ENV",
     .use = USE_CHANGE},
    {"from-command", 0, "CMD", TEXT, FIELD(from_command),
     "seal what the shell command CMD prints; nothing appears\n"
     "unless CMD ends with status 0. Of a pipe in CMD, sh sees\n"
     "only the last program: \"bash -o pipefail -c '...'\" sees\n"
     "all. CMD's standard input is empty"},
    {"detach", 0, NULL, FLAG, FIELD(detach), "put the envelope into a file of its own, OUT.env"},
    {"context", 0, "K=V", LIST_OF_TEXT, FIELD(context),
     "store a pair, authenticated but not secret; may be\n"
     "repeated"},
    {"name", 0, "NAME", TEXT, FIELD(name), "store a logical name, authenticated but not secret"},
    {"same-owner", 0, NULL, FLAG, FIELD(same_owner),
     "as root, give what is sealed the owner, the group and all\n"
     "permissions of FILE; its owner can delete it then"},
    {0},
};

const struct verb verb_encrypt = {
    .name = "encrypt",
    .operands = "[FILE...]",
    .most = ANY_NUMBER,
    .summary = "seal files, or standard input",
    .more = "FILE becomes FILE.bulla. Without FILE, or with -, standard input is sealed to\n"
            "standard output. The source stays as it is; what is sealed gets its permissions\n"
            "and times. As root, what is sealed stays root's: nobody else may write to it, and\n"
            "what another user's FILE becomes is for root alone.\n",
    .run = encrypt,
    .operand = USE_BESIDE,
    .fallback = FALLBACK_SEAL,
    .gives = true,
    .rows = (const struct row *const[]){rows_key, rows_output, rows, rows_result, rows_force,
                                        rows_generation, rows_suite, rows_batch, rows_json,
                                        rows_one_file_system, rows_new_objects, rows_conditions,
                                        rows_objects, rows_jobs, rows_all, NULL},
    .key_rows = (const struct row *const[]){rows_passphrase, rows_new_passphrase, rows_pin, NULL},
    .store_uses = STORE_SEALS,
    .examples = "  bulla encrypt -k ./backup.ring backup.tar\n"
                "  bulla encrypt -k ./backup.ring --recursive -o upload data\n"
                "  bulla encrypt -k ./backup.ring --from-command 'tar -c data' -o data.tar.bulla\n"
                "  tar -c data | bulla encrypt -k ./backup.ring -k ./offsite.ring >two.bulla\n",
};
