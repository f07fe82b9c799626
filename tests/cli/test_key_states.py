"""A key's life: versions, their states, destruction, ages and public keys."""

import datetime
import fcntl
import hashlib
import json
import os
import pty
import shutil

import pytest

from sealed import edit_ring, set_state, snapshot

X = b"content"


STATES = ["active", "retired", "disabled", "destroyed"]


def states(bulla, ring):
    return [(row["version"], row["state"]) for row in bulla.list_keys(ring)]


def version_of(bulla, sealed):
    (slot,) = bulla.inspect(sealed)[0]["slots"]
    return slot["key_version"]


def first_key(ring):
    return json.loads(ring.read_text())["keys"][0]


# Rotation.


def test_rotate_makes_the_next_version_active(bulla, ring):
    before = first_key(ring)["versions"][0]
    done = bulla("key", "rotate", ring)
    copy = f"bulla: a copy of '{ring}' in another place lacks the new version: copy it again before 'bulla rewrap'\n"
    assert done.stdout == b"" and done.stderr.decode() == f"bulla: key 'backup' version 2 is active\n{copy}"
    assert states(bulla, ring) == [(1, "retired"), (2, "active")]
    old, new = first_key(ring)["versions"]
    assert old == before | {"state": "retired"} and new["key"] != old["key"]
    assert ring.stat().st_mode & 0o7777 == 0o600 and os.listdir(bulla.keys) == ["backup.ring"]


def test_rotated_key_opens_old_files_and_seals_to_the_new_version(bulla, ring):
    files = []
    for number in (1, 2, 3):
        files.append(bulla.seal(ring, X, name=str(number)))
        bulla("key", "rotate", "-q", ring)
    assert [version_of(bulla, file) for file in files] == [1, 2, 3]
    assert [bulla.open(ring, file) for file in files] == [X] * 3


def test_old_ring_does_not_open_what_the_new_version_sealed(bulla, ring):
    old = ring.with_name("old.ring")
    shutil.copy(ring, old)
    bulla("key", "rotate", ring)
    assert bulla.open(old, bulla.seal(ring, X), status=7) == b""


def test_json_of_rotate_is_the_row_in_the_list(bulla, ring):
    (made,) = map(json.loads, bulla("key", "rotate", "--json", ring).stdout.splitlines())
    assert made == bulla.list_keys(ring)[1] and (made["version"], made["state"]) == (2, "active")


@pytest.mark.parametrize("state", STATES[1:])
def test_rotate_without_an_active_version(bulla, ring, state):
    set_state(ring, state)
    bulla("key", "rotate", ring)
    assert states(bulla, ring) == [(1, state), (2, "active")]


def test_number_of_a_destroyed_version_is_not_used_again(bulla, ring):
    for number in (1, 2):
        bulla("key", "rotate", ring)
        bulla("key", "destroy", "--force", f"{ring}#backup:{number}")
    bulla("key", "retire", ring)
    bulla("key", "destroy", "--force", f"{ring}#backup:3")
    bulla("key", "rotate", ring)
    assert states(bulla, ring) == [(1, "destroyed"), (2, "destroyed"), (3, "destroyed"), (4, "active")]


def test_last_number_is_not_passed(bulla, ring):
    edit_ring(ring, lambda r: r["keys"][0]["versions"][0].update(version=2**32 - 1))
    before = snapshot(bulla.keys)
    assert b"all the versions it can have" in bulla("key", "rotate", ring, status=1).stderr
    assert snapshot(bulla.keys) == before


@pytest.mark.parametrize("kind", ["symmetric", "x25519"])
def test_rotations_at_once_all_count(bulla, kind):
    ring = bulla.keys / "r"
    bulla("key", "new", "-q", "--kind", kind, ring)
    for process in [bulla.start("key", "rotate", ring) for _ in range(8)]:
        bulla.finish(process)
    assert states(bulla, ring) == [(n, "retired") for n in range(1, 9)] + [(9, "active")]


BAD_TARGETS = [
    ("rotate", "#backup:1", 2, "a key is rotated, not one of its versions"),
    ("rotate", "#nobody", 1, "has no key 'nobody'"),
    ("retire", "#backup:2", 1, "has no version 2"),
    ("disable", "", 2, "no version of key 'backup' is named"),
    ("enable", "#backup", 2, "no version of key 'backup' is named"),
    ("destroy", "", 2, "no version of key 'backup' is named"),
    ("destroy", "#backup:2", 1, "has no version 2"),
]


@pytest.mark.parametrize("verb, suffix, status, says", BAD_TARGETS)
def test_target_that_is_none(bulla, ring, verb, suffix, status, says):
    before = snapshot(bulla.keys)
    force = ["--force"] if verb == "destroy" else []
    assert says in bulla("key", verb, *force, f"{ring}{suffix}", status=status).stderr.decode()
    assert snapshot(bulla.keys) == before


def test_key_of_several_must_be_named(bulla, ring):
    bulla.new_key("backup.ring#second")
    assert b"has 2 keys" in bulla("key", "rotate", ring, status=2).stderr
    bulla("key", "rotate", f"{ring}#second")
    assert [row["version"] for row in bulla.list_keys(f"{ring}#backup")] == [1]
    assert [row["version"] for row in bulla.list_keys(f"{ring}#second")] == [1, 2]


@pytest.mark.parametrize("verb", ["rotate", "retire", "passphrase", "export-public"])
def test_store_that_does_not_change_keys(bulla, verb):
    assert b"does not" in bulla("key", verb, "passphrase:x", status=8).stderr


# States.

TRANSITIONS = {
    "retire": {"active": "retired"},
    "disable": {"active": "disabled", "retired": "disabled"},
    "enable": {"disabled": "retired"},
    "destroy": {"retired": "destroyed", "disabled": "destroyed"},
}


def change(bulla, verb, target, **how):
    return bulla("key", verb, *(["--force"] if verb == "destroy" else []), target, **how)


def without_public(ring):
    for member in ("public", "public-check"):
        ring["keys"][0]["versions"][0].pop(member, None)


@pytest.mark.parametrize("kind", ["symmetric", "x25519"])
@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("verb", TRANSITIONS)
def test_transition(bulla, verb, state, kind):
    ring = bulla.keys / "r"
    bulla("key", "new", "-q", "--kind", kind, ring)
    if state == "destroyed":
        edit_ring(ring, without_public)
    set_state(ring, state)
    before = snapshot(bulla.keys)
    after = TRANSITIONS[verb].get(state)
    done = change(bulla, verb, f"{ring}#r:1", status=0 if after else 7)
    assert states(bulla, ring) == [(1, after or state)]
    if after:
        assert done.stderr == f"bulla: key 'r' version 1 is {after}\n".encode()
    else:
        assert f"version 1 of key 'r' is {state} and cannot be".encode() in done.stderr
        assert snapshot(bulla.keys) == before


def test_change_of_one_version_leaves_the_others(bulla, ring):
    for _ in range(2):
        bulla("key", "rotate", ring)
    before = first_key(ring)["versions"]
    bulla("key", "disable", f"{ring}#backup:2")
    after = first_key(ring)["versions"]
    assert after == [before[0], before[1] | {"state": "disabled"}, before[2]]


def test_retire_without_a_version_means_the_active_one(bulla, ring):
    bulla("key", "rotate", ring)
    bulla("key", "retire", ring)
    assert states(bulla, ring) == [(1, "retired"), (2, "retired")]
    assert b"no active version" in bulla("key", "retire", ring, status=7).stderr


def test_disabled_version_opens_again_when_enabled(bulla, ring):
    sealed = bulla.seal(ring, X)
    bulla("key", "disable", f"{ring}#backup:1")
    assert bulla.open(ring, sealed, status=7) == b""
    bulla("key", "enable", f"{ring}#backup:1")
    assert bulla.open(ring, sealed) == X
    bulla("encrypt", "-k", ring, stdin=X, status=7)


@pytest.mark.parametrize("verb", ["retire", "disable", "enable", "destroy"])
def test_json_of_a_change_is_the_row_in_the_list(bulla, ring, verb):
    bulla("key", "rotate", ring)
    set_state(ring, {"retire": "active", "enable": "disabled"}.get(verb, "retired"))
    if verb == "retire":
        set_state(ring, "retired", version=1)
    force = ["--force"] if verb == "destroy" else []
    out = bulla("key", verb, *force, "--json", f"{ring}#backup:1").stdout
    assert [json.loads(out)] == bulla.list_keys(f"{ring}#backup:1")


# Destruction.


def test_destroy_wipes_the_material(bulla, ring):
    sealed = bulla.seal(ring, X)
    bulla("key", "rotate", ring)
    old, new = first_key(ring)["versions"]
    bulla("key", "destroy", "--force", f"{ring}#backup:1")
    assert first_key(ring)["versions"] == [{"version": 1, "state": "destroyed", "created": old["created"]}, new]
    assert os.listdir(bulla.keys) == ["backup.ring"]
    raw = ring.read_bytes()
    assert old["key"].encode() not in raw and bytes.fromhex(old["key"]) not in raw and old["check"].encode() not in raw
    assert bulla.open(ring, sealed, status=5) == b""


def test_destroy_wipes_a_public_key_too(bulla):
    ring = bulla.keys / "r"
    bulla("key", "new", "-q", "--kind", "x25519", ring)
    old = first_key(ring)["versions"][0]
    bulla("key", "retire", ring)
    bulla("key", "destroy", "--force", f"{ring}#r:1")
    assert not any(old[member] in ring.read_text() for member in ("key", "public", "check", "public-check"))


@pytest.mark.parametrize("stdin", [b"", b"1\n"])
def test_destroy_without_a_terminal_needs_force(bulla, ring, stdin):
    set_state(ring, "retired")
    before = snapshot(bulla.keys)
    assert b"--force" in bulla("key", "destroy", f"{ring}#backup:1", stdin=stdin, status=2).stderr
    assert snapshot(bulla.keys) == before


TYPED = [(b"1\n", 0), (b"2\n", 1), (b"\n", 1), (b"y\n", 1), (b"11\n", 1), (b"1 \n", 1), (b"\x04", 1), (b"backup:1\n", 1)]


@pytest.mark.parametrize("typed, status", TYPED)
def test_destroy_asks_for_the_number(bulla, ring, typed, status):
    set_state(ring, "retired")
    master, slave = pty.openpty()
    process = bulla.start("key", "destroy", f"{ring}#backup:1", stdin=slave)
    os.close(slave)
    os.write(master, typed)
    _, err = bulla.finish(process, status=status)
    os.close(master)
    assert b"type the number of the version" in err
    assert states(bulla, ring) == [(1, "retired" if status else "destroyed")]


@pytest.fixture
def archive(bulla, ring, work):
    """Three files on version 1, of which one has another key too; version 2 is active."""
    other = bulla.new_key("other.ring")
    (work / "t/deep").mkdir(parents=True)
    for name, more in (("a", []), ("deep/b", []), ("c", ["-k", other])):
        bulla.seal(ring, X, *more, name=f"t/{name}")
    bulla("key", "rotate", "-q", ring)
    return work / "t"


def destroy_checked(bulla, ring, *paths, status):
    checks = [word for path in paths for word in ("--check", path)]
    return bulla("key", "destroy", "--force", *checks, f"{ring}#backup:1", status=status).stderr


def test_destroy_asks_nothing_where_it_may_not(bulla, ring):
    """There is no terminal here, which would be told otherwise."""
    before = snapshot(bulla.keys)
    for version, says in (("1", b"active"), ("2", b"has no version 2")):
        done = bulla("key", "destroy", f"{ring}#backup:{version}", status=(1, 7))
        assert says in done.stderr and b"terminal" not in done.stderr
    assert snapshot(bulla.keys) == before
    bulla("key", "retire", ring)
    assert b"no terminal" in bulla("key", "destroy", f"{ring}#backup:1", status=2).stderr


def test_destroy_refuses_while_a_file_needs_the_version(bulla, ring, archive):
    before = snapshot(bulla.keys)
    err = destroy_checked(bulla, ring, archive, status=7)
    assert f"2 files still need {ring}#backup:1".encode() in err and b"rewrap" in err
    assert snapshot(bulla.keys) == before
    assert b"1 file still needs" in destroy_checked(bulla, ring, archive / "a.bulla", archive / "c.bulla", status=7)


def test_destroy_is_allowed_when_no_file_needs_the_version(bulla, ring, archive):
    destroy_checked(bulla, ring, archive / "c.bulla", status=0)


def test_destroy_is_allowed_after_a_rewrap(bulla, ring, archive):
    bulla("rewrap", "-k", ring, "-r", archive)
    destroy_checked(bulla, ring, archive, status=0)
    assert [bulla.open(ring, file) for file in archive.rglob("*.bulla")] == [X] * 3


def test_destroy_sees_detached_files(bulla, ring, work):
    bulla.seal(ring, X, "--detach")
    bulla("key", "retire", ring)
    assert b"1 file still needs" in destroy_checked(bulla, ring, work, status=7)


@pytest.mark.parametrize("what", ["damaged", "missing"])
def test_destroy_refuses_when_it_cannot_know(bulla, ring, archive, what):
    bulla("rewrap", "-k", ring, "-r", archive)
    paths = {"damaged": [archive], "missing": [archive, archive / "nowhere"]}[what]
    if what == "damaged":
        (archive / "a.bulla").write_bytes(bytes(9000))
    before = snapshot(bulla.keys)
    destroy_checked(bulla, ring, *paths, status=(1, 3, 4))
    assert snapshot(bulla.keys) == before


def test_destroy_of_all_keys_of_a_file_one_by_one_is_refused(bulla, ring):
    """A slot of a version that this very keyring has destroyed opens nothing: the file hangs on the other one."""
    bulla.new_key("backup.ring#second")
    sealed = bulla.seal(f"{ring}#backup", X, "-k", f"{ring}#second")
    for name in ("backup", "second"):
        bulla("key", "retire", f"{ring}#{name}")
    bulla("key", "destroy", "--force", "--check", sealed, f"{ring}#second:1")
    destroy_checked(bulla, ring, sealed, status=7)


# Ages.

DAYS = {"1d": 1, "90d": 90, "12w": 84, "36500d": 36500, "5214w": 36498}
BAD_DAYS = ["", "0d", "0w", "90", "d", "-1d", "+1d", " 1d", "1.5d", "90D", "90dd", "90 d", "1y", "x", "36501d"]
BAD_DAYS += ["18446744073709551617d"]
BAD_DAYS += ["5215w", "36500w"]


@pytest.mark.parametrize("text, days", DAYS.items())
def test_rotation_period_is_stored(bulla, text, days):
    ring = bulla.keys / "r"
    bulla("key", "new", "-q", "--rotate-after", text, ring)
    assert first_key(ring)["rotate-after-days"] == days
    (row,) = bulla.list_keys(ring)
    assert (row["age_days"], row["rotate_after_days"], row["overdue"]) == (0, days, False)


@pytest.mark.parametrize("place", ["r", "backup.ring#second"])
@pytest.mark.parametrize("text", BAD_DAYS)
def test_rotation_period_that_is_none(bulla, ring, place, text):
    before = snapshot(bulla.keys)
    bulla("key", "new", "--rotate-after", text, f"{bulla.keys}/{place}", status=2)
    assert snapshot(bulla.keys) == before
    bulla("key", "list", ring)


def make_old(ring, days, version=0):
    when = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=days, hours=1)
    created = when.strftime("%Y-%m-%dT%H:%M:%SZ")
    edit_ring(ring, lambda r: r["keys"][0]["versions"][version].update(created=created))


@pytest.mark.parametrize("age, overdue", [(0, False), (89, False), (91, True), (4000, True)])
def test_old_version_is_overdue(bulla, age, overdue):
    ring = bulla.keys / "r"
    bulla("key", "new", "-q", "--rotate-after", "90d", ring)
    make_old(ring, age)
    (row,) = bulla.list_keys(ring)
    assert (row["age_days"], row["rotate_after_days"], row["overdue"]) == (age, 90, overdue)
    line = bulla("key", "list", ring).stdout.splitlines()[1]
    assert f" {age}d ".encode() in line and line.endswith(b"OVERDUE") == overdue


def test_age_without_a_period_is_never_overdue(bulla, ring):
    make_old(ring, 4000)
    (row,) = bulla.list_keys(ring)
    assert row["age_days"] == 4000 and "overdue" not in row and "rotate_after_days" not in row


def test_rotation_ends_being_overdue(bulla):
    ring = bulla.keys / "r"
    bulla("key", "new", "-q", "--rotate-after", "90d", ring)
    make_old(ring, 100)
    bulla("key", "rotate", ring)
    assert [(row["age_days"], row["overdue"]) for row in bulla.list_keys(ring)] == [(100, False), (0, False)]


@pytest.mark.parametrize("options, warned", [([], True), (["-q"], False)], ids=["", "quiet"])
def test_sealing_to_an_overdue_version_warns(bulla, options, warned):
    ring = bulla.keys / "r"
    bulla("key", "new", "-q", "--rotate-after", "90d", ring)
    make_old(ring, 100)
    done = bulla("encrypt", *options, "-k", ring, stdin=X)
    assert (b"warning" in done.stderr and b"rotate" in done.stderr) == warned
    assert bulla("decrypt", "-k", ring, stdin=done.stdout).stderr == b""


# Public keys.


@pytest.fixture
def pair(bulla, work):
    """A keyring with an x25519 key, and its public key file."""
    ring, public = bulla.keys / "host.ring", work / "host.pub"
    bulla("key", "new", "-q", "--kind", "x25519", ring)
    bulla("key", "export-public", ring, "-o", public)
    return ring, public


def check_value(p):
    """As section 8 of the format says."""
    bound = bytes.fromhex(p["id"]) + p["version"].to_bytes(4, "big") + bytes.fromhex(p["public"])
    return hashlib.sha256(b"bulla/v1 public key check" + bound).hexdigest()[:8]


def test_public_key_file(bulla, pair):
    ring, public = pair
    key = first_key(ring)
    (version,) = key["versions"]
    expected = {"bulla-public-key": 1, "name": "host", "id": key["id"], "kind": "x25519", "version": 1}
    expected |= {"created": version["created"], "public": version["public"]}
    written = json.loads(public.read_text())
    assert written == expected | {"check": check_value(written)}
    assert version["key"] not in public.read_text()
    assert bulla("key", "export-public", ring).stdout == public.read_bytes()


def test_host_with_the_public_key_alone_seals_and_cannot_open(bulla, pair, work):
    ring, public = pair
    private = ring.read_bytes()
    ring.unlink()
    sealed = bulla.seal(public, X)
    assert bulla.open(public, sealed, status=5) == b""
    bulla("verify", "-k", public, sealed, status=5)
    ring.write_bytes(private)
    ring.chmod(0o600)
    assert bulla.open(ring, sealed) == X
    (slot,) = bulla.inspect(sealed)[0]["slots"]
    key_id = json.loads(private)["keys"][0]["id"]
    assert len(slot.pop("wrap")) == 2 * 80
    assert slot == {"method": "keyring-x25519", "code": 2, "understood": True, "key_id": key_id, "key_version": 1, "key_name": "host"}


@pytest.mark.parametrize("mode", [0o644, 0o444])
def test_public_key_file_may_be_read_by_all(bulla, pair, mode):
    pair[1].chmod(mode)
    bulla("encrypt", "-k", pair[1], stdin=X)


def test_ring_with_an_x25519_key_seals_and_opens(bulla, pair):
    ring, _ = pair
    assert bulla.open(ring, bulla.seal(ring, X)) == X
    assert bulla.list_keys(ring)[0]["kind"] == "x25519"


def test_public_key_file_is_listed(bulla, pair):
    (row,) = bulla.list_keys(pair[1])
    assert (row["name"], row["version"], row["id"]) == ("host", 1, first_key(pair[0])["id"])


def test_old_public_key_file_seals_what_its_retired_version_opens(bulla, pair):
    ring, public = pair
    bulla("key", "rotate", ring)
    sealed = bulla.seal(public, X)
    assert version_of(bulla, sealed) == 1 and bulla.open(ring, sealed) == X
    fresh = json.loads(bulla("key", "export-public", ring).stdout)
    assert fresh["version"] == 2 and fresh["public"] == first_key(ring)["versions"][1]["public"]


def mistyped(public, member):
    p = json.loads(public.read_text())
    value = p[member]
    p[member] = value + 1 if isinstance(value, int) else ("1" if value[0] == "0" else "0") + value[1:]
    public.write_text(json.dumps(p))


@pytest.mark.parametrize("member", ["public", "id", "version", "check"])
def test_mistyped_public_key_is_refused(bulla, pair, work, member):
    mistyped(pair[1], member)
    done = bulla("encrypt", "-k", pair[1], "-o", "x", stdin=X, status=4)
    assert b"public key" in done.stderr and b"check value" in done.stderr and os.listdir(work) == ["host.pub"]


PUBLIC_EDITS = {
    "missing member": (lambda p: p.pop("created") and None, 4),
    "unknown member": (lambda p: p.update(colour="red"), 4),
    "version 0": (lambda p: p.update(version=0), 4),
    "bad name": (lambda p: p.update(name="../x"), 4),
    "short key": (lambda p: p.update(public="00" * 31), 4),
    "unknown kind": (lambda p: p.update(kind="lattice"), 8),
    "unknown layout": (lambda p: p.update({"bulla-public-key": 2}), 8),
}


@pytest.mark.parametrize("edit, status", PUBLIC_EDITS.values(), ids=PUBLIC_EDITS)
def test_public_key_file_that_breaks_a_rule(bulla, pair, edit, status):
    edit_ring(pair[1], edit)
    assert b"public key '" in bulla("encrypt", "-k", pair[1], stdin=X, status=status).stderr


def test_public_key_that_agrees_on_nothing_is_refused(bulla, pair):
    """A point of small order, whose check value is right."""

    def zero(p):
        p["public"] = "00" * 32
        p["check"] = check_value(p)

    edit_ring(pair[1], zero)
    assert bulla("encrypt", "-k", pair[1], stdin=X, status=(1, 4)).stdout == b""


def test_public_key_that_is_not_that_of_the_private_one(bulla, pair):
    """What is sealed to such a ring could never be opened."""
    other = bulla.keys / "other.ring"
    bulla("key", "new", "-q", "--kind", "x25519", other)
    wrong = first_key(other)["versions"][0]["public"]
    edit_ring(pair[0], lambda r: r["keys"][0]["versions"][0].update(public=wrong))
    bulla("encrypt", "-k", pair[0], stdin=X, status=4)


@pytest.mark.parametrize("verb", ["rotate", "retire", "passphrase"])
def test_public_key_file_is_not_changed(bulla, pair, work, verb):
    before = snapshot(work)
    assert b"is a public key, not a keyring" in bulla("key", verb, pair[1], status=1).stderr
    assert snapshot(work) == before


def test_symmetric_key_has_no_public_key(bulla, ring, work):
    done = bulla("key", "export-public", ring, "-o", "x", status=1)
    assert b"is symmetric and has no public key" in done.stderr and done.stdout == b"" and os.listdir(work) == []


def test_export_waits_for_nobody_who_changes_keyrings(bulla, pair):
    directory = os.open(bulla.keys, os.O_RDONLY)
    fcntl.flock(directory, fcntl.LOCK_EX)
    assert bulla("key", "export-public", pair[0]).stdout == pair[1].read_bytes()
    os.close(directory)


def test_public_key_file_is_not_exported(bulla, pair):
    done = bulla("key", "export-public", pair[1], status=1)
    assert b"host.pub' is a public key already" in done.stderr and done.stdout == b""


@pytest.mark.parametrize("state", STATES[1:3])
def test_version_that_is_not_active_is_not_exported(bulla, pair, state):
    set_state(pair[0], state)
    assert bulla("key", "export-public", pair[0], status=7).stdout == b""


def test_exported_key_replaces_nothing_unless_told(bulla, pair, work):
    (work / "x").write_bytes(b"old")
    bulla("key", "export-public", pair[0], "-o", "x", status=9)
    assert (work / "x").read_bytes() == b"old"
    bulla("key", "export-public", pair[0], "-o", "x", "--force")
    assert (work / "x").read_bytes() == pair[1].read_bytes()


def test_unknown_kind_is_not_made(bulla):
    assert b"--kind is symmetric or x25519" in bulla("key", "new", "--kind", "rsa", bulla.keys / "r", status=2).stderr
    assert os.listdir(bulla.keys) == []
