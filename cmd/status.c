#include "cmd/status.h"

#include <inttypes.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "cmd/batch.h"
#include "cmd/common.h"
#include "cmd/terminal.h"
#include "cmd/verbs.h"
#include "libbulla/look.h"

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
    uint64_t files, alone; /* files in all, and those that hang on a single key */

    /* --needs */
    const struct master_key *key;
    const char *key_name;
    uint64_t needed;
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
        err_hint(err, "--shard takes a part of the files at a time");
        return FAIL;
    }
    struct tally *made = calloc(1, sizeof *made);
    if (made != NULL)
        *made = (struct tally){.what = strdup(what), .oldest = strdup(path), .time = time};
    if (made == NULL || made->what == NULL || made->oldest == NULL ||
        tsearch(made, &r->tallies, by_what) == NULL) {
        tally_free(made);
        return fail(err, ERR_FAILED, "out of memory");
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
        return fail(err, ERR_FAILED, "out of memory");
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

/* Whether every slot of a file is of the key. */
static bool needs(const struct envelope *e, const struct master_key *key)
{
    for (size_t i = 0; i < e->slot_count; i++)
        if (key->ops->match(key, &e->slots[i]) == SLOT_OTHER)
            return false;
    return true;
}

static void show_needed(struct run *r, const struct item *item)
{
    r->needed++;
    if (r->options->json || r->key_name == NULL)
        return;
    terminal_show(item->source->path, strlen(item->source->path));
    putchar('\n');
}

static struct result each(void *arg, const struct item *item, json_t *json, struct err *err)
{
    struct run *r = arg;
    struct sealed f SEALED_CLEANUP = {0};
    struct sealed_place from = {.body = item->source, .follow = item->follow};
    struct session no_keys = {.env.warn = terminal_warn};

    if (item->source == NULL)
        return fail(err, ERR_USAGE, "name a FILE, or a directory with --recursive");
    if (!sealed_open(&f, &no_keys, &from, err).ok)
        return FAIL;
    const struct envelope *e = &f.envelope;
    r->files++;
    r->alone += e->slot_count == 1;
    bool needed = r->key != NULL && needs(e, r->key);
    if (needed)
        show_needed(r, item);
    if (json != NULL && r->key != NULL)
        terminal_put(json, "needs", json_boolean(needed));
    for (size_t i = 0; i < e->slot_count && r->key == NULL; i++)
        if (!count_slot(r, &e->slots[i], &f, item->source->path, err).ok)
            return FAIL;
    if (json != NULL) {
        json_t *keys = json_array();
        char what[SLOT_DESCRIBED_MAX];
        for (size_t i = 0; i < e->slot_count; i++) {
            slot_describe(&e->slots[i], what);
            terminal_append(keys, json_string(what));
        }
        terminal_put(json, "keys", keys);
    }
    return OK;
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
    printf("%" PRIu64 " file%s on %s, %" PRIu64 " of them on it alone; the oldest is ", t->files,
           plural(t->files), t->what, t->alone);
    terminal_show(t->oldest, strlen(t->oldest));
    printf(" of %s\n", text_time(time, t->time));
}

static void show(const struct run *r)
{
    twalk(r->tallies, show_one);
    printf("%" PRIu64 " file%s, %" PRIu64 " of them on a single key\n", r->files, plural(r->files),
           r->alone);
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

static int scan(struct run *r, const struct options *o)
{
    struct batch batch = {.options = o,
                          .each = each,
                          .arg = r,
                          .done = "read",
                          .only = SEALED_SUFFIX,
                          .looks = 1u << LOOK_SEALED | 1u << LOOK_BODY | 1u << LOOK_EXPORTED |
                                   1u << LOOK_ALONE};

    r->options = o;
    int status = batch_run(&batch);
    if (r->key != NULL && status == ERR_NONE && r->needed > 0)
        return ERR_POLICY;
    return status;
}

static void run_end(struct run *r)
{
    tdestroy(r->tallies, tally_free);
}

int verb_status(const struct options *o)
{
    struct run r __attribute__((cleanup(run_end))) = {0};
    struct list needed = {.items = (const char *[]){o->needs}, .count = o->needs != NULL};
    struct session s SESSION_CLEANUP = {0};
    struct keyset needs_keys KEYSET_CLEANUP = {0};
    struct err err = {0};

    if (!common_env(&s.env, o, &err).ok || !session_open(&s, NULL, 0, &err).ok ||
        !common_keyset(&needs_keys, &s.env, &needed, &err).ok)
        return terminal_error(&err);
    if (needed.count > 0) {
        if (!keyset_locate(&needs_keys, false, &err).ok)
            return terminal_error(&err);
        r.key = needs_keys.keys[0];
        r.key_name = o->needs;
    }
    int status = scan(&r, o);
    /* A count of nothing that could be read would look like an answer. */
    if (status != ERR_NONE && r.files == 0)
        return status;
    if (r.key != NULL) {
        if (!o->json && (status == ERR_NONE || status == ERR_POLICY)) {
            printf("%" PRIu64 " file%s still need%s ", r.needed, plural(r.needed),
                   r.needed == 1 ? "s" : "");
            terminal_reference(r.key_name);
            putchar('\n');
        }
    } else if (o->json) {
        twalk(r.tallies, show_one_json);
    } else {
        show(&r);
    }
    return status;
}

struct result status_needs(const struct master_key *key, const struct list *paths, uint64_t *needed,
                           struct err *err)
{
    struct run r = {.key = key};
    struct options o = {.operands = *paths, .recursive = true};
    int status = scan(&r, &o);

    run_end(&r);
    *needed = r.needed;
    if (status != ERR_NONE && status != ERR_POLICY)
        return fail(err, ERR_FAILED, "not every file could be read, so some may need it");
    return OK;
}
