#include "cmd/common.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/host.h"
#include "cmd/config.h"
#include "cmd/key_alias.h"
#include "cmd/key_source.h"
#include "cmd/nearest.h"
#include "cmd/passphrase.h"
#include "cmd/progress.h"
#include "cmd/store_rows.h"
#include "cmd/terminal.h"
#include "crypto/body.h"
#include "keystore/redact.h"

#define THREADS_USUAL 16 /* at most; -j may say more */

static const struct watch progress_watch = {progress_read, NULL};

bool is_stdio(const char *operand)
{
    return strcmp(operand, "-") == 0;
}

bool common_is_name(const char *given)
{
    size_t size = strcspn(given, "#"); /* the name of a key in a ring may have a dot */

    return size > 0 && strcspn(given, "/.") >= size && !registry_has_scheme(given) &&
           !key_alias_has(given);
}

/* A file of that name is not taken: who can make one in the working directory would choose the key.
 */
static struct result no_such_name(const char *given, struct err *err)
{
    (void)fail(err, ERR_MISSING, "no config file names a key '%s'", given);
    if (strcmp(given, "passphrase") == 0)
        err_hint(err, "for a passphrase, write passphrase:");
    else
        err_hint(err, "for the file of that name, write ./%s", given);
    return FAIL;
}

/* What a name means, and where that is written. */
static void explain_name(const char *name, const char *reference)
{
    char *shown STRING_CLEANUP = redact_reference(reference);
    const char *file = "";
    unsigned line = 0;

    config_key_place(name, &file, &line);
    host_explain("key '%s' is '%s': config file '%s', line %u", name, shown != NULL ? shown : "",
                 file, line);
}

static struct result look_up(const char *name, char **reference, struct err *err)
{
    if (!registry_check_no_pin(name, err).ok || !config_key(name, reference, err).ok)
        return FAIL;
    if (*reference == NULL)
        return no_such_name(name, err);
    if (key_alias_descriptor(*reference) < 0) {
        explain_name(name, *reference);
        return OK;
    }
    (void)fail(err, ERR_USAGE, "the config file names a descriptor for key '%s'", name);
    return fail_hint(err, "a descriptor is known only where bulla is started: give it as -k fd:N");
}

struct result common_reference(const char *given, char **reference, struct err *err)
{
    char *found STRING_CLEANUP = NULL;

    if (common_is_name(given) && !look_up(given, &found, err).ok)
        return FAIL;
    return key_alias_resolve(found != NULL ? found : given, reference, err);
}

/* The references of the user, resolved; freed by free_references. */
struct references {
    char **items;
    size_t count;
};

static void free_references(struct references *r)
{
    for (size_t i = 0; i < r->count; i++)
        free(r->items[i]);
    free(r->items);
}

static struct result resolve(struct references *r, struct keystore_env *env,
                             const char *const *given, size_t count, struct err *err)
{
    r->items = calloc(count, sizeof *r->items);
    if (r->items == NULL)
        return fail_memory(err);
    for (; r->count < count; r->count++)
        if (!common_reference(given[r->count], &r->items[r->count], err).ok)
            return FAIL;
    for (size_t i = 0; i < count; i++)
        if (!key_source_settle(env, r->items[i], err).ok)
            return FAIL;
    return OK;
}

/* What is there in place of the first that is not. */
static struct result tell_nearest(const char *const *given, size_t count, struct err *err)
{
    for (size_t i = 0; i < count; i++)
        nearest_hint(given[i], err);
    return FAIL;
}

static const char *variable(void *arg, const char *name)
{
    (void)arg;
    return getenv(name);
}

/* One process, one user: two sessions of a run have the same memory of what tokens refused. */
static struct store_states states;

void common_env(struct keystore_env *env, const struct options *o)
{
    env->states = &states;
    env->settings.environment = (struct environment){.get = variable};
    store_rows_settings(&env->settings, o);
    env->warn = terminal_warn;
    env->credentials = key_alias_credentials();
    passphrase_env(env, o);
}

void common_storage(struct storage_env *env, const struct options *o, const struct crypto *crypto)
{
    *env = (struct storage_env){.environment.get = variable,
                                .crypto = crypto,
                                .timeout = STORE_TIMEOUT,
                                .bandwidth = o->bandwidth * 1024,
                                .requester_pays = o->requester_pays,
                                .no_condition = o->no_condition};
}

unsigned common_threads(const struct options *o)
{
    unsigned allowed = threads_allowed();

    return o->jobs > 0 ? (unsigned)o->jobs : allowed < THREADS_USUAL ? allowed : THREADS_USUAL;
}

void common_fit_threads(const struct options *o, unsigned *threads)
{
    unsigned fit = threads_that_fit(*threads, BODY_BLOCK_SIZE);
    char text[128];

    if (fit < *threads && o->jobs > 0) {
        snprintf(text, sizeof text,
                 "-j %u needs more descriptors or memory than the limits allow (see 'ulimit -n' "
                 "and 'ulimit -v'): -j %u is used",
                 *threads, fit);
        terminal_warn(NULL, text);
    }
    *threads = fit;
}

const char *common_fallback(const struct list *keys)
{
    const char *key = getenv("BULLA_KEY");

    return keys->count == 0 && key != NULL && key[0] != '\0' ? key : NULL;
}

/* struct key_visit: whom to tell of the keys among the options. */
struct key_visit {
    void (*visit)(void *arg, enum use use, const char *given);
    void *arg;
};

static void visit_key(void *arg, const struct row *row, const char *value)
{
    const struct key_visit *v = arg;

    if (row->use == USE_KEY)
        v->visit(v->arg, USE_KEY, value);
}

bool common_takes_keys(const struct verb *v)
{
    return v->operand == USE_KEY || v->operand == USE_NEW_KEY;
}

void common_visit_keys(const struct verb *v, const struct options *o,
                       void (*visit)(void *arg, enum use use, const char *given), void *arg)
{
    struct key_visit options = {visit, arg};
    const char *fallback = common_fallback(common_takes_keys(v) ? &o->operands : &o->keys);

    options_visit(v, o, visit_key, &options);
    for (size_t i = 0; common_takes_keys(v) && i < o->operands.count; i++)
        visit(arg, v->operand, o->operands.items[i]);
    if (v->fallback != FALLBACK_NONE && fallback != NULL)
        visit(arg, USE_KEY, fallback);
    key_source_visit(o, visit, arg);
}

void common_session(struct session *s, const struct options *o)
{
    s->watch = &progress_watch;
    s->threads = common_threads(o);
    common_env(&s->env, o);
}

struct result common_keys(struct session *s, const struct options *o, bool need, struct err *err)
{
    struct references r __attribute__((cleanup(free_references))) = {0};
    struct key_source from;

    common_session(s, o);
    if (!key_source_find(&from, o, err).ok)
        return FAIL;
    if (from.count == 0 && need)
        return key_source_none(err);
    return (from.count == 0 || resolve(&r, &s->env, from.names, from.count, err).ok) &&
                   session_open(s, (const char *const *)r.items, r.count, err).ok
               ? OK
               : tell_nearest(from.names, from.count, err);
}

struct result common_keyset(struct keyset *set, struct keystore_env *env, const struct list *list,
                            struct err *err)
{
    struct references r __attribute__((cleanup(free_references))) = {0};

    if (list->count == 0)
        return OK;
    return resolve(&r, env, list->items, list->count, err).ok &&
                   keyset_open(set, env, (const char *const *)r.items, r.count, err).ok
               ? OK
               : tell_nearest(list->items, list->count, err);
}

struct result common_name_fits(const struct place *made, const char *hint, struct err *err)
{
    if (place_fits(made, err).ok)
        return OK;
    return fail_hint(err, "%s", hint);
}

struct result common_not_typed(const struct sealed_place *from, struct err *err)
{
    if (from->body != NULL || from->object != NULL || !isatty(STDIN_FILENO))
        return OK;
    (void)fail(err, ERR_USAGE, "sealed data is not read from a terminal");
    return fail_hint(err, "name a FILE");
}

struct result common_context(struct context *context, const struct list *words, struct err *err)
{
    for (size_t i = 0; i < words->count; i++)
        if (!context_add_text(context, words->items[i], err).ok)
            return FAIL;
    return OK;
}

struct result common_sync(struct session *s, const struct options *o, struct err *err)
{
    s->sync = (enum sync_policy)o->sync;
    if (s->sync != SYNC_EACH && o->remove_source)
        return fail(err, ERR_USAGE, "--remove-source needs --sync=each");
    return OK;
}

int common_run(struct result (*run)(const struct options *o, struct err *err),
               const struct options *o)
{
    struct err err = {0};

    return err_checked(run(o, &err), &err).ok ? ERR_NONE : terminal_error(&err);
}

int common_status(size_t count, int failed)
{
    return stream_interrupted() ? ERR_INTERRUPTED : count > 1 ? ERR_PARTIAL : failed;
}

/* struct left: what common_left counts. */
struct left {
    const struct options *options;
    uint64_t count;
};

static void tell_left(void *arg, const char *path, size_t wanted, size_t found)
{
    struct left *left = arg;
    struct err err = {0};

    left->count++;
    (void)fail(
        &err, ERR_PARTIAL,
        "'%s' was left as it is: it has %zu names (hard links), and this run found %zu of them",
        path, wanted, found);
    err_hint(
        &err,
        "give all its names in one run, for example by --recursive on a directory that has them");
    (void)terminal_error(&err);
    if (left->options->json)
        terminal_json(json_pack("{s:o, s:s, s:i}", "file", terminal_text(path, strlen(path)),
                                "outcome", "left", "status", ERR_PARTIAL));
}

uint64_t common_left(const struct session *s, const struct options *o)
{
    struct left left = {.options = o};

    hard_links_left(&s->links, tell_left, &left);
    return left.count;
}

int common_finish(const struct session *s, int status)
{
    struct err err = {0};

    return session_sync(s, &err).ok ? status : terminal_error(&err);
}

void common_calls(const struct options *o, uint64_t calls)
{
    if (o->json && calls > 0)
        terminal_json(json_pack("{s:I}", "key_calls", (json_int_t)calls));
}
