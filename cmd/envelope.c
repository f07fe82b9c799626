#include <unistd.h>

#include "cmd/named_keys.h"
#include "cmd/named_place.h"
#include "cmd/object_outlet.h"
#include "cmd/object_rows.h"
#include "cmd/outcome.h"
#include "cmd/shared_rows.h"
#include "cmd/standard_streams.h"
#include "cmd/terminal.h"
#include "cmd/verbs.h"
#include "libbulla/envelope_copy.h"

/* The place of the new envelope: given, or FILE.env. */
static struct result export_place(struct named_place *out, const struct named_place *file,
                                  const struct options *o, struct err *err)
{
    return o->output != NULL
               ? named_place_open_new(out, o->output, o, err)
               : named_place_beside(out, file, ENVELOPE_SUFFIX, "-o names another output", err);
}

static struct result export_object(struct sealed *f, const struct object *out, bool replace,
                                   struct err *err)
{
    struct object_outlet outlet OBJECT_OUTLET_CLEANUP = {0};

    return object_outlet_open(&outlet, out, replace, NULL, err).ok
               ? envelope_copy_export(f, NULL, &outlet.outlet, replace, err)
               : FAIL;
}

static struct result export(const struct options *o, struct err *err)
{
    struct crypto *crypto CRYPTO_CLEANUP = NULL; /* no key is opened, but objects are written */
    struct named_place file NAMED_PLACE_CLEANUP = {0}, given NAMED_PLACE_CLEANUP = {0};
    struct named_place out NAMED_PLACE_CLEANUP = {0};
    struct sealed f SEALED_CLEANUP = {0};
    struct session no_keys = {.env.warn = terminal_warn};
    const struct outlet outlet = standard_output();
    bool to_stdout = o->output != NULL && standard_named(o->output);

    if (to_stdout && isatty(standard_output_fd()))
        return fail(err, ERR_USAGE, "an envelope is not written to a terminal");
    if (!crypto_new(&crypto, err).ok || !named_place_open(&file, o->operands.items[0], o, err).ok)
        return FAIL;
    file.env.crypto = crypto;
    struct sealed_place from = named_place_sealed(&file);
    if (!named_place_envelope(&given, &from, o, err).ok ||
        (!to_stdout && !export_place(&out, &file, o, err).ok) ||
        !sealed_open(&f, &no_keys, &from, err).ok)
        return FAIL;
    out.env.crypto = crypto;
    if (out.object.key != NULL)
        return export_object(&f, &out.object, o->force, err);
    return envelope_copy_export(&f, to_stdout ? NULL : &out.place, &outlet, o->force, err);
}

/* And that of one which was made before. */
static struct result export_of(struct named_place *from, const struct named_place *file,
                               const struct options *o, struct err *err)
{
    return o->envelope != NULL ? named_place_open(from, o->envelope, o, err)
                               : named_place_beside(from, file, ENVELOPE_SUFFIX,
                                                    "--envelope names the exported envelope", err);
}

static struct result restore(const struct options *o, struct err *err)
{
    struct session s SESSION_CLEANUP = {0};
    struct named_place file NAMED_PLACE_CLEANUP = {0}, from NAMED_PLACE_CLEANUP = {0};

    if (!named_place_open(&file, o->operands.items[0], o, err).ok ||
        !export_of(&from, &file, o, err).ok || !named_keys_open(&s, o, false, err).ok)
        return FAIL;
    file.env.crypto = s.crypto;
    const struct sealed_place body = named_place_sealed(&file),
                              envelope = named_place_sealed(&from);
    return envelope_copy_restore(&s, &body, &envelope, o->force, err);
}

static int run_export(const struct options *o)
{
    return outcome_run(export, o);
}

const struct verb verb_envelope_export = {
    .group = "envelope",
    .name = "export",
    .operands = "FILE",
    .least = 1,
    .most = 1,
    .summary = "copy the envelope of a sealed file",
    .more =
        "Writes FILE.env. With it and a master key, FILE opens even if the envelope in FILE is\n"
        "destroyed.\n",
    .run = run_export,
    .operand = USE_BESIDE,
    .gives = true,
    .rows = (const struct row *const[]){rows_output, rows_envelope, rows_force, rows_conditions,
                                        rows_objects, rows_all, NULL},
    .examples = "  bulla envelope export backup.tar.bulla\n",
};

static int run_restore(const struct options *o)
{
    return outcome_run(restore, o);
}

static const struct row restore_rows[] = {
    {"force", 0, NULL, FLAG, FIELD(force), "put in an older envelope"},
    {0},
};

const struct verb verb_envelope_restore = {
    .group = "envelope",
    .name = "restore",
    .operands = "FILE",
    .least = 1,
    .most = 1,
    .summary = "put an exported envelope back into its file",
    .more = "Takes FILE.env, or what --envelope names. If FILE has no whole envelope any more,\n"
            "a key must prove that the two belong together.\n",
    .run = run_restore,
    .operand = USE_CHANGE,
    .fallback = FALLBACK_OPEN,
    .gives = true,
    .rows = (const struct row *const[]){rows_key, rows_envelope, restore_rows, rows_conditions,
                                        rows_objects, rows_all, NULL},
    .key_rows = (const struct row *const[]){rows_passphrase, rows_pin, NULL},
    .store_uses = STORE_OPENS,
    .examples = "  bulla envelope restore backup.tar.bulla\n",
};
