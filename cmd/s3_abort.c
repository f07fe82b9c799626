#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/stream.h"
#include "base/text.h"
#include "cmd/outcome.h"
#include "cmd/setup.h"
#include "cmd/shared_rows.h"
#include "cmd/terminal.h"
#include "cmd/verbs.h"
#include "storage/registry.h"

#define AGE_USUAL (24 * 3600) /* seconds */
#define AGE_MAX 36500         /* days */

struct run {
    const struct options *options;
    const struct object *prefix;
    uint64_t before; /* uploads that were begun then or later are left */
    uint64_t dropped, young, failed;
};

/* "12h", "1d" or "2w", in seconds. */
static struct result read_age(const char *text, uint64_t *seconds, struct err *err)
{
    static const struct {
        char unit;
        uint64_t seconds;
    } units[] = {{'h', 3600}, {'d', 24 * 3600}, {'w', 7 * 24 * 3600}};
    char *end;

    *seconds = AGE_USUAL;
    if (text == NULL)
        return OK;
    unsigned long n = text[0] >= '0' && text[0] <= '9' ? strtoul(text, &end, 10) : 0;
    for (size_t i = 0; i < sizeof units / sizeof *units && n >= 1 && n <= AGE_MAX; i++)
        if (end[0] == units[i].unit && end[1] == '\0' &&
            n * units[i].seconds <= (uint64_t)AGE_MAX * 24 * 3600) {
            *seconds = n * units[i].seconds;
            return OK;
        }
    return fail(err, ERR_USAGE, "--older-than is like 12h, 1d or 2w, at most %dd, not '%s'",
                AGE_MAX, text);
}

static bool is_wanted(const struct run *r, const struct object_entry *e)
{
    const char *named = r->prefix->key;
    size_t size = strlen(named);

    return size == 0 || named[size - 1] == '/' || strcmp(named, e->key) == 0;
}

static void report(const struct run *r, const struct object *o, const struct object_entry *e,
                   const char *outcome, const struct err *err)
{
    char begun[TEXT_TIME_SIZE];

    text_time(begun, e->look.modified);
    if (err->class != ERR_NONE)
        terminal_error(err);
    if (r->options->json) {
        json_t *json = json_pack(
            "{s:o, s:o, s:s, s:i}", "file", terminal_text(o->path, strlen(o->path)), "upload",
            terminal_text(e->upload, strlen(e->upload)), "begun", begun, "status", (int)err->class);
        if (err->class == ERR_NONE)
            terminal_put(json, r->options->dry_run ? "would_be" : "outcome", json_string(outcome));
        else
            terminal_put(json, "error", terminal_text(err->text, strlen(err->text)));
        terminal_json(json);
    } else if (err->class == ERR_NONE && strcmp(outcome, "aborted") == 0) {
        terminal_note("%s the upload of '%s' that was begun %s",
                      r->options->dry_run ? "would abort" : "aborted", o->path, begun);
    }
}

/* One that is over by now was completed or aborted by somebody else. */
static struct result drop(const struct object *o, const char *upload, struct err *err)
{
    struct err why = {0};

    if (o->storage->ops->drop(o, upload, &why).ok || strstr(why.text, "NoSuchUpload") != NULL)
        return OK;
    *err = why;
    return FAIL;
}

static struct result take(struct run *r, const struct object_entry *e, struct err *err)
{
    const struct object *prefix = r->prefix;
    struct object o OBJECT_CLEANUP = {0};
    char *path STRING_CLEANUP = NULL;
    size_t root = object_path_size(prefix) - strlen(prefix->key);
    bool old = e->look.modified > 0 && e->look.modified < r->before;

    if (asprintf(&path, "%.*s%s", (int)root, prefix->path, e->key) < 0) {
        path = NULL;
        return fail_memory(err);
    }
    if (!object_in(&o, prefix->storage, e->key, path, err).ok)
        return FAIL;
    bool failed = old && !r->options->dry_run && !drop(&o, e->upload, err).ok;
    report(r, &o, e, old ? "aborted" : "young", err);
    r->failed += failed;
    r->dropped += old && !failed;
    r->young += !old;
    return OK;
}

static bool on_upload(void *arg, const struct object_entry *e)
{
    struct run *r = arg;
    struct err err = {0};

    if (is_wanted(r, e) && !take(r, e, &err).ok) {
        terminal_error(&err);
        r->failed++;
    }
    return !stream_interrupted();
}

static struct result do_operand(struct run *r, struct storages *storages, const char *operand,
                                struct err *err)
{
    struct object prefix OBJECT_CLEANUP = {0};

    if (!storage_names(operand)) {
        (void)fail(err, ERR_USAGE, "'%s' is no object, and has no uploads", operand);
        return fail_hint(err, "write s3://BUCKET/PREFIX/");
    }
    if (!storages_object(storages, operand, &prefix, err).ok)
        return FAIL;
    r->prefix = &prefix;
    return prefix.storage->ops->list(&prefix, LIST_UPLOADS, on_upload, r, err);
}

static void summary(const struct run *r)
{
    bool dry = r->options->dry_run;

    if (r->options->json)
        terminal_json(json_pack("{s:{s:I, s:I, s:I}}", "summary", dry ? "would_abort" : "aborted",
                                (json_int_t)r->dropped, "young", (json_int_t)r->young, "failed",
                                (json_int_t)r->failed));
    terminal_note("%" PRIu64 " upload%s %s aborted, %" PRIu64 " younger ones are left, %" PRIu64
                  " failed",
                  r->dropped, r->dropped == 1 ? "" : "s",
                  dry               ? "would be"
                  : r->dropped == 1 ? "was"
                                    : "were",
                  r->young, r->failed);
}

static int run_all(struct run *r, struct storages *storages)
{
    const struct options *o = r->options;
    int status = ERR_NONE;

    for (size_t i = 0; i < o->operands.count && !stream_interrupted(); i++) {
        struct err err = {0};
        if (!do_operand(r, storages, o->operands.items[i], &err).ok)
            status = outcome_status(o->operands.count, terminal_error(&err));
    }
    summary(r);
    if (stream_interrupted())
        return ERR_INTERRUPTED;
    return status == ERR_NONE && r->failed > 0 ? ERR_PARTIAL : status;
}

static int run_abort(const struct options *o)
{
    struct storage_env env;
    struct storages storages = {.env = &env};
    struct run r = {.options = o};
    struct err err = {0};
    uint64_t age;

    setup_storage(&env, o, NULL);
    if (!read_age(o->older_than, &age, &err).ok)
        return terminal_error(&err);
    r.before = clock_now() - age;
    int status = run_all(&r, &storages);
    storages_close(&storages);
    return status;
}

static const struct row rows[] = {
    {"older-than", 0, "AGE", TEXT, FIELD(older_than),
     "leave uploads that were begun later than AGE ago, as\n"
     "12h, 1d (the default) or 2w: somebody may be at them"},
    {"dry-run", 'n', NULL, FLAG, FIELD(dry_run), "only say what would be done"},
    {0},
};

const struct verb verb_s3_abort = {
    .group = "s3",
    .name = "abort",
    .operands = "s3://BUCKET/PREFIX/...",
    .least = 1,
    .most = ANY_NUMBER,
    .summary = "drop the parts of uploads that a dead run left",
    .more =
        "Parts of an upload that was neither completed nor aborted are not seen, but billed. A\n"
        "run that fails or is interrupted aborts its own; one that is killed cannot. Takes\n"
        "all uploads below PREFIX, whatever program began them.\n",
    .run = run_abort,
    .operand = USE_READ,
    .rows = (const struct row *const[]){rows, rows_json, rows_all, NULL},
    .examples = "  bulla s3 abort --dry-run s3://backups/\n"
                "  bulla s3 abort --older-than 2d s3://backups/\n",
};
