#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "cmd/batch.h"
#include "cmd/named_keys.h"
#include "cmd/needs.h"
#include "cmd/setup.h"
#include "cmd/shared_rows.h"
#include "cmd/terminal.h"
#include "cmd/verbs.h"
#include "libbulla/in_place.h"
#include "libbulla/recognize.h"
#include "storage/registry.h"

/* What becomes of an old version. */
enum purged { PURGED, PURGE_NOT_NEEDED, PURGE_BODY, PURGE_HELD, PURGE_ONLY_COPY, PURGE_OUTCOMES };

struct run {
    const struct options *options;
    struct needs needs;
    pthread_mutex_t lock; /* for what follows */
    uint64_t counts[PURGE_OUTCOMES], bytes, markers;
};

/* The object that an old version is of, as it is now. */
static struct result open_now(struct object *now, const struct object *old, struct err *err)
{
    char *path STRING_CLEANUP = strndup(old->path, object_path_size(old));

    if (path == NULL)
        return fail_memory(err);
    return object_in(now, old->storage, old->key, path, err);
}

/* The bytes of an object after its envelope: its whole body, or none if that is another object. */
static uint64_t body_size(const struct sealed *f)
{
    return object_source_look(f->remote)->size - envelope_size(&f->envelope);
}

/* Whether the object still has the content of an old version, so that the version is not the only
 * copy: a rewrap changes neither the file id nor the size of the body. An envelope alone, or a body
 * that was cut off, is no copy. Fails if that cannot be found out, or if the version became the
 * current one. */
static struct result is_there_still(const struct sealed *old, const struct object *version,
                                    bool *still, struct err *err)
{
    struct object object OBJECT_CLEANUP = {0};
    const struct sealed_place from = {.object = &object, .alone = true};
    struct sealed now SEALED_CLEANUP = {0};
    struct session silent = {0};
    struct err why = {0};

    *still = false;
    if (!open_now(&object, version, err).ok)
        return FAIL;
    if (!sealed_open(&now, &silent, &from, &why).ok) {
        if (why.class == ERR_MISSING || why.class == ERR_DAMAGED || why.class == ERR_FOREIGN)
            return OK;
        *err = why;
        return FAIL;
    }
    if (strcmp(object_source_look(now.remote)->version, version->version) == 0)
        return fail_named(err, ERR_STORE, "'%s' became the current version meanwhile",
                          version->path);
    *still = memcmp(now.envelope.core.file_id, old->envelope.core.file_id,
                    sizeof now.envelope.core.file_id) == 0 &&
             body_size(&now) == body_size(old);
    return OK;
}

static struct result needs_any(const struct run *r, const struct sealed *f, const char *name,
                               bool *any, struct err *err)
{
    *any = false;
    for (size_t i = 0; i < r->needs.count; i++) {
        const struct need *need = &r->needs.list[i];
        const struct keyset key = {(struct master_key **)(uintptr_t)&need->key, 1};
        enum needed needed = needs_find(&r->needs, need, f);
        if (needed == NEEDED_UNCLEAR)
            return needs_unclear(need, name, err);
        if (!keyset_check_age(&key, f->envelope.slots, f->envelope.slot_count, err).ok) {
            err_file(err, name);
            return FAIL;
        }
        *any = *any || needed == NEEDED;
    }
    return OK;
}

/* What is to become of a version that could be opened. */
static struct result decide(struct run *r, const struct item *item, const struct sealed *f,
                            enum purged *outcome, struct err *err)
{
    bool needed, still;

    *outcome = PURGE_NOT_NEEDED;
    if (!in_place_check(&f->health, item->name, err).ok ||
        !needs_any(r, f, item->name, &needed, err).ok)
        return FAIL;
    if (!needed)
        return OK;
    *outcome = PURGE_HELD;
    if (object_source_look(f->remote)->held > clock_now())
        return OK;
    if (!is_there_still(f, item->object, &still, err).ok)
        return FAIL;
    *outcome = still || r->options->only_copies ? PURGED : PURGE_ONLY_COPY;
    return OK;
}

static void tell(const struct run *r, const struct item *item, enum purged outcome, uint64_t held)
{
    char until[TEXT_TIME_SIZE];

    if (outcome == PURGE_HELD && held <= TEXT_TIME_MAX)
        terminal_note("'%s' is kept: it is locked until %s", item->name, text_time(until, held));
    else if (outcome == PURGE_HELD)
        terminal_note("'%s' is kept: it has a legal hold", item->name);
    else if (outcome == PURGE_ONLY_COPY)
        terminal_note("'%s' is kept: its content is nowhere else", item->name);
    else if (outcome == PURGED && !r->options->deletes)
        terminal_note("would delete '%s'", item->name);
}

static void count(struct run *r, enum purged outcome, uint64_t bytes)
{
    pthread_mutex_lock(&r->lock);
    r->counts[outcome]++;
    r->bytes += outcome == PURGED ? bytes : 0;
    pthread_mutex_unlock(&r->lock);
}

static struct result finish(struct run *r, const struct item *item, enum purged outcome,
                            const struct object_look *look, json_t *json, struct err *err)
{
    static const char *const names[] = {"deleted", "not_needed", "body", "locked", "only_copy"};
    const struct object *o = item->object;
    bool deletes = outcome == PURGED && r->options->deletes;

    if (deletes && !o->storage->ops->remove(o, NULL, err).ok)
        return FAIL;
    if (json != NULL)
        terminal_put(json, r->options->deletes ? "outcome" : "would_be",
                     json_string(names[outcome]));
    else
        tell(r, item, outcome, look != NULL ? look->held : 0);
    count(r, outcome, look != NULL ? look->size : 0);
    return OK;
}

/* A body that was replaced has no envelope of its own: the versions of that are looked at. */
static struct result each(void *arg, const struct item *item, json_t *json, struct err *err)
{
    struct run *r = arg;
    const struct sealed_place from = {.object = item->object, .alone = true};
    struct session silent = {.env.warn = terminal_warn};
    struct sealed f SEALED_CLEANUP = {0};
    enum purged outcome;
    struct err why = {0};

    if (item->object == NULL)
        return fail_named(err, ERR_USAGE, "'%s' is no object, and has no old versions",
                          item->name != NULL ? item->name : "-");
    if (!sealed_open(&f, &silent, &from, &why).ok) {
        if (item->envelope != BESIDE_UNKNOWN &&
            (why.class == ERR_DAMAGED || why.class == ERR_FOREIGN))
            return finish(r, item, PURGE_BODY, NULL, json, err);
        *err = why;
        return FAIL;
    }
    return decide(r, item, &f, &outcome, err).ok
               ? finish(r, item, outcome, object_source_look(f.remote), json, err)
               : FAIL;
}

static void on_marker(void *arg, const char *path, bool old)
{
    struct run *r = arg;

    (void)path, (void)old;
    r->markers++;
}

static void summary(const struct run *r)
{
    const uint64_t *n = r->counts;
    char size[TERMINAL_SIZE_MAX];
    bool deletes = r->options->deletes;

    if (r->options->json)
        terminal_json(json_pack(
            "{s:{s:I, s:I, s:I, s:I, s:I, s:I, s:I}}", "summary",
            deletes ? "deleted" : "would_delete", (json_int_t)n[PURGED], "bytes",
            (json_int_t)r->bytes, "locked", (json_int_t)n[PURGE_HELD], "only_copies",
            (json_int_t)n[PURGE_ONLY_COPY], "not_needed", (json_int_t)n[PURGE_NOT_NEEDED], "bodies",
            (json_int_t)n[PURGE_BODY], "delete_markers", (json_int_t)r->markers));
    terminal_note("%" PRIu64 " old versions (%s) %s; %" PRIu64 " are locked, %" PRIu64
                  " are the only copy of their content, %" PRIu64 " do not need the key",
                  n[PURGED], terminal_size(r->bytes, size),
                  deletes ? "were deleted" : "would be deleted by --delete", n[PURGE_HELD],
                  n[PURGE_ONLY_COPY], n[PURGE_NOT_NEEDED]);
    if (n[PURGE_BODY] + r->markers > 0)
        terminal_note("%" PRIu64 " old bodies without an envelope and %" PRIu64
                      " delete markers stay; they open nothing",
                      n[PURGE_BODY], r->markers);
}

static int scan(struct run *r)
{
    struct options all = *r->options;
    const struct batch batch = {.options = &all,
                                .each = each,
                                .arg = r,
                                .done = "looked at",
                                .takes_objects = true,
                                .parallel = true,
                                .objects_at_once = OBJECTS_AT_ONCE,
                                .versions = VERSIONS_OLD,
                                .marker = on_marker,
                                .only = SEALED_SUFFIX,
                                .looks = 1u << RECOGNIZED_SEALED | 1u << RECOGNIZED_BODY |
                                         1u << RECOGNIZED_EXPORTED | 1u << RECOGNIZED_ALONE};

    all.recursive = true;
    int status = batch_run(&batch);
    bool left = r->options->deletes && r->counts[PURGE_HELD] + r->counts[PURGE_ONLY_COPY] > 0;
    return status == ERR_NONE && left ? ERR_PARTIAL : status;
}

static struct result check(const struct options *o, struct err *err)
{
    if (o->needs.count == 0)
        return fail(err, ERR_USAGE, "--needs does not say which key is to go");
    for (size_t i = 0; i < o->operands.count; i++)
        if (!storage_names(o->operands.items[i])) {
            (void)fail(err, ERR_USAGE, "'%s' is no object, and has no old versions",
                       o->operands.items[i]);
            return fail_hint(err, "write s3://BUCKET/PREFIX/");
        }
    return OK;
}

static int purge(const struct options *o)
{
    struct session s SESSION_CLEANUP = {0};
    struct keyset keys KEYSET_CLEANUP = {0};
    struct run r = {.options = o, .lock = PTHREAD_MUTEX_INITIALIZER};
    struct err err = {0};

    setup_env(&s.env, o);
    if (!check(o, &err).ok || !session_open(&s, NULL, 0, &err).ok ||
        !named_keys_open_set(&keys, &s.env, &o->needs, &err).ok ||
        !needs_take(&r.needs, &keys, o, &err).ok)
        return terminal_error(&err);
    int status = scan(&r);
    summary(&r);
    needs_free(&r.needs);
    return status;
}

static const struct row rows[] = {
    {"needs", 0, "KEY", LIST_OF_TEXT, FIELD(needs),
     "the old versions that only this KEY or KEY:VERSION opens;\n"
     "if repeated, those that only these keys open",
     .use = USE_KEY},
    {"delete", 0, NULL, FLAG, FIELD(deletes),
     "delete them; without it, only say what would be done"},
    {"only-copies", 0, NULL, FLAG, FIELD(only_copies),
     "also those whose content the object does not have any\n"
     "more, because it was removed or replaced by another"},
    {0},
};

const struct verb verb_s3_purge = {
    .group = "s3",
    .name = "purge",
    .operands = "s3://BUCKET/PREFIX/...",
    .least = 1,
    .most = ANY_NUMBER,
    .summary = "delete old versions of objects that still need a key",
    .more =
        "A bucket with versions keeps what a rewrap replaced, and that still opens with the old\n"
        "key. Never deletes a current version, one that is locked (Object Lock), or without\n"
        "--only-copies the only copy of a content. A current object whose body has another\n"
        "size is no copy; what its bytes are is not read: 'bulla verify' it first. With\n"
        "--delete, the exit status is 3 if some that need the key stay.\n",
    .run = purge,
    .operand = USE_READ,
    .rows = (const struct row *const[]){rows, rows_json, rows_all, NULL},
    .key_rows = (const struct row *const[]){rows_pin, NULL},
    .store_uses = STORE_OPENS,
    .examples = "  bulla s3 purge --needs ./backup.ring#backup:1 s3://backups/\n"
                "  bulla s3 purge --needs ./backup.ring#backup:1 --delete s3://backups/\n",
};
