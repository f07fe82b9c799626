#include "cmd/outcome.h"

#include <inttypes.h>
#include <string.h>

#include "base/stream.h"
#include "cmd/terminal.h"

int outcome_run(struct result (*run)(const struct options *o, struct err *err),
                const struct options *o)
{
    struct err err = {0};

    return err_checked(run(o, &err), &err).ok ? ERR_NONE : terminal_error(&err);
}

int outcome_status(size_t count, int failed)
{
    return stream_interrupted() ? ERR_INTERRUPTED : count > 1 ? ERR_PARTIAL : failed;
}

/* struct left: what outcome_left counts. */
struct left {
    const struct options *options;
    uint64_t count;
};

static void tell_left(void *arg, const char *path, size_t wanted, size_t found)
{
    struct left *left = arg;
    struct err err = {0};

    left->count++;
    (void)fail(
        &err, ERR_PARTIAL,
        "'%s' was left as it is: it has %zu names (hard links), and this run found %zu of them",
        path, wanted, found);
    err_hint(
        &err,
        "give all its names in one run, for example by --recursive on a directory that has them");
    (void)terminal_error(&err);
    if (left->options->json)
        terminal_json(json_pack("{s:o, s:s, s:i}", "file", terminal_text(path, strlen(path)),
                                "outcome", "left", "status", ERR_PARTIAL));
}

uint64_t outcome_left(const struct session *s, const struct options *o)
{
    struct left left = {.options = o};

    hard_links_left(&s->links, tell_left, &left);
    return left.count;
}

void outcome_stays(uint64_t versioned, uint64_t replicated)
{
    if (versioned > 0)
        terminal_note("the bucket keeps the old versions of %" PRIu64
                      " of them, which still open with the old keys",
                      versioned);
    if (replicated > 0)
        terminal_note("other buckets have replicas of %" PRIu64
                      " of them, which were not looked at, and open with the old keys until they "
                      "are replaced",
                      replicated);
}

int outcome_finish(const struct session *s, int status)
{
    struct err err = {0};

    return session_sync(s, &err).ok ? status : terminal_error(&err);
}

void outcome_calls(const struct options *o, uint64_t calls)
{
    if (o->json && calls > 0)
        terminal_json(json_pack("{s:I}", "key_calls", (json_int_t)calls));
}
