#include "cmd/status.h"

#include <inttypes.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "cmd/batch.h"
#include "cmd/named_keys.h"
#include "cmd/needs.h"
#include "cmd/object_rows.h"
#include "cmd/setup.h"
#include "cmd/shared_rows.h"
#include "cmd/terminal.h"
#include "cmd/verbs.h"
#include "keystore/redact_reference.h"
#include "libbulla/in_place.h"
#include "libbulla/recognize.h"

/* What the names of keys and files may take, in bytes: anybody can write a file that names keys. */
#define HELD_MAX ((size_t)8 << 20)

/* struct tally: one master key, as the slots name it, and the files that have a slot of it. */
struct tally {
    char *what;            /* "backup v3 (4f0c…)", escaped */
    char *oldest;          /* the file that was sealed first */
    uint64_t time;         /* when that was, in seconds since 1970 */
    uint64_t files, alone; /* files with a slot of it, and of those the ones with no other slot */
};

struct run {
    const struct options *options;
    void *tallies;         /* a tree (tsearch(3)) of them, by what they are of */
    size_t held;           /* bytes that they take */
    uint64_t files, alone; /* files in all, and those that depend on a single key */

    struct needs needs;   /* of --needs */
    bool names;           /* the files that need one are listed */
    uint64_t old;         /* of the files: versions that a bucket keeps of what was replaced */
    uint64_t replicated;  /* of the files: other buckets have copies */
    uint64_t markers;     /* objects that were removed, of which it keeps versions */
    pthread_mutex_t lock; /* for all of these, and what is printed */
};

static int by_what(const void *a, const void *b)
{
    return strcmp(((const struct tally *)a)->what, ((const struct tally *)b)->what);
}

static void tally_free(void *arg)
{
    struct tally *t = arg;

    if (t == NULL)
        return;
    free(t->what);
    free(t->oldest);
    free(t);
}

/* A tally for a key that has none yet. */
static struct result add_tally(struct run *r, struct tally **out, const char *what,
                               const char *path, uint64_t time, struct err *err)
{
    size_t size = sizeof(struct tally) + strlen(what) + strlen(path);

    if (r->held + size > HELD_MAX) {
        (void)fail(err, ERR_FAILED, "'%s': too many different keys to count them all", path);
        return fail_hint(err, "--shard takes a part of the files at a time");
    }
    struct tally *made = calloc(1, sizeof *made);
    if (made != NULL)
        *made = (struct tally){.what = strdup(what), .oldest = strdup(path), .time = time};
    if (made == NULL || made->what == NULL || made->oldest == NULL ||
        tsearch(made, &r->tallies, by_what) == NULL) {
        tally_free(made);
        return fail_memory(err);
    }
    r->held += size;
    *out = made;
    return OK;
}

/* The tally of a key, made for this file if there is none yet. */
static struct result find_tally(struct run *r, struct tally **out, char *what, const char *path,
                                uint64_t time, struct err *err)
{
    struct tally key = {.what = what};
    struct tally *const *found = tfind(&key, &r->tallies, by_what);

    if (found == NULL)
        return add_tally(r, out, what, path, time, err);
    *out = *found;
    return OK;
}

static struct result count_slot(struct run *r, const struct slot *slot, const struct sealed *f,
                                const char *path, struct err *err)
{
    const struct envelope *e = &f->envelope;
    char what[SLOT_DESCRIBED_MAX], *older = NULL;
    struct tally *t;

    slot_describe(slot, what);
    if (!find_tally(r, &t, what, path, e->core.created, err).ok)
        return FAIL;
    if (e->core.created < t->time && (older = strdup(path)) == NULL)
        return fail_memory(err);
    t->files++;
    t->alone += e->slot_count == 1;
    if (older == NULL)
        return OK;
    r->held = r->held - strlen(t->oldest) + strlen(older);
    free(t->oldest);
    t->oldest = older;
    t->time = e->core.created;
    return OK;
}

static void show_needed(const struct run *r, const struct need *need, const struct item *item)
{
    if (r->options->json || !r->names)
        return;
    terminal_show(item->name, strlen(item->name));
    if (r->needs.count > 1) {
        terminal_print("\t");
        terminal_reference(need->reference);
    }
    terminal_print("\n");
}

/* Counts a file for each key that it needs; json may be NULL. */
static struct result count_needs(struct run *r, const struct sealed *f, const struct item *item,
                                 json_t *json, struct err *err)
{
    json_t *list = json != NULL ? json_array() : NULL;
    struct result done = OK;

    for (size_t i = 0; i < r->needs.count; i++) {
        struct need *need = &r->needs.list[i];
        const struct keyset key = {&need->key, 1};
        enum needed needed = needs_find(&r->needs, need, f);
        if (needed == NEEDED_UNCLEAR)
            done = needs_unclear(need, item->name, err);
        if (!keyset_check_age(&key, f->envelope.slots, f->envelope.slot_count, err).ok) {
            err_file(err, item->name);
            done = FAIL;
        } else if (needed == NEEDED) {
            need->files++;
            show_needed(r, need, item);
            if (json != NULL)
                terminal_append(list, terminal_reference_text(need->reference));
        }
    }
    if (json != NULL)
        terminal_put(json, "needs", list);
    return done;
}

static void put_keys(json_t *json, const struct envelope *e)
{
    json_t *keys = json_array();
    char what[SLOT_DESCRIBED_MAX];

    for (size_t i = 0; i < e->slot_count; i++) {
        slot_describe(&e->slots[i], what);
        terminal_append(keys, json_string(what));
    }
    terminal_put(json, "keys", keys);
}

static struct result count(struct run *r, const struct sealed *f, const struct item *item,
                           json_t *json, struct err *err)
{
    const struct envelope *e = &f->envelope;

    r->files++;
    r->old += item->old;
    r->replicated += f->beside_look.replicated ||
                     (f->remote != NULL && object_source_look(f->remote)->replicated);
    r->alone += e->slot_count == 1;
    if (json != NULL)
        put_keys(json, e);
    if (r->needs.count > 0)
        return count_needs(r, f, item, json, err);
    for (size_t i = 0; i < e->slot_count; i++)
        if (!count_slot(r, &e->slots[i], f, item->name, err).ok)
            return FAIL;
    return OK;
}

/* A body that was replaced has no envelope of its own: the versions of that count themselves. */
static bool is_old_body(const struct item *item, const struct err *err)
{
    return item->old && item->envelope != BESIDE_UNKNOWN &&
           (err->class == ERR_DAMAGED || err->class == ERR_FOREIGN);
}

/* Opens what there is to see of a file; of an archived body, the envelope that was made apart from
 * it. */
static struct result open_item(struct sealed *f, const struct session *no_keys,
                               const struct item *item, struct object *apart, struct err *err)
{
    const struct sealed_place from = {
        .body = item->source, .object = item->object, .follow = item->follow, .alone = item->old};
    bool found = false;

    if (item->archived && !sealed_open_apart(f, no_keys, item->object, apart, &found, err).ok)
        return FAIL;
    if (!found)
        return sealed_open(f, no_keys, &from, err);
    f->separate = true;
    return OK;
}

/* *separate is true if it is an envelope beside it that counts. */
static struct result look(struct run *r, const struct item *item, json_t *json, bool *separate,
                          struct err *err)
{
    struct object apart OBJECT_CLEANUP = {0};
    struct sealed f SEALED_CLEANUP = {0};
    struct session no_keys = {.env.warn = terminal_warn};
    struct err why = {0};

    if (item->name == NULL)
        return fail(err, ERR_USAGE, "name a FILE, or a directory with --recursive");
    if (!open_item(&f, &no_keys, item, &apart, &why).ok) {
        if (is_old_body(item, &why))
            return OK;
        *err = why;
        return FAIL;
    }
    /* If a copy is not understood, it is not known which keys that copy needs. */
    if (!in_place_check(&f.health, item->name, err).ok)
        return FAIL;
    *separate = f.separate;
    pthread_mutex_lock(&r->lock);
    struct result counted = count(r, &f, item, json, err);
    pthread_mutex_unlock(&r->lock);
    return counted;
}

/* An envelope that was exported beside an object which has its own counts like a file. */
static struct result each(void *arg, const struct item *item, json_t *json, struct err *err)
{
    struct object beside OBJECT_CLEANUP = {0};
    bool separate = false;

    if (!look(arg, item, json, &separate, err).ok)
        return FAIL;
    if (item->envelope == BESIDE_UNKNOWN || item->old || separate)
        return OK;
    if (!object_beside(&beside, item->object, ENVELOPE_SUFFIX, err).ok)
        return FAIL;
    const struct item exported = {.object = &beside, .name = beside.path};
    return look(arg, &exported, NULL, &separate, err);
}

static void on_marker(void *arg, const char *path, bool old)
{
    struct run *r = arg;

    (void)path;
    r->markers += !old;
}

static const char *plural(uint64_t count)
{
    return count == 1 ? "" : "s";
}

static void show_one(const void *node, VISIT visit, int depth)
{
    const struct tally *t = *(const struct tally *const *)node;
    char time[TEXT_TIME_SIZE];

    (void)depth;
    if (visit != postorder && visit != leaf) /* the two that come in order */
        return;
    terminal_print("%" PRIu64 " file%s on %s, %" PRIu64 " of them on it alone; the oldest is ",
                   t->files, plural(t->files), t->what, t->alone);
    terminal_show(t->oldest, strlen(t->oldest));
    terminal_print(" of %s\n", text_time(time, t->time));
}

static void show(const struct run *r)
{
    twalk(r->tallies, show_one);
    terminal_print("%" PRIu64 " file%s, %" PRIu64 " of them on a single key\n", r->files,
                   plural(r->files), r->alone);
}

static void show_one_json(const void *node, VISIT visit, int depth)
{
    const struct tally *t = *(const struct tally *const *)node;
    char time[TEXT_TIME_SIZE];

    (void)depth;
    if (visit == postorder || visit == leaf)
        terminal_json(json_pack("{s:s, s:I, s:I, s:o, s:s}", "key", t->what, "files",
                                (json_int_t)t->files, "alone", (json_int_t)t->alone, "oldest",
                                terminal_text(t->oldest, strlen(t->oldest)), "sealed",
                                text_time(time, t->time)));
}

static bool any_needed(const struct run *r)
{
    uint64_t files = 0;

    for (size_t i = 0; i < r->needs.count; i++)
        files += r->needs.list[i].files;
    return files > 0;
}

static int scan(struct run *r, const struct options *o)
{
    struct batch batch = {.options = o,
                          .each = each,
                          .arg = r,
                          .done = "read",
                          .takes_objects = true,
                          .envelopes = true,
                          .objects_at_once = OBJECTS_AT_ONCE,
                          .versions =
                              r->needs.count > 0 || o->versions ? VERSIONS_ALL : VERSIONS_NOW,
                          .marker = on_marker,
                          .only = SEALED_SUFFIX,
                          .looks = 1u << RECOGNIZED_SEALED | 1u << RECOGNIZED_BODY |
                                   1u << RECOGNIZED_EXPORTED | 1u << RECOGNIZED_ALONE,
                          .proof = true};

    r->options = o;
    return batch_run(&batch);
}

/* Where objects are no longer seen, but kept. */
static void tell_versions(const struct run *r)
{
    if (r->old > 0)
        terminal_note("%" PRIu64 " of these are old versions that a bucket keeps", r->old);
    if (r->replicated > 0)
        terminal_note("other buckets have replicas of %" PRIu64
                      " of these, which were not looked at",
                      r->replicated);
    if (r->markers > 0)
        terminal_note("%" PRIu64 " object%s removed there by a delete marker, which keeps what was "
                      "before",
                      r->markers, r->markers == 1 ? " was" : "s were");
}

/* The answer for one key. "No file needs it" is an answer only if all were looked at. */
static void show_need(const struct run *r, const struct need *need, bool all)
{
    if (r->options->json) {
        terminal_json(json_pack("{s:o, s:I, s:b}", "key", terminal_reference_text(need->reference),
                                "needed", (json_int_t)need->files, "all_seen", all));
        return;
    }
    if (need->files == 0 && !all)
        return;
    terminal_print("%" PRIu64 " file%s still need%s ", need->files, plural(need->files),
                   need->files == 1 ? "s" : "");
    terminal_reference(need->reference);
    terminal_print("\n");
}

static void run_end(struct run *r)
{
    tdestroy(r->tallies, tally_free);
    needs_free(&r->needs);
}

#define RUN_CLEANUP __attribute__((cleanup(run_end)))

static void show_all(const struct run *r, bool all)
{
    for (size_t i = 0; i < r->needs.count; i++)
        show_need(r, &r->needs.list[i], all);
    if (r->needs.count > 0)
        return;
    if (r->options->json)
        twalk(r->tallies, show_one_json);
    else
        show(r);
}

static int show_status(const struct options *o)
{
    struct session s SESSION_CLEANUP = {0};
    struct keyset keys KEYSET_CLEANUP = {0};
    struct run r RUN_CLEANUP = {.names = true, .lock = PTHREAD_MUTEX_INITIALIZER};
    struct err err = {0};

    setup_env(&s.env, o);
    if (!session_open(&s, NULL, 0, &err).ok ||
        !named_keys_open_set(&keys, &s.env, &o->needs, &err).ok ||
        !needs_take(&r.needs, &keys, o, &err).ok)
        return terminal_error(&err);
    int status = scan(&r, o);
    /* A count of nothing that could be read would look like an answer. */
    if (status != ERR_NONE && r.files == 0)
        return status;
    show_all(&r, status == ERR_NONE);
    tell_versions(&r);
    return any_needed(&r) && status != ERR_INTERRUPTED ? ERR_POLICY : status;
}

static const struct row rows[] = {
    {"needs", 0, "KEY", LIST_OF_TEXT, FIELD(needs),
     "list the files that only this KEY or KEY:VERSION opens;\n"
     "if repeated, the files that only these keys open",
     .use = USE_KEY},
    {"versions", 0, NULL, FLAG, FIELD(versions),
     "count old versions of objects too, which a bucket keeps;\n"
     "--needs always does"},
    {0},
};

const struct verb verb_status = {
    .name = "status",
    .operands = "[FILE...]",
    .most = ANY_NUMBER,
    .summary = "show which keys sealed files depend on",
    .more =
        "Counts the files for each key and version. With --needs, lists the files that would\n"
        "be lost with a key, and exits 0 only if every file was looked at and none would be; 7\n"
        "if some would be, 3 if some could not be looked at.\n",
    .run = show_status,
    .operand = USE_READ,
    .rows = (const struct row *const[]){rows, rows_batch, rows_inventory, rows_json,
                                        rows_one_file_system, rows_follow, rows_allow_empty,
                                        rows_objects, rows_all, NULL},
    .key_rows = (const struct row *const[]){rows_pin, NULL},
    .store_uses = STORE_OPENS,
    .examples = "  bulla status --recursive upload\n"
                "  bulla status --recursive --needs ./backup.ring#backup:1 upload\n",
};

struct result status_needs(struct session *s, struct master_key *key, const char *reference,
                           const struct options *o, uint64_t *needed, struct err *err)
{
    struct need need = {.key = key, .reference = reference};
    struct run r = {.needs = {&need, 1, s}, .lock = PTHREAD_MUTEX_INITIALIZER};
    struct options paths = {.operands = o->check,
                            .recursive = true,
                            .follow = o->follow,
                            .one_file_system = o->one_file_system,
                            .allow_empty = o->allow_empty};
    int status = scan(&r, &paths);

    *needed = need.files;
    if (status == ERR_INTERRUPTED)
        return fail(err, ERR_INTERRUPTED, "interrupted");
    if (status != ERR_NONE && need.files == 0)
        return fail(err, ERR_PARTIAL, "not all could be looked at, so some files may need it");
    return OK;
}
