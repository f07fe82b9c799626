"""A file that changes while it is read, before each call that reads it: what is sealed is never a mixture, and exit 0 means all of it."""

import mmap
import os
import subprocess

import pytest

from sealed import BODY, content, snapshot
from step import READS, Stepped
from sweep import Sweep, sample

SIZE = 5 * 2**20 + 100
PLAIN = content(SIZE)
OLD_TIME = 1_500_000_000  # a change now has another, however coarse the clock of the file system is
SAMPLE = 5  # points of a sweep in an ordinary run


def rewrite(at):
    def change(path):
        with open(path, "r+b") as file:
            file.seek(at, os.SEEK_SET if at >= 0 else os.SEEK_END)
            byte = file.read(1)
            file.seek(-1, os.SEEK_CUR)
            file.write(bytes([byte[0] ^ 1]))

    return change


def append(path):
    with open(path, "ab") as file:
        file.write(b"more")


CHANGES = {
    "shrinks": lambda path: os.truncate(path, SIZE // 3),
    "empty": lambda path: os.truncate(path, 0),
    "grows": append,
    "rewritten at its start": rewrite(BODY + 100),
    "rewritten at its end": rewrite(-5),
}


def reads(run, path):
    """Stops at each call that reads the file."""
    inode = os.stat(path).st_ino
    return (call for call in run if call.name in READS and call.inode == inode)


def changed(bulla, library, path, fresh, number, change, *args, **how):
    """Runs bulla on a file of fresh bytes that changes when a call reads it; returns status and words."""
    path.write_bytes(fresh)
    os.utime(path, (OLD_TIME, OLD_TIME))
    run = Stepped(bulla, library, *args, **how)
    for n, _ in enumerate(reads(run, path)):
        if n == number:
            break
    change(path)
    return run.go_on()


def count(bulla, library, path, fresh, *args, **how):
    path.write_bytes(fresh)
    run = Stepped(bulla, library, *args, **how)
    number = sum(1 for _ in reads(run, path))
    assert run.end()[0] == 0 and number >= 2
    return number


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("how", ["-j1", "-j4", "stdin"])
def test_source_that_changes_is_not_sealed(bulla, ring, work, step_library, how, change):
    """Nor is it removed."""
    source, out = work / "log", work / "out"
    source.write_bytes(PLAIN)
    args = ["encrypt", "-k", ring, "-o", out, *(["-"] if how == "stdin" else [how, "--remove-source", source])]

    def stdin():
        return {"stdin": open(source, "rb") if how == "stdin" else None}

    with Sweep("source that changes", f"encrypt, {how}, {change}") as sweep:
        number = count(bulla, step_library, source, PLAIN, *[a for a in args if a != "--remove-source"], **stdin())
        out.unlink()
        for n in sample(range(number), SAMPLE):
            status, said = changed(bulla, step_library, source, PLAIN, n, CHANGES[change], *args, **stdin())
            assert status == 1 and "changed while it was read" in said
            assert os.listdir(work) == ["log"]
            sweep.point("told, nothing written")


def given_its_time_back(path):
    """As programs do that hide when a container of theirs was written to."""
    rewrite(BODY + 100)(path)
    os.utime(path, (OLD_TIME, OLD_TIME))


TOUCHES = {  # what changes about a file whose bytes stay
    "permissions": lambda path: path.chmod(0o640),
    "a new name": lambda path: os.link(path, path.parent.parent / "linked"),
    "another name": lambda path: path.rename(path.parent.parent / "renamed"),
}
WAYS = {  # how a source is sealed, and where to; and whether what was made of it can be compared with it
    "file": (["-j4", "-o", "out"], True),
    "and remove": (["-j1", "-o", "out", "--remove-source"], True),
    "pair": (["--detach", "-o", "out"], False),
    "standard output": (["-o", "-"], False),
}


def to(way):
    """Nobody reads a pipe meanwhile."""
    return {"stdout": subprocess.DEVNULL} if way == "standard output" else {}


@pytest.mark.parametrize("way", WAYS)
def test_source_that_changes_and_gets_its_time_back(bulla, ring, work, step_library, way):
    args = ["encrypt", "-k", ring, *WAYS[way][0], work / "log"]
    status, said = changed(bulla, step_library, work / "log", PLAIN, 1, given_its_time_back, *args, **to(way))
    assert status == 1 and "changed while it was read" in said
    assert os.listdir(work) == ["log"]


@pytest.mark.parametrize("touch", TOUCHES)
@pytest.mark.parametrize("way", WAYS)
def test_source_that_is_touched(bulla, ring, work, step_library, way, touch):
    """Its bytes are compared, where that can be done; else it might have been changed."""
    (work / "d").mkdir()
    args = ["encrypt", "-k", ring, *WAYS[way][0], work / "d/log"]
    status, said = changed(bulla, step_library, work / "d/log", PLAIN, 1, TOUCHES[touch], *args, **to(way))
    if not WAYS[way][1]:
        assert status == 1 and "changed while it was read" in said and not list(work.glob("out*"))
    elif (way, touch) == ("and remove", "another name"):  # it is not there to be removed
        assert status == 1 and "is not removed" in said
    else:
        assert status == 0, said
        assert bulla("decrypt", "-k", ring, "-o", "-", "out").stdout == PLAIN
        assert (work / "d/log").exists() == (way == "file" and touch != "another name")


@pytest.mark.parametrize("stored", [False, True])
def test_source_that_is_written_to_by_a_mapping(bulla, ring, work, step_library, disk, stored):
    """A page that was written to before, and is not on the disk yet, would not give the file a new time by itself."""
    source = disk.at / "log"
    source.write_bytes(PLAIN)
    with open(source, "r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
        mapped[-5] ^= 1
        if stored:
            os.fsync(file.fileno())
        run = Stepped(bulla, step_library, "encrypt", "-j1", "--remove-source", "-k", ring, "-o", work / "out", source)
        for n, _ in enumerate(reads(run, source)):
            if n == 2:
                mapped[-5] ^= 2
        status, said = run.end()
        assert status == 1 and "changed while it was read" in said
        assert os.listdir(work) == [] and source.read_bytes() == mapped[:]


def test_source_in_memory_that_is_written_to_by_a_mapping(bulla, ring, work, step_library, small_disk):
    """Nothing shows that there, but one that is to go is compared, and stays."""
    source = small_disk(8 << 20) / "log"
    source.write_bytes(PLAIN)
    with open(source, "r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
        run = Stepped(bulla, step_library, "encrypt", "-j1", "--remove-source", "-k", ring, "-o", work / "out", source)
        for n, _ in enumerate(reads(run, source)):
            if n == 2:
                mapped[BODY] ^= 1
        status, said = run.end()
        assert status == 4 and f"'{source}' is not removed: " in said and f"what was read back differs from '{source}'" in said
        assert source.read_bytes() == mapped[:]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("verb", ["decrypt -j1", "decrypt -j4", "verify", "reencrypt"])
def test_sealed_file_that_changes(bulla, ring, work, step_library, verb, change):
    """What was opened to its last authentic chunk is the whole; all else fails. A file that is to be replaced must be the same."""
    sealed, out = bulla.seal(ring, PLAIN), work / "out"
    fresh = sealed.read_bytes()
    args = [*verb.split(), "-k", ring, *(["-o", out] if "decrypt" in verb else []), sealed]
    with Sweep("source that changes", f"{verb.replace(' ', ', ')}, {change}") as sweep:
        number = count(bulla, step_library, sealed, fresh, *args)
        out.unlink(missing_ok=True)
        for n in sample(range(number), SAMPLE):
            status, _ = changed(bulla, step_library, sealed, fresh, n, CHANGES[change], *args)
            assert status in ((1, 4) if verb == "reencrypt" else (0, 1, 4))
            assert out.exists() == (status == 0 and "decrypt" in verb)
            assert not out.exists() or out.read_bytes() == PLAIN
            out.unlink(missing_ok=True)
            assert os.listdir(work) == [sealed.name]
            sweep.point("whole all the same" if status == 0 else "told, nothing written")


@pytest.mark.parametrize("verb", ["encrypt", "decrypt", "reencrypt"])
def test_change_of_time_alone(bulla, ring, work, step_library, verb):
    """Of what is to go, it is enough."""
    path = work / "f.bulla"
    path.write_bytes(PLAIN)
    if verb != "encrypt":
        bulla("encrypt", "-k", ring, "-o", work / "sealed", "--remove-source", path)
        (work / "sealed").rename(path)
    remove = [] if verb == "reencrypt" else ["--remove-source", "-o", work / "out"]
    status, said = changed(bulla, step_library, path, path.read_bytes(), 1, os.utime, verb, "-k", ring, *remove, path)
    assert status == 1 and "changed while it was read" in said
    assert os.listdir(work) == [path.name]


def test_tree_that_changes_while_it_is_walked(bulla, ring, work, step_library):
    """Files that come and go between the calls: each that is sealed opens, and one that is gone is no harm."""
    tree = work / "t"
    (tree / "sub").mkdir(parents=True)
    for n in range(6):
        (tree / "sub" / str(n)).write_bytes(bytes([n]) * 1000)
    run = Stepped(bulla, step_library, "encrypt", "-j1", "-k", ring, "-r", "t")
    for n, _ in enumerate(run):
        (tree / "sub" / f"new{n % 7}").write_bytes(b"new")
        (tree / "sub" / f"new{(n + 3) % 7}").unlink(missing_ok=True)
    status, _ = run.end()
    assert status in (0, 3)
    names = {p.name for p in (tree / "sub").iterdir()}
    assert {f"{n}.bulla" for n in range(6)} <= names and not any(name.startswith(".bulla-") for name in names)
    before = snapshot(tree)
    bulla("verify", "-q", "-k", ring, *(p for p in (tree / "sub").iterdir() if p.name.endswith(".bulla")))
    assert snapshot(tree) == before


@pytest.mark.parametrize("how", [[], ["--detach"]])
def test_names_that_are_swapped_during_a_rewrap(bulla, ring, work, step_library, how):
    """The envelope of the one file, read under the name of the other, does not get into that."""
    x, y = (bulla.seal(ring, n.encode(), *how, name=n) for n in "xy")
    read = [work / (p.name + ".env") if how else p for p in (x, y)]
    inodes = [p.stat().st_ino for p in read]
    bulla("key", "rotate", ring)

    def swap():
        read[0].rename(work / "z")
        read[1].rename(read[0])
        (work / "z").rename(read[1])

    run, step = Stepped(bulla, step_library, "rewrap", "-k", ring, x), 0
    for call in run:
        if step == 0 and call.name == "flock" and call.inode == inodes[0]:
            step = 1
        elif step == 1:
            swap()
            step = 2
        elif step == 2 and call.inode == inodes[1]:
            swap()
            step = 3
    status, said = run.end()
    assert step == 3 and status == 1 and "was replaced by another program" in said
    for path, plain in ((x, b"x"), (y, b"y")):
        assert bulla("decrypt", "-k", ring, "-o", "-", path).stdout == plain
