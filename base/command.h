/* command: another program, whose standard output is taken. */
#ifndef BULLA_BASE_COMMAND_H
#define BULLA_BASE_COMMAND_H

#include <stddef.h>

#include "base/err.h"

struct command {
    const char *const *argv; /* the first is looked for in PATH; NULL at the end */
    const char *name;        /* for messages */
    bool shares_input;       /* ours; it has nothing to read otherwise */
    unsigned seconds;        /* it may take; 0 = any time */
    enum err_class failure;  /* of one that ends with another status than 0 */
};

/* command_output runs it to its end and takes what it prints. One that prints room bytes or more is
 * stopped: *size is room then. One that takes too long is stopped too, and fails as ERR_STORE. */
FALLIBLE command_output(const struct command *c, void *out, size_t room, size_t *size,
                        struct err *err);

#endif
