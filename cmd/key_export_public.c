#include <string.h>

#include "base/cleanup.h"
#include "base/place.h"
#include "cmd/key_target.h"
#include "cmd/shared_rows.h"
#include "cmd/standard_streams.h"
#include "cmd/verbs.h"
#include "libbulla/output.h"

static struct result write_public(const char *text, const struct options *o, struct session *s,
                                  struct err *err)
{
    struct place place PLACE_CLEANUP = {0}; /* closed last: the output is discarded there */
    struct output output OUTPUT_CLEANUP = {0};
    bool to_file = o->output != NULL && !standard_named(o->output);
    const struct inputs inputs = {.session = s};
    const struct outlet outlet = standard_output();

    if ((to_file && !place_open_new(&place, o->output, err).ok) ||
        !output_open(&output, to_file ? &place : NULL, &outlet, o->force, &inputs, err).ok ||
        !sink_write(output.sink, text, strlen(text), err).ok)
        return FAIL;
    return output_commit(&output, NULL, WHOSE_CALLER, err);
}

static struct result export_public(const struct options *o, struct err *err)
{
    struct key_target t KEY_TARGET_CLEANUP = {0};
    char *text STRING_CLEANUP = NULL;

    if (!key_target_read(&t, o->operands.items[0], o, err).ok)
        return FAIL;
    if (t.store->admin->export_public == NULL)
        return key_target_cannot(&t, "have public keys", err);
    /* Opened, so that the output cannot take the place of what the key lives in. */
    if (!keyset_open(&t.session.keys, &t.session.env, (const char *const[]){t.reference}, 1, err)
             .ok ||
        !t.store->admin->export_public(&t.session.env, t.rest, &text, err).ok)
        return FAIL;
    return write_public(text, o, &t.session, err);
}

static int run_export_public(const struct options *o)
{
    return key_target_run(export_public, o);
}

const struct verb verb_key_export_public = {
    .group = "key",
    .name = "export-public",
    .operands = "KEY",
    .least = 1,
    .most = 1,
    .summary = "write a file that seals but does not open",
    .more = "KEY is of the kind x25519, or a key pair on a token. A host that has only this file,\n"
            "as -k FILE, can seal to the key and can open nothing. Whoever has it can also make\n"
            "backups of their own that look like yours.\n",
    .run = run_export_public,
    .operand = USE_KEY,
    .rows = (const struct row *const[]){rows_output, rows_force, rows_all, NULL},
    .key_rows = (const struct row *const[]){rows_pin, NULL},
    .store_uses = STORE_MANAGES,
    .examples = "  bulla key export-public -o vault.pub ./vault.ring\n",
};
