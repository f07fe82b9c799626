"""--remove-source takes the file that was sealed or opened, and no other: not a device, not what got its name meanwhile."""

import os
import stat

import pytest

from sealed import content, make_null, snapshot
from step import Stepped

PLAIN, OTHER = content(50_000), content(40_000, 1)


def contents(directory):
    """What the files of a directory hold, those with temporary names under one name."""
    return {"aside" if p.name.startswith(".bulla-") else p.name: p.read_bytes() for p in directory.iterdir()}


def replace(work, name):
    (work / "new").write_bytes(OTHER)
    os.replace(work / "new", work / name)


def make(work, name):
    (work / name).write_bytes(OTHER)


def write(work, name):
    """As a program that has it open all the time."""
    with open(work / name, "r+b") as file:
        file.write(OTHER)


def nothing(work, name):
    pass


# What happens before a call of the removal, and what is there in the end: of "old" (what was read), "new" and both, where.
RACES = {
    "nothing": ({}, 0, {}, ""),
    "replaced before it is put aside": ({"renameat": replace}, 1, {"source": OTHER}, "is not the file that was read"),
    "written before it is put aside": ({"renameat": write}, 1, {"source": OTHER}, "changed after it was read"),
    "made anew before it goes": ({"unlinkat": make}, 0, {"source": OTHER}, ""),
    "replaced, and made once more": ({"renameat": replace, "renameat2": make}, 1, {"source": OTHER, "aside": OTHER}, "hint: it is called '.bulla-"),
}  # fmt: skip


@pytest.mark.parametrize("verb", ["encrypt", "decrypt"])
@pytest.mark.parametrize("race", RACES)
def test_only_what_was_read_goes(bulla, ring, work, step_library, race, verb):
    moves, status, left, said = RACES[race]
    source, result = ("f", "f.bulla") if verb == "encrypt" else ("f.bulla", "f")
    (work / "f").write_bytes(PLAIN)
    if verb == "decrypt":
        bulla("encrypt", "-k", ring, "--remove-source", "f")
    sealed = (work / source).read_bytes()
    run = Stepped(bulla, step_library, verb, "-k", ring, "--remove-source", source)
    for call in run:
        moves.get(call.name, nothing)(work, source)
    got, err = run.end()
    found = contents(work)
    opened = found.pop(result)
    assert got == status and said in err and f"'{source}'" in err + f"'{source}'" * (status == 0)
    expected = {source if k == "source" else k: v for k, v in left.items()}
    if "written" in race:
        expected = {source: OTHER + sealed[len(OTHER) :]}
    assert found == expected
    assert (bulla.open(ring, result) if verb == "encrypt" else opened) == PLAIN


def test_envelope_beside_goes_by_the_same_steps(bulla, ring, work, step_library):
    """The second to go of a detached pair."""
    (work / "f").write_bytes(PLAIN)
    bulla("encrypt", "-k", ring, "--detach", "--remove-source", "f")
    run, renames = Stepped(bulla, step_library, "decrypt", "-k", ring, "--remove-source", "f.bulla"), 0
    for call in run:
        renames += call.name == "renameat"
        if call.name == "renameat" and renames == 2:
            replace(work, "f.bulla.env")
    status, said = run.end()
    assert status == 1 and renames == 2 and "'f.bulla.env' is not the file that was read" in said
    assert contents(work) == {"f": PLAIN, "f.bulla.env": OTHER}


@pytest.mark.parametrize("verb", ["encrypt", "decrypt"])
def test_killed_before_it_goes(bulla, ring, work, step_library, verb):
    """The source is there, under its name or another."""
    (work / "f").write_bytes(PLAIN)
    if verb == "decrypt":
        bulla("encrypt", "-k", ring, "--remove-source", "f")
    source = "f" if verb == "encrypt" else "f.bulla"
    before = (work / source).read_bytes()
    run = Stepped(bulla, step_library, verb, "-k", ring, "--remove-source", source)
    for call in run:
        if call.name == "unlinkat":
            break
    run.kill()
    assert contents(work)["aside"] == before and len(contents(work)) == 2


# What is no regular file.


def test_device_stays(bulla, ring, work):
    make_null(work / "disk")
    done = bulla("encrypt", "-k", ring, "--remove-source", "disk", status=1)
    assert done.stderr == b"bulla: 'disk' is not a regular file and is not removed\n"
    assert os.listdir(work) == ["disk"] and stat.S_ISCHR((work / "disk").stat().st_mode)


@pytest.mark.parametrize("verb", ["encrypt", "decrypt"])
def test_fifo_stays(bulla, ring, work, verb):
    data = PLAIN if verb == "encrypt" else bulla("encrypt", "-k", ring, stdin=PLAIN).stdout
    os.mkfifo(work / "fifo")
    before = snapshot(work)
    end = os.open(work / "fifo", os.O_RDWR)
    os.write(end, data)  # all of it fits
    done = bulla(verb, "-k", ring, "--remove-source", "-o", "out", "fifo", status=1)
    os.close(end)
    assert (done.stdout, done.stderr) == (b"", b"bulla: 'fifo' is not a regular file and is not removed\n")
    assert snapshot(work) == before


def test_device_in_a_list_stays_and_the_others_go(bulla, ring, work):
    make_null(work / "disk")
    (work / "f").write_bytes(PLAIN)
    done = bulla("encrypt", "-k", ring, "--remove-source", "--files-from", "-", stdin=b"disk\nf\n", status=3)
    assert b"'disk' is not a regular file and is not removed" in done.stderr
    assert sorted(os.listdir(work)) == ["disk", "f.bulla"]


ASKS = 400  # for how long a thread may wait for a file to go; it may be the one that is to remove it


def test_walk_meets_an_envelope_that_goes(bulla, ring, work, step_library):
    """Whichever look at it comes too late, the run takes it for what it is: a part of a file that was opened."""
    (work / "t").mkdir()
    envelope, late, n, reads = work / "t/f.bulla.env", 0, 0, 1
    while n < reads:
        (work / "t/f").write_bytes(PLAIN)
        bulla("encrypt", "-k", ring, "--detach", "--remove-source", "t/f")
        inode, reads, asks, waiting = os.stat(envelope).st_ino, 0, 0, None
        run = Stepped(bulla, step_library, "decrypt", "-j2", "-k", ring, "-r", "--remove-source", "t")
        for call in run:
            if call.inode == inode and call.thread != waiting:
                waiting = call.thread if reads == n else waiting
                reads += 1
            run.waits = call.thread == waiting and asks < ASKS and envelope.exists()
            asks += run.waits
        late += 0 < asks < ASKS
        assert run.end() == (0, "bulla: 1 opened, 0 not sealed, 0 skipped, 0 failed\n")
        assert contents(work / "t") == {"f": PLAIN}
        n += 1
    assert late > 0
