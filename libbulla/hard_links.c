#include "libbulla/hard_links.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "base/atomic_file.h"

#define HELD_MAX ((size_t)8 << 20) /* bytes */

static int by_file(const void *a, const void *b)
{
    const struct hard_link_group *x = a, *y = b;

    if (x->device != y->device)
        return x->device < y->device ? -1 : 1;
    return x->number == y->number ? 0 : x->number < y->number ? -1 : 1;
}

static void group_free(void *taken)
{
    struct hard_link_group *g = taken;

    if (g == NULL)
        return;
    for (size_t i = 0; i < g->count; i++)
        free(g->names[i].path);
    free(g->names);
    free(g);
}

void hard_link_group_drop(struct hard_link_group **all)
{
    group_free(*all);
    *all = NULL;
}

void hard_links_free(struct hard_links *l)
{
    tdestroy(l->groups, group_free);
    *l = (struct hard_links){0};
}

static struct result find_group(struct hard_links *l, const struct stat *st,
                                struct hard_link_group **out, struct err *err)
{
    struct hard_link_group key = {.device = st->st_dev, .number = st->st_ino};
    struct hard_link_group *const *found = tfind(&key, &l->groups, by_file);

    if (found != NULL) {
        *out = *found;
        return OK;
    }
    struct hard_link_group *made = calloc(1, sizeof *made);
    if (made != NULL)
        *made = (struct hard_link_group){.device = st->st_dev, .number = st->st_ino};
    if (made == NULL || tsearch(made, &l->groups, by_file) == NULL) {
        free(made);
        return fail_memory(err);
    }
    l->held += sizeof *made;
    *out = made;
    return OK;
}

/* Two spellings of one name count as one name. */
static bool has_name(const struct hard_link_group *g, const struct stat *dir, const char *name)
{
    for (size_t i = 0; i < g->count; i++) {
        const char *slash = strrchr(g->names[i].path, '/');
        if (g->names[i].dir_device == dir->st_dev && g->names[i].dir_number == dir->st_ino &&
            strcmp(slash != NULL ? slash + 1 : g->names[i].path, name) == 0)
            return true;
    }
    return false;
}

static struct result add_name(struct hard_links *l, struct hard_link_group *g,
                              const struct stat *dir, const char *path, struct err *err)
{
    struct link_name *names = realloc(g->names, (g->count + 1) * sizeof *names);

    if (names == NULL)
        return fail_memory(err);
    g->names = names;
    names[g->count] = (struct link_name){dir->st_dev, dir->st_ino, strdup(path)};
    if (names[g->count].path == NULL)
        return fail_memory(err);
    l->held += sizeof *names + strlen(path);
    g->count++;
    return OK;
}

/* Takes a group out of the tree. */
static void take_group(struct hard_links *l, struct hard_link_group *g)
{
    (void)tdelete(g, &l->groups, by_file);
    l->held -= sizeof *g;
    for (size_t i = 0; i < g->count; i++)
        l->held -= sizeof *g->names + strlen(g->names[i].path);
}

struct result hard_links_found(struct hard_links *l, const struct stat *st,
                               const struct place *name, struct hard_link_group **all,
                               struct err *err)
{
    struct hard_link_group *g;
    struct stat dir;

    *all = NULL;
    if (fstat(name->dir, &dir) != 0)
        return fail_errno(err, "cannot look at the directory of '%s'", name->path);
    if (l->held > HELD_MAX) {
        (void)fail(err, ERR_FAILED,
                   "'%s' has %zu names, and too many such files are waiting for their other names",
                   name->path, (size_t)st->st_nlink);
        return fail_hint(err, "give fewer directories at a time, but all names of a file together");
    }
    if (!find_group(l, st, &g, err).ok)
        return FAIL;
    g->wanted = st->st_nlink;
    if (!has_name(g, &dir, name->name) && !add_name(l, g, &dir, name->path, err).ok)
        return FAIL;
    if (g->count < g->wanted)
        return OK;
    take_group(l, g);
    *all = g;
    return OK;
}

struct result hard_link_group_move(const struct hard_link_group *all, const struct place *place,
                                   struct err *err)
{
    const struct stat old = {.st_dev = all->device, .st_ino = all->number};

    for (size_t i = 0; i < all->count; i++) {
        struct place name PLACE_CLEANUP = {0};
        if (strcmp(all->names[i].path, place->path) == 0)
            continue;
        if (!place_open(&name, all->names[i].path, err).ok ||
            !atomic_file_link(place, &name, &old, err).ok)
            return FAIL;
    }
    return OK;
}

/* struct telling: what hard_links_left passes on. */
struct telling {
    void (*each)(void *arg, const char *path, size_t wanted, size_t found);
    void *arg;
};

static void tell_group(const void *node, VISIT visit, void *closure)
{
    const struct hard_link_group *g = *(const struct hard_link_group *const *)node;
    const struct telling *t = closure;

    if (visit != postorder && visit != leaf) /* the two that come in order */
        return;
    for (size_t i = 0; i < g->count; i++)
        t->each(t->arg, g->names[i].path, g->wanted, g->count);
}

void hard_links_left(const struct hard_links *l,
                     void (*each)(void *arg, const char *path, size_t wanted, size_t found),
                     void *arg)
{
    struct telling t = {each, arg};

    twalk_r(l->groups, tell_group, &t);
}
