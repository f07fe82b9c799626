/* descriptors: which of them a command line names, and for what. */
#ifndef BULLA_CMD_DESCRIPTORS_H
#define BULLA_CMD_DESCRIPTORS_H

#include "cmd/options.h"

/* descriptors_check fails if a descriptor has two uses, by its number, as "-" or by a path such as
 * /dev/stdin: whoever reads first would take what was meant for the other. So does a pipe that two
 * of them lead to, and standard output for a result together with messages. Nothing is read.
 * Those that are read from are left to no program that is started. ERR_USAGE. */
FALLIBLE descriptors_check(const struct verb *verb, const struct options *o, struct err *err);

#endif
