"""Rewrap: files move to other keys and versions in place, alone and by the tree."""

import fcntl
import hashlib
import json
import os
import pathlib
import signal
import sys

import pytest

from sealed import BODY, REGION, content, edit_ring, many_keys, set_state, snapshot, with_checksum

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "kit"))
from encoder import xaes_seal  # noqa: E402

X = content(40_000)
OLD_TIME = 1_500_000_000_123_456_789


def slots(bulla, sealed):
    return [(slot["key_name"], slot["key_version"]) for slot in bulla.inspect(sealed)[0]["slots"]]


def slot_bytes(ring, version, name=None):
    """How a slot of that version begins: the key id and the number."""
    keys = json.loads(ring.read_text())["keys"]
    (key_id,) = [key["id"] for key in keys if name in (None, key["name"])]
    return bytes.fromhex(key_id) + version.to_bytes(4, "big")


def identity(path):
    st = path.stat()
    return st.st_ino, st.st_mtime_ns, st.st_mode, st.st_uid, path.read_bytes()


@pytest.fixture
def old_ring(bulla, ring):
    """The ring as it was before its rotation."""
    path = bulla.keys / "before.ring"
    path.write_bytes(ring.read_bytes())
    path.chmod(0o600)
    return path


@pytest.fixture
def sealed(bulla, ring, old_ring):
    """A file on version 1; version 2 is active."""
    path = bulla.seal(ring, X)
    os.utime(path, ns=(OLD_TIME, OLD_TIME))
    bulla("key", "rotate", "-q", ring)
    return path


@pytest.fixture
def new_ring(bulla, ring, sealed):
    """The ring without its version 1."""
    path = bulla.keys / "after.ring"
    path.write_bytes(ring.read_bytes())
    path.chmod(0o600)
    edit_ring(path, lambda r: r["keys"][0]["versions"].pop(0) and None)
    return path


# One file.


def test_refresh_in_place(bulla, ring, old_ring, new_ring, sealed):
    before, raw = sealed.stat(), sealed.read_bytes()
    done = bulla("rewrap", "-k", ring, sealed)
    after, fresh = sealed.stat(), sealed.read_bytes()
    assert b"1 rewrapped, 0 were current, 0 of other keys; 1 unwraps and 1 wraps" in done.stderr and done.stdout == b""
    assert (after.st_ino, after.st_size, after.st_mode) == (before.st_ino, before.st_size, before.st_mode)
    assert fresh[BODY:] == raw[BODY:] and after.st_mtime_ns > OLD_TIME
    assert fresh[:REGION] == fresh[REGION:BODY] and fresh[16:24] == (2).to_bytes(8, "big")
    assert slot_bytes(ring, 1) in raw and slot_bytes(ring, 1) not in fresh and fresh.count(slot_bytes(ring, 2)) == 2
    assert slots(bulla, sealed) == [("backup", 2)]
    assert bulla.open(new_ring, sealed) == X and bulla.open(old_ring, sealed, status=7) == b""


def test_core_and_wrapped_data_key_stay(bulla, ring, sealed):
    def kept(raw):
        return raw[24 : 26 + int.from_bytes(raw[24:26], "big") + 72]

    before = sealed.read_bytes()
    bulla("rewrap", "-k", ring, sealed)
    assert kept(sealed.read_bytes()) == kept(before)


@pytest.mark.parametrize("options", [[], ["--preserve-times"], ["--sync", "none"], ["--sync=none", "--preserve-times"]], ids=str)
def test_times(bulla, ring, new_ring, sealed, options):
    bulla("rewrap", "-k", ring, *options, sealed)
    assert (sealed.stat().st_mtime_ns == OLD_TIME) == ("--preserve-times" in options)
    assert bulla.open(new_ring, sealed) == X


def test_current_file_is_not_touched(bulla, ring, sealed):
    bulla("rewrap", "-k", ring, sealed)
    before = identity(sealed)
    done = bulla("rewrap", "-k", ring, sealed)
    assert b"0 rewrapped, 1 were current, 0 of other keys; 0 unwraps and 0 wraps" in done.stderr and identity(sealed) == before


@pytest.mark.parametrize("options", [[], ["--to", "RING"], ["--add", "OTHER"], ["--add", "OTHER", "--remove", "RING"]], ids=" ".join)
def test_dry_run_changes_nothing(bulla, ring, sealed, work, options):
    other = bulla.new_key("other.ring")
    options = [{"RING": ring, "OTHER": other}.get(word, word) for word in options]
    before = identity(sealed)
    done = bulla("rewrap", "-k", ring, "-n", *options, sealed)
    assert f"would rewrap '{sealed}'".encode() in done.stderr and b"1 would be rewrapped" in done.stderr
    (line,) = bulla("rewrap", "-k", ring, "--dry-run", "--json", *options, sealed).stdout.splitlines()
    assert json.loads(line)["would_be"] == "rewrapped"
    assert identity(sealed) == before and os.listdir(work) == [sealed.name]


def test_dry_run_needs_the_key_too(bulla, ring, sealed):
    other = bulla.new_key("other.ring")
    bulla("rewrap", "-n", "-k", other, "--to", other, sealed, status=5)


def test_to_another_key(bulla, ring, sealed):
    other = bulla.new_key("other.ring")
    bulla("rewrap", "-k", ring, "--to", other, sealed)
    assert slots(bulla, sealed) == [("other", 1)] and slot_bytes(ring, 1) not in sealed.read_bytes()
    assert bulla.open(other, sealed) == X and bulla.open(ring, sealed, status=5) == b""


def test_to_several_keys(bulla, ring, sealed):
    others = [bulla.new_key(f"{name}.ring") for name in "ab"]
    bulla("rewrap", "-k", ring, "--to", others[0], "--to", others[1], sealed)
    assert slots(bulla, sealed) == [("a", 1), ("b", 1)]
    assert [bulla.open(key, sealed) for key in others] == [X, X]


def test_any_of_several_recipients_opens(bulla, ring, sealed):
    others = [bulla.new_key(f"{name}.ring") for name in "ab"]
    bulla("rewrap", "-k", ring, "--add", others[0], "--add", others[1], sealed)
    assert slots(bulla, sealed) == [("backup", 1), ("a", 1), ("b", 1)]
    assert [bulla.open(key, sealed) for key in (ring, *others)] == [X] * 3


def test_added_twice_is_there_once(bulla, ring, sealed):
    other = bulla.new_key("other.ring")
    for _ in range(2):
        done = bulla("rewrap", "-k", ring, "--add", other, sealed)
    assert slots(bulla, sealed) == [("backup", 1), ("other", 1)] and b"1 were current" in done.stderr


def test_refresh_leaves_the_slots_of_others(bulla, ring, sealed):
    other = bulla.new_key("other.ring")
    bulla("rewrap", "-k", ring, "--add", other, sealed)
    bulla("key", "rotate", other)
    bulla("rewrap", "-k", ring, sealed)
    assert slots(bulla, sealed) == [("backup", 2), ("other", 1)]


def test_refresh_leaves_one_slot_of_a_key(bulla, ring, sealed):
    bulla("rewrap", "-k", ring, "--add", ring, sealed)
    assert slots(bulla, sealed) == [("backup", 1), ("backup", 2)]
    bulla("rewrap", "-k", ring, sealed)
    assert slots(bulla, sealed) == [("backup", 2)]


def test_removal(bulla, ring, sealed):
    other = bulla.new_key("other.ring")
    bulla("rewrap", "-k", ring, "--add", other, sealed)
    bulla("rewrap", "--remove", f"{ring}#backup:1", sealed)
    assert slots(bulla, sealed) == [("other", 1)] and bulla.open(other, sealed) == X
    assert slot_bytes(ring, 1) not in sealed.read_bytes()


def test_removal_of_what_is_not_there(bulla, ring, sealed):
    before = identity(sealed)
    done = bulla("rewrap", "-k", ring, "--remove", bulla.new_key("other.ring"), sealed)
    assert b"1 were current" in done.stderr and identity(sealed) == before


def test_exchange(bulla, ring, sealed):
    other = bulla.new_key("other.ring")
    bulla("rewrap", "-k", ring, "--remove", ring, "--add", other, sealed)
    assert slots(bulla, sealed) == [("other", 1)] and bulla.open(other, sealed) == X


@pytest.mark.parametrize("count", [1, 2])
def test_last_key_is_not_removed(bulla, ring, sealed, count):
    keys = [ring, bulla.new_key("other.ring")][:count]
    if count == 2:
        bulla("rewrap", "-k", ring, "--add", keys[1], sealed)
    before = identity(sealed)
    done = bulla("rewrap", "-k", ring, *(word for key in keys for word in ("--remove", key)), sealed, status=7)
    assert b"no key would be left" in done.stderr and identity(sealed) == before


def test_more_keys_than_fit(bulla, ring):
    keys = [f"{bulla.keys}/r#k{n}" for n in range(32)]
    for key in keys:
        bulla("key", "new", "-q", key)
    sealed = bulla.seal(keys[0], X, *(word for key in keys[1:] for word in ("-k", key)))
    before = identity(sealed)
    done = bulla("rewrap", "-k", keys[0], "--add", ring, "plain.bulla", status=2)
    assert done.stderr.startswith(b"bulla: 'plain.bulla': it would have more than 32 keys\n") and identity(sealed) == before


@pytest.mark.parametrize("options", [[], ["--dry-run"]], ids=["", "dry run"])
def test_last_sequence_number(bulla, ring, old_ring, sealed, options):
    """It is in the way only where something is to be written."""
    raw = sealed.read_bytes()
    copy = with_checksum(raw[:16] + (2**63 - 1).to_bytes(8, "big") + raw[24:REGION])
    sealed.write_bytes(2 * copy + raw[BODY:])
    before = identity(sealed)
    done = bulla("rewrap", "-k", ring, *options, "plain.bulla", status=1)
    assert done.stderr.startswith(b"bulla: 'plain.bulla': its sequence number cannot grow any more\n")
    bulla("rewrap", "-k", old_ring, *options, sealed)
    assert identity(sealed) == before


@pytest.mark.parametrize(
    "options",
    [["--to", "OTHER"], ["--add", "OTHER"], []],
    ids=["to", "add", "refresh"],
)
def test_wrong_key(bulla, sealed, options):
    other = bulla.new_key("other.ring")
    before = identity(sealed)
    done = bulla("rewrap", "-k", other, *(other if word == "OTHER" else word for word in options), sealed, status=(0, 5))
    assert identity(sealed) == before
    assert done.returncode == 5 and b"none of the given keys opens it" in done.stderr


STATES = [("disabled", 7), ("destroyed", 5)]


@pytest.mark.parametrize("state, status", STATES)
def test_version_that_may_not_open(bulla, ring, sealed, state, status):
    set_state(ring, state)
    before = identity(sealed)
    bulla("rewrap", "-k", ring, sealed, status=status)
    assert identity(sealed) == before


def test_ring_without_an_active_version(bulla, ring, sealed):
    bulla("key", "retire", ring)
    before = identity(sealed)
    assert b"no active version" in bulla("rewrap", "-k", ring, sealed, status=7).stderr
    assert identity(sealed) == before


def test_public_key_takes_files_but_gives_none(bulla, ring, sealed, work):
    host = bulla.keys / "host.ring"
    bulla("key", "new", "-q", "--kind", "x25519", host)
    bulla("key", "export-public", host, "-o", "host.pub")
    bulla("rewrap", "-k", ring, "--to", "host.pub", sealed)
    assert slots(bulla, sealed) == [("host", 1)] and bulla.open(host, sealed) == X
    bulla("rewrap", "-k", "host.pub", "--to", ring, sealed, status=5)
    bulla("key", "rotate", host)
    bulla("rewrap", "-k", host, sealed)
    assert slots(bulla, sealed) == [("host", 2)] and bulla.open(host, sealed) == X


@pytest.mark.parametrize("what", ["link", "folder", "fifo", "missing", "standard input"])
def test_what_is_not_rewrapped(bulla, ring, sealed, work, what):
    path = work / "p"
    {"link": lambda: path.symlink_to(sealed), "folder": path.mkdir, "fifo": lambda: os.mkfifo(path)}.get(what, lambda: 0)()
    before = identity(sealed)
    if what == "fifo":
        process = bulla.start("rewrap", "-k", ring, "p")
        process.send_signal(signal.SIGINT)
        bulla.finish(process, status=(1, 4, 130, -2))
    else:
        bulla("rewrap", "-k", ring, *(["p"] if what != "standard input" else []), stdin=sealed.read_bytes(), status=(1, 2))
    assert identity(sealed) == before


USAGE = [
    (["--to", "RING", "--add", "RING"], "--to does not go with --add"),
    (["--to", "RING", "--remove", "RING"], "--to does not go with"),
    (["--sync", "often"], "--sync is each, end or none"),
    (["--sync", "end"], "cannot sync at the end"),
    (["--shard", "0/3"], "--shard is I/N"),
    (["--shard", "4/3"], "--shard is I/N"),
    (["--shard", "1"], "--shard is I/N"),
    (["--shard", "-1/3"], "--shard is I/N"),
    (["--shard", "1/3x"], "--shard is I/N"),
    (["--shard", "/3"], "--shard is I/N"),
    (["--shard", "18446744073709551617/18446744073709551618"], "--shard is I/N"),
]


@pytest.mark.parametrize("options, says", USAGE, ids=[" ".join(options) for options, _ in USAGE])
def test_usage(bulla, ring, sealed, options, says):
    before = identity(sealed)
    done = bulla("rewrap", "-k", ring, *(ring if word == "RING" else word for word in options), sealed, status=2)
    assert says in done.stderr.decode() and identity(sealed) == before


def test_damaged_copy_is_put_right(bulla, ring, new_ring, sealed):
    raw = sealed.read_bytes()
    for damaged in (bytes(REGION) + raw[REGION:], raw[:REGION] + bytes(REGION) + raw[BODY:]):
        sealed.write_bytes(damaged)
        assert b"warning" in bulla("rewrap", "-k", ring, sealed).stderr
        fresh = sealed.read_bytes()
        assert fresh[:REGION] == fresh[REGION:BODY] and slot_bytes(ring, 1) not in fresh
        assert bulla("verify", "-k", new_ring, sealed).stderr.count(b"warning") == 0


# Detached envelopes.


@pytest.fixture
def detached(bulla, ring, work):
    bulla("encrypt", "-k", ring, "--detach", "-o", "d.bulla", stdin=X)
    for name in ("d.bulla", "d.bulla.env"):
        os.utime(work / name, ns=(OLD_TIME, OLD_TIME))
    bulla("key", "rotate", "-q", ring)
    return work / "d.bulla", work / "d.bulla.env"


@pytest.mark.parametrize("options", [[], ["--preserve-times"]], ids=["", "preserve"])
def test_detached_envelope_is_replaced(bulla, ring, detached, work, options):
    body, envelope = detached
    before, old = identity(body), envelope.stat()
    bulla("rewrap", "-k", ring, *options, body)
    raw = envelope.read_bytes()
    assert identity(body) == before and envelope.stat().st_ino != old.st_ino and envelope.stat().st_mode == old.st_mode
    assert raw[:REGION] == raw[REGION:] and slot_bytes(ring, 1) not in raw and raw.count(slot_bytes(ring, 2)) == 2
    assert bulla.open(ring, body) == X and sorted(os.listdir(work)) == ["d.bulla", "d.bulla.env"]
    assert not options or envelope.stat().st_mtime_ns == OLD_TIME


def test_changed_detached_envelope_has_a_new_time(bulla, ring, detached):
    """Else a backup that goes by times does not take it."""
    bulla("rewrap", "-k", ring, detached[0])
    assert detached[1].stat().st_mtime_ns > OLD_TIME


def test_detached_envelope_in_a_tree_is_done_once(bulla, ring, detached, work):
    assert b"1 rewrapped, 0 were current" in bulla("rewrap", "-k", ring, "-r", work).stderr


# More slots than the region holds.


def adding(keys):
    return [word for key in keys for word in ("--add", key)]


def test_region_grows(bulla, ring, sealed, work):
    many = many_keys(bulla)
    sealed.chmod(0o640)
    before, body = sealed.stat(), sealed.read_bytes()[BODY:]
    done = bulla("rewrap", "-k", ring, *adding(many), "--json", sealed)
    assert b"8192 bytes a copy now: the file is copied" in done.stderr
    assert json.loads(done.stdout)["outcome"] == "copied"
    raw, after = sealed.read_bytes(), sealed.stat()
    assert raw[:8192] == raw[8192:16384] and raw[16384:] == body and os.listdir(work) == [sealed.name]
    assert (after.st_mode, after.st_uid) == (before.st_mode, before.st_uid) and after.st_ino != before.st_ino
    assert len(slots(bulla, sealed)) == 31
    for key in (ring, many[0], many[-1]):
        assert bulla.open(key, sealed) == X


@pytest.mark.parametrize("preserve", [True, False])
def test_time_of_a_file_that_grows(bulla, ring, sealed, preserve):
    options = ["--preserve-times"] if preserve else []
    bulla("rewrap", "-k", ring, *options, *adding(many_keys(bulla)), sealed)
    assert (sealed.stat().st_mtime_ns == OLD_TIME) == preserve


def test_grown_region_is_rewrapped_in_place(bulla, ring, sealed):
    bulla("rewrap", "-k", ring, *adding(many_keys(bulla)), sealed)
    inode = sealed.stat().st_ino
    bulla("rewrap", "-k", ring, "--to", ring, sealed)
    assert sealed.stat().st_ino == inode and sealed.read_bytes()[:8192] == sealed.read_bytes()[8192:16384]
    assert bulla.open(ring, sealed) == X


def test_too_many_keys(bulla, ring, sealed):
    before = identity(sealed)
    bulla("rewrap", "-k", ring, *adding(many_keys(bulla, 32)), sealed, status=2)
    assert identity(sealed) == before


# Many files.


@pytest.fixture
def tree(bulla, ring, old_ring, work):
    """Six files of two runs, thus of two branches, and others; version 2 is active."""
    (work / "t/deep").mkdir(parents=True)
    for run in "ab":
        for number in range(3):
            (work / f"t/deep/{run}{number}").write_bytes(X[:100])
        bulla("encrypt", "-q", "-k", ring, *(f"t/deep/{run}{number}" for number in range(3)))
    bulla("key", "rotate", "-q", ring)
    return work / "t"


def test_one_unwrap_and_one_wrap_for_each_branch(bulla, ring, tree):
    bulla("encrypt", "-k", ring, "-o", "t/new.bulla", stdin=b"x")
    done = bulla("rewrap", "-k", ring, "-r", "t")
    assert b"6 rewrapped, 1 were current, 0 of other keys; 2 unwraps and 2 wraps by master keys" in done.stderr
    assert b"7 seen, 6 not sealed, 0 skipped, 0 failed" in done.stderr
    assert all(slot_bytes(ring, 1) not in path.read_bytes() for path in tree.rglob("*.bulla"))
    done = bulla("rewrap", "-k", ring, "-r", "t")
    assert b"0 rewrapped, 7 were current, 0 of other keys; 0 unwraps and 0 wraps by master keys" in done.stderr
    bulla("verify", "-k", ring, "-r", "t")


def test_files_that_are_not_sealed_are_not_touched(bulla, ring, tree):
    plain = [path for path in tree.rglob("*") if path.is_file() and path.suffix == ""]
    before = [identity(path) for path in plain]
    bulla("rewrap", "-k", ring, "-r", "t")
    assert len(plain) == 6 and [identity(path) for path in plain] == before


def test_damaged_file_does_not_stop_the_rest(bulla, ring, tree):
    (tree / "deep/a1.bulla").write_bytes(bytes(9000))
    done = bulla("rewrap", "-k", ring, "--json", "-r", "t", status=3)
    lines = {line["file"]: line for line in map(json.loads, done.stdout.splitlines())}
    assert len(lines) == 6 and lines["t/deep/a1.bulla"]["status"] == 4 and lines["t/deep/a1.bulla"]["error"]
    good = [line for name, line in lines.items() if name != "t/deep/a1.bulla"]
    assert all(line["status"] == 0 and line["outcome"] == "rewrapped" for line in good)
    assert b"'t/deep/a1.bulla'" in done.stderr and b"5 rewrapped" in done.stderr and b"1 failed" in done.stderr


def test_json_of_current_files(bulla, ring, tree):
    bulla("rewrap", "-k", ring, "-r", "t")
    lines = [json.loads(line) for line in bulla("rewrap", "-k", ring, "--json", "-r", "t").stdout.splitlines()]
    assert len(lines) == 6 and all((line["outcome"], line["status"]) == ("current", 0) for line in lines)


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
    assert b"cannot open 'nowhere'" in bulla("rewrap", "-k", ring, "--files-from", "nowhere", status=(1, 3)).stderr


def test_empty_list_is_nothing_to_do(bulla, ring):
    assert b"0 rewrapped" in bulla("rewrap", "-k", ring, "--files-from", "-").stderr


def in_shard(bulla, ring, shard, names):
    args = ["rewrap", "-n", "--json", "-k", ring, "--shard", shard, "--files-from", "-"]
    return [json.loads(line)["file"] for line in bulla(*args, stdin="\n".join(names).encode()).stdout.splitlines()]


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
    walked = bulla("rewrap", "-n", "--json", "-k", ring, "--shard", f"1/{count}", "-r", "t").stdout.splitlines()
    assert sorted(json.loads(line)["file"] for line in walked) == sorted(shards[0])


def test_shards_at_once_do_all(bulla, ring, tree):
    running = [bulla.start("rewrap", "-k", ring, "--shard", f"{i}/3", "-r", "t") for i in (1, 2, 3)]
    for process in running:
        bulla.finish(process)
    assert b"0 rewrapped, 6 were current" in bulla("rewrap", "-k", ring, "-r", "t").stderr


# A branch id that another file has too.


def with_other_branch_key(ring, raw):
    """The envelope of a file under a branch key of its own that has the same id: who holds the master key can make that."""
    master = bytes.fromhex(json.loads(ring.read_text())["keys"][0]["versions"][0]["key"])
    core = raw[26 : 26 + int.from_bytes(raw[24:26], "big")]
    at = 26 + len(core)
    header_size = int.from_bytes(raw[at + 76 : at + 78], "big")
    slot_head = raw[at + 74 : at + 76] + raw[at + 78 : at + 78 + header_size]
    branch = content(32, "branch")
    data_key = xaes_seal(branch, content(24), content(32), b"bulla/v1 data key" + hashlib.sha256(core).digest())
    wrap = xaes_seal(master, content(24), branch, b"bulla/v1 branch key" + core[20:36] + slot_head)
    copy = raw[:at] + data_key + raw[at + 72 : at + 78 + header_size + 2] + wrap + raw[at + 78 + header_size + 74 : REGION]
    return 2 * with_checksum(copy) + raw[BODY:]


def test_planted_file_with_the_branch_id_of_another_does_not_spoil_it(bulla, ring, sealed, old_ring, new_ring, work):
    planted = work / "a.bulla"
    planted.write_bytes(with_other_branch_key(old_ring, sealed.read_bytes()))
    bulla("rewrap", "-k", ring, planted, sealed)
    assert slots(bulla, planted) == slots(bulla, sealed) == [("backup", 2)]
    assert bulla.open(new_ring, sealed) == X


# Interrupted.


def copies(old, new, which):
    """One copy of the envelope from each of two versions of a file: the new one is A or B."""
    a, b = (new, old) if which == "A" else (old, new)
    return a[:REGION] + b[REGION:BODY] + old[BODY:]


@pytest.mark.parametrize("which", ["A", "B"])
def test_half_written_rewrap(bulla, ring, old_ring, new_ring, sealed, which):
    """The newer copy counts; the older is stale, and what is left to be done is to bring it up to date."""
    old = sealed.read_bytes()
    bulla("rewrap", "-k", ring, sealed)
    new = sealed.read_bytes()
    sealed.write_bytes(copies(old, new, which))
    done = bulla("verify", "-k", ring, sealed)
    assert b"warning" in done.stderr and b"is old" in done.stderr
    assert bulla.open(new_ring, sealed) == X
    assert b"1 rewrapped" in bulla("rewrap", "-k", ring, sealed).stderr
    raw = sealed.read_bytes()
    assert raw[:REGION] == raw[REGION:BODY] and slot_bytes(ring, 1) not in raw and raw[BODY:] == old[BODY:]
    assert b"warning" not in bulla("verify", "-k", new_ring, sealed).stderr


@pytest.mark.parametrize("which", ["A", "B"])
def test_old_key_opens_by_the_stale_copy_when_the_new_one_is_torn(bulla, ring, old_ring, sealed, which):
    old = sealed.read_bytes()
    bulla("rewrap", "-k", ring, sealed)
    torn = bytearray(copies(old, sealed.read_bytes(), which))
    torn[(0 if which == "A" else REGION) + 100] ^= 1
    sealed.write_bytes(torn)
    assert bulla.open(old_ring, sealed) == X
    bulla("rewrap", "-k", ring, sealed)
    assert slots(bulla, sealed) == [("backup", 2)] and slot_bytes(ring, 1) not in sealed.read_bytes()


@pytest.mark.parametrize("how", [fcntl.LOCK_EX, fcntl.LOCK_SH])
def test_locked_file(bulla, ring, sealed, how):
    """The other may be one that only reads."""
    before = identity(sealed)
    with open(sealed, "rb") as file:
        fcntl.flock(file, how)
        said = bulla("rewrap", "-k", ring, sealed, status=1).stderr
        assert f"another program holds a lock on '{sealed}'\n".encode() in said and b"whoever may read the file can" in said
        assert identity(sealed) == before
        bulla("verify", "-k", ring, sealed)
    bulla("rewrap", "-k", ring, sealed)


def test_locked_detached_envelope(bulla, ring, detached):
    before = identity(detached[1])
    with open(detached[1], "rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert b"another program" in bulla("rewrap", "-k", ring, detached[0], status=1).stderr
    assert identity(detached[1]) == before


def test_two_rewraps_at_once(bulla, ring, new_ring, sealed):
    """Some win, the others say so, and the file is whole."""
    running = [bulla.start("rewrap", "-k", ring, sealed) for _ in range(8)]
    statuses = []
    for process in running:
        bulla.finish(process, status=(0, 1))
        statuses.append(process.returncode)
    raw = sealed.read_bytes()
    assert 0 in statuses and raw[:REGION] == raw[REGION:BODY] and raw[16:24] == (2).to_bytes(8, "big")
    assert bulla.open(new_ring, sealed) == X


def test_snapshot_of_a_whole_tree_after_a_dry_run(bulla, ring, tree, work):
    before = snapshot(work)
    assert b"6 would be rewrapped" in bulla("rewrap", "-n", "-k", ring, "-r", "t").stderr
    assert snapshot(work) == before
