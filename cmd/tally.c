#include "cmd/tally.h"

#include <string.h>

#include "base/stream.h"
#include "cmd/terminal.h"

#define UNSEEN_NAMED 5 /* of those that were not looked at, how many are named */

json_t *tally_report(const char *file)
{
    json_t *report = json_object();

    terminal_put(report, "file", terminal_text(file, strlen(file)));
    return report;
}

/* Counts one, and gives the new count. */
static size_t count(struct tally *a, size_t *what)
{
    pthread_mutex_lock(&a->lock);
    size_t counted = ++*what;
    pthread_mutex_unlock(&a->lock);
    return counted;
}

static void finish_report(json_t *report, const struct err *err)
{
    terminal_put(report, "status", json_integer(err->class));
    if (err->class != ERR_NONE)
        terminal_put(report, "error", terminal_text(err->text, strlen(err->text)));
    terminal_json(report);
}

void tally_done(struct tally *a, json_t *report)
{
    (void)count(a, &a->done);
    if (report != NULL)
        finish_report(report, &(struct err){0});
}

void tally_failed(struct tally *a, json_t *report, const struct err *err)
{
    int status = terminal_error(err);

    pthread_mutex_lock(&a->lock);
    a->failed++;
    a->status = status;
    pthread_mutex_unlock(&a->lock);
    if (report != NULL)
        finish_report(report, err);
}

void tally_plain(struct tally *a)
{
    (void)count(a, &a->plain);
}

static void report_skipped(const struct tally *a, const char *path, const char *why, int status)
{
    if (!a->json)
        return;
    json_t *report = tally_report(path);
    terminal_put(report, "skipped", json_string(why));
    if (status != ERR_NONE)
        terminal_put(report, "status", json_integer(status));
    terminal_json(report);
}

void tally_skipped(struct tally *a, const char *path, const char *why)
{
    (void)count(a, &a->skipped);
    if (why == NULL)
        return;
    terminal_note("skipped '%s': %s", path, why);
    report_skipped(a, path, why, ERR_NONE);
}

void tally_unseen(struct tally *a, const char *path, const char *why)
{
    struct err err;

    if (count(a, &a->unseen) <= UNSEEN_NAMED) {
        (void)fail(&err, ERR_PARTIAL, "'%s' was not looked at: %s", path, why);
        terminal_error(&err);
    }
    report_skipped(a, path, why, ERR_PARTIAL);
}

void tally_entered(struct tally *a)
{
    (void)count(a, &a->entered);
}

static void tell_entered(const struct tally *a)
{
    if (a->entered > 0)
        terminal_note("%zu other file system%s entered; --one-file-system stays out", a->entered,
                      a->entered == 1 ? " was" : "s were");
}

/* The number of what was not looked at, which --quiet does not drop. */
static void tell_unseen(const struct tally *a)
{
    struct err err;

    if (a->unseen == 0)
        return;
    (void)fail(&err, ERR_PARTIAL, "%zu not looked at, of which nothing is known%s", a->unseen,
               a->unseen > UNSEEN_NAMED ? "; the first are named above" : "");
    terminal_error(&err);
}

int tally_end(const struct tally *a)
{
    if (!a->looks && (a->many || a->failed + a->done > 1))
        terminal_note("%zu %s, %zu skipped, %zu failed", a->done, a->done_word, a->skipped,
                      a->failed);
    else if (a->many || a->failed + a->done > 1)
        terminal_note("%zu %s, %zu not sealed, %zu skipped, %zu failed", a->done, a->done_word,
                      a->plain, a->skipped, a->failed);
    tell_entered(a);
    tell_unseen(a);
    if (stream_interrupted())
        return ERR_INTERRUPTED;
    if (a->failed + a->unseen == 0)
        return ERR_NONE;
    return a->many ? ERR_PARTIAL : a->status;
}
