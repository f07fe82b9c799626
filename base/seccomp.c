#include "base/seccomp.h"

#if defined(__x86_64__) || defined(__aarch64__)

#include <asm/ioctls.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifdef __x86_64__
#define ARCHITECTURE AUDIT_ARCH_X86_64
#define FOREIGN 0x40000000u /* and above: the calls of x32 */
#else
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#define FOREIGN 0xffffffffu
#endif

/* Newer than the headers may be; the numbers are the same everywhere. */
#define FCHMODAT2 452
#define SETXATTRAT 463
#define GETXATTRAT 464
#define LISTXATTRAT 465
#define REMOVEXATTRAT 466
#define OPENTREEATTR 467
#define FILEGETATTR 468
#define FILESETATTR 469

static const unsigned refused[] = {
    /* other programs and processes */
    SYS_execve, SYS_execveat, SYS_kill, SYS_pidfd_getfd, SYS_pidfd_send_signal,
    SYS_process_vm_readv, SYS_process_vm_writev, SYS_ptrace, SYS_rt_sigqueueinfo,
    SYS_rt_tgsigqueueinfo, SYS_tkill,
    /* how fast they run, and where */
    SYS_ioprio_set, SYS_migrate_pages, SYS_move_pages, SYS_process_madvise, SYS_sched_setaffinity,
    SYS_sched_setattr, SYS_sched_setparam, SYS_sched_setscheduler, SYS_setpriority,
    /* the network, and who listens on this machine */
    SYS_accept, SYS_accept4, SYS_bind, SYS_connect, SYS_listen, SYS_sendmmsg, SYS_sendmsg,
    SYS_sendto, SYS_socket,
    /* other ways to the same, and what exploits are made of */
    SYS_add_key, SYS_bpf, SYS_io_uring_enter, SYS_io_uring_register, SYS_io_uring_setup, SYS_keyctl,
    SYS_open_by_handle_at, SYS_perf_event_open, SYS_request_key, SYS_userfaultfd,
    /* memory, semaphores and queues that processes share without a file */
    SYS_mq_open, SYS_mq_unlink, SYS_msgctl, SYS_msgget, SYS_msgrcv, SYS_msgsnd, SYS_semctl,
    SYS_semget, SYS_semop, SYS_semtimedop, SYS_shmat, SYS_shmctl, SYS_shmget,
    /* another view of the file systems */
    SYS_chroot, SYS_fsconfig, SYS_fsmount, SYS_fsopen, SYS_fspick, SYS_mount, SYS_mount_setattr,
    SYS_move_mount, SYS_open_tree, SYS_pivot_root, SYS_setns, SYS_umount2, SYS_unshare,
    OPENTREEATTR,
    /* what others do with their files, and how much they may store */
    SYS_fanotify_init, SYS_inotify_add_watch, SYS_kcmp, SYS_quotactl, SYS_quotactl_fd,
    /* the kernel itself, which root may change */
    SYS_acct, SYS_adjtimex, SYS_clock_adjtime, SYS_clock_settime, SYS_delete_module,
    SYS_finit_module, SYS_init_module, SYS_kexec_file_load, SYS_kexec_load,
#ifdef __x86_64__
    SYS_ioperm, SYS_iopl,
#endif
    SYS_reboot, SYS_setdomainname, SYS_sethostname, SYS_settimeofday, SYS_swapoff, SYS_swapon,
    SYS_syslog,
    /* what Landlock leaves open: owners, permissions, times and attributes of files by their names,
       and attributes of those that are open */
    SYS_fchmodat, SYS_fchownat, SYS_fremovexattr, SYS_fsetxattr, SYS_getxattr, SYS_lgetxattr,
    SYS_listxattr, SYS_llistxattr, SYS_lremovexattr, SYS_lsetxattr, SYS_removexattr, SYS_setxattr,
#ifdef __x86_64__
    SYS_chmod, SYS_chown, SYS_futimesat, SYS_lchown, SYS_utime, SYS_utimes,
#endif
    FCHMODAT2, SETXATTRAT, GETXATTRAT, LISTXATTRAT, REMOVEXATTRAT, FILEGETATTR, FILESETATTR};

#define REFUSED (sizeof refused / sizeof *refused)

#define PERMISSIONS 0777
#define IOCTL_KIND 0xff00u /* the part of a command that says what it is for */
#define TERMINALS ('T' << 8)

/* The positions in the filter. */
enum {
    FIRST = 4, /* comparison with a refused call */
    OWNER = FIRST + REFUSED,
    MODE = OWNER + 1,
    TIMES = MODE + 3,
    IOCTL = TIMES + 5,
    FCNTL = IOCTL + 6,
    PROCESS = FCNTL + 5,
    ALLOW = PROCESS + 5,
    REFUSE,
    SIZE
};

_Static_assert(SIZE <= 256, "a jump goes over 255 instructions at most");

/* An instruction that loads a member of the call's data, and one at "at" that jumps to one of two
 * others. */
#define LOAD_AT(offset) (struct sock_filter) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset)
#define LOAD(member) LOAD_AT(offsetof(struct seccomp_data, member))
#define LOAD_HIGH(member) LOAD_AT(offsetof(struct seccomp_data, member) + sizeof(uint32_t))
#define AND(value) (struct sock_filter) BPF_STMT(BPF_ALU | BPF_AND | BPF_K, value)
#define JUMP(at, how, value, yes, no)                                                              \
    (struct sock_filter) BPF_JUMP(BPF_JMP | (how) | BPF_K, value, (uint8_t)((yes) - (at)-1),       \
                                  (uint8_t)((no) - (at)-1))
#define RETURN(value) (struct sock_filter) BPF_STMT(BPF_RET | BPF_K, value)

bool seccomp_known(void)
{
    return true;
}

bool seccomp_refuse(enum seccomp_use use)
{
    const unsigned make = use != SECCOMP_LOOK ? ALLOW : REFUSE;
    const unsigned give = use == SECCOMP_GIVE ? ALLOW : REFUSE;
    struct sock_filter filter[SIZE] = {
        LOAD(arch),
        JUMP(1, BPF_JEQ, ARCHITECTURE, 2, REFUSE),
        LOAD(nr),
        JUMP(3, BPF_JGE, FOREIGN, REFUSE, FIRST),
        [OWNER] = JUMP(OWNER, BPF_JEQ, SYS_fchown, give, MODE),
        /* No result is a program that runs as its owner. */
        [MODE] = JUMP(MODE, BPF_JEQ, SYS_fchmod, MODE + 1, TIMES),
        LOAD(args[1]),
        JUMP(MODE + 2, BPF_JSET, ~(unsigned)PERMISSIONS, REFUSE, make),
        /* By a descriptor, that is, with an empty name. */
        [TIMES] = JUMP(TIMES, BPF_JEQ, SYS_utimensat, TIMES + 1, IOCTL),
        LOAD(args[1]),
        JUMP(TIMES + 2, BPF_JEQ, 0, TIMES + 3, REFUSE),
        LOAD_HIGH(args[1]),
        JUMP(TIMES + 4, BPF_JEQ, 0, make, REFUSE),
        /* No flags of files, no signals of sockets; of terminals, no typing into that which bulla
         * was started from. */
        [IOCTL] = JUMP(IOCTL, BPF_JEQ, SYS_ioctl, IOCTL + 1, FCNTL),
        LOAD(args[1]),
        JUMP(IOCTL + 2, BPF_JEQ, TIOCSTI, REFUSE, IOCTL + 3),
        JUMP(IOCTL + 3, BPF_JEQ, TIOCLINUX, REFUSE, IOCTL + 4),
        AND(IOCTL_KIND),
        JUMP(IOCTL + 5, BPF_JEQ, TERMINALS, ALLOW, REFUSE),
        /* Who gets the signals of a descriptor, and which. */
        [FCNTL] = JUMP(FCNTL, BPF_JEQ, SYS_fcntl, FCNTL + 1, PROCESS),
        LOAD(args[1]),
        JUMP(FCNTL + 2, BPF_JEQ, F_SETOWN, REFUSE, FCNTL + 3),
        JUMP(FCNTL + 3, BPF_JEQ, F_SETOWN_EX, REFUSE, FCNTL + 4),
        JUMP(FCNTL + 4, BPF_JEQ, F_SETSIG, REFUSE, ALLOW),
        /* A signal to another process (0 means this one), and limits that could end it. */
        [PROCESS] = JUMP(PROCESS, BPF_JEQ, SYS_tgkill, PROCESS + 2, PROCESS + 1),
        JUMP(PROCESS + 1, BPF_JEQ, SYS_prlimit64, PROCESS + 2, ALLOW),
        LOAD(args[0]),
        JUMP(PROCESS + 3, BPF_JEQ, 0, ALLOW, PROCESS + 4),
        JUMP(PROCESS + 4, BPF_JEQ, (unsigned)getpid(), ALLOW, REFUSE),
        [ALLOW] = RETURN(SECCOMP_RET_ALLOW),
        [REFUSE] = RETURN(SECCOMP_RET_ERRNO | EPERM),
    };
    const struct sock_fprog program = {SIZE, filter};

    for (unsigned i = 0; i < REFUSED; i++)
        filter[FIRST + i] = JUMP(FIRST + i, BPF_JEQ, refused[i], REFUSE, FIRST + i + 1);
    /* Without the flag, older kernels make all that follows slower. */
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW,
                   &program) == 0;
}

#else /* another table of calls, which nobody has tried */

bool seccomp_known(void)
{
    return false;
}

bool seccomp_refuse(enum seccomp_use use)
{
    (void)use;
    return false;
}

#endif
