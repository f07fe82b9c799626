#include "base/host.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

static struct host program = {.umask = 077};

/* In memory that each thread has from its start, so that reaching it allocates nothing. */
static _Thread_local struct host *entered __attribute__((tls_model("initial-exec")));

struct host *host_current(void)
{
    return entered != NULL ? entered : &program;
}

bool host_is_program(void)
{
    return host_current() == &program;
}

struct host *host_program(void)
{
    return &program;
}

/* Above the standard descriptors, one of which may be closed. */
struct result host_init(struct host *h, struct err *err)
{
    int made = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int wake = made < 0 ? -1 : fcntl(made, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);

    if (made >= 0)
        close(made);
    if (wake < 0)
        return fail_errno(err, "cannot make a descriptor that wakes a thread");
    *h = (struct host){.wake = wake, .umask = 077};
    return OK;
}

void host_end(struct host *h)
{
    if (h->wake > 0)
        close(h->wake);
    h->wake = 0;
}

struct host *host_enter(struct host *h)
{
    struct host *before = host_current();

    entered = h;
    return before;
}

void host_explain(const char *fmt, ...)
{
    const struct host *h = host_current();
    char text[ERR_TEXT_MAX];
    va_list ap;

    if (h->explain == NULL)
        return;
    va_start(ap, fmt);
    err_format(text, sizeof text, fmt, ap);
    va_end(ap);
    h->explain(h->explain_arg, text);
}

void host_interrupt(struct host *h)
{
    int before = errno;
    uint64_t one = 1;

    atomic_store(&h->interrupted, true);
    if (h->wake > 0)
        (void)!write(h->wake, &one, sizeof one);
    errno = before;
}

void host_resume(struct host *h)
{
    uint64_t count;

    /* In this order, so that a cancel in between is one, or undone: never a wake without a word. */
    atomic_store(&h->interrupted, false);
    if (h->wake > 0)
        (void)!read(h->wake, &count, sizeof count);
}

bool host_wait(int fd, short events, int milliseconds)
{
    int wake = host_current()->wake;
    struct pollfd ready[2] = {{.fd = fd, .events = events},
                              {.fd = wake > 0 ? wake : -1, .events = POLLIN}};

    int count = poll(ready, 2, milliseconds);
    return ready[0].revents != 0 || (count < 0 && errno != EINTR && fd >= 0);
}

struct result host_command(const struct command *c, void *out, size_t room, size_t *size,
                           struct err *err)
{
    const struct host *host = host_current();

    return host->command != NULL
               ? host->command(host->command_arg, c, out, room, size, err)
               : fail(err, ERR_POLICY, "%s is not run: no command may be run here", c->name);
}
