"""Envelopes in files of their own: detached, exported, put back; never put where they do not belong."""

import json
import os

import pytest

from program import reports
from sealed import BODY, CHUNK, content, edit_ring, flip, layout, make_null, set_state, snapshot, with_checksum

SIZE = 2 * 16384 + 5  # with a small region
LARGE = 4 * 16384 + 5


@pytest.fixture(params=[SIZE, LARGE], ids=["small", "large"])
def size(request):
    return request.param


@pytest.fixture
def sealed(bulla, ring, size):
    return bulla.seal(ring, content(size))


@pytest.fixture
def exported(bulla, sealed):
    """The exported envelope of the sealed file."""
    bulla("envelope", "export", sealed)
    return sealed.with_name("plain.bulla.env")


def destroy(path, copies="AB"):
    data = bytearray(path.read_bytes())
    region = layout(data).region
    for copy in copies:
        at = "AB".index(copy) * region
        data[at : at + region] = bytes(region)
    path.write_bytes(data)
    return path


def opens(bulla, ring, path, *options, size=SIZE):
    """The file opens without a warning."""
    done = bulla("decrypt", "-k", ring, "-o", "-", *options, path)
    return (done.stdout, done.stderr) == (content(size), b"")


def own_envelope(path):
    """Both copies, as they are in the sealed file."""
    data = path.read_bytes()
    return data[: layout(data).body]


# Detached.


def detach(bulla, ring, *options, size=SIZE):
    (bulla.work / "f").write_bytes(content(size))
    bulla("encrypt", "-k", ring, "--detach", "--remove-source", *options, "f")
    return bulla.work / "f.bulla", bulla.work / "f.bulla.env"


@pytest.mark.parametrize("suite", ["aes", "chacha20"])
def test_detached_pair(bulla, ring, suite):
    body, env = detach(bulla, ring, "--suite", suite)
    assert env.stat().st_size == BODY and body.stat().st_size == 56 + 2 * CHUNK + 5 + 16
    assert opens(bulla, ring, body)
    assert opens(bulla, ring, body, "--envelope", env)
    bulla("verify", "-k", ring, body)
    (shown,) = bulla.inspect(body)
    assert (shown["envelope"], shown["bytes"]) == ("separate", SIZE)
    bulla("decrypt", "-k", ring, body)
    assert (bulla.work / "f").read_bytes() == content(SIZE)


@pytest.mark.parametrize("verb", ["inspect", "verify", "decrypt", "rewrap"])
def test_json_of_a_detached_pair_tells_of_no_error(bulla, ring, verb):
    """That the body has no envelope in it is what was expected."""
    body, _ = detach(bulla, ring)
    key = [] if verb == "inspect" else ["-k", ring]
    (report,) = reports(bulla(verb, "--json", *key, body))
    assert report["status"] == 0 and "error" not in report


def test_detached_pair_has_mode_and_times_of_its_source(bulla, ring, work):
    (work / "f").write_bytes(b"x")
    (work / "f").chmod(0o640)
    os.utime(work / "f", ns=(10**18, 10**18))
    bulla("encrypt", "-k", ring, "--detach", "f")
    for name in ("f.bulla", "f.bulla.env"):
        st = (work / name).stat()
        assert (st.st_mode & 0o7777, st.st_mtime_ns) == (0o640, 10**18)


def test_envelope_goes_where_it_is_told(bulla, ring, work):
    body = bulla("encrypt", "-k", ring, "--envelope", "e", stdin=content(SIZE)).stdout
    assert sorted(os.listdir(work)) == ["e"] and len(body) == 56 + 2 * CHUNK + 5 + 16
    assert bulla("decrypt", "-k", ring, "--envelope", "e", stdin=body).stdout == content(SIZE)


def test_separate_envelope_with_one_damaged_copy(bulla, ring):
    body, env = detach(bulla, ring)
    env.write_bytes(flip(env.read_bytes(), 5))
    done = bulla("decrypt", "-k", ring, body, "-o", "-")
    assert done.stdout == content(SIZE)
    assert f"'{env}': envelope copy A is damaged".encode() in done.stderr


def test_tree_of_detached_pairs(bulla, ring, work):
    (work / "t" / "sub").mkdir(parents=True)
    for name in ("a", "sub/b"):
        (work / "t" / name).write_bytes(name.encode())
    bulla("encrypt", "-k", ring, "-r", "--detach", "--remove-source", "t")
    assert b"2 verified" in bulla("verify", "-k", ring, "-r", "t").stderr
    bulla("decrypt", "-k", ring, "-r", "--remove-source", "t")
    assert sorted(p.name for p in (work / "t").rglob("*")) == ["a", "b", "sub"]


# Export.


def test_export_is_the_envelope(sealed, exported):
    assert exported.read_bytes() == own_envelope(sealed)


def test_export_to_a_name_and_to_standard_output(bulla, sealed, work):
    bulla("envelope", "export", sealed, "-o", "e")
    data = bulla("envelope", "export", sealed, "-o", "-").stdout
    assert data == (work / "e").read_bytes() == own_envelope(sealed)


def test_export_does_not_overwrite(bulla, sealed, exported):
    exported.write_bytes(b"old")
    bulla("envelope", "export", sealed, status=9)
    assert exported.read_bytes() == b"old"
    bulla("envelope", "export", "--force", sealed)
    assert exported.read_bytes() == own_envelope(sealed)


def test_export_repairs_its_copy(bulla, ring, sealed):
    """From a file with one damaged copy comes an envelope with two good ones."""
    good = own_envelope(sealed)
    sealed.write_bytes(flip(sealed.read_bytes(), 50))
    assert b"copy A is damaged" in bulla("envelope", "export", sealed).stderr
    assert sealed.with_name("plain.bulla.env").read_bytes() == good


def test_export_from_a_file_without_envelope(bulla, sealed, work):
    destroy(sealed)
    before = snapshot(work)
    bulla("envelope", "export", sealed, status=4)
    assert snapshot(work) == before


@pytest.mark.parametrize("where", ["beside", "elsewhere"])
def test_exported_envelope_opens_a_file_without_its_own(bulla, ring, sealed, exported, work, where, size):
    options = []
    if where == "elsewhere":
        exported.rename(work / "e")
        options = ["--envelope", "e"]
    destroy(sealed)
    before = snapshot(work)
    for args, data in (([sealed], b""), ([], sealed.read_bytes())):
        if where == "beside" and not args:
            continue
        done = bulla("decrypt", "-k", ring, *options, "-o", "-", *args, stdin=data)
        assert done.stdout == content(size)
        assert b"envelope copies in this file were not used; 'bulla envelope restore'" in done.stderr
    assert snapshot(work) == before


def test_exported_envelope_opens_a_whole_file(bulla, ring, sealed, exported):
    bulla("decrypt", "-k", ring, "--envelope", exported, sealed, "-o", "-")


# Restore.


def test_restore_after_total_loss(bulla, ring, sealed, exported, size):
    whole = sealed.read_bytes()
    destroy(sealed)
    bulla("envelope", "restore", "-k", ring, sealed)
    assert sealed.read_bytes() == whole and opens(bulla, ring, sealed, size=size)


def test_restore_from_a_named_envelope(bulla, ring, sealed, exported, work):
    whole = sealed.read_bytes()
    exported.rename(work / "e")
    destroy(sealed)
    bulla("envelope", "restore", "-k", ring, "--envelope", "e", sealed)
    assert sealed.read_bytes() == whole


def test_restore_keeps_the_mode(bulla, ring, sealed, exported):
    destroy(sealed).chmod(0o640)
    bulla("envelope", "restore", "-k", ring, sealed)
    assert sealed.stat().st_mode & 0o7777 == 0o640


@pytest.mark.parametrize("key", [[], ["-k"]], ids=["without a key", "with a key"])
@pytest.mark.parametrize("copies", ["A", "B"])
def test_restore_repairs_one_copy(bulla, ring, sealed, exported, copies, key, size):
    destroy(sealed, copies)
    bulla("envelope", "restore", *key, *([ring] if key else []), sealed)
    assert bulla.inspect(sealed)[0]["copies"] == ["good", "good"]
    assert opens(bulla, ring, sealed, size=size)


@pytest.mark.parametrize("names", [1, 2])
def test_restore_writes_over_a_large_file_and_replaces_a_small_one(bulla, ring, sealed, exported, work, size, names):
    """Both copies of a small one may be in one sector, with the beginning of the body. But its other names are not left behind."""
    if names == 2:
        (work / "other").hardlink_to(sealed)
    os.utime(destroy(sealed), ns=(10**18, 10**18))
    inode = sealed.stat().st_ino
    bulla("envelope", "restore", "-k", ring, sealed)
    assert (sealed.stat().st_ino == inode) == (size == LARGE or names == 2) and sealed.stat().st_mtime_ns > 10**18
    assert opens(bulla, ring, sealed, size=size) and (names == 1 or (work / "other").samefile(sealed))
    assert sorted(os.listdir(work)) == ["other"] * (names - 1) + ["plain.bulla", "plain.bulla.env"]


def test_restore_of_an_equal_envelope(bulla, ring, sealed, exported, size):
    bulla("envelope", "restore", sealed)
    assert bulla.inspect(sealed)[0]["copies"] == ["good", "good"]
    assert opens(bulla, ring, sealed, size=size)


def refuse(bulla, *args, status, says):
    before = snapshot(bulla.work)
    done = bulla("envelope", "restore", *args, status=status)
    assert says.encode() in done.stderr, done.stderr
    assert snapshot(bulla.work) == before


def test_restore_without_a_key_proves_nothing(bulla, ring, sealed, exported):
    refuse(bulla, destroy(sealed), status=7, says="-k KEY proves that this one belongs to it")


def test_force_is_no_proof(bulla, ring, sealed, exported):
    refuse(bulla, "--force", destroy(sealed), status=7, says="has no whole envelope of its own")


def test_force_does_not_destroy_a_detached_body(bulla, ring, work):
    (work / "d").write_bytes(content(SIZE))
    bulla("encrypt", "-k", ring, "--detach", "d")
    refuse(bulla, "--force", "d.bulla", status=7, says="has no whole envelope of its own")
    refuse(bulla, "--force", "-k", ring, "d.bulla", status=1, says="has no envelope of its own: it is a body")


def test_force_does_not_take_the_envelope_of_another_file(bulla, ring, sealed, exported):
    other = bulla.seal(ring, content(SIZE), name="other")
    refuse(bulla, "--force", "--envelope", exported, other, status=7, says="has the envelope of another file")


def test_restore_with_a_wrong_key(bulla, ring, sealed, exported):
    refuse(bulla, "-k", bulla.new_key("other.ring"), destroy(sealed), status=5, says="none of the given keys opens it")


def test_restore_with_a_disabled_key(bulla, ring, sealed, exported):
    set_state(ring, "disabled")
    refuse(bulla, "-k", ring, destroy(sealed), status=7, says="is disabled")


@pytest.mark.parametrize("key", [False, True])
def test_envelope_of_another_file(bulla, ring, sealed, exported, key):
    other = bulla.seal(ring, content(SIZE), name="other")
    keys = ["-k", ring] if key else []
    refuse(bulla, *keys, "--envelope", exported, other, status=7, says="has the envelope of another file")


def test_envelope_of_another_file_into_one_without(bulla, ring, sealed, exported):
    other = destroy(bulla.seal(ring, content(SIZE), name="other"))
    says = "the body does not belong to this envelope"
    refuse(bulla, "-k", ring, "--envelope", exported, other, status=(4, 7), says=says)


def test_envelope_into_a_detached_body(bulla, ring):
    """A detached body has no room for an envelope: writing one would destroy it."""
    body, env = detach(bulla, ring)
    refuse(bulla, "-k", ring, body, status=(1, 4, 7), says="'")
    assert opens(bulla, ring, body)


def move_on(bulla, ring, sealed):
    """To a new version, which the exported envelope lacks."""
    bulla("key", "rotate", ring)
    done = bulla("rewrap", "-k", ring, sealed, status=3)
    assert f"'{sealed}.env' is an exported envelope that still has the old slots\n".encode() in done.stderr


def test_exported_envelope_that_is_not_understood_is_told(bulla, ring, sealed, exported):
    """It may be one that still takes the old key."""
    copy = exported.read_bytes()[: exported.stat().st_size // 2]
    exported.write_bytes(2 * with_checksum(copy[:8] + b"\x00\x63" + copy[10:]))
    bulla("key", "rotate", ring)
    done = bulla("rewrap", "-k", ring, sealed, status=3)
    assert f"'{exported}' cannot be read: it may be an exported envelope that still has the old slots\n".encode() in done.stderr
    assert b"1 rewrapped" in done.stderr and b"1 left" in done.stderr


def test_older_envelope_does_not_replace_a_newer(bulla, ring, sealed, exported):
    move_on(bulla, ring, sealed)
    refuse(bulla, sealed, status=7, says="has a newer envelope")


def test_older_envelope_by_force_gets_a_newer_number(bulla, ring, sealed, exported, size):
    move_on(bulla, ring, sealed)
    bulla("envelope", "restore", "--force", sealed)
    (shown,) = bulla.inspect(sealed)
    assert (shown["sequence"], shown["copies"]) == (3, ["good", "good"])
    assert opens(bulla, ring, sealed, size=size)


def test_restore_to_a_file_too_short(bulla, ring, sealed, exported):
    sealed.write_bytes(b"short")
    refuse(bulla, "-k", ring, "--force", sealed, status=4, says="ends 5 bytes into its body")


def test_restore_without_an_envelope(bulla, ring, sealed):
    refuse(bulla, "-k", ring, sealed, status=10, says="cannot open")


def test_restore_from_a_whole_file(bulla, ring, sealed):
    other = bulla.seal(ring, content(SIZE), name="other")
    refuse(bulla, "-k", ring, "--envelope", other, sealed, status=1, says="is not an envelope file")


def test_restore_through_a_link(bulla, ring, sealed, exported, work):
    (work / "link").symlink_to(sealed)
    refuse(bulla, "--envelope", exported, "link", status=1, says="'link'")


@pytest.mark.parametrize("special", ["fifo", "directory", "device"])
def test_restore_to_what_is_not_a_file(bulla, ring, exported, work, special):
    """The device is a node of its own in the test's directory: no test may name one of the system's as an output."""
    path = work / "x"
    {"fifo": os.mkfifo, "directory": os.mkdir, "device": make_null}[special](path)
    refuse(bulla, "-k", ring, "--envelope", exported, path, status=1, says=f"'{path}'")


# Rewrapped.


def test_exported_envelope_is_rewrapped_by_itself(bulla, ring, sealed, exported, size):
    """It has no body that could be compared, and needs none."""
    whole = sealed.read_bytes()
    sealed.unlink()
    bulla("key", "rotate", ring)
    bulla("rewrap", "-k", ring, "-r", ".")
    set_state(ring, "destroyed")
    sealed.write_bytes(bytes(layout(whole).body) + whole[layout(whole).body :])
    bulla("envelope", "restore", "-k", ring, sealed)
    assert opens(bulla, ring, sealed, size=size)


@pytest.mark.parametrize("left", [0, 55])
def test_file_without_the_beginning_of_its_body_is_not_rewrapped(bulla, ring, sealed, left):
    whole = sealed.read_bytes()
    sealed.write_bytes(whole[: layout(whole).body + left])
    bulla("key", "rotate", ring)
    before = snapshot(bulla.work)
    done = bulla("rewrap", "-k", ring, sealed, status=4)
    assert f"'{sealed}': it ends {left} bytes into its body, before its first chunk\n".encode() in done.stderr
    assert snapshot(bulla.work) == before


def test_envelope_over_the_body_of_another_file_is_not_rewrapped(bulla, ring, sealed):
    """The keys open it, but not the body that follows."""
    whole, other = sealed.read_bytes(), bulla.seal(ring, content(100), name="other").read_bytes()
    sealed.write_bytes(whole[: layout(whole).body] + other[layout(other).body :])
    bulla("key", "rotate", ring)
    before = snapshot(bulla.work)
    done = bulla("rewrap", "-k", ring, sealed, status=4)
    assert b"the body does not belong to this envelope" in done.stderr and snapshot(bulla.work) == before


# Broken separate envelopes.

BROKEN = {
    "empty": lambda d: b"",
    "one byte": lambda d: d[:1],
    "less than a copy": lambda d: d[: len(d) // 2 - 1],
    "both damaged": lambda d: flip(flip(d, 30), len(d) // 2 + 30),
    "zeros": lambda d: bytes(len(d)),
    "second copy cut, first destroyed": lambda d: bytes(len(d) // 2) + d[len(d) // 2 : -1],
}
LONGER = {"a byte more": lambda d: d + b"\0", "a copy more": lambda d: d + d[: len(d) // 2], "twice": lambda d: d * 2}
SHORTER = {"one copy": lambda d: d[: len(d) // 2], "less than two copies": lambda d: d[:-1]}


@pytest.mark.parametrize("shorten", SHORTER.values(), ids=SHORTER)
def test_separate_envelope_cut_in_its_second_copy(bulla, ring, shorten):
    """As with any damage to one copy, the other is enough, and the damage is told."""
    body, env = detach(bulla, ring)
    env.write_bytes(shorten(env.read_bytes()))
    done = bulla("decrypt", "-k", ring, body, "-o", "-")
    assert done.stdout == content(SIZE)
    assert f"'{env}': envelope copy B is damaged (the file ends inside it)".encode() in done.stderr


@pytest.mark.parametrize("break_it", BROKEN.values(), ids=BROKEN)
def test_broken_envelope_is_not_restored(bulla, ring, sealed, exported, break_it):
    exported.write_bytes(break_it(exported.read_bytes()))
    refuse(bulla, "-k", ring, destroy(sealed), status=4, says=f"'{exported}'")


@pytest.mark.parametrize("resize", [*LONGER.values(), *SHORTER.values()], ids=[*LONGER, *SHORTER])
def test_envelope_of_a_wrong_size_is_not_restored(bulla, ring, sealed, exported, resize):
    exported.write_bytes(resize(exported.read_bytes()))
    refuse(bulla, "-k", ring, destroy(sealed), status=(1, 4), says=f"'{exported}'")


BREAKS = {"zeros": lambda size: bytes(size), "random headers": lambda size: content(300).ljust(size, b"\0"), "of a detached body": None}


@pytest.mark.parametrize("start", BREAKS.values(), ids=BREAKS)
def test_inspect_sees_that_an_exported_envelope_stands_in(bulla, ring, sealed, exported, start, size):
    """And shows no size, for it is not known how much of the file is left of the one in it."""
    if start is None:
        sealed, _ = detach(bulla, ring, size=size)
    else:
        data = sealed.read_bytes()
        body = layout(data).body
        sealed.write_bytes(start(body) + data[body:])
    done = bulla("inspect", "--json", sealed)
    (shown,) = (json.loads(line) for line in done.stdout.splitlines())
    assert (shown["envelope"], shown["bytes"]) == ("separate", size if start is None else None)
    told = b"'bulla envelope restore' puts good ones back"
    assert (told in done.stderr) == (told in bulla("verify", "-k", ring, sealed).stderr) == (start is not None)


@pytest.mark.parametrize("verb", ["decrypt", "verify", "inspect"])
def test_body_without_its_envelope(bulla, ring, verb):
    body, env = detach(bulla, ring)
    env.unlink()
    done = bulla(verb, *([] if verb == "inspect" else ["-k", ring]), body, status=4)
    assert f"hint: if it was sealed with --detach, '{env}' belongs beside it\n".encode() in done.stderr


def test_missing_separate_envelope(bulla, ring, sealed):
    done = bulla("decrypt", "-k", ring, "--envelope", "missing", sealed, status=10)
    assert b"cannot open 'missing': No such file or directory" in done.stderr


def test_envelope_with_two_slots(bulla, ring, sealed, work):
    """Export and restore keep every slot."""
    other = bulla.new_key("other.ring")
    both = bulla.seal(ring, content(SIZE), "-k", other, name="both")
    bulla("envelope", "export", both)
    bulla("envelope", "restore", "-k", other, destroy(both))
    for key in (ring, other):
        assert opens(bulla, key, both)


def test_version_of_a_slot_is_the_version_that_opens(bulla, ring, sealed):
    edit_ring(ring, lambda r: r["keys"][0]["versions"][0].update(version=7))
    other = bulla.seal(ring, content(SIZE), name="other")
    assert bulla.inspect(other)[0]["slots"][0]["key_version"] == 7
    assert opens(bulla, ring, other)
    bulla("decrypt", "-k", ring, sealed, status=5)


@pytest.mark.parametrize("start", [BREAKS["zeros"], content, None], ids=["zeros", "random bytes", "good copies"])
def test_inspect_shows_no_size_by_an_envelope_from_elsewhere(bulla, ring, sealed, exported, start):
    data = sealed.read_bytes()
    body = layout(data).body
    sealed.write_bytes((start(body) if start else data[:body]) + data[body:])
    (shown,) = bulla.inspect("--envelope", exported, sealed)
    assert (shown["envelope"], shown["bytes"]) == ("separate", None)
    assert b"bytes of plaintext" not in bulla("inspect", "--envelope", exported, sealed).stdout
