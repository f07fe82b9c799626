#include "cmd/named_keys.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/host.h"
#include "cmd/config.h"
#include "cmd/key_alias.h"
#include "cmd/key_source.h"
#include "cmd/nearest_name.h"
#include "cmd/setup.h"
#include "keystore/redact_reference.h"

bool named_keys_is_name(const char *given)
{
    size_t size = strcspn(given, "#"); /* the name of a key in a ring may have a dot */

    return size > 0 && strcspn(given, "/.") >= size && !registry_has_scheme(given) &&
           !key_alias_has(given);
}

/* A file of that name is not used: whoever can make one in the working directory would choose the
 * key. */
static struct result no_such_name(const char *given, struct err *err)
{
    (void)fail(err, ERR_MISSING, "no config file names a key '%s'", given);
    if (strcmp(given, "passphrase") == 0)
        err_hint(err, "for a passphrase, write passphrase:");
    else
        err_hint(err, "for the file of that name, write ./%s", given);
    return FAIL;
}

/* Explains which key a name stands for, and which line of which file says so. */
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

struct result named_keys_reference(const char *given, char **reference, struct err *err)
{
    char *found STRING_CLEANUP = NULL;

    if (named_keys_is_name(given) && !look_up(given, &found, err).ok)
        return FAIL;
    return key_alias_resolve(found != NULL ? found : given, reference, err);
}

/* The user's references, resolved; freed by free_references. */
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
        if (!named_keys_reference(given[r->count], &r->items[r->count], err).ok)
            return FAIL;
    for (size_t i = 0; i < count; i++)
        if (!key_source_settle(env, r->items[i], err).ok)
            return FAIL;
    return OK;
}

/* Adds a hint about similar names to a failure. */
static struct result tell_nearest(const char *const *given, size_t count, struct err *err)
{
    for (size_t i = 0; i < count; i++)
        nearest_hint(given[i], err);
    return FAIL;
}

const char *named_keys_fallback(const struct list *keys)
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

bool named_keys_are_operands(const struct verb *v)
{
    return v->operand == USE_KEY || v->operand == USE_NEW_KEY;
}

void named_keys_visit(const struct verb *v, const struct options *o,
                      void (*visit)(void *arg, enum use use, const char *given), void *arg)
{
    struct key_visit options = {visit, arg};
    const char *fallback =
        named_keys_fallback(named_keys_are_operands(v) ? &o->operands : &o->keys);

    options_visit(v, o, visit_key, &options);
    for (size_t i = 0; named_keys_are_operands(v) && i < o->operands.count; i++)
        visit(arg, v->operand, o->operands.items[i]);
    if (v->fallback != FALLBACK_NONE && fallback != NULL)
        visit(arg, USE_KEY, fallback);
    key_source_visit(o, visit, arg);
}

struct result named_keys_open(struct session *s, const struct options *o, bool need,
                              struct err *err)
{
    struct references r __attribute__((cleanup(free_references))) = {0};
    struct key_source from;

    setup_session(s, o);
    if (!key_source_find(&from, o, err).ok)
        return FAIL;
    if (from.count == 0 && need)
        return key_source_none(err);
    return (from.count == 0 || resolve(&r, &s->env, from.names, from.count, err).ok) &&
                   session_open(s, (const char *const *)r.items, r.count, err).ok
               ? OK
               : tell_nearest(from.names, from.count, err);
}

struct result named_keys_open_set(struct keyset *set, struct keystore_env *env,
                                  const struct list *list, struct err *err)
{
    struct references r __attribute__((cleanup(free_references))) = {0};

    if (list->count == 0)
        return OK;
    return resolve(&r, env, list->items, list->count, err).ok &&
                   keyset_open(set, env, (const char *const *)r.items, r.count, err).ok
               ? OK
               : tell_nearest(list->items, list->count, err);
}
