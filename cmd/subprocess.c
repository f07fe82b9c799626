#include "cmd/subprocess.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/stream.h"

#define READ_STEP 100 /* milliseconds, after which an interruption is seen */
#define WAIT_STEP 5   /* milliseconds */
#define GRACE 1000    /* milliseconds that a program has to stop when it is asked to */

/* Only the foreground group may ask at the terminal. If that is our group, the program must stay in
 * it; the terminal then signals the whole group by itself. */
static bool has_terminal(void)
{
    int tty FD_CLEANUP = open("/dev/tty", O_RDONLY | O_CLOEXEC | O_NOCTTY);

    return tty >= 0 && tcgetpgrp(tty) == getpgrp();
}

/* The signals that we ignore are not ignored by the program. */
static int spawn(const struct command *c, int out, struct subprocess *r)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t usual;

    sigemptyset(&usual);
    sigaddset(&usual, SIGPIPE);
    sigaddset(&usual, SIGXFSZ);
    sigaddset(&usual, SIGIO);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigdefault(&attributes, &usual);
    posix_spawnattr_setflags(&attributes,
                             POSIX_SPAWN_SETSIGDEF | (r->leads ? POSIX_SPAWN_SETPGROUP : 0));
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
    posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
    int failed = posix_spawnp(&r->pid, c->argv[0], &actions, &attributes,
                              (char *const *)(uintptr_t)c->argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return failed;
}

struct result subprocess_start(const struct command *c, struct subprocess *r, struct err *err)
{
    struct subprocess made = {.command = c, .deadline = UINT64_MAX, .leads = !has_terminal()};
    int out FD_CLEANUP = -1, in FD_CLEANUP = -1, ends[2];

    if (c->seconds > 0)
        made.deadline = clock_ms() + (uint64_t)c->seconds * 1000;
    if (pipe2(ends, O_CLOEXEC) != 0)
        return fail_errno(err, "cannot make a pipe");
    out = ends[0];
    in = ends[1];
    int failed = spawn(c, in, &made);
    if (failed != 0) {
        errno = failed;
        return fail_errno(err, "cannot run %s", c->name);
    }
    made.out = out;
    out = -1;
    *r = made;
    return OK;
}

static struct result too_long(const struct command *c, struct err *err)
{
    return fail(err, ERR_STORE, "%s takes too long", c->name);
}

/* Reads until the end or until the room is full, for as long as allowed. */
static struct result take(const struct subprocess *r, char *out, size_t room, size_t *size,
                          struct err *err)
{
    struct pollfd ready = {.fd = r->out, .events = POLLIN};
    ssize_t n = 1;

    *size = 0;
    while (n != 0 && *size < room) {
        n = -1;
        if (stream_interrupted())
            return fail(err, ERR_INTERRUPTED, "interrupted");
        if (clock_ms() >= r->deadline)
            return too_long(r->command, err);
        if (poll(&ready, 1, READ_STEP) <= 0)
            continue;
        n = read(r->out, out + *size, room - *size);
        if (n < 0 && errno != EINTR)
            return fail_errno(err, "cannot read what %s prints", r->command->name);
        if (n > 0)
            *size += (size_t)n;
    }
    return OK;
}

/* True once it ended, false when the deadline came first. */
static bool ends_by(struct subprocess *r, uint64_t deadline, int *status)
{
    while (waitpid(r->pid, status, WNOHANG) == 0) {
        if (clock_ms() >= deadline)
            return false;
        clock_sleep(WAIT_STEP);
    }
    r->pid = 0;
    return true;
}

void subprocess_stop(struct subprocess *r)
{
    int status;

    if (r->pid == 0)
        return;
    fd_close(&r->out);
    /* The program may have something to clean up, such as the echo of the terminal. */
    pid_t all = r->leads ? -r->pid : r->pid;
    kill(all, SIGTERM);
    if (ends_by(r, clock_ms() + GRACE, &status))
        return;
    kill(all, SIGKILL);
    while (waitpid(r->pid, &status, 0) < 0 && errno == EINTR)
        continue;
    r->pid = 0;
}

static struct result failed(const struct command *c, int status, struct err *err)
{
    if (WIFEXITED(status))
        return fail(err, c->failure, "%s failed with status %d", c->name, WEXITSTATUS(status));
    if (!WIFSIGNALED(status))
        return fail(err, c->failure, "%s failed", c->name);
    const char *name = sigabbrev_np(WTERMSIG(status));
    return fail(err, c->failure, "%s failed: killed by signal %d%s%s%s", c->name, WTERMSIG(status),
                name != NULL ? " (SIG" : "", name != NULL ? name : "", name != NULL ? ")" : "");
}

struct result subprocess_end(struct subprocess *r, struct err *err)
{
    int status = -1;
    bool over;

    if (r->pid == 0)
        return OK;
    fd_close(&r->out);
    do
        over = ends_by(r, clock_ms() + READ_STEP, &status);
    while (!over && !stream_interrupted() && clock_ms() < r->deadline);
    subprocess_stop(r);
    if (over && WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return OK;
    if (stream_interrupted())
        return fail(err, ERR_INTERRUPTED, "interrupted");
    return over ? failed(r->command, status, err) : too_long(r->command, err);
}

struct result subprocess_output(const struct command *c, void *out, size_t room, size_t *size,
                                struct err *err)
{
    struct subprocess r SUBPROCESS_CLEANUP = {0};

    if (!subprocess_start(c, &r, err).ok || !take(&r, out, room, size, err).ok)
        return FAIL;
    return *size < room ? subprocess_end(&r, err) : OK;
}
