#include <inttypes.h>

#include "base/clock.h"
#include "base/text.h"
#include "cmd/key_target.h"
#include "cmd/named_keys.h"
#include "cmd/outcome.h"
#include "cmd/ring_compare.h"
#include "cmd/shared_rows.h"
#include "cmd/terminal.h"
#include "cmd/verbs.h"
#include "keystore/key_age.h"

/* struct listing: keys with versions are printed as a table, others as lists of facts. */
struct listing {
    const char *reference;
    bool json;
    bool *headed;   /* the heading is printed */
    json_t *object; /* that facts go to */
    struct ring_compare *ages;
};

static void row(void *arg, const struct key_info *info)
{
    const struct listing *l = arg;
    char created[TEXT_TIME_SIZE];

    ring_compare_add(l->ages, info);
    if (l->json) {
        terminal_json(key_target_json(l->reference, info));
        return;
    }
    if (!*l->headed)
        terminal_print("%-24s %7s  %-9s  %-20s  %5s  %-32s  %s\n", "NAME", "VERSION", "STATE",
                       "CREATED", "AGE", "ID", "KIND");
    *l->headed = true;
    terminal_print("%-24s %7" PRIu32 "  %-9s  %s  %4" PRIu64 "d  %s  %s%s\n", info->name,
                   info->version, key_state_name(info->state), text_time(created, info->created),
                   key_age(info, clock_now()), info->id, info->kind,
                   key_age_overdue(info, clock_now()) ? "  OVERDUE" : "");
}

static void end_object(struct listing *l)
{
    if (l->object != NULL)
        terminal_json(l->object);
    l->object = NULL;
}

static void begin(void *arg, const char *what, const char *reference)
{
    struct listing *l = arg;

    end_object(l);
    if (l->json) {
        l->object = json_object();
        terminal_put(l->object, what, terminal_reference_text(reference));
        return;
    }
    terminal_print("%s ", what);
    terminal_reference(reference);
    terminal_print("\n");
}

static void fact(void *arg, const char *name, const char *value)
{
    const struct listing *l = arg;

    terminal_fact(l->json ? l->object : NULL, name, value);
}

static struct result list_one(const char *given, const struct options *o, bool *headed,
                              struct ring_compare *ages, struct err *err)
{
    struct key_target t KEY_TARGET_CLEANUP = {0};

    if (!key_target_read(&t, given, o, err).ok)
        return FAIL;
    if (t.store->admin->list == NULL)
        return key_target_cannot(&t, "list keys", err);
    if (!ring_compare_ring(ages, t.reference, err).ok)
        return FAIL;
    struct listing listing = {t.reference, o->json, headed, NULL, ages};
    struct key_sink sink = {row, begin, fact, &listing};
    struct result r = t.store->admin->list(&t.session.env, t.rest, &sink, err);
    end_object(&listing);
    return r;
}

static int run_list(const struct options *o)
{
    const char *fallback = named_keys_fallback(&o->operands);
    const struct list env = {&fallback, 1};
    const struct list *from = fallback != NULL ? &env : &o->operands;
    struct ring_compare ages AGES_CLEANUP = {0};
    bool headed = false;
    int status = ERR_NONE;

    if (from->count == 0) {
        struct err err = {0};
        (void)fail(&err, ERR_USAGE, "no key is given");
        err_hint(&err, "name a keyring, or set BULLA_KEY");
        return terminal_error(&err);
    }
    for (size_t i = 0; i < from->count && status != ERR_INTERRUPTED; i++) {
        struct err err = {0};
        if (!list_one(from->items[i], o, &headed, &ages, &err).ok)
            status = outcome_status(from->count, key_target_failed(from->items[i], &err));
    }
    int older = ring_compare_tell(&ages, o->json);
    return status != ERR_NONE ? status : older;
}

const struct verb verb_key_list = {
    .group = "key",
    .name = "list",
    .operands = "[KEY...]",
    .most = ANY_NUMBER,
    .summary = "show the keys of a keyring or a token",
    .more =
        "Shows no key bytes. Without KEY, that of BULLA_KEY. A URI that names no token shows\n"
        "all of the module, one that names a token its private keys too. Of several keyrings,\n"
        "says which is older than another with the same key, or was rotated apart from it, and\n"
        "exits 7 if one is.\n",
    .run = run_list,
    .operand = USE_KEY,
    .fallback = FALLBACK_OPERAND,
    .rows = (const struct row *const[]){rows_json, rows_all, NULL},
    .key_rows = (const struct row *const[]){rows_pin, NULL},
    .store_uses = STORE_MANAGES,
    .examples = "  bulla key list ./backup.ring\n",
};
