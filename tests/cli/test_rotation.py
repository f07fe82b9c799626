"""Rotation as docs/ROTATION.md describes it: the script as it stands."""

import fcntl
import os
import pathlib
import subprocess

import pytest

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "docs" / "rotate-backups"


USAGE = b"usage: rotate-backups --copy COMMAND KEYRING#NAME ARCHIVE\n"


def rotate(ring, archive, copy='cp "$KEYRING" "$KEYRING.copy"'):
    path = f"{pathlib.Path(os.environ['BULLA']).parent}:{os.environ['PATH']}"
    return subprocess.run([SCRIPT, "--copy", copy, f"{ring}#backup", archive], capture_output=True, env={"PATH": path})


@pytest.mark.parametrize("args", [[], ["a#b", "c"], ["--copy", "true", "ring", "archive"], ["--copy", "true", "ring#", "archive"],
                                  ["--copy", "", "a#b", "c"], ["--copy", "true", "a#b", "c", "d"]])  # fmt: skip
def test_script_tells_how_it_is_called(work, args):
    done = subprocess.run([SCRIPT, *args], capture_output=True, cwd=work)
    assert (done.returncode, done.stderr) == (2, USAGE)


def test_script_finds_bulla_from_cron():
    """Whose PATH is /usr/bin:/bin."""
    trace = subprocess.run(["sh", "-x", SCRIPT, "--copy", "true", "a#b", "/nowhere"], capture_output=True, env={"PATH": "/usr/bin:/bin"})
    assert b"+ PATH=/usr/bin:/bin:/usr/local/bin\n" in trace.stderr


def versions(bulla, archive):
    rows = bulla.inspect(*sorted(archive.rglob("*.bulla")))
    return {row["slots"][0]["key_version"] for row in rows}


def test_script_rotates_and_is_silent(bulla, ring, archive):
    for expected in (2, 3):
        done = rotate(ring, archive)
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
        assert versions(bulla, archive) == {expected}
        assert pathlib.Path(f"{ring}.copy").read_bytes() == ring.read_bytes()
    bulla("verify", "-r", "-k", ring, archive)


def test_script_goes_on_after_an_interrupted_run(bulla, ring, archive):
    bulla("key", "rotate", ring)
    bulla("rewrap", "-k", ring, *sorted(archive.rglob("*.bulla"))[:7])
    assert versions(bulla, archive) == {1, 2}
    assert rotate(ring, archive).returncode == 0
    assert versions(bulla, archive) == {3}


def test_nothing_is_moved_before_the_keyring_was_copied(bulla, ring, archive):
    done = rotate(ring, archive, "echo unreachable; exit 9")
    assert done.returncode == 30 and b"unreachable\n" in done.stderr and done.stdout == b""
    assert b"the copy command failed with status 9" in done.stderr and versions(bulla, archive) == {1}
    assert rotate(ring, archive).returncode == 0 and versions(bulla, archive) == {3}


def test_damaged_file_does_not_stop_the_rotation(bulla, ring, archive):
    broken = sorted(archive.rglob("*.bulla"))[3]
    broken.write_bytes(b"not sealed any more" * 1000)
    for expected in (2, 3):
        done = rotate(ring, archive)
        assert done.returncode == 31 and broken.name.encode() in done.stderr and done.stdout == b""
        assert b"not every file could be looked at" in done.stderr
    broken.unlink()
    assert versions(bulla, archive) == {expected}


def test_files_that_need_an_old_version_are_named(bulla, ring, archive):
    """A file that another program locks stays where it is."""
    stays = sorted(archive.rglob("*.bulla"))[3]
    with open(stays, "rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        done = rotate(ring, archive)
    assert done.returncode == 32 and b"files still need a retired version" in done.stderr
    assert done.stderr.count(os.fsencode(stays)) >= 2 and b"holds a lock" in done.stderr
    assert rotate(ring, archive).returncode == 0


@pytest.mark.parametrize("what", ["nothing there", "nothing sealed"])
def test_archive_that_is_not_mounted_is_no_success(bulla, ring, work, what):
    archive = work / "mount"
    if what == "nothing sealed":
        archive.mkdir()
    done = rotate(ring, archive)
    assert done.returncode == 31 and done.stdout == b"" and b"mount" in done.stderr
