/* subprocess: another program, whose standard output is read.
 *
 * It inherits standard error and no
 * other descriptor of ours, because one may lead to a secret or to data that it must not read. Its
 * standard input is empty. If it could not ask at the terminal anyway, it leads a process group, so
 * that whatever it starts is stopped with it. */
#ifndef BULLA_CMD_SUBPROCESS_H
#define BULLA_CMD_SUBPROCESS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/host.h"

/* struct subprocess: a command at work; {0} is none. */
struct subprocess {
    const struct command *command; /* must outlive it */
    uint64_t deadline;             /* by clock_ms */
    pid_t pid;                     /* 0 = it ended, and out is closed */
    int out;                       /* what it prints, to be read */
    bool leads;                    /* a process group */
};

#define SUBPROCESS_CLEANUP __attribute__((cleanup(subprocess_stop)))

/* subprocess_start starts it; the caller ends it by subprocess_end or subprocess_stop. */
FALLIBLE subprocess_start(const struct command *c, struct subprocess *r, struct err *err);

/* subprocess_end closes its output, waits for its end and fails unless it exits by itself with
 * status 0. One that takes too long is stopped, and fails as ERR_STORE. Does nothing for one that
 * ended.
 */
FALLIBLE subprocess_end(struct subprocess *r, struct err *err);

/* subprocess_stop closes its output, asks it to stop, kills it a second later and waits for its
 * end. Does nothing for one that ended. */
void subprocess_stop(struct subprocess *r);

/* subprocess_output runs it to its end and takes what it prints. One that prints room bytes or more
 * is stopped: *size is room then. One that takes too long is stopped too, and fails as ERR_STORE.
 */
FALLIBLE subprocess_output(const struct command *c, void *out, size_t room, size_t *size,
                           struct err *err);

#endif
