#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cmd/key_target.h"
#include "cmd/shared_rows.h"
#include "cmd/status.h"
#include "cmd/terminal.h"
#include "cmd/verbs.h"
#include "keystore/redact_reference.h"

/* Nothing brings a destroyed version back, so its number must be typed, or --force given. */
static struct result confirm(const struct options *o, const struct key_target *t, struct err *err)
{
    const char *colon = strrchr(t->rest, ':');
    char typed[32] = "";

    if (o->force || colon == NULL)
        return OK;
    if (!isatty(STDIN_FILENO))
        return fail(err, ERR_USAGE,
                    "there is no terminal to ask on; --force destroys without asking");
    fprintf(stderr, "bulla: what is sealed to this version alone is lost with it\n"
                    "bulla: type the number of the version to destroy it: ");
    if (fgets(typed, sizeof typed, stdin) == NULL)
        typed[0] = '\0';
    typed[strcspn(typed, "\n")] = '\0';
    return strcmp(typed, colon + 1) == 0 ? OK : fail(err, ERR_FAILED, "not destroyed");
}

/* --check: no file there may need the version, and all must have been looked at. */
static struct result check_needed(const struct options *o, struct key_target *t, struct err *err)
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
    char *shown STRING_CLEANUP = redact_reference(t->reference);
    (void)fail(err, ERR_POLICY, "%" PRIu64 " file%s still need%s %s", needed,
               needed == 1 ? "" : "s", needed == 1 ? "s" : "", shown != NULL ? shown : "it");
    return fail_hint(err, "'bulla rewrap' moves them to another version or key");
}

static struct result destroy(const struct options *o, struct err *err)
{
    struct key_target t KEY_TARGET_CLEANUP = {0};
    struct key_info info;

    /* First the runs that seal to it, then the files: in the other order, a file that such a run
     * makes meanwhile would be missed. */
    if (!key_target_read(&t, o->operands.items[0], o, err).ok ||
        !key_target_change(&t, KEY_MAY_DESTROY, &info, err).ok || !check_needed(o, &t, err).ok ||
        !confirm(o, &t, err).ok || !key_target_change(&t, KEY_DESTROY, &info, err).ok)
        return FAIL;
    key_target_tell(o, &t, &info);
    return OK;
}

static int run_destroy(const struct options *o)
{
    return key_target_run(destroy, o);
}

static const struct row rows[] = {
    {"check", 0, "PATH", LIST_OF_TEXT, FIELD(check),
     "refuse while a file at or below PATH needs the version;\n"
     "may be repeated",
     .use = USE_READ},
    {"force", 0, NULL, FLAG, FIELD(force), "do not ask"},
    {0},
};

const struct verb verb_key_destroy = {
    .group = "key",
    .name = "destroy",
    .operands = "KEY:VERSION",
    .least = 1,
    .most = 1,
    .summary = "wipe a version from its keyring, for ever",
    .more =
        "Asks for the number of the version, or takes --force. KEY:VERSION is\n"
        "PATH#NAME:VERSION. Refuses while a run on this host seals to it, and with --check while\n"
        "a file there needs it, or could not be looked at. Copies of the keyring in other\n"
        "places still have it.\n",
    .run = run_destroy,
    .operand = USE_NEW_KEY,
    .rows = (const struct row *const[]){rows, rows_one_file_system, rows_follow, rows_allow_empty,
                                        rows_json, rows_all, NULL},
    .key_rows = (const struct row *const[]){rows_passphrase, rows_pin, NULL},
    .store_uses = STORE_MANAGES,
    .examples = "  bulla key destroy --check upload --force ./backup.ring#backup:1\n",
};
