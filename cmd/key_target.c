#include "cmd/key_target.h"

#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "cmd/key_source.h"
#include "cmd/named_keys.h"
#include "cmd/nearest_name.h"
#include "cmd/setup.h"
#include "cmd/terminal.h"
#include "keystore/key_age.h"

json_t *key_target_json(const char *reference, const struct key_info *info)
{
    char created[TEXT_TIME_SIZE];

    if (info->lives != NULL)
        return json_pack("{s:o, s:o, s:s, s:s, s:I}", "key", terminal_reference_text(reference),
                         "name", terminal_text(info->name, strlen(info->name)), "kind", info->kind,
                         "id", info->id, "version", (json_int_t)info->version);

    json_t *json = json_pack(
        "{s:o, s:s, s:s, s:s, s:I, s:s, s:s, s:I}", "key", terminal_reference_text(reference),
        "name", info->name, "kind", info->kind, "id", info->id, "version",
        (json_int_t)info->version, "state", key_state_name(info->state), "created",
        text_time(created, info->created), "age_days", (json_int_t)key_age(info, clock_now()));

    if (info->rotate_after != 0) {
        terminal_put(json, "rotate_after_days", json_integer(info->rotate_after));
        terminal_put(json, "overdue", json_boolean(key_age_overdue(info, clock_now())));
    }
    return json;
}

void key_target_free(struct key_target *t)
{
    free(t->reference);
    session_close(&t->session);
}

struct result key_target_read(struct key_target *t, const char *given, const struct options *o,
                              struct err *err)
{
    setup_env(&t->session.env, o);
    if (!session_open(&t->session, NULL, 0, err).ok ||
        !named_keys_reference(given, &t->reference, err).ok ||
        !key_source_settle(&t->session.env, t->reference, err).ok)
        return FAIL;
    return registry_find(&t->store, &t->rest, t->reference, err);
}

struct result key_target_cannot(const struct key_target *t, const char *what, struct err *err)
{
    return fail(err, ERR_UNSUPPORTED, "the %s key store does not %s", t->store->ops->name, what);
}

int key_target_failed(const char *given, struct err *err)
{
    nearest_hint(given, err);
    return terminal_error(err);
}

int key_target_run(struct result (*run)(const struct options *o, struct err *err),
                   const struct options *o)
{
    struct err err = {0};

    return err_checked(run(o, &err), &err).ok ? ERR_NONE
                                              : key_target_failed(o->operands.items[0], &err);
}

void key_target_tell(const struct options *o, const struct key_target *t,
                     const struct key_info *info)
{
    if (o->json)
        terminal_json(key_target_json(t->reference, info));
    else if (info->lives != NULL)
        terminal_note("made key '%s' (%s, id %s) %s; 'bulla rewrap' moves files to it", info->name,
                      info->kind, info->id, info->lives);
    else
        terminal_note("key '%s' version %" PRIu32 " is %s", info->name, info->version,
                      key_state_name(info->state));
}

struct result key_target_change(const struct key_target *t, enum key_change what,
                                struct key_info *info, struct err *err)
{
    if (t->store->admin->change == NULL)
        return key_target_cannot(t, "keep states of keys", err);
    return t->store->admin->change(&t->session.env, t->rest, what, info, err);
}
