#include "cmd/key_target.h"
#include "cmd/shared_rows.h"
#include "cmd/terminal.h"
#include "cmd/verbs.h"

static struct result protect(const struct options *o, struct err *err)
{
    struct key_target t KEY_TARGET_CLEANUP = {0};

    if (!key_target_read(&t, o->operands.items[0], o, err).ok)
        return FAIL;
    if (t.store->admin->protect == NULL)
        return key_target_cannot(&t, "take passphrases", err);
    if (!t.store->admin->protect(&t.session.env, t.rest, o->remove, err).ok)
        return FAIL;
    terminal_note("keyring '%s' has %s", t.rest,
                  o->remove ? "no passphrase now" : "a new passphrase");
    return OK;
}

static int run_passphrase(const struct options *o)
{
    return key_target_run(protect, o);
}

static const struct row rows[] = {
    {"remove", 0, NULL, FLAG, FIELD(remove), "remove the passphrase"},
    {0},
};

const struct verb verb_key_passphrase = {
    .group = "key",
    .name = "passphrase",
    .operands = "KEYRING",
    .least = 1,
    .most = 1,
    .summary = "set or change the passphrase of a keyring",
    .more = "With --remove, the keyring has none afterwards.\n",
    .run = run_passphrase,
    .operand = USE_NEW_KEY,
    .rows = (const struct row *const[]){rows, rows_all, NULL},
    .key_rows = (const struct row *const[]){rows_passphrase, rows_new_passphrase, rows_pin, NULL},
    .store_uses = STORE_MANAGES,
    .examples = "  bulla key passphrase ./offsite.ring\n",
};
