/* standard_streams: standard input and output as sealed data, and what they hold, go through them.
 */
#ifndef BULLA_CMD_STANDARD_STREAMS_H
#define BULLA_CMD_STANDARD_STREAMS_H

#include "base/stream.h"
#include "libbulla/open.h"
#include "libbulla/output.h"

/* standard_output_keep keeps standard output for bulla alone: it moves to another descriptor, which
 * no program that is started inherits, and what code of others prints goes to standard error. Once,
 * before such code is loaded. standard_output_fd gives the descriptor: 1 until then. */
FALLIBLE standard_output_keep(struct err *err);
int standard_output_fd(void);

/* standard_input and standard_output are what FILE and OUT mean where they are "-". */
struct source standard_input(void);
struct outlet standard_output(void);

/* standard_input_check refuses to read sealed data from a terminal. ERR_USAGE. */
FALLIBLE standard_input_check(const struct sealed_place *from, struct err *err);

/* standard_named is true for "-". */
bool standard_named(const char *operand);

#endif
