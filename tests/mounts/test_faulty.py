"""Mounts that fail: nothing half is there then, the old is as it was, and the words and the status say what to do."""

import errno
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from held import wait_until_asleep
from program import TIMEOUT
from sealed import content

PLAIN = content(300_000, "faulty")
GONE = b"hint: the file system is gone: mount it again, remove what is left there as '.bulla-*', and run again"
FAULTY = pathlib.Path(__file__).parent / "faulty.py"


class Faulty:
    """A FUSE over the directory store; it fails once it is mounted with faults."""

    def __init__(self, directory):
        self.at, self.store, self.server = directory / "mount", directory / "store", None
        self.at.mkdir()
        self.store.mkdir()

    def start(self, *faults):
        self.stop()
        self.server = subprocess.Popen([sys.executable, FAULTY, self.store, self.at, *faults], stderr=subprocess.PIPE)
        patience = time.monotonic() + TIMEOUT / 2
        while not os.path.ismount(self.at):
            if self.server.poll() is not None:
                pytest.skip(f"no FUSE can be mounted here: {self.server.stderr.read().decode()}")
            assert time.monotonic() < patience
            time.sleep(0.02)
        return self.at

    def stop(self):
        if self.server is not None:
            subprocess.run(["umount", self.at], check=False, stderr=subprocess.DEVNULL)
            self.server.wait()

    def kill(self):
        self.server.send_signal(signal.SIGKILL)
        self.server.wait()


@pytest.fixture
def faulty(tmp_path):
    made = Faulty(tmp_path)
    yield made
    made.stop()


@pytest.fixture
def verbs(bulla, ring, work):
    """What each verb is to make or change in a directory: its arguments, and the files that it needs there first."""
    (work / "plain").write_bytes(PLAIN)
    bulla("encrypt", "-k", ring, "plain")
    bulla("encrypt", "-k", ring, "-o", "little.bulla", stdin=b"little")
    other, public = bulla.new_key("other.ring"), bulla.keys / "public.ring"
    bulla("key", "new", "--kind", "x25519", public)
    bulla("encrypt", "-k", ring, "--detach", "-o", "pair", "plain")
    body, envelope = (work / "pair").read_bytes(), (work / "pair.env").read_bytes()
    sealed, little = (work / "plain.bulla").read_bytes(), (work / "little.bulla").read_bytes()
    return {
        "encrypt": (["encrypt", "-k", ring, "-o", "{}/out", "plain"], {}),
        "encrypt over": (["encrypt", "-k", ring, "--force", "-o", "{}/out", "plain"], {"out": b"old"}),
        "encrypt detached": (["encrypt", "-k", ring, "--detach", "-o", "{}/out", "plain"], {}),
        "decrypt": (["decrypt", "-k", ring, "-o", "{}/out", "plain.bulla"], {}),
        "decrypt over": (["decrypt", "-k", ring, "--force", "-o", "{}/out", "plain.bulla"], {"out": b"old"}),
        "rewrap": (["rewrap", "-k", ring, "--to", other, "{}/x.bulla"], {"x.bulla": little}),
        "reencrypt": (["reencrypt", "-k", ring, "{}/x.bulla"], {"x.bulla": sealed}),
        "key new": (["key", "new", "{}/new.ring"], {}),
        "rewrap detached": (["rewrap", "-k", ring, "--to", other, "{}/x"], {"x": body, "x.env": envelope}),
        "key rotate": (["key", "rotate", "{}/a.ring"], {"a.ring": other.read_bytes()}),
        "key disable": (["key", "disable", "{}/a.ring#other:1"], {"a.ring": other.read_bytes()}),
        "key export-public": (["key", "export-public", public, "-o", "{}/out"], {}),
        "envelope export": (["envelope", "export", "-o", "{}/out", "plain.bulla"], {}),
    }


VERBS = ["encrypt", "encrypt over", "encrypt detached", "decrypt", "decrypt over", "rewrap", "reencrypt", "rewrap detached", "key new", "key rotate", "key disable", "key export-public", "envelope export"]
FULL = [f"{operation}={error}" for operation in ("write", "fsync", "flush") for error in ("ENOSPC", "EDQUOT")]


def run(bulla, faulty, verbs, name, **how):
    """Runs a verb in a directory of the mount; returns what it said, and what is in the directory that was not, or is no more."""
    args, given = verbs[name]
    directory = faulty.store / name.replace(" ", "-")
    directory.mkdir()
    for file, data in given.items():
        (directory / file).write_bytes(data)
        (directory / file).chmod(0o600)
    done = bulla(*(str(arg).format(faulty.at / directory.name) for arg in args), **how)
    return done, {path.name: path.read_bytes() for path in directory.iterdir()}.items() ^ given.items()


@pytest.mark.parametrize("fault", FULL)
def test_no_room(bulla, faulty, verbs, fault):
    """Also where that is told only when the file is synced or closed, as by a mount that uploads it then."""
    faulty.start(fault)
    for name in VERBS:
        done, other = run(bulla, faulty, verbs, name, status=1)
        assert os.strerror(getattr(errno, fault[-6:].lstrip("="))).encode() in done.stderr, name
        assert not other, name


@pytest.mark.parametrize("fault, status", [("flush=ENOSPC", 1), ("flush=EDQUOT", 1), ("flush=ENOTCONN", 6)])
@pytest.mark.parametrize("sync", ["each", "none"])
def test_part_that_is_not_stored_at_the_close(bulla, ring, faulty, work, fault, status, sync):
    """A large file is changed where it is: a mount that uploads it at the close says only then that it cannot."""
    other = bulla.new_key("other.ring")
    bulla("encrypt", "-k", ring, "-o", faulty.store / "x", stdin=PLAIN)
    bulla("envelope", "export", "-o", "x.env", faulty.store / "x")
    whole = (faulty.store / "x").read_bytes()
    at = faulty.start(fault)
    assert b"cannot write" in bulla("rewrap", "-k", ring, "--to", other, "--sync", sync, at / "x", status=status).stderr
    assert bulla("decrypt", "-k", ring, "-k", other, "-o", "-", faulty.store / "x").stdout == PLAIN, "one of the two envelopes is there"
    (faulty.store / "x").write_bytes(bytes(1024) + whole[1024:])
    assert b"cannot write" in bulla("envelope", "restore", "-k", ring, "--envelope", "x.env", at / "x", status=status).stderr
    assert bulla.open(ring, faulty.store / "x") == PLAIN and os.listdir(faulty.store) == ["x"]


def test_sync_at_the_end_of_a_run(bulla, ring, faulty, work):
    """On a FUSE nothing would be synced by it: so each file is."""
    (work / "tree").mkdir()
    (work / "tree/a").write_bytes(PLAIN)
    at = faulty.start("fsync=ENOSPC")
    assert b"cannot sync" in bulla("encrypt", "-k", ring, "--sync", "end", "-r", "-o", at, "tree", status=3).stderr
    assert os.listdir(faulty.store) == []


@pytest.mark.parametrize("fault", ["write=ESTALE", "fsync=ESTALE", "create=ENOTCONN", "flush=ETIMEDOUT"])
def test_server_that_is_gone_for_an_instant(bulla, faulty, verbs, fault):
    """Status 6: a retry may help."""
    faulty.start(fault)
    for name in VERBS:
        done, other = run(bulla, faulty, verbs, name, status=6)
        assert GONE in done.stderr and not other, name


@pytest.mark.parametrize("operation", ["read", "open"])
def test_source_that_is_gone(bulla, ring, faulty, operation, work):
    (faulty.store / "x").write_bytes(PLAIN)
    at = faulty.start(f"{operation}=ESTALE")
    done = bulla("encrypt", "-k", ring, "-o", "out", at / "x", status=6)
    assert GONE in done.stderr and os.listdir(work) == []


@pytest.mark.parametrize("verb", ["encrypt", "decrypt"])
def test_mount_that_goes_in_the_middle(bulla, ring, faulty, verb):
    """What was written so far stays on the other side, where nobody can get at it; never under its name."""
    given = PLAIN if verb == "encrypt" else bulla("encrypt", "-k", ring, stdin=PLAIN).stdout
    at = faulty.start()
    process = bulla.start(verb, "-j1", "-k", ring, "-o", at / "out")
    process.stdin.write(given[:-1000])
    process.stdin.flush()
    wait_until_asleep(process)
    faulty.kill()
    _, stderr = bulla.finish(process, given[-1000:], status=6)
    assert b"Transport endpoint is not connected" in stderr and GONE in stderr
    assert not (faulty.store / "out").exists()


@pytest.mark.parametrize("recursive", [False, True])
def test_mount_without_a_server(bulla, ring, faulty, work, recursive):
    (faulty.store / "x").write_bytes(b"x")
    at = faulty.start()
    faulty.kill()
    args = ["-r", "-o", work, at] if recursive else ["-o", "out", at / "x"]
    done = bulla("encrypt", "-k", ring, *args, status=(3, 6))
    assert b"Transport endpoint is not connected" in done.stderr and os.listdir(work) == []


def test_directory_of_results_that_is_gone(bulla, ring, faulty, work):
    """No word of making one."""
    at = faulty.start()
    faulty.kill()
    for name in "ab":
        (work / name).write_bytes(b"x")
    done = bulla("encrypt", "-k", ring, "-o", at, "a", "b", status=6)
    assert b"Transport endpoint is not connected" in done.stderr and b"mkdir" not in done.stderr and sorted(os.listdir(work)) == ["a", "b"]


def test_root_that_may_nothing(bulla, faulty, verbs):
    """As NFS with root_squash has it, and FUSE mounts of other users."""
    faulty.start("create=EACCES")
    for name in VERBS:
        done, other = run(bulla, faulty, verbs, name, status=1)
        assert b"hint: some file systems refuse root" in done.stderr and not other, name


def test_root_that_is_nobody(bulla, ring, faulty, verbs):
    """What root makes there is not root's: a keyring could not be used."""
    at = faulty.start("OWNER=65534")
    done = bulla("key", "new", at / "new.ring", status=7)
    assert b"would belong to another user" in done.stderr and os.listdir(faulty.store) == []
    for name in ("encrypt", "decrypt"):
        assert {name for name, _ in run(bulla, faulty, verbs, name)[1]} == {"out"}


LACKS = {
    "chmod=EPERM": b"keeps no permissions",
    "chmod=ENOSYS": b"keeps no permissions",
    "utimens=EPERM": b"keeps no times",
    "utimens=ENOSYS": b"keeps no times",
    "fsyncdir=EINVAL": b"cannot sync a file or directory: a power cut may take what was done",
    "fsync=EINVAL": b"cannot sync a file or directory: a power cut may take what was done",
    "link=EPERM": b"cannot refuse a name that is taken",
}


@pytest.mark.parametrize("fault", LACKS)
def test_what_a_mount_cannot_do(bulla, ring, faulty, work, fault):
    """It is done without, and told once for a whole tree."""
    for name in ("a", "d/b", "d/c"):
        (work / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
        (work / "tree" / name).write_bytes(PLAIN)
        os.utime(work / "tree" / name, (10**9, 10**9))
    (work / "sealed").mkdir()
    bulla("encrypt", "-k", ring, "-r", "-o", "sealed", "tree")
    at = faulty.start(fault)
    for verb, source in (("encrypt", "tree"), ("decrypt", "sealed")):
        (faulty.store / verb).mkdir()
        done = bulla(verb, "-k", ring, "-r", "-o", at / verb, source)
        warnings = [line for line in done.stderr.splitlines() if b"warning" in line]
        assert len(warnings) == 1 and LACKS[fault] in warnings[0], done.stderr
    assert (faulty.store / "decrypt/d/c").read_bytes() == PLAIN


@pytest.mark.parametrize("fault", LACKS)
def test_keyring_where_a_mount_cannot_do_all(bulla, faulty, fault):
    at = faulty.start(fault)
    done = bulla("key", "new", at / "new.ring")
    bulla("key", "rotate", at / "new.ring")
    wanted = fault.startswith(("fsync", "link"))
    assert (LACKS[fault] in done.stderr) == wanted and (b"warning" in done.stderr) == wanted
    assert os.listdir(faulty.store) == ["new.ring"] and (faulty.store / "new.ring").stat().st_mode & 0o777 == 0o600


def test_quiet_run_warns_of_nothing(bulla, ring, faulty):
    at = faulty.start("fsyncdir=EINVAL")
    assert bulla("encrypt", "-q", "-k", ring, "-o", at / "out", stdin=PLAIN).stderr == b""
