#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/place.h"
#include "base/text.h"
#include "cmd/common.h"
#include "cmd/terminal.h"
#include "cmd/verbs.h"
#include "keystore/registry.h"

static json_t *info_json(const char *reference, const struct key_info *info)
{
    char created[TEXT_TIME_SIZE];

    return json_pack("{s:o, s:s, s:s, s:s, s:I, s:s, s:s}", "key",
                     terminal_text(reference, strlen(reference)), "name", info->name, "kind",
                     info->kind, "id", info->id, "version", (json_int_t)info->version, "state",
                     key_state_name(info->state), "created", text_time(created, info->created));
}

static struct result key_new(const struct options *o, struct err *err)
{
    const struct keystore_ops *ops;
    char *reference STRING_CLEANUP = NULL;
    const char *rest;
    struct key_info info;

    if (!common_reference(o->operands.items[0], &reference, err).ok ||
        !registry_find(&ops, &rest, reference, err).ok)
        return FAIL;
    if (ops->create == NULL)
        return fail(err, ERR_UNSUPPORTED, "the %s key store does not make keys", ops->name);
    if (!ops->create(rest, (uint64_t)time(NULL), &info, err).ok)
        return FAIL;
    if (o->json)
        terminal_json(info_json(reference, &info));
    else
        terminal_note("made key '%s' version %" PRIu32 " (id %s); keep a copy of '%s' in another "
                      "place: without it nothing that is sealed to this key can be opened",
                      info.name, info.version, info.id, rest);
    return OK;
}

int verb_key_new(const struct options *o)
{
    struct err err = {0};

    return key_new(o, &err).ok ? ERR_NONE : terminal_error(&err);
}

struct listing {
    const char *reference;
    bool json;
};

static void row(void *arg, const struct key_info *info)
{
    const struct listing *l = arg;
    char created[TEXT_TIME_SIZE];

    if (l->json)
        terminal_json(info_json(l->reference, info));
    else
        printf("%-24s %7" PRIu32 "  %-9s  %s  %s  %s\n", info->name, info->version,
               key_state_name(info->state), text_time(created, info->created), info->id,
               info->kind);
}

static struct result list_one(const char *given, bool json, struct err *err)
{
    const struct keystore_ops *ops;
    char *reference STRING_CLEANUP = NULL;
    const char *rest;

    if (!common_reference(given, &reference, err).ok ||
        !registry_find(&ops, &rest, reference, err).ok)
        return FAIL;
    if (ops->list == NULL)
        return fail(err, ERR_UNSUPPORTED, "the %s key store does not list keys", ops->name);
    struct listing listing = {reference, json};
    return ops->list(rest, &(struct key_list_sink){row, &listing}, err);
}

int verb_key_list(const struct options *o)
{
    const char *fallback = getenv("BULLA_KEY");
    const struct list env = {&fallback, fallback != NULL && fallback[0] != '\0'};
    const struct list *from = o->operands.count > 0 ? &o->operands : &env;
    int status = ERR_NONE;

    if (from->count == 0) {
        struct err err = {0};
        (void)fail(&err, ERR_USAGE, "no key is given");
        err_hint(&err, "name a keyring, or set BULLA_KEY");
        return terminal_error(&err);
    }
    if (!o->json)
        printf("%-24s %7s  %-9s  %-20s  %-32s  %s\n", "NAME", "VERSION", "STATE", "CREATED", "ID",
               "KIND");
    for (size_t i = 0; i < from->count; i++) {
        struct err err = {0};
        if (!list_one(from->items[i], o->json, &err).ok) {
            int class = terminal_error(&err);
            status = from->count > 1 ? ERR_PARTIAL : class;
        }
    }
    return status;
}
