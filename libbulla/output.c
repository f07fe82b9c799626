#include "libbulla/output.h"

#include <errno.h>
#include <unistd.h>

struct result output_open(struct output *o, const struct place *place, bool replace,
                          const struct stat *source, struct err *err)
{
    struct stat st;
    bool there;

    if (place == NULL) {
        o->fd = fd_sink(STDOUT_FILENO, "standard output");
        if (fstat(STDOUT_FILENO, &st) == 0 && S_ISREG(st.st_mode) && file_same(&st, source))
            return fail(err, ERR_FAILED, "standard output is the file that is read");
        return OK;
    }
    if (!place_stat(place, &st, &there, err).ok)
        return FAIL;
    if (there && file_same(&st, source))
        return fail(err, ERR_FAILED, "'%s' is the file that is read", place->path);
    if (!atomic_file_open(&o->file, place, replace, err).ok)
        return FAIL;
    o->fd = fd_sink(o->file.fd, place->path);
    return OK;
}

struct result output_commit(struct output *o, const struct stat *like, struct err *err)
{
    if (!o->file.open) {
        /* Pipes, terminals and the like cannot be synced, and say so by these. */
        if (fsync(STDOUT_FILENO) != 0 && errno != EINVAL && errno != EROFS && errno != ENOTSUP)
            return fail_errno(err, "cannot sync standard output");
        return OK;
    }
    bool regular = like != NULL && S_ISREG(like->st_mode);
    if (regular ? !atomic_file_like(&o->file, like, err).ok : !atomic_file_public(&o->file, err).ok)
        return FAIL;
    return atomic_file_commit(&o->file, err);
}

void output_close(struct output *o)
{
    atomic_file_discard(&o->file);
}
