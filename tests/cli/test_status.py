"""Status: on which keys sealed files depend, which would be lost with one of them, and a line for scripts."""

import json
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "kit"))
from encoder import File, Opaque, sized  # noqa: E402
from sealed import content, copies, flip, layout, snapshot, with_copies

X = b"content"


@pytest.fixture
def tree(bulla, ring, work):
    """Two files on version 1, one of them detached; one on version 2 and another key; one on that key alone."""
    other = bulla.new_key("other.ring")
    (work / "t/deep").mkdir(parents=True)
    bulla.seal(ring, X, name="t/a")
    bulla.seal(ring, X, "--detach", name="t/deep/b")
    bulla("key", "rotate", "-q", ring)
    bulla.seal(ring, X, "-k", other, name="t/c")
    bulla.seal(other, X, name="t/d")
    (work / "t/plain").write_bytes(X)
    return work / "t"


def key_id(bulla, reference):
    return json.loads(bulla("key", "list", "--json", reference).stdout.splitlines()[0])["id"]


@pytest.fixture
def names(bulla, ring, tree):
    """What status calls the three versions."""
    mine, other = key_id(bulla, ring), key_id(bulla, bulla.keys / "other.ring")
    return f"backup v1 ({mine})", f"backup v2 ({mine})", f"other v1 ({other})"


def test_counts(bulla, tree, names):
    """The envelope that lies beside its body is not counted by itself."""
    before = snapshot(bulla.work)
    done = bulla("status", "-r", "t")
    lines = done.stdout.decode().splitlines()
    for line, name, files, alone in zip(lines, names, (2, 1, 2), (2, 0, 1)):
        assert line.startswith(f"{files} {'file' if files == 1 else 'files'} on {name}, {alone} of them on it alone; the oldest is t/"), line
    assert lines[3:] == ["4 files, 3 of them on a single key"]
    assert b"4 read, 1 not sealed, 0 skipped, 0 failed" in done.stderr and snapshot(bulla.work) == before


def test_json(bulla, tree, names):
    lines = [json.loads(line) for line in bulla("status", "--json", "-r", "t").stdout.splitlines()]
    files = {line["file"]: line["keys"] for line in lines if "file" in line}
    v1, v2, other = names
    assert files == {"t/a.bulla": [v1], "t/deep/b.bulla": [v1], "t/c.bulla": [v2, other], "t/d.bulla": [other]}
    tallies = {line["key"]: line for line in lines if "key" in line}
    assert {name: (t["files"], t["alone"]) for name, t in tallies.items()} == {v1: (2, 2), v2: (1, 0), other: (2, 1)}
    assert all(t["oldest"].startswith("t/") and t["sealed"].endswith("Z") for t in tallies.values())


def aged(path, seconds):
    """Both copies with another creation time: status shows what nobody vouches for."""
    raw = path.read_bytes()
    at = 26 + 2 + 2 + 16
    path.write_bytes(with_copies(raw, raw[:at] + seconds.to_bytes(8, "big") + raw[at + 8 : layout(raw).region]))


@pytest.mark.parametrize("oldest", ["a", "b", "c"])
def test_oldest(bulla, ring, work, oldest):
    for name in "abc":
        aged(bulla.seal(ring, X, name=name), 1_000_000_000 + (0 if name == oldest else 86400))
    line = bulla("status", "a.bulla", "b.bulla", "c.bulla").stdout.splitlines()[0].decode()
    assert line.endswith(f"the oldest is {oldest}.bulla of 2001-09-09T01:46:40Z")


def test_no_key_is_needed(bulla, ring, tree):
    for path in bulla.keys.iterdir():
        path.unlink()
    bulla("status", "-r", "t")


def test_each_kind_of_slot_has_a_name(bulla, work):
    (bulla.home / "p").write_text("secret")
    host = bulla.keys / "host"
    bulla("key", "new", "-q", "--kind", "x25519", host)
    bulla("encrypt", "-k", host, "-k", "passphrase:hint", "-o", "f.bulla", stdin=X, env={"BULLA_NEW_PASSPHRASE_FILE": str(bulla.home / "p")})
    out = bulla("status", "f.bulla").stdout.decode()
    assert f"1 file on host v1 ({key_id(bulla, host)}), 0 of them" in out and "1 file on passphrase " in out


def invent(work, files, arn):
    """Files with 32 slots each, of keys that nobody has: those of arn, a function of a number."""
    (work / "t").mkdir()
    for number in range(files):
        slots = [Opaque(0x21, [sized(arn(32 * number + k)), sized(b"")], b"x") for k in range(32)]
        (work / f"t/{number:03}.bulla").write_bytes(File("invented", master=slots, exponent=16).bytes()[0])


def test_many_keys(bulla, work):
    """In the order of their names, whatever the order in which they are found."""
    arn = lambda number: b"arn:aws:kms:x:1:key/%03d" % (number * 211 % 640)  # noqa: E731
    invent(work, 20, arn)
    lines = bulla("status", "-r", "t", "t").stdout.decode().splitlines()
    assert [line.partition(",")[0] for line in lines[:-1]] == [f"2 files on arn:aws:kms:x:1:key/{n:03}" for n in range(640)]
    keys = [json.loads(line) for line in bulla("status", "--json", "-r", "t").stdout.splitlines()]
    assert [line["files"] for line in keys if "key" in line] == [1] * 640


def test_more_keys_than_are_counted(bulla, work):
    """Anybody can invent them: they must not take all memory."""
    invent(work, 160, lambda number: b"%05d" % number + 500 * b"\x01")
    done = bulla("status", "-r", "t", status=3)
    assert b".bulla': too many different keys to count them all" in done.stderr and b"--shard" in done.stderr
    assert bulla("status", "--shard", "1/2", "-r", "t").stdout.endswith(b" of them on a single key\n")


def test_nothing_to_read(bulla, work):
    (work / "t").mkdir()
    assert bulla("status", "-r", "--allow-empty", "t").stdout == b"0 files, 0 of them on a single key\n"
    assert bulla("status", "-r", "t", status=3).stdout == b""


# Needs.


def needed(bulla, key, *args, status):
    *files, last = bulla("status", "--needs", key, *args, status=status).stdout.decode().splitlines()
    return sorted(files), last


NEEDS = [
    ("backup.ring#backup:1", ["t/a.bulla", "t/deep/b.bulla"]),
    ("backup.ring", ["t/a.bulla", "t/deep/b.bulla"]),
    ("backup.ring#backup:2", []),
    ("other.ring", ["t/d.bulla"]),
    ("other.ring#other:1", ["t/d.bulla"]),
]


@pytest.mark.parametrize("key, files", NEEDS)
def test_needs(bulla, tree, key, files):
    reference = f"{bulla.keys}/{key}"
    got = needed(bulla, reference, "-r", "t", status=7 if files else 0)
    assert got == (files, f"{len(files)} files still need {reference}" if len(files) != 1 else f"1 file still needs {reference}")


def test_needs_in_json(bulla, ring, tree):
    old = f"{ring}#backup:1"
    out = bulla("status", "--json", "--needs", old, "-r", "t", status=7).stdout
    *lines, last = [json.loads(line) for line in out.splitlines()]
    assert {line["file"]: line["needs"] for line in lines} == {
        "t/a.bulla": [old], "t/deep/b.bulla": [old], "t/c.bulla": [], "t/d.bulla": []
    }  # fmt: skip
    assert last == {"key": old, "needed": 2, "all_seen": True}


SEVERAL = ["backup.ring#backup:1", "backup.ring#backup:2", "other.ring"]


def test_needs_of_several_keys(bulla, tree):
    """In one pass; each file is named with the keys that it needs, of which all may go: c has two of them and no other."""
    first, second, other = keys = [f"{bulla.keys}/{key}" for key in SEVERAL]
    done = bulla("status", *(word for key in keys for word in ("--needs", key)), "-r", "t", status=7)
    *files, a, b, c = done.stdout.decode().splitlines()
    assert sorted(files) == sorted([f"t/a.bulla\t{first}", f"t/deep/b.bulla\t{first}", f"t/c.bulla\t{second}",
                                    f"t/c.bulla\t{other}", f"t/d.bulla\t{other}"])  # fmt: skip
    assert [a, b, c] == [f"2 files still need {first}", f"1 file still needs {second}", f"2 files still need {other}"]
    assert b"4 read" in done.stderr


def test_needs_of_several_keys_in_json(bulla, tree):
    first, second, other = keys = [f"{bulla.keys}/{key}" for key in SEVERAL]
    out = bulla("status", "--json", *(word for key in keys for word in ("--needs", key)), "-r", "t", status=7).stdout
    lines = [json.loads(line) for line in out.splitlines()]
    assert {line["file"]: line["needs"] for line in lines if "file" in line} == {
        "t/a.bulla": [first], "t/deep/b.bulla": [first], "t/c.bulla": [second, other], "t/d.bulla": [other]
    }  # fmt: skip
    assert {line["key"]: line["needed"] for line in lines if "key" in line} == {first: 2, second: 1, other: 2}


def test_file_with_two_keys_that_both_may_go(bulla, ring, work):
    """Each is another way in beside the other, but not when both go."""
    before = bulla.keys / "before.ring"
    before.write_bytes(ring.read_bytes())
    before.chmod(0o600)
    bulla("key", "rotate", "-q", ring)
    bulla.seal(before, X, "-k", ring)
    bulla("key", "rotate", "-q", ring)
    old = [word for version in (1, 2) for word in ("--needs", f"{ring}#backup:{version}")]
    for one in (old[:2], old[2:]):
        bulla("status", *one, "plain.bulla")
    done = bulla("status", *old, "plain.bulla", status=7)
    assert done.stdout.decode().splitlines()[2:] == [f"1 file still needs {key}" for key in old[1::2]]


def test_several_keys_of_which_none_is_needed(bulla, ring, tree):
    bulla("rewrap", "-k", ring, "-r", "t")
    (tree / "d.bulla").unlink()
    keys = [f"{ring}#backup:1", bulla.keys / "other.ring"]
    assert bulla("status", "--needs", keys[0], "--needs", keys[1], "-r", "t").stdout.count(b"0 files still need ") == 2


def test_several_keys_and_a_file_that_cannot_be_read(bulla, ring, tree):
    """What is needed is told with status 7; that another key is not needed is not known."""
    damage(tree, "damaged")
    done = bulla("status", "--needs", f"{ring}#backup:1", "--needs", f"{ring}#backup:2", "-r", "t", status=7)
    assert f"2 files still need {ring}#backup:1\n".encode() in done.stdout and b"0 files" not in done.stdout
    assert b"bad.bulla" in done.stderr


def test_nothing_is_needed_after_a_rewrap(bulla, ring, tree):
    bulla("rewrap", "-k", ring, "-r", "t")
    assert needed(bulla, f"{ring}#backup:1", "-r", "t", status=0) == ([], f"0 files still need {ring}#backup:1")
    assert len(needed(bulla, f"{ring}#backup:2", "-r", "t", status=7)[0]) == 2


def test_name_of_the_config_file(bulla, ring, tree):
    path = bulla.home / "config/bulla/bulla.conf"
    path.parent.mkdir(parents=True)
    path.write_text(f"[keys]\nnightly = {ring}#backup:2\n")
    assert needed(bulla, "nightly", "-r", "t", status=0) == ([], "0 files still need nightly")


@pytest.mark.parametrize("suffix", ["#nobody", "#backup:9"])
def test_key_that_is_not_there(bulla, ring, tree, suffix):
    done = bulla("status", "--needs", f"{ring}{suffix}", "-r", "t", status=1)
    assert done.stdout == b"" and b"has no" in done.stderr


def damage(tree, what):
    path = tree / "bad.bulla"
    raw = (tree / "a.bulla").read_bytes()
    if what == "damaged":
        path.write_bytes(bytes(9000))
    elif what == "unsupported":
        path.write_bytes(with_copies(raw, raw[:9] + b"\x09" + raw[10 : layout(raw).region]))
    elif what == "half unsupported":
        a, b = copies(raw)
        path.write_bytes(with_copies(raw, a[:9] + b"\x09" + a[10:], b))
    elif what == "cut short":
        path.write_bytes(raw[:100])
    return path


@pytest.mark.parametrize("how", ["tree", "name"])
@pytest.mark.parametrize("what", ["damaged", "unsupported", "half unsupported", "cut short", "missing"])
@pytest.mark.parametrize("needs", [False, True])
def test_file_that_cannot_be_read_is_not_passed_over(bulla, ring, tree, what, how, needs):
    bad = damage(tree, what)
    options = ["--needs", f"{ring}#backup:2"] if needs else []
    paths = ["-r", "t", *([bad] if what == "missing" else [])] if how == "tree" else [bad]
    done = bulla("status", *options, *paths, status=(1, 3, 4, 8, 10))
    assert b"bad.bulla" in done.stderr


def test_line_for_scripts_is_not_printed_when_files_could_not_be_read(bulla, ring, tree):
    damage(tree, "damaged")
    done = bulla("status", "--needs", f"{ring}#backup:2", "-r", "t", status=3)
    assert b"0 files still need" not in done.stdout


def test_one_good_copy_is_enough(bulla, ring, tree):
    path = tree / "a.bulla"
    path.write_bytes(flip(path.read_bytes(), 100))
    done = bulla("status", "--needs", f"{ring}#backup:1", "t/a.bulla", status=7)
    assert b"warning" in done.stderr and done.stdout.startswith(b"t/a.bulla\n")


def test_names_cannot_steer_the_terminal(bulla, ring, work):
    bulla.seal(ring, content(10), name="\x1b[2J")
    for options in ([], ["--needs", ring]):
        assert b"\x1b" not in bulla("status", *options, "-r", ".", status=7 if options else 0).stdout


def test_lists_and_shards(bulla, ring, tree):
    data = b"t/a.bulla\0t/c.bulla\0"
    assert bulla("status", "--files-from", "-", "-0", stdin=data).stdout.endswith(b"\n2 files, 1 of them on a single key\n")
    counts = [int(bulla("status", "--shard", f"{i}/2", "-r", "t").stdout.splitlines()[-1].split()[0]) for i in (1, 2)]
    assert sum(counts) == 4
