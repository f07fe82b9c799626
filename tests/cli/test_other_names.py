"""Sealed files that are not named like sealed files: a walk sees them by their envelopes."""

import json
import os

import pytest

from program import BOUND
from sealed import snapshot

X = b"content"


@pytest.fixture
def tree(bulla, ring, work):
    """One sealed file, one detached, one with an exported envelope, an exported envelope alone, and plain ones."""
    (work / "t/deep").mkdir(parents=True)
    bulla("encrypt", "-k", ring, "-o", "t/dump.sealed", stdin=X)
    (work / "t/deep/piped").write_bytes(bulla("encrypt", "-k", ring, stdin=X).stdout)
    bulla("encrypt", "-k", ring, "--detach", "-o", "t/apart", stdin=X)
    bulla.seal(ring, X, name="t/own")
    bulla("envelope", "export", "t/own.bulla")
    bulla("envelope", "export", "t/dump.sealed", "-o", "t/alone.env")
    for name in ("plain", "plain.env", "empty", "short"):
        (work / "t" / name).write_bytes(b"bulla\r\n" if name == "short" else b"" if name == "empty" else X)
    return work / "t"


SEALED = ["t/apart", "t/deep/piped", "t/dump.sealed", "t/own.bulla"]


def seen(bulla, *args, status=0):
    lines = [json.loads(line) for line in bulla(*args, "--json", "-r", "t", status=status).stdout.splitlines()]
    return sorted(line["file"] for line in lines if "file" in line and "skipped" not in line)


def test_each_verb_sees_them(bulla, ring, tree):
    """The envelope that lies alone may have lost its body."""
    assert seen(bulla, "verify", "-k", ring, status=3) == SEALED
    assert seen(bulla, "status") == sorted([*SEALED, "t/alone.env", "t/own.bulla.env"])
    assert seen(bulla, "rewrap", "-k", ring) == sorted([*SEALED, "t/alone.env"])


def test_reencrypt_sees_them(bulla, ring, tree):
    """The detached one is refused, as one that was named would be."""
    before = {name: (tree.parent / name).read_bytes() for name in SEALED}
    assert seen(bulla, "reencrypt", "-k", ring, status=3) == SEALED
    assert [name for name in SEALED if (tree.parent / name).read_bytes() == before[name]] == ["t/apart"]


def test_key_that_they_need_is_not_destroyed(bulla, ring, tree):
    bulla("key", "rotate", ring)
    for name in ("own.bulla", "own.bulla.env", "apart", "apart.env"):
        (tree / name).unlink()
    old = f"{ring}#backup:1"
    assert bulla("status", "-r", "--needs", old, "t", status=7).stdout.endswith(f"\n3 files still need {old}\n".encode())
    bulla("key", "destroy", "--force", "--check", "t", old, status=7)
    bulla("rewrap", "-k", ring, "-r", "t")
    bulla("status", "-r", "--needs", old, "t")
    bulla("key", "destroy", "--force", "--check", "t", old)
    for name in ("dump.sealed", "deep/piped"):
        assert bulla("decrypt", "-k", ring, "-o", "-", tree / name).stdout == X


def test_exported_envelope_stays_on_the_old_key_and_counts(bulla, ring, work):
    sealed, old = bulla.seal(ring, X), f"{ring}#backup:1"
    bulla("envelope", "export", sealed)
    bulla("key", "rotate", ring)
    for options in (["-n"], [], ["-q"]):
        done = bulla("rewrap", *options, "-k", ring, sealed, status=3)
        assert b"'%s.env' is an exported envelope that still has the old slots" % os.fsencode(sealed) in done.stderr
    assert bulla("status", "--needs", old, "-r", ".", status=7).stdout.startswith(b"./plain.bulla.env\n")
    assert bulla("status", "--needs", old, f"{sealed}.env", status=7).stdout
    bulla("envelope", "export", "--force", sealed)
    assert b"exported" not in bulla("rewrap", "-k", ring, sealed).stderr
    bulla("status", "--needs", old, "-r", ".")


def test_envelope_of_another_file_is_not_warned_of(bulla, ring, work):
    sealed, other = bulla.seal(ring, X), bulla.seal(ring, X, name="other")
    bulla("envelope", "export", other, "-o", f"{sealed}.env")
    bulla("key", "rotate", ring)
    assert b"exported" not in bulla("rewrap", "-k", ring, sealed).stderr


def test_plain_files_stay(bulla, ring, tree):
    before = snapshot(tree)
    bulla("key", "rotate", "-q", ring)
    bulla("rewrap", "-k", ring, "-r", "t", status=3)  # for the exported envelope
    after = snapshot(tree)
    changed = {os.fsdecode(os.path.relpath(name, os.fsencode(tree))) for name in before if before[name] != after[name]}
    assert changed == {"dump.sealed", "deep/piped", "apart.env", "own.bulla", "alone.env"}


def test_file_that_cannot_be_read_is_not_passed_over(bulla, ring, tree):
    (tree / "deep/piped").chmod(0)
    done = bulla("status", "-r", "--needs", bulla.new_key("other.ring"), "t", status=3, under=BOUND)
    assert b"t/deep/piped" in done.stderr and b"still need" not in done.stdout
    done = bulla("status", "-r", "--needs", ring, "t", status=7, under=BOUND)
    assert b"t/deep/piped" in done.stderr and b"5 files still need" in done.stdout


# What a walk leaves out of a result is named.


def skipped(bulla, *args, says="skipped '{}': {}\n", status=0):
    done = bulla(*args, "--json", "-r", "t", "-o", "out", status=status)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    found = {line["file"]: line["skipped"] for line in lines if "skipped" in line}
    for name, why in found.items():
        assert says.format(name, why).encode() in done.stderr
    return found


def test_sealed_files_are_missing_in_the_sealed_tree(bulla, ring, tree, work):
    (work / "out").mkdir()
    (tree / "link").symlink_to("plain")
    assert skipped(bulla, "encrypt", "-k", ring) == {
        "t/own.bulla": "sealed already", "t/own.bulla.env": "sealed already", "t/link": "a symbolic link"
    }  # fmt: skip
    assert (work / "out/plain.bulla").exists() and not (work / "out/own.bulla").exists()


def test_sealed_files_are_passed_by_in_place(bulla, ring, tree):
    done = bulla("encrypt", "-k", ring, "--json", "-r", "t")
    assert b"skipped '" not in done.stderr and b", 2 skipped, 0 failed" in done.stderr and b"own" not in done.stdout


def test_sealed_files_that_decrypt_cannot_name(bulla, ring, tree, work):
    (work / "out").mkdir()
    why = "sealed, but its name does not end in .bulla"
    expected = dict.fromkeys(["t/apart", "t/deep/piped", "t/dump.sealed"], why)
    expected["t/alone.env"] = "an envelope without the file that it opens"
    assert skipped(bulla, "decrypt", "-k", ring, says="'{}' was not looked at: {}\n", status=3) == expected
    assert [path.name for path in (work / "out").rglob("*") if path.is_file()] == ["own"]
