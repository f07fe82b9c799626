#include "cmd/batch_run.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/descriptor.h"
#include "base/stream.h"
#include "base/temporary_name.h"
#include "base/text.h"
#include "base/tree.h"
#include "cmd/descriptor_uses.h"
#include "cmd/object_place.h"
#include "cmd/progress.h"
#include "cmd/result_place.h"
#include "cmd/setup.h"
#include "cmd/standard_streams.h"
#include "cmd/terminal.h"
#include "libbulla/recognize.h"

bool run_writes(const struct run *r)
{
    return r->batch->add != NULL || r->batch->take != NULL;
}

/* Names the source if that is no file. */
static const char *no_file(const struct batch *b)
{
    return b->options->from_command != NULL ? "--from-command" : "standard input";
}

/* Whether a walk looks into files to see if they are sealed, so that none is missed. */
static bool looks(const struct batch *b)
{
    return b->only != NULL;
}

void run_failed_early(struct run *r, const char *file, const struct err *err)
{
    r->found++;
    tally_failed(&r->tally, r->tally.json ? tally_report(file) : NULL, err);
}

/* The size of a regular file, for the progress; 0 if it has none. */
static uint64_t size_of(const struct place *place, bool follow)
{
    struct stat st;

    if (fstatat(place->dir, place->name, &st, follow ? 0 : AT_SYMLINK_NOFOLLOW) != 0 ||
        !S_ISREG(st.st_mode))
        return 0;
    return (uint64_t)st.st_size;
}

/* Does one file, and tells. */
static void each(struct run *r, const struct item *item)
{
    const struct batch *b = r->batch;
    const char *file = item->name != NULL ? item->name : "-";
    json_t *report = b->options->json ? tally_report(file) : NULL;
    struct err err = {0};

    if (report != NULL && item->target != NULL)
        terminal_put(report, "output",
                     terminal_text(item->target->path, strlen(item->target->path)));
    if (report != NULL && item->result != NULL)
        terminal_put(report, "output",
                     terminal_text(item->result->path, strlen(item->result->path)));
    if (b->options->json && run_writes(r) && item->target == NULL && item->result == NULL)
        (void)fail(&err, ERR_USAGE, "--json and the result cannot both go to standard output");
    terminal_about(file);
    progress_file(item->name != NULL ? item->name : no_file(b), item->size);
    if (err.class == ERR_NONE && err_checked(b->each(b->arg, item, report, &err), &err).ok)
        tally_done(&r->tally, report);
    else
        tally_failed(&r->tally, report, &err);
    progress_file_done();
    terminal_about(NULL);
}

void run_task_end(struct task *t)
{
    place_close(&t->source);
    place_close(&t->target);
    object_close(&t->object);
    object_close(&t->result);
}

static void run_task(void *arg, void *taken)
{
    struct task *t = taken;

    if (!stream_interrupted() && (!t->item.unnamed || run_takes_unnamed(arg, &t->item)))
        each(arg, &t->item);
    run_task_end(t);
    free(t);
}

struct result run_submit(struct run *r, struct task *made, struct err *err)
{
    struct task *t = calloc(1, sizeof *t);

    if (t == NULL)
        return fail_memory(err);
    *t = *made;
    *made = (struct task){0};
    t->item.source = t->source.open ? &t->source : NULL;
    t->item.target = t->target.open ? &t->target : NULL;
    t->item.object = t->object.key != NULL ? &t->object : NULL;
    t->item.result = t->result.key != NULL ? &t->result : NULL;
    t->item.name = t->source.open ? t->source.path : t->object.path;
    if (r->pool != NULL)
        thread_pool_add(r->pool, t);
    else
        run_task(r, t);
    return OK;
}

void run_unseen(struct run *r, const char *path, const char *why)
{
    r->found++;
    tally_unseen(&r->tally, path, why);
}

/* Why a file is not for a run that seals; NULL if it is. */
static const char *why_not_sealed(const struct place *file)
{
    if (temporary_is(file->name))
        return "a temporary file of a run that still runs or was killed";
    return recognize_is_sealed(file) ? "sealed already" : NULL;
}

/* A source that is sealed already is reported if there is a directory OUT: OUT lacks it. */
static bool seals(struct run *r, const struct place *file)
{
    const char *why = why_not_sealed(file);

    if (why != NULL)
        tally_skipped(&r->tally, file->path,
                      r->to_directory || temporary_is(file->name) ? why : NULL);
    return why == NULL;
}

const char *const run_missed[] = {
    [RECOGNIZED_UNKNOWN] = "it cannot be read",
    [RECOGNIZED_SEALED] = "sealed, but its name does not end in " SEALED_SUFFIX,
    [RECOGNIZED_BODY] = "sealed, but its name does not end in " SEALED_SUFFIX,
    [RECOGNIZED_BROKEN] = "named like an envelope, but it is not one",
    [RECOGNIZED_ALONE] = "an envelope without the file that it opens",
    [RECOGNIZED_EXPORTED] = NULL,
};

/* What a file seems to be. While this run removes a body and its envelope, the envelope may seem to
 * be many things. */
static enum recognized look_in_turn(const struct run *r, const struct place *file)
{
    enum recognized look = recognize(file);

    if (run_missed[look] == NULL || !r->batch->options->remove_source || r->pool == NULL)
        return look;
    thread_pool_wait(r->pool);
    return recognize(file);
}

/* Whether the verb takes a file of a walk; if not, that is counted. */
static bool takes(struct run *r, const struct place *named, const struct place *file)
{
    const unsigned failing = 1u << RECOGNIZED_UNKNOWN | 1u << RECOGNIZED_BROKEN;
    const struct batch *b = r->batch;

    if (b->add != NULL)
        return seals(r, file);
    if (b->only == NULL || text_ends_with(named->name, b->only))
        return true;
    enum recognized look = look_in_turn(r, file);
    if (b->take == NULL && ((b->looks | failing) & 1u << look) != 0)
        return true;
    if (run_missed[look] != NULL)
        run_unseen(r, file->path, run_missed[look]);
    else if (look == RECOGNIZED_PLAIN)
        tally_plain(&r->tally);
    return false;
}

/* Where a file of a walk really is: what a link leads to, so that its envelope is looked for
 * there, and changed there. */
static struct result real_place(const struct run *r, const struct place *file, struct place *real,
                                struct err *err)
{
    struct stat st;

    if (!r->batch->options->follow ||
        fstatat(file->dir, file->name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISLNK(st.st_mode))
        return place_in(real, file->dir, file->name, file->path, err);
    char *path STRING_CLEANUP = realpath(file->path, NULL);
    if (path == NULL)
        return fail_errno(err, "cannot follow '%s'", file->path);
    return place_open(real, path, err);
}

/* One file of a walk, which lends us its place. */
static struct result do_found(struct run *r, const struct place *file, int twin,
                              const char *twin_path, struct err *err)
{
    struct task t TASK_CLEANUP = {0};

    if (!real_place(r, file, &t.source, err).ok)
        return FAIL;
    if (!takes(r, file, &t.source))
        return OK;
    r->found++;
    t.item.size = size_of(&t.source, false);
    if (r->out_object.key != NULL)
        return result_object_in(r->batch, &r->out_object, file->path + r->root, &t.result, err).ok
                   ? run_submit(r, &t, err)
                   : FAIL;
    if (run_writes(r) && !(twin >= 0 ? result_place_in(r->batch, file->name, twin, twin_path,
                                                       strlen(twin_path), &t.target, err)
                                     : result_place_beside(r->batch, file, &t.target, err))
                              .ok)
        return FAIL;
    return run_submit(r, &t, err);
}

static bool on_file(void *arg, const struct place *file, int twin, const char *twin_path)
{
    struct run *r = arg;
    struct err err = {0};

    if (!shard_has(&r->shard, file->path))
        r->found += text_ends_with(file->name, SEALED_SUFFIX); /* another run sees it */
    else if (!do_found(r, file, twin, twin_path, &err).ok)
        run_failed_early(r, file->path, &err);
    return !stream_interrupted();
}

static struct result on_make(void *arg, int twin, const char *path, struct err *err)
{
    const struct run *r = arg;

    return session_will_write(r->batch->session, twin, path, err);
}

static void on_settle(void *arg)
{
    const struct run *r = arg;

    if (r->pool != NULL)
        thread_pool_wait(r->pool);
}

/* What is neither a file nor a directory. */
static void pass_by(struct run *r, const char *path, const char *why, bool may_be_sealed)
{
    if (!shard_has(&r->shard, path))
        return;
    if (may_be_sealed)
        run_unseen(r, path, why);
    else
        tally_skipped(&r->tally, path, why);
}

static void on_skip(void *arg, const char *path, const char *what)
{
    struct run *r = arg;

    pass_by(r, path, what, looks(r->batch) && recognize_is_named(path));
}

/* A link to something that the run looks at anyway is followed only if it is to have a result of
 * its own. */
static bool on_link(void *arg, const char *path)
{
    static const char *const why[] = {
        [LEADS_INSIDE] = "a symbolic link",
        [LEADS_OUT] = "a symbolic link that leads elsewhere; --follow follows it",
        [LEADS_NOWHERE] = "a symbolic link to nothing",
        [LEADS_SPECIAL] = "a symbolic link to a special file",
    };
    struct run *r = arg;
    const struct batch *b = r->batch;
    enum leads leads =
        looks(b) ? link_targets_find(&r->roots, &b->options->operands, path) : LEADS_INSIDE;

    if (b->options->follow && (leads == LEADS_OUT || (leads == LEADS_INSIDE && run_writes(r))))
        return true;
    pass_by(r, path, why[leads],
            leads == LEADS_OUT || (leads != LEADS_INSIDE && recognize_is_named(path)));
    return false;
}

static bool on_enter(void *arg, const char *path)
{
    struct run *r = arg;
    bool stay = r->batch->options->one_file_system;

    if (stay)
        pass_by(r, path, "on another file system", looks(r->batch));
    else
        tally_entered(&r->tally);
    return !stay;
}

static void on_fail(void *arg, const char *path, const struct err *err)
{
    run_failed_early(arg, path, err);
}

struct result run_check_found(const struct run *r, size_t before, const char *where,
                              struct err *err)
{
    if (!r->batch->proof || r->batch->options->allow_empty || r->found > before ||
        stream_interrupted())
        return OK;
    (void)fail(err, ERR_PARTIAL, "'%s' has no sealed files, which proves nothing", where);
    return fail_hint(err, "if that is as it should be, add --allow-empty");
}

/* With -o, what is below one named directory is put right into OUT; several get a directory each.
 */
static struct result do_directory(struct run *r, const struct place *root, struct err *err)
{
    struct tree_visitor visitor = {.file = on_file,
                                   .before_make = on_make,
                                   .sync = r->batch->session != NULL && r->to_directory &&
                                           session_syncs_each(r->batch->session, r->out_dir),
                                   .whose = r->batch->whose,
                                   .guard = r->batch->guard,
                                   .enter = on_enter,
                                   .settle = on_settle,
                                   .skip = on_skip,
                                   .follow = on_link,
                                   .failed = on_fail,
                                   .arg = r};
    bool named = r->to_directory &&
                 (r->batch->options->operands.count > 1 || r->batch->options->files_from != NULL);
    size_t before = r->found;

    link_targets_walk(&r->roots, root->path);
    r->root = strlen(root->path) + (root->path[strlen(root->path) - 1] != '/');
    if (!tree_walk(root, r->to_directory ? &r->out : NULL, named, &visitor, err).ok)
        return FAIL;
    return run_check_found(r, before, root->path, err);
}

/* One operand that is not a directory. */
static struct result do_file(struct run *r, struct place *source, struct err *err)
{
    const struct options *o = r->batch->options;
    struct task t TASK_CLEANUP = {.item = {.follow = true, .size = size_of(source, true)}};

    if (r->out_object.key != NULL) {
        if (!result_object(r->batch, &r->out_object, source->name, &t.result, err).ok)
            return FAIL;
    } else if (run_writes(r) && !(o->output != NULL && standard_named(o->output))) {
        struct result named =
            r->to_directory     ? result_place_in(r->batch, source->name, r->out_dir, o->output,
                                                  strlen(o->output), &t.target, err)
            : o->output != NULL ? place_open_new(&t.target, o->output, err)
                                : result_place_beside(r->batch, source, &t.target, err);
        if (!named.ok)
            return FAIL;
    }
    t.source = TAKE(*source);
    return run_submit(r, &t, err);
}

static struct result do_stdin(struct run *r, struct err *err)
{
    const struct options *o = r->batch->options;
    struct task t TASK_CLEANUP = {0};

    if (o->remove_source)
        return fail(err, ERR_USAGE, "--remove-source needs a FILE");
    if (r->to_directory)
        return fail(err, ERR_USAGE, "%s needs a file for -o, not a directory", no_file(r->batch));
    if (r->out_object.key != NULL)
        return result_object(r->batch, &r->out_object, NULL, &t.result, err).ok
                   ? run_submit(r, &t, err)
                   : FAIL;
    if (run_writes(r) && o->output != NULL && !standard_named(o->output) &&
        !place_open_new(&t.target, o->output, err).ok)
        return FAIL;
    return run_submit(r, &t, err);
}

static struct result do_operand(struct run *r, const char *operand, struct err *err)
{
    struct place source PLACE_CLEANUP = {0};
    struct stat st;

    if (standard_named(operand))
        return do_stdin(r, err);
    if (storage_names(operand))
        return run_objects(r, operand, err);
    if (!place_open(&source, operand, err).ok)
        return FAIL;
    if (fstatat(source.dir, source.name, &st, 0) != 0)
        return fail_input(err, "cannot open '%s'", operand);
    if (!S_ISDIR(st.st_mode)) {
        r->found++;
        return shard_has(&r->shard, operand) ? do_file(r, &source, err) : OK;
    }
    if (!r->batch->options->recursive) {
        (void)fail(err, ERR_FAILED, "'%s' is a directory", operand);
        return fail_hint(err, "--recursive takes all files below it");
    }
    return do_directory(r, &source, err);
}

/* By errno. */
static struct result no_directory(const char *output, struct err *err)
{
    if (errno != ENOENT && errno != ENOTDIR)
        return fail_errno(err, "cannot open '%s'", output);
    bool missing = errno == ENOENT;
    (void)fail(err, ERR_USAGE, "several files need a directory for -o");
    return missing ? fail_hint(err, "mkdir '%s'", output) : fail_hint(err, "'%s' is none", output);
}

/* Where -o leads: to standard output, to a directory, or to one file. */
static struct result check_output(struct run *r, struct err *err)
{
    const struct options *o = r->batch->options;

    if (o->envelope != NULL && r->tally.many)
        return fail(err, ERR_USAGE, "--envelope goes with one file");
    if (o->output == NULL)
        return OK;
    if (standard_named(o->output)) {
        if (r->tally.many && (o->recursive || r->batch->add != NULL))
            return fail(err, ERR_USAGE, "several files cannot be written to standard output");
        return o->remove_source ? fail(err, ERR_USAGE, "--remove-source needs a file to read back")
                                : OK;
    }
    if (storage_names(o->output))
        return objects_fit_output(r->batch, r->tally.many, err).ok
                   ? storages_object(&r->storages, o->output, &r->out_object, err)
                   : FAIL;
    r->out_dir = open(o->output, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (r->out_dir >= 0) {
        r->to_directory = true;
        return place_open(&r->out, o->output, err);
    }
    return r->tally.many ? no_directory(o->output, err) : OK;
}

/* A reader of a stream takes what comes after a gap for its continuation. */
static bool cut_off(struct run *r, const char *name)
{
    struct err err = {0};

    if (!r->one_stream || r->tally.failed == 0)
        return false;
    if (!r->cut) {
        (void)fail(&err, ERR_PARTIAL,
                   "'%s' and what follows it were not opened: standard output ends at the failure",
                   name);
        (void)terminal_error(&err);
    }
    r->cut = true;
    return true;
}

static bool do_name(void *arg, const char *name)
{
    struct run *r = arg;
    struct err err = {0};

    if (cut_off(r, name))
        return false;
    if (!do_operand(r, name, &err).ok)
        run_failed_early(r, name, &err);
    return !stream_interrupted();
}

/* Names are checked one at a time: a list may be too long to look at all of it first. */
static bool do_listed(void *arg, const char *name)
{
    struct run *r = arg;
    struct err err = {0};

    if (storage_names(name) && !r->lists_objects) {
        (void)fail(&err, ERR_USAGE, "'%s' is an object, in a list that does not begin with one",
                   name);
        err_hint(&err, "put objects into a list of their own, or put one first");
        run_failed_early(arg, name, &err);
        return true;
    }
    bool is = standard_named(name) || descriptor_number(name) >= 0;
    if (!is && !descriptor_uses_taken(name))
        return do_name(arg, name);
    (void)fail(&err, ERR_USAGE, "'%s' %s a descriptor, and in a list it could have two uses", name,
               is ? "is" : "leads to");
    err_hint(&err, "name it on the command line, or write ./- for a file of that name");
    run_failed_early(arg, name, &err);
    return true;
}

/* The names in a list, as operands. */
static struct result do_list(struct run *r, const char *path, struct err *err)
{
    size_t before = r->found;

    r->lists_objects = file_list_has_objects(path, r->batch->options->null);
    if (!file_list_read(path, r->batch->options->null, do_listed, r, err).ok)
        return FAIL;
    return run_check_found(r, before, standard_named(path) ? "standard input" : path, err);
}

static bool names_objects(const struct options *o)
{
    bool objects = o->inventory != NULL;

    for (size_t i = 0; i < o->operands.count; i++)
        objects = objects || storage_names(o->operands.items[i]);
    if (o->output != NULL && storage_names(o->output))
        return true;
    return objects || (o->files_from != NULL && file_list_has_objects(o->files_from, o->null));
}

/* How many files or objects are done at once. */
static unsigned at_once(const struct batch *b)
{
    const struct options *o = b->options;

    if (b->objects_at_once > 0 && names_objects(o))
        return o->jobs > 0 ? (unsigned)o->jobs : b->objects_at_once;
    return b->parallel ? setup_threads(o) : 1;
}

/* Several files are done at once, unless their results come one after the other, or there can be
 * no threads. */
static void start_pool(struct run *r)
{
    unsigned threads = at_once(r->batch);

    if (!r->tally.many || r->one_stream || threads == 1)
        return;
    setup_fit_threads(r->batch->options, &threads);
    if (threads == 1)
        return;
    progress_at_once(threads);
    r->pool = thread_pool_start(threads, run_task, r);
}

/* Every operand, or standard input if there is none. */
static void do_operands(struct run *r)
{
    const struct options *o = r->batch->options;
    struct err err = {0};

    if (o->files_from != NULL) {
        if (!do_list(r, o->files_from, &err).ok)
            tally_failed(&r->tally, NULL, &err);
    } else if (o->operands.count == 0 && o->inventory == NULL && !do_stdin(r, &err).ok) {
        tally_failed(&r->tally, NULL, &err);
    }
    if (o->inventory != NULL && !run_inventory(r, o->inventory, &err).ok)
        tally_failed(&r->tally, NULL, &err);
    for (size_t i = 0; i < o->operands.count; i++)
        if (stream_interrupted() || !do_name(r, o->operands.items[i]))
            return;
}

int batch_run(const struct batch *b)
{
    const struct options *o = b->options;
    struct run r = {.batch = b,
                    .out_dir = -1,
                    .one_stream = o->output != NULL && standard_named(o->output),
                    .tally = {.done_word = b->done,
                              .json = o->json,
                              .many = o->operands.count > 1 || o->recursive ||
                                      o->files_from != NULL || o->inventory != NULL,
                              .looks = looks(b),
                              .lock = PTHREAD_MUTEX_INITIALIZER}};
    struct err err = {0};

    setup_storage(&r.storage_env, o, b->crypto);
    r.storages.env = &r.storage_env;
    if (!file_list_check(o->files_from, &err).ok || !file_list_check(o->inventory, &err).ok ||
        !check_output(&r, &err).ok || !shard_read(&r.shard, o->shard, &err).ok)
        return terminal_error(&err);
    start_pool(&r);
    do_operands(&r);
    thread_pool_finish(&r.pool);
    place_close(&r.out);
    object_close(&r.out_object);
    storages_close(&r.storages);
    fd_close(&r.out_dir);
    link_targets_free(&r.roots);
    return tally_end(&r.tally);
}
