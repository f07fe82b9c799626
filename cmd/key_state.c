#include "cmd/key_target.h"
#include "cmd/shared_rows.h"
#include "cmd/terminal.h"
#include "cmd/verbs.h"

static int change_state(const struct options *o, enum key_change what)
{
    struct key_target t KEY_TARGET_CLEANUP = {0};
    struct key_info info;
    struct err err = {0};

    if (!key_target_read(&t, o->operands.items[0], o, &err).ok ||
        !key_target_change(&t, what, &info, &err).ok)
        return key_target_failed(o->operands.items[0], &err);
    key_target_tell(o, &t, &info);
    return ERR_NONE;
}

static int run_retire(const struct options *o)
{
    return change_state(o, KEY_RETIRE);
}

const struct verb verb_key_retire = {
    .group = "key",
    .name = "retire",
    .operands = "KEY[:VERSION]",
    .least = 1,
    .most = 1,
    .summary = "let a version open but not seal",
    .more = "KEY:VERSION is PATH#NAME:VERSION. Without a version, the active one.\n",
    .run = run_retire,
    .operand = USE_NEW_KEY,
    .rows = (const struct row *const[]){rows_json, rows_all, NULL},
    .examples = "  bulla key retire ./servers.ring#web\n",
};

static int run_disable(const struct options *o)
{
    return change_state(o, KEY_DISABLE);
}

const struct verb verb_key_disable = {
    .group = "key",
    .name = "disable",
    .operands = "KEY:VERSION",
    .least = 1,
    .most = 1,
    .summary = "let a version neither open nor seal",
    .more = "Until 'bulla key enable'. KEY:VERSION is PATH#NAME:VERSION.\n",
    .run = run_disable,
    .operand = USE_NEW_KEY,
    .rows = (const struct row *const[]){rows_json, rows_all, NULL},
    .examples = "  bulla key disable ./backup.ring#backup:1\n",
};

static int run_enable(const struct options *o)
{
    return change_state(o, KEY_ENABLE);
}

const struct verb verb_key_enable = {
    .group = "key",
    .name = "enable",
    .operands = "KEY:VERSION",
    .least = 1,
    .most = 1,
    .summary = "let a disabled version open again",
    .more = "It is retired then. KEY:VERSION is PATH#NAME:VERSION.\n",
    .run = run_enable,
    .operand = USE_NEW_KEY,
    .rows = (const struct row *const[]){rows_json, rows_all, NULL},
    .examples = "  bulla key enable ./backup.ring#backup:1\n",
};
