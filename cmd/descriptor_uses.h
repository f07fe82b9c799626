/* descriptor_uses: which descriptors a command line names, and for what. */
#ifndef BULLA_CMD_DESCRIPTOR_USES_H
#define BULLA_CMD_DESCRIPTOR_USES_H

#include "cmd/options.h"

/* descriptor_uses_check fails if a descriptor has two uses, named by its number, as "-" or by a
 * path such as /dev/stdin: whoever reads first would take what was meant for the other. It also
 * fails if two descriptors lead to one pipe, if one is not open, so that its number would go to a
 * file of this run, and if the result and the messages go to one file. Nothing is read. No program
 * that the run starts inherits a descriptor that the run reads from. ERR_USAGE. */
FALLIBLE descriptor_uses_check(const struct verb *verb, const struct options *o, struct err *err);

/* descriptor_uses_taken is true if a path leads to a pipe that has a use already, as a name in a
 * list may by a link. */
bool descriptor_uses_taken(const char *path);

/* descriptor_uses_forget frees what the check remembers for that. */
void descriptor_uses_forget(void);

#endif
