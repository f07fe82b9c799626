#include "cmd/link_targets.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"

void link_targets_walk(struct link_targets *r, const char *root)
{
    free(r->now);
    r->now = realpath(root, NULL);
}

void link_targets_free(struct link_targets *r)
{
    for (size_t i = 0; i < r->count; i++)
        free(r->paths[i]);
    free(r->paths);
    free(r->now);
    *r = (struct link_targets){0};
}

static void resolve(struct link_targets *r, const struct list *operands)
{
    if (r->paths != NULL)
        return;
    r->paths = calloc(operands->count + 1, sizeof *r->paths);
    if (r->paths == NULL)
        return;
    for (; r->count < operands->count; r->count++)
        r->paths[r->count] = realpath(operands->items[r->count], NULL);
}

/* Whether a real path is root or below it. */
static bool is_in(const char *root, const char *path)
{
    size_t size = root != NULL ? strlen(root) : 0;

    if (size == 0 || strncmp(path, root, size) != 0)
        return false;
    return path[size] == '\0' || path[size] == '/' || root[size - 1] == '/';
}

enum leads link_targets_find(struct link_targets *r, const struct list *operands, const char *path)
{
    struct stat st;

    if (stat(path, &st) != 0)
        return errno == ENOENT || errno == ENOTDIR || errno == ELOOP ? LEADS_NOWHERE : LEADS_OUT;
    if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
        return LEADS_SPECIAL;
    char *real STRING_CLEANUP = realpath(path, NULL);
    if (real == NULL)
        return LEADS_OUT;
    resolve(r, operands);
    bool inside = is_in(r->now, real);
    for (size_t i = 0; i < r->count && !inside; i++)
        inside = is_in(r->paths[i], real);
    return inside ? LEADS_INSIDE : LEADS_OUT;
}
