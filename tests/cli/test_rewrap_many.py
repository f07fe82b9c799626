"""Rewrap of many files: trees, lists, shards, and what a run says of all of them."""

import contextlib
import fcntl
import json
import os

import pytest

from program import BOUND, reports
from sealed import content, identity, slot_bytes, snapshot


@pytest.fixture
def tree(bulla, ring, work):
    """Six files of two runs, thus of two branches, and others; version 2 is active."""
    (work / "t/deep").mkdir(parents=True)
    for run in "ab":
        for number in range(3):
            (work / f"t/deep/{run}{number}").write_bytes(content(100))
        bulla("encrypt", "-q", "-k", ring, *(f"t/deep/{run}{number}" for number in range(3)))
    bulla("key", "rotate", "-q", ring)
    return work / "t"


def test_one_unwrap_for_each_branch_and_one_wrap_in_all(bulla, ring, tree):
    bulla("encrypt", "-k", ring, "-o", "t/new.bulla", stdin=b"x")
    done = bulla("rewrap", "-k", ring, "-r", "t")
    assert b"6 rewrapped, 1 were current, 0 of other keys, 0 left; 3 unwraps and 1 wraps by master keys" in done.stderr
    assert b"7 seen, 6 not sealed, 0 skipped, 0 failed" in done.stderr
    assert all(slot_bytes(ring, 1) not in path.read_bytes() for path in tree.rglob("*.bulla"))
    done = bulla("rewrap", "-k", ring, "-r", "t")
    assert b"0 rewrapped, 7 were current, 0 of other keys, 0 left; 2 unwraps and 0 wraps by master keys" in done.stderr
    bulla("verify", "-k", ring, "-r", "t")


@pytest.mark.parametrize("change", [[], ["--to", "RING"], ["--add", "RING"]], ids=" ".join)
@pytest.mark.parametrize("options", [[], ["--detach"]], ids=["", "detached"])
@pytest.mark.parametrize("size", [100, 70_000])
def test_what_needs_nothing_is_neither_locked_nor_written_to(bulla, ring, work, tmp_path, size, options, change):
    """Another program has it, and it may only be read: the run is clean all the same."""
    (work / "t").mkdir()
    bulla("encrypt", "-k", ring, *options, "-o", "t/x.bulla", stdin=content(size))
    paths, log = list((work / "t").iterdir()), tmp_path / "log"
    before = [identity(path) for path in paths]
    change = [ring if word == "RING" else word for word in change]
    with contextlib.ExitStack() as stack:
        for path in paths:
            path.chmod(0o444)
            fcntl.flock(stack.enter_context(open(path, "rb")), fcntl.LOCK_EX)
        (work / "t").chmod(0o555)
        trace = ["strace", "-f", "-y", "-e", "trace=openat,flock,linkat,renameat,unlinkat,utimensat", "-o", log, *BOUND]
        done = bulla("rewrap", "-k", ring, *change, "-r", "t", under=trace)
        (work / "t").chmod(0o755)
    assert b"0 rewrapped, 1 were current, 0 of other keys, 0 left" in done.stderr
    for path, was in zip(paths, before):
        path.chmod(0o644)
        assert identity(path) == was
    calls = [line for line in log.read_text().splitlines() if "x.bulla" in line]
    assert any("O_RDONLY" in line for line in calls)
    assert not [line for line in calls if "openat" not in line or "O_RDWR" in line or "O_WRONLY" in line]


def test_many_small_files_grow_little(bulla, ring, work):
    """By 1.5 KiB at most, also when they are moved."""

    def check():
        sizes = [path.stat().st_size for path in (work / "t").glob("*.bulla")]
        assert len(sizes) == 1000 and max(sizes) <= 400 + 1536

    (work / "t").mkdir()
    for number in range(1000):
        (work / f"t/{number}").write_bytes(content(400, number))
    bulla("encrypt", "-k", ring, "-r", "--sync=none", "t")
    check()
    bulla("key", "rotate", ring)
    assert b"1000 rewrapped" in bulla("rewrap", "-k", ring, "-r", "--sync=none", "t").stderr
    check()


def test_files_that_are_not_sealed_are_not_touched(bulla, ring, tree):
    plain = [path for path in tree.rglob("*") if path.is_file() and path.suffix == ""]
    before = [identity(path) for path in plain]
    bulla("rewrap", "-k", ring, "-r", "t")
    assert len(plain) == 6 and [identity(path) for path in plain] == before


def test_damaged_file_does_not_stop_the_rest(bulla, ring, tree):
    (tree / "deep/a1.bulla").write_bytes(bytes(9000))
    done = bulla("rewrap", "-k", ring, "--json", "-r", "t", status=3)
    lines = {line["file"]: line for line in reports(done)}
    assert len(lines) == 6 and lines["t/deep/a1.bulla"]["status"] == 4 and lines["t/deep/a1.bulla"]["error"]
    good = [line for name, line in lines.items() if name != "t/deep/a1.bulla"]
    assert all(line["status"] == 0 and line["outcome"] == "rewrapped" for line in good)
    assert b"'t/deep/a1.bulla'" in done.stderr and b"5 rewrapped" in done.stderr and b"1 failed" in done.stderr


def test_json_of_current_files(bulla, ring, tree):
    bulla("rewrap", "-k", ring, "-r", "t")
    lines = reports(bulla("rewrap", "-k", ring, "--json", "-r", "t"))
    assert len(lines) == 6 and all((line["outcome"], line["status"]) == ("current", 0) for line in lines)


@pytest.mark.parametrize("options", [[], ["--dry-run"]], ids=["", "dry run"])
def test_json_ends_with_a_summary(bulla, ring, tree, options):
    bulla("rewrap", "-k", ring, "t/deep/a0.bulla")
    bulla.seal(bulla.new_key("other.ring"), b"x", name="t/other")
    done = bulla("rewrap", "-k", ring, "--json", *options, "-r", "t")
    counts = {"rewrapped": 5, "current": 1, "other": 1, "left": 0, "unwraps": 3, "wraps": 1, "branch_stayed": 0, "forgotten": 0}
    assert json.loads(done.stdout.splitlines()[-1]) == {"summary": counts} and len(reports(done)) == 7


def test_quiet(bulla, ring, tree):
    done = bulla("rewrap", "-q", "-k", ring, "-r", "t")
    assert done.stdout == done.stderr == b""


@pytest.mark.parametrize("null", [False, True])
@pytest.mark.parametrize("where", ["file", "standard input"])
def test_list_of_files(bulla, ring, tree, work, where, null):
    end = b"\0" if null else b"\n"
    names = [b"t/deep/a0.bulla", b"t/deep/b0.bulla", b"t/deep/odd\nname.bulla" if null else b"t/deep/odd name.bulla"]
    (tree / "deep/a1.bulla").rename(os.fsdecode(os.path.join(os.fsencode(work), names[2])))
    data = end.join(names) + (end if where == "file" else b"")
    (work / "list").write_bytes(data)
    source = ["--files-from", "list"] if where == "file" else ["--files-from", "-"]
    done = bulla("rewrap", "-k", ring, *source, *(["-0"] if null else []), stdin=data)
    assert b"3 rewrapped, 0 were current" in done.stderr


def test_list_and_operands(bulla, ring, tree, work):
    done = bulla("rewrap", "-k", ring, "--files-from", "-", "t/deep/a0.bulla", stdin=b"t/deep/b0.bulla\n\n")
    assert b"2 rewrapped" in done.stderr


@pytest.mark.parametrize("bad", [b"t/nowhere.bulla", b"-", b"t"])
def test_bad_line_of_a_list_does_not_stop_the_rest(bulla, ring, tree, bad):
    done = bulla("rewrap", "-k", ring, "--files-from", "-", stdin=bad + b"\nt/deep/b0.bulla\n", status=3)
    assert b"1 rewrapped" in done.stderr and b"1 failed" in done.stderr


def test_missing_list(bulla, ring):
    assert b"cannot open 'nowhere'" in bulla("rewrap", "-k", ring, "--files-from", "nowhere", status=10).stderr


def test_empty_list_is_nothing_to_do(bulla, ring):
    assert b"0 rewrapped" in bulla("rewrap", "-k", ring, "--files-from", "-").stderr


def in_shard(bulla, ring, shard, names):
    args = ["rewrap", "-n", "--json", "-k", ring, "--shard", shard, "--files-from", "-"]
    return [told["file"] for told in reports(bulla(*args, stdin="\n".join(names).encode()))]


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_shards_part_the_files(bulla, ring, tree, count):
    raw = (tree / "deep/a0.bulla").read_bytes()
    for number in range(40):
        (tree / f"f{number}.bulla").write_bytes(raw)
    names = sorted(str(path.relative_to(bulla.work)) for path in tree.rglob("*.bulla"))
    shards = [in_shard(bulla, ring, f"{i}/{count}", names) for i in range(1, count + 1)]
    assert sorted(sum(shards, [])) == names and all(shards)
    again = [in_shard(bulla, ring, f"{i}/{count}", names[::-1]) for i in range(1, count + 1)]
    assert [sorted(shard) for shard in again] == [sorted(shard) for shard in shards]
    fewer = in_shard(bulla, ring, f"1/{count}", names[::2])
    assert sorted(fewer) == [name for name in names[::2] if name in shards[0]]
    walked = bulla("rewrap", "-n", "--json", "-k", ring, "--shard", f"1/{count}", "-r", "t")
    assert sorted(told["file"] for told in reports(walked)) == sorted(shards[0])


def test_shards_at_once_do_all(bulla, ring, tree):
    running = [bulla.start("rewrap", "-k", ring, "--shard", f"{i}/3", "-r", "t") for i in (1, 2, 3)]
    for process in running:
        bulla.finish(process)
    assert b"0 rewrapped, 6 were current" in bulla("rewrap", "-k", ring, "-r", "t").stderr


def test_snapshot_of_a_whole_tree_after_a_dry_run(bulla, ring, tree, work):
    before = snapshot(work)
    assert b"6 would be rewrapped" in bulla("rewrap", "-n", "-k", ring, "-r", "t").stderr
    assert snapshot(work) == before
