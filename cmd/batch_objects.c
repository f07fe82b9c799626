#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/stream.h"
#include "base/text.h"
#include "cmd/batch_run.h"
#include "cmd/common.h"
#include "cmd/object_place.h"
#include "cmd/object_walk.h"
#include "libbulla/recognize.h"

/* Where what is opened of an object goes. name is the rest of its name after the prefix. */
static struct result object_target(struct run *r, const char *name, struct place *target,
                                   struct err *err)
{
    const struct options *o = r->batch->options;

    if (!run_writes(r) || is_stdio(o->output))
        return OK;
    return r->to_directory ? result_place_below(r->batch, name, r->out_dir, o->output, target, err)
                           : place_open_new(target, o->output, err);
}

/* One object. The name is what is below the prefix, or the last part. */
static struct result do_object(struct run *r, struct task *t, const char *name, struct err *err)
{
    r->found++;
    return object_target(r, name, &t->target, err).ok ? run_submit(r, t, err) : FAIL;
}

/* Why an object of a list is not for the verb, though it may be sealed; NULL if it is, or is not
 * sealed as far as its name says. */
static const char *why_unseen(const struct run *r, const struct object_entry *e)
{
    bool body = text_ends_with(e->key, SEALED_SUFFIX),
         alone = text_ends_with(e->key, ENVELOPE_SUFFIX);

    if (e->look.archived && recognize_is_named(e->key))
        return "it is archived (Glacier), and can be read once it is restored";
    if (!body && alone &&
        (r->batch->take != NULL || (r->batch->looks & 1u << RECOGNIZED_ALONE) == 0))
        return run_missed[RECOGNIZED_ALONE];
    return NULL;
}

static struct result take_entry(struct run *r, const struct object_entry *e, const char *suffix,
                                struct err *err)
{
    const struct object *prefix = r->prefix;
    struct task t TASK_CLEANUP = {.item.size = e->look.size};
    char *path STRING_CLEANUP = NULL, *key STRING_CLEANUP = NULL;
    size_t root = strlen(prefix->path) - strlen(prefix->key);

    if (asprintf(&key, "%s%s", e->key, suffix) < 0)
        key = NULL;
    if (key == NULL || asprintf(&path, "%.*s%s", (int)root, prefix->path, key) < 0)
        path = NULL;
    if (path == NULL)
        return fail(err, ERR_FAILED, "out of memory");
    if (!shard_has(&r->shard, path)) {
        r->found++;
        return OK;
    }
    const char *why = why_unseen(r, e);
    if (why != NULL) {
        run_unseen(r, path, why);
        return OK;
    }
    return object_in(&t.object, prefix->storage, key, path, err).ok
               ? do_object(r, &t, key + strlen(prefix->key), err)
               : FAIL;
}

/* An envelope that is listed too is seen with its body, or, where that has one of its own, is an
 * exported one, which those who count or move slots look at. */
static bool on_object(void *arg, const struct object_entry *e, bool envelope)
{
    struct run *r = arg;
    struct err err = {0};

    if (!recognize_is_named(e->key)) {
        tally_plain(&r->tally);
        return !stream_interrupted();
    }
    if (!take_entry(r, e, "", &err).ok)
        run_failed_early(r, e->key, &err);
    bool exported = envelope && (r->batch->looks & 1u << RECOGNIZED_EXPORTED) != 0;
    if (exported && !take_entry(r, e, ENVELOPE_SUFFIX, &err).ok)
        run_failed_early(r, e->key, &err);
    return !stream_interrupted();
}

static struct result do_prefix(struct run *r, const struct object *prefix, struct err *err)
{
    const struct object_visitor visitor = {on_object, r};
    size_t before = r->found;

    if (!r->batch->options->recursive) {
        (void)fail(err, ERR_FAILED, "'%s' is a prefix of the names of objects", prefix->path);
        err_hint(err, "--recursive takes all objects below it");
        return FAIL;
    }
    r->prefix = prefix;
    struct result walked = object_walk(prefix, &visitor, err);
    return walked.ok ? run_check_found(r, before, prefix->path, err) : FAIL;
}

struct result run_objects(struct run *r, const char *operand, struct err *err)
{
    struct object object OBJECT_CLEANUP = {0};
    struct task t TASK_CLEANUP = {.item.follow = true};

    if (!objects_fit(r->batch, operand, err).ok ||
        !storages_object(&r->storages, operand, &object, err).ok)
        return FAIL;
    if (object.key[0] == '\0' || object.key[strlen(object.key) - 1] == '/')
        return do_prefix(r, &object, err);
    if (!shard_has(&r->shard, operand)) {
        r->found++;
        return OK;
    }
    t.object = object;
    object = (struct object){0};
    return do_object(r, &t, object_name(&t.object), err);
}
