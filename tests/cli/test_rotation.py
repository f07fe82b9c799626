"""Rotation as docs/ROTATION.md describes it: the script as it stands."""

import os
import pathlib
import subprocess

import pytest

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "docs" / "rotate-backups"


def rotate(ring, archive):
    path = f"{pathlib.Path(os.environ['BULLA']).parent}:{os.environ['PATH']}"
    return subprocess.run([SCRIPT, f"{ring}#backup", archive], capture_output=True, env={"PATH": path})


@pytest.mark.parametrize("args", [[], ["ring#backup"], ["ring", "archive"], ["ring#", "archive"], ["a#b", "c", "d"]])
def test_script_tells_how_it_is_called(work, args):
    done = subprocess.run([SCRIPT, *args], capture_output=True, cwd=work)
    assert (done.returncode, done.stderr) == (2, b"usage: rotate-backups KEYRING#NAME ARCHIVE\n")


def test_script_finds_bulla_from_cron():
    """Whose PATH is /usr/bin:/bin."""
    trace = subprocess.run(["sh", "-x", SCRIPT, "a#b", "/nowhere"], capture_output=True, env={"PATH": "/usr/bin:/bin"})
    assert b"+ PATH=/usr/bin:/bin:/usr/local/bin\n" in trace.stderr


def versions(bulla, archive):
    rows = bulla.inspect(*sorted(archive.rglob("*.bulla")))
    return {row["slots"][0]["key_version"] for row in rows}


def test_script_rotates_and_is_silent(bulla, ring, archive):
    for expected in (2, 3):
        done = rotate(ring, archive)
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
        assert versions(bulla, archive) == {expected}
    bulla("verify", "-r", "-k", ring, archive)


def test_script_goes_on_after_an_interrupted_run(bulla, ring, archive):
    bulla("key", "rotate", ring)
    bulla("rewrap", "-k", ring, *sorted(archive.rglob("*.bulla"))[:7])
    assert versions(bulla, archive) == {1, 2}
    assert rotate(ring, archive).returncode == 0
    assert versions(bulla, archive) == {3}


def test_script_tells_of_a_damaged_file(bulla, ring, archive):
    broken = sorted(archive.rglob("*.bulla"))[3]
    broken.write_bytes(b"not sealed any more" * 1000)
    done = rotate(ring, archive)
    assert done.returncode == 3 and broken.name.encode() in done.stderr
    assert b"still on an old version" in done.stderr
