#include "cmd/link_targets.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"

void roots_walk(struct roots *r, const char *root)
{
    free(r->now);
    r->now = realpath(root, NULL);
}

void roots_free(struct roots *r)
{
    for (size_t i = 0; i < r->count; i++)
        free(r->paths[i]);
    free(r->paths);
    free(r->now);
    *r = (struct roots){0};
}

static void resolve(struct roots *r, const struct list *operands)
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

enum leads links_lead(struct roots *r, const struct list *operands, const char *path)
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
