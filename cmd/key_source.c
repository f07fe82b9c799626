#include "cmd/key_source.h"

#include <stdlib.h>
#include <string.h>

#include "base/host.h"
#include "cmd/named_keys.h"

bool key_source_is_config(const struct options *o)
{
    return o->fallback >= FALLBACK_SEAL && o->keys.count == 0 &&
           named_keys_fallback(&o->keys) == NULL;
}

static struct result choose(const struct options *o, const struct config_choice **choice,
                            struct err *err)
{
    return o->fallback == FALLBACK_OPEN ? config_openers(choice, err)
                                        : config_choose(NULL, choice, err);
}

struct result key_source_find(struct key_source *from, const struct options *o, struct err *err)
{
    *from = (struct key_source){o->keys.items, o->keys.count, named_keys_fallback(&o->keys), NULL};
    if (from->one != NULL) {
        from->names = &from->one;
        from->count = 1;
    }
    if (from->count > 0)
        host_explain("keys come from %s", from->one != NULL ? "BULLA_KEY" : "-k");
    if (!key_source_is_config(o))
        return OK;
    if (!choose(o, &from->choice, err).ok)
        return FAIL;
    if (from->choice != NULL) {
        from->names = from->choice->names;
        from->count = from->choice->count;
        host_explain("keys come from config file '%s', line %u", from->choice->file,
                     from->choice->line);
    }
    return OK;
}

struct result key_source_none(struct err *err)
{
    (void)fail(err, ERR_USAGE, "no key is given");
    return fail_hint(
        err, "-k KEY, BULLA_KEY or bulla.conf(5) names one; 'bulla key new PATH' makes one");
}

/* struct visit: whom to tell of the keys of a choice. */
struct visit {
    void (*visit)(void *arg, enum use use, const char *given);
    void *arg;
};

static void visit_choice(void *arg, const struct config_choice *choice)
{
    const struct visit *v = arg;

    for (size_t i = 0; i < choice->count; i++)
        v->visit(v->arg, USE_KEY, choice->names[i]);
}

void key_source_visit(const struct options *o,
                      void (*visit)(void *arg, enum use use, const char *given), void *arg)
{
    struct visit v = {visit, arg};
    const struct config_choice *choice;
    struct err ignored; /* the verb meets it again */

    if (!key_source_is_config(o))
        return;
    if (o->fallback == FALLBACK_SEAL)
        (void)!config_all(visit_choice, &v, &ignored).ok;
    else if (choose(o, &choice, &ignored).ok && choice != NULL)
        visit_choice(&v, choice);
}

/* Whether one of these variables is set. */
static bool is_set(const char *const *variables)
{
    for (; variables != NULL && *variables != NULL; variables++) {
        const char *value = getenv(*variables);
        if (value != NULL && value[0] != '\0')
            return true;
    }
    return false;
}

static struct result settle(struct store_settings *settings, const struct store_option *option,
                            struct err *err)
{
    const char *text;

    if (!option->in_config || store_text(settings, option) != NULL || is_set(option->before_config))
        return OK;
    if (!config_setting(option, &text, err).ok)
        return FAIL;
    store_set(settings, option, text, 0);
    if (text != NULL && !option->unsaid)
        host_explain("%s '%s' comes from the config file", option->name, text);
    return OK;
}

struct result key_source_settle(struct keystore_env *env, const char *reference, struct err *err)
{
    const struct keystore *store;
    struct err ignored;
    const char *rest;

    if (!registry_find(&store, &rest, reference, &ignored).ok)
        return OK; /* whoever opens it says why */
    for (const struct store_option *const *list = store->options; *list != NULL; list++)
        for (const struct store_option *o = *list; o->name != NULL; o++)
            if (!settle(&env->settings, o, err).ok)
                return FAIL;
    return OK;
}
