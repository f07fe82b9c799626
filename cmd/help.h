/* help: what 'bulla help' and --help show, from the verbs and their rows. */
#ifndef BULLA_CMD_HELP_H
#define BULLA_CMD_HELP_H

#include "cmd/options.h"

/* help_show prints the help of a verb, or for NULL that of a group or the overview, to standard
 * output. */
void help_show(const struct options *o, const struct verb *verb);

#endif
