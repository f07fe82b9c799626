/* A stand-in for hostile code that took over bulla: when the program ends, still confined, this
 * library tries what SPY_TRY says, a line each of a deed and a path, and writes a line with the
 * error of each (0: it worked) to descriptor SPY_FD. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/keyctl.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

static long open_as(const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC, 0600);

    if (fd >= 0)
        close(fd);
    return fd;
}

static long do_read(const char *path)
{
    return open_as(path, O_RDONLY);
}

static long do_write(const char *path)
{
    return open_as(path, O_WRONLY);
}

static long do_cut(const char *path)
{
    return truncate(path, 0);
}

static long do_make(const char *path)
{
    return open_as(path, O_WRONLY | O_CREAT | O_EXCL);
}

static long do_fifo(const char *path)
{
    return mkfifo(path, 0600);
}

static long do_link(const char *path)
{
    return symlink("/", path);
}

static long do_char(const char *path)
{
    return mknod(path, S_IFCHR | 0600, 0);
}

static long do_block(const char *path)
{
    return mknod(path, S_IFBLK | 0600, 0);
}

static long do_socket_file(const char *path)
{
    return mknod(path, S_IFSOCK | 0600, 0);
}

static long do_remove_directory(const char *path)
{
    return rmdir(path);
}

static long do_run(const char *path)
{
    char *const argv[] = {(char *)path, NULL};
    pid_t pid;
    int failed = posix_spawn(&pid, path, NULL, NULL, argv, NULL);

    errno = failed;
    return failed == 0 ? 0 : -1;
}

static long do_socket(const char *path)
{
    (void)path;
    return socket(AF_UNIX, SOCK_STREAM, 0);
}

static long do_signal(const char *path)
{
    (void)path;
    return kill(getppid(), 0);
}

static long do_thread_signal(const char *path)
{
    (void)path;
    return syscall(SYS_tgkill, getppid(), getppid(), 0);
}

static long do_queue_signal(const char *path)
{
    siginfo_t info = {.si_code = SI_QUEUE};

    (void)path;
    return syscall(SYS_rt_sigqueueinfo, getppid(), 0, &info);
}

static long do_own_signal(const char *path)
{
    (void)path;
    return syscall(SYS_tgkill, getpid(), getpid(), 0);
}

static long do_limit(const char *path)
{
    struct rlimit limit;

    (void)path;
    return prlimit(getppid(), RLIMIT_CPU, NULL, &limit);
}

static long do_own_limit(const char *path)
{
    struct rlimit limit;

    (void)path;
    return prlimit(0, RLIMIT_CPU, NULL, &limit) < 0 ? -1
                                                    : prlimit(getpid(), RLIMIT_CPU, &limit, NULL);
}

static long do_owner(const char *path)
{
    (void)path;
    return fcntl(STDERR_FILENO, F_SETOWN, getppid());
}

static long do_owner_ex(const char *path)
{
    struct f_owner_ex owner = {F_OWNER_PID, getppid()};

    (void)path;
    return fcntl(STDERR_FILENO, F_SETOWN_EX, &owner);
}

static long do_owner_signal(const char *path)
{
    (void)path;
    return fcntl(STDERR_FILENO, F_SETSIG, SIGKILL);
}

static long do_socket_owner(const char *path)
{
    pid_t owner = getppid();

    (void)path;
    return ioctl(STDERR_FILENO, FIOSETOWN,
                 &owner); /* ENOTTY where it is allowed, and no socket is there */
}

static long do_socket_group(const char *path)
{
    pid_t owner = getppid();

    (void)path;
    return ioctl(STDERR_FILENO, SIOCSPGRP, &owner);
}

static long do_chmod(const char *path)
{
    return chmod(path, 0600);
}

/* What can be done by a descriptor that is only for reading. */
static long by_descriptor(const char *path, long (*act)(int fd))
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    long done = fd < 0 ? -1 : act(fd);
    int error = errno;

    if (fd >= 0)
        close(fd);
    errno = error;
    return done;
}

static long do_list(const char *path)
{
    return open_as(path, O_RDONLY | O_DIRECTORY);
}

static long set_mode(int fd)
{
    return fchmod(fd, 0700);
}

static long do_fd_chmod(const char *path)
{
    return by_descriptor(path, set_mode);
}

static long set_setuid(int fd)
{
    return fchmod(fd, 04700);
}

static long do_fd_setuid(const char *path)
{
    return by_descriptor(path, set_setuid);
}

static long set_owner(int fd)
{
    return fchown(fd, getuid(), getgid());
}

static long do_fd_chown(const char *path)
{
    return by_descriptor(path, set_owner);
}

static long set_times(int fd)
{
    return futimens(fd, NULL);
}

static long do_fd_touch(const char *path)
{
    return by_descriptor(path, set_times);
}

static long do_touch(const char *path)
{
    return utimensat(AT_FDCWD, path, NULL, 0);
}

/* By a name at an address of which the lower half is zero, as that of no name is. */
static long do_touch_high(const char *path)
{
    char *high = mmap((void *)0x200000000000, 4096, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

    if (high == MAP_FAILED)
        return -1;
    strncpy(high, path, 4095);
    return syscall(SYS_utimensat, AT_FDCWD, high, NULL, 0);
}

static long set_attribute(int fd)
{
    return fsetxattr(fd, "user.x", "x", 1, 0);
}

static long do_fd_attribute(const char *path)
{
    return by_descriptor(path, set_attribute);
}

static long set_flags(int fd)
{
    int flags = 0;

    return ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0 ? -1 : ioctl(fd, FS_IOC_SETFLAGS, &flags);
}

static long do_fd_flags(const char *path)
{
    return by_descriptor(path, set_flags);
}

static long do_remove(const char *path)
{
    return unlink(path);
}

static long do_memory(const char *path)
{
    int id = shmget(IPC_PRIVATE, 4096, 0600);

    (void)path;
    return id < 0 ? -1 : shmctl(id, IPC_RMID, NULL);
}

static long do_queue(const char *path)
{
    int id = msgget(IPC_PRIVATE, 0600);

    (void)path;
    return id < 0 ? -1 : msgctl(id, IPC_RMID, NULL);
}

static long do_semaphore(const char *path)
{
    int id = semget(IPC_PRIVATE, 1, 0600);

    (void)path;
    return id < 0 ? -1 : semctl(id, 0, IPC_RMID);
}

static long do_named_queue(const char *path)
{
    (void)path;
    return syscall(SYS_mq_unlink, "bulla-spy"); /* ENOENT where it is allowed */
}

static long do_clock(const char *path)
{
    (void)path;
    return syscall(SYS_clock_settime, CLOCK_MONOTONIC, NULL); /* EINVAL where it is allowed */
}

static long do_peek(const char *path)
{
    char byte;
    struct iovec mine = {&byte, 1}, theirs = {&byte, 1};

    (void)path;
    return process_vm_readv(getpid(), &mine, 1, &theirs, 1, 0);
}

static long do_keyring(const char *path)
{
    (void)path;
    return syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_PROCESS_KEYRING, 1);
}

static long do_uring(const char *path)
{
    (void)path;
    return syscall(SYS_io_uring_setup, 1, NULL); /* EFAULT where it is allowed */
}

static long do_type(const char *path)
{
    (void)path;
    return ioctl(STDERR_FILENO, TIOCSTI,
                 "x"); /* ENOTTY where it is allowed, and no terminal is there */
}

/* By its number, with arguments that are no process, descriptor, address or flags: where it is
 * allowed, it fails. */
static long do_syscall(const char *number)
{
    return syscall(strtol(number, NULL, 10), -1L, -1L, -1L, -1L, -1L, -1L);
}

/* getpid by the numbers of 32-bit programs, which not every kernel has. */
#ifdef __x86_64__
static sigjmp_buf before_trap;

static void trapped(int number)
{
    siglongjmp(before_trap, number);
}

static long do_foreign(const char *path)
{
    long got = -ENOSYS;

    (void)path;
    signal(SIGSEGV, trapped);
    if (sigsetjmp(before_trap, 1) == 0)
        __asm__ volatile("int $0x80" : "=a"(got) : "a"(20L) : "r8", "r9", "r10", "r11", "memory");
    errno = got < 0 ? (int)-got : 0;
    return got < 0 ? -1 : 0;
}
#endif

static const struct {
    const char *name;
    long (*act)(const char *path);
} deeds[] = {
    {"read", do_read},
    {"write", do_write},
    {"cut", do_cut},
    {"make", do_make},
    {"remove", do_remove},
    {"fifo", do_fifo},
    {"link", do_link},
    {"run", do_run},
    {"socket", do_socket},
    {"signal", do_signal},
    {"peek", do_peek},
    {"keyring", do_keyring},
    {"uring", do_uring},
    {"type", do_type},
    {"thread-signal", do_thread_signal},
    {"queue-signal", do_queue_signal},
    {"own-signal", do_own_signal},
    {"limit", do_limit},
    {"own-limit", do_own_limit},
    {"owner", do_owner},
    {"owner-ex", do_owner_ex},
    {"owner-signal", do_owner_signal},
    {"socket-owner", do_socket_owner},
    {"socket-group", do_socket_group},
    {"chmod", do_chmod},
    {"clock", do_clock},
    {"char", do_char},
    {"block", do_block},
    {"socket-file", do_socket_file},
    {"remove-directory", do_remove_directory},
    {"syscall", do_syscall},
    {"list", do_list},
    {"fd-chmod", do_fd_chmod},
    {"fd-setuid", do_fd_setuid},
    {"fd-chown", do_fd_chown},
    {"fd-touch", do_fd_touch},
    {"fd-attribute", do_fd_attribute},
    {"fd-flags", do_fd_flags},
    {"touch", do_touch},
    {"touch-high", do_touch_high},
    {"memory", do_memory},
    {"queue", do_queue},
    {"semaphore", do_semaphore},
    {"named-queue", do_named_queue},
#ifdef __x86_64__
    {"foreign", do_foreign},
#endif
};

__attribute__((destructor)) static void spy(void)
{
    char *try = getenv("SPY_TRY"), *fd = getenv("SPY_FD"), name[32], path[4096];

    for (char *line = try == NULL ? NULL : strtok(try, "\n"); line != NULL;
         line = strtok(NULL, "\n")) {
        if (sscanf(line, "%31s %4095s", name, path) < 1)
            continue;
        for (size_t i = 0; i < sizeof deeds / sizeof *deeds; i++)
            if (strcmp(deeds[i].name, name) == 0) {
                errno = 0;
                int failed = deeds[i].act(path) < 0 ? errno : 0;
                dprintf(atoi(fd), "%s %d\n", line, failed);
            }
    }
}
