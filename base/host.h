/* host: whom a thread works for: the program, or one handle of the library.
 *
 * What one run of the process could keep in a variable, each handle has for itself: whether it was
 * cancelled, the permissions of new files, who is told what. A thread works for the program unless
 * host_enter says otherwise, and a thread of thread_start for whoever its maker worked for. What is
 * the process's own (allocators of libraries, signals) is changed for the program alone. */
#ifndef BULLA_BASE_HOST_H
#define BULLA_BASE_HOST_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "base/err.h"

/* struct command: another program, whose standard output is taken. */
struct command {
    const char *const *argv; /* the first is looked for in PATH; NULL at the end */
    const char *name;        /* for messages */
    unsigned seconds;        /* it may take; 0 = any time */
    enum err_class failure;  /* of one that ends with another status than 0 */
};

/* struct host: of a handle it is made by host_init. */
struct host {
    atomic_bool interrupted;
    int wake;     /* a descriptor to read from once it was interrupted; 0 = none: a signal wakes */
    mode_t umask; /* of the results; no file of a run is open to others before it is one */

    /* Runs a command to its end and takes what it prints. One that prints room bytes or more is
     * stopped: *size is room then. One that takes too long is stopped too, and fails as ERR_STORE.
     * NULL = no command is run. */
    struct result (*command)(void *arg, const struct command *c, void *out, size_t room,
                             size_t *size, struct err *err);
    void *command_arg;

    void (*tell)(void *arg,
                 const char *text); /* of what file systems lack; NULL = nobody is told */
    void *tell_arg;

    /* Of what is done with which key, and why, without a secret; NULL = nobody asked. Called by
     * several threads at once. */
    void (*explain)(void *arg, const char *text);
    void *explain_arg;
    atomic_uint told; /* enum unsupported */
};

/* host_current is the one that this thread works for. */
struct host *host_current(void);

/* host_is_program is true if that is the program. */
bool host_is_program(void);

/* host_program is the program's, also where a signal handler runs. */
struct host *host_program(void);

/* host_init makes a host that is interrupted without a signal. */
FALLIBLE host_init(struct host *h, struct err *err);
void host_end(struct host *h);

/* host_enter has this thread work for *h, and gives the one before, which host_enter gets when that
 * is over. */
struct host *host_enter(struct host *h);

/* host_explain tells the host of this thread what is done, if it asked. */
__attribute__((format(printf, 1, 2))) void host_explain(const char *fmt, ...);

/* host_interrupt makes what works for *h stop, for good or until host_resume; safe in a signal
 * handler, and from any thread. */
void host_interrupt(struct host *h);
void host_resume(struct host *h);

/* host_command has this thread's host run a command; ERR_POLICY if it runs none. */
FALLIBLE host_command(const struct command *c, void *out, size_t room, size_t *size,
                      struct err *err);

/* host_wait waits until a descriptor is ready for events of poll(2), or this thread's host is
 * interrupted, at most so many milliseconds, -1 = for ever. True if the descriptor is ready, as it
 * is where poll cannot tell. A descriptor of -1 is never ready. */
bool host_wait(int fd, short events, int milliseconds);

#endif
