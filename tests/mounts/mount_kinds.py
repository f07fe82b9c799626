"""File systems of many kinds for tests: how each is mounted, what it keeps, and where its bytes lie."""

import ctypes
import dataclasses
import errno
import itertools
import os
import pathlib
import shutil
import subprocess
import time
import typing

from program import TIMEOUT

SFTP = "/usr/lib/openssh/sftp-server"
AT_FDCWD, RENAME_NOREPLACE = -100, 1
SIZES = {"exfat": "16M", "ntfs": "16M", "btrfs": "128M", "xfs": "300M"}  # about the least that each can have


class Unavailable(Exception):
    """This kind cannot be had here."""


@dataclasses.dataclass
class Kind:
    """What is mounted, and how that differs from a disk of Linux's own."""

    mount: typing.Callable
    options: tuple = ()
    file_mode: int = 0  # of every file, whatever is asked for; 0: as asked for
    directory_mode: int = 0
    takes_names: bool | None = False  # it cannot refuse a name that is taken; None: that depends on its version
    whole_files: bool = False  # it replaces a file but changes none
    later: bool = False  # it stores a file some time after the close
    needs: str = ""

    @property
    def private(self):
        """Whether a file there can be its owner's alone."""
        return not self.file_mode & 0o077


class Mount:
    """One that is there: the directory it is seen at, and the directories that hold its bytes, where those can be read from outside."""

    def __init__(self, name, kind, directory):
        self.name, self.kind, self.directory = name, kind, directory
        self.at, self.stores, self.server, self.loop, self.also = directory / "mount", [], None, None, []
        self.at.mkdir()
        self.numbers = itertools.count()
        self.here = None  # the directory of the test that runs

    def store(self, name="store"):
        made = self.directory / name
        made.mkdir()
        self.stores.append(made)
        return made

    def serve(self, command, env=None):
        """Starts a FUSE that does not go to the background, and waits for it."""
        self.server = subprocess.Popen([*map(str, command)], stderr=subprocess.PIPE, env=os.environ | (env or {}))
        self.wait_for(self.is_there, self.server)

    def is_there(self):
        return os.path.ismount(self.at)

    def wait_for(self, condition, server=None):
        patience = time.monotonic() + TIMEOUT / 2
        while not condition():
            if server is not None and server.poll() is not None:
                raise Unavailable(server.stderr.read().decode(errors="replace"))
            assert time.monotonic() < patience, f"{self.name}: nothing happens"
            time.sleep(0.02)

    def run(self, *command):
        done = subprocess.run([*map(str, command)], capture_output=True, text=True)
        if done.returncode != 0:
            raise Unavailable(done.stderr or done.stdout)
        return done.stdout.strip()

    def image(self, *make):
        """An empty file system on a loop device."""
        image = self.directory / "image"
        self.run("truncate", "-s", SIZES[make[0].partition(".")[2]], image)
        self.run(*make, image)
        self.loop = self.run("losetup", "--find", "--show", image)
        return self.loop

    def settle(self, below):
        """Waits until what is stored later is stored."""
        if self.kind.later:
            self.wait_for(lambda: self.is_stored(below))

    def is_stored(self, below):
        """Whether rclone has uploaded what is there, by the notes of its cache."""
        store, cache = self.stores
        inside = sizes(below)
        notes = [pathlib.Path(f"{cache}/vfsMeta/:local{store}", below.relative_to(self.at), name) for name in inside]
        dirty = any(note.exists() and b'"Dirty": true' in note.read_bytes() for note in notes)
        return not dirty and inside == sizes(store / below.relative_to(self.at))

    def searched(self):
        """All bytes that the mount's stores hold, in caches too."""
        return b"".join(data for store in self.stores for data in files(store).values())

    def remove(self):
        for at in [self.at, *self.also]:
            subprocess.run(["umount", at], check=False, stderr=subprocess.DEVNULL)
        if self.server is not None:
            self.server.wait()
        if self.loop is not None:
            subprocess.run(["losetup", "--detach", self.loop], check=True)


def files(directory):
    """The bytes of every file below a directory."""
    found = {}
    for base, _, names in os.walk(directory):
        for name in names:
            path = pathlib.Path(base, name)
            found[str(path.relative_to(directory))] = path.read_bytes()
    return found


def sizes(directory):
    """The size of every file below a directory: to open one would put off its upload."""
    paths = [os.path.join(base, name) for base, _, names in os.walk(directory) for name in names]
    return {os.path.relpath(path, directory): os.stat(path).st_size for path in paths}


def rclone(mount, mode, *options):
    store, cache = mount.store(), mount.store("cache")
    shown = ["--vfs-cache-mode", mode, "--vfs-write-back", "100ms", "--vfs-write-wait", "0s", "--cache-dir", cache, *options]
    mount.serve(["rclone", "mount", "--config", "/dev/null", *shown, f":local:{store}", mount.at], env={"HOME": str(mount.directory)})


def bindfs(mount, *options):
    mount.serve(["bindfs", "-f", *options, mount.store(), mount.at])


def exfat(mount, *options):
    mount.run("mount.exfat-fuse", *options, mount.image("mkfs.exfat"), mount.at)


def ntfs(mount, *options):
    mount.run("ntfs-3g", *options, mount.image("mkfs.ntfs", "-q", "-F", "-Q"), mount.at)


def sshfs(mount):
    """An SFTP server without SSH between the two."""
    server = mount.directory / "sftp"
    server.write_text(f"#!/bin/sh\nexec {SFTP}\n")
    server.chmod(0o755)
    mount.serve(["sshfs", "-f", "-o", f"ssh_command={server}", f"nowhere:{mount.store()}", mount.at])


def overlay(mount):
    """Its upper layer is of another file system than its lower one."""
    upper = mount.store("upper")
    mount.run("mount", "-t", "tmpfs", "tmpfs", upper)
    mount.also.append(upper)
    for name in ("files", "work"):
        (upper / name).mkdir()
    layers = f"lowerdir={mount.store('lower')},upperdir={upper}/files,workdir={upper}/work"
    mount.run("mount", "-t", "overlay", "overlay", "-o", layers, mount.at)


def disk(mount, *make):
    mount.run("mount", mount.image(*make), mount.at)


UMASK = ("-o", "umask=077")

KINDS = {
    "rclone off": Kind(rclone, ("off",), 0o644, 0o755, takes_names=True, whole_files=True, needs="rclone"),
    "rclone writes": Kind(rclone, ("writes",), 0o644, 0o755, takes_names=True, later=True, needs="rclone"),
    "rclone full": Kind(rclone, ("full",), 0o644, 0o755, takes_names=True, later=True, needs="rclone"),
    "rclone off 077": Kind(rclone, ("off", "--umask", "077"), 0o600, 0o700, takes_names=True, whole_files=True, needs="rclone"),
    "bindfs": Kind(bindfs, needs="bindfs"),
    "bindfs -p": Kind(bindfs, ("-p", "0755"), 0o755, 0o755, needs="bindfs"),
    "bindfs -p deny": Kind(bindfs, ("-p", "0755", "--chmod-deny"), 0o755, 0o755, needs="bindfs"),
    "exfat": Kind(exfat, (), 0o777, 0o777, takes_names=None, needs="mount.exfat-fuse"),
    "exfat 077": Kind(exfat, UMASK, 0o700, 0o700, takes_names=None, needs="mount.exfat-fuse"),
    "ntfs-3g": Kind(ntfs, (), 0o777, 0o777, needs="ntfs-3g"),
    "ntfs-3g 077": Kind(ntfs, UMASK, 0o700, 0o700, needs="ntfs-3g"),
    "ntfs-3g permissions": Kind(ntfs, ("-o", "permissions"), needs="ntfs-3g"),
    "sshfs": Kind(sshfs, needs="sshfs"),
    "overlay": Kind(overlay, needs="mount"),
    "btrfs": Kind(disk, ("mkfs.btrfs", "-q"), needs="mkfs.btrfs"),
    "xfs": Kind(disk, ("mkfs.xfs", "-q"), needs="mkfs.xfs"),
}


def takes_names(directory):
    """Whether the file system there does not know how to refuse a name: exfat-fuse with libfuse 2 does not, with libfuse 3 it does."""
    before, after = directory / "before", directory / "after"
    before.touch()
    libc = ctypes.CDLL(None, use_errno=True)
    unknown = libc.renameat2(AT_FDCWD, os.fsencode(before), AT_FDCWD, os.fsencode(after), RENAME_NOREPLACE) != 0
    assert not unknown or ctypes.get_errno() == errno.EINVAL
    (before if unknown else after).unlink()
    return unknown


def make(name, directory):
    """Mounts a kind below a new directory."""
    kind = KINDS[name]
    if shutil.which(kind.needs) is None:
        raise Unavailable(f"there is no {kind.needs}")
    mount = Mount(name, kind, directory)
    try:
        kind.mount(mount, *kind.options)
        if not kind.directory_mode:
            mount.at.chmod(0o755)  # a new NTFS is open to all
        if kind.takes_names is None:
            mount.kind = dataclasses.replace(kind, takes_names=takes_names(mount.at))
    except BaseException:
        mount.remove()
        raise
    return mount
