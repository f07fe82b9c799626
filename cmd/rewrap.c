#include <inttypes.h>
#include <stdatomic.h>

#include "cmd/batch.h"
#include "cmd/common.h"
#include "cmd/terminal.h"
#include "cmd/verbs.h"
#include "libbulla/look.h"
#include "libbulla/rewrap.h"

struct run {
    const struct options *options;
    struct session session;
    struct rewrap rewrap;
    atomic_uint_fast64_t done, current, other;
};

static struct result read_options(struct run *r, const struct options *o, struct err *err)
{
    if (o->to.count > 0 && o->add.count + o->remove_keys.count > 0)
        return fail(err, ERR_USAGE, "--to does not go with --add and --remove");
    if (!common_sync(&r->session, o, err).ok)
        return FAIL;
    if (r->session.sync == SYNC_END) {
        (void)fail(err, ERR_USAGE, "rewrap cannot sync at the end of a run");
        err_hint(err, "a power cut could take both copies of an envelope; --sync is each or none");
        return FAIL;
    }
    r->rewrap.session = &r->session;
    r->rewrap.dry_run = o->dry_run;
    r->rewrap.preserve_times = o->preserve_times;
    r->session.env.token.rotating = true;
    if (!common_keys(&r->session, o, o->remove_keys.count == 0, err).ok)
        return FAIL;
    if (!common_keyset(&r->rewrap.to, &r->session.env, &o->to, err).ok ||
        !common_keyset(&r->rewrap.add, &r->session.env, &o->add, err).ok)
        return FAIL;
    if (!common_keyset(&r->rewrap.remove, &r->session.env, &o->remove_keys, err).ok)
        return FAIL;
    return rewrap_start(&r->rewrap, err);
}

static struct result each(void *arg, const struct item *item, json_t *json, struct err *err)
{
    static const char *const names[] = {[REWRAP_CURRENT] = "current",
                                        [REWRAP_OTHER] = "other",
                                        [REWRAP_DONE] = "rewrapped",
                                        [REWRAP_GREW] = "copied"};
    struct run *r = arg;
    enum rewrapped outcome;

    if (item->source == NULL)
        return fail(err, ERR_USAGE, "standard input cannot be rewrapped; name a FILE");
    if (!rewrap_file(&r->rewrap, item->source, &outcome, err).ok)
        return FAIL;
    /* In a walk a file of other keys is passed by; one that was named should have been ours. */
    if (outcome == REWRAP_OTHER && item->follow) {
        (void)fail(err, ERR_NO_KEY, "'%s': none of the given keys opens it", item->source->path);
        err_hint(err, "'bulla inspect' shows the keys it was sealed to");
        return FAIL;
    }
    atomic_fetch_add(outcome == REWRAP_CURRENT ? &r->current
                     : outcome == REWRAP_OTHER ? &r->other
                                               : &r->done,
                     1);
    if (json != NULL)
        terminal_put(json, r->options->dry_run ? "would_be" : "outcome",
                     json_string(names[outcome]));
    else if (r->options->dry_run && (outcome == REWRAP_DONE || outcome == REWRAP_GREW))
        terminal_note("would rewrap '%s'", item->source->path);
    return OK;
}

int verb_rewrap(const struct options *o)
{
    struct run r = {.options = o};
    struct batch batch = {.options = o,
                          .each = each,
                          .arg = &r,
                          .parallel = true,
                          .done = "seen",
                          .only = SEALED_SUFFIX,
                          .looks = 1u << LOOK_SEALED | 1u << LOOK_BODY | 1u << LOOK_ALONE};
    struct err err = {0};
    int status;

    if (!read_options(&r, o, &err).ok) {
        status = terminal_error(&err);
    } else {
        status = batch_run(&batch);
        terminal_note("%" PRIu64 " %s, %" PRIu64 " were current, %" PRIu64
                      " of other keys; %" PRIu64 " unwraps and %" PRIu64 " wraps by master keys",
                      (uint64_t)atomic_load(&r.done),
                      o->dry_run ? "would be rewrapped" : "rewrapped",
                      (uint64_t)atomic_load(&r.current), (uint64_t)atomic_load(&r.other),
                      r.session.cache.unwraps, r.rewrap.wraps);
    }
    common_calls(o, keyset_calls(&r.session.keys) + keyset_calls(&r.rewrap.to) +
                        keyset_calls(&r.rewrap.add) + keyset_calls(&r.rewrap.remove));
    rewrap_end(&r.rewrap);
    session_close(&r.session);
    return status;
}
