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
from sealed import content, edit_ring, set_state, snapshot

X = b"content"
ROTATED = "key 'backup' was rotated meanwhile: version 2 is active, not 1"


def old_copy(bulla, ring, name="old.ring"):
    """A copy of a keyring, which will be the old one."""
    copy = ring.with_name(name)
    shutil.copy(ring, copy)
    return copy


def rotate(bulla, ring, times=1):
    for _ in range(times):
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
    old = old_copy(bulla, ring)
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
    old = old_copy(bulla, ring)
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
def test_file_of_a_newer_version_counts_as_one_that_needs_the_key(bulla, newer, key):
    """An old ring cannot tell, so it does not say that nothing needs it."""
    old, sealed = newer
    done = bulla("status", "--needs", f"{old}{key}", sealed, status=7)
    assert str(sealed).encode() in done.stdout


def test_old_ring_destroys_nothing(bulla, newer):
    old, sealed = newer
    before = snapshot(bulla.keys)
    done = bulla("key", "destroy", "--force", "--check", sealed, f"{old}#backup:1", status=7)
    assert b"1 file still needs" in done.stderr and snapshot(bulla.keys) == before


MOVES = {
    "refresh": ["-k", "OLD"],
    "one key": ["-k", "OLD#backup"],
    "one version": ["-k", "OLD#backup:1"],
    "to it": ["-k", "OTHER", "--to", "OLD#backup"],
    "add it": ["-k", "OTHER", "--add", "OLD#backup"],
}


@pytest.mark.parametrize("args", MOVES.values(), ids=MOVES)
def test_old_ring_moves_nothing_back(bulla, ring, work, args):
    old, other = old_copy(bulla, ring), bulla.new_key("other.ring")
    rotate(bulla, ring)
    sealed = bulla.seal(ring, X, "-k", other)
    before = snapshot(work)
    words = [word.replace("OLD", str(old)).replace("OTHER", str(other)) for word in args]
    done = bulla("rewrap", *words, sealed, status=7)
    assert b"older than the file" in done.stderr and snapshot(work) == before


def test_old_ring_reencrypts_nothing_back(bulla, ring, work):
    old, other = old_copy(bulla, ring), bulla.new_key("other.ring")
    rotate(bulla, ring)
    sealed = bulla.seal(ring, X, "-k", other)
    before = snapshot(work)
    done = bulla("reencrypt", "-k", other, "--to", old, "--to", other, sealed, status=7)
    assert b"older than the file" in done.stderr and snapshot(work) == before
