/* nearest: which keys are there in place of one that is not. */
#ifndef BULLA_CMD_NEAREST_H
#define BULLA_CMD_NEAREST_H

#include "base/err.h"

/* nearest_hint lets *err, if it is of a missing input and the key as it was given is a file that is
 * not there, say which key files its directory has, and which names the configuration: the three
 * that are written most like it. */
void nearest_hint(const char *given, struct err *err);

#endif
