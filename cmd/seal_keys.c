#include "cmd/seal_keys.h"

#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/descriptor.h"
#include "base/host.h"
#include "cmd/key_source.h"
#include "cmd/named_keys.h"
#include "cmd/setup.h"
#include "storage/registry.h"

struct result seal_keys_context(struct context *out, const struct options *o,
                                const struct config_choice *choice, struct err *err)
{
    if (!setup_context(out, &o->context, err).ok)
        return FAIL;
    for (size_t i = 0; i < choice->context.count; i++) {
        const struct context_pair *pair = &choice->context.pairs[i];
        if (context_get(out, pair->key) == NULL &&
            !context_add(out, pair->key, strlen(pair->key), pair->value, err).ok)
            return FAIL;
    }
    return OK;
}

struct result seal_keys_path(const char *path, char **real, struct err *err)
{
    char *copy STRING_CLEANUP = strdup(path), *other STRING_CLEANUP = strdup(path);

    *real = NULL;
    if (descriptor_number(path) >= 0)
        return OK;
    *real = storage_names(path) ? strdup(path) : realpath(path, NULL);
    if (*real != NULL)
        return OK;
    if (copy == NULL || other == NULL)
        return fail_memory(err);
    char *directory STRING_CLEANUP = realpath(dirname(copy), NULL);
    if (directory == NULL)
        return fail_input(err, "cannot find the directory of '%s'", path);
    if (asprintf(real, "%s/%s", strcmp(directory, "/") == 0 ? "" : directory, basename(other)) >= 0)
        return OK;
    *real = NULL;
    return fail_memory(err);
}

static void free_one(struct seal_keys *k)
{
    keyset_close(&k->keys);
    context_free(&k->context);
    free(k);
}

/* Opens the keys of a choice, or keeps the reason why it cannot, so that the next file need not
 * try. */
static struct result open_keys(const struct seal_choices *c, struct seal_keys *k, struct err *err)
{
    const struct list names = {k->choice->names, k->choice->count};

    if (!seal_keys_context(&k->context, c->options, k->choice, err).ok)
        return FAIL;
    if (named_keys_open_set(&k->keys, &c->session->env, &names, err).ok)
        return OK;
    err_context(err, "config file '%s', line %u", k->choice->file, k->choice->line);
    return FAIL;
}

static struct result keys_of(struct seal_choices *c, const struct config_choice *choice,
                             const struct seal_keys **out, struct err *err)
{
    struct seal_keys *k = c->first;

    while (k != NULL && k->choice != choice)
        k = k->next;
    if (k == NULL) {
        k = calloc(1, sizeof *k);
        if (k == NULL)
            return fail_memory(err);
        *k = (struct seal_keys){.choice = choice, .next = c->first};
        c->first = k;
        (void)!open_keys(c, k, &k->err).ok;
    }
    *out = k;
    if (k->err.class == ERR_NONE)
        return OK;
    *err = k->err;
    return FAIL;
}

static struct result none_for(const char *path, struct err *err)
{
    if (path == NULL)
        return key_source_none(err);
    (void)fail(err, ERR_USAGE, "no key is given for '%s', and no rule of bulla.conf matches it",
               path);
    return fail_hint(err, "-k KEY names one; 'bulla config check' shows what a path gets");
}

static struct result find(struct seal_choices *c, const char *path, const struct seal_keys **out,
                          struct err *err)
{
    const struct config_choice *choice;

    if (!config_choose(path, &choice, err).ok)
        return FAIL;
    if (choice == NULL)
        return none_for(path, err);
    if (choice->rule != NULL)
        host_explain("rule '%s' matches '%s': config file '%s', line %u", choice->rule, path,
                     choice->file, choice->begins);
    else
        host_explain("no rule matches it: default keys of config file '%s', line %u", choice->file,
                     choice->line);
    return keys_of(c, choice, out, err);
}

struct result seal_choices_find(struct seal_choices *c, const char *source, const char *result,
                                const struct seal_keys **out, struct err *err)
{
    char *path STRING_CLEANUP = NULL;

    if (source != NULL && !seal_keys_path(source, &path, err).ok)
        return FAIL;
    if (path == NULL && result != NULL && !seal_keys_path(result, &path, err).ok)
        return FAIL;
    pthread_mutex_lock(&c->lock);
    struct result r = find(c, path, out, err);
    pthread_mutex_unlock(&c->lock);
    return r;
}

static void count_rules(void *arg, const struct config_choice *choice)
{
    size_t *rules = arg;

    *rules += choice->rule != NULL;
}

struct result seal_choices_begin(struct seal_choices *c, struct session *s, const struct options *o,
                                 struct err *err)
{
    const struct seal_keys *all;
    size_t rules = 0;

    *c = (struct seal_choices){
        .options = o, .session = s, .lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER};
    setup_session(s, o);
    if (!session_open(s, NULL, 0, err).ok || !config_all(count_rules, &rules, err).ok)
        return FAIL;
    return rules > 0 ? OK : find(c, NULL, &all, err);
}

uint64_t seal_choices_calls(const struct seal_choices *c)
{
    uint64_t calls = 0;

    for (const struct seal_keys *k = c->first; k != NULL; k = k->next)
        calls += keyset_calls(&k->keys);
    return calls;
}

void seal_choices_end(struct seal_choices *c)
{
    for (struct seal_keys *k = c->first, *next; k != NULL; k = next) {
        next = k->next;
        free_one(k);
    }
    c->first = NULL;
}
