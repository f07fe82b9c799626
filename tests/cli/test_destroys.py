"""Versions that are destroyed one after the other, or at once, while files have slots of several."""

import os
import pty

import pytest

from sealed import content, snapshot

X = content(700)


@pytest.fixture
def two(bulla):
    """A keyring of two keys, both rotated."""
    ring = bulla.new_key("two.ring#a")
    bulla.new_key("two.ring#b")
    return ring.with_name("two.ring")


@pytest.fixture
def archive(bulla, two, work):
    """A file on version 1 of both keys, of each of which version 2 is active."""
    (work / "t").mkdir()
    bulla.seal(f"{two}#a", X, "-k", f"{two}#b", name="t/x")
    for key in "ab":
        bulla("key", "rotate", f"{two}#{key}")
    return work / "t"


def destroy(bulla, reference, archive, status=0):
    return bulla("key", "destroy", "--force", "--check", archive, reference, status=status).stderr


def test_last_way_into_a_file_stays(bulla, two, archive):
    destroy(bulla, f"{two}#a:1", archive)
    before = snapshot(bulla.keys)
    assert b"1 file still needs" in destroy(bulla, f"{two}#b:1", archive, status=7)
    assert snapshot(bulla.keys) == before and bulla.open(two, archive / "x.bulla") == X


def test_other_way_is_destroyed_while_somebody_is_asked(bulla, two, archive):
    """Both looked at the file while the other key still opened it."""
    master, slave = pty.openpty()
    asked = bulla.start("key", "destroy", "--check", archive, f"{two}#a:1", stdin=slave)
    os.close(slave)
    said = b""
    while b"type the number" not in said:
        said += os.read(asked.stderr.fileno(), 4096)
    destroy(bulla, f"{two}#b:1", archive)
    before = snapshot(bulla.keys)
    os.write(master, b"1\n")
    _, err = bulla.finish(asked, status=7)
    os.close(master)
    assert f"another version in keyring '{two}' was destroyed meanwhile\n".encode() in err and b"run it again" in err
    assert snapshot(bulla.keys) == before and bulla.open(two, archive / "x.bulla") == X
    assert b"1 file still needs" in destroy(bulla, f"{two}#a:1", archive, status=7)


def test_slot_of_a_destroyed_version_needs_no_other_version(bulla, two, archive):
    """The file opens by the other key, whose owner may not be here: that is no reason to keep all versions for ever."""
    destroy(bulla, f"{two}#a:1", archive)
    bulla("key", "rotate", f"{two}#a")
    destroy(bulla, f"{two}#a:2", archive)
    assert bulla("status", "--needs", f"{two}#a:3", "-r", archive).stdout.startswith(b"0 files still need")
    assert bulla.open(two, archive / "x.bulla") == X
