"""A new file that is not on the disk as it was written: what it was made from stays."""

import os

import pytest

from sealed import content, flip, snapshot
from step import READS, WRITES, Stepped

PLAIN = content(40_000)  # three chunks


def path_of(run, inode):
    """Where the test can open a file that the run has open: by its name, or by the descriptor where it has none."""
    named = [entry.path for entry in os.scandir(run.bulla.work) if entry.inode() == inode]
    if named:
        return named[0]
    if os.geteuid() != 0:
        pytest.skip("only root sees the descriptors of bulla")
    directory = f"/proc/{run.process.pid}/fd"
    return next(f"{directory}/{fd}" for fd in os.listdir(directory) if os.stat(f"{directory}/{fd}").st_ino == inode)


def spoil(path):
    """Changes one byte of the last chunk."""
    with open(path, "r+b") as file:
        data = flip(file.read(), -100)
        file.seek(0)
        file.write(data)


@pytest.mark.parametrize("verb", ["encrypt", "decrypt", "reencrypt"])
def test_what_is_not_read_back_as_it_was_written(bulla, ring, work, step_library, verb):
    path = work / "f"
    path.write_bytes(PLAIN)
    if verb != "encrypt":
        bulla("encrypt", "-k", ring, "-o", work / "sealed", "--remove-source", path)
        (work / "sealed").rename(path)
    before = snapshot(work)
    remove = [] if verb == "reencrypt" else ["--remove-source", "-o", work / "out"]
    old, device, written, spoiled = path.stat().st_ino, work.stat().st_dev, set(), False
    run = Stepped(bulla, step_library, verb, "-j1", "-k", ring, *remove, path)
    for call in run:
        if call.device != device or call.inode == old or spoiled:
            continue
        if call.name in READS and call.inode in written:
            spoil(path_of(run, call.inode))
            spoiled = True
        elif call.name in WRITES:
            written.add(call.inode)
    status, said = run.end()
    assert status in (1, 4) and spoiled and said.startswith("bulla: ")
    after = snapshot(work)
    after.pop(os.fsencode(work / "out"), None)
    assert after == before
