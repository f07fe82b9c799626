#include "base/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/process_limits.h"
#include "base/unsupported.h"

#define DEPTH_MAX 256     /* directories: each holds two descriptors */
#define UNFINISHED_MAX 64 /* directories: each holds a descriptor; an eighth of all at most */

/* struct unfinished: a new directory of the other tree that was walked. */
struct unfinished {
    int twin;
    char *path, *twin_path;
    struct stat like; /* of the directory at path */
};

struct walk {
    const struct tree_visitor *visitor;
    struct stat root, twin_root; /* the second is not to be walked */
    bool has_twin, stopped;

    /* Many are finished at once, because they wait for their files; children come before their
     * parents. */
    struct unfinished unfinished[UNFINISHED_MAX];
    size_t unfinished_count;
};

/* struct paths: of a name, and of its twin (NULL if none). */
struct paths {
    const char *path, *twin_path;
};

/* struct pair: a directory and its twin (-1 if none); up is what it lies in. */
struct pair {
    int dir, twin;
    struct paths at;
    const struct stat *st; /* of dir */
    const struct pair *up; /* NULL at the root */
    unsigned depth;
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
            return fail_memory(err);
        n->list = grown;
        n->room = room;
    }
    n->list[n->count] = strdup(name);
    if (n->list[n->count] == NULL)
        return fail_memory(err);
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

static void walk_below(struct walk *w, const struct pair *here);

/* Fails if a directory like *like, made at path, would let in people whom it should not: then the
 * files in it do not belong there, whatever their own permissions. A file that is made and removed
 * again shows which permissions the file system gives. */
static struct result guard_twin(const struct walk *w, const struct pair *here, const char *name,
                                const char *path, const struct stat *like, struct err *err)
{
    struct place place PLACE_CLEANUP = {0};
    struct atomic_file probe ATOMIC_FILE_CLEANUP = {0};
    mode_t mode, wanted;
    struct stat st;

    if (!w->visitor->guard || here->twin < 0 ||
        fstatat(here->twin, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
        return OK;
    if (!place_in(&place, here->twin, name, path, err).ok ||
        !atomic_file_open(&probe, &place, false, err).ok)
        return FAIL;
    if (!fd_readable_by_more(probe.fd, like, w->visitor->whose, &mode, &wanted))
        return OK;
    return fail(err, ERR_POLICY,
                "directory '%s' could be read by others: its file system would not give it the "
                "permissions %03o",
                path, (unsigned)wanted);
}

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
    unsigned lacks = 0;
    if (*made && v->sync && fd_sync(here->twin, here->twin, &lacks) != 0)
        return fail_errno(err, "cannot sync the directory of '%s'", path);
    unsupported_note(path, lacks);
    *twin = openat(here->twin, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (*twin < 0)
        return fail_errno(err, "cannot open directory '%s'", path);
    return OK;
}

static void finish(const struct tree_visitor *v, struct unfinished *u)
{
    struct err err = {0};
    unsigned lacks = 0;

    if (fd_like(u->twin, &u->like, v->whose, &lacks) != 0 ||
        (v->sync && fd_sync(u->twin, u->twin, &lacks) != 0)) {
        (void)fail_errno(&err, "cannot finish directory '%s'", u->twin_path);
        v->failed(v->arg, u->path, &err);
    }
    unsupported_note(u->twin_path, lacks);
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
static struct result finish_later(struct walk *w, int *twin, const struct paths *at,
                                  const struct stat *like, struct err *err)
{
    char *own STRING_CLEANUP = strdup(at->path), *twin_own STRING_CLEANUP = strdup(at->twin_path);

    if (own == NULL || twin_own == NULL)
        return fail_memory(err);
    if (w->unfinished_count == UNFINISHED_MAX ||
        w->unfinished_count >= process_limits_descriptors() / 8)
        finish_all(w);
    w->unfinished[w->unfinished_count++] = (struct unfinished){*twin, own, twin_own, *like};
    *twin = -1;
    own = twin_own = NULL;
    return OK;
}

/* Whether a directory is one of those that we are in. */
static bool is_above(const struct pair *here, const struct stat *st)
{
    for (; here != NULL; here = here->up)
        if (file_same(here->st, st))
            return true;
    return false;
}

static struct result walk_directory(struct walk *w, const struct pair *here, const char *name,
                                    bool link, const struct paths *at, struct err *err)
{
    int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | (link ? 0 : O_NOFOLLOW);
    int dir FD_CLEANUP = openat(here->dir, name, flags), twin FD_CLEANUP = -1;
    bool made = false;
    struct stat st;

    if (dir < 0 || fstat(dir, &st) != 0)
        return fail_errno(err, "cannot open directory '%s'", at->path);
    if (w->has_twin && file_same(&st, &w->twin_root))
        return OK;
    if (link && is_above(here, &st)) {
        w->visitor->skip(w->visitor->arg, at->path, "a symbolic link to a directory that it is in");
        return OK;
    }
    if (st.st_dev != w->root.st_dev && here->st->st_dev != st.st_dev &&
        !w->visitor->enter(w->visitor->arg, at->path))
        return OK;
    if (here->depth == DEPTH_MAX)
        return fail(err, ERR_FAILED, "directory '%s' is more than %d deep", at->path, DEPTH_MAX);
    if (!guard_twin(w, here, name, at->twin_path, &st, err).ok)
        return FAIL;
    if (here->twin >= 0 && !open_twin(w, here, name, at->twin_path, &twin, &made, err).ok)
        return FAIL;
    walk_below(w, &(struct pair){dir, twin, *at, &st, here, here->depth + 1});
    return made ? finish_later(w, &twin, at, &st, err) : OK;
}

static void visit_file(struct walk *w, const struct pair *here, const char *name, const char *path)
{
    struct place file PLACE_CLEANUP = {0};
    struct err err = {0};

    if (!place_in(&file, here->dir, name, path, &err).ok)
        w->visitor->failed(w->visitor->arg, path, &err);
    else if (!w->visitor->file(w->visitor->arg, &file, here->twin, here->at.twin_path))
        w->stopped = true;
}

/* What a name is, or what a link of that name leads to. */
static void visit_as(struct walk *w, const struct pair *here, const char *name,
                     const struct paths *at, bool link)
{
    const struct tree_visitor *v = w->visitor;
    struct err err = {0};
    struct stat st;

    if (fstatat(here->dir, name, &st, link ? 0 : AT_SYMLINK_NOFOLLOW) != 0) {
        /* It went after the directory was read, perhaps because of this very run. */
        if (errno == ENOENT && !link)
            return;
        (void)fail_errno(&err, "cannot look at '%s'", at->path);
        v->failed(v->arg, at->path, &err);
    } else if (S_ISLNK(st.st_mode)) {
        if (v->follow(v->arg, at->path))
            visit_as(w, here, name, at, true);
    } else if (S_ISDIR(st.st_mode)) {
        if (!walk_directory(w, here, name, link, at, &err).ok)
            v->failed(v->arg, at->path, &err);
    } else if (!S_ISREG(st.st_mode)) {
        v->skip(v->arg, at->path, "not a regular file");
    } else {
        visit_file(w, here, name, at->path);
    }
}

static void visit(struct walk *w, const struct pair *here, const char *name)
{
    char *path STRING_CLEANUP = NULL, *twin_path STRING_CLEANUP = NULL;
    struct err err = {0};

    if (asprintf(&path, "%s/%s", here->at.path, name) < 0 ||
        (here->twin >= 0 && asprintf(&twin_path, "%s/%s", here->at.twin_path, name) < 0)) {
        (void)fail_memory(&err);
        w->visitor->failed(w->visitor->arg, here->at.path, &err);
        return;
    }
    visit_as(w, here, name, &(struct paths){path, twin_path}, false);
}

static void walk_below(struct walk *w, const struct pair *here)
{
    struct names names __attribute__((cleanup(names_free))) = {0};
    struct err err = {0};

    if (!read_names(&names, here->dir, here->at.path, &err).ok) {
        w->visitor->failed(w->visitor->arg, here->at.path, &err);
        return;
    }
    for (size_t i = 0; i < names.count && !w->stopped; i++)
        visit(w, here, names.list[i]);
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
                                struct err *err)
{
    char *path STRING_CLEANUP = NULL;
    int inner FD_CLEANUP = -1;
    bool made;

    if (strcmp(root->name, ".") == 0 || strcmp(root->name, "..") == 0)
        return fail(err, ERR_USAGE, "'%s' has no name of its own to go by", root->path);
    if (asprintf(&path, "%s/%s", top->at.twin_path, root->name) < 0)
        return fail_memory(err);
    if (!guard_twin(w, top, root->name, path, top->st, err).ok ||
        !open_twin(w, top, root->name, path, &inner, &made, err).ok)
        return FAIL;
    struct pair pair = {top->dir, inner, {top->at.path, path}, top->st, NULL, 0};
    walk_below(w, &pair);
    return made ? finish_later(w, &inner, &pair.at, top->st, err) : OK;
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
        return fail_memory(err);
    if (!open_root(root, &dir, &st, err).ok ||
        (twin != NULL && !open_root(twin, &twin_dir, &w.twin_root, err).ok))
        return FAIL;
    if (twin != NULL && file_same(&st, &w.twin_root))
        return fail(err, ERR_FAILED, "'%s' and '%s' are one directory", root->path, twin->path);
    struct pair top = {dir, twin_dir, {path, twin_path}, &st, NULL, 0};
    w.root = st;
    struct result r = OK;
    if (named)
        r = walk_named(&w, root, &top, err);
    else
        walk_below(&w, &top);
    finish_all(&w);
    return r;
}
