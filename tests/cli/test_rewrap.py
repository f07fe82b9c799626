"""Rewrap: files move to other keys and versions in place, alone and by the tree."""

import fcntl
import hashlib
import hmac
import json
import os
import pathlib
import signal
import sys

import pytest
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from program import reports
from sealed import REGION, content, edit_ring, identity, layout, many_keys, set_state, slot_bytes, with_copies

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "kit"))
from encoder import xaes_seal  # noqa: E402

X = content(70_000)  # rewrapped in place
SMALL = content(40_000)  # replaced whole
OLD_TIME = 1_500_000_000_123_456_789


def slots(bulla, sealed):
    return [(slot["key_name"], slot["key_version"]) for slot in bulla.inspect(sealed)[0]["slots"]]


def has_equal_copies(raw):
    region = layout(raw).region
    return raw[:region] == raw[region : 2 * region]


@pytest.fixture
def old_ring(bulla, ring):
    """The ring as it was before its rotation."""
    path = bulla.keys / "before.ring"
    path.write_bytes(ring.read_bytes())
    path.chmod(0o600)
    return path


@pytest.fixture(params=[X, SMALL], ids=["large", "small"])
def plain(request):
    return request.param


@pytest.fixture
def sealed(bulla, ring, old_ring, plain):
    """A file on version 1; version 2 is active."""
    path = bulla.seal(ring, plain)
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


def test_refresh(bulla, ring, old_ring, new_ring, sealed, plain):
    before, raw = sealed.stat(), sealed.read_bytes()
    done = bulla("rewrap", "-k", ring, sealed)
    after, fresh = sealed.stat(), sealed.read_bytes()
    assert b"1 rewrapped, 0 were current, 0 of other keys, 0 left; 1 unwraps and 1 wraps" in done.stderr and done.stdout == b""
    assert (after.st_size, after.st_mode) == (before.st_size, before.st_mode) and after.st_mtime_ns > OLD_TIME
    assert (after.st_ino == before.st_ino) == (plain is X) and bulla.inspect(sealed)[0]["sequence"] == 2
    assert has_equal_copies(fresh) and fresh[layout(raw).body :] == raw[layout(raw).body :]
    assert slot_bytes(ring, 1) in raw and slot_bytes(ring, 1) not in fresh and fresh.count(slot_bytes(ring, 2)) == 2
    assert slots(bulla, sealed) == [("backup", 2)]
    assert bulla.open(new_ring, sealed) == plain and bulla.open(old_ring, sealed, status=7) == b""


def test_core_stays_and_the_branch_is_new(bulla, ring, sealed):
    before = sealed.read_bytes()
    bulla("rewrap", "-k", ring, sealed)
    after, at = sealed.read_bytes(), layout(before)
    assert layout(after) == at and after[24 : at.branch_id] == before[24 : at.branch_id]
    for start, size in ((at.branch_id, 32), (at.wrapped_key, 24), (at.wrapped_key + 24, 48), (at.tag, 32)):
        assert after[start : start + size] != before[start : start + size]


@pytest.mark.parametrize("options", [[], ["--preserve-times"], ["--sync", "none"], ["--sync=none", "--preserve-times"]], ids=str)
def test_times(bulla, ring, new_ring, sealed, options, plain):
    bulla("rewrap", "-k", ring, *options, sealed)
    assert (sealed.stat().st_mtime_ns == OLD_TIME) == ("--preserve-times" in options)
    assert bulla.open(new_ring, sealed) == plain


def test_current_file_is_not_touched(bulla, ring, sealed):
    bulla("rewrap", "-k", ring, sealed)
    before = identity(sealed)
    done = bulla("rewrap", "-k", ring, sealed)
    assert b"0 rewrapped, 1 were current, 0 of other keys, 0 left; 1 unwraps and 0 wraps" in done.stderr and identity(sealed) == before


@pytest.mark.parametrize("options", [[], ["--to", "RING"], ["--add", "OTHER"], ["--add", "OTHER", "--remove", "RING"]], ids=" ".join)
def test_dry_run_changes_nothing(bulla, ring, sealed, work, options):
    other = bulla.new_key("other.ring")
    options = [{"RING": ring, "OTHER": other}.get(word, word) for word in options]
    before = identity(sealed)
    done = bulla("rewrap", "-k", ring, "-n", *options, sealed)
    assert f"would rewrap '{sealed}'".encode() in done.stderr and b"1 would be rewrapped" in done.stderr
    (told,) = reports(bulla("rewrap", "-k", ring, "--dry-run", "--json", *options, sealed))
    assert told["would_be"] == "rewrapped"
    assert identity(sealed) == before and os.listdir(work) == [sealed.name]


def test_dry_run_needs_the_key_too(bulla, ring, sealed):
    other = bulla.new_key("other.ring")
    bulla("rewrap", "-n", "-k", other, "--to", other, sealed, status=5)


def test_to_another_key(bulla, ring, sealed, plain):
    other = bulla.new_key("other.ring")
    bulla("rewrap", "-k", ring, "--to", other, sealed)
    assert slots(bulla, sealed) == [("other", 1)] and slot_bytes(ring, 1) not in sealed.read_bytes()
    assert bulla.open(other, sealed) == plain and bulla.open(ring, sealed, status=5) == b""


def test_to_several_keys(bulla, ring, sealed, plain):
    others = [bulla.new_key(f"{name}.ring") for name in "ab"]
    bulla("rewrap", "-k", ring, "--to", others[0], "--to", others[1], sealed)
    assert slots(bulla, sealed) == [("a", 1), ("b", 1)]
    assert [bulla.open(key, sealed) for key in others] == [plain, plain]


def test_any_of_several_recipients_opens(bulla, ring, sealed, plain):
    others = [bulla.new_key(f"{name}.ring") for name in "ab"]
    bulla("rewrap", "-k", ring, "--add", others[0], "--add", others[1], sealed)
    assert slots(bulla, sealed) == [("backup", 2), ("a", 1), ("b", 1)]
    assert [bulla.open(key, sealed) for key in (ring, *others)] == [plain] * 3


def test_added_twice_is_there_once(bulla, ring, sealed):
    other = bulla.new_key("other.ring")
    for _ in range(2):
        done = bulla("rewrap", "-k", ring, "--add", other, sealed)
    assert slots(bulla, sealed) == [("backup", 2), ("other", 1)] and b"1 were current" in done.stderr


def test_refresh_leaves_the_slots_of_others(bulla, ring, sealed):
    other = bulla.new_key("other.ring")
    bulla("rewrap", "-k", ring, "--add", other, sealed)
    bulla("key", "rotate", other)
    bulla("rewrap", "-k", ring, sealed)
    assert slots(bulla, sealed) == [("backup", 2), ("other", 1)]


def test_refresh_leaves_one_slot_of_a_key(bulla, ring, old_ring, sealed):
    bulla("rewrap", "-k", ring, "--to", old_ring, "--to", ring, sealed)
    assert slots(bulla, sealed) == [("backup", 1), ("backup", 2)]
    bulla("rewrap", "-k", ring, sealed)
    assert slots(bulla, sealed) == [("backup", 2)]


def test_removal(bulla, ring, sealed, plain):
    other = bulla.new_key("other.ring")
    bulla("rewrap", "-k", ring, "--add", other, sealed)
    bulla("rewrap", "-k", other, "--remove", f"{ring}#backup", sealed)
    assert slots(bulla, sealed) == [("other", 1)] and bulla.open(other, sealed) == plain
    assert slot_bytes(ring, 1) not in sealed.read_bytes()


def test_removal_of_a_version(bulla, ring, old_ring, sealed, plain):
    """Of two slots of one key, the one that is named; both keys are at hand, so that the branch is new."""
    other = bulla.new_key("other.ring")
    bulla("rewrap", "-k", ring, "--to", old_ring, "--to", other, sealed)
    bulla("rewrap", "-k", other, "--remove", f"{ring}#backup:2", sealed)
    assert slots(bulla, sealed) == [("backup", 1), ("other", 1)]
    bulla("rewrap", "-k", other, "--remove", f"{ring}#backup:1", sealed)
    assert slots(bulla, sealed) == [("other", 1)] and bulla.open(other, sealed) == plain


def test_removal_needs_a_key_that_opens(bulla, ring, sealed):
    other, third = bulla.new_key("other.ring"), bulla.new_key("third.ring")
    bulla("rewrap", "-k", ring, "--add", other, sealed)
    before = identity(sealed)
    assert b"no key is given" in bulla("rewrap", "--remove", other, sealed, status=2).stderr
    assert b"none of the given keys opens it" in bulla("rewrap", "-k", third, "--remove", other, sealed, status=5).stderr
    assert identity(sealed) == before


def test_removal_of_what_is_not_there(bulla, ring, sealed):
    bulla("rewrap", "-k", ring, sealed)
    before = identity(sealed)
    done = bulla("rewrap", "-k", ring, "--remove", bulla.new_key("other.ring"), sealed)
    assert b"1 were current" in done.stderr and identity(sealed) == before


def test_exchange(bulla, ring, sealed, plain):
    other = bulla.new_key("other.ring")
    bulla("rewrap", "-k", ring, "--remove", ring, "--add", other, sealed)
    assert slots(bulla, sealed) == [("other", 1)] and bulla.open(other, sealed) == plain


def test_dropped_slot_is_told(bulla, ring, sealed):
    """The file is whole again after it, with the keys that are left: nothing else would tell that one is missing."""
    other = bulla.new_key("other.ring")
    bulla("rewrap", "-k", ring, "--add", other, sealed)
    raw = sealed.read_bytes()
    at = layout(raw)
    last = 6 + 16 + 4 + 2 + len("other") + 72  # bytes of its slot
    cut = raw[: at.slots] + b"\0\1" + raw[at.slots + 2 : at.tag - last] + raw[at.tag : at.region] + bytes(last)
    sealed.write_bytes(with_copies(raw, cut[:12] + (at.end - 24 - last).to_bytes(4, "big") + cut[16:]))
    bulla("verify", "-k", ring, sealed, status=4)
    says = b"its slots were changed by somebody who does not have its branch key: it gets new ones, but not for a key whose slot was dropped"
    assert says in bulla("rewrap", "-k", ring, sealed).stderr
    assert says not in bulla("rewrap", "-k", ring, sealed).stderr
    bulla("verify", "-k", ring, sealed)


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
def test_last_sequence_number(bulla, ring, old_ring, sealed, options, plain):
    """Anybody who may write the file can put it there. The next is a new file, which begins with 1."""
    raw = sealed.read_bytes()
    sealed.write_bytes(with_copies(raw, raw[:16] + (2**63 - 1).to_bytes(8, "big") + raw[24 : layout(raw).region]))
    before = identity(sealed)
    bulla("rewrap", "-k", old_ring, *options, sealed)
    assert identity(sealed) == before
    said = bulla("rewrap", "-k", ring, *options, sealed).stderr
    assert said.endswith(b"1 %s, 0 were current, 0 of other keys, 0 left; 1 unwraps and 1 wraps by master keys\n" % (b"would be rewrapped" if options else b"rewrapped"))
    assert (identity(sealed) == before) == (sealed.stat().st_ino == before[0]) == (options != [])
    if not options:
        (shown,) = bulla.inspect(sealed)
        assert (shown["sequence"], shown["copies"]) == (1, ["good", "good"]) and slots(bulla, sealed) == [("backup", 2)]
        assert bulla.open(ring, sealed) == plain and os.listdir(bulla.work) == [sealed.name]


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


def test_public_key_takes_files_but_gives_none(bulla, ring, sealed, work, plain):
    host = bulla.keys / "host.ring"
    bulla("key", "new", "-q", "--kind", "x25519", host)
    bulla("key", "export-public", host, "-o", "host.pub")
    bulla("rewrap", "-k", ring, "--to", "host.pub", sealed)
    assert slots(bulla, sealed) == [("host", 1)] and bulla.open(host, sealed) == plain
    bulla("rewrap", "-k", "host.pub", "--to", ring, sealed, status=5)
    bulla("key", "rotate", host)
    bulla("rewrap", "-k", host, sealed)
    assert slots(bulla, sealed) == [("host", 2)] and bulla.open(host, sealed) == plain


@pytest.mark.parametrize("what", ["link", "directory", "fifo", "missing", "standard input"])
def test_what_is_not_rewrapped(bulla, ring, sealed, work, what):
    path = work / "p"
    {"link": lambda: path.symlink_to(sealed), "directory": path.mkdir, "fifo": lambda: os.mkfifo(path)}.get(what, lambda: 0)()
    before = identity(sealed)
    if what == "fifo":
        process = bulla.start("rewrap", "-k", ring, "p")
        process.send_signal(signal.SIGINT)
        bulla.finish(process, status=(1, 4, 130, -2))
    else:
        bulla("rewrap", "-k", ring, *(["p"] if what != "standard input" else []), stdin=sealed.read_bytes(), status=(1, 2, 10))
    assert identity(sealed) == before


USAGE = [
    (["--to", "RING", "--add", "RING"], "--to does not go with --add"),
    (["--to", "RING", "--remove", "RING"], "--to does not go with"),
    (["--sync", "often"], "--sync is each or none"),
    (["--sync", "end"], "--sync is each or none, not 'end'"),
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
    at = layout(raw)
    for damaged in (bytes(at.region) + raw[at.region :], raw[: at.region] + bytes(at.region) + raw[at.body :]):
        sealed.write_bytes(damaged)
        assert b"warning" in bulla("rewrap", "-k", ring, sealed).stderr
        fresh = sealed.read_bytes()
        assert has_equal_copies(fresh) and slot_bytes(ring, 1) not in fresh
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


def test_region_grows(bulla, ring, sealed, work, plain):
    many = many_keys(bulla)
    sealed.chmod(0o640)
    raw = sealed.read_bytes()
    before, body = sealed.stat(), raw[layout(raw).body :]
    done = bulla("rewrap", "-k", ring, *adding(many), "--json", sealed)
    (told,) = reports(done)
    assert (b"8192 bytes a copy now: the file is copied" in done.stderr) == (plain is X)
    assert told["outcome"] == ("copied" if plain is X else "rewrapped")
    raw, after = sealed.read_bytes(), sealed.stat()
    assert raw[:8192] == raw[8192:16384] and raw[16384:] == body and os.listdir(work) == [sealed.name]
    assert (after.st_mode, after.st_uid) == (before.st_mode, before.st_uid) and after.st_ino != before.st_ino
    assert len(slots(bulla, sealed)) == 31
    for key in (ring, many[0], many[-1]):
        assert bulla.open(key, sealed) == plain


@pytest.mark.parametrize("preserve", [True, False])
def test_time_of_a_file_that_grows(bulla, ring, sealed, preserve):
    options = ["--preserve-times"] if preserve else []
    bulla("rewrap", "-k", ring, *options, *adding(many_keys(bulla)), sealed)
    assert (sealed.stat().st_mtime_ns == OLD_TIME) == preserve


def test_grown_region_is_rewrapped_in_place(bulla, ring, sealed, plain):
    bulla("rewrap", "-k", ring, *adding(many_keys(bulla)), sealed)
    inode = sealed.stat().st_ino
    bulla("rewrap", "-k", ring, "--to", ring, sealed)
    assert sealed.stat().st_ino == inode and sealed.read_bytes()[:8192] == sealed.read_bytes()[8192:16384]
    assert bulla.open(ring, sealed) == plain


def test_too_many_keys(bulla, ring, sealed):
    before = identity(sealed)
    bulla("rewrap", "-k", ring, *adding(many_keys(bulla, 32)), sealed, status=2)
    assert identity(sealed) == before


# A branch id that another file has too.


def with_other_branch_key(ring, raw):
    """The envelope of a file under a branch key that has not its branch id: who holds the master key can make that."""
    master = bytes.fromhex(json.loads(ring.read_text())["keys"][0]["versions"][0]["key"])
    at = layout(raw)
    core, branch_id = raw[at.core : at.branch_id], raw[at.branch_id : at.wrapped_key]
    header = raw[at.slots + 6 : at.slots + 6 + int.from_bytes(raw[at.slots + 4 : at.slots + 6], "big")]
    pairs = core[-2:]  # none
    derived = HKDFExpand(SHA512(), 96, b"bulla/v2 branch" + hashlib.sha256(pairs).digest()).derive(content(32, "branch"))
    data_key_aad = b"bulla/v2 data key" + branch_id + hashlib.sha256(core).digest()
    wrap = xaes_seal(master, content(24), content(32, "branch"), b"bulla/v2 branch key" + branch_id + raw[at.slots + 2 : at.slots + 4] + header)
    inside = raw[24 : at.wrapped_key] + xaes_seal(derived[:32], content(24), content(32), data_key_aad)
    inside += raw[at.slots : at.slots + 6] + header + len(wrap).to_bytes(2, "big") + wrap
    inside += hmac.digest(derived[64:], inside, "sha256")
    assert len(inside) == at.end - 24 and pairs == bytes(2)
    return with_copies(raw, raw[:24] + inside + raw[at.end : at.region])


def test_planted_file_with_the_branch_id_of_another_does_not_spoil_it(bulla, ring, sealed, old_ring, new_ring, work, plain):
    """Nor does it open by the branch key of the other, in whatever order they come."""
    planted = work / "a.bulla"
    planted.write_bytes(with_other_branch_key(old_ring, sealed.read_bytes()))
    before = identity(planted)
    for files in ([planted, sealed], [sealed, planted]):
        done = bulla("verify", "-k", ring, *files, status=3)
        assert f"'{planted}': none of the given keys opens it\n".encode() in done.stderr and b"1 verified" in done.stderr
    done = bulla("rewrap", "-k", ring, planted, sealed, status=3)
    assert f"'{planted}': none of the given keys opens it\n".encode() in done.stderr
    assert identity(planted) == before and slots(bulla, sealed) == [("backup", 2)]
    assert bulla.open(new_ring, sealed) == plain


# Interrupted.


def copies(old, new, which):
    """One copy of the envelope from each of two versions of a file: the new one is A or B."""
    at = layout(old)
    assert layout(new) == at
    a, b = (new, old) if which == "A" else (old, new)
    return a[: at.region] + b[at.region : at.body] + old[at.body :]


@pytest.mark.parametrize("which", ["A", "B"])
def test_half_written_rewrap(bulla, ring, old_ring, new_ring, sealed, which, plain):
    """The newer copy counts; the older is stale, and what is left to be done is to bring it up to date."""
    old = sealed.read_bytes()
    bulla("rewrap", "-k", ring, sealed)
    new = sealed.read_bytes()
    sealed.write_bytes(copies(old, new, which))
    done = bulla("verify", "-k", ring, sealed)
    assert b"warning" in done.stderr and b"is old" in done.stderr
    assert bulla.open(new_ring, sealed) == plain
    assert b"1 rewrapped" in bulla("rewrap", "-k", ring, sealed).stderr
    raw = sealed.read_bytes()
    assert has_equal_copies(raw) and slot_bytes(ring, 1) not in raw and raw[layout(old).body :] == old[layout(old).body :]
    assert b"warning" not in bulla("verify", "-k", new_ring, sealed).stderr


@pytest.mark.parametrize("which", ["A", "B"])
@pytest.mark.parametrize("change", [["--to", "OTHER"], ["--remove", "RING", "--add", "OTHER"]], ids=" ".join)
def test_run_that_was_broken_off_is_run_again(bulla, ring, sealed, which, change, plain):
    """The file has no key of -k any more; those it was to have open it. The third run finds nothing to do."""
    other = bulla.new_key("second.ring")
    command = ["rewrap", "-k", ring, *({"OTHER": other, "RING": ring}.get(word, word) for word in change), "-r", "."]
    old = sealed.read_bytes()
    bulla(*command)
    sealed.write_bytes(copies(old, sealed.read_bytes(), which))
    for says in (b"1 rewrapped, 0 were current", b"0 rewrapped, 1 were current"):
        assert says in bulla(*command).stderr
    assert slots(bulla, sealed) == [("second", 1)] and has_equal_copies(sealed.read_bytes()) and bulla.open(other, sealed) == plain


@pytest.mark.parametrize("which", ["A", "B"])
def test_old_key_opens_by_the_stale_copy_when_the_new_one_is_torn(bulla, ring, old_ring, sealed, which, plain):
    old = sealed.read_bytes()
    bulla("rewrap", "-k", ring, sealed)
    torn = bytearray(copies(old, sealed.read_bytes(), which))
    torn[(0 if which == "A" else layout(old).region) + 100] ^= 1
    sealed.write_bytes(torn)
    assert bulla.open(old_ring, sealed) == plain
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


def test_two_rewraps_at_once(bulla, ring, new_ring, sealed, plain):
    """Some win, the others say so, and the file is whole."""
    running = [bulla.start("rewrap", "-k", ring, sealed) for _ in range(8)]
    statuses = []
    for process in running:
        bulla.finish(process, status=(0, 1))
        statuses.append(process.returncode)
    raw = sealed.read_bytes()
    assert 0 in statuses and has_equal_copies(raw) and raw[16:24] == (2).to_bytes(8, "big")
    assert bulla.open(new_ring, sealed) == plain
