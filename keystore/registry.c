#include "keystore/registry.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/host.h"
#include "keystore/redact_reference.h"
#include "keystore/store_list.h"

const struct slot_method *slot_method_find(unsigned code)
{
    for (const struct keystore *const *s = keystores; *s != NULL; s++)
        for (const struct slot_method *const *list = (*s)->methods; *list != NULL; list++)
            for (const struct slot_method *m = *list; m->code != 0; m++)
                if (m->code == code)
                    return m;
    return NULL;
}

void registry_each(void (*visit)(void *arg, const struct keystore *store), void *arg)
{
    for (const struct keystore *const *s = keystores; *s != NULL; s++)
        if ((*s)->title != NULL)
            visit(arg, *s);
}

/* Whether a store before this one has the same list of options: two may share it. */
static bool is_known(const struct keystore *const *until, const struct store_option *list)
{
    for (const struct keystore *const *s = keystores; s != until; s++)
        for (const struct store_option *const *known = (*s)->options; *known != NULL; known++)
            if (*known == list)
                return true;
    return false;
}

void registry_options(void (*visit)(void *arg, const struct keystore *store,
                                    const struct store_option *option),
                      void *arg)
{
    for (const struct keystore *const *s = keystores; *s != NULL; s++)
        for (const struct store_option *const *list = (*s)->options; *list != NULL; list++)
            for (const struct store_option *o = *list; o->name != NULL && !is_known(s, *list); o++)
                visit(arg, *s, o);
}

bool registry_has_option(const struct keystore *store, const struct store_option *option)
{
    for (const struct store_option *const *list = store->options; *list != NULL; list++)
        for (const struct store_option *o = *list; o->name != NULL; o++)
            if (o == option)
                return true;
    return false;
}

/* struct named_option: the option of a name. */
struct named_option {
    const char *name;
    const struct store_option *found;
};

static void compare_name(void *arg, const struct keystore *store, const struct store_option *option)
{
    struct named_option *n = arg;

    (void)store;
    if (strcmp(option->name, n->name) == 0)
        n->found = option;
}

const struct store_option *registry_option(const char *name)
{
    struct named_option n = {name, NULL};

    registry_options(compare_name, &n);
    return n.found;
}

void registry_set(struct store_settings *s, const char *name, const char *text, uint64_t number)
{
    const struct store_option *option = registry_option(name);

    if (option != NULL)
        store_set(s, option, text, number);
}

static struct result not_built(const struct keystore *store, const char *reference, struct err *err)
{
    char *shown = redact_reference(reference);

    (void)fail(err, ERR_UNSUPPORTED, "key '%s': this bulla has no %s key store",
               shown != NULL ? shown : "", store->title);
    err_hint(err, "for the file of that name, write file:%s", shown != NULL ? shown : "");
    free(shown);
    return FAIL;
}

/* It would be printed, or become the name of a file. */
struct result registry_check_no_pin(const char *reference, struct err *err)
{
    struct result r = OK;

    for (const struct keystore *const *s = keystores; *s != NULL && r.ok; s++) {
        if ((*s)->redact == NULL)
            continue;
        char *shown = (*s)->redact(reference);
        if (shown == NULL)
            r = fail_memory(err);
        else if (strcmp(shown, reference) != 0)
            r = fail(err, ERR_USAGE, "key '%s' has what may be a PIN, but is no %s URI", shown,
                     (*s)->title);
        free(shown);
    }
    return r;
}

static bool begins(const char *reference, const char *prefix)
{
    size_t size = strlen(prefix);
    bool scheme = size > 0 && prefix[size - 1] == ':';

    return (scheme ? strncasecmp : strncmp)(reference, prefix, size) == 0;
}

/* The length of the longest scheme by which a reference begins. */
static size_t scheme_length(const char *reference)
{
    size_t length = 0;

    for (const struct keystore *const *k = keystores; *k != NULL; k++)
        for (const struct keystore_scheme *s = (*k)->schemes; s->prefix != NULL; s++)
            if (strlen(s->prefix) > length && begins(reference, s->prefix))
                length = strlen(s->prefix);
    return length;
}

bool registry_has_scheme(const char *reference)
{
    return scheme_length(reference) > 0;
}

/* The first store that has this scheme and takes the reference, which is *rest to it; NULL if none
 * does. */
static const struct keystore *find_store(const char *reference, const char **rest)
{
    size_t length = scheme_length(reference);

    for (const struct keystore *const *k = keystores; *k != NULL; k++)
        for (const struct keystore_scheme *s = (*k)->schemes; s->prefix != NULL; s++) {
            if (strlen(s->prefix) != length || !begins(reference, s->prefix))
                continue;
            *rest = reference + (s->strip ? length : 0);
            if ((*k)->takes == NULL || (*k)->takes(*rest))
                return *k;
        }
    return NULL;
}

struct result registry_find(const struct keystore **store, const char **rest, const char *reference,
                            struct err *err)
{
    *store = find_store(reference, rest);
    if (*store == NULL)
        return fail(err, ERR_UNSUPPORTED, "key '%s': no key store takes it", reference);
    if ((*store)->redact == NULL && !registry_check_no_pin(reference, err).ok)
        return FAIL;
    return (*store)->ops != NULL ? OK : not_built(*store, reference, err);
}

bool registry_left_behind(void)
{
    for (const struct keystore *const *s = keystores; *s != NULL; s++)
        if ((*s)->left_behind != NULL && (*s)->left_behind())
            return true;
    return false;
}

struct result keyset_open(struct keyset *set, const struct keystore_env *env,
                          const char *const *references, size_t count, struct err *err)
{
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): a list of pointers */
    struct keyset made KEYSET_CLEANUP = {calloc(count, sizeof *made.keys), 0};

    if (made.keys == NULL)
        return fail_memory(err);
    for (; made.count < count; made.count++) {
        const struct keystore *store;
        const char *rest;
        if (!registry_find(&store, &rest, references[made.count], err).ok ||
            !store->ops->open(&made.keys[made.count], env, rest, err).ok)
            return FAIL;
        struct master_key *key = made.keys[made.count];
        key->shown = redact_reference(references[made.count]);
        host_explain("key '%s': opened, of the %s key store", keystore_shown(key),
                     store->ops->name);
    }
    *set = TAKE(made);
    return OK;
}

void keyset_close(struct keyset *set)
{
    for (size_t i = 0; i < set->count; i++) {
        string_free(&set->keys[i]->shown);
        set->keys[i]->ops->close(set->keys[i]);
    }
    free(set->keys);
    *set = (struct keyset){0};
}

struct result keyset_locate(const struct keyset *set, bool version, struct err *err)
{
    for (size_t i = 0; i < set->count; i++) {
        struct master_key *key = set->keys[i];
        if (key->ops->locate != NULL && !key->ops->locate(key, version, err).ok)
            return FAIL;
    }
    return OK;
}

struct result keyset_still_active(const struct keyset *set, struct err *err)
{
    for (size_t i = 0; i < set->count; i++) {
        struct master_key *key = set->keys[i];
        if (key->ops->still_active != NULL && !key->ops->still_active(key, err).ok)
            return FAIL;
    }
    return OK;
}

void keyset_next_file(const struct keyset *set)
{
    for (size_t i = 0; i < set->count; i++)
        set->keys[i]->kdf_work = 0;
}

uint64_t keyset_calls(const struct keyset *set)
{
    uint64_t calls = 0;

    for (size_t i = 0; i < set->count; i++)
        calls += set->keys[i]->calls;
    return calls;
}

bool keyset_lives_in(const struct keyset *set, const struct stat *st)
{
    for (size_t i = 0; i < set->count; i++) {
        const struct master_key *key = set->keys[i];
        if (key->ops->lives_in != NULL && key->ops->lives_in(key, st))
            return true;
    }
    return false;
}

struct result keyset_check_age(const struct keyset *set, const struct slot *slots, size_t count,
                               struct err *err)
{
    char what[SLOT_DESCRIBED_MAX];

    for (size_t k = 0; k < set->count; k++)
        for (size_t s = 0; s < count; s++) {
            if (set->keys[k]->ops->match(set->keys[k], &slots[s]) != SLOT_NEWER)
                continue;
            slot_describe(&slots[s], what);
            (void)fail(err, ERR_POLICY, "the given keyring is older than the file: it lacks %s",
                       what);
            return fail_hint(err, "use the newest copy of the keyring");
        }
    return OK;
}

bool keyset_matches(const struct keyset *set, const struct slot *slot)
{
    for (size_t i = 0; i < set->count; i++)
        if (set->keys[i]->ops->match(set->keys[i], slot) != SLOT_OTHER)
            return true;
    return false;
}
