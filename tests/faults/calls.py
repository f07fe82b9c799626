"""System calls, and what may come of them in place of success."""

import errno
import functools
import pathlib
import re

HEADER = pathlib.Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")

# What a call may fail with where bulla makes it, on a disk that is broken or full, for a user without rights, on a machine
# without memory, or where a signal comes.
ERRORS = {
    "read": "EIO EINTR EISDIR",
    "pread64": "EIO EINTR",
    "write": "EIO ENOSPC EDQUOT EFBIG EPIPE EINTR",
    "pwrite64": "EIO ENOSPC EDQUOT EFBIG EINTR",
    "fallocate": "ENOSPC EDQUOT EFBIG EIO EINTR EOPNOTSUPP",
    "fstatfs": "EIO",
    "openat": "EACCES EMFILE ENOENT EIO EINTR EOPNOTSUPP EROFS",
    "close": "EIO EINTR",
    "lseek": "ESPIPE EINVAL",
    "fsync": "EIO ENOSPC EDQUOT",
    "fdatasync": "EIO ENOSPC",
    "syncfs": "EIO ENOSPC",
    "newfstatat": "EACCES EIO",
    "getcwd": "ENOENT ENOMEM",
    "readlink": "EACCES EIO",
    "fstat": "EIO",
    "statx": "EIO ENOSYS",
    "linkat": "EIO ENOSPC EACCES EEXIST EMLINK",
    "renameat": "EIO ENOSPC EACCES EXDEV",
    "renameat2": "EIO ENOSPC EEXIST EINVAL",
    "unlinkat": "EIO EACCES",
    "mkdirat": "EIO ENOSPC EACCES",
    "getdents64": "EIO",
    "fchmod": "EPERM EIO",
    "fchown": "EPERM",
    "utimensat": "EPERM EIO",
    "flock": "ENOLCK EWOULDBLOCK",
    "fcntl": "EMFILE EPERM",
    "dup2": "EBUSY EINTR",
    "access": "EACCES ENOENT",
    "ioctl": "ENOTTY",
    "fadvise64": "EIO",
    "sync_file_range": "EIO",
    "getrandom": "ENOSYS EINTR",
    "mmap": "ENOMEM",
    "mprotect": "ENOMEM",
    "madvise": "EINVAL",
    "mremap": "ENOMEM",
    "brk": "ENOMEM",
    "mlock": "ENOMEM EPERM",
    "clone3": "EAGAIN",
    "prctl": "EPERM",
    "seccomp": "EINVAL ENOSYS",
    "landlock_create_ruleset": "ENOSYS EOPNOTSUPP",
    "landlock_add_rule": "ENOMEM",
    "landlock_restrict_self": "E2BIG ENOMEM",
    "prlimit64": "EPERM",
    "sched_getaffinity": "EINVAL",
    "clock_nanosleep": "EINTR",
    "poll": "EINTR ENOMEM",
}

# What cannot fail as it is used, or where nobody looks; of the waits and wake-ups of threads (futex) the latter cannot.
CANNOT = set("exit exit_group futex getpid gettid geteuid umask set_robust_list rseq rt_sigaction rt_sigprocmask munmap munlock".split())

# When one of these fails, something is not on the disk, and nothing makes up for that.
FATAL = ("fsync", "fdatasync", "syncfs", "pwrite64")

SHORT = ("read", "pread64", "write", "pwrite64")


@functools.cache
def names():
    return {int(number): name for name, number in re.findall(r"#define __NR_(\w+) (\d+)", HEADER.read_text())}


def number(name):
    return next(n for n, other in names().items() if other == name)


def errors(name):
    assert name in ERRORS or name in CANNOT, f"nobody has said what {name} may fail with"
    return ERRORS.get(name, "").split()


def code(name):
    return getattr(errno, name)
