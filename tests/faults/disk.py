"""A disk of its own for a test: an ext4 image on a loop device, whose power can be cut; or a small one that gets full."""

import ctypes
import errno
import fcntl
import os
import pathlib
import subprocess
import tempfile
import time

import pytest

SHUTDOWN = 0x8004587D  # EXT4_IOC_SHUTDOWN
CUTS = {"nothing more": 2, "names but not bytes": 1}  # what still gets to the disk: see ext4.h; a real disk may do either
SIZE = 8 << 20
LOOP_TRIES = 20
RAM = pathlib.Path("/dev/shm")

libc = ctypes.CDLL(None, use_errno=True)


def checked(result):
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def mount(source, target, kind, options):
    checked(libc.mount(os.fsencode(source), os.fsencode(target), kind.encode(), 0, options.encode()))


def unmount(target):
    """What was killed a moment ago may still hold it."""
    for _ in range(200):
        if libc.umount2(os.fsencode(target), 0) == 0 or ctypes.get_errno() == 22:  # EINVAL: it is no mount
            return
        time.sleep(0.005)
    checked(libc.umount2(os.fsencode(target), 0))


def wait_until_free(device):
    """Until nothing is mounted from it: whoever began a mount namespace of its own meanwhile has what was mounted here there too."""
    for _ in range(6000):
        try:
            return os.close(os.open(device, os.O_RDONLY | os.O_EXCL))
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
        time.sleep(0.01)
    raise TimeoutError(f"{device} is still mounted somewhere")


class Disk:
    """An ext4 that stores nothing before it is told to, so that a missing sync is seen."""

    def __init__(self, directory):
        self.at, self.image, self.loop = directory / "disk", directory / "image", None
        self.at.mkdir()

    def make(self):
        with open(self.image, "wb") as file:
            file.truncate(SIZE)
        options = ["-b", "1024", "-J", "size=1", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0"]
        subprocess.run(["mkfs.ext4", "-q", "-F", *options, self.image], check=True)
        self.loop = attach(self.image)
        self.mount()

    def mount(self):
        mount(self.loop, self.at, "ext4", "noauto_da_alloc")
        self.device = os.stat(self.at).st_dev

    def unmount(self):
        unmount(self.at)
        wait_until_free(self.loop)

    def keep(self):
        """What is on the disk now is what self.fresh brings back."""
        self.unmount()
        self.kept = self.image.read_bytes()
        self.mount()

    def fresh(self):
        self.unmount()
        with open(self.image, "r+b") as file:
            file.write(self.kept)
        self.mount()

    def cut(self, how):
        """The power goes."""
        fd = os.open(self.at, os.O_RDONLY)
        fcntl.ioctl(fd, SHUTDOWN, CUTS[how].to_bytes(4, "little"))
        os.close(fd)

    def power_on(self):
        """The disk as it is after a cut, its journal replayed."""
        self.unmount()
        self.mount()

    def remove(self):
        unmount(self.at)
        if self.loop is not None:
            subprocess.run(["losetup", "--detach", self.loop], check=True)


def attach(image):
    """Others may take the free loop device that losetup has found."""
    for _ in range(LOOP_TRIES):
        done = subprocess.run(["losetup", "--find", "--show", image], capture_output=True, text=True)
        if done.returncode == 0:
            return done.stdout.strip()
        time.sleep(0.05)
    raise OSError(f"losetup: {done.stderr}")


@pytest.fixture
def ram(tmp_path):
    """A directory in memory, where there is one: disks in it do not wait for a disk."""
    with tempfile.TemporaryDirectory(dir=RAM if RAM.is_dir() else tmp_path, prefix="disk-") as directory:
        yield pathlib.Path(directory)


@pytest.fixture
def disk(ram):
    """A disk whose power can be cut."""
    disk = Disk(ram)
    try:
        disk.make()
        yield disk
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no loop device with an ext4 can be had here: no power was cut ({error})")
    finally:
        disk.remove()


@pytest.fixture
def small_disk(ram):
    """Makes tmpfs disks of a size in bytes."""
    made = []

    def make(size):
        at = ram / f"small{len(made)}"
        at.mkdir()
        try:
            mount("tmpfs", at, "tmpfs", f"size={size}")
        except OSError as error:
            pytest.skip(f"nothing can be mounted here: no disk was full ({error})")
        made.append(at)
        return at

    yield make
    for at in made:
        unmount(at)
