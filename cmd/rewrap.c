#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>

#include "cmd/batch.h"
#include "cmd/named_keys.h"
#include "cmd/object_rows.h"
#include "cmd/outcome.h"
#include "cmd/setup.h"
#include "cmd/shared_rows.h"
#include "cmd/terminal.h"
#include "cmd/verbs.h"
#include "libbulla/recognize.h"
#include "libbulla/rewrap_object.h"

#define CLASSES_MAX 8 /* of storage */

struct run {
    const struct options *options;
    struct session session;
    struct rewrap rewrap;
    atomic_uint_fast64_t done, current, other, waited; /* files */
    atomic_uint_fast64_t stayed, exported, versioned, replicated;
    pthread_mutex_t lock; /* for the costs by class, of which .reads is 0 after the last */
    struct class_cost {
        struct object_cost cost;
        uint64_t objects;
    } costs[CLASSES_MAX];
    atomic_uint_fast64_t proofs[PROOF_AGREES + 1]; /* of bodies that did not move */
};

static struct result read_options(struct run *r, const struct options *o, struct err *err)
{
    if (o->to.count > 0 && o->add.count + o->remove_keys.count > 0)
        return fail(err, ERR_USAGE, "--to does not go with --add and --remove");
    if (!setup_sync(&r->session, o, err).ok)
        return FAIL;
    r->rewrap.session = &r->session;
    r->rewrap.dry_run = o->dry_run;
    r->rewrap.preserve_times = o->preserve_times;
    r->rewrap.share_branch = o->share_branch;
    r->session.env.rotating = true;
    if (!named_keys_open(&r->session, o, true, err).ok)
        return FAIL;
    if (!named_keys_open_set(&r->rewrap.to, &r->session.env, &o->to, err).ok ||
        !named_keys_open_set(&r->rewrap.add, &r->session.env, &o->add, err).ok)
        return FAIL;
    if (!named_keys_open_set(&r->rewrap.remove, &r->session.env, &o->remove_keys, err).ok)
        return FAIL;
    return rewrap_start(&r->rewrap, err);
}

/* An exported envelope still opens with the old keys, and is not ours to change. */
static void tell_exported(struct run *r, const struct item *item, enum export exported)
{
    struct err err = {0};

    if (exported == EXPORT_OLD)
        (void)fail(&err, ERR_PARTIAL, "'%s%s' is an exported envelope that still has the old slots",
                   item->name, ENVELOPE_SUFFIX);
    else
        (void)fail(&err, ERR_PARTIAL,
                   "'%s%s' cannot be read: it may be an exported envelope that still has the old "
                   "slots",
                   item->name, ENVELOPE_SUFFIX);
    err_hint(&err, "'bulla envelope export --force' makes it anew");
    (void)terminal_error(&err);
    atomic_fetch_add(&r->exported, 1);
}

static void count_cost(struct run *r, const struct object_cost *cost)
{
    struct class_cost *c = r->costs;

    pthread_mutex_lock(&r->lock);
    while (c < r->costs + CLASSES_MAX - 1 && c->objects > 0 &&
           strcmp(c->cost.class, cost->class) != 0)
        c++;
    c->cost.class = cost->class;
    c->cost.reads += cost->reads;
    c->cost.writes += cost->writes;
    c->cost.down += cost->down;
    c->cost.up += cost->up;
    c->cost.price += cost->price;
    c->objects++;
    pthread_mutex_unlock(&r->lock);
}

static void count(struct run *r, const struct rewrap_report *report)
{
    atomic_uint_fast64_t *const counts[] = {[REWRAP_CURRENT] = &r->current,
                                            [REWRAP_OTHER] = &r->other,
                                            [REWRAP_DONE] = &r->done,
                                            [REWRAP_GREW] = &r->done,
                                            [REWRAP_WAITS] = &r->waited};

    atomic_fetch_add(counts[report->outcome], 1);
    atomic_fetch_add(&r->stayed, report->stayed);
    atomic_fetch_add(&r->versioned, report->versioned);
    atomic_fetch_add(&r->replicated, report->replicated);
    atomic_fetch_add(&r->proofs[report->proof], 1);
    if (report->cost.class != NULL)
        count_cost(r, &report->cost);
}

static struct result each(void *arg, const struct item *item, json_t *json, struct err *err)
{
    static const char *const names[] = {[REWRAP_CURRENT] = "current",
                                        [REWRAP_OTHER] = "other",
                                        [REWRAP_DONE] = "rewrapped",
                                        [REWRAP_GREW] = "copied",
                                        [REWRAP_WAITS] = "waits"};
    struct run *r = arg;
    struct rewrap_report report;

    if (item->name == NULL)
        return fail(err, ERR_USAGE, "standard input cannot be rewrapped; name a FILE");
    if (!(item->object != NULL
              ? rewrap_object(&r->rewrap, item->object, item->envelope, &report, err)
              : rewrap_file(&r->rewrap, item->source, &report, err))
             .ok)
        return FAIL;
    enum rewrapped outcome = report.outcome;
    /* In a walk a file of other keys is skipped; one that was named should have been ours. */
    if (outcome == REWRAP_OTHER && item->follow) {
        (void)fail(err, ERR_NO_KEY, "'%s': none of the given keys opens it", item->name);
        return fail_hint(err, "'bulla inspect' shows the keys it was sealed to");
    }
    count(r, &report);
    if (report.exported != EXPORT_NONE)
        tell_exported(r, item, report.exported);
    if (json != NULL) {
        terminal_put(json, r->options->dry_run ? "would_be" : "outcome",
                     json_string(names[outcome]));
        if (report.stayed)
            terminal_put(json, "branch_stayed", json_true());
        if (report.proof != PROOF_NOT_DUE)
            terminal_put(json, "body_checksum",
                         json_string(report.proof == PROOF_AGREES ? "agrees" : "none"));
    } else if (r->options->dry_run && (outcome == REWRAP_DONE || outcome == REWRAP_GREW)) {
        terminal_note("would rewrap '%s'", item->name);
    }
    return OK;
}

/* Of large objects, of which the server copied the body. */
static void tell_proofs(struct run *r)
{
    uint64_t agree = atomic_load(&r->proofs[PROOF_AGREES]),
             none = atomic_load(&r->proofs[PROOF_NONE]);

    if (agree + none == 0)
        return;
    terminal_note("body checksum agrees for %" PRIu64 " that the server put together; of %" PRIu64
                  " it keeps none",
                  agree, none);
}

#define PRICE_UNIT 1e-8 /* dollars */

/* What a run that only looks says of one that does not, for objects of a class. */
static void show_cost(const struct run *r, const struct class_cost *c)
{
    char down[TERMINAL_SIZE_MAX], up[TERMINAL_SIZE_MAX];
    double dollars = (double)c->cost.price * PRICE_UNIT;

    if (r->options->json)
        terminal_json(json_pack("{s:{s:s, s:I, s:I, s:I, s:I, s:I, s:f}}", "cost", "class",
                                c->cost.class, "objects", (json_int_t)c->objects, "reads",
                                (json_int_t)c->cost.reads, "writes", (json_int_t)c->cost.writes,
                                "bytes_down", (json_int_t)c->cost.down, "bytes_up",
                                (json_int_t)c->cost.up, "dollars", dollars));
    terminal_note("%s: %" PRIu64 " objects take %" PRIu64 " requests that read and %" PRIu64
                  " that write, %s down and %s up; at AWS (us-east-1, November 2026) about $%.4f",
                  c->cost.class, c->objects, c->cost.reads, c->cost.writes,
                  terminal_size(c->cost.down, down), terminal_size(c->cost.up, up), dollars);
}

static void summary(struct run *r, uint64_t left)
{
    const struct branch_table *table = &r->session.table;
    uint64_t done = atomic_load(&r->done), stayed = atomic_load(&r->stayed);
    uint64_t forgotten = table->forgotten + r->rewrap.made.forgotten;

    if (r->options->json)
        terminal_json(
            json_pack("{s:{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}}", "summary", "rewrapped",
                      (json_int_t)done, "current", (json_int_t)atomic_load(&r->current), "other",
                      (json_int_t)atomic_load(&r->other), "left", (json_int_t)left, "unwraps",
                      (json_int_t)table->unwraps, "wraps", (json_int_t)rewrap_wraps(&r->rewrap),
                      "branch_stayed", (json_int_t)stayed, "forgotten", (json_int_t)forgotten));
    terminal_note("%" PRIu64 " %s, %" PRIu64 " were current, %" PRIu64 " of other keys, %" PRIu64
                  " left; %" PRIu64 " unwraps and %" PRIu64 " wraps by master keys",
                  done, r->options->dry_run ? "would be rewrapped" : "rewrapped",
                  (uint64_t)atomic_load(&r->current), (uint64_t)atomic_load(&r->other), left,
                  table->unwraps, rewrap_wraps(&r->rewrap));
    if (stayed > 0)
        terminal_note("the branch key stayed the same in %" PRIu64
                      " of them: whoever had an old key may know it, and can still make files that "
                      "open under the new keys",
                      stayed);
    tell_proofs(r);
    outcome_stays(atomic_load(&r->versioned), atomic_load(&r->replicated));
    for (size_t i = 0; i < CLASSES_MAX && r->options->dry_run && r->costs[i].objects > 0; i++)
        show_cost(r, &r->costs[i]);
    if (forgotten > 0)
        terminal_note("there were more branches than the run can remember: %" PRIu64
                      " were forgotten, so keys may have been asked for them again",
                      forgotten);
}

static int run(struct run *r)
{
    struct batch batch = {.options = r->options,
                          .each = each,
                          .arg = r,
                          .parallel = true,
                          .objects_at_once = OBJECTS_AT_ONCE,
                          .done = "seen",
                          .takes_objects = true,
                          .envelopes = true,
                          .crypto = r->session.crypto,
                          .only = SEALED_SUFFIX,
                          .looks = 1u << RECOGNIZED_SEALED | 1u << RECOGNIZED_BODY |
                                   1u << RECOGNIZED_ALONE};
    int status = batch_run(&batch);
    uint64_t left = outcome_left(&r->session, r->options);

    summary(r, left + atomic_load(&r->exported));
    return status == ERR_NONE && left + atomic_load(&r->exported) > 0 ? ERR_PARTIAL : status;
}

static int rewrap(const struct options *o)
{
    struct run r = {.options = o, .lock = PTHREAD_MUTEX_INITIALIZER};
    struct err err = {0};
    int status = read_options(&r, o, &err).ok ? run(&r) : terminal_error(&err);

    outcome_calls(o, keyset_calls(&r.session.keys) + keyset_calls(&r.rewrap.to) +
                         keyset_calls(&r.rewrap.add) + keyset_calls(&r.rewrap.remove));
    rewrap_end(&r.rewrap);
    session_close(&r.session);
    return status;
}

static const struct choice sync_choices[] = {{"each", SYNC_EACH}, {"none", SYNC_NONE}, {NULL, 0}};

static const struct row rows[] = {
    {"add", 0, "KEY", LIST_OF_TEXT, FIELD(add), "seal to this key too; may be repeated",
     .use = USE_KEY},
    {"remove", 0, "KEY", LIST_OF_TEXT, FIELD(remove_keys),
     "seal to this key no more; may be repeated", .use = USE_KEY},
    {"dry-run", 'n', NULL, FLAG, FIELD(dry_run), "only say what would be done"},
    {"share-branch", 0, NULL, FLAG, FIELD(share_branch),
     "let --add add a key even if not all keys of a file are\n"
     "given: the added key can open all files of its branch"},
    {"preserve-times", 0, NULL, FLAG, FIELD(preserve_times),
     "keep the modification times of the files; a sync by size\n"
     "and time will not see that they changed"},
    {"sync", 0, "WHEN", CHOICE, FIELD(sync),
     "each (the default) or none: whether each copy of an\n"
     "envelope is made durable before the next is touched;\n"
     "if not, or at the end, a power cut may take both",
     .choices = sync_choices},
    {0},
};

const struct verb verb_rewrap = {
    .name = "rewrap",
    .operands = "[FILE...]",
    .most = ANY_NUMBER,
    .summary = "move sealed files to other keys or key versions",
    .more = "Without --to, --add and --remove, whatever is sealed to an old version of the given\n"
            "keys moves to their active version. Data keys and bodies stay as they are, so that\n"
            "the time does not depend on the size of the files. A run makes a new branch key for\n"
            "the files of which all keys are given. A run that was killed is just started again.\n"
            "Not a revocation: whoever had the old key and an old copy can still open that copy.\n",
    .run = rewrap,
    .operand = USE_REPLACE,
    .fallback = FALLBACK_OPEN,
    .gives = true,
    .rows = (const struct row *const[]){rows_key, rows_to, rows, rows_batch, rows_inventory,
                                        rows_json, rows_one_file_system, rows_follow,
                                        rows_conditions, rows_objects, rows_jobs, rows_all, NULL},
    .key_rows = (const struct row *const[]){rows_passphrase, rows_new_passphrase, rows_pin, NULL},
    .store_uses = STORE_OPENS | STORE_SEALS,
    .examples = "  bulla rewrap -k ./backup.ring --recursive upload\n"
                "  bulla rewrap -k ./backup.ring --to ./offsite.ring data.tar.bulla\n"
                "  bulla rewrap -k ./backup.ring --add ./offsite.ring backup.tar.bulla\n",
};
