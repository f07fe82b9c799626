#include "cmd/object_walk.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "libbulla/open.h"

/* Names, and versions of them, that may come between that of a sealed file and of its envelope: as
 * many as a backup every night for five years leaves. */
#define HELD_MAX 2048

/* struct held: a sealed file whose envelope may still come. */
struct held {
    char *key;
    struct object_look look;
    enum envelope_beside envelope;
    bool old, marker;
};

struct walk {
    const struct object_visitor *visitor;
    struct held held[HELD_MAX];
    size_t count;
    bool versions; /* are walked */
    bool stopped, failed;
};

static void let_go(struct walk *w, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct held *h = &w->held[i];
        const struct object_entry entry = {
            .key = h->key, .look = h->look, .old = h->old, .marker = h->marker};
        w->stopped = w->stopped || !w->visitor->object(w->visitor->arg, &entry, h->envelope);
        string_free(&h->key);
    }
    memmove(w->held, w->held + count, (w->count - count) * sizeof *w->held);
    w->count -= count;
}

/* Whether an envelope can still come after a name: nothing after "X.bulla.env" is one of X's. */
static bool may_come(const struct held *h, const char *key)
{
    size_t size = strlen(h->key);
    int order = strncmp(key, h->key, size);

    return h->envelope == BESIDE_UNKNOWN &&
           (order < 0 || (order == 0 && strcmp(key + size, ENVELOPE_SUFFIX) < 0));
}

static void let_go_before(struct walk *w, const char *key)
{
    size_t done = 0;

    while (done < w->count && !may_come(&w->held[done], key))
        done++;
    let_go(w, done);
}

static bool hold(struct walk *w, const struct object_entry *e)
{
    if (w->count == HELD_MAX)
        let_go(w, 1);
    w->held[w->count] =
        (struct held){.key = strdup(e->key), .look = e->look, .old = e->old, .marker = e->marker};
    w->failed = w->held[w->count].key == NULL;
    w->count += !w->failed;
    return !w->failed;
}

/* Whether it is the envelope of one that is held. */
static bool completes(struct walk *w, const struct object_entry *e)
{
    const char *key = e->key;
    bool found = false;

    for (size_t i = 0; i < w->count; i++) {
        size_t size = strlen(w->held[i].key);
        if (strncmp(key, w->held[i].key, size) == 0 && strcmp(key + size, ENVELOPE_SUFFIX) == 0) {
            bool newer = e->look.modified > 0 && e->look.modified >= w->held[i].look.modified;
            w->held[i].envelope = newer ? BESIDE_NEWER : BESIDE_OLDER;
            found = true;
        }
    }
    return found;
}

static bool on_entry(void *arg, const struct object_entry *e)
{
    struct walk *w = arg;
    size_t size = strlen(e->key);

    if (size > 0 && e->key[size - 1] == '/' && e->look.size == 0)
        return true;
    bool envelope = completes(w, e);
    let_go_before(w, e->key);
    if (!envelope || w->versions)
        (void)hold(w, e);
    return !w->stopped && !w->failed && !stream_interrupted();
}

struct result object_walk_list(const struct object_lister *lister, bool versions,
                               const struct object_visitor *visitor, struct err *err)
{
    struct walk *w = calloc(1, sizeof *w);

    if (w == NULL)
        return fail_memory(err);
    w->visitor = visitor;
    w->versions = versions;
    struct result r = lister->list(lister->arg, on_entry, w, err);
    if (r.ok && w->failed)
        r = fail_memory(err);
    if (!r.ok)
        w->stopped = true;
    let_go(w, w->count);
    free(w);
    return r;
}

static struct result list_objects(void *arg, bool (*each)(void *, const struct object_entry *),
                                  void *each_arg, struct err *err)
{
    const struct object *o = arg;

    return o->storage->ops->list(o, LIST_OBJECTS, each, each_arg, err);
}

static struct result list_versions(void *arg, bool (*each)(void *, const struct object_entry *),
                                   void *each_arg, struct err *err)
{
    const struct object *o = arg;

    return o->storage->ops->list(o, LIST_VERSIONS, each, each_arg, err);
}

struct result object_walk(const struct object *o, const struct object_visitor *visitor,
                          struct err *err)
{
    const struct object_lister lister = {list_objects, (void *)(uintptr_t)o};

    return object_walk_list(&lister, false, visitor, err);
}

struct result object_walk_versions(const struct object *o, const struct object_visitor *visitor,
                                   struct err *err)
{
    const struct object_lister lister = {list_versions, (void *)(uintptr_t)o};

    return object_walk_list(&lister, true, visitor, err);
}
