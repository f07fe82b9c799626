#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/place.h"
#include "base/text.h"
#include "cmd/ages.h"
#include "cmd/common.h"
#include "cmd/nearest.h"
#include "cmd/passphrase.h"
#include "cmd/status.h"
#include "cmd/terminal.h"
#include "cmd/verbs.h"
#include "keystore/age.h"
#include "keystore/shown.h"
#include "libbulla/output.h"
#include "libbulla/session.h"

static uint64_t now(void)
{
    return clock_now();
}

static json_t *info_json(const char *reference, const struct key_info *info)
{
    char created[TEXT_TIME_SIZE];

    if (info->on_token)
        return json_pack("{s:o, s:o, s:s, s:s, s:I}", "key", terminal_reference_text(reference),
                         "name", terminal_text(info->name, strlen(info->name)), "kind", info->kind,
                         "id", info->id, "version", (json_int_t)info->version);

    json_t *json = json_pack(
        "{s:o, s:s, s:s, s:s, s:I, s:s, s:s, s:I}", "key", terminal_reference_text(reference),
        "name", info->name, "kind", info->kind, "id", info->id, "version",
        (json_int_t)info->version, "state", key_state_name(info->state), "created",
        text_time(created, info->created), "age_days", (json_int_t)key_age(info, now()));

    if (info->rotate_after != 0) {
        terminal_put(json, "rotate_after_days", json_integer(info->rotate_after));
        terminal_put(json, "overdue", json_boolean(key_overdue(info, now())));
    }
    return json;
}

/* "90d" or "12w", in days; 0 for NULL. */
static struct result read_days(const char *text, uint32_t *days, struct err *err)
{
    char *end;

    *days = 0;
    if (text == NULL)
        return OK;
    unsigned long n = text[0] >= '0' && text[0] <= '9' ? strtoul(text, &end, 10) : 0;
    bool weeks = n > 0 && strcmp(end, "w") == 0;
    if (n < 1 || n > KEY_ROTATE_AFTER_MAX / (weeks ? 7 : 1) || (!weeks && strcmp(end, "d") != 0))
        return fail(err, ERR_USAGE, "--rotate-after is like 90d or 12w, at most %dd, not '%s'",
                    KEY_ROTATE_AFTER_MAX, text);
    *days = (uint32_t)n * (weeks ? 7 : 1);
    return OK;
}

/* struct target: the one key that a verb was given, and what its store needs. */
struct target {
    struct session session; /* without keys */
    char *reference;
    const char *rest; /* as the store takes it */
    const struct keystore_ops *ops;
};

static void target_free(struct target *t)
{
    free(t->reference);
    session_close(&t->session);
}

#define TARGET_CLEANUP __attribute__((cleanup(target_free)))

static struct result read_target(struct target *t, const char *given, const struct options *o,
                                 struct err *err)
{
    if (!common_env(&t->session.env, o, err).ok || !session_open(&t->session, NULL, 0, err).ok ||
        !common_reference(given, &t->reference, err).ok)
        return FAIL;
    return registry_find(&t->ops, &t->rest, t->reference, err);
}

static struct result no_such(const struct target *t, const char *what, struct err *err)
{
    return fail(err, ERR_UNSUPPORTED, "the %s key store does not %s", t->ops->name, what);
}

static int key_failed(const char *given, struct err *err)
{
    nearest_hint(given, err);
    return terminal_error(err);
}

/* Does what a verb does to the one key that it was given; returns the exit status. */
static int run_key(struct result (*run)(const struct options *o, struct err *err),
                   const struct options *o)
{
    struct err err = {0};

    return run(o, &err).ok ? ERR_NONE : key_failed(o->operands.items[0], &err);
}

static struct result key_new(const struct options *o, struct err *err)
{
    struct target t TARGET_CLEANUP = {0};
    struct key_wanted want = {.now = now(), .kind = o->kind, .passphrase = o->passphrase};
    struct key_info info;

    if (!read_days(o->rotate_after, &want.rotate_after, err).ok ||
        !read_target(&t, o->operands.items[0], o, err).ok)
        return FAIL;
    if (t.ops->create == NULL)
        return no_such(&t, "make keys", err);
    if (!t.ops->create(&t.session.env, t.rest, &want, &info, err).ok)
        return FAIL;
    if (o->json)
        terminal_json(info_json(t.reference, &info));
    else if (info.on_token)
        terminal_note(
            "made key '%s' (%s, id %s) on the token; where the token has a backup, now is "
            "the time for one: without the key nothing that is sealed to it can be opened",
            info.name, info.kind, info.id);
    else
        terminal_note("made key '%s' version %" PRIu32 " (id %s); keep a copy of '%s' in another "
                      "place: without it nothing that is sealed to this key can be opened",
                      info.name, info.version, info.id, t.rest);
    return OK;
}

int verb_key_new(const struct options *o)
{
    return run_key(key_new, o);
}

static void tell(const struct options *o, const struct target *t, const struct key_info *info)
{
    if (o->json)
        terminal_json(info_json(t->reference, info));
    else if (info->on_token)
        terminal_note("made key '%s' (%s, id %s) on the token; 'bulla rewrap' moves files to it",
                      info->name, info->kind, info->id);
    else
        terminal_note("key '%s' version %" PRIu32 " is %s", info->name, info->version,
                      key_state_name(info->state));
}

/* What was right before a rotation and is not any more: the copies of a key that is in a file. */
static void tell_copies(const struct target *t, const struct key_info *info)
{
    char *path STRING_CLEANUP = NULL;
    struct err ignored;

    if (t->ops->file == NULL || !t->ops->file(t->rest, &path, &ignored).ok)
        return;
    terminal_note("a copy of '%s' in another place lacks the new version: copy it again before "
                  "'bulla rewrap'%s",
                  path,
                  strcmp(info->kind, "x25519") == 0
                      ? ", and export the public key again: the old file seals to the old version"
                      : "");
}

static struct result rotate(const struct options *o, struct err *err)
{
    struct target t TARGET_CLEANUP = {0};
    struct key_info info;

    if (!read_target(&t, o->operands.items[0], o, err).ok)
        return FAIL;
    if (t.ops->rotate == NULL)
        return no_such(&t, "make key versions", err);
    if (!t.ops->rotate(&t.session.env, t.rest, now(), &info, err).ok)
        return FAIL;
    tell(o, &t, &info);
    if (!o->json)
        tell_copies(&t, &info);
    return OK;
}

int verb_key_rotate(const struct options *o)
{
    return run_key(rotate, o);
}

static struct result change(const struct target *t, enum key_change what, struct key_info *info,
                            struct err *err)
{
    if (t->ops->change == NULL)
        return no_such(t, "keep states of keys", err);
    return t->ops->change(&t->session.env, t->rest, what, info, err);
}

static int change_state(const struct options *o, enum key_change what)
{
    struct target t TARGET_CLEANUP = {0};
    struct key_info info;
    struct err err = {0};

    if (!read_target(&t, o->operands.items[0], o, &err).ok || !change(&t, what, &info, &err).ok)
        return key_failed(o->operands.items[0], &err);
    tell(o, &t, &info);
    return ERR_NONE;
}

int verb_key_retire(const struct options *o)
{
    return change_state(o, KEY_RETIRE);
}

int verb_key_disable(const struct options *o)
{
    return change_state(o, KEY_DISABLE);
}

int verb_key_enable(const struct options *o)
{
    return change_state(o, KEY_ENABLE);
}

static struct result protect(const struct options *o, struct err *err)
{
    struct target t TARGET_CLEANUP = {0};

    if (!read_target(&t, o->operands.items[0], o, err).ok)
        return FAIL;
    if (t.ops->protect == NULL)
        return no_such(&t, "take passphrases", err);
    if (!t.ops->protect(&t.session.env, t.rest, o->remove, err).ok)
        return FAIL;
    terminal_note("keyring '%s' has %s", t.rest,
                  o->remove ? "no passphrase now" : "a new passphrase");
    return OK;
}

int verb_key_passphrase(const struct options *o)
{
    return run_key(protect, o);
}

static struct result write_public(const char *text, const struct options *o, struct session *s,
                                  struct err *err)
{
    struct output output OUTPUT_CLEANUP = {0};
    struct place place PLACE_CLEANUP = {0};
    bool to_file = o->output != NULL && !is_stdio(o->output);
    const struct inputs inputs = {.session = s};

    if ((to_file && !place_open_new(&place, o->output, err).ok) ||
        !output_open(&output, to_file ? &place : NULL, o->force, &inputs, err).ok ||
        !sink_write(&output.fd.sink, text, strlen(text), err).ok)
        return FAIL;
    return output_commit(&output, NULL, WHOSE_CALLER, err);
}

static struct result export_public(const struct options *o, struct err *err)
{
    struct target t TARGET_CLEANUP = {0};
    char *text STRING_CLEANUP = NULL;

    if (!read_target(&t, o->operands.items[0], o, err).ok)
        return FAIL;
    if (t.ops->export_public == NULL)
        return no_such(&t, "have public keys", err);
    /* Opened, so that the output cannot take the place of what the key lives in. */
    if (!keyset_open(&t.session.keys, &t.session.env, (const char *const[]){t.reference}, 1, err)
             .ok ||
        !t.ops->export_public(&t.session.env, t.rest, &text, err).ok)
        return FAIL;
    return write_public(text, o, &t.session, err);
}

int verb_key_export_public(const struct options *o)
{
    return run_key(export_public, o);
}

/* Nothing brings a destroyed version back, so its number must be typed, or --force given. */
static struct result confirm(const struct options *o, const struct target *t, struct err *err)
{
    const char *colon = strrchr(t->rest, ':');
    char typed[32] = "";

    if (o->force || colon == NULL)
        return OK;
    if (!isatty(STDIN_FILENO))
        return fail(err, ERR_USAGE, "there is no terminal to ask on; --force destroys unasked");
    fprintf(stderr, "bulla: what is sealed to this version alone is lost with it\n"
                    "bulla: type the number of the version to destroy it: ");
    if (fgets(typed, sizeof typed, stdin) == NULL)
        typed[0] = '\0';
    typed[strcspn(typed, "\n")] = '\0';
    return strcmp(typed, colon + 1) == 0 ? OK : fail(err, ERR_FAILED, "not destroyed");
}

/* --check: no file there may need the version, and all must have been looked at. */
static struct result check_needed(const struct options *o, struct target *t, struct err *err)
{
    struct keyset keys KEYSET_CLEANUP = {0};
    const char *reference = t->reference;
    uint64_t needed;

    if (o->check.count == 0)
        return OK;
    if (!keyset_open(&keys, &t->session.env, &reference, 1, err).ok ||
        !status_needs(&t->session, keys.keys[0], reference, o, &needed, err).ok)
        return FAIL;
    if (needed == 0)
        return OK;
    char *shown STRING_CLEANUP = reference_shown(t->reference);
    (void)fail(err, ERR_POLICY, "%" PRIu64 " file%s still need%s %s", needed,
               needed == 1 ? "" : "s", needed == 1 ? "s" : "", shown != NULL ? shown : "it");
    err_hint(err, "'bulla rewrap' moves them to another version or key");
    return FAIL;
}

static struct result destroy(const struct options *o, struct err *err)
{
    struct target t TARGET_CLEANUP = {0};
    struct key_info info;

    /* First the runs that seal to it, and then the files: the other way round, a file that such a
     * run makes meanwhile would be missed. */
    if (!read_target(&t, o->operands.items[0], o, err).ok ||
        !change(&t, KEY_MAY_DESTROY, &info, err).ok || !check_needed(o, &t, err).ok ||
        !confirm(o, &t, err).ok || !change(&t, KEY_DESTROY, &info, err).ok)
        return FAIL;
    tell(o, &t, &info);
    return OK;
}

int verb_key_destroy(const struct options *o)
{
    return run_key(destroy, o);
}

/* struct listing: keys with versions are rows below a heading, others objects with facts. */
struct listing {
    const char *reference;
    bool json;
    bool *headed;   /* the heading is printed */
    json_t *object; /* that facts go to */
    struct ages *ages;
};

static void row(void *arg, const struct key_info *info)
{
    const struct listing *l = arg;
    char created[TEXT_TIME_SIZE];

    ages_add(l->ages, info);
    if (l->json) {
        terminal_json(info_json(l->reference, info));
        return;
    }
    if (!*l->headed)
        terminal_print("%-24s %7s  %-9s  %-20s  %5s  %-32s  %s\n", "NAME", "VERSION", "STATE",
                       "CREATED", "AGE", "ID", "KIND");
    *l->headed = true;
    terminal_print("%-24s %7" PRIu32 "  %-9s  %s  %4" PRIu64 "d  %s  %s%s\n", info->name,
                   info->version, key_state_name(info->state), text_time(created, info->created),
                   key_age(info, now()), info->id, info->kind,
                   key_overdue(info, now()) ? "  OVERDUE" : "");
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
                              struct ages *ages, struct err *err)
{
    struct target t TARGET_CLEANUP = {0};

    if (!read_target(&t, given, o, err).ok)
        return FAIL;
    if (t.ops->list == NULL)
        return no_such(&t, "list keys", err);
    if (!ages_ring(ages, t.reference, err).ok)
        return FAIL;
    struct listing listing = {t.reference, o->json, headed, NULL, ages};
    struct key_sink sink = {row, begin, fact, &listing};
    struct result r = t.ops->list(&t.session.env, t.rest, &sink, err);
    end_object(&listing);
    return r;
}

int verb_key_list(const struct options *o)
{
    const char *fallback = common_fallback(&o->operands);
    const struct list env = {&fallback, 1};
    const struct list *from = fallback != NULL ? &env : &o->operands;
    struct ages ages AGES_CLEANUP = {0};
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
            status = common_status(from->count, key_failed(from->items[i], &err));
    }
    int older = ages_tell(&ages, o->json);
    return status != ERR_NONE ? status : older;
}
