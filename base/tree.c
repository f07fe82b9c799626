#include "base/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/atomic_file.h"

#define DEPTH_MAX 256     /* directories: each holds two descriptors */
#define UNFINISHED_MAX 64 /* directories: each holds one */

/* struct unfinished: a new directory of the other tree that was walked. */
struct unfinished {
    int twin;
    char *path, *twin_path;
    struct stat like; /* of the directory at path */
};

struct walk {
    const struct tree_visitor *visitor;
    struct stat twin_root; /* not to be walked */
    bool has_twin, stopped;

    /* Finished many at once, as they wait for their files; children stand before their parents. */
    struct unfinished unfinished[UNFINISHED_MAX];
    size_t unfinished_count;
};

/* struct pair: a directory and its twin (-1 if none), with their paths. */
struct pair {
    int dir, twin;
    const char *path, *twin_path;
};

struct names {
    char **list;
    size_t count, room;
};

static void names_free(struct names *n)
{
    for (size_t i = 0; i < n->count; i++)
        free(n->list[i]);
    free(n->list);
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static struct result names_add(struct names *n, const char *name, struct err *err)
{
    if (n->count == n->room) {
        size_t room = n->room == 0 ? 64 : 2 * n->room;
        char **grown = reallocarray(n->list, room, sizeof *grown);
        if (grown == NULL)
            return fail(err, ERR_FAILED, "out of memory");
        n->list = grown;
        n->room = room;
    }
    n->list[n->count] = strdup(name);
    if (n->list[n->count] == NULL)
        return fail(err, ERR_FAILED, "out of memory");
    n->count++;
    return OK;
}

static struct result read_stream(struct names *n, DIR *stream, const char *path, struct err *err)
{
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(stream);
        if (entry == NULL && errno != 0)
            return fail_errno(err, "cannot read directory '%s'", path);
        if (entry == NULL)
            return OK;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (!names_add(n, entry->d_name, err).ok)
            return FAIL;
    }
}

static struct result read_names(struct names *n, int dir, const char *path, struct err *err)
{
    int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = fd < 0 ? NULL : fdopendir(fd);

    if (stream == NULL) {
        (void)fail_errno(err, "cannot read directory '%s'", path);
        fd_close(&fd);
        return FAIL;
    }
    struct result r = read_stream(n, stream, path, err);
    closedir(stream);
    if (r.ok && n->count > 0)
        qsort(n->list, n->count, sizeof *n->list, by_bytes);
    return r;
}

static void walk_below(struct walk *w, const struct pair *here, unsigned depth);

/* Opens the twin of a directory, making it if it is not there. */
static struct result open_twin(const struct walk *w, const struct pair *here, const char *name,
                               const char *path, int *twin, bool *made, struct err *err)
{
    const struct tree_visitor *v = w->visitor;

    if (!v->before_make(v->arg, here->twin, path, err).ok)
        return FAIL;
    *made = mkdirat(here->twin, name, 0700) == 0;
    if (!*made && errno != EEXIST)
        return fail_errno(err, "cannot make directory '%s'", path);
    if (*made && v->sync && fsync(here->twin) != 0)
        return fail_errno(err, "cannot sync the folder of '%s'", path);
    *twin = openat(here->twin, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (*twin < 0)
        return fail_errno(err, "cannot open directory '%s'", path);
    return OK;
}

static void finish(const struct tree_visitor *v, struct unfinished *u)
{
    struct err err = {0};

    if (fd_like(u->twin, &u->like, v->whose) != 0 || (v->sync && fsync(u->twin) != 0)) {
        (void)fail_errno(&err, "cannot finish directory '%s'", u->twin_path);
        v->failed(v->arg, u->path, &err);
    }
    fd_close(&u->twin);
    string_free(&u->path);
    string_free(&u->twin_path);
}

static void finish_all(struct walk *w)
{
    if (w->unfinished_count == 0)
        return;
    w->visitor->settle(w->visitor->arg);
    for (size_t i = 0; i < w->unfinished_count; i++)
        finish(w->visitor, &w->unfinished[i]);
    w->unfinished_count = 0;
}

/* Takes over *twin, which is -1 then. */
static struct result finish_later(struct walk *w, int *twin, const char *path,
                                  const char *twin_path, const struct stat *like, struct err *err)
{
    char *own STRING_CLEANUP = strdup(path), *twin_own STRING_CLEANUP = strdup(twin_path);

    if (own == NULL || twin_own == NULL)
        return fail(err, ERR_FAILED, "out of memory");
    if (w->unfinished_count == UNFINISHED_MAX)
        finish_all(w);
    w->unfinished[w->unfinished_count++] = (struct unfinished){*twin, own, twin_own, *like};
    *twin = -1;
    own = twin_own = NULL;
    return OK;
}

static struct result walk_directory(struct walk *w, const struct pair *here, const char *name,
                                    const char *path, const char *twin_path, unsigned depth,
                                    struct err *err)
{
    int dir FD_CLEANUP = openat(here->dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int twin FD_CLEANUP = -1;
    bool made = false;
    struct stat st;

    if (dir < 0 || fstat(dir, &st) != 0)
        return fail_errno(err, "cannot open directory '%s'", path);
    if (w->has_twin && file_same(&st, &w->twin_root))
        return OK;
    if (depth == DEPTH_MAX)
        return fail(err, ERR_FAILED, "directory '%s' is more than %d deep", path, DEPTH_MAX);
    if (here->twin >= 0 && !open_twin(w, here, name, twin_path, &twin, &made, err).ok)
        return FAIL;
    walk_below(w, &(struct pair){dir, twin, path, twin_path}, depth + 1);
    return made ? finish_later(w, &twin, path, twin_path, &st, err) : OK;
}

static void visit_file(struct walk *w, const struct pair *here, const char *name, const char *path)
{
    struct place file PLACE_CLEANUP = {0};
    struct err err = {0};

    if (!place_in(&file, here->dir, name, path, &err).ok)
        w->visitor->failed(w->visitor->arg, path, &err);
    else if (!w->visitor->file(w->visitor->arg, &file, here->twin, here->twin_path))
        w->stopped = true;
}

static void visit(struct walk *w, const struct pair *here, const char *name, unsigned depth)
{
    const struct tree_visitor *v = w->visitor;
    char *path STRING_CLEANUP = NULL, *twin_path STRING_CLEANUP = NULL;
    struct err err = {0};
    struct stat st;

    if (asprintf(&path, "%s/%s", here->path, name) < 0 ||
        (here->twin >= 0 && asprintf(&twin_path, "%s/%s", here->twin_path, name) < 0)) {
        (void)fail(&err, ERR_FAILED, "out of memory");
        v->failed(v->arg, here->path, &err);
    } else if (fstatat(here->dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        /* Gone since the directory was read, perhaps by what this very run did. */
        if (errno == ENOENT)
            return;
        (void)fail_errno(&err, "cannot look at '%s'", path);
        v->failed(v->arg, path, &err);
    } else if (S_ISDIR(st.st_mode)) {
        if (!walk_directory(w, here, name, path, twin_path, depth, &err).ok)
            v->failed(v->arg, path, &err);
    } else if (!S_ISREG(st.st_mode)) {
        v->skip(v->arg, path, S_ISLNK(st.st_mode) ? "a symbolic link" : "not a regular file");
    } else if (atomic_file_is_temporary(name)) {
        v->skip(v->arg, path, "a temporary file of a run that goes on, or was killed");
    } else {
        visit_file(w, here, name, path);
    }
}

static void walk_below(struct walk *w, const struct pair *here, unsigned depth)
{
    struct names names __attribute__((cleanup(names_free))) = {0};
    struct err err = {0};

    if (!read_names(&names, here->dir, here->path, &err).ok) {
        w->visitor->failed(w->visitor->arg, here->path, &err);
        return;
    }
    for (size_t i = 0; i < names.count && !w->stopped; i++)
        visit(w, here, names.list[i], depth);
}

static struct result open_root(const struct place *place, int *fd, struct stat *st, struct err *err)
{
    *fd = openat(place->dir, place->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*fd < 0 || fstat(*fd, st) != 0)
        return fail_errno(err, "cannot open directory '%s'", place->path);
    return OK;
}

/* The path of a root as a prefix: without slashes at its end, unless it is nothing else. */
static char *prefix(const char *path)
{
    size_t size = strlen(path);

    while (size > 0 && path[size - 1] == '/')
        size--;
    return strndup(path, size);
}

/* Walks root with its twin in a directory of root's name. */
static struct result walk_named(struct walk *w, const struct place *root, const struct pair *top,
                                const struct stat *st, struct err *err)
{
    char *path STRING_CLEANUP = NULL;
    int inner FD_CLEANUP = -1;
    bool made;

    if (strcmp(root->name, ".") == 0 || strcmp(root->name, "..") == 0)
        return fail(err, ERR_USAGE, "'%s' has no name of its own to go by", root->path);
    if (asprintf(&path, "%s/%s", top->twin_path, root->name) < 0)
        return fail(err, ERR_FAILED, "out of memory");
    if (!open_twin(w, top, root->name, path, &inner, &made, err).ok)
        return FAIL;
    walk_below(w, &(struct pair){top->dir, inner, top->path, path}, 0);
    return made ? finish_later(w, &inner, top->path, path, st, err) : OK;
}

struct result tree_walk(const struct place *root, const struct place *twin, bool named,
                        const struct tree_visitor *visitor, struct err *err)
{
    struct walk w = {.visitor = visitor, .has_twin = twin != NULL};
    int dir FD_CLEANUP = -1, twin_dir FD_CLEANUP = -1;
    char *path STRING_CLEANUP = prefix(root->path);
    char *twin_path STRING_CLEANUP = twin != NULL ? prefix(twin->path) : NULL;
    struct stat st;

    if (path == NULL || (twin != NULL && twin_path == NULL))
        return fail(err, ERR_FAILED, "out of memory");
    if (!open_root(root, &dir, &st, err).ok ||
        (twin != NULL && !open_root(twin, &twin_dir, &w.twin_root, err).ok))
        return FAIL;
    if (twin != NULL && file_same(&st, &w.twin_root))
        return fail(err, ERR_FAILED, "'%s' and '%s' are one directory", root->path, twin->path);
    struct pair top = {dir, twin_dir, path, twin_path};
    struct result r = OK;
    if (named)
        r = walk_named(&w, root, &top, &st, err);
    else
        walk_below(&w, &top, 0);
    finish_all(&w);
    return r;
}
