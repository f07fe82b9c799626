#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/host.h"
#include "base/large_stack.h"
#include "base/secret.h"
#include "base/threads.h"
#include "cmd/config.h"
#include "cmd/confine.h"
#include "cmd/descriptor_uses.h"
#include "cmd/help.h"
#include "cmd/options.h"
#include "cmd/progress.h"
#include "cmd/raise_limits.h"
#include "cmd/subprocess.h"
#include "cmd/terminal.h"
#include "cmd/version_report.h"
#include "keystore/registry.h"

/* A thread that looked before the signal came, and blocks only now, was not woken then. */
static void wake_again(int number)
{
    (void)number;
    threads_wake();
    alarm(1);
}

/* An alarm of whoever started bulla ends it as ever, until here. */
static void on_signal(int number)
{
    struct sigaction repeat = {.sa_handler = wake_again};

    host_interrupt(host_program());
    sigaction(SIGALRM, &repeat, NULL);
    wake_again(number);
}

/* It is enough that the system call is interrupted. */
static void on_wake(int number)
{
    (void)number;
}

/* The first signal ends the run in order, so that nothing is left behind; the second ends it at
 * once. A closed pipe and a file that may not grow are errors of the write. */
static void catch_signals(void)
{
    struct sigaction stop = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
    struct sigaction ignore = {.sa_handler = SIG_IGN}, wake = {.sa_handler = on_wake};

    static const int stopping[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGXCPU};
    struct sigaction before;

    /* What is ignored, as under nohup, stays so. */
    for (size_t i = 0; i < sizeof stopping / sizeof *stopping; i++)
        if (sigaction(stopping[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
            sigaction(stopping[i], &stop, NULL);
    sigaction(THREADS_WAKE_SIGNAL, &wake, NULL);
    sigaction(SIGPIPE, &ignore, NULL);
    sigaction(SIGXFSZ, &ignore, NULL);
    sigaction(SIGIO, &ignore, NULL); /* see source_settle */
    signal(SIGCHLD, SIG_DFL);        /* or a passphrase command could not be waited for */
}

/* If a standard descriptor is closed, the next file that is opened would get its number, and
 * messages would be written into it. What replaces standard input cannot be read, and what replaces
 * standard output cannot be written. */
static bool standard_descriptors(void)
{
    static const int modes[] = {O_WRONLY, O_RDONLY, O_RDWR};

    for (int fd = 0; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", modes[fd]) != fd)
            return false;
    return true;
}

/* libsodium calls this when it has no random bytes, instead of aborting without a message. Other
 * threads may hold locks, so nothing is cleaned up. No result has its name yet. */
static void no_way_on(void)
{
    struct err err = {0};

    (void)fail(&err, ERR_FAILED, "libsodium cannot go on: perhaps there are no random bytes");
    _exit(terminal_error(&err));
}

/* Keys must not end up in a core file, nor be read by a debugger of the same user. */
static void keep_keys_in_memory(void)
{
    (void)setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

static struct result run_command(void *arg, const struct command *c, void *out, size_t room,
                                 size_t *size, struct err *err)
{
    (void)arg;
    return subprocess_output(c, out, room, size, err);
}

static int run(int argc, char **argv, struct options *o)
{
    const struct verb *verb;
    struct err err = {0};

    if (argc == 2 && (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "version") == 0)) {
        version_report();
        return ERR_NONE;
    }
    if (!secret_init(&err).ok || !options_parse(o, &verb, argc, argv, &err).ok)
        return terminal_error(&err);
    if (o->help) {
        help_show(o, verb);
        return ERR_NONE;
    }
    if (o->quiet && o->verbose)
        (void)fail(&err, ERR_USAGE, "--quiet does not go with --verbose");
    if (err.class != ERR_NONE)
        return terminal_error(&err);
    terminal_quiet(o->quiet);
    progress_init(o);
    if (!descriptor_uses_check(verb, o, &err).ok || !confine(verb, o, &err).ok)
        return terminal_error(&err);
    if (o->verbose)
        terminal_verbose();
    int status = verb->run(o);
    if (secret_unlocked())
        terminal_warn(NULL,
                      "key bytes could not be locked into memory (see 'ulimit -l'): they may be "
                      "swapped to disk");
    return status;
}

/* struct start: what main was called with. */
struct start {
    int argc;
    char **argv;
};

static int begin(void *arg)
{
    const struct start *start = arg;
    struct options o = {0};
    struct err err = {0};

    if (!terminal_begin(&err).ok)
        return terminal_error(&err);
    keep_keys_in_memory();
    raise_limits();
    catch_signals();
    secret_last_resort(no_way_on);
    host_program()->umask = umask(077); /* results get theirs when they are whole */
    host_program()->tell = terminal_warn;
    host_program()->command = run_command;
    int status = terminal_finish(run(start->argc, start->argv, &o));
    options_free(&o);
    config_forget();
    descriptor_uses_forget();
    if (registry_left_behind())
        _exit(status);
    return status;
}

int main(int argc, char **argv)
{
    struct start start = {argc, argv};
    struct err err = {0};
    int status;

    if (!standard_descriptors())
        (void)fail_errno(&err, "cannot open /dev/null in place of a closed descriptor");
    else if (!large_stack_run(begin, &start, &status))
        (void)fail_errno(&err, "cannot get a larger stack than 'ulimit -s' allows");
    return err.class == ERR_NONE ? status : terminal_error(&err);
}
