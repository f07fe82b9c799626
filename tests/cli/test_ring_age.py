"""Keyrings know their age: an old copy moves nothing back, and no version goes while a run seals to it."""

import fcntl
import hashlib
import json
import os
import shutil
import struct
import time

import pytest

from held import held
from program import BOUND
from sealed import content, edit_ring, snapshot

X = b"content"
ROTATED = "key 'backup' was rotated meanwhile: version 2 is active, not 1"


def old_copy(ring):
    """A copy of a keyring, which will be the old one."""
    copy = ring.with_name("old.ring")
    shutil.copy(ring, copy)
    return copy


def rotate(bulla, ring):
    bulla("key", "rotate", "-q", ring)


def version_of(bulla, sealed):
    return [slot["key_version"] for slot in bulla.inspect(sealed)[0]["slots"]]


def states(bulla, ring):
    return [(row["version"], row["state"]) for row in bulla.list_keys(ring)]


# A ring that is older than the file.


@pytest.fixture
def newer(bulla, ring):
    """A file that is sealed to version 3, and a copy of its ring that has versions 1 and 2."""
    rotate(bulla, ring)
    old = old_copy(ring)
    rotate(bulla, ring)
    return old, bulla.seal(ring, X)


@pytest.mark.parametrize("key", ["", "#backup", "#backup:1"])
@pytest.mark.parametrize("args", [["decrypt"], ["decrypt", "--remove-source"], ["verify"], ["reencrypt"]], ids=" ".join)
def test_old_ring_says_so(bulla, newer, work, args, key):
    old, sealed = newer
    before = snapshot(work)
    done = bulla(*args, "-k", f"{old}{key}", sealed, status=7)
    says = f"'{sealed}': keyring '{old}' is older than the file: the file is sealed to version 3 of key 'backup', and the keyring has it up to version 2"
    assert done.stderr.decode().startswith(f"bulla: {says}\nbulla: hint: use the newer copy of the keyring\n")
    assert done.stdout == b"" and snapshot(work) == before


def test_old_ring_does_not_hinder_another_key(bulla, ring):
    old = old_copy(ring)
    other = bulla.new_key("other.ring")
    rotate(bulla, ring)
    sealed = bulla.seal(ring, X, "-k", other)
    assert bulla("decrypt", "-k", old, "-k", other, "-o", "-", sealed).stdout == X


def test_gap_between_versions_is_no_newer_version(bulla, ring):
    """A ring that knows of later ones is no older than the file: the version is gone."""
    sealed = bulla.seal(ring, X)
    rotate(bulla, ring)
    edit_ring(ring, lambda r: r["keys"][0]["versions"].pop(0) and None)
    assert bulla.open(ring, sealed, status=5) == b""


@pytest.mark.parametrize("key", ["#backup", "#backup:1", "#backup:2"])
def test_nothing_is_said_of_a_file_of_a_newer_version(bulla, newer, key):
    """An old ring cannot tell, so it does not say that nothing needs it."""
    old, sealed = newer
    done = bulla("status", "--needs", f"{old}{key}", sealed, status=7)
    assert f"'{sealed}': the given keyring is older than the file".encode() in done.stderr and done.stdout == b""
    bulla("status", "-r", "--needs", f"{old}{key}", sealed.parent, status=3)


def test_old_ring_destroys_nothing(bulla, newer):
    old, sealed = newer
    before = snapshot(bulla.keys)
    done = bulla("key", "destroy", "--force", "--check", sealed, f"{old}#backup:1", status=3)
    assert b"older than the file" in done.stderr and b"not all could be looked at" in done.stderr and snapshot(bulla.keys) == before


MOVES = {
    "refresh": ["-k", "OLD"],
    "one key": ["-k", "OLD#backup"],
    "one version": ["-k", "OLD#backup:1"],
    "to it": ["-k", "OTHER", "--to", "OLD#backup"],
    "add it": ["-k", "OTHER", "--add", "OLD#backup"],
}


@pytest.mark.parametrize("args", MOVES.values(), ids=MOVES)
def test_old_ring_moves_nothing_back(bulla, ring, work, args):
    old, other = old_copy(ring), bulla.new_key("other.ring")
    rotate(bulla, ring)
    sealed = bulla.seal(ring, X, "-k", other)
    before = snapshot(work)
    words = [word.replace("OLD", str(old)).replace("OTHER", str(other)) for word in args]
    done = bulla("rewrap", *words, sealed, status=7)
    assert b"older than the file" in done.stderr and snapshot(work) == before


def test_old_ring_reencrypts_nothing_back(bulla, ring, work):
    old, other = old_copy(ring), bulla.new_key("other.ring")
    rotate(bulla, ring)
    sealed = bulla.seal(ring, X, "-k", other)
    before = snapshot(work)
    done = bulla("reencrypt", "-k", other, "--to", old, "--to", other, sealed, status=7)
    assert b"older than the file" in done.stderr and snapshot(work) == before


# A ring that changes between the time it was read and the first wrap.


@pytest.fixture
def asked(bulla, ring, work):
    """Encrypts to the ring's key, and to more, and stops where it asks for the ring's passphrase; finish lets it go on."""
    fifo, new = bulla.home / "fifo", bulla.home / "new"
    new.write_bytes(b"correct horse")
    bulla("key", "passphrase", "-q", ring, env={"BULLA_NEW_PASSPHRASE_FILE": str(new)})
    os.mkfifo(fifo)
    (work / "plain").write_bytes(X)

    class Asked:
        def start(self, *more):
            self.process = bulla.start("encrypt", "--remove-source", "-k", ring, *more, "plain", env={"BULLA_PASSPHRASE_FILE": str(fifo)})
            self.typed = open(fifo, "wb")  # when bulla opens it too

        def finish(self, **how):
            self.typed.write(b"correct horse")
            self.typed.close()
            return bulla.finish(self.process, **how)[1].decode()

        def __init__(self):
            self.env = {"BULLA_PASSPHRASE_FILE": str(new)}

    return Asked()


def check_refused(asked, work, says):
    """No result, and the source is still there."""
    err = asked.finish(status=7)
    assert says in err and sorted(os.listdir(work)) == ["plain"] and (work / "plain").read_bytes() == X


def test_rotation_before_the_first_wrap(bulla, ring, work, asked):
    asked.start()
    bulla("key", "rotate", "-q", ring, env=asked.env)
    check_refused(asked, work, f"{ROTATED}\nbulla: hint: run it again: then it seals to version 2\n")


CHANGES = [(["retire"], "retired"), (["disable"], "disabled"), (["retire", "destroy"], "destroyed")]


@pytest.mark.parametrize("verbs, state", CHANGES, ids=[state for _, state in CHANGES])
def test_change_before_the_first_wrap(bulla, ring, work, asked, verbs, state):
    asked.start()
    for verb in verbs:
        bulla("key", verb, *(["--force"] if verb == "destroy" else []), f"{ring}#backup:1")
    check_refused(asked, work, f"version 1 of key 'backup' is {state} now")


def test_ring_that_is_gone_before_the_first_wrap(ring, work, asked):
    asked.start()
    ring.unlink()
    err = asked.finish(status=1)
    assert f"cannot look at '{ring}' again: No such file or directory" in err and os.listdir(work) == ["plain"]


def test_change_of_other_keys_before_the_first_wrap(bulla, ring, work, asked):
    asked.start()
    bulla("key", "new", "-q", f"{ring}#other", env=asked.env)
    asked.finish()
    assert bulla.open(ring, work / "plain.bulla", env=asked.env) == X and os.listdir(work) == ["plain.bulla"]


@pytest.fixture
def public(bulla):
    """A ring with a pair of keys, and its public key file."""
    ring, file = bulla.keys / "host.ring", bulla.keys / "host.pub"
    bulla("key", "new", "-q", "--kind", "x25519", ring)
    bulla("key", "export-public", ring, "-o", file)
    return ring, file


@pytest.mark.parametrize("what", ["renewed", "of another key", "removed", "the same"])
def test_public_key_file_that_changes_before_the_first_wrap(bulla, work, asked, public, what):
    ring, file = public
    asked.start("-k", file)
    if what == "renewed":
        rotate(bulla, ring)
    if what == "of another key":
        ring.unlink()
        bulla("key", "new", "-q", "--kind", "x25519", ring)
    file.unlink()
    if what != "removed":
        bulla("key", "export-public", ring, "-o", file)
    if what == "the same":
        asked.finish()
        assert bulla.open(ring, work / "plain.bulla") == X
        return
    says = {"renewed": "key 'host' was rotated meanwhile: version 2 is active, not 1",
            "of another key": f"public key file '{file}' has another key now",
            "removed": f"cannot look at '{file}' again: No such file or directory"}  # fmt: skip
    err = asked.finish(status=1 if what == "removed" else 7)
    assert says[what] in err and os.listdir(work) == ["plain"]


# A version that a run seals to is not destroyed.

F_OFD_GETLK, FLOCK = 36, "hhqqi4x"


def in_use(ring, version, key=0):
    """Whether a run holds the lock of a version."""
    key_id = bytes.fromhex(json.loads(ring.read_text())["keys"][key]["id"])
    start = int.from_bytes(hashlib.sha256(key_id + version.to_bytes(4, "big")).digest()[:8], "big") >> 2
    directory = os.open(ring.parent, os.O_RDONLY)
    try:
        asked = fcntl.fcntl(directory, F_OFD_GETLK, struct.pack(FLOCK, fcntl.F_WRLCK, os.SEEK_SET, start, 1, 0))
    finally:
        os.close(directory)
    return struct.unpack(FLOCK, asked)[0] != fcntl.F_UNLCK


def sealing(bulla, ring, *options, key=None, version=1, args=("-o", "out.bulla"), **how):
    """A run that seals its standard input, of which a part came, to a version of the ring."""
    process = bulla.start("encrypt", "-k", key or ring, *options, *args, **how)
    process.stdin.write(content(100000))
    process.stdin.flush()
    while not in_use(ring, version):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.01)
    return process


def test_version_in_use_is_not_destroyed(bulla, ring):
    """Runs are looked for before files, of which they may make more; a rotation waits for nobody. All of it confined."""
    bulla.seal(ring, X)
    run = sealing(bulla, ring, env={"BULLA_CONFINE": "must"})
    rotate(bulla, ring)
    before = snapshot(bulla.keys)
    for more in ([], ["--check", bulla.work]):
        done = bulla("key", "destroy", "--force", *more, f"{ring}#backup:1", env={"BULLA_CONFINE": "must"}, status=7)
        says = "version 1 of key 'backup' is in use: a run on this host seals to it"
        assert done.stderr.decode() == f"bulla: {says}\nbulla: hint: wait until that run ends; 'ps -fC bulla' shows what runs\n"
    assert snapshot(bulla.keys) == before and states(bulla, ring) == [(1, "retired"), (2, "active")]
    run.kill()
    run.wait()
    bulla("key", "destroy", "--force", f"{ring}#backup:1")
    assert states(bulla, ring) == [(1, "destroyed"), (2, "active")]


def test_disabled_version_in_use_is_not_destroyed(bulla, ring):
    sealing(bulla, ring)
    bulla("key", "disable", f"{ring}#backup:1")
    assert b"in use" in bulla("key", "destroy", "--force", f"{ring}#backup:1", status=7).stderr


def test_destroy_asks_nothing_while_the_version_is_in_use(bulla, ring):
    """There is no terminal here, which would be told otherwise."""
    sealing(bulla, ring)
    rotate(bulla, ring)
    done = bulla("key", "destroy", f"{ring}#backup:1", status=7)
    assert b"in use" in done.stderr and b"terminal" not in done.stderr


def test_other_versions_and_keys_are_destroyed_meanwhile(bulla, ring):
    bulla.new_key("backup.ring#other")
    for _ in range(2):
        rotate(bulla, f"{ring}#backup")
        rotate(bulla, f"{ring}#other")
    sealing(bulla, ring, key=f"{ring}#backup", version=3)
    rotate(bulla, f"{ring}#backup")
    rotate(bulla, f"{ring}#other")
    for gone in ("backup:1", "backup:2", "other:1", "other:3"):
        bulla("key", "destroy", "--force", f"{ring}#{gone}")
    bulla("key", "destroy", "--force", f"{ring}#backup:3", status=7)


def test_run_that_only_opens_keeps_no_version(bulla, ring):
    held(bulla, ring)
    assert not in_use(ring, 1)
    rotate(bulla, ring)
    bulla("key", "destroy", "--force", f"{ring}#backup:1")


def test_host_with_the_public_key_alone_keeps_the_version_in_its_directory(bulla, public):
    ring, file = public
    sealing(bulla, ring, key=file)
    rotate(bulla, ring)
    assert b"in use" in bulla("key", "destroy", "--force", f"{ring}#host:1", status=7).stderr


def test_directory_that_cannot_be_read_does_not_hinder_a_run(bulla, ring):
    """It cannot be locked then."""
    bulla.keys.chmod(0o311)
    sealed = bulla("encrypt", "-k", ring, stdin=X, under=BOUND).stdout
    bulla.keys.chmod(0o755)
    assert bulla("decrypt", "-k", ring, stdin=sealed).stdout == X


def test_run_that_has_ended_keeps_no_version(bulla, ring):
    run = sealing(bulla, ring)
    bulla.finish(run)
    assert not in_use(ring, 1)
    assert bulla.open(ring, bulla.work / "out.bulla") == content(100000)


# A ring that changes while a run seals.


def test_rotation_during_a_run(bulla, ring, work):
    run = sealing(bulla, ring)
    rotate(bulla, ring)
    _, err = bulla.finish(run, status=7)
    assert f"{ROTATED}\nbulla: hint: run it again" in err.decode() and os.listdir(work) == []


def test_rotation_during_a_run_to_standard_output(bulla, ring):
    """What came out already is told to be worth nothing by the status."""
    run = sealing(bulla, ring, args=[])
    rotate(bulla, ring)
    assert ROTATED in bulla.finish(run, status=7)[1].decode()


def test_rotation_during_a_run_that_detaches(bulla, ring, work):
    run = sealing(bulla, ring, "--detach")
    rotate(bulla, ring)
    assert ROTATED in bulla.finish(run, status=7)[1].decode() and os.listdir(work) == []


def test_file_that_was_there_stays_when_the_key_was_rotated(bulla, ring, work):
    (work / "out.bulla").write_bytes(b"before")
    run = sealing(bulla, ring, "--force")
    rotate(bulla, ring)
    bulla.finish(run, status=7)
    assert (work / "out.bulla").read_bytes() == b"before" and os.listdir(work) == ["out.bulla"]


@pytest.mark.parametrize("verb", ["retire", "disable"])
def test_change_of_state_during_a_run(bulla, ring, work, verb):
    run = sealing(bulla, ring)
    bulla("key", verb, f"{ring}#backup:1")
    _, err = bulla.finish(run, status=7)
    assert f"version 1 of key 'backup' is {verb}d now" in err.decode() and os.listdir(work) == []


@pytest.mark.parametrize("what", ["renewed", "removed"])
def test_public_key_file_that_changes_during_a_run(bulla, public, work, what):
    ring, file = public
    run = sealing(bulla, ring, key=file)
    file.unlink()
    if what == "renewed":
        rotate(bulla, ring)
        bulla("key", "export-public", ring, "-o", file)
    says = "was rotated meanwhile" if what == "renewed" else f"cannot look at '{file}' again"
    assert says in bulla.finish(run, status=7 if what == "renewed" else 1)[1].decode()
    assert os.listdir(work) == []


def test_each_of_several_keys_is_looked_at(bulla, ring, work):
    other = bulla.new_key("other.ring")
    run = sealing(bulla, ring, "-k", other)
    rotate(bulla, other)
    assert "key 'other' was rotated meanwhile" in bulla.finish(run, status=7)[1].decode() and os.listdir(work) == []


def test_change_of_other_keys_during_a_run(bulla, ring, work):
    bulla.new_key("backup.ring#other")
    rotate(bulla, f"{ring}#backup")
    run = sealing(bulla, ring, key=f"{ring}#backup", version=2)
    rotate(bulla, f"{ring}#other")
    bulla("key", "destroy", "--force", f"{ring}#backup:1")
    bulla.finish(run)
    assert bulla.open(ring, work / "out.bulla") == content(100000)


class Listed:
    """A run over files whose names come one by one; each gives its report before the next is named."""

    def __init__(self, bulla, *args, **how):
        self.bulla = bulla
        self.process = bulla.start(*args, "--json", "-j1", "--files-from", "-", **how)

    def give(self, name):
        self.process.stdin.write(f"{name}\n".encode())
        self.process.stdin.flush()

    def do(self, name):
        self.give(name)
        return json.loads(self.process.stdout.readline())


def test_rotation_between_two_files_of_a_run(bulla, ring, work):
    """The first is done; of the second nothing is made, and its source stays."""
    for name in "ab":
        (work / name).write_bytes(name.encode())
    run = Listed(bulla, "encrypt", "--remove-source", "-k", ring)
    assert run.do("a")["status"] == 0
    rotate(bulla, ring)
    assert run.do("b")["status"] == 7
    _, err = bulla.finish(run.process, status=3)
    assert ROTATED in err.decode() and sorted(os.listdir(work)) == ["a.bulla", "b"]
    assert bulla.open(ring, work / "a.bulla") == b"a"


@pytest.mark.parametrize("change", ["rotate", "other"])
def test_change_between_two_files_of_a_rewrap(bulla, ring, work, change):
    """A file that is moved goes to the active version, or stays as it was."""
    for name in "ab":
        bulla.seal(ring, X, name=name)
    rotate(bulla, ring)
    run = Listed(bulla, "rewrap", "-k", f"{ring}#backup")
    assert run.do("a.bulla")["status"] == 0
    before = (work / "b.bulla").read_bytes()
    if change == "rotate":
        rotate(bulla, ring)
        assert run.do("b.bulla")["status"] == 7 and (work / "b.bulla").read_bytes() == before
        _, err = bulla.finish(run.process, status=3)
        assert "key 'backup' was rotated meanwhile: version 3 is active, not 2" in err.decode()
    else:
        bulla("key", "new", "-q", f"{ring}#other")
        assert run.do("b.bulla")["status"] == 0
        bulla.finish(run.process)
        assert version_of(bulla, work / "b.bulla") == [2]
    assert version_of(bulla, work / "a.bulla") == [2]
    assert sorted(os.listdir(work)) == ["a.bulla", "b.bulla"]
    assert [bulla.open(ring, work / name) for name in ("a.bulla", "b.bulla")] == [X] * 2


def test_version_that_a_rewrap_moves_to_is_not_destroyed(bulla, ring, work):
    for name in "ab":
        bulla.seal(ring, X, name=name)
    rotate(bulla, ring)
    run = Listed(bulla, "rewrap", "-k", ring)
    run.do("a.bulla")
    assert in_use(ring, 2) and not in_use(ring, 1)
    rotate(bulla, ring)
    bulla("key", "destroy", "--force", f"{ring}#backup:2", status=7)
    run.process.kill()


def test_rotation_between_two_files_of_a_reencryption(bulla, ring, work):
    for name in "ab":
        bulla.seal(ring, X, name=name)
    run = Listed(bulla, "reencrypt", "-k", ring)
    assert run.do("a.bulla")["status"] == 0
    rotate(bulla, ring)
    before = (work / "b.bulla").read_bytes()
    assert run.do("b.bulla")["status"] == 7 and (work / "b.bulla").read_bytes() == before
    assert ROTATED in bulla.finish(run.process, status=3)[1].decode()
    assert sorted(os.listdir(work)) == ["a.bulla", "b.bulla"]


def test_ring_is_read_again_while_other_threads_report(bulla, ring, work):
    """Each in memory of its own."""
    count = 200
    for number in range(count):
        (work / f"f{number}").write_bytes(b"%d" % number)
    run = bulla.start("encrypt", "--json", "--remove-source", "-j8", "-k", f"{ring}#backup", "--files-from", "-")
    for number in range(count):
        run.stdin.write(b"f%d\n" % number)
        run.stdin.flush()
        if number % 8 == 0:
            bulla("key", "new", "-q", f"{ring}#k{number}")
    out, _ = bulla.finish(run)
    assert sorted(json.loads(line)["status"] for line in out.splitlines()) == [0] * count
    bulla("verify", "-q", "-k", ring, "-r", work)
    assert sorted(os.listdir(work)) == sorted(f"f{number}.bulla" for number in range(count))


def test_keyring_that_was_replaced_meanwhile_is_still_the_keyring(bulla, ring, work):
    """Removed after it was sealed to itself, it would take all with it."""
    (work / "a").write_bytes(X)
    run = bulla.start("encrypt", "-j1", "--remove-source", "-k", ring, "-o", work, "--files-from", "-")
    run.stdin.write(b"a\n")
    run.stdin.flush()
    while (work / "a").exists():
        time.sleep(0.01)
    bulla("key", "new", "-q", f"{ring}#other")
    _, err = bulla.finish(run, f"{ring}\n".encode(), status=3)
    assert b"is the keyring that is used and is not removed" in err and ring.exists()
