/* link_targets: where the symbolic links that a walk meets lead, and whether the walk sees that
 * anyway. */
#ifndef BULLA_CMD_LINK_TARGETS_H
#define BULLA_CMD_LINK_TARGETS_H

#include "cmd/options.h"

/* struct link_targets: the real paths of what a run looks at; {0} is empty and safe to free. */
struct link_targets {
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

/* link_targets_walk makes root the directory that is walked now. */
void link_targets_walk(struct link_targets *r, const char *root);
void link_targets_free(struct link_targets *r);

/* link_targets_find tells where the symbolic link at path leads. The operands are resolved when the
 * first link is met; what cannot be resolved counts as not given. */
enum leads link_targets_find(struct link_targets *r, const struct list *operands, const char *path);

#endif
