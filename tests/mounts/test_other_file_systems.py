"""A walk that comes to other file systems."""

import json
import os
import subprocess

import pytest

STAYS = b"; --one-file-system stays out"


@pytest.fixture
def tree(work):
    """A tree with two other file systems in it, one of them in the other."""
    tree, mounted = work / "tree", []
    for name in ("tree/in", "tree/in/deeper"):
        (work / name).mkdir(parents=True)
        done = subprocess.run(["mount", "-t", "tmpfs", "tmpfs", work / name], capture_output=True)
        if done.returncode != 0:
            pytest.skip(f"nothing can be mounted here: {done.stderr}")
        mounted.insert(0, work / name)
    for name in ("a", "in/b", "in/deeper/c"):
        (tree / name).write_text(name)
    yield tree
    for at in mounted:
        subprocess.run(["umount", at], check=True)


@pytest.fixture
def archive(bulla, ring, tree):
    """The same, sealed."""
    bulla("encrypt", "-k", ring, "-r", tree)
    for name in ("a", "in/b", "in/deeper/c"):
        (tree / name).unlink()
    return tree


def below(directory):
    return sorted(os.path.relpath(os.path.join(base, name), directory) for base, _, names in os.walk(directory) for name in names)


def test_encrypt_says_how_many_it_entered(bulla, ring, tree):
    done = bulla("encrypt", "-k", ring, "-r", tree)
    assert b"bulla: 2 other file systems were entered" + STAYS in done.stderr
    assert below(tree) == ["a", "a.bulla", "in/b", "in/b.bulla", "in/deeper/c", "in/deeper/c.bulla"]
    done = bulla("encrypt", "-k", ring, "--force", "-r", tree / "in")
    assert b"bulla: 1 other file system was entered" + STAYS in done.stderr


def test_one_is_nothing_to_tell(bulla, ring, tree):
    assert STAYS not in bulla("encrypt", "-k", ring, "-r", tree / "in/deeper").stderr
    assert STAYS not in bulla("encrypt", "-k", ring, tree / "a", tree / "in/b").stderr


def test_encrypt_stays(bulla, ring, tree, work):
    done = bulla("encrypt", "-k", ring, "--one-file-system", "-r", tree)
    assert b"skipped '%s': on another file system" % os.fsencode(tree / "in") in done.stderr
    assert below(tree) == ["a", "a.bulla", "in/b", "in/deeper/c"]
    (work / "out").mkdir()
    bulla("encrypt", "-k", ring, "--one-file-system", "-r", "-o", "out", tree / "in")
    assert below(work / "out") == ["b.bulla"] and not (work / "out/deeper").exists()


@pytest.mark.parametrize(
    "verb", [["verify"], ["status"], ["rewrap"], ["reencrypt"], ["decrypt"], ["status", "--needs"]], ids=lambda words: " ".join(words)
)
def test_what_was_not_looked_at_proves_nothing(bulla, ring, archive, verb):
    key = [] if verb == ["status"] else [ring] if "--needs" in verb else ["-k", ring]
    other = bulla.new_key("other.ring")
    key = [other] if "--needs" in verb else key
    done = bulla(*verb, *key, "-r", "--json", "--one-file-system", archive, status=3)
    assert b"'%s' was not looked at: on another file system" % os.fsencode(archive / "in") in done.stderr
    assert STAYS not in done.stderr and b"in/b" not in done.stdout
    reports = [json.loads(line) for line in done.stdout.splitlines()]
    assert [r["file"] for r in reports if r.get("skipped") == "on another file system"] == [str(archive / "in")]
    again = ["--force"] if verb == ["decrypt"] else []
    assert b"2 other file systems were entered" in bulla(*verb, *key, *again, "-r", archive).stderr


def test_destroy_needs_to_look_everywhere(bulla, ring, archive):
    bulla("key", "rotate", ring)
    bulla("rewrap", "-k", ring, "-r", archive)
    bulla("key", "destroy", "--force", "--check", archive, "--one-file-system", f"{ring}#backup:1", status=3)
    bulla("key", "destroy", "--force", "--check", archive, f"{ring}#backup:1")


def test_inspect_stays(bulla, archive):
    shown = bulla("inspect", "--json", "-r", "--one-file-system", archive, status=(0, 3)).stdout
    assert b"a.bulla" in shown and b"b.bulla" not in shown
