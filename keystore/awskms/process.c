#include "keystore/awskms/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/place.h"
#include "base/stream.h"
#include "keystore/awskms/words.h"

extern char **environ;

#define OUTPUT_MAX HTTP_ANSWER_MAX /* bytes */
#define POLL_STEP 100              /* milliseconds */
#define WAIT_STEP 5                /* milliseconds */

/* The signals that we ignore are not ignored by the program. */
static int spawn(pid_t *pid, char **argv, int out)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t usual;

    sigemptyset(&usual);
    sigaddset(&usual, SIGPIPE);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigdefault(&attributes, &usual);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
    int failed = posix_spawnp(pid, argv[0], &actions, &attributes, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return failed;
}

/* Reads until the end, for as long as allowed; the answer has the form of one by http, so that it
 * is parsed like that. */
static struct result read_output(int fd, uint64_t deadline, struct http_answer *answer,
                                 struct err *err)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    ssize_t n = 1;

    if (!secret_new(&answer->body, OUTPUT_MAX + 1, err).ok)
        return FAIL;
    while (n != 0) {
        if (stream_interrupted())
            return fail(err, ERR_INTERRUPTED, "interrupted");
        if (clock_ms() >= deadline)
            return fail(err, ERR_STORE, "the program takes too long");
        if (poll(&ready, 1, POLL_STEP) <= 0)
            continue;
        n = read(fd, answer->body.bytes + answer->body_size, OUTPUT_MAX - answer->body_size);
        if (n < 0 && errno != EINTR)
            return fail_errno(err, "cannot read what the program prints");
        answer->body_size += n > 0 ? (size_t)n : 0;
        if (answer->body_size == OUTPUT_MAX)
            return fail(err, ERR_POLICY, "the program prints too much");
    }
    return OK;
}

/* Waits for the end, for as long as allowed; one that is not to be waited for is stopped. */
static bool ended_well(pid_t pid, bool stop, uint64_t deadline)
{
    int status;
    pid_t ended = 0;

    while (!stop && (ended = waitpid(pid, &status, WNOHANG)) == 0) {
        stop = stream_interrupted() || clock_ms() >= deadline;
        (void)clock_wait(WAIT_STEP);
    }
    if (ended == pid)
        return WIFEXITED(status) && WEXITSTATUS(status) == 0;
    kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    return false;
}

static struct result run(const struct aws *aws, char **argv, struct http_answer *answer,
                         struct err *err)
{
    int out FD_CLEANUP = -1, in FD_CLEANUP = -1, ends[2];
    pid_t pid;

    if (pipe2(ends, O_CLOEXEC) != 0)
        return fail_errno(err, "cannot make a pipe");
    out = ends[0];
    in = ends[1];
    int failed = spawn(&pid, argv, in);
    fd_close(&in);
    if (failed != 0) {
        errno = failed;
        return fail_errno(err, "cannot run '%s'", argv[0]);
    }
    uint64_t deadline = clock_ms() + (uint64_t)aws->timeout * 1000;
    struct result r = read_output(out, deadline, answer, err);
    if (!ended_well(pid, !r.ok, deadline) && r.ok)
        return fail(err, ERR_POLICY, "'%s' failed", argv[0]);
    return r;
}

struct result process_credentials(const struct aws *aws, const char *command, const char *source,
                                  struct credentials *out, struct err *err)
{
    struct words words __attribute__((cleanup(words_free))) = {0};
    struct http_answer answer HTTP_ANSWER_CLEANUP = {0};
    json_t *json JSON_CLEANUP = NULL;

    if (!words_split(&words, command, err).ok || !run(aws, words.list, &answer, err).ok) {
        err_context(err, "%s", source);
        return FAIL;
    }
    json = json_read(&answer);
    if (json == NULL || json_integer_value(json_object_get(json, "Version")) != 1)
        return fail(err, ERR_POLICY, "%s: it does not print credentials of version 1", source);
    return credentials_from_json(out, json, "SessionToken", source, err);
}
