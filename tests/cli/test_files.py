"""Files become FILE.bulla and come back, one by one, several at once and whole trees; sources stay unless told."""

import filecmp
import json
import os
import pathlib
import shutil
import stat
import subprocess

import pytest

from sealed import REGION, SMALL, SUITES, content, flip, layout, many_keys, snapshot

LARGEST_SMALL = SMALL - 1 - 56 - 4 * 16
SIZES = [0, 1, 16383, 16384, 16385, 32768, LARGEST_SMALL, LARGEST_SMALL + 1, 2**20 + 1]
REAL = [pathlib.Path("/usr/include"), pathlib.Path("/usr/share"), pathlib.Path("/usr/lib")]
ODD = [b"a space", b"new\nline", b"\xff\xfe not UTF-8", b"-k", b"tab\t", "ümläut".encode(), b"'quote\"", b".hidden"]
OLD = 1_000_000_000_123_456_789  # a time in ns, not now
FILES = 1000


def traits(path):
    st = os.stat(path)
    return stat.S_IMODE(st.st_mode), st.st_mtime_ns


def reports(done):
    return [json.loads(line) for line in done.stdout.splitlines()]


# One file.


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("size", SIZES)
def test_file_comes_back(bulla, ring, work, size, suite):
    plain = work / "backup.tar"
    plain.write_bytes(content(size))
    bulla("encrypt", "-k", ring, "--suite", suite, plain)
    sealed = work / "backup.tar.bulla"
    raw = sealed.read_bytes()
    at = layout(raw)
    assert len(raw) == at.chunks + size + 16 * (size // 16384 + 1)
    assert at.region == (512 if size <= LARGEST_SMALL else REGION)
    assert raw[: at.region] == raw[at.region : at.body] and not any(raw[at.end + 32 : at.region])
    plain.unlink()
    bulla("decrypt", "-k", ring, sealed)
    assert plain.read_bytes() == content(size)
    assert sealed.exists()


def test_encryption_says_nothing(bulla, ring, work):
    (work / "f").write_bytes(b"x")
    done = bulla("encrypt", "-k", ring, "f")
    assert (done.stdout, done.stderr) == (b"", b"")


def test_same_content_is_sealed_differently_each_time(bulla, ring, work):
    one, two = bulla.inspect(*(bulla.seal(ring, b"same", name=n) for n in "ab"))
    assert one["file_id"] != two["file_id"] and one["branch_id"] != two["branch_id"]
    a, b = ((work / f"{name}.bulla").read_bytes() for name in "ab")
    assert a[layout(a).body :] != b[layout(b).body :]


def test_plaintext_is_not_in_the_sealed_file(bulla, ring):
    secret = b"attack at dawn, and do not be late"
    assert secret not in bulla.seal(ring, secret * 100).read_bytes()


def test_output_names_the_result(bulla, ring, work):
    (work / "f").write_bytes(b"x")
    bulla("encrypt", "-k", ring, "-o", "other", "f")
    bulla("decrypt", "-k", ring, "other", "-o", "back")
    assert (work / "back").read_bytes() == b"x"
    assert sorted(os.listdir(work)) == ["back", "f", "other"]


def test_output_directory_takes_the_results(bulla, ring, work):
    for name in ("sub", "out", "back"):
        (work / name).mkdir()
    for name in ("a", "sub/b"):
        (work / name).write_bytes(name.encode())
    done = bulla("encrypt", "-k", ring, "-o", "out", "a", "sub/b")
    assert b"2 sealed, 0 skipped, 0 failed" in done.stderr
    bulla("decrypt", "-k", ring, "-o", "back/", "out/a.bulla", "out/b.bulla")
    assert [(work / "back" / n).read_bytes() for n in "ab"] == [b"a", b"sub/b"]
    assert sorted(os.listdir(work / "out")) == ["a.bulla", "b.bulla"]


def test_equal_names_do_not_overwrite_each_other(bulla, ring, work):
    for name in ("x", "y", "out"):
        (work / name).mkdir()
    for name in "xy":
        (work / name / "f").write_bytes(name.encode())
    done = bulla("encrypt", "-k", ring, "-o", "out", "x/f", "y/f", status=3)
    assert b"'out/f.bulla' already exists" in done.stderr
    assert bulla("decrypt", "-k", ring, "-o", "-", "out/f.bulla").stdout in (b"x", b"y")


def test_one_bad_file_does_not_stop_the_others(bulla, ring, work):
    for name in "ac":
        (work / name).write_bytes(name.encode())
    done = bulla("encrypt", "-k", ring, "a", "b", "c", status=3)
    assert b"2 sealed, 0 skipped, 1 failed" in done.stderr
    assert b"cannot open 'b': No such file or directory" in done.stderr
    assert sorted(os.listdir(work)) == ["a", "a.bulla", "c", "c.bulla"]


def test_json_tells_of_each_file(bulla, ring, work):
    for name in "ab":
        (work / name).write_bytes(b"12345")
    (work / "b.bulla").write_bytes(b"in the way")
    told = reports(bulla("encrypt", "-k", ring, "--json", "a", "b", status=3))
    a, b = sorted(told, key=lambda report: report["file"])
    assert (a["file"], a["output"], a["status"], a["bytes"]) == ("a", "a.bulla", 0, 5)
    assert a["file_id"] == bulla.inspect("a.bulla")[0]["file_id"]
    assert (b["file"], b["status"], b["error"]) == ("b", 9, "'b.bulla' already exists")
    c, *_ = reports(bulla("decrypt", "-k", ring, "--json", "a.bulla", "-o", "c"))
    assert (c["file"], c["output"], c["bytes"], c["copies_good"]) == ("a.bulla", "c", 5, 2)


@pytest.mark.parametrize("verb", ["encrypt", "decrypt", "verify"])
def test_json_tells_of_a_missing_file_too(bulla, ring, verb):
    (report,) = reports(bulla(verb, "-k", ring, "--json", "missing.bulla", status=10))
    assert (report["file"], report["status"]) == ("missing.bulla", 10)
    assert "No such file or directory" in report["error"]


def test_json_tells_of_a_missing_file_among_others(bulla, ring, work):
    bulla.seal(ring, b"x")
    shown = reports(bulla("inspect", "--json", "missing", "plain.bulla", status=3))
    assert [(r["file"], r["status"]) for r in shown] == [("missing", 10), ("plain.bulla", 0)]


UNREADABLE = pytest.param(0o000, marks=pytest.mark.skipif(os.geteuid() != 0, reason="only root reads such a file"))


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o755, 0o440, UNREADABLE, 0o4755, 0o2770])
def test_mode_and_times_follow_the_file(bulla, ring, work, mode):
    """All permissions of the source, of which root leaves others no writing; and those of the sealed file less the umask."""
    plain = work / "f"
    plain.write_bytes(b"x")
    os.utime(plain, ns=(OLD, OLD + 1))
    plain.chmod(mode)
    bulla("encrypt", "-k", ring, "f")
    expected = (mode & (0o777 if os.geteuid() != 0 else 0o755), OLD + 1)
    assert traits(work / "f.bulla") == expected
    assert traits(plain) == (mode, OLD + 1)
    plain.unlink()
    bulla("decrypt", "-k", ring, "f.bulla", umask=0o027)
    assert traits(plain) == (mode & 0o777 & ~0o027, OLD + 1)
    plain.unlink()
    bulla("decrypt", "-k", ring, "--same-owner", "f.bulla", umask=0o077)
    assert traits(plain) == expected


STRANGER = 65534


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("options, owner, file, directory", [
    ([], 0, 0o600, 0o700), (["--same-owner"], STRANGER, 0o646, 0o757)], ids=["", "same owner"])  # fmt: skip
def test_stranger_does_not_choose_who_reads_what_is_opened(bulla, ring, work, options, owner, file, directory):
    (work / "up" / "sub").mkdir(parents=True)
    (work / "back").mkdir()
    bulla("encrypt", "-k", ring, "-o", "up/sub/f.bulla", stdin=b"x")
    for path, mode in (("up/sub/f.bulla", 0o646), ("up/sub", 0o757)):
        os.chown(work / path, STRANGER, STRANGER)
        os.chmod(work / path, mode)
        os.utime(work / path, ns=(OLD, OLD))
    bulla("decrypt", "-k", ring, *options, "-r", "-o", "back", "up", umask=0o022)
    bulla("decrypt", "-k", ring, *options, "-o", "one", "up/sub/f.bulla", umask=0o022)
    for path, mode in (("back/sub/f", file), ("back/sub", directory), ("one", file)):
        st = os.stat(work / path)
        assert (st.st_uid, st.st_gid, stat.S_IMODE(st.st_mode), st.st_mtime_ns) == (owner, owner, mode, OLD), path


def users_tree(work):
    """As a home that root backs up; its directory for the result."""
    (work / "t" / "sub").mkdir(parents=True)
    (work / "t" / "sub" / "f").write_bytes(b"x")
    (work / "out").mkdir()
    for path in ("t/sub/f", "t/sub"):
        os.chown(work / path, STRANGER, STRANGER)
        os.chmod(work / path, 0o757)
        os.utime(work / path, ns=(OLD, OLD))


def owners(work, *paths):
    return [(st.st_uid, st.st_gid, stat.S_IMODE(st.st_mode), st.st_mtime_ns) for st in (os.stat(work / path) for path in paths)]


# Whose a sealed file was that root made of another's: until now, and with --same-owner, that other's, who can delete root's backup.


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("options, owner, mode", [([], 0, 0o700), (["--same-owner"], STRANGER, 0o757)], ids=["", "same owner"])
def test_sealed_file_of_root_stays_roots(bulla, ring, work, options, owner, mode):
    users_tree(work)
    bulla("encrypt", "-k", ring, *options, "-r", "-o", "out", "t", umask=0o022)
    bulla("encrypt", "-k", ring, *options, "--detach", "-o", "out/apart", "t/sub/f", umask=0o022)
    made = ("out/sub/f.bulla", "out/sub", "out/apart", "out/apart.env")
    assert owners(work, *made) == [(owner, owner, mode, OLD)] * 4


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_owner_of_the_source_cannot_delete_the_backup(bulla, ring, work):
    users_tree(work)
    for directory in (work, *work.parents[:3]):
        directory.chmod(directory.stat().st_mode | 0o055)
    bulla("encrypt", "-k", ring, "-r", "-o", "out", "t", umask=0)
    attack = "rm -f out/sub/f.bulla; true > out/sub/f.bulla; mv out/sub out/gone; chmod 777 out/sub; cat out/sub/f.bulla"
    done = subprocess.run(["setpriv", f"--reuid={STRANGER}", f"--regid={STRANGER}", "--clear-groups", "sh", "-c", attack], cwd=work, capture_output=True)
    assert done.stdout == b"" and done.stderr.count(b"\n") == 5
    assert bulla.open(ring, "out/sub/f.bulla") == b"x"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_exported_envelope_of_root_stays_roots(bulla, ring, work):
    bulla.seal(ring, b"x")
    os.chown(work / "plain.bulla", STRANGER, STRANGER)
    os.chmod(work / "plain.bulla", 0o646)
    bulla("envelope", "export", "-o", "env", "plain.bulla")
    assert owners(work, "env")[0][:3] == (0, 0, 0o600)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("verb", ["rewrap", "reencrypt"])
def test_what_is_replaced_keeps_its_owner(bulla, ring, work, verb):
    """It is the same file to whoever reads it, and its owner could delete it before."""
    keys = [word for key in many_keys(bulla) for word in ("--add", key)]
    bulla.seal(ring, b"x")
    os.chown(work / "plain.bulla", STRANGER, STRANGER)
    os.chmod(work / "plain.bulla", 0o646)
    bulla(verb, "-k", ring, *(keys if verb == "rewrap" else []), "plain.bulla")
    assert owners(work, "plain.bulla")[0][:3] == (STRANGER, STRANGER, 0o646)


@pytest.mark.parametrize("umask, mode", [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_mode_follows_the_umask_where_there_is_no_file(bulla, ring, work, umask, mode):
    bulla("encrypt", "-k", ring, "-o", "f.bulla", stdin=b"x", umask=umask)
    assert traits(work / "f.bulla")[0] == mode


def test_symbolic_link_that_is_named_is_followed(bulla, ring, work):
    (work / "real").write_bytes(b"x")
    (work / "link").symlink_to("real")
    bulla("encrypt", "-k", ring, "link")
    assert not (work / "link.bulla").is_symlink()
    assert bulla("decrypt", "-k", ring, "-o", "-", "link.bulla").stdout == b"x"


def test_names_that_begin_with_a_dash_follow_two_dashes(bulla, ring, work):
    (work / "-q").write_bytes(b"x")
    bulla("encrypt", "-k", ring, "--", "-q")
    assert sorted(os.listdir(work)) == ["-q", "-q.bulla"]


# Trees.


def real_files():
    for root in REAL:
        for directory, _, names in os.walk(root):
            for name in names:
                path = pathlib.Path(directory, name)
                if path.is_file() and not path.is_symlink() and path.stat().st_size < 300_000:
                    yield path


def copy_real_files(tree, count):
    """Copies files of the system into directories of ten levels or less."""
    for number, path in zip(range(count), real_files()):
        directory = tree.joinpath(*f"{number // 25}")
        directory.mkdir(parents=True, exist_ok=True)
        copy = directory / f"{number} {path.name}"
        shutil.copyfile(path, copy)
        copy.chmod([0o644, 0o600, 0o755, 0o440][number % 4])
        os.utime(copy, ns=(OLD, OLD + number))


def make_tree(tree):
    tree.mkdir()
    copy_real_files(tree, FILES - len(ODD))
    odd = os.path.join(os.fsencode(tree), b"odd \xff\n directory")
    os.mkdir(odd, 0o750)
    for name in ODD:
        with open(os.path.join(odd, name), "wb") as file:
            file.write(name)


def plain_files(tree):
    return {p: v for p, v in snapshot(tree).items() if stat.S_ISREG(v[0]) and not p.endswith(b".bulla")}


def relative(tree):
    """A snapshot of a tree with names below it."""
    return {os.path.relpath(p, os.fsencode(tree)): v for p, v in snapshot(tree).items()}


def sealed_below(tree):
    return [p for p in snapshot(tree) if p.endswith(b".bulla")]


def test_tree_comes_back_in_place(bulla, ring, work):
    tree = work / "tree"
    make_tree(tree)
    (tree / "link").symlink_to("odd")
    os.mkfifo(tree / "fifo")
    before = plain_files(tree)
    assert len(before) == FILES
    done = bulla("encrypt", "-k", ring, "-r", tree)
    for name, what in (("link", "a symbolic link"), ("fifo", "not a regular file")):
        assert f"skipped '{tree}/{name}': {what}".encode() in done.stderr
    assert b"1000 sealed, 2 skipped, 0 failed" in done.stderr
    sealed = sealed_below(tree)
    assert len(sealed) == FILES and plain_files(tree) == before
    assert len({shown["branch_id"] for shown in bulla.inspect(*sealed)}) == 1
    for path in before:
        os.unlink(path)
    done = bulla("decrypt", "-k", ring, "-r", tree)
    assert b"1000 opened, 0 not sealed, 2 skipped, 0 failed" in done.stderr
    assert plain_files(tree) == before


def test_tree_comes_back_by_way_of_another_directory(bulla, ring, work):
    tree, out, back = work / "tree", work / "out", work / "back"
    make_tree(tree)
    (tree / "link").symlink_to("odd")
    os.mkfifo(tree / "fifo")
    before = relative(tree)
    for directory in (out, back):
        directory.mkdir()
    done = bulla("encrypt", "-k", ring, "--recursive", tree, "-o", out)
    assert b"1000 sealed, 2 skipped, 0 failed" in done.stderr
    assert relative(tree) == before
    assert len({shown["branch_id"] for shown in bulla.inspect(*sealed_below(out))}) == 1
    assert b"1000 opened" in bulla("decrypt", "-k", ring, "-r", out, "-o", back).stderr
    assert relative(back) == {p: v for p, v in before.items() if p not in (b"link", b"fifo")}


def test_second_run_seals_no_sealed_file(bulla, ring, work):
    (work / "t").mkdir()
    (work / "t" / "f").write_bytes(b"x")
    bulla("encrypt", "-k", ring, "-r", "t")
    before = snapshot(work)
    done = bulla("encrypt", "-k", ring, "-r", "t", status=3)
    assert b"'t/f.bulla' already exists" in done.stderr
    assert snapshot(work) == before


def test_output_directory_in_the_tree_is_not_walked(bulla, ring, work):
    (work / "t" / "out").mkdir(parents=True)
    (work / "t" / "f").write_bytes(b"x")
    bulla("encrypt", "-k", ring, "-r", "t", "-o", "t/out")
    assert os.listdir(work / "t" / "out") == ["f.bulla"]


def test_several_trees_get_a_directory_each(bulla, ring, work):
    for name in ("x", "y", "out"):
        (work / name).mkdir()
    for name in "xy":
        (work / name / "f").write_bytes(name.encode())
    bulla("encrypt", "-k", ring, "-r", "x", "y", "-o", "out")
    for name in "xy":
        assert bulla("decrypt", "-k", ring, "-o", "-", f"out/{name}/f.bulla").stdout == name.encode()


def test_directory_modes_and_times_follow(bulla, ring, work):
    (work / "t" / "sub").mkdir(parents=True)
    (work / "t" / "sub" / "f").write_bytes(b"x")
    (work / "t" / "sub").chmod(0o710)
    os.utime(work / "t" / "sub", ns=(OLD, OLD))
    (work / "out").mkdir()
    bulla("encrypt", "-k", ring, "-r", "t", "-o", "out")
    assert traits(work / "out" / "sub") == (0o710, OLD)
    (work / "back").mkdir()
    bulla("decrypt", "-k", ring, "-r", "out", "-o", "back", umask=0o077)
    assert traits(work / "back" / "sub") == (0o700, OLD)


# --remove-source.


def test_source_goes_after_sealing_and_after_opening(bulla, ring, work):
    (work / "f").write_bytes(content(100_000))
    bulla("encrypt", "-k", ring, "--remove-source", "f")
    assert os.listdir(work) == ["f.bulla"]
    bulla("decrypt", "-k", ring, "--remove-source", "f.bulla")
    assert os.listdir(work) == ["f"]
    assert (work / "f").read_bytes() == content(100_000)


def test_sources_of_a_tree_go(bulla, ring, work):
    (work / "t" / "sub").mkdir(parents=True)
    for name in ("a", "sub/b"):
        (work / "t" / name).write_bytes(name.encode())
    before = relative(work / "t")
    bulla("encrypt", "-k", ring, "-r", "--remove-source", "t")
    assert sorted(relative(work / "t")) == [b"a.bulla", b"sub", b"sub/b.bulla"]
    bulla("decrypt", "-k", ring, "-r", "--remove-source", "t")
    assert relative(work / "t") == before


def test_detached_pair_goes_together(bulla, ring, work):
    (work / "f").write_bytes(b"x")
    bulla("encrypt", "-k", ring, "--detach", "--remove-source", "f")
    assert sorted(os.listdir(work)) == ["f.bulla", "f.bulla.env"]
    bulla("decrypt", "-k", ring, "--remove-source", "f.bulla")
    assert os.listdir(work) == ["f"]


def test_linked_source_stays(bulla, ring, work):
    """A symbolic link leads to the source: neither may go, as what was read is not what is named."""
    (work / "real").write_bytes(b"x")
    (work / "link").symlink_to("real")
    bulla.seal(ring, b"y", name="sealed")
    (work / "link.bulla").symlink_to("sealed.bulla")
    before = snapshot(work)
    for verb, name in (("encrypt", "link"), ("decrypt", "link.bulla")):
        done = bulla(verb, "-k", ring, "--remove-source", "-o", "out", name, status=1)
        assert done.stderr.decode() == f"bulla: '{name}' is a symbolic link and is not removed\nbulla: hint: name the file that it leads to\n"
    assert snapshot(work) == before


def test_source_stays_when_the_output_fails(bulla, ring, work):
    (work / "f").write_bytes(b"x")
    (work / "f.bulla").write_bytes(b"in the way")
    before = snapshot(work)
    bulla("encrypt", "-k", ring, "--remove-source", "f", status=9)
    assert snapshot(work) == before


def test_source_stays_when_the_disk_is_full(bulla, ring, work):
    (work / "f").write_bytes(content(100_000))
    before = snapshot(work)
    limit = ["sh", "-c", 'ulimit -f 64; exec "$@"', "sh"]
    done = bulla("encrypt", "-k", ring, "--remove-source", "f", status=1, under=limit)
    assert snapshot(work) == before
    assert b"cannot write 'f.bulla': File too large" in done.stderr


@pytest.mark.parametrize("offset", [55, 56 + 5, -1], ids=["commitment", "first chunk", "last byte"])
def test_damaged_source_stays(bulla, ring, work, offset):
    sealed = bulla.seal(ring, content(50_000))
    data = sealed.read_bytes()
    sealed.write_bytes(flip(data, layout(data).body + offset if offset >= 0 else offset))
    before = snapshot(work)
    bulla("decrypt", "-k", ring, "--remove-source", sealed, status=4)
    assert snapshot(work) == before


def test_source_that_cannot_be_opened_stays(bulla, ring, work):
    sealed = bulla.seal(ring, b"x")
    before = snapshot(work)
    bulla("decrypt", "-k", bulla.new_key("other.ring"), "--remove-source", sealed, status=5)
    assert snapshot(work) == before


def test_keyring_in_use_is_never_removed(bulla, work):
    """With the only key sealed under itself, nothing could be opened ever again."""
    tree = work / "t"
    tree.mkdir()
    bulla("key", "new", "-q", tree / "backup.ring")
    (tree / "f").write_bytes(b"x")
    bulla("encrypt", "-k", tree / "backup.ring", "-r", "--remove-source", tree, status=(0, 3))
    assert (tree / "backup.ring").exists() and (tree / "f.bulla").exists()


def test_streams_have_no_source_to_remove(bulla, ring, work):
    done = bulla("encrypt", "-k", ring, "--remove-source", stdin=b"x", status=2)
    assert b"--remove-source needs a FILE" in done.stderr and done.stdout == b""


def test_copy_equals_the_real_thing(bulla, ring, work):
    """The program itself, some 100 KiB of real data, by way of a link and back."""
    shutil.copyfile(bulla.program, work / "bulla")
    bulla("encrypt", "-k", ring, "bulla", "--suite", "chacha20")
    bulla("decrypt", "-k", ring, "bulla.bulla", "-o", "again")
    assert filecmp.cmp(work / "again", bulla.program, shallow=False)
