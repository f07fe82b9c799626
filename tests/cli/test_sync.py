"""--sync: when results are made durable."""

import os
import re

import pytest

from sealed import content


def syncs(bulla, work, *args):
    """The system calls of a run that make something durable, in their order."""
    bulla(*args, under=["strace", "-f", "-e", "trace=fsync,fdatasync,syncfs,linkat", "-o", str(work.parent / "trace")])
    return re.findall(r"\b(fsync|fdatasync|syncfs|linkat)\(", (work.parent / "trace").read_text())


def test_each_syncs_a_file_before_it_has_its_name_and_its_directory_behind(bulla, ring, work):
    for name in "ab":
        (work / name).write_bytes(b"x")
    assert syncs(bulla, work, "encrypt", "-j1", "-k", ring, "a", "b") == ["fsync", "linkat", "fsync"] * 2
    assert syncs(bulla, work, "decrypt", "--sync=each", "-k", ring, "-o", "c", "a.bulla") == ["fsync", "linkat", "fsync"]


def test_end_syncs_once(bulla, ring, work):
    for name in "abc":
        (work / name).write_bytes(b"x")
    assert syncs(bulla, work, "encrypt", "-j1", "--sync=end", "-k", ring, "a", "b", "c") == ["linkat"] * 3 + ["syncfs"]
    bulla("verify", "-k", ring, "a.bulla", "b.bulla", "c.bulla")
    (work / "out").mkdir()
    got = syncs(bulla, work, "decrypt", "-j1", "--sync=end", "-k", ring, "a.bulla", "b.bulla", "-o", "out")
    assert got == ["linkat"] * 2 + ["syncfs"]


def test_none_syncs_nothing(bulla, ring, work):
    (work / "a").write_bytes(content(3_000_000))
    assert syncs(bulla, work, "encrypt", "--sync=none", "-k", ring, "a") == ["linkat"]
    assert bulla("decrypt", "-k", ring, "-o", "-", "a.bulla").stdout == content(3_000_000)


@pytest.mark.parametrize("when, made, file, finished, end", [
    ("each", ["fsync"], ["fsync", "linkat", "fsync"], ["fsync"], []),
    ("end", [], ["linkat"], [], ["syncfs"]),
    ("none", [], ["linkat"], [], []),
])  # fmt: skip
def test_new_directories_are_synced_as_files_are(bulla, ring, work, when, made, file, finished, end):
    for directory in ("t/sub/deep", "t/void", "out", "back"):
        (work / directory).mkdir(parents=True)
    (work / "t/sub/deep/f").write_bytes(b"x")
    expected = made * 2 + file + made + finished * 3 + end
    for verb, tree, out in [("encrypt", "t", "out"), ("decrypt", "out", "back")]:
        assert syncs(bulla, work, verb, "-j1", f"--sync={when}", "-k", ring, "-r", tree, "-o", out) == expected
    assert (work / "back/sub/deep/f").read_bytes() == b"x" and (work / "back/void").is_dir()


@pytest.mark.parametrize("trees", [["t"], ["t", "u"]], ids=["one", "named"])
def test_end_syncs_a_directory_without_a_file(bulla, ring, work, trees):
    for directory in ("t/void", "u", "out"):
        (work / directory).mkdir(parents=True)
    assert syncs(bulla, work, "encrypt", "-j1", "--sync=end", "-k", ring, "-r", *trees, "-o", "out") == ["syncfs"]


@pytest.mark.parametrize("when, synced", [("each", ["0"]), ("end", ["0"]), ("none", [])])
def test_standard_output_is_synced(bulla, ring, work, when, synced):
    """A file; a pipe cannot be, and that is no failure."""
    trace = work.parent / "trace"
    under = ["strace", "-f", "-e", "trace=fsync", "-o", str(trace)]
    with open(work / "out", "wb") as out:
        bulla("encrypt", f"--sync={when}", "-k", ring, stdin=b"x", under=under, stdout=out)
    assert re.findall(r"\bfsync\(\d+\) += (\d)", trace.read_text()) == synced
    bulla("encrypt", f"--sync={when}", "-k", ring, stdin=b"x", under=under)
    assert not re.findall(r"\bfsync\(\d+\) += 0", trace.read_text())


@pytest.mark.parametrize("when", ["end", "none"])
def test_what_replaces_a_file_is_durable_first(bulla, ring, work, when):
    """Or a power cut could take the old and the new."""
    (work / "a").write_bytes(b"x")
    (work / "a.bulla").write_bytes(b"old")
    got = syncs(bulla, work, "encrypt", f"--sync={when}", "--force", "-k", ring, "a")
    assert got == ["fsync", "linkat", "fsync"] + ["syncfs"] * (when == "end")


def test_end_that_fails_is_told(bulla, ring, work):
    (work / "a").write_bytes(b"x")
    done = bulla("encrypt", "--sync=end", "-k", ring, "a", status=1,
                 under=["strace", "-f", "-o", "/dev/null", "-e", "inject=syncfs:error=EIO"])
    assert b"cannot sync what was written: Input/output error" in done.stderr


@pytest.mark.parametrize("options", [["--sync=sometimes"], ["--sync=end", "--remove-source"], ["--sync=none", "--remove-source"]])
def test_what_does_not_go(bulla, ring, work, options):
    (work / "a").write_bytes(b"x")
    assert b"--sync" in bulla("encrypt", "-k", ring, *options, "a", status=2).stderr
    assert os.listdir(work) == ["a"]


@pytest.mark.parametrize("to", ["file", "stream"])
def test_what_is_written_goes_to_the_disk_meanwhile(bulla, ring, work, to):
    """Not all at the end: memory does not fill with it."""
    (work / "a").write_bytes(content(20 << 20))
    trace = ["strace", "-f", "-e", "trace=sync_file_range", "-o", str(work.parent / "trace")]
    with open(work / "out", "wb") as out:
        how = {"stdin_file": open(work / "a", "rb"), "stdout": out} if to == "stream" else {}
        bulla("encrypt", "-k", ring, *([] if to == "stream" else ["a"]), under=trace, **how)
    assert (work.parent / "trace").read_text().count("sync_file_range(") == 2
