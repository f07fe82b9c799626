#include "libbulla/output.h"

#include <errno.h>
#include <unistd.h>

#define OWN_RESULT "another result of this run"

/* Whether a file was put there by this run; place may be NULL. */
static bool is_own(struct session *s, const struct place *place, const struct stat *st)
{
    return session_has_written(s, st) || (place != NULL && session_has_written_name(s, place));
}

/* What an existing file is to this run, if it must not be written over; else NULL. */
static const char *input_of(const struct inputs *inputs, const struct place *place,
                            const struct stat *st)
{
    if (inputs->source != NULL && file_same(st, inputs->source))
        return "the file that is read";
    if (inputs->envelope != NULL && file_same(st, inputs->envelope))
        return "the envelope that is read";
    if ((inputs->session != NULL && keyset_lives_in(&inputs->session->keys, st)) ||
        (inputs->keys != NULL && keyset_lives_in(inputs->keys, st)))
        return "the keyring that is used";
    if (inputs->session != NULL && is_own(inputs->session, place, st))
        return OWN_RESULT;
    return NULL;
}

/* What to do about a file that is in the way. */
static void hint(const struct stat *st, bool replace, struct err *err)
{
    if (!S_ISREG(st->st_mode))
        err_hint(err, "name a new or a regular file, or - for standard output");
    else if (!replace)
        err_hint_option(err, "--force replaces it, -o names another");
}

static struct result open_outlet(struct output *o, const struct outlet *outlet,
                                 const struct inputs *inputs, struct err *err)
{
    const char *input = NULL;
    struct stat st;

    o->outlet = outlet;
    o->fd = fd_sink(outlet->fd, outlet->name);
    o->sink = outlet->sink != NULL ? outlet->sink : &o->fd.sink;
    pipe_widen(outlet->fd);
    if (fstat(outlet->fd, &st) == 0 && S_ISREG(st.st_mode))
        input = input_of(inputs, NULL, &st);
    return input == NULL ? OK : fail(err, ERR_FAILED, "%s is %s", outlet->name, input);
}

struct result output_open(struct output *o, const struct place *place, const struct outlet *outlet,
                          bool replace, const struct inputs *inputs, struct err *err)
{
    const char *input = NULL;
    struct stat st;
    bool there;

    o->session = inputs->session;
    if (place == NULL)
        return open_outlet(o, outlet, inputs, err);
    if (!place_stat(place, &st, &there, err).ok)
        return FAIL;
    if (there)
        input = input_of(inputs, place, &st);
    if (input != NULL)
        return fail(err, ERR_FAILED, "'%s' is %s", place->path, input);
    if (!atomic_file_open(&o->file, place, replace, err).ok) {
        if (there)
            hint(&st, replace, err);
        return FAIL;
    }
    o->fd = new_file_sink(o->file.fd, place->path, o->file.in_order);
    o->sink = &o->fd.sink;
    return o->session == NULL ? OK : session_will_write(o->session, place->dir, place->path, err);
}

/* Pipes, terminals and the like cannot be synced, and say so by these. */
static struct result sync_outlet(const struct output *o, struct err *err)
{
    if (o->outlet->commit != NULL)
        return o->outlet->commit(o->outlet->commit_arg, err);
    bool wanted = o->outlet->fd >= 0 && (o->session == NULL || o->session->sync != SYNC_NONE);

    if (wanted && fsync(o->outlet->fd) != 0 && errno != EINVAL && errno != EROFS &&
        errno != ENOTSUP)
        return fail_errno(err, "cannot sync %s", o->outlet->name);
    return OK;
}

/* Another thread may have put a result of this run there since the output was opened. */
static struct result put_over(struct output *o, struct err *err)
{
    struct stat st;
    bool there;

    if (!place_stat(o->file.place, &st, &there, err).ok)
        return FAIL;
    if (there && is_own(o->session, o->file.place, &st))
        return fail(err, ERR_FAILED, "'%s' is " OWN_RESULT, o->fd.name);
    if (fstat(o->file.fd, &st) != 0)
        return fail_errno(err, "cannot look at '%s'", o->fd.name);
    if (!session_wrote(o->session, &st, err).ok ||
        !session_wrote_name(o->session, o->file.place, err).ok)
        return FAIL;
    return atomic_file_put(&o->file, err);
}

/* One thread at a time, so that no other puts its result there between the look and the renaming.
 */
static struct result put_in_turn(struct output *o, struct err *err)
{
    pthread_mutex_lock(&o->session->turn);
    struct result r = put_over(o, err);
    pthread_mutex_unlock(&o->session->turn);
    return r;
}

static const struct stat *regular(const struct stat *like)
{
    return like != NULL && S_ISREG(like->st_mode) ? like : NULL;
}

struct result output_guard(const struct output *o, const struct stat *like, enum whose whose,
                           struct err *err)
{
    if (!o->file.open || atomic_file_guard(&o->file, regular(like), whose, err).ok)
        return OK;
    return fail_hint_option(
        err, "mount it so that its files are yours alone, as with umask=077, or accept this with "
             "--allow-wider");
}

struct result output_commit(struct output *o, const struct stat *like, enum whose whose,
                            struct err *err)
{
    if (o->outlet != NULL)
        return sync_outlet(o, err);
    if (regular(like) != NULL ? !atomic_file_like(&o->file, like, whose, err).ok
                              : !atomic_file_public(&o->file, err).ok)
        return FAIL;
    /* The old file goes only when the new one would survive a power cut. */
    bool sync =
        o->session == NULL || o->file.there || session_syncs_each(o->session, o->file.place->dir);
    if (sync && !atomic_file_sync(&o->file, err).ok)
        return FAIL;
    /* Only a run with --force can replace its own results. */
    bool own = o->session != NULL && o->file.replace;
    if (own ? !put_in_turn(o, err).ok : !atomic_file_put(&o->file, err).ok)
        return FAIL;
    return atomic_file_end(&o->file, sync, err);
}

void output_close(struct output *o)
{
    atomic_file_discard(&o->file);
}
