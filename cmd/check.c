#include "libbulla/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/common.h"
#include "cmd/terminal.h"
#include "cmd/verbs.h"

/* struct shown: where the facts of a key go, a line each or into one object. */
struct shown {
    json_t *json; /* or NULL */
};

static void fact(void *arg, const char *name, const char *value)
{
    const struct shown *shown = arg;

    if (shown->json != NULL) {
        terminal_put(shown->json, name, terminal_text(value, strlen(value)));
        return;
    }
    printf("  %-20s", name);
    terminal_show(value, strlen(value));
    putchar('\n');
}

static void show_ability(struct shown *shown, const char *name, bool able, const struct err *why)
{
    if (shown->json != NULL)
        terminal_put(shown->json, name, json_boolean(able));
    else
        fact(shown, name, able ? "yes" : why->text[0] != '\0' ? why->text : "not tried");
}

/* A key that cannot wrap is an error; one that cannot unwrap is a fact, unless its store failed. */
static struct result check_one(const char *given, const struct options *o, struct shown *shown,
                               struct err *err)
{
    struct session s SESSION_CLEANUP = {0}; /* first: it outlives the keys */
    struct keyset keys KEYSET_CLEANUP = {0};
    struct list one = {&given, 1};
    struct check c;

    if (!common_env(&s.env, o, err).ok || !session_open(&s, NULL, 0, err).ok ||
        !common_keyset(&keys, &s.env, &one, err).ok)
        return FAIL;
    struct master_key *key = keys.keys[0];
    struct key_facts_sink sink = {fact, shown};
    if (shown->json == NULL) {
        terminal_reference(given);
        putchar('\n');
    }
    fact(shown, "store", key->ops->name);
    if ((key->ops->describe != NULL && !key->ops->describe(key, &sink, err).ok) ||
        !check_key(&c, key, err).ok)
        return FAIL;
    show_ability(shown, "wraps", c.wraps, &c.wrap_failed);
    show_ability(shown, "unwraps", c.unwraps, &c.unwrap_failed);
    if (!c.wraps)
        *err = c.wrap_failed;
    else if (!c.unwraps && c.unwrap_failed.class != ERR_NO_KEY)
        *err = c.unwrap_failed;
    return err->class == ERR_NONE ? OK : FAIL;
}

int verb_key_check(const struct options *o)
{
    int status = ERR_NONE;

    for (size_t i = 0; i < o->operands.count; i++) {
        const char *given = o->operands.items[i];
        struct shown shown = {o->json ? json_object() : NULL};
        struct err err = {0};
        if (!check_one(given, o, &shown, &err).ok) {
            int class = terminal_error(&err);
            status = o->operands.count > 1 ? ERR_PARTIAL : class;
        }
        if (shown.json != NULL) {
            terminal_put(shown.json, "key", terminal_reference_text(given));
            terminal_put(shown.json, "status", json_integer(err.class));
            terminal_json(shown.json);
        }
    }
    return status;
}
