/* help: what 'bulla help' and --help show, from the verbs and their rows. */
#ifndef BULLA_CMD_HELP_H
#define BULLA_CMD_HELP_H

#include "cmd/options.h"

/* help_has is true if there is help on a topic that is no verb: "keys", "environment", "report".
 */
bool help_has(const char *topic);

/* help_show prints the help of a verb, or for NULL that of a topic, a group or the overview, to
 * standard output. */
void help_show(const struct options *o, const struct verb *verb);

#endif
