#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/stream.h"
#include "base/text.h"
#include "cmd/batch_run.h"
#include "cmd/inventory.h"
#include "cmd/object_place.h"
#include "cmd/object_walk.h"
#include "cmd/standard_streams.h"
#include "libbulla/recognize.h"

/* Where what is opened of an object goes. name is the rest of its name after the prefix. */
static struct result object_target(struct run *r, const char *name, struct place *target,
                                   struct err *err)
{
    const struct options *o = r->batch->options;

    if (!run_writes(r) || standard_named(o->output))
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

static bool is_prefix(const struct object *o)
{
    return o->key[0] == '\0' || o->key[strlen(o->key) - 1] == '/';
}

/* Whether an object is below the prefix, or is the one that was named, or its envelope. */
static bool is_wanted(const struct object *named, const char *key)
{
    const char *rest = key + strlen(named->key);

    return is_prefix(named) || *rest == '\0' || strcmp(rest, ENVELOPE_SUFFIX) == 0;
}

#define SEALED_MIN 1024 /* bytes of the smallest envelope */

/* Whether the envelope beside an archived object may be all that the verb needs. */
static bool has_apart(const struct run *r, const struct object_entry *e,
                      enum envelope_beside envelope)
{
    return r->batch->envelopes && !e->old && envelope == BESIDE_NEWER;
}

/* Why an object of a list counts as not looked at; NULL if it does not. */
static const char *why_unseen(const struct run *r, const struct object_entry *e,
                              enum envelope_beside envelope)
{
    bool alone = text_ends_with(e->key, SEALED_SUFFIX ENVELOPE_SUFFIX);

    if (e->look.archived && e->look.size >= SEALED_MIN && !has_apart(r, e, envelope))
        return "it is archived (Glacier), and can be read once it is restored";
    if (alone && (r->batch->take != NULL || (r->batch->looks & 1u << RECOGNIZED_ALONE) == 0))
        return run_missed[RECOGNIZED_ALONE];
    return NULL;
}

bool run_takes_unnamed(struct run *r, const struct item *item)
{
    if (r->batch->only == NULL)
        return true;
    bool beside = item->envelope != BESIDE_UNKNOWN && !item->old;
    enum recognized look = recognize_object(item->object, beside);
    if (look == RECOGNIZED_UNKNOWN ||
        (r->batch->take == NULL && (r->batch->looks & 1u << look) != 0)) {
        r->found++;
        return true;
    }
    if (run_missed[look] != NULL)
        run_unseen(r, item->name, run_missed[look]);
    else if (look == RECOGNIZED_PLAIN)
        tally_plain(&r->tally);
    return false;
}

/* An object that is not named like a sealed file has no result yet. */
static struct result submit_entry(struct run *r, struct task *t, struct err *err)
{
    return t->item.unnamed ? run_submit(r, t, err)
                           : do_object(r, t, t->object.key + strlen(r->prefix->key), err);
}

/* The object of an entry, with its path. */
static struct result open_entry(const struct run *r, const struct object_entry *e, struct object *o,
                                struct err *err)
{
    const struct object *prefix = r->prefix;
    char *path STRING_CLEANUP = NULL;
    size_t root = object_path_size(prefix) - strlen(prefix->key);

    if (asprintf(&path, "%.*s%s", (int)root, prefix->path, e->key) < 0) {
        path = NULL;
        return fail_memory(err);
    }
    return object_in(o, prefix->storage, e->key, path, err);
}

static struct result take_entry(struct run *r, const struct object_entry *e,
                                enum envelope_beside envelope, struct err *err)
{
    struct task t TASK_CLEANUP = {.item = {.size = e->look.size < UINT64_MAX ? e->look.size : 0,
                                           .envelope = envelope,
                                           .old = e->old,
                                           .archived = e->look.archived && !e->old,
                                           .unnamed = !recognize_is_named(e->key)}};

    if (!open_entry(r, e, &t.object, err).ok)
        return FAIL;
    if (!shard_has(&r->shard, t.object.path)) {
        r->found += !t.item.unnamed;
        return OK;
    }
    if (e->old && !object_version(&t.object, e->look.version, err).ok)
        return FAIL;
    const char *why = why_unseen(r, e, envelope);
    if (why != NULL)
        run_unseen(r, t.object.path, why);
    else if (t.item.unnamed && e->look.size < SEALED_MIN && (e->old || envelope == BESIDE_UNKNOWN))
        tally_plain(&r->tally);
    else
        return submit_entry(r, &t, err);
    return OK;
}

static bool on_object(void *arg, const struct object_entry *e, enum envelope_beside envelope)
{
    struct run *r = arg;
    struct err err = {0};

    if (!take_entry(r, e, envelope, &err).ok)
        run_failed_early(r, e->key, &err);
    return !stream_interrupted();
}

static bool on_version(void *arg, const struct object_entry *e, enum envelope_beside envelope)
{
    struct run *r = arg;
    struct object o OBJECT_CLEANUP = {0};
    struct err err = {0};

    if (!is_wanted(r->prefix, e->key) || (!e->old && !e->marker))
        return true;
    if (!e->marker)
        return on_object(r, e, envelope);
    if (!open_entry(r, e, &o, &err).ok)
        run_failed_early(r, e->key, &err);
    else if (r->batch->marker != NULL && shard_has(&r->shard, o.path))
        r->batch->marker(r->batch->arg, o.path, e->old);
    return !stream_interrupted();
}

/* What a bucket keeps of objects that were replaced or removed. */
static struct result do_versions(struct run *r, const struct object *prefix, struct err *err)
{
    const struct object_visitor visitor = {on_version, r};

    r->prefix = prefix;
    return object_walk_versions(prefix, &visitor, err);
}

static struct result do_prefix(struct run *r, const struct object *prefix, struct err *err)
{
    const struct object_visitor visitor = {on_object, r};
    enum which_versions which = r->batch->versions;
    size_t before = r->found;

    if (!r->batch->options->recursive) {
        (void)fail(err, ERR_FAILED, "'%s' is a prefix of the names of objects", prefix->path);
        return fail_hint(err, "--recursive takes all objects below it");
    }
    r->prefix = prefix;
    struct result walked = which == VERSIONS_OLD ? OK : object_walk(prefix, &visitor, err);
    if (walked.ok && which != VERSIONS_NOW)
        walked = do_versions(r, prefix, err);
    if (r->pool != NULL) /* what is not named like a sealed file is found by then */
        thread_pool_wait(r->pool);
    return walked.ok ? run_check_found(r, before, prefix->path, err) : FAIL;
}

/* One object that was named, as it is now. */
static struct result do_named(struct run *r, const struct object *named, struct err *err)
{
    struct task t TASK_CLEANUP = {.item.follow = true};

    if (!shard_has(&r->shard, named->path)) {
        r->found++;
        return OK;
    }
    return object_copy(&t.object, named, err).ok ? do_object(r, &t, object_name(&t.object), err)
                                                 : FAIL;
}

/* A list has all versions of an object, of which not one alone was meant. */
static struct result fail_version(const char *path, struct err *err)
{
    (void)fail_named(err, ERR_USAGE, "'%s' is one version of an object", path);
    return fail_hint(err, "name the object, and all of its old versions are looked at");
}

struct result run_objects(struct run *r, const char *operand, struct err *err)
{
    struct object object OBJECT_CLEANUP = {0};
    enum which_versions which = r->batch->versions;

    if (!objects_fit(r->batch, operand, err).ok ||
        !storages_object(&r->storages, operand, &object, err).ok)
        return FAIL;
    if (is_prefix(&object))
        return do_prefix(r, &object, err);
    if (which == VERSIONS_OLD && object.version != NULL)
        return fail_version(object.path, err);
    if (which != VERSIONS_OLD && !do_named(r, &object, err).ok)
        return FAIL;
    return which == VERSIONS_NOW || object.version != NULL ? OK : do_versions(r, &object, err);
}

/* struct inventory: a list on its way. */
struct inventory {
    struct run *run;
    struct object bucket;
    const char *path;
    bool (*each)(void *arg, const struct object_entry *entry);
    void *each_arg;
    struct err err;
};

static struct result open_bucket(struct inventory *v, const char *bucket, struct err *err)
{
    char *name STRING_CLEANUP = NULL;

    if (asprintf(&name, "s3://%s/", bucket) < 0) {
        name = NULL;
        return fail_memory(err);
    }
    if (v->bucket.path != NULL)
        return strcmp(v->bucket.path, name) == 0
                   ? OK
                   : fail(err, ERR_USAGE, "'%s' has objects of more than one bucket", v->path);
    v->run->prefix = &v->bucket;
    return objects_fit(v->run->batch, name, err).ok
               ? storages_object(&v->run->storages, name, &v->bucket, err)
               : FAIL;
}

static bool on_row(void *arg, const char *bucket, const struct object_entry *entry)
{
    struct inventory *v = arg;

    return open_bucket(v, bucket, &v->err).ok && v->each(v->each_arg, entry);
}

static struct result list_inventory(void *arg, bool (*each)(void *, const struct object_entry *),
                                    void *each_arg, struct err *err)
{
    struct inventory *v = arg;

    v->each = each;
    v->each_arg = each_arg;
    if (!inventory_read(v->path, on_row, v, err).ok)
        return FAIL;
    if (v->err.class == ERR_NONE)
        return OK;
    *err = v->err;
    return FAIL;
}

/* Whether the object that an envelope belongs to is there after all: then it is at another place in
 * the list, and the two would be worked on at once. */
static bool has_body(const struct run *r, const char *envelope)
{
    struct object_look look OBJECT_LOOK_CLEANUP = {0};
    struct object body OBJECT_CLEANUP = {0};
    char *key STRING_CLEANUP = strndup(envelope, strlen(envelope) - strlen(ENVELOPE_SUFFIX));
    struct err err;
    uint8_t byte;
    size_t got;

    return key == NULL || !object_in(&body, r->prefix->storage, key, key, &err).ok ||
           body.storage->ops->read(&body, &look, 0, &byte, 1, &got, &err).ok;
}

static bool on_listed(void *arg, const struct object_entry *e, enum envelope_beside envelope)
{
    struct run *r = arg;

    if (envelope != BESIDE_UNKNOWN || !text_ends_with(e->key, SEALED_SUFFIX ENVELOPE_SUFFIX) ||
        !has_body(r, e->key))
        return on_object(r, e, envelope);
    run_unseen(r, e->key, "its body is at another place of the list, which is not in order");
    return !stream_interrupted();
}

struct result run_inventory(struct run *r, const char *path, struct err *err)
{
    struct inventory v = {.run = r, .path = path};
    const struct object_lister lister = {list_inventory, &v};
    const struct object_visitor visitor = {on_listed, r};
    size_t before = r->found;

    struct result walked = object_walk_list(&lister, false, &visitor, err);
    if (walked.ok && v.bucket.path != NULL && r->batch->versions != VERSIONS_NOW)
        walked = do_versions(r, &v.bucket, err);
    if (r->pool != NULL)
        thread_pool_wait(r->pool);
    object_close(&v.bucket);
    return walked.ok ? run_check_found(r, before, path, err) : FAIL;
}
