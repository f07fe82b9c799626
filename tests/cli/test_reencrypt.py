"""Reencrypt: a new data key and body in the place of the old, or the old file as it was."""

import json
import os
import signal
import time

import pytest

from program import SANITIZED
from sealed import BODY, CHUNKS, SUITES, content, flip, snapshot

X = content(100_000)
OLD_TIME = 1_500_000_000_123_456_789
LARGE = (32 if SANITIZED else 128) * 2**20


def core(bulla, sealed):
    return bulla.inspect(sealed)[0]


@pytest.fixture
def sealed(bulla, ring):
    path = bulla.seal(ring, X, "--name", "nightly", "--context", "db=prod", "--context", "host=a1", "--generation", "5")
    path.chmod(0o640)
    os.utime(path, ns=(OLD_TIME, OLD_TIME))
    return path


def test_all_is_new_but_the_content(bulla, ring, sealed, work):
    before, raw, st = core(bulla, sealed), sealed.read_bytes(), sealed.stat()
    done = bulla("reencrypt", "-k", ring, sealed)
    after, fresh = core(bulla, sealed), sealed.read_bytes()
    assert done.stdout == b"" and os.listdir(work) == [sealed.name]
    assert after["file_id"] != before["file_id"] and after["branch_id"] != before["branch_id"]
    assert len(fresh) == len(raw) and raw[BODY:][:56] not in fresh and raw[CHUNKS:][:32] not in fresh
    for member in ("name", "context", "generation", "suite"):
        assert after[member] == before[member], member
    now = sealed.stat()
    assert (now.st_mode, now.st_mtime_ns, now.st_uid) == (st.st_mode, OLD_TIME, st.st_uid) and now.st_ino != st.st_ino
    required = ["--require-name", "nightly", "--require-context", "db=prod", "--min-generation", "5"]
    assert bulla.open(ring, sealed, *required) == X


@pytest.mark.parametrize("size", [0, 1, 16383, 16384, 16385, 32768])
def test_sizes(bulla, ring, size):
    path = bulla.seal(ring, content(size))
    bulla("reencrypt", "-k", ring, path)
    assert bulla.open(ring, path) == content(size)


@pytest.mark.parametrize("generation, status", [("5", 0), ("6", 0), (str(2**63 - 1), 0), ("4", 7), ("1", 7), ("0", 2)])
def test_generation_does_not_fall(bulla, ring, sealed, generation, status):
    before = snapshot(bulla.work)
    bulla("reencrypt", "-k", ring, "--generation", generation, sealed, status=status)
    assert core(bulla, sealed)["generation"] == (int(generation) if status == 0 else 5)
    if status:
        assert snapshot(bulla.work) == before
    assert bulla.open(ring, sealed) == X


def test_generation_where_there_was_none(bulla, ring):
    path = bulla.seal(ring, X)
    bulla("reencrypt", "-k", ring, "--generation", "3", path)
    assert core(bulla, path)["generation"] == 3


@pytest.mark.parametrize("old", SUITES)
@pytest.mark.parametrize("new", [None, *SUITES])
def test_suite(bulla, ring, old, new):
    path = bulla.seal(ring, X, "--suite", old)
    kept = core(bulla, path)["suite"]
    bulla("reencrypt", "-k", ring, *(["--suite", new] if new else []), path)
    assert (core(bulla, path)["suite"] == kept) == (new in (None, old))
    assert bulla.open(ring, path) == X


def test_unknown_suite(bulla, ring, sealed):
    bulla("reencrypt", "-k", ring, "--suite", "rot13", sealed, status=2)


def test_to_other_keys(bulla, ring, sealed):
    others = [bulla.new_key(f"{name}.ring") for name in "ab"]
    bulla("reencrypt", "-k", ring, "--to", others[0], "--to", others[1], sealed)
    assert [slot["key_name"] for slot in core(bulla, sealed)["slots"]] == ["a", "b"]
    assert bulla.open(others[0], sealed) == bulla.open(others[1], sealed) == X
    bulla.open(ring, sealed, status=5)


def test_to_a_public_key(bulla, ring, sealed, work):
    """Which can be read back, although that key alone opens nothing."""
    host = bulla.keys / "host.ring"
    bulla("key", "new", "-q", "--kind", "x25519", host)
    bulla("key", "export-public", host, "-o", bulla.home / "host.pub")
    bulla("reencrypt", "-k", ring, "--to", bulla.home / "host.pub", sealed)
    assert bulla.open(host, sealed) == X and bulla.open(ring, sealed, status=5) == b""


def test_goes_to_the_active_version(bulla, ring, sealed):
    bulla("key", "rotate", ring)
    bulla("reencrypt", "-k", ring, sealed)
    assert [slot["key_version"] for slot in core(bulla, sealed)["slots"]] == [2]


def test_passphrase_is_asked_for_once(bulla, work):
    (bulla.home / "p").write_text("secret")
    env = {"BULLA_NEW_PASSPHRASE_FILE": str(bulla.home / "p"), "BULLA_PASSPHRASE_FILE": str(bulla.home / "p")}
    bulla("encrypt", "-k", "passphrase:", "-o", "p.bulla", stdin=X, env=env)
    bulla("reencrypt", "-k", "passphrase:", "p.bulla", env=env)
    assert bulla.open("passphrase:", "p.bulla", env=env) == X


# Refused.


def test_other_passphrase_of_the_same_hint_is_not_lost(bulla, ring):
    said = {name: bulla.home / name for name in ("first", "second")}
    for name, path in said.items():
        path.write_text(f"{name} passphrase\n")
    sealed = bulla.seal(ring, X, "-k", "passphrase:", env={"BULLA_NEW_PASSPHRASE_FILE": str(said["first"])})
    env = {"BULLA_PASSPHRASE_FILE": str(said["first"]), "BULLA_NEW_PASSPHRASE_FILE": str(said["second"])}
    bulla("rewrap", "-k", ring, "-k", "passphrase:", "--add", "passphrase:", sealed, env=env)
    before = sealed.read_bytes()
    done = bulla("reencrypt", "-k", ring, "-k", "passphrase:", sealed, env={"BULLA_PASSPHRASE_FILE": str(said["first"])}, status=7)
    assert b"'plain.bulla': it is sealed to keys that were not given" in done.stderr.replace(str(sealed.parent).encode() + b"/", b"")
    assert sealed.read_bytes() == before


def test_detached_is_refused(bulla, ring, work):
    path = bulla.seal(ring, X, "--detach")
    before = snapshot(work)
    assert b"cannot be replaced in one step" in bulla("reencrypt", "-k", ring, path, status=1).stderr
    assert snapshot(work) == before


DAMAGE = {"first chunk": CHUNKS + 5, "last chunk": -5, "commitment": BODY + 30, "salt": BODY + 3}


@pytest.mark.parametrize("offset", [*DAMAGE.values(), None], ids=[*DAMAGE, "cut short"])
def test_damaged_file_stays(bulla, ring, sealed, work, offset):
    raw = sealed.read_bytes()
    sealed.write_bytes(raw[:-1] if offset is None else flip(raw, offset))
    before = snapshot(work)
    bulla("reencrypt", "-k", ring, sealed, status=4)
    assert snapshot(work) == before


def test_wrong_key(bulla, sealed, work):
    other = bulla.new_key("other.ring")
    before = snapshot(work)
    bulla("reencrypt", "-k", other, sealed, status=5)
    bulla("reencrypt", "-k", other, "--to", other, sealed, status=5)
    assert snapshot(work) == before


@pytest.mark.parametrize("what", ["link", "directory", "missing", "standard input"])
def test_what_is_not_replaced(bulla, ring, sealed, work, what):
    path = work / "p"
    {"link": lambda: path.symlink_to(sealed), "directory": path.mkdir}.get(what, lambda: 0)()
    before = snapshot(work)
    bulla("reencrypt", "-k", ring, *(["p"] if what != "standard input" else []), stdin=sealed.read_bytes(), status=(1, 2, 10))
    assert snapshot(work) == before


def test_batch(bulla, ring, work):
    for name in "abc":
        bulla.seal(ring, X, name=name)
    (work / "b.bulla").write_bytes(bytes(9000))
    before = {name: (work / f"{name}.bulla").read_bytes() for name in "abc"}
    done = bulla("reencrypt", "-k", ring, "--json", "-r", ".", status=3)
    lines = {os.path.basename(line["file"]): line for line in map(json.loads, done.stdout.splitlines())}
    assert {name: line["status"] for name, line in lines.items()} == {"a.bulla": 0, "b.bulla": 4, "c.bulla": 0}
    assert b"2 reencrypted, 0 not sealed, 0 skipped, 1 failed" in done.stderr
    assert [name for name in "abc" if (work / f"{name}.bulla").read_bytes() == before[name]] == ["b"]
    for name in "ac":
        assert lines[f"{name}.bulla"]["bytes"] == len(X) and bulla.open(ring, f"{name}.bulla") == X
        assert lines[f"{name}.bulla"]["file_id"] == core(bulla, f"{name}.bulla")["file_id"]


# Interrupted.


@pytest.fixture
def large(bulla, ring, work):
    with open(work / "large", "wb") as file:
        file.truncate(LARGE)
    bulla("encrypt", "-q", "-k", ring, "large")
    (work / "large").unlink()
    return work / "large.bulla"


def has_written(process, size):
    """Waits until the process has written so much; false if it ended before."""
    while process.poll() is None:
        with open(f"/proc/{process.pid}/io") as io:
            written = int(next(line for line in io if line.startswith("wchar:")).split()[1])
        if written > size:
            return True
        time.sleep(0.005)
    return False


# bulla is not dumpable, so nobody else may see what it does.
watches = pytest.mark.skipif(os.geteuid() != 0, reason="only root sees how much another process wrote")


@watches
@pytest.mark.parametrize("number, status", [(signal.SIGINT, 130), (signal.SIGKILL, -9)], ids=["interrupt", "kill"])
def test_interrupted_leaves_the_old_file(bulla, ring, large, work, number, status):
    before = os.stat(large)
    with open(large, "rb") as file:
        head = file.read(BODY)
    process = bulla.start("reencrypt", "-k", ring, large)
    assert has_written(process, LARGE // 50)
    process.send_signal(number)
    bulla.finish(process, status=status)
    after = os.stat(large)
    assert os.listdir(work) == [large.name]
    assert (after.st_ino, after.st_size, after.st_mtime_ns) == (before.st_ino, before.st_size, before.st_mtime_ns)
    with open(large, "rb") as file:
        assert file.read(BODY) == head


@watches
def test_file_that_changes_meanwhile_stays(bulla, ring, large, work):
    inode = os.stat(large).st_ino
    process = bulla.start("reencrypt", "-k", ring, large)
    assert has_written(process, LARGE // 50)
    os.utime(large, (0, 0))
    os.truncate(large, LARGE)
    bulla.finish(process, status=(1, 4))
    assert os.stat(large).st_ino == inode and os.listdir(work) == [large.name]
