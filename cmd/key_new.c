#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cmd/key_target.h"
#include "cmd/outcome.h"
#include "cmd/shared_rows.h"
#include "cmd/terminal.h"
#include "cmd/verbs.h"
#include "keystore/key_age.h"

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

static struct result key_new(const struct options *o, struct err *err)
{
    struct key_target t KEY_TARGET_CLEANUP = {0};
    struct key_wanted want = {.now = clock_now(), .kind = o->kind, .passphrase = o->passphrase};
    struct key_info info;

    if (!read_days(o->rotate_after, &want.rotate_after, err).ok ||
        !key_target_read(&t, o->operands.items[0], o, err).ok)
        return FAIL;
    if (t.store->admin->create == NULL)
        return key_target_cannot(&t, "make keys", err);
    if (!t.store->admin->create(&t.session.env, t.rest, &want, &info, err).ok)
        return FAIL;
    if (o->json)
        terminal_json(key_target_json(t.reference, &info));
    else if (info.lives != NULL)
        terminal_note(
            "made key '%s' (%s, id %s) %s; if a backup of it can be made, now is the time: "
            "without the key nothing that is sealed to it can be opened",
            info.name, info.kind, info.id, info.lives);
    else
        terminal_note("made key '%s' version %" PRIu32 " (id %s); keep a copy of '%s' in another "
                      "place: without it nothing that is sealed to this key can be opened",
                      info.name, info.version, info.id, t.rest);
    return OK;
}

/* No hint about similar names: this one is to be made. */
static int run_new(const struct options *o)
{
    return outcome_run(key_new, o);
}

static const struct row new_rows[] = {
    {"kind", 0, "KIND", TEXT, FIELD(kind),
     "symmetric (the default), or x25519, which hosts with\n"
     "the public key alone can seal to; on a token p256 (the\n"
     "default), p384, rsa2048, rsa3072, rsa4096 or aes256"},
    {"passphrase", 0, NULL, FLAG, FIELD(passphrase), "protect a new keyring by a passphrase"},
    {"rotate-after", 0, "DAYS", TEXT, FIELD(rotate_after),
     "state how long a version should be active: 90d, 12w"},
    {0},
};

const struct verb verb_key_new = {
    .group = "key",
    .name = "new",
    .operands = "KEY",
    .least = 1,
    .most = 1,
    .summary = "make a master key",
    .more = "KEY is PATH for a new keyring, or PATH#NAME for one more key in it. Keep a copy\n"
            "of the keyring in another place: what is sealed to its keys cannot be opened\n"
            "without it. On a token object=NAME makes NAME-v0001.\n",
    .run = run_new,
    .operand = USE_NEW_KEY,
    .rows = (const struct row *const[]){new_rows, rows_json, rows_all, NULL},
    .key_rows = (const struct row *const[]){rows_passphrase, rows_new_passphrase, rows_pin, NULL},
    .store_uses = STORE_MANAGES,
    .examples = "  bulla key new ./backup.ring\n"
                "  bulla key new ./servers.ring#web\n"
                "  bulla key new --kind x25519 ./vault.ring\n",
};

/* Warns of what a rotation made out of date: the copies of a keyring. */
static void tell_copies(const struct key_target *t, const struct key_info *info)
{
    char *path STRING_CLEANUP = NULL;
    struct err ignored;

    if (t->store->file == NULL || !t->store->file(t->rest, &path, &ignored).ok)
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
    struct key_target t KEY_TARGET_CLEANUP = {0};
    struct key_info info;

    if (!key_target_read(&t, o->operands.items[0], o, err).ok)
        return FAIL;
    if (t.store->admin->rotate == NULL)
        return key_target_cannot(&t, "make key versions", err);
    if (!t.store->admin->rotate(&t.session.env, t.rest, clock_now(), &info, err).ok)
        return FAIL;
    key_target_tell(o, &t, &info);
    if (!o->json)
        tell_copies(&t, &info);
    return OK;
}

static int run_rotate(const struct options *o)
{
    return key_target_run(rotate, o);
}

const struct verb verb_key_rotate = {
    .group = "key",
    .name = "rotate",
    .operands = "KEY",
    .least = 1,
    .most = 1,
    .summary = "make the next version of a key",
    .more = "The new version is active, the old one retires: it opens, but seals no more. 'bulla\n"
            "rewrap' moves files from the old to the new.\n",
    .run = run_rotate,
    .operand = USE_NEW_KEY,
    .rows = (const struct row *const[]){rows_json, rows_all, NULL},
    .key_rows = (const struct row *const[]){rows_passphrase, rows_pin, NULL},
    .store_uses = STORE_MANAGES,
    .examples = "  bulla key rotate ./backup.ring#backup\n",
};
