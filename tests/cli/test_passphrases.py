"""Passphrases: of keyrings and of slots; where they come from, what they refuse, and that they show nowhere."""

import json
import os
import time

import pytest

from program import Bulla
from sealed import content, edit_ring, identity, layout, snapshot, with_copies
from terminal import IN_SHELL, asked, on_terminal

X = b"content"
OLD, NEW = "correct horse", "battery stäple"
NONE = b"there is no terminal to ask for the"


@pytest.fixture
def said(bulla):
    """The passphrases, in files; and on leaving, none of them has been printed."""
    for name, text in (("old", OLD), ("new", NEW), ("wrong", "wrong")):
        (bulla.home / name).write_text(text)
    check = bulla.check

    def check_more(*outputs):
        check(*outputs)
        assert not any(text.encode() in output for output in outputs for text in (OLD, NEW)), "a passphrase was printed"

    bulla.check = check_more
    return bulla.home


def old(said, name="old"):
    return {"BULLA_PASSPHRASE_FILE": str(said / name)}


def new(said, name="new"):
    return {"BULLA_NEW_PASSPHRASE_FILE": str(said / name)}


@pytest.fixture(scope="session")
def locked_once(tmp_path_factory):
    """The bytes of a keyring under the old passphrase, and its secrets: made once, for that takes time."""
    bulla = Bulla(tmp_path_factory.mktemp("locked"))
    (bulla.home / "old").write_text(OLD)
    ring = bulla.new_key("locked.ring")
    bulla.learn()
    bulla("key", "passphrase", "-q", ring, env=new(bulla.home, "old"))
    return ring.read_bytes(), bulla.secrets


@pytest.fixture
def locked(bulla, said, locked_once):
    """A keyring under the old passphrase; its key bytes are among the secrets."""
    ring = bulla.keys / "locked.ring"
    ring.write_bytes(locked_once[0])
    ring.chmod(0o600)
    bulla.secrets |= locked_once[1]
    return ring


def assert_no_key_in_clear(bulla, ring):
    raw = ring.read_bytes()
    assert bulla.secrets
    for key in bulla.secrets:
        assert key.encode() not in raw.lower() and bytes.fromhex(key) not in raw
    versions = [v for key in json.loads(raw)["keys"] for v in key["versions"]]
    assert all("key" not in v and len(v["wrapped"]) == 144 for v in versions)


def passphrase_of(ring):
    return json.loads(ring.read_text()).get("passphrase")


# Keyrings.


def test_new_keyring_with_a_passphrase(bulla, said):
    ring = bulla.keys / "r"
    bulla("key", "new", "--passphrase", ring, env=new(said, "old"))
    cost = passphrase_of(ring)
    assert sorted(cost) == ["memory-kib", "passes", "salt"] and len(cost["salt"]) == 32 and cost["memory-kib"] >= 19456
    assert ring.stat().st_mode & 0o7777 == 0o600 and os.listdir(bulla.keys) == ["r"]
    sealed = bulla("encrypt", "-k", ring, stdin=X, env=old(said)).stdout
    assert bulla("decrypt", "-k", ring, stdin=sealed, env=old(said)).stdout == X


@pytest.mark.parametrize("verb", ["encrypt", "decrypt"])
def test_locked_keyring_needs_its_passphrase(bulla, said, locked, verb):
    sealed = bulla("encrypt", "-k", locked, stdin=X, env=old(said)).stdout
    done = bulla(verb, "-k", locked, stdin=X if verb == "encrypt" else sealed, status=2, start_new_session=True)
    assert NONE in done.stderr and b"BULLA_PASSPHRASE_FILE" in done.stderr and done.stdout == b""


def test_setting_one_hides_the_key_and_keeps_the_files(bulla, said, ring):
    sealed = bulla.seal(ring, X)
    done = bulla("key", "passphrase", ring, env=new(said))
    assert done.stderr == f"bulla: keyring '{ring}' has a new passphrase\n".encode()
    assert_no_key_in_clear(bulla, ring)
    assert bulla.open(ring, sealed, env=old(said, "new")) == X
    assert os.listdir(bulla.keys) == [ring.name]


def test_change(bulla, said, locked):
    sealed = bulla("encrypt", "-k", locked, stdin=X, env=old(said)).stdout
    before = passphrase_of(locked)
    bulla("key", "passphrase", locked, env=old(said) | new(said))
    assert passphrase_of(locked)["salt"] != before["salt"]
    assert_no_key_in_clear(bulla, locked)
    bulla("decrypt", "-k", locked, stdin=sealed, env=old(said), status=5)
    assert bulla("decrypt", "-k", locked, stdin=sealed, env=old(said, "new")).stdout == X


def test_change_needs_the_old_one(bulla, said, locked):
    before = snapshot(bulla.keys)
    bulla("key", "passphrase", locked, env=old(said, "wrong") | new(said), status=5)
    bulla("key", "passphrase", "--remove", locked, env=old(said, "wrong"), status=5)
    bulla("key", "passphrase", locked, env=new(said), status=2, start_new_session=True)
    assert snapshot(bulla.keys) == before


def test_removal(bulla, said, locked):
    sealed = bulla("encrypt", "-k", locked, stdin=X, env=old(said)).stdout
    assert b"has no passphrase now" in bulla("key", "passphrase", "--remove", locked, env=old(said)).stderr
    assert passphrase_of(locked) is None
    assert bulla("decrypt", "-k", locked, stdin=sealed).stdout == X


def test_passphrase_is_for_the_whole_keyring(bulla, said, ring):
    assert b"for the whole keyring" in bulla("key", "passphrase", f"{ring}#backup", env=new(said), status=2).stderr
    assert passphrase_of(ring) is None


@pytest.mark.parametrize("command", ["rotate", "new", "list", "retire", "disable"])
def test_change_of_a_locked_keyring_keeps_it_locked(bulla, said, locked, command):
    target = {"new": f"{locked}#second", "disable": f"{locked}#locked:1"}.get(command, locked)
    asks = command in ("rotate", "new")
    bulla("key", command, target, env=old(said) if asks else {}, start_new_session=True)
    assert_no_key_in_clear(bulla, locked)
    bulla("key", "passphrase", "--remove", locked, env=old(said))


def test_new_key_in_a_locked_keyring_needs_the_passphrase(bulla, said, locked):
    before = snapshot(bulla.keys)
    bulla("key", "new", f"{locked}#second", env=old(said, "wrong"), status=5)
    bulla("key", "new", "--passphrase", f"{locked}#second", env=old(said) | new(said), status=2)
    assert snapshot(bulla.keys) == before


def test_x25519_ring_seals_without_its_passphrase(bulla, said):
    ring = bulla.keys / "r"
    bulla("key", "new", "-q", "--kind", "x25519", "--passphrase", ring, env=new(said, "old"))
    sealed = bulla("encrypt", "-k", ring, stdin=X, start_new_session=True).stdout
    assert bulla("decrypt", "-k", ring, stdin=sealed, env=old(said)).stdout == X


def test_rotated_version_of_a_locked_keyring_opens(bulla, said, locked):
    bulla("key", "rotate", locked, env=old(said))
    sealed = bulla("encrypt", "-k", locked, stdin=X, env=old(said)).stdout
    assert bulla("decrypt", "-k", locked, stdin=sealed, env=old(said)).stdout == X


def test_swapped_wraps_do_not_open(bulla, said, locked):
    """A wrap is bound to its version."""
    bulla("key", "rotate", locked, env=old(said))

    def swap(ring):
        a, b = ring["keys"][0]["versions"]
        a["wrapped"], b["wrapped"], a["check"], b["check"] = b["wrapped"], a["wrapped"], b["check"], a["check"]

    edit_ring(locked, swap)
    bulla("encrypt", "-k", locked, stdin=X, env=old(said), status=(4, 5))


# Sources.


def by_fd(said, option):
    read, write = os.pipe()
    os.write(write, OLD.encode())
    os.close(write)
    return [option, str(read)], {}, {"pass_fds": [read]}


def by_command(said, option):
    return [option.replace("-fd", "-command"), f"cat '{said}/old'"], {}, {}


def by_variable(said, option):
    return [], (new if "new" in option else old)(said, "old"), {}


def by_credential(said, option):
    name = "bulla.new-passphrase" if "new" in option else "bulla.passphrase"
    (said / name).write_text(OLD)
    return [], {"CREDENTIALS_DIRECTORY": str(said)}, {}


SOURCES = [by_fd, by_command, by_variable, by_credential]


@pytest.mark.parametrize("source", SOURCES)
def test_source_of_a_passphrase(bulla, said, locked, source):
    args, env, how = source(said, "--passphrase-fd")
    bulla("encrypt", "-k", locked, *args, stdin=X, env=env, start_new_session=True, **how)


@pytest.mark.parametrize("source", SOURCES)
def test_source_of_a_new_passphrase(bulla, said, ring, source):
    args, env, how = source(said, "--new-passphrase-fd")
    bulla("key", "passphrase", *args, ring, env=env, start_new_session=True, **how)
    bulla("encrypt", "-k", ring, stdin=X, env=old(said))


def test_new_passphrase_is_not_taken_from_where_the_old_one_is(bulla, said, ring):
    bulla("key", "passphrase", ring, env=old(said), status=2, start_new_session=True)
    bulla("key", "passphrase", "--passphrase-command", "echo x", ring, status=2, start_new_session=True)
    assert passphrase_of(ring) is None


def test_option_goes_before_the_environment(bulla, said, locked):
    env = old(said, "wrong") | {"CREDENTIALS_DIRECTORY": str(said)}
    bulla("encrypt", "-k", locked, "--passphrase-command", f"cat '{said}/old'", stdin=X, env=env)


def test_empty_variable_is_none(bulla, said, locked):
    done = bulla("encrypt", "-k", locked, stdin=X, env={"BULLA_PASSPHRASE_FILE": ""}, status=2, start_new_session=True)
    assert NONE in done.stderr


@pytest.mark.parametrize("tail, status", [("", 0), ("\n", 0), ("\n\n", 5), (" ", 5), ("\r\n", 5)], ids=repr)
def test_one_line_end_does_not_count(bulla, said, locked, tail, status):
    (said / "old").write_text(OLD + tail, newline="")
    bulla("encrypt", "-k", locked, stdin=X, env=old(said), status=status)


BAD = {
    "empty": (b"", "is empty"),
    "a line end": (b"\n", "is empty"),
    "too long": (b"x" * 1025, "longer than 1024 bytes"),
    "far too long": (b"x" * 100_000, "longer than 1024 bytes"),
    "not UTF-8": (b"caf\xe9", "is not UTF-8"),
    "a zero byte": (b"a\0b", "is not UTF-8"),
}


@pytest.mark.parametrize("text, says", BAD.values(), ids=BAD)
@pytest.mark.parametrize("command", ["set", "open", "slot"])
def test_passphrase_that_is_none(bulla, said, locked, ring, command, text, says):
    before = snapshot(bulla.keys)
    (said / "bad").write_bytes(text)
    args = {"set": ["key", "passphrase", ring], "open": ["encrypt", "-k", locked], "slot": ["encrypt", "-k", "passphrase:"]}
    done = bulla(*args[command], stdin=X, env=old(said, "bad") | new(said, "bad"), status=2)
    assert says in done.stderr.decode() and done.stdout == b"" and snapshot(bulla.keys) == before


@pytest.mark.parametrize("text", ["x" * 1024, "ü" * 512, " "], ids=len)
def test_passphrase_that_is_just_allowed(bulla, said, ring, text):
    (said / "old").write_text(text + "\n")
    bulla("key", "passphrase", ring, env=new(said, "old"))
    bulla("encrypt", "-k", ring, stdin=X, env=old(said))


BAD_SOURCES = [
    (["--passphrase-command", "cat old; false"], {}, 1, "the passphrase command failed"),
    (["--passphrase-command", "exec kill -9 $$"], {}, 1, "the passphrase command failed"),
    (["--passphrase-command", "/nowhere/command"], {}, 1, "the passphrase command failed"),
    (["--passphrase-command", "true"], {}, 2, "is empty"),
    (["--passphrase-fd", "99"], {}, 2, "--passphrase-fd: descriptor 99 is not open"),
    ([], {"BULLA_PASSPHRASE_FILE": "/nowhere/file"}, 10, "cannot open passphrase file '/nowhere/file'"),
    ([], {"BULLA_PASSPHRASE_FILE": "/"}, 1, "cannot read '/': Is a directory"),
    ([], {"BULLA_PASSPHRASE_FILE": "/dev/zero"}, 2, "the passphrase from '/dev/zero' is longer than 1024 bytes"),
]


@pytest.mark.parametrize("args, env, status, says", BAD_SOURCES)
def test_source_that_fails(bulla, said, locked, args, env, status, says):
    done = bulla("encrypt", "-k", locked, *args, stdin=X, env=env, status=status)
    assert says in done.stderr.decode() and done.stdout == b""


# Wrong ones.


def sealed_by_ring(bulla, said, ring, *names):
    for name in names:
        (bulla.work / name).write_bytes(X)
    bulla("encrypt", "-k", ring, *names, env=old(said))
    for name in names:
        (bulla.work / name).unlink()


def test_wrong_passphrase_is_asked_for_once(bulla, said, locked, work):
    """Several files, each of which needs it: the command runs once."""
    sealed_by_ring(bulla, said, locked, "a", "b", "c")
    command = f"echo asked >>'{said}/log'; echo wrong"
    done = bulla("verify", "-k", locked, "--passphrase-command", command, "-r", ".", status=3)
    assert (said / "log").read_text() == "asked\n" and b"wrong passphrase" in done.stderr
    done = bulla("verify", "-k", locked, "--passphrase-command", command, "a.bulla", status=5)
    assert f"keyring '{locked}': wrong passphrase".encode() in done.stderr


def test_right_passphrase_is_asked_for_once(bulla, said, locked, work):
    sealed_by_ring(bulla, said, locked, "a", "b", "c")
    bulla("verify", "-k", locked, "--passphrase-command", f"echo asked >>'{said}/log'; cat '{said}/old'", "-r", ".")
    assert (said / "log").read_text() == "asked\n"


def two_keys(bulla, said, locked):
    """The keyring with a second key, and a file for each of the two."""
    bulla("key", "new", "-q", f"{locked}#b", env=old(said))
    for name in ("locked", "b"):
        bulla("encrypt", "-k", f"{locked}#{name}", "-o", f"{name}.bulla", stdin=X, env=old(said))


@pytest.mark.parametrize("which, status", [("wrong", 3), ("old", 0)])
def test_passphrase_of_a_keyring_named_twice_is_asked_for_once(bulla, said, locked, work, which, status):
    two_keys(bulla, said, locked)
    keys = ["-k", f"{locked}#locked", "-k", f"../{locked.parent.name}/{locked.name}#b"]
    command = f"echo asked >>'{said}/log'; cat '{said}/{which}'"
    done = bulla("verify", *keys, "--passphrase-command", command, "locked.bulla", "b.bulla", status=status)
    assert (said / "log").read_text() == "asked\n"
    assert done.stderr.count(b"wrong passphrase") == (2 if which == "wrong" else 0)
    with open(said / which) as file:
        bulla("verify", *keys, "--passphrase-fd", "0", "locked.bulla", "b.bulla", stdin_file=file, status=status)


def test_passphrase_of_a_keyring_is_for_both_ends_of_a_reencryption(bulla, said, locked, work):
    two_keys(bulla, said, locked)
    with open(said / "old") as file:
        to = ["-k", f"{locked}#locked", "--to", f"{locked}#b"]
        bulla("reencrypt", *to, "--passphrase-fd", "0", "locked.bulla", stdin_file=file)
    assert bulla.open(f"{locked}#b", "locked.bulla", env=old(said)) == X


@pytest.mark.parametrize("member, value", [("salt", "00" * 16), ("passes", 1), ("memory-kib", 8)])
def test_changed_cost_is_a_wrong_passphrase(bulla, said, locked, member, value):
    edit_ring(locked, lambda r: r["passphrase"].update({member: value}))
    bulla("encrypt", "-k", locked, stdin=X, env=old(said), status=5)


COSTS = [({"memory-kib": 4}, 4), ({"memory-kib": 2**22 + 1}, 4), ({"passes": 0}, 4), ({"passes": 1025}, 4)]
COSTS += [({"salt": "00" * 15}, 4), ({"salt": "zz" * 16}, 4), ({"passes": "3"}, 4), ({"lanes": 1}, 4)]
COSTS += [({"memory-kib": 2**16 + 1}, 7), ({"passes": 9}, 7), ({"memory-kib": 2**22, "passes": 1024}, 7)]


@pytest.mark.parametrize("cost, status", COSTS)
def test_cost_that_is_not_allowed(bulla, said, locked, cost, status):
    """And that at once, not after the memory was filled."""
    edit_ring(locked, lambda r: r["passphrase"].update(cost))
    begun = time.monotonic()
    done = bulla("encrypt", "-k", locked, stdin=X, env=old(said), status=status)
    assert time.monotonic() - begun < 5 and done.stdout == b""
    assert (b"--max-kdf-mem" in done.stderr) == (status == 7)


@pytest.mark.parametrize("allowed, status", [("63", 7), ("64", 0), ("4096", 0)])
def test_allowed_cost(bulla, said, locked, allowed, status):
    assert passphrase_of(locked)["memory-kib"] == 65536
    bulla("encrypt", "-k", locked, "--max-kdf-mem", allowed, stdin=X, env=old(said), status=status)


# Slots.


def sealed_by_passphrase(bulla, said, hint="", *more, name="p"):
    path = bulla.work / f"{name}.bulla"
    bulla("encrypt", "-k", f"passphrase:{hint}", *more, "-o", path, stdin=X, env=new(said, "old"))
    return path


@pytest.mark.parametrize("hint", ["", "h" * 64, "ü" * 32])
def test_slot_has_cost_and_hint(bulla, said, hint):
    sealed = sealed_by_passphrase(bulla, said, hint)
    (slot,) = bulla.inspect(sealed)[0]["slots"]
    assert slot["method"] == "passphrase" and slot.get("hint", "") == hint
    assert bulla.open("passphrase:", sealed, env=old(said)) == X
    assert bulla.open(f"passphrase:{hint}", sealed, env=old(said)) == X


@pytest.mark.parametrize("hint", ["h" * 65, b"\xff"])
def test_hint_that_is_none(bulla, said, hint):
    key = b"passphrase:" + (hint if isinstance(hint, bytes) else hint.encode())
    assert b"hint" in bulla("encrypt", "-k", key, stdin=X, env=new(said), status=2).stderr


def complaint(bulla, key, sealed, **how):
    return bulla("verify", "-k", key, sealed, status=5, **how).stderr


def test_wrong_passphrase_reads_like_any_wrong_key(bulla, said, ring):
    """But for the hint, which goes by what was given and not by how it failed."""
    sealed = sealed_by_passphrase(bulla, said, "hint")
    wrong = complaint(bulla, "passphrase:hint", sealed, env=old(said, "wrong"))
    assert wrong.replace(b"the passphrase may be wrong; ", b"", 1) == complaint(bulla, ring, sealed) != wrong
    of_ring = bulla.seal(ring, X, name="r")
    assert b"may be wrong" not in complaint(bulla, "passphrase:", of_ring, env=old(said))


def test_either_of_keyring_and_passphrase_opens(bulla, said, ring):
    sealed = sealed_by_passphrase(bulla, said, "", "-k", ring)
    assert bulla.open(ring, sealed) == bulla.open("passphrase:", sealed, env=old(said)) == X
    assert bulla.open(ring, sealed, "-k", "passphrase:", env=old(said, "wrong")) == X


def test_passphrase_of_a_file_is_not_asked_for_where_no_slot_takes_one(bulla, said, ring):
    sealed = bulla.seal(ring, X)
    assert bulla.open("passphrase:", sealed, "-k", ring, start_new_session=True) == X


def with_slot_memory(sealed, kib, passes=3):
    """Both copies with another cost in the last passphrase slot."""
    raw = sealed.read_bytes()
    region = layout(raw).region
    cost = raw[:region].rindex((3).to_bytes(4, "big") + (65536).to_bytes(4, "big"))
    sealed.write_bytes(with_copies(raw, raw[:cost] + passes.to_bytes(4, "big") + kib.to_bytes(4, "big") + raw[cost + 8 : region]))


@pytest.mark.parametrize("kib, passes", [(2**16 - 1, 3), (2**16, 2), (8, 1)])
def test_cheap_slot_is_damage(bulla, said, kib, passes):
    """bulla writes none: it would let a file ask about many guesses."""
    sealed = sealed_by_passphrase(bulla, said)
    with_slot_memory(sealed, kib, passes)
    done = bulla("verify", "-k", "passphrase:", sealed, env=old(said), status=4)
    assert b"both copies of the envelope of " in done.stderr and b" are damaged: A: a slot" in done.stderr


def test_no_more_than_four_passphrases(bulla, said, work):
    keys = [word for hint in "abcde" for word in ("-k", f"passphrase:{hint}")]
    done = bulla("encrypt", *keys, "-o", "p.bulla", stdin=X, env=new(said, "old"), status=2)
    assert done.stderr == b"bulla: an envelope has at most 4 passphrases\n" and os.listdir(work) == []
    sealed = sealed_by_passphrase(bulla, said, "a", *keys[2:8])
    before = identity(sealed)
    change = ["-k", "passphrase:a", "--add", "passphrase:e", "--share-branch"]
    done = bulla("rewrap", *change, sealed, env=old(said) | new(said), status=2)
    assert b"an envelope has at most 4 passphrases\n" in done.stderr and identity(sealed) == before


@pytest.mark.parametrize("kib, passes", [(2**21, 3), (2**16 + 1, 3), (2**16, 9)])
def test_costly_slot_is_refused_at_once(bulla, said, kib, passes):
    sealed = sealed_by_passphrase(bulla, said)
    with_slot_memory(sealed, kib, passes)
    begun = time.monotonic()
    assert b"--max-kdf-mem" in bulla("verify", "-k", "passphrase:", sealed, env=old(said), status=7).stderr
    assert time.monotonic() - begun < 5


def test_slots_of_a_file_have_one_budget(bulla, said):
    """The second is allowed by itself, but not after the first."""
    sealed = sealed_by_passphrase(bulla, said, "a", "-k", "passphrase:b")
    with_slot_memory(sealed, 2**20, 8)
    allow = ["--max-kdf-mem", "1024"]
    done = bulla("verify", "-k", "passphrase:", *allow, sealed, env=old(said, "wrong"), status=7)
    assert b"its passphrase slots cost more than 8388608 KiB" in done.stderr and b"--max-kdf-mem" in done.stderr


@pytest.mark.plain
def test_files_have_a_budget_each(bulla, said, late, work):
    """So many that together they are above it."""
    sealed = sealed_by_passphrase(bulla, said)
    for name in range(33):
        (work / f"{name}.bulla").write_bytes(sealed.read_bytes())
    done = bulla("verify", "-k", "passphrase:", "-r", ".", env=old(said, "wrong") | late(), status=3)
    assert b"cost more" not in done.stderr and done.stderr.count(b"none of the given keys") == 34


@pytest.mark.plain
def test_files_of_a_rewrap_have_a_budget_each(bulla, said, ring, late, work):
    """Of as many branches, which are wrapped by a passphrase first, and then are looked at whether they are."""
    for name in range(33):
        bulla.seal(ring, X, "--context", f"number={name}", name=name)
    bulla("rewrap", "-k", ring, "--add", "passphrase:", "-r", ".", env=new(said) | late())
    done = bulla("rewrap", "-k", ring, "-k", "passphrase:", "-r", ".", env=old(said) | late())
    assert b"0 rewrapped, 33 were current" in done.stderr and b"66 unwraps" in done.stderr


@pytest.mark.plain
def test_signal_is_seen_before_each_slot(bulla, said, late):
    sealed = sealed_by_passphrase(bulla, said, "a", "-k", "passphrase:b")
    bulla("verify", "-k", "passphrase:", sealed, env=old(said) | late("crypto_pwhash"), status=130)


def test_key_opens_beside_a_costly_slot(bulla, said, ring):
    sealed = sealed_by_passphrase(bulla, said, "", "-k", ring)
    with_slot_memory(sealed, 2**21)
    assert bulla.open("passphrase:", sealed, "-k", ring, env=old(said)) == X


def test_passphrase_is_added_and_taken_away(bulla, said, ring):
    sealed = bulla.seal(ring, X)
    bulla("rewrap", "-k", ring, "--add", "passphrase:h", sealed, env=new(said, "old"))
    assert bulla.open("passphrase:", sealed, env=old(said)) == X
    bulla("rewrap", "-k", ring, "--remove", "passphrase:h", sealed)
    bulla.open("passphrase:", sealed, env=old(said), status=5)
    assert bulla.open(ring, sealed) == X


@pytest.mark.parametrize("more", [[], ["-k", "RING"], ["--share-branch"]], ids=["alone", "beside a keyring", "beside a keyring that is not at hand"])
def test_passphrase_of_a_file_is_changed(bulla, said, ring, more):
    sealed = sealed_by_passphrase(bulla, said, "h", *(["-k", ring] if more else []))
    change = ["-k", "passphrase:h", "--remove", "passphrase:h", "--add", "passphrase:h", sealed]
    before = identity(sealed)
    if more:
        done = bulla("rewrap", *change, env=old(said) | new(said), status=7)
        assert b"not all of its keys are given" in done.stderr and identity(sealed) == before
    bulla("rewrap", *(ring if word == "RING" else word for word in more), *change, env=old(said) | new(said))
    assert bulla.open("passphrase:", sealed, env=old(said, "new")) == X
    bulla.open("passphrase:", sealed, env=old(said), status=5)
    assert not more or bulla.open(ring, sealed) == X


# The terminal.


def test_terminal_asks_twice_for_a_new_one(bulla, said):
    shown = on_terminal(bulla, "key", "new", "-q", "--passphrase", "../keys/r", lines=[OLD + "\n"] * 2)
    question = "bulla: new passphrase of keyring '../keys/r'"
    assert asked(shown) == [f"{question}: ", f"{question}, once more: "]
    bulla("encrypt", "-k", bulla.keys / "r", stdin=X, env=old(said))


def test_terminal_asks_once_for_an_old_one(bulla, said, locked, work):
    (work / "plain").write_bytes(X)
    shown = on_terminal(bulla, "encrypt", "-k", "../keys/locked.ring", "plain", lines=[OLD + "\n"])
    assert asked(shown) == ["bulla: passphrase of keyring '../keys/locked.ring': "]
    assert bulla.open(locked, "plain.bulla", env=old(said)) == X


def test_stop_at_the_question_leaves_the_terminal_as_it_was(bulla, said, locked, work):
    lines = ["\x1a", "\x1a", OLD + "\n"]
    shown = on_terminal(bulla, "encrypt", "-k", locked, "-o", "out", said / "wrong", lines=lines, under=IN_SHELL)
    told = [line for line in shown.decode().split() if line in ("stopped", "ended", "True", "False")]
    assert told == ["stopped", "True", "stopped", "True", "ended", "True"] and len(asked(shown)) == 3
    assert bulla.open(locked, "out", env=old(said)) == b"wrong"


@pytest.mark.parametrize("key", ["\x03", "\x1c"], ids=["interrupt", "quit"])
def test_end_at_the_question_leaves_the_terminal_as_it_was(bulla, said, locked, work, key):
    shown = on_terminal(bulla, "encrypt", "-k", locked, said / "old", lines=[key], status=130, under=IN_SHELL)
    assert b"ended True" in shown and b"interrupted" in shown


def test_two_that_differ_are_refused(bulla, said):
    shown = on_terminal(bulla, "key", "new", "--passphrase", "../keys/r", lines=[OLD + "\n", NEW + "\n"], status=1)
    assert b"the two are not the same" in shown and os.listdir(bulla.keys) == []


def test_wrong_one_typed_is_not_asked_for_again(bulla, said, locked, work):
    (work / "plain").write_bytes(X)
    shown = on_terminal(bulla, "encrypt", "-k", "../keys/locked.ring", "plain", lines=["wrong\n", OLD + "\n"], status=5)
    assert len(asked(shown)) == 1 and b"wrong passphrase" in shown and os.listdir(work) == ["plain"]


@pytest.mark.parametrize("typed, status", [("\n", 2), ("\x04", 2), ("\x03", 130)], ids=["empty", "end", "interrupt"])
def test_nothing_typed(bulla, said, locked, work, typed, status):
    (work / "plain").write_bytes(X)
    on_terminal(bulla, "encrypt", "-k", "../keys/locked.ring", "plain", lines=[typed], status=status)
    assert os.listdir(work) == ["plain"]


def test_hint_is_shown_when_asking(bulla, said, work):
    sealed_by_passphrase(bulla, said, "summer 2026")
    (work / "p.bulla").rename(work / "q.bulla")
    shown = on_terminal(bulla, "decrypt", "-k", "passphrase:summer 2026", "q.bulla", lines=[OLD + "\n"])
    assert asked(shown) == ["bulla: passphrase for summer 2026: "] and (work / "q").read_bytes() == X


@pytest.mark.parametrize("hint, shown_as", [("summer 2026", "summer 2026"), ("\x1b[2J", "\\x1b[2J"), ("h" * 64, "h" * 64)])
def test_hint_of_the_file_is_shown_to_who_gives_none(bulla, said, work, hint, shown_as):
    sealed_by_passphrase(bulla, said, hint, name="q")
    shown = on_terminal(bulla, "decrypt", "-k", "passphrase:", "q.bulla", lines=[OLD + "\n"])
    assert asked(shown) == [f"bulla: passphrase (the file says: {shown_as}): "] and (work / "q").read_bytes() == X


def test_hint_cannot_steer_the_terminal(bulla, said, work):
    (work / "plain").write_bytes(content(10))
    shown = on_terminal(bulla, "encrypt", "-q", "-k", "passphrase:\x1b[2J", "plain", lines=[OLD + "\n"] * 2)
    assert b"\x1b" not in shown


def test_descriptor_of_a_passphrase_is_not_inherited(bulla, work):
    """By the command that gives another."""
    (work / "new").write_text("a new passphrase\n")
    with open(work / "new", "rb") as file:
        number = str(file.fileno())
        bulla("key", "new", "--passphrase", "--new-passphrase-fd", number, f"{bulla.keys}/locked.ring", pass_fds=[file.fileno()])
    with open(work / "new", "rb") as file:
        number = str(file.fileno())
        command = f"test ! -e /proc/self/fd/{number} && echo a new passphrase"
        bulla("key", "passphrase", "--passphrase-command", command, "--new-passphrase-fd", number, f"{bulla.keys}/locked.ring",
              pass_fds=[file.fileno()])
