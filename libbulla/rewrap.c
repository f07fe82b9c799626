#include "libbulla/rewrap.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "libbulla/in_place.h"
#include "libbulla/replace_file.h"
#include "libbulla/rewrap_plan.h"

/* struct job: one file being rewrapped, by one thread. */
struct job {
    struct rewrap *rewrap;
    struct sealed sealed;
    struct plan plan;
    const struct place *place;     /* what is written: the file, or the envelope beside it */
    struct stat st;                /* of that */
    int fd;                        /* of that too, open for writing and locked; -1 before */
    struct hard_link_group *links; /* all its names, if it has several and is replaced whole */
    struct claim claim;            /* until the lock is gone */
};

static void job_end(struct job *j)
{
    fd_close(&j->fd);
    hard_link_group_drop(&j->links);
    rewrap_plan_end(&j->plan);
    sealed_close(&j->sealed);
    claim_drop(&j->claim);
}

static bool is_whole(const struct sealed *f)
{
    return f->health.copy[0] == COPY_GOOD && f->health.copy[1] == COPY_GOOD;
}

static bool has_work(const struct job *j)
{
    return !j->plan.other && (j->plan.changed || !is_whole(&j->sealed));
}

/* Reads the file and plans. This is done again under the lock of the file, because what was read
 * without the lock may be old by then. */
static struct result look(struct job *j, const struct sealed_place *from,
                          const struct session *warned, struct err *err)
{
    struct session *s = j->rewrap->session;

    rewrap_plan_end(&j->plan);
    sealed_close(&j->sealed);
    if (!sealed_open(&j->sealed, warned, from, err).ok)
        return FAIL;
    j->place = j->sealed.separate ? &j->sealed.beside : from->body;
    j->st = j->sealed.separate ? j->sealed.envelope_st : j->sealed.st;
    if (!in_place_check(&j->sealed.health, j->place->path, err).ok)
        return FAIL;
    pthread_mutex_lock(&s->lock);
    struct result planned = rewrap_plan_make(&j->plan, j->rewrap, &j->sealed, err);
    pthread_mutex_unlock(&s->lock);
    if (!planned.ok)
        err_file(err, j->sealed.source.name);
    else if (j->plan.opened.data_key.size > 0 && !j->plan.opened.tag_fits)
        session_warn(
            warned,
            "'%s': its slots were changed by somebody who does not have its branch key: it "
            "gets new ones, but not for a key whose slot was dropped",
            j->sealed.source.name);
    return planned;
}

/* A new file in the place of the old one and of all its names. */
static struct result replace(struct job *j, const struct envelope *e, struct err *err)
{
    uint64_t body_at = j->sealed.separate ? REPLACE_NO_BODY : envelope_size(&j->sealed.envelope);

    if (!replace_file(j->place, &j->st, e, body_at, j->rewrap->preserve_times, err).ok)
        return FAIL;
    return j->links == NULL ? OK : hard_link_group_move(j->links, j->place, err);
}

/* Whether the copies are written in place. Not in a small file: one sector may hold both. */
static bool in_place(const struct job *j, const struct envelope *e)
{
    return !j->sealed.separate && j->sealed.envelope.exponent >= REGION_EXPONENT_USUAL &&
           e->exponent == j->sealed.envelope.exponent && e->sequence > 1;
}

/* The envelope as it is written: region and sequence number. A number at its maximum means a new
 * file, from 1. */
static struct result ready_envelope(const struct job *j, struct envelope *e, struct err *err)
{
    const struct envelope *now = &j->sealed.envelope;
    uint64_t body = (uint64_t)j->sealed.st.st_size - envelope_size(now);
    bool small = !j->sealed.separate && now->exponent < REGION_EXPONENT_USUAL;

    *e = j->plan.envelope;
    e->exponent = small && body < SMALL_BODY_MAX ? REGION_EXPONENT_MIN
                  : small                        ? REGION_EXPONENT_USUAL
                                                 : now->exponent;
    e->sequence = now->sequence == SEQUENCE_MAX ? 1 : now->sequence + 1;
    return envelope_fit(e, err);
}

/* A file that cannot be changed in place is replaced, unless it has other names, which would keep
 * the old file. */
static struct result copy_instead(struct job *j, const struct envelope *e,
                                  struct rewrap_report *report, struct err *err)
{
    const char *path = j->place->path;

    if (j->st.st_nlink > 1) {
        (void)fail(err, ERR_FAILED,
                   "'%s' has several names, and its file system cannot change a part of a file",
                   path);
        return fail_hint(err, "copy it, and rewrap the copy");
    }
    session_warn(j->rewrap->session,
                 "'%s': its file system cannot change a part of a file: all of it is copied", path);
    report->outcome = REWRAP_GREW;
    return replace(j, e, err);
}

static struct result put(struct job *j, const struct envelope *e, struct rewrap_report *report,
                         struct err *err)
{
    const struct rewrap *r = j->rewrap;
    struct timespec times[2] = {j->st.st_atim, j->st.st_mtim};
    unsigned before = j->sealed.envelope.exponent;

    if (!in_place(j, e)) {
        if (e->exponent > before && before >= REGION_EXPONENT_USUAL && !j->sealed.separate) {
            session_warn(r->session,
                         "'%s': its envelope needs %u bytes a copy now: the file is copied",
                         j->place->path, 1u << e->exponent);
            report->outcome = REWRAP_GREW;
        }
        return replace(j, e, err);
    }
    const struct in_place in = {j->fd, j->place->path, !j->sealed.health.used,
                                r->session->sync == SYNC_EACH};
    bool unable;
    if (!in_place_write(&in, e, &unable, err).ok)
        return FAIL;
    if (unable)
        return copy_instead(j, e, report, err);
    if (r->preserve_times && futimens(j->fd, times) != 0)
        return fail_errno(err, "the envelope of '%s' was written, but its times cannot be set",
                          j->place->path);
    return OK;
}

/* Opens the file for writing, locks it, and looks again. */
static struct result take(struct job *j, const struct sealed_place *from, struct err *err)
{
    bool separate = j->sealed.separate;
    struct session silent = {0};
    struct stat st;

    if (!in_place_open(j->place, &j->fd, &st, err).ok || !look(j, from, &silent, err).ok)
        return FAIL;
    if (separate != j->sealed.separate)
        return fail(err, ERR_FAILED, "'%s' changed while it was looked at", from->body->path);
    /* The envelope of one file must not get into another. */
    if (!file_same(&st, &j->st))
        return fail(err, ERR_FAILED, "'%s' was replaced by another program", j->place->path);
    return OK;
}

struct result rewrap_still_active(const struct rewrap *r, struct err *err)
{
    const struct keyset *sets[] = {&r->session->keys, &r->to, &r->add};
    struct result done = OK;

    pthread_mutex_lock(&r->session->lock);
    for (size_t i = 0; i < 3 && done.ok; i++)
        done = keyset_still_active(sets[i], err);
    pthread_mutex_unlock(&r->session->lock);
    return done;
}

/* An exported envelope, which has no body. */
static bool is_exported(const struct job *j)
{
    const struct sealed *f = &j->sealed;

    return !f->separate && (uint64_t)f->st.st_size == envelope_size(&f->envelope) &&
           text_ends_with(j->place->name, ENVELOPE_SUFFIX);
}

/* Makes sure that the keys open this body, and not only this envelope. */
static struct result check_body(struct job *j, struct err *err)
{
    return j->plan.opened.data_key.size == 0 || is_exported(j)
               ? OK
               : sealed_check_body(&j->sealed, j->rewrap->session, &j->plan.opened.data_key, err);
}

/* Does the rewrap, unless other names of the file are still to come or it is a dry run. */
static struct result write_out(struct job *j, const struct sealed_place *from,
                               struct rewrap_report *report, struct err *err)
{
    struct envelope e;
    bool waits = false;

    if (!ready_envelope(j, &e, err).ok ||
        (!in_place(j, &e) &&
         !session_find_names(j->rewrap->session, &j->st, j->place, &j->links, &waits, err).ok))
        return FAIL;
    report->outcome = waits ? REWRAP_WAITS : REWRAP_DONE;
    if (waits || j->rewrap->dry_run)
        return OK;
    if (!take(j, from, err).ok)
        return FAIL;
    if (!has_work(j)) {
        report->outcome = REWRAP_CURRENT;
        return OK;
    }
    return check_body(j, err).ok && rewrap_still_active(j->rewrap, err).ok &&
                   ready_envelope(j, &e, err).ok
               ? put(j, &e, report, err)
               : FAIL;
}

/* It still takes the keys that the file had. */
static enum export look_at_export(const struct job *j, const struct place *file)
{
    struct place beside PLACE_CLEANUP = {0};
    const struct sealed_place from = {.body = &beside, .alone = true};
    struct stat st;
    struct err err;
    bool there;

    if (!place_beside(&beside, file, ENVELOPE_SUFFIX, &err).ok)
        return EXPORT_UNREAD;
    if (!place_fits(&beside, &err).ok) /* nothing can have so long a name */
        return EXPORT_NONE;
    if (!place_stat(&beside, &st, &there, &err).ok)
        return EXPORT_UNREAD;
    return there && S_ISREG(st.st_mode) ? rewrap_plan_export(j->rewrap, &from, &j->sealed)
                                        : EXPORT_NONE;
}

/* Another thread may work on the same file: it goes first, and may replace the file. */
static struct result in_turn(struct job *j, const struct sealed_place *from,
                             struct rewrap_report *report, struct err *err)
{
    struct session silent = {0};
    struct stat now;
    bool there;

    session_claim(j->rewrap->session, &j->claim, &j->st);
    if (!place_stat(j->place, &now, &there, err).ok)
        return FAIL;
    if (there && !file_same(&now, &j->st) && !look(j, from, &silent, err).ok)
        return FAIL;
    return has_work(j) ? write_out(j, from, report, err) : OK;
}

struct result rewrap_file(struct rewrap *r, const struct place *file, struct rewrap_report *report,
                          struct err *err)
{
    const struct sealed_place from = {.body = file};
    struct job j __attribute__((cleanup(job_end))) = {.rewrap = r, .fd = -1};

    *report = (struct rewrap_report){0};
    if (!look(&j, &from, r->session, err).ok)
        return FAIL;
    report->outcome = j.plan.other ? REWRAP_OTHER : REWRAP_CURRENT;
    if (has_work(&j) && !in_turn(&j, &from, report, err).ok)
        return FAIL;
    report->stayed =
        (report->outcome == REWRAP_DONE || report->outcome == REWRAP_GREW) && j.plan.stays;
    if (!j.plan.other && !j.sealed.separate)
        report->exported = look_at_export(&j, file);
    return OK;
}

uint64_t rewrap_wraps(const struct rewrap *r)
{
    return r->wraps + r->session->branches.wraps;
}

/* A new key that does not tell what it is is used once to find out. */
static struct result locate_new(const struct keyset *set, struct err *err)
{
    for (size_t i = 0; i < set->count; i++) {
        const struct keyset one = {&set->keys[i], 1};
        struct err why = {0};
        if (!keyset_locate(&one, true, &why).ok && why.class != ERR_POLICY) {
            *err = why;
            return FAIL;
        }
    }
    return OK;
}

/* To remove a key it must be known which one it is, and to refresh, which version is current. */
struct result rewrap_start(struct rewrap *r, struct err *err)
{
    r->scratch = malloc(SLOTS_MAX * sizeof *r->scratch);
    if (r->scratch == NULL)
        return fail_memory(err);
    session_replaces(r->session, &r->to);
    session_replaces(r->session, &r->add);
    if (r->to.count + r->add.count + r->remove.count == 0)
        return keyset_locate(&r->session->keys, true, err);
    if (!locate_new(&r->to, err).ok || !locate_new(&r->add, err).ok)
        return FAIL;
    return keyset_locate(&r->remove, false, err);
}

void rewrap_end(struct rewrap *r)
{
    keyset_close(&r->to);
    keyset_close(&r->add);
    keyset_close(&r->remove);
    slot_table_free(&r->made);
    free(r->scratch);
    *r = (struct rewrap){0};
}
