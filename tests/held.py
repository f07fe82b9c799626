"""bulla held in the middle of its work, to be looked at from outside."""

import contextlib
import ctypes
import os
import pathlib
import time

from sealed import content


def status_of(task):
    """What the kernel says of a process or thread, by the directory of it in /proc."""
    return dict(line.split(":\t", 1) for line in (pathlib.Path(task) / "status").read_text().splitlines())


def wait_until_asleep(process):
    """A process that sleeps several times in a row when looked at waits for something."""
    asleep = 0
    while asleep < 5 and process.poll() is None:
        with open(f"/proc/{process.pid}/stat") as stat:
            asleep = asleep + 1 if stat.read().rpartition(")")[2].split()[0] == "S" else 0
        time.sleep(0.01)


@contextlib.contextmanager
def unopened(path):
    """Whether nothing opens a file meanwhile, by inotify."""
    libc = ctypes.CDLL(None, use_errno=True)
    watch = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    assert watch >= 0 and libc.inotify_add_watch(watch, os.fsencode(path), 0x20) >= 0, os.strerror(ctypes.get_errno())
    yield
    try:
        assert not os.read(watch, 4096), f"{path} was opened"
    except BlockingIOError:
        pass
    finally:
        os.close(watch)


def gone(pid):
    """Whether a process has ended; one that only waits to be asked for its status has too."""
    try:
        return "\nState:\tZ" in pathlib.Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True


def hold(bulla, verb, *args, given, **how):
    """Starts bulla, with threads, on input that does not end; it has done what it can when this returns."""
    process = bulla.start(verb, "-j4", *args, **how)
    process.stdin.write(given)
    process.stdin.flush()
    while len(os.listdir(f"/proc/{process.pid}/task")) < 2:
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.01)
    time.sleep(0.3)
    return process


def held(bulla, ring, **how):
    """Holds a decryption."""
    sealed = bulla("encrypt", "-k", ring, stdin=content(4 << 20)).stdout
    return hold(bulla, "decrypt", "-k", ring, "-o", "out", given=sealed[: 3 << 20], **how)
