/* link_targets: where the symbolic links that a walk meets lead, and whether the walk sees that
 * anyway. */
#ifndef BULLA_CMD_LINK_TARGETS_H
#define BULLA_CMD_LINK_TARGETS_H

#include "cmd/options.h"

/* struct roots: the real paths of what a run looks at; {0} is empty and safe to free. */
struct roots {
    char **paths;
    size_t count;
    char *now; /* the directory that is walked, which may be of a list */
};

enum leads {
    LEADS_INSIDE, /* to a file or directory that the run was given, or that lies below one */
    LEADS_OUT,    /* to another, or to what cannot be looked at */
    LEADS_NOWHERE,
    LEADS_SPECIAL /* to a device, FIFO or socket */
};

/* roots_walk makes root the directory that is walked now. */
void roots_walk(struct roots *r, const char *root);
void roots_free(struct roots *r);

/* links_lead tells where the symbolic link at path leads. The operands are resolved when the first
 * link is met; what cannot be resolved counts as not given. */
enum leads links_lead(struct roots *r, const struct list *operands, const char *path);

#endif
