"""What is said where one copy of the envelope is damaged, and of wrong keys. What refuses a file is tried in tests/kit."""

import json

import pytest

from sealed import BODY, REGION, content, edit_ring, flip, set_state, with_checksum

SIZE = 3 * 16384 + 100
USED = 24 + 238 + 32  # bytes of a copy that are not filling
IN_COPY = [0, 9, 11, 15, 23, 24, 100, USED - 1, USED, REGION - 1]


@pytest.fixture
def sealed(bulla, ring):
    return bulla.seal(ring, content(SIZE))


# Envelope copies.


def test_the_offsets_above_are_right(sealed):
    data = sealed.read_bytes()
    assert 24 + int.from_bytes(data[12:16], "big") + 32 == USED
    assert data[:REGION] == data[REGION:BODY] and not any(data[USED:REGION])


@pytest.mark.parametrize("offset", IN_COPY)
@pytest.mark.parametrize("copy, other", ["AB", "BA"])
def test_one_damaged_copy_costs_nothing(bulla, ring, sealed, copy, other, offset):
    data = flip(sealed.read_bytes(), offset + (REGION if copy == "B" else 0), offset % 8)
    sealed.write_bytes(data)
    warning = f"warning: '%s': envelope copy {copy} is damaged ("
    for done, name in (
        (bulla("decrypt", "-k", ring, sealed, "-o", "-"), sealed),
        (bulla("decrypt", "-k", ring, stdin=data), "standard input"),
    ):
        assert done.stdout == content(SIZE)
        assert (warning % name).encode() in done.stderr
        assert f"; opened from copy {other}\n".encode() in done.stderr
    states = {"A": ["damaged", "good"], "B": ["good", "damaged"]}[copy]
    assert bulla.inspect(sealed)[0]["copies"] == states
    assert f"copy {copy} damaged".encode() in bulla("inspect", sealed).stdout


def test_json_counts_good_copies(bulla, ring, sealed):
    sealed.write_bytes(flip(sealed.read_bytes(), 100))
    (report,) = map(json.loads, bulla("verify", "--json", "-k", ring, sealed).stdout.splitlines())
    assert (report["status"], report["copies_good"]) == (0, 1)


def test_quiet_keeps_warnings_back(bulla, ring, sealed):
    sealed.write_bytes(flip(sealed.read_bytes(), 100))
    assert bulla("decrypt", "-q", "-k", ring, sealed).stderr == b""


def test_zeroed_sector_costs_nothing(bulla, ring, sealed):
    sealed.write_bytes(bytes(REGION) + sealed.read_bytes()[REGION:])
    bulla("decrypt", "-k", ring, sealed)


def test_two_different_copies_are_told(bulla, ring, sealed):
    """Either opens; which was read is said."""
    other = bulla.seal(ring, content(SIZE), name="other").read_bytes()
    data = sealed.read_bytes()
    mixed = data[:REGION] + other[REGION:BODY] + data[BODY:]
    done = bulla("decrypt", "-k", ring, stdin=mixed)
    assert done.stdout == content(SIZE) and b"copies A and B differ" in done.stderr


def test_newer_copy_is_read(bulla, ring, sealed):
    data = sealed.read_bytes()
    newer = with_checksum(data[:23] + b"\x02" + data[24:REGION])
    done = bulla("decrypt", "-k", ring, stdin=data[:REGION] + newer + data[BODY:])
    assert done.stdout == content(SIZE)
    assert b"envelope copy A is older than copy B" in done.stderr


@pytest.mark.parametrize("copy", "AB")
@pytest.mark.parametrize("verb", ["rewrap", "rewrap --dry-run", "reencrypt", "envelope restore --force"])
def test_copy_of_a_newer_bulla_is_not_written_over(bulla, ring, sealed, verb, copy):
    """The other copy opens the file, but who wrote the newer one may count on it."""
    bulla("envelope", "export", sealed)
    data = sealed.read_bytes()
    newer = with_checksum(data[:8] + b"\0\x02" + data[10:REGION])
    mixed = newer + data[REGION:] if copy == "A" else data[:REGION] + newer + data[BODY:]
    sealed.write_bytes(mixed)
    assert bulla("decrypt", "-k", ring, "-o", "-", sealed).stdout == content(SIZE)
    done = bulla(*verb.split(), "-k", ring, sealed, status=8)
    assert f"bulla: '{sealed}': envelope copy {copy} is not for this bulla (".encode() in done.stderr
    assert sealed.read_bytes() == mixed


# Keys.


def other_ring(bulla, ring):
    return bulla.new_key("other.ring")


def other_material(bulla, ring):
    """A keyring that says it has the same key."""
    other = bulla.new_key("other.ring")
    mine = json.loads(ring.read_text())["keys"][0]
    edit_ring(other, lambda r: r["keys"][0].update(id=mine["id"], name=mine["name"]))
    return other


def other_version(bulla, ring):
    edit_ring(ring, lambda r: r["keys"][0]["versions"][0].update(version=2))
    return ring


def destroyed_version(bulla, ring):
    set_state(ring, "destroyed")
    return ring


def other_key_of_ring(bulla, ring):
    return f"{bulla.new_key('backup.ring#other')}"


WRONG = [other_ring, other_material, other_version, destroyed_version, other_key_of_ring]


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_key_looks_the_same_whatever_the_reason(bulla, ring, sealed, wrong):
    (slot,) = bulla.inspect(sealed)[0]["slots"]
    key = wrong(bulla, ring)
    for verb in ("decrypt", "verify"):
        done = bulla(verb, "-k", key, sealed, status=5)
        assert done.stdout == b"" and not (bulla.work / "plain").exists()
        assert done.stderr.decode() == (
            f"bulla: '{sealed}': none of the given keys opens it\n"
            f"bulla: hint: it was sealed to backup v1 ({slot['key_id']}), as 'bulla inspect' shows; -k names a key\n"
        )
