"""The scripts of docs/postgresql by themselves: what they do, which status they give, what they leave behind."""

import pytest

from sealed import content

ONE, TWO, THREE = (f"{1:08X}{0:08X}{n:08X}" for n in (1, 2, 3))
RESTORE = "usage: restore-wal ARCHIVE NAME PATH KEY...\n"
ARCHIVE = "usage: archive-wal ARCHIVE PATH NAME KEY...\n"


@pytest.fixture
def segment(house):
    """A file to be archived, by its content."""
    house.run("mkdir", house.home / "pg_wal")

    def make(data, name=ONE):
        path = house.home / "pg_wal" / name
        path.write_bytes(data)
        path.chmod(0o644)
        return path

    return make


def archive(house, path, name=ONE, key=None, **how):
    return house.run("archive-wal", house.archive, path, name, key or house.public, **how)


def restore(house, name, status, keys=None, **how):
    """The script's standard error, and what it restored."""
    path = house.home / "pg_wal" / "RECOVERYXLOG"
    done = house.run("restore-wal", house.archive, name, path, *(keys or [house.ring]), status=status, **how)
    made = path.read_bytes() if path.exists() else None
    path.unlink(missing_ok=True)
    assert (made is not None) == (status == 0)
    return done.stderr.decode(), made


def archived(house):
    return sorted(path.name for path in house.archive.iterdir())


def test_what_is_archived_comes_back(house, segment):
    data = content(1 << 20)
    done = archive(house, segment(data))
    assert (done.stdout, done.stderr) == (b"", b"") and archived(house) == [f"{ONE}.bulla"]
    assert restore(house, ONE, 0) == ("", data)


def test_several_keys_seal_and_any_opens(house, segment):
    other = house.home / "other.ring"
    house.run("bulla", "key", "new", "-q", other)
    house.run("archive-wal", house.archive, segment(b"x"), ONE, house.public, other)
    assert restore(house, ONE, 0, [other]) == restore(house, ONE, 0, [house.ring]) == ("", b"x")
    third = house.home / "third.ring"
    house.run("bulla", "key", "new", "-q", third)
    assert restore(house, ONE, 0, [third, other]) == ("", b"x")


def test_segment_that_comes_twice_is_archived_once(house, segment):
    path = segment(content(1 << 20))
    archive(house, path)
    before = (house.archive / f"{ONE}.bulla").stat()
    done = archive(house, path)
    after = (house.archive / f"{ONE}.bulla").stat()
    assert (done.stdout, done.stderr) == (b"", b"") and archived(house) == [f"{ONE}.bulla"]
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_segment_that_comes_twice_is_made_durable(house, segment):
    """Whoever archived it may have died before its name was on the disk."""
    path = segment(b"x")
    archive(house, path)
    trace = house.home / "trace"
    house.run("strace", "-f", "-y", "-e", "trace=fsync", "-o", trace, "archive-wal", house.archive, path, ONE, house.public)
    synced = trace.read_text()
    assert f"{house.archive}/{ONE}.bulla>) = 0" in synced and f"{house.archive}>) = 0" in synced


@pytest.mark.parametrize("other", [b"other", b"x" * 4096, b""], ids=["other", "longer", "empty"])
def test_another_segment_of_the_name_is_refused(house, segment, other):
    archive(house, segment(b"x"))
    before = (house.archive / f"{ONE}.bulla").read_bytes()
    done = archive(house, segment(other), status=1)
    assert b"is there already with other content: does another cluster archive to" in done.stderr
    assert archived(house) == [f"{ONE}.bulla"] and (house.archive / f"{ONE}.bulla").read_bytes() == before


def test_archive_that_was_rotated_is_still_the_same(house, segment):
    path = segment(content(1 << 17))
    archive(house, path)
    house.run("bulla", "key", "rotate", "-q", house.ring)
    for verb in ("rewrap", "reencrypt"):
        house.run("bulla", verb, "-q", "-r", "-k", house.ring, house.archive)
        archive(house, path)
        assert restore(house, ONE, 0) == ("", content(1 << 17)) and archived(house) == [f"{ONE}.bulla"]


SPOILT = {
    "cut": (lambda good: good[:-1], b"is there already, and is not whole"),
    "half": (lambda good: good[: len(good) // 2], b"is there already, and is not whole"),
    "no envelope": (lambda good: bytes(8192) + good[8192:], b"is there already, and cannot be read"),
    "empty": (lambda good: b"", b"is there already, and cannot be read"),
    "plain": (lambda good: b"x" * 9000, b"is there already, and cannot be read"),
}


@pytest.mark.parametrize("spoil, says", SPOILT.values(), ids=SPOILT)
def test_spoilt_segment_in_the_archive_is_no_success(house, segment, spoil, says):
    path = segment(content(1 << 20))
    archive(house, path)
    sealed = house.archive / f"{ONE}.bulla"
    sealed.write_bytes(spoil(sealed.read_bytes()))
    before = sealed.read_bytes()
    assert says in archive(house, path, status=1).stderr
    assert sealed.read_bytes() == before and archived(house) == [f"{ONE}.bulla"]


def test_archive_that_is_not_mounted_is_not_made(house, segment):
    house.archive.rename(house.archive.with_name("elsewhere"))
    assert b"is not a directory: is it mounted?" in archive(house, segment(b"x"), status=1).stderr
    assert not house.archive.exists()


def test_archiving_without_its_key_fails(house, segment):
    done = archive(house, segment(b"x"), key=house.home / "no.pub", status=(1, 10, 11))
    assert b"no.pub" in done.stderr and archived(house) == []


def test_archiving_what_is_not_there_fails(house, segment):
    done = archive(house, segment(b"x").with_name("nothing"), status=1)
    assert b"cannot read '" in done.stderr and archived(house) == []


def test_scripts_tell_how_they_are_called(house):
    """And wrong use of restore-wal is no end of WAL."""
    assert house.run("restore-wal", house.archive, ONE, "to", status=255).stderr.decode() == f"restore-wal: {RESTORE}"
    assert house.run("archive-wal", house.archive, "from", ONE, status=1).stderr.decode() == f"archive-wal: {ARCHIVE}"


@pytest.fixture
def three(house, segment):
    """An archive of three segments, and what else is in one."""
    for name in (ONE, TWO, THREE, "00000002.history", f"{ONE}.00000028.backup"):
        archive(house, segment(name.encode(), name), name)
        (house.home / "pg_wal" / name).unlink()


def test_no_more_segments_is_the_end(house, three):
    for name in (f"{1:08X}{0:08X}{4:08X}", f"{2:08X}{0:08X}{1:08X}", "00000003.history", "00000001.history"):
        assert restore(house, name, 1) == ("", None)
    assert restore(house, "00000002.history", 0) == ("", b"00000002.history")


def test_gap_is_no_end(house, three):
    (house.archive / f"{TWO}.bulla").unlink()
    said, _ = restore(house, TWO, 255)
    assert said == f"restore-wal: '{house.archive}' lacks {TWO}, but has later segments: files are missing\n"


def test_gap_that_postgresql_can_fill_is_left_to_it(house, three, segment):
    """As with WAL that came in the base backup."""
    (house.archive / f"{TWO}.bulla").unlink()
    segment(b"x", TWO)
    assert restore(house, TWO, 1) == ("", None)


def test_later_segment_of_another_timeline_makes_no_gap(house, three, segment):
    later = f"{2:08X}{0:08X}{9:08X}"
    archive(house, segment(b"x", later), later)
    assert restore(house, f"{1:08X}{0:08X}{4:08X}", 1) == ("", None)


def test_nothing_but_the_end_is_a_status_that_postgresql_takes_for_it(house, three):
    """Whatever bulla's own status is."""
    for status in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 126, 130, 137, 143):
        (house.bin / "bulla").unlink()
        (house.bin / "bulla").write_text(f"#!/bin/sh\nexit {status}\n")
        (house.bin / "bulla").chmod(0o755)
        said, _ = restore(house, TWO, 255)
        assert "restore-wal: recovery stops: '" in said


@pytest.mark.parametrize("tool", ["ls", "awk"])
def test_tool_that_fails_is_no_end(house, three, tool):
    (house.archive / f"{TWO}.bulla").unlink()
    (house.bin / tool).write_text("#!/bin/sh\nkill -9 $$\n")
    (house.bin / tool).chmod(0o755)
    restore(house, TWO, 255)
