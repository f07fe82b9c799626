#include "cmd/status.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "cmd/batch.h"
#include "cmd/common.h"
#include "cmd/terminal.h"
#include "cmd/verbs.h"
#include "libbulla/open.h"

/* struct tally: one master key, as the slots name it, and the files that have a slot of it. */
struct tally {
    char *what;            /* "backup v3 (4f0c…)", escaped */
    char *oldest;          /* the file that was sealed first */
    uint64_t time;         /* when that was, in seconds since 1970 */
    uint64_t files, alone; /* files with a slot of it, and of those the ones with no other slot */
};

struct run {
    const struct options *options;
    struct tally *tallies;
    size_t count;
    uint64_t files, alone; /* files in all, and those that hang on a single key */

    /* --needs */
    const struct master_key *key;
    const char *key_name;
    uint64_t needed;
};

/* The tally of a key, made for this file if there is none yet; NULL when memory is out. */
static struct tally *find_tally(struct run *r, const char *what, const char *path, uint64_t time)
{
    for (size_t i = 0; i < r->count; i++)
        if (strcmp(r->tallies[i].what, what) == 0)
            return &r->tallies[i];
    struct tally *grown = reallocarray(r->tallies, r->count + 1, sizeof *grown);
    if (grown == NULL)
        return NULL;
    r->tallies = grown;
    struct tally made = {.what = strdup(what), .oldest = strdup(path), .time = time};
    if (made.what == NULL || made.oldest == NULL) {
        free(made.what);
        free(made.oldest);
        return NULL;
    }
    grown[r->count] = made;
    return &grown[r->count++];
}

static struct result count_slot(struct run *r, const struct slot *slot, const struct sealed *f,
                                const char *path, struct err *err)
{
    const struct envelope *e = &f->envelope;
    char what[SLOT_DESCRIBED_MAX], *older = NULL;

    slot_describe(slot, what);
    struct tally *t = find_tally(r, what, path, e->core.created);
    if (t == NULL || (e->core.created < t->time && (older = strdup(path)) == NULL))
        return fail(err, ERR_FAILED, "out of memory");
    t->files++;
    t->alone += e->slot_count == 1;
    if (older == NULL)
        return OK;
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

static int by_what(const void *a, const void *b)
{
    return strcmp(((const struct tally *)a)->what, ((const struct tally *)b)->what);
}

static void show(struct run *r)
{
    char time[TEXT_TIME_SIZE];

    if (r->count > 0)
        qsort(r->tallies, r->count, sizeof *r->tallies, by_what);
    for (size_t i = 0; i < r->count; i++) {
        const struct tally *t = &r->tallies[i];
        printf("%" PRIu64 " file%s on %s, %" PRIu64 " of them on it alone; the oldest is ",
               t->files, plural(t->files), t->what, t->alone);
        terminal_show(t->oldest, strlen(t->oldest));
        printf(" of %s\n", text_time(time, t->time));
    }
    printf("%" PRIu64 " file%s, %" PRIu64 " of them on a single key\n", r->files, plural(r->files),
           r->alone);
}

static void show_json(const struct run *r)
{
    char time[TEXT_TIME_SIZE];

    for (size_t i = 0; i < r->count; i++) {
        const struct tally *t = &r->tallies[i];
        terminal_json(json_pack("{s:s, s:I, s:I, s:o, s:s}", "key", t->what, "files",
                                (json_int_t)t->files, "alone", (json_int_t)t->alone, "oldest",
                                terminal_text(t->oldest, strlen(t->oldest)), "sealed",
                                text_time(time, t->time)));
    }
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
    for (size_t i = 0; i < r->count; i++) {
        free(r->tallies[i].what);
        free(r->tallies[i].oldest);
    }
    free(r->tallies);
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
        show_json(&r);
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
