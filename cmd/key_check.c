#include "libbulla/key_check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/named_keys.h"
#include "cmd/outcome.h"
#include "cmd/setup.h"
#include "cmd/shared_rows.h"
#include "cmd/terminal.h"
#include "cmd/verbs.h"

/* A sink of facts: a line each, or into an object. */
static void fact(void *arg, const char *name, const char *value)
{
    terminal_fact(arg, name, value);
}

static void show_ability(json_t *json, const char *name, bool able, const struct err *why)
{
    char reason[32];

    if (json == NULL) {
        terminal_fact(NULL, name, able ? "yes" : why->text[0] != '\0' ? why->text : "not tried");
        return;
    }
    terminal_put(json, name, json_boolean(able));
    snprintf(reason, sizeof reason, "%s_error", name);
    if (!able && why->text[0] != '\0')
        terminal_fact(json, reason, why->text);
}

static bool seals_only(const struct master_key *key)
{
    return key->ops->seals_only != NULL && key->ops->seals_only(key);
}

/* A key that cannot wrap is an error, and so is one that cannot unwrap, unless it is there for
 * sealing alone. */
static struct result check_one(const char *given, const struct options *o, json_t *json,
                               struct err *err)
{
    struct session s SESSION_CLEANUP = {0}; /* first: it outlives the keys */
    struct keyset keys KEYSET_CLEANUP = {0};
    struct list one = {&given, 1};
    struct check c;

    if (o->json && json == NULL)
        return fail_memory(err);
    setup_env(&s.env, o);
    if (!session_open(&s, NULL, 0, err).ok || !named_keys_open_set(&keys, &s.env, &one, err).ok)
        return FAIL;
    struct master_key *key = keys.keys[0];
    struct key_sink sink = {.fact = fact, .arg = json};
    if (json == NULL) {
        terminal_reference(given);
        terminal_print("\n");
    }
    terminal_fact(json, "store", key->ops->name);
    if ((key->ops->describe != NULL && !key->ops->describe(key, &sink, err).ok) ||
        !key_check(&c, key, err).ok)
        return FAIL;
    show_ability(json, "wraps", c.wraps, &c.wrap_failed);
    show_ability(json, "unwraps", c.unwraps, &c.unwrap_failed);
    if (!c.wraps)
        *err = c.wrap_failed;
    else if (!c.unwraps && !seals_only(key))
        *err = c.unwrap_failed;
    return err->class == ERR_NONE ? OK : FAIL;
}

static int run_check(const struct options *o)
{
    int status = ERR_NONE;

    for (size_t i = 0; i < o->operands.count && status != ERR_INTERRUPTED; i++) {
        const char *given = o->operands.items[i];
        json_t *json = o->json ? json_object() : NULL;
        struct err err = {0};
        if (!check_one(given, o, json, &err).ok)
            status = outcome_status(o->operands.count, terminal_error(&err));
        if (json != NULL) {
            terminal_put(json, "key", terminal_reference_text(given));
            terminal_put(json, "status", json_integer(err.class));
            if (err.class != ERR_NONE)
                terminal_fact(json, "error", err.text);
            terminal_json(json);
        }
    }
    return status;
}

const struct verb verb_key_check = {
    .group = "key",
    .name = "check",
    .operands = "KEY...",
    .least = 1,
    .most = ANY_NUMBER,
    .summary = "wrap and unwrap once, and show what a key can do",
    .more = "A key that can only seal, such as a public key file, wraps but does not unwrap.\n",
    .run = run_check,
    .operand = USE_KEY,
    .rows = (const struct row *const[]){rows_json, rows_all, NULL},
    .key_rows = (const struct row *const[]){rows_passphrase, rows_pin, NULL},
    .store_uses = STORE_OPENS | STORE_SEALS,
    .examples = "  bulla key check ./backup.ring#backup\n",
};
