#include "base/command.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/stream.h"

#define READ_STEP 100 /* milliseconds, after which an interruption is seen */
#define WAIT_STEP 5   /* milliseconds */
#define GRACE 1000    /* milliseconds that a program has to stop when it is asked to */

/* The signals that we ignore are not ignored by the program. */
static int spawn(const struct command *c, int out, pid_t *pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t usual;

    sigemptyset(&usual);
    sigaddset(&usual, SIGPIPE);
    sigaddset(&usual, SIGXFSZ);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigdefault(&attributes, &usual);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
    posix_spawn_file_actions_init(&actions);
    if (!c->shares_input)
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
    int failed = posix_spawnp(pid, c->argv[0], &actions, &attributes,
                              (char *const *)(uintptr_t)c->argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return failed;
}

/* Starts it; *fd is where what it prints comes out, and the caller's to close. */
static struct result start(const struct command *c, int *fd, pid_t *pid, struct err *err)
{
    int out FD_CLEANUP = -1, in FD_CLEANUP = -1, ends[2];

    if (pipe2(ends, O_CLOEXEC) != 0)
        return fail_errno(err, "cannot make a pipe");
    out = ends[0];
    in = ends[1];
    int failed = spawn(c, in, pid);
    if (failed != 0) {
        errno = failed;
        return fail_errno(err, "cannot run %s", c->name);
    }
    *fd = out;
    out = -1;
    return OK;
}

static struct result too_long(const struct command *c, struct err *err)
{
    return fail(err, ERR_STORE, "%s takes too long", c->name);
}

/* Reads until the end or until the room is full, for as long as allowed. */
static struct result take(const struct command *c, int fd, uint64_t deadline, char *out,
                          size_t room, size_t *size, struct err *err)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    ssize_t n = 1;

    *size = 0;
    while (n != 0 && *size < room) {
        n = -1;
        if (stream_interrupted())
            return fail(err, ERR_INTERRUPTED, "interrupted");
        if (clock_ms() >= deadline)
            return too_long(c, err);
        if (poll(&ready, 1, READ_STEP) <= 0)
            continue;
        n = read(fd, out + *size, room - *size);
        if (n < 0 && errno != EINTR)
            return fail_errno(err, "cannot read what %s prints", c->name);
        if (n > 0)
            *size += (size_t)n;
    }
    return OK;
}

/* True once it ended, false when the deadline came first. */
static bool ends_by(pid_t pid, uint64_t deadline, int *status)
{
    while (waitpid(pid, status, WNOHANG) == 0) {
        if (clock_ms() >= deadline)
            return false;
        (void)nanosleep(&(struct timespec){.tv_nsec = WAIT_STEP * 1000000L}, NULL);
    }
    return true;
}

/* It may have something to put right, such as the echo of the terminal. */
static void stop(pid_t pid)
{
    int status;

    kill(pid, SIGTERM);
    if (ends_by(pid, clock_ms() + GRACE, &status))
        return;
    kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
}

/* Waits for its end, by itself, and well. */
static struct result end(const struct command *c, pid_t pid, uint64_t deadline, struct err *err)
{
    int status = -1;
    bool ended;

    do
        ended = ends_by(pid, clock_ms() + READ_STEP, &status);
    while (!ended && !stream_interrupted() && clock_ms() < deadline);
    if (!ended)
        stop(pid);
    else if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return OK;
    if (stream_interrupted())
        return fail(err, ERR_INTERRUPTED, "interrupted");
    return ended ? fail(err, c->failure, "%s failed", c->name) : too_long(c, err);
}

struct result command_output(const struct command *c, void *out, size_t room, size_t *size,
                             struct err *err)
{
    uint64_t deadline = c->seconds > 0 ? clock_ms() + (uint64_t)c->seconds * 1000 : UINT64_MAX;
    int fd FD_CLEANUP = -1;
    pid_t pid;

    if (!start(c, &fd, &pid, err).ok)
        return FAIL;
    struct result r = take(c, fd, deadline, out, room, size, err);
    fd_close(&fd);
    if (!r.ok || *size == room) {
        stop(pid);
        return r;
    }
    return end(c, pid, deadline, err);
}
