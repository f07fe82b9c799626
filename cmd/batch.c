#include "cmd/batch.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/pool.h"
#include "base/stream.h"
#include "base/text.h"
#include "base/tree.h"
#include "cmd/common.h"
#include "cmd/progress.h"
#include "cmd/terminal.h"
#include "crypto/primitives.h"
#include "libbulla/look.h"

struct run {
    const struct batch *batch;
    struct place out; /* the directory that -o names, if it is one, */
    int out_dir;      /* and that directory, opened */
    bool to_directory, many;
    uint64_t share, shares; /* --shard; shares is 0 without */
    struct pool *pool;      /* NULL: files are done as they come */
    bool stdin_taken;       /* as a file or as a list */

    pthread_mutex_t lock; /* for what follows */
    size_t done, skipped, failed;
    int status; /* of the last failure */
};

/* struct task: an item with the places it points to. */
struct task {
    struct item item;
    struct place source, target;
};

static json_t *report_for(const char *file)
{
    json_t *report = json_object();

    terminal_put(report, "file", terminal_text(file, strlen(file)));
    return report;
}

static void finish_report(json_t *report, const struct err *err)
{
    terminal_put(report, "status", json_integer(err->class));
    if (err->class != ERR_NONE)
        terminal_put(report, "error", terminal_text(err->text, strlen(err->text)));
    terminal_json(report);
}

static bool writes(const struct batch *b)
{
    return b->add != NULL || b->take != NULL;
}

static void failed(struct run *r, const struct err *err)
{
    int status = terminal_error(err);

    pthread_mutex_lock(&r->lock);
    r->failed++;
    r->status = status;
    pthread_mutex_unlock(&r->lock);
}

static void count(struct run *r, size_t *what)
{
    pthread_mutex_lock(&r->lock);
    (*what)++;
    pthread_mutex_unlock(&r->lock);
}

/* A file that failed before it came to the verb. */
static void failed_early(struct run *r, const char *file, const struct err *err)
{
    failed(r, err);
    if (r->batch->options->json)
        finish_report(report_for(file), err);
}

/* The name of a result, which the caller frees. */
static struct result result_name(const struct batch *b, const char *name, char **out,
                                 struct err *err)
{
    if (b->add != NULL) {
        if (text_ends_with(name, b->add)) {
            (void)fail(err, ERR_USAGE, "'%s' ends in %s already", name, b->add);
            err_hint(err, "-o names the output, if it is to be sealed once more");
            return FAIL;
        }
        if (asprintf(out, "%s%s", name, b->add) < 0)
            *out = NULL;
    } else {
        if (!text_ends_with(name, b->take)) {
            (void)fail(err, ERR_USAGE, "'%s' does not end in %s", name, b->take);
            err_hint(err, "-o names the output");
            return FAIL;
        }
        *out = strndup(name, strlen(name) - strlen(b->take));
    }
    return *out != NULL ? OK : fail(err, ERR_FAILED, "out of memory");
}

/* The place of the result of a file that lies in a directory of its own. */
static struct result result_in(const struct batch *b, const char *source_name, int dir,
                               const char *dir_path, struct place *target, struct err *err)
{
    char *name STRING_CLEANUP = NULL, *path STRING_CLEANUP = NULL;

    if (!result_name(b, source_name, &name, err).ok)
        return FAIL;
    if (asprintf(&path, "%s/%s", dir_path, name) < 0)
        return fail(err, ERR_FAILED, "out of memory");
    return place_in(target, dir, name, path, err);
}

static struct result result_beside(const struct batch *b, const struct place *source,
                                   struct place *target, struct err *err)
{
    char *name STRING_CLEANUP = NULL, *path STRING_CLEANUP = NULL;
    const char *slash = strrchr(source->path, '/');
    int folder = slash == NULL ? 0 : (int)(slash + 1 - source->path);

    if (!result_name(b, source->name, &name, err).ok)
        return FAIL;
    if (asprintf(&path, "%.*s%s", folder, source->path, name) < 0)
        return fail(err, ERR_FAILED, "out of memory");
    return place_in(target, source->dir, name, path, err);
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
    const char *file = item->source != NULL ? item->source->path : "-";
    json_t *report = b->options->json ? report_for(file) : NULL;
    struct err err = {0};

    if (report != NULL && item->target != NULL)
        terminal_put(report, "output",
                     terminal_text(item->target->path, strlen(item->target->path)));
    if (b->options->json && writes(b) && item->target == NULL)
        (void)fail(&err, ERR_USAGE, "--json and the result cannot both go to standard output");
    progress_file(item->source != NULL ? item->source->path : "standard input", item->size);
    if (err.class == ERR_NONE && b->each(b->arg, item, report, &err).ok) {
        count(r, &r->done);
        err = (struct err){0}; /* of a first way that failed, where a second did not */
    } else {
        failed(r, &err);
    }
    if (b->options->json)
        finish_report(report, &err);
    progress_file_done();
}

static void run_task(void *arg, void *taken)
{
    struct task *t = taken;

    if (!stream_interrupted())
        each(arg, &t->item);
    place_close(&t->source);
    place_close(&t->target);
    free(t);
}

/* Does an item, or hands it to a thread; the places are taken over. Either may be empty. */
static struct result submit(struct run *r, struct item item, struct place *source,
                            struct place *target, struct err *err)
{
    struct task *t = calloc(1, sizeof *t);

    if (t == NULL)
        return fail(err, ERR_FAILED, "out of memory");
    *t = (struct task){item, place_take(source), place_take(target)};
    t->item.source = t->source.open ? &t->source : NULL;
    t->item.target = t->target.open ? &t->target : NULL;
    if (r->pool != NULL)
        pool_add(r->pool, t);
    else
        run_task(r, t);
    return OK;
}

/* Whether a file is in our share: by the hash of its name, so that no list has to be agreed on. */
static bool is_ours(const struct run *r, const char *path)
{
    uint8_t hash[SHA256_SIZE];

    if (r->shares == 0)
        return true;
    sha256(hash, &(struct view){(const uint8_t *)path, strlen(path)}, 1);
    struct wire_reader reader = wire_reader(hash, sizeof hash);
    return wire_get_u64(&reader) % r->shares == r->share - 1;
}

/* Whether a walk passes a file by: when sealing, what is sealed already by its name and its looks;
 * else what is sealed by neither. */
static bool passes_by(const struct batch *b, const struct place *file)
{
    if (b->add != NULL)
        return look_is_sealed(file);
    if (b->only == NULL || text_ends_with(file->name, b->only))
        return false;
    return b->looks == 0 ||
           ((b->looks | 1u << LOOK_UNKNOWN | 1u << LOOK_BROKEN) & 1u << look_at(file)) == 0;
}

/* Why a file that was passed by should be named: OUT will lack it. Else NULL. */
static const char *worth_telling(const struct run *r, const struct place *file)
{
    const struct batch *b = r->batch;

    if (b->add != NULL)
        return r->to_directory ? "sealed already" : NULL;
    if (b->take == NULL)
        return NULL;
    enum look look = look_at(file);
    return look == LOOK_SEALED || look == LOOK_BODY
               ? "sealed, but its name does not end in " SEALED_SUFFIX
               : NULL;
}

static void skipped(struct run *r, const char *path, const char *why)
{
    count(r, &r->skipped);
    if (why == NULL)
        return;
    terminal_note("skipped '%s': %s", path, why);
    if (!r->batch->options->json)
        return;
    json_t *report = report_for(path);
    terminal_put(report, "skipped", json_string(why));
    terminal_json(report);
}

/* One file of a walk, which lends us its place. */
static struct result do_found(struct run *r, const struct place *file, int twin,
                              const char *twin_path, struct err *err)
{
    struct place source PLACE_CLEANUP = {0}, target PLACE_CLEANUP = {0};
    struct item item = {.size = size_of(file, false)};

    if (!place_in(&source, file->dir, file->name, file->path, err).ok)
        return FAIL;
    if (writes(r->batch) &&
        !(twin >= 0 ? result_in(r->batch, file->name, twin, twin_path, &target, err)
                    : result_beside(r->batch, file, &target, err))
             .ok)
        return FAIL;
    return submit(r, item, &source, &target, err);
}

static bool on_file(void *arg, const struct place *file, int twin, const char *twin_path)
{
    struct run *r = arg;
    struct err err = {0};

    if (!is_ours(r, file->path))
        return true;
    if (passes_by(r->batch, file))
        skipped(r, file->path, worth_telling(r, file));
    else if (!do_found(r, file, twin, twin_path, &err).ok)
        failed_early(r, file->path, &err);
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
        pool_wait(r->pool);
}

static void on_skip(void *arg, const char *path, const char *what)
{
    skipped(arg, path, what);
}

static void on_fail(void *arg, const char *path, const struct err *err)
{
    failed_early(arg, path, err);
}

/* With -o, one named directory has what is below it put right into OUT; several get a folder each.
 */
static struct result do_directory(struct run *r, const struct place *root, struct err *err)
{
    const struct session *session = r->batch->session;
    struct tree_visitor visitor = {.file = on_file,
                                   .before_make = on_make,
                                   .sync = session != NULL && session->sync == SYNC_EACH,
                                   .whose = r->batch->whose,
                                   .settle = on_settle,
                                   .skip = on_skip,
                                   .failed = on_fail,
                                   .arg = r};
    bool named = r->to_directory &&
                 (r->batch->options->operands.count > 1 || r->batch->options->files_from != NULL);

    return tree_walk(root, r->to_directory ? &r->out : NULL, named, &visitor, err);
}

/* One operand that is not a directory. */
static struct result do_file(struct run *r, struct place *source, struct err *err)
{
    const struct options *o = r->batch->options;
    struct place target PLACE_CLEANUP = {0};
    struct item item = {.follow = true, .size = size_of(source, true)};

    if (writes(r->batch) && !(o->output != NULL && is_stdio(o->output))) {
        struct result named =
            r->to_directory ? result_in(r->batch, source->name, r->out_dir, o->output, &target, err)
            : o->output != NULL ? place_open(&target, o->output, err)
                                : result_beside(r->batch, source, &target, err);
        if (!named.ok)
            return FAIL;
    }
    return submit(r, item, source, &target, err);
}

static struct result do_stdin(struct run *r, struct err *err)
{
    const struct options *o = r->batch->options;
    struct place none PLACE_CLEANUP = {0}, target PLACE_CLEANUP = {0};

    if (o->remove_source)
        return fail(err, ERR_USAGE, "--remove-source needs a FILE");
    if (r->stdin_taken)
        return fail(err, ERR_USAGE, "standard input is named twice");
    r->stdin_taken = true;
    if (r->to_directory)
        return fail(err, ERR_USAGE, "standard input needs a file for -o, not a directory");
    if (writes(r->batch) && o->output != NULL && !is_stdio(o->output) &&
        !place_open(&target, o->output, err).ok)
        return FAIL;
    return submit(r, (struct item){0}, &none, &target, err);
}

static struct result do_operand(struct run *r, const char *operand, struct err *err)
{
    struct place source PLACE_CLEANUP = {0};
    struct stat st;

    if (is_stdio(operand))
        return do_stdin(r, err);
    if (!place_open(&source, operand, err).ok)
        return FAIL;
    if (fstatat(source.dir, source.name, &st, 0) != 0)
        return fail_errno(err, "cannot open '%s'", operand);
    if (!S_ISDIR(st.st_mode))
        return is_ours(r, operand) ? do_file(r, &source, err) : OK;
    if (!r->batch->options->recursive) {
        (void)fail(err, ERR_FAILED, "'%s' is a directory", operand);
        err_hint(err, "--recursive takes all files below it");
        return FAIL;
    }
    return do_directory(r, &source, err);
}

/* Where -o leads: to standard output, to a directory, or to one file. */
static struct result check_output(struct run *r, struct err *err)
{
    const struct options *o = r->batch->options;

    if (o->envelope != NULL && r->many)
        return fail(err, ERR_USAGE, "--envelope goes with one file");
    if (o->output == NULL)
        return OK;
    if (is_stdio(o->output)) {
        if (r->many && (o->recursive || r->batch->add != NULL))
            return fail(err, ERR_USAGE, "several files cannot be written to standard output");
        return o->remove_source ? fail(err, ERR_USAGE, "--remove-source needs a file to read back")
                                : OK;
    }
    r->out_dir = open(o->output, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (r->out_dir >= 0) {
        r->to_directory = true;
        return place_open(&r->out, o->output, err);
    }
    if (r->many) {
        (void)fail(err, ERR_USAGE, "several files need a directory for -o");
        err_hint(err, "mkdir '%s'", o->output);
        return FAIL;
    }
    return OK;
}

/* I/N, both 1 or more and I at most N. */
static struct result read_shard(struct run *r, const char *text, struct err *err)
{
    char *slash, *end;

    if (text == NULL)
        return OK;
    errno = 0;
    r->share = strtoull(text, &slash, 10);
    r->shares = *slash == '/' ? strtoull(slash + 1, &end, 10) : 0;
    if (errno != 0 || *slash != '/' || *end != '\0' || strspn(text, "0123456789/") < strlen(text) ||
        r->share < 1 || r->share > r->shares)
        return fail(err, ERR_USAGE, "--shard is I/N with I from 1 to N, not '%s'", text);
    return OK;
}

#define LISTED_MAX 8192 /* bytes of a name in a list; no longer one can be opened */

/* The next name of a list; *more is false behind the last. */
static struct result next_name(FILE *file, const char *path, int end, char name[LISTED_MAX + 1],
                               bool *more, struct err *err)
{
    size_t size = 0;
    int c;

    while ((c = getc(file)) != EOF && c != end) {
        if (c == '\0') {
            (void)fail(err, ERR_USAGE, "a name in '%s' has a zero byte in it", path);
            err_hint(err, "with -0, zero bytes end the names");
            return FAIL;
        }
        if (size == LISTED_MAX)
            return fail(err, ERR_USAGE, "a name in '%s' is longer than %d bytes", path, LISTED_MAX);
        name[size++] = (char)c;
    }
    if (c == EOF && ferror(file))
        return fail_errno(err, "cannot read '%s'", path);
    name[size] = '\0';
    *more = c != EOF || size > 0;
    return OK;
}

static struct result do_names(struct run *r, FILE *file, const char *path, struct err *err)
{
    int end = r->batch->options->null ? '\0' : '\n';
    char name[LISTED_MAX + 1];
    bool more = true;

    while (!stream_interrupted()) {
        struct err own = {0};
        if (!next_name(file, path, end, name, &more, err).ok)
            return FAIL;
        if (!more)
            return OK;
        if (name[0] != '\0' && !do_operand(r, name, &own).ok)
            failed_early(r, name, &own);
    }
    return OK;
}

/* The names in a list, as operands. */
static struct result do_list(struct run *r, const char *path, struct err *err)
{
    if (is_stdio(path)) {
        r->stdin_taken = true;
        return do_names(r, stdin, "standard input", err);
    }
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return fail_errno(err, "cannot open '%s'", path);
    struct result done = do_names(r, file, path, err);
    (void)fclose(file); /* it was only read */
    return done;
}

static int summary(const struct run *r)
{
    if (r->many || r->failed + r->done > 1)
        terminal_note("%zu %s, %zu skipped, %zu failed", r->done, r->batch->done, r->skipped,
                      r->failed);
    if (stream_interrupted())
        return ERR_INTERRUPTED;
    if (r->failed == 0)
        return ERR_NONE;
    return r->many ? ERR_PARTIAL : r->status;
}

/* Several files are done at once, unless their results come one behind the other, or there can be
 * no threads. */
static struct result start_pool(struct run *r, struct err *err)
{
    const struct options *o = r->batch->options;
    bool to_stdout = o->output != NULL && is_stdio(o->output);
    unsigned threads;

    if (!common_threads(o, &threads, err).ok)
        return FAIL;
    if (!r->batch->parallel || !r->many || to_stdout || threads == 1)
        return OK;
    progress_at_once(threads);
    r->pool = pool_start(threads, run_task, r);
    return OK;
}

int batch_run(const struct batch *b)
{
    const struct list *operands = &b->options->operands;
    struct run r = {.batch = b,
                    .lock = PTHREAD_MUTEX_INITIALIZER,
                    .out_dir = -1,
                    .many = operands->count > 1 || b->options->recursive ||
                            b->options->files_from != NULL};
    struct err err = {0};

    if (!check_output(&r, &err).ok || !read_shard(&r, b->options->shard, &err).ok ||
        !start_pool(&r, &err).ok)
        return terminal_error(&err);
    if (b->options->files_from != NULL) {
        if (!do_list(&r, b->options->files_from, &err).ok)
            failed(&r, &err);
    } else if (operands->count == 0 && !do_stdin(&r, &err).ok) {
        failed(&r, &err);
    }
    for (size_t i = 0; i < operands->count && !stream_interrupted(); i++)
        if (!do_operand(&r, operands->items[i], &err).ok)
            failed_early(&r, operands->items[i], &err);
    pool_finish(&r.pool);
    place_close(&r.out);
    fd_close(&r.out_dir);
    return summary(&r);
}
