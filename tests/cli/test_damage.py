"""What is said where one copy of the envelope is damaged, and of wrong keys. What refuses a file is tried in tests/kit."""

import json

import pytest

from sealed import REGION, content, edit_ring, flip, layout, set_state, snapshot, with_checksum, with_copies

SMALLER, LARGER = 3 * 16384 + 100, 5 * 16384 + 100
USED = 24 + 286 + 32  # bytes of a copy that are not filling
IN_COPY = [0, 9, 11, 15, 23, 24, 100, USED - 1, USED, -1]


@pytest.fixture(params=[SMALLER, LARGER], ids=["small", "large"])
def size(request):
    return request.param


@pytest.fixture
def sealed(bulla, ring, size):
    return bulla.seal(ring, content(size))


# Envelope copies.


def test_the_offsets_above_are_right(sealed, size):
    data = sealed.read_bytes()
    at = layout(data)
    assert at.region == (512 if size == SMALLER else REGION) and at.end + 32 == USED
    assert data[: at.region] == data[at.region : at.body] and not any(data[USED : at.region])


@pytest.mark.parametrize("offset", IN_COPY)
@pytest.mark.parametrize("copy, other", ["AB", "BA"])
def test_one_damaged_copy_costs_nothing(bulla, ring, sealed, size, copy, other, offset):
    data = sealed.read_bytes()
    region = layout(data).region
    data = flip(data, offset % region + (region if copy == "B" else 0), offset % 8)
    sealed.write_bytes(data)
    warning = f"warning: '%s': envelope copy {copy} is damaged ("
    for done, name in (
        (bulla("decrypt", "-k", ring, sealed, "-o", "-"), sealed),
        (bulla("decrypt", "-k", ring, stdin=data), "standard input"),
    ):
        assert done.stdout == content(size)
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
    data = sealed.read_bytes()
    sealed.write_bytes(bytes(512) + data[512:])
    bulla("decrypt", "-k", ring, sealed)


def test_two_different_copies_are_told(bulla, ring, sealed, size):
    """Either opens; which was read is said."""
    other = bulla.seal(ring, content(size), name="other").read_bytes()
    data = sealed.read_bytes()
    at = layout(data)
    mixed = data[: at.region] + other[at.region : at.body] + data[at.body :]
    done = bulla("decrypt", "-k", ring, stdin=mixed)
    assert done.stdout == content(size) and b"copies A and B differ" in done.stderr


def test_newer_copy_is_read(bulla, ring, sealed, size):
    data = sealed.read_bytes()
    at = layout(data)
    newer = with_checksum(data[:23] + b"\x02" + data[24 : at.region])
    done = bulla("decrypt", "-k", ring, stdin=data[: at.region] + newer + data[at.body :])
    assert done.stdout == content(size)
    assert b"envelope copy A is older than copy B" in done.stderr


@pytest.mark.parametrize("copy", "AB")
@pytest.mark.parametrize("verb", ["rewrap", "rewrap --dry-run", "reencrypt", "envelope restore --force"])
def test_copy_of_a_newer_bulla_is_not_written_over(bulla, ring, sealed, size, verb, copy):
    """The other copy opens the file, but who wrote the newer one may count on it."""
    bulla("envelope", "export", sealed)
    data = sealed.read_bytes()
    at = layout(data)
    newer = with_checksum(data[:8] + b"\0\x03" + data[10 : at.region])
    mixed = newer + data[at.region :] if copy == "A" else data[: at.region] + newer + data[at.body :]
    sealed.write_bytes(mixed)
    assert bulla("decrypt", "-k", ring, "-o", "-", sealed).stdout == content(size)
    done = bulla(*verb.split(), "-k", ring, sealed, status=8)
    assert f"bulla: '{sealed}': envelope copy {copy} is not for this bulla (".encode() in done.stderr
    assert sealed.read_bytes() == mixed


@pytest.mark.parametrize("number, says", [(1, "of a bulla from before the first release"), (3, "which this bulla does not know")])
@pytest.mark.parametrize("verb", ["decrypt", "verify", "inspect", "rewrap", "reencrypt"])
def test_other_format_is_refused(bulla, ring, sealed, verb, number, says):
    data = sealed.read_bytes()
    other = with_copies(data, data[:9] + bytes([number]) + data[10 : layout(data).region])
    sealed.write_bytes(other)
    before = snapshot(bulla.work)
    done = bulla(verb, *([] if verb == "inspect" else ["-k", ring]), "plain.bulla", status=8)
    assert f"it has format {number}, {says}\n".encode() in done.stderr and done.stdout == b""
    assert snapshot(bulla.work) == before


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
