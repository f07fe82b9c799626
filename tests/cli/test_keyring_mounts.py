"""Keyrings where permissions come from whoever made the mount: secrets of containers, and sticks."""

import os
import pathlib
import shutil
import subprocess
import tempfile

import pytest

from held import wait_until_asleep
from sealed import snapshot

DATA = b"the data\n"
OTHER = 4711  # a user with nothing of his own, in a group of that number
MUST = {"BULLA_CONFINE": "must"}

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")


def as_other(bulla, *args, **how):
    return bulla(*args, under=["setpriv", f"--reuid={OTHER}", f"--regid={OTHER}", "--clear-groups"], **how)


@pytest.fixture
def place(bulla):
    """A directory that every user can reach; bulla runs in one below it, of the other user's."""
    place = pathlib.Path(tempfile.mkdtemp(prefix="bulla-mounts-", dir="/tmp"))
    place.chmod(0o755)
    bulla.work = place / "work"
    bulla.work.mkdir()
    os.chown(bulla.work, OTHER, OTHER)
    yield place
    shutil.rmtree(place)


@pytest.fixture
def mount(place):
    """Mounts something by a command, at a new directory below the place."""
    made = []

    def make(*command, at=None):
        if at is None:
            at = place / f"mount{len(made)}"
            at.mkdir()
        done = subprocess.run([*command, at], capture_output=True, text=True)
        if done.returncode != 0:
            pytest.skip(f"nothing can be mounted here: {done.stderr}")
        made.append(at)
        return at

    yield make
    for at in reversed(made):
        subprocess.run(["umount", at], check=True)


# Secrets of containers.


class Secret:
    """A volume as kubelet makes it: a tmpfs with a sticky directory, versions in it, and links; the container has it read-only."""

    def __init__(self, mount, mode, group):
        self.inside = mount("mount", "-t", "tmpfs", "tmpfs")
        self.mode, self.group, self.count = mode, group, 0
        self.inside.chmod(0o3777)

    def write(self, name, text):
        """A new version, which takes the place of the old in one step."""
        self.count += 1
        version = self.inside / f"..2026_11_28_{self.count}"
        version.mkdir()
        (version / name).write_bytes(text)
        (version / name).chmod(self.mode)
        os.chown(version / name, 0, self.group)
        (self.inside / "..data_tmp").symlink_to(version.name)
        (self.inside / "..data_tmp").rename(self.inside / "..data")
        if not (self.inside / name).is_symlink():
            (self.inside / name).symlink_to(f"..data/{name}")

    def bind(self, mount):
        at = mount("mount", "--bind", self.inside)
        subprocess.run(["mount", "-o", "remount,bind,ro", at], check=True)
        return at


@pytest.mark.parametrize("mode, group", [(0o440, OTHER), (0o444, 0), (0o644, 0), (0o400, 0)], ids=lambda value: f"{value:o}")
def test_secret_of_a_container(bulla, ring, mount, mode, group):
    """Of the user that the group is for, or of root."""
    secret = Secret(mount, mode, group)
    secret.write("ring", ring.read_bytes())
    run = bulla if mode == 0o400 else lambda *args, **how: as_other(bulla, *args, **how)
    at = secret.bind(mount)
    sealed = run("encrypt", "-k", f"{at}/ring#backup", stdin=DATA, env=MUST).stdout
    assert run("decrypt", "-k", at / "ring", stdin=sealed, env=MUST).stdout == bulla("decrypt", "-k", ring, stdin=sealed).stdout == DATA
    os.chown(secret.inside / "..data/ring", OTHER + 1, group)
    said = run("encrypt", "-k", at / "ring", "-o", "out", stdin=DATA, status=7).stderr
    assert b"may be from somebody else: file '%s" % os.fsencode(at) in said and os.listdir(bulla.work) == []


def test_the_same_where_it_can_be_written(bulla, ring, mount):
    """There chmod helps, and others may read by mistake."""
    secret = Secret(mount, 0o440, OTHER)
    secret.write("ring", ring.read_bytes())
    said = as_other(bulla, "encrypt", "-k", secret.inside / "ring", "-o", "out", stdin=DATA, status=7).stderr
    assert b"belongs to another user\n" in said
    said = bulla("encrypt", "-k", secret.inside / "ring", "-o", "out", stdin=DATA, status=7).stderr
    assert b"may be used by others (mode 440)\nbulla: hint: chmod 600" in said and os.listdir(bulla.work) == []


def test_file_of_the_host_that_is_mounted_read_only(bulla, ring, mount, place):
    """Its permissions are the host's, and nobody inside can change them; who may write it counts as ever."""
    (place / "file").touch()
    ring.chmod(0o644)
    at = mount("mount", "--bind", ring, at=place / "file")
    assert b"may be used by others" in bulla("encrypt", "-k", at, stdin=DATA, status=7).stderr
    subprocess.run(["mount", "-o", "remount,bind,ro", at], check=True)
    assert bulla("decrypt", "-k", at, stdin=bulla("encrypt", "-k", at, stdin=DATA).stdout).stdout == DATA
    ring.chmod(0o664)
    assert b"its group can write file" in bulla("encrypt", "-k", at, stdin=DATA, status=7).stderr


@pytest.mark.parametrize("verb", [["rotate", "ring"], ["new", "ring#more"], ["rotate", "..data/ring"], ["new", "fresh"]], ids=" ".join)
def test_secret_is_not_changed(bulla, ring, mount, verb):
    secret = Secret(mount, 0o400, 0)
    secret.write("ring", ring.read_bytes())
    before = snapshot(secret.inside)
    link = verb[1] in ("ring", "ring#more")
    said = bulla("key", verb[0], f"{secret.bind(mount)}/{verb[1]}", status=7 if link else 1).stderr
    assert (b"is a symbolic link\nbulla: hint: name the file it leads to" if link else b"Read-only file system") in said
    assert snapshot(secret.inside) == before


def waiting(bulla, run, meanwhile):
    """What a run that seals says if something happens before its data end."""
    run.stdin.write(DATA)
    run.stdin.flush()
    wait_until_asleep(run)
    meanwhile()
    return bulla.finish(run, status=7)[1].decode()


def test_secret_that_is_replaced_while_a_run_seals(bulla, ring, mount):
    secret = Secret(mount, 0o400, 0)
    secret.write("ring", ring.read_bytes())
    bulla("key", "rotate", "-q", ring)
    run = bulla.start("encrypt", "-k", secret.bind(mount) / "ring", "-o", "out", env=MUST)
    said = waiting(bulla, run, lambda: secret.write("ring", ring.read_bytes()))
    assert "key 'backup' was rotated meanwhile: version 2 is active, not 1" in said and os.listdir(bulla.work) == []


def test_keyring_behind_a_link_that_is_rotated_while_a_run_seals(bulla, ring, place):
    """The run may open what is in the directory that the link leads to."""
    (place / "link").symlink_to(ring)
    run = bulla.start("encrypt", "-k", place / "link", "-o", "out", env=MUST)
    said = waiting(bulla, run, lambda: bulla("key", "rotate", "-q", ring))
    assert "key 'backup' was rotated meanwhile: version 2 is active, not 1" in said and os.listdir(bulla.work) == []


# Sticks: the mount says who may use their files.

OPTION = f"bulla: hint: on this file system the mount decides who may use a file: mount it with -o umask=077,uid={os.geteuid()}, or use another place\n"
STICKS = {"exFAT": (["mkfs.exfat"], ["mount.exfat-fuse"]), "NTFS": (["mkfs.ntfs", "-F", "-Q"], ["ntfs-3g"])}


class Stick:
    """A file system on a loop device."""

    def __init__(self, image, kind):
        make, self.command = STICKS[kind]
        with open(image, "wb") as file:
            file.truncate(8 << 20)
        subprocess.run([*make, image], check=True, capture_output=True)
        done = subprocess.run(["losetup", "--find", "--show", image], capture_output=True, text=True)
        if done.returncode != 0:
            pytest.skip(f"no loop device can be had here: {done.stderr}")
        self.loop = done.stdout.strip()

    def mount(self, mount, *options):
        return mount(*self.command, *(["-o", ",".join(options)] if options else []), self.loop)


@pytest.fixture(params=STICKS)
def stick(request, tmp_path, bulla, ring, place):
    """One with a keyring on it."""
    stick = Stick(tmp_path / "image", request.param)
    try:
        at = place / "first"
        at.mkdir()
        if subprocess.run([*stick.command, stick.loop, at], capture_output=True).returncode != 0:
            pytest.skip(f"no {request.param} can be mounted here")
        shutil.copy(ring, at / "ring")
        subprocess.run(["umount", at], check=True)
        yield stick
    finally:
        subprocess.run(["losetup", "--detach", stick.loop], check=True)


MOUNTS = {"as it comes": (), "for all to read": ("umask=022",), "for a group to read": ("umask=027",), "read-only": ("ro", "umask=022"), "of another user": (f"uid={OTHER}", "umask=077")}


@pytest.mark.parametrize("how", MOUNTS)
def test_stick_that_is_open_to_others(bulla, stick, mount, how):
    """Nothing is written before that is seen; the hint names what helps."""
    at = stick.mount(mount, *MOUNTS[how])
    for verb in (["encrypt", "-k", at / "ring", "-o", "out"], ["key", "rotate", at / "ring"], ["key", "new", at / "fresh"], ["key", "new", at / "ring#more"]):
        before = snapshot(at)
        done = bulla(*verb, stdin=DATA, status=(1, 7) if how == "read-only" else 7)
        assert snapshot(at) == before and os.listdir(bulla.work) == []
        assert OPTION in done.stderr.decode() or (how == "read-only" and b"Read-only file system" in done.stderr)
        assert verb[0] != "encrypt" or done.returncode == 7
    assert sorted(os.listdir(at)) == ["ring"]


@pytest.mark.parametrize("more", [[], ["ro"]], ids=["rw", "ro"])
def test_stick_that_is_mounted_as_the_hint_says(bulla, ring, stick, mount, more):
    at = stick.mount(mount, "umask=077", f"uid={os.geteuid()}", *more)
    sealed = bulla("encrypt", "-k", at / "ring", stdin=DATA, env=MUST).stdout
    assert bulla("decrypt", "-k", ring, stdin=sealed).stdout == DATA
    if not more:
        bulla("key", "rotate", "-q", at / "ring")
        assert [key["version"] for key in bulla.list_keys(at / "ring")] == [1, 2]
        assert os.listdir(at) == ["ring"]


def test_fuse_with_permissions_of_its_own(bulla, ring, place, mount):
    """It is no stick: chmod helps there, and read-only it is as the system set it up."""
    (place / "store").mkdir()
    shutil.copy(ring, place / "store/ring")
    (place / "store/ring").chmod(0o644)
    at = mount("bindfs", place / "store")
    assert f"bulla: hint: chmod 600 '{at}/ring'" in bulla("encrypt", "-k", at / "ring", stdin=DATA, status=7).stderr.decode()
    at = mount("bindfs", "-r", place / "store")
    assert bulla("decrypt", "-k", ring, stdin=bulla("encrypt", "-k", at / "ring", stdin=DATA).stdout).stdout == DATA


# File systems that this kernel may lack, by the number that they have in statfs.

SHIM = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/vfs.h>

int fstatfs(int fd, struct statfs *fs)
{
    int (*real)(int, struct statfs *) = (int (*)(int, struct statfs *))dlsym(RTLD_NEXT, "fstatfs64");
    int failed = real(fd, fs);

    fs->f_type = strtol(getenv("FS_TYPE"), NULL, 16);
    return failed;
}
"""
ONE_USER, FILES = "umask=077", "file_mode=0600,dir_mode=0700"
NUMBERS = {"FAT": ("4d44", ONE_USER), "exFAT": ("2011bab0", ONE_USER), "NTFS": ("5346544e", ONE_USER), "ntfs3": ("7366746e", ONE_USER),
           "CIFS": ("ff534d42", FILES), "SMB": ("fe534d42", FILES), "ext4": ("ef53", None)}  # fmt: skip


@pytest.mark.plain
@pytest.mark.parametrize("kind", NUMBERS)
def test_hint_of_each_file_system(bulla, ring, tmp_path, kind):
    number, option = NUMBERS[kind]
    (tmp_path / "shim.c").write_text(SHIM)
    subprocess.run(["gcc", "-shared", "-fPIC", "-D_FILE_OFFSET_BITS=64", "-o", tmp_path / "shim.so", tmp_path / "shim.c", "-ldl"], check=True)
    env = {"LD_PRELOAD": str(tmp_path / "shim.so"), "FS_TYPE": number}
    ring.chmod(0o755)
    said = bulla("encrypt", "-k", ring, stdin=DATA, env=env, status=7).stderr.decode()
    assert (f"mount it with -o {option},uid={os.geteuid()}, or use another place\n" if option else f"hint: chmod 600 '{ring}'") in said
    ring.chmod(0o600)
    ring.parent.chmod(0o777)
    said = bulla("encrypt", "-k", ring, stdin=DATA, env=env, status=7).stderr.decode()
    assert (f"mount it with -o {option}," if option else "chmod go-w") in said
