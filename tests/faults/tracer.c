/* tracer: runs a program and does one thing to its system calls.
 *
 *     tracer REPORT record PROGRAM...                        write down the number of each call
 *     tracer REPORT kill N PROGRAM...                        kill it when it begins its Nth call
 *     tracer REPORT error NUMBER FIRST LAST ERRNO PROGRAM... these calls of that number fail
 *     tracer REPORT short NUMBER FIRST LAST PROGRAM...       these reads or writes do half of it
 *
 * Calls are counted from 1, of all threads together, and from where main begins: before that the
 * dynamic loader is at work. bulla's main first asks for the flags of descriptor 0. A call that
 * fails so is not done. REPORT gets the numbers, or a word once something was done. The tracer ends
 * as the program does. */
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

/* After the C library's header, which has the same names. */
#include <linux/ptrace.h>

#ifndef __x86_64__
#error "the registers of this processor are not known here"
#endif

#define THREADS 64

static enum { RECORD, KILL, ERROR, SHORT } mode;
static FILE *report;
static unsigned long long number, first, last, count;
static int injected;
static int begun; /* main was reached */

/* Threads in a call that was interfered with, and their registers when it began. */
static struct changed {
    pid_t thread;
    struct user_regs_struct before;
} changed[THREADS];

static void die(const char *what)
{
    perror(what);
    exit(125);
}

static void hit(void)
{
    fputs("hit\n", report);
    fflush(report);
}

/* The entry of a thread; of 0, a free one. */
static struct changed *changed_of(pid_t thread)
{
    for (int i = 0; i < THREADS; i++)
        if (changed[i].thread == thread)
            return &changed[i];
    return NULL;
}

static void set_registers(pid_t thread, struct user_regs_struct *regs)
{
    if (ptrace(PTRACE_SETREGS, thread, 0, regs) != 0 && errno != ESRCH)
        die("PTRACE_SETREGS");
}

/* One of the calls that are meant begins. */
static void interfere(pid_t thread)
{
    struct changed *c = changed_of(0);
    struct user_regs_struct regs;

    if (c == NULL || ptrace(PTRACE_GETREGS, thread, 0, &regs) != 0)
        return; /* it is gone */
    if (mode == SHORT && regs.rdx < 2)
        return;
    hit();
    *c = (struct changed){thread, regs};
    if (mode == SHORT)
        regs.rdx /= 2;
    else if (number == SYS_brk)
        regs.rdi = 0; /* which fails as the kernel has it: the break stays */
    else
        regs.orig_rax = (unsigned long long)-1;
    set_registers(thread, &regs);
}

static void begins(pid_t program, pid_t thread, const struct __ptrace_syscall_info *call)
{
    if (!begun)
        begun = call->entry.nr == SYS_fcntl && call->entry.args[0] == 0 &&
                call->entry.args[1] == F_GETFD;
    if (!begun)
        return;
    if (mode == RECORD)
        fprintf(report, "%llu\n", (unsigned long long)call->entry.nr);
    if (mode != RECORD && mode != KILL && call->entry.nr != number)
        return;
    count++;
    if (mode == RECORD || count < first || count > last)
        return;
    if (mode == KILL) {
        hit();
        kill(program, SIGKILL);
    } else {
        interfere(thread);
    }
}

static void ends(pid_t thread)
{
    struct changed *c = changed_of(thread);
    struct user_regs_struct regs;

    if (c == NULL || ptrace(PTRACE_GETREGS, thread, 0, &regs) != 0)
        return;
    regs.rdi = c->before.rdi; /* a call leaves its arguments alone */
    regs.rdx = c->before.rdx;
    if (mode == ERROR && number != SYS_brk)
        regs.rax = (unsigned long long)-(long long)injected;
    *c = (struct changed){0};
    set_registers(thread, &regs);
}

static void at_call(pid_t program, pid_t thread)
{
    struct __ptrace_syscall_info call = {0};

    if (ptrace(PTRACE_GET_SYSCALL_INFO, thread, sizeof call, &call) < 0)
        return;
    if (call.op == PTRACE_SYSCALL_INFO_ENTRY)
        begins(program, thread, &call);
    else if (call.op == PTRACE_SYSCALL_INFO_EXIT)
        ends(thread);
}

/* Ends as the program did. */
static int end(int status)
{
    fclose(report);
    if (!begun)
        return 124;
    if (WIFEXITED(status))
        return WEXITSTATUS(status);
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    signal(WTERMSIG(status), SIG_DFL);
    raise(WTERMSIG(status));
    return 125;
}

static int follow(pid_t program)
{
    int status;

    for (;;) {
        pid_t thread = waitpid(-1, &status, __WALL);
        if (thread < 0)
            die("waitpid");
        if (!WIFSTOPPED(status)) {
            if (thread == program)
                return end(status);
            continue;
        }
        int stop = WSTOPSIG(status), deliver = 0;
        if (stop == (SIGTRAP | 0x80))
            at_call(program, thread);
        else if (status >> 16 == 0 && stop != SIGSTOP) /* a new thread begins with SIGSTOP */
            deliver = stop;
        (void)ptrace(PTRACE_SYSCALL, thread, 0, deliver);
    }
}

static unsigned long long word(char ***at)
{
    if (**at == NULL)
        exit(125);
    return strtoull(*(*at)++, NULL, 10);
}

/* Reads what is to be done; returns the program's command line. */
static char **read_mode(char **at)
{
    static const char *const names[] = {"record", "kill", "error", "short"};

    while (mode < SHORT && strcmp(*at, names[mode]) != 0)
        mode++;
    at++;
    if (mode == KILL)
        first = last = word(&at);
    if (mode == ERROR || mode == SHORT) {
        number = word(&at);
        first = word(&at);
        last = word(&at);
    }
    if (mode == ERROR)
        injected = (int)word(&at);
    return at;
}

int main(int argc, char **argv)
{
    int status;

    if (argc < 4 || (report = fopen(argv[1], "we")) == NULL)
        die("tracer");
    char **command = read_mode(argv + 2);
    pid_t program = fork();
    if (program == 0) {
        ptrace(PTRACE_TRACEME, 0, 0, 0);
        raise(SIGSTOP);
        execv(command[0], command);
        _exit(127);
    }
    if (program < 0 || waitpid(program, &status, 0) != program || !WIFSTOPPED(status))
        die("starting the program");
    if (ptrace(PTRACE_SETOPTIONS, program, 0,
               PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC |
                   PTRACE_O_EXITKILL) != 0)
        die("PTRACE_SETOPTIONS");
    (void)ptrace(PTRACE_SYSCALL, program, 0, 0);
    return follow(program);
}
