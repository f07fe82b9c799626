#include "libbulla/reencrypt.h"

#include <stdatomic.h>

#include "base/text.h"
#include "cmd/batch.h"
#include "cmd/named_keys.h"
#include "cmd/object_rows.h"
#include "cmd/outcome.h"
#include "cmd/shared_rows.h"
#include "cmd/terminal.h"
#include "cmd/verbs.h"
#include "libbulla/recognize.h"

struct run {
    struct session from, to;
    bool other_keys;           /* --to was given */
    struct options to_options; /* with the keys of --to as keys */
    struct reencrypt_options options;
    atomic_uint_fast64_t versioned, replicated; /* objects of which the old ones stay somewhere */
};

static struct result read_options(struct run *r, const struct options *o, struct err *err)
{
    r->options.suite = (enum suite)o->suite;
    r->options.generation = o->generation;
    r->other_keys = o->to.count > 0;
    r->options.any_keys = r->other_keys;
    r->to_options = *o;
    r->to_options.keys = o->to;
    if (!named_keys_open(&r->from, o, true, err).ok)
        return FAIL;
    r->to.crew = r->from.crew; /* the threads are those of the run */
    /* Without --to, a file must not lose a key that an alias only seems to mean. */
    if (r->other_keys ? !named_keys_open(&r->to, &r->to_options, true, err).ok
                      : !keyset_locate(&r->from.keys, false, err).ok)
        return FAIL;
    struct session *to = r->other_keys ? &r->to : &r->from;
    session_replaces(to, &to->keys);
    return OK;
}

static struct result each(void *arg, const struct item *item, json_t *json, struct err *err)
{
    struct run *r = arg;
    struct sealed_place at = {.body = item->source};
    struct seal_report report = {0};
    char id[2 * CORE_ID_SIZE + 1];

    struct session *to = r->other_keys ? &r->to : &r->from;

    if (item->name == NULL)
        return fail(err, ERR_USAGE, "standard input cannot be replaced; name a FILE");
    if (!(item->object != NULL
              ? reencrypt_object(&r->from, to, &r->options, item->object, &report, err)
              : reencrypt_file(&r->from, to, &r->options, &at, &report, err))
             .ok)
        return FAIL;
    atomic_fetch_add(&r->versioned, report.versioned);
    atomic_fetch_add(&r->replicated, report.replicated);
    if (json != NULL && report.waits) {
        terminal_put(json, "outcome", json_string("waits"));
    } else if (json != NULL) {
        terminal_put(json, "file_id", json_string(text_hex(id, report.file_id, CORE_ID_SIZE)));
        terminal_put(json, "bytes", json_integer((json_int_t)report.plain_size));
    }
    return OK;
}

static int reencrypt(const struct options *o)
{
    struct run r = {0};
    struct batch batch = {.options = o,
                          .each = each,
                          .arg = &r,
                          .parallel = true,
                          .objects_at_once = OBJECTS_AT_ONCE,
                          .done = "reencrypted",
                          .only = SEALED_SUFFIX,
                          .looks = 1u << RECOGNIZED_SEALED | 1u << RECOGNIZED_BODY,
                          .takes_objects = true};
    struct err err = {0};
    int status;

    if (read_options(&r, o, &err).ok) {
        batch.crypto = r.from.crypto;
        status = batch_run(&batch);
    } else {
        status = terminal_error(&err);
    }

    if (outcome_left(&r.from, o) > 0 && status == ERR_NONE)
        status = ERR_PARTIAL;

    outcome_stays(atomic_load(&r.versioned), atomic_load(&r.replicated));
    outcome_calls(o, keyset_calls(&r.to.keys) + keyset_calls(&r.from.keys));
    session_close(&r.to);
    session_close(&r.from);
    return status;
}

const struct verb verb_reencrypt = {
    .name = "reencrypt",
    .operands = "[FILE...]",
    .most = ANY_NUMBER,
    .summary = "give sealed files a new data key and a new body",
    .more = "What a leaked data key needs. Sealed to the keys of --to, or else to those given\n"
            "with -k. Name and context stay; the generation stays or is raised. The old file\n"
            "goes when the new one is durable and was read back.\n",
    .run = reencrypt,
    .operand = USE_REPLACE,
    .fallback = FALLBACK_KEEP,
    .gives = true,
    .rows = (const struct row *const[]){rows_key, rows_to, rows_generation, rows_suite, rows_batch,
                                        rows_json, rows_one_file_system, rows_follow,
                                        rows_conditions, rows_objects, rows_jobs, rows_all, NULL},
    .key_rows = (const struct row *const[]){rows_passphrase, rows_new_passphrase, rows_pin, NULL},
    .store_uses = STORE_OPENS | STORE_SEALS,
    .examples =
        "  bulla reencrypt -k ./backup.ring --to ./backup.ring --to ./offsite.ring backup.tar.bulla\n",
};
