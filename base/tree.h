/* tree: a walk over all files below a directory, in the order of their names, which can build a
 * second tree like it.
 *
 * Nothing is looked up by a path twice, and no symbolic link is followed unless the visitor says
 * so. The names of one directory at a time are in memory. */
#ifndef BULLA_BASE_TREE_H
#define BULLA_BASE_TREE_H

#include "base/atomic_file.h"
#include "base/place.h"

struct tree_visitor {
    /* A regular file, or a symbolic link to one that is followed. twin is the directory of the
     * other tree that goes with the file's, open for reading, and its path; -1 and NULL if there is
     * no other tree. Both places are valid during the call only. False stops the walk. */
    bool (*file)(void *arg, const struct place *file, int twin, const char *twin_path);

    /* A directory may be made at path, in the directory twin of the other tree. If this fails, it
     * is not, and failed is told. Needed only if there is another tree, like settle. */
    struct result (*before_make)(void *arg, int twin, const char *path, struct err *err);
    bool sync;        /* each new directory is made durable */
    enum whose whose; /* new directories are */
    bool guard;       /* none is made that could be read by others who must not */

    /* A directory of another file system than root's is at path: false leaves it out. */
    bool (*enter)(void *arg, const char *path);

    /* What file began in new directories of the other tree must be done when this returns: they get
     * their times then. Called once for many of them, so that it seldom has to wait. */
    void (*settle)(void *arg);

    /* Something that is neither a file nor a directory nor a link; or a link that was to be
     * followed, but leads to such a thing or to a directory that it lies in. */
    void (*skip)(void *arg, const char *path, const char *what);

    /* Whether the symbolic link at path is followed; if not, the visitor has reported it. */
    bool (*follow)(void *arg, const char *path);

    /* A directory that could not be read, made or finished; the walk continues without it. */
    void (*failed)(void *arg, const char *path, const struct err *err);
    void *arg;
};

/* tree_walk visits all below root. With twin not NULL, a directory that exists, the same
 * directories are made below it, like those below root as fd_like has it, even if the walk was
 * stopped; twin itself is not walked. With named true what is below root goes below a directory of
 * root's name in twin. */
FALLIBLE tree_walk(const struct place *root, const struct place *twin, bool named,
                   const struct tree_visitor *visitor, struct err *err);

#endif
