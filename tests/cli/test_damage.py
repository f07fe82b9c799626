"""Damage of every kind is noticed and named, through the program; samples, as each is a process of its own."""

import json

import pytest

from sealed import BODY, CHUNK, CHUNKS, REGION, SUITES, content, edit_ring, flip, set_state, snapshot, with_chunks
from sealed import with_checksum

SIZE = 3 * 16384 + 100
USED = 24 + 238 + 32  # bytes of a copy that are not filling
IN_COPY = [0, 7, 8, 9, 10, 11, 12, 15, 16, 23, 24, 25, 30, 50, 100, 200, USED - 33, USED - 1, USED, REGION - 1]


@pytest.fixture
def sealed(bulla, ring):
    return bulla.seal(ring, content(SIZE))


@pytest.fixture
def damaged(bulla, ring, work):
    """Decrypts damaged bytes, as a file and as a stream; nothing may stay, and only a true prefix come out."""

    def call(data, status=4, says="", prefix=0, options=(), key=None):
        path = work / "damaged.bulla"
        path.write_bytes(data)
        before = snapshot(work)
        key = key or ring
        as_file = bulla("decrypt", "-k", key, *options, path, status=status)
        assert as_file.stdout == b"" and snapshot(work) == before
        as_stream = bulla("decrypt", "-k", key, *options, stdin=data, status=status)
        assert as_stream.stdout == content(SIZE)[:prefix]
        assert bulla("verify", "-k", key, *options, path, status=status).stdout == b""
        for done, name in ((as_file, path), (as_stream, "standard input")):
            expected = f"'{name}': {says}" if says else f"'{name}'"
            assert done.stderr.startswith(b"bulla: ") and expected.encode() in done.stderr, done.stderr
        return as_file.stderr

    return call


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


@pytest.mark.parametrize("offset", IN_COPY)
def test_two_damaged_copies(damaged, sealed, offset):
    data = flip(flip(sealed.read_bytes(), offset), REGION + IN_COPY[-1 - IN_COPY.index(offset)])
    err = damaged(data)
    assert b"both copies of " in err and b"envelope" in err


@pytest.mark.parametrize("data", [b"", b"\0" * BODY, b"\xff" * BODY], ids=["cut off", "zeros", "ones"])
def test_no_envelope(damaged, sealed, data):
    err = damaged(data + sealed.read_bytes()[BODY:])
    assert b"is not a sealed file, or both copies of its envelope are damaged" in err


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


NEWER = {"format": (9, 2), "suite": (29, 3), "core format": (27, 2)}


@pytest.mark.parametrize("offset, value", NEWER.values(), ids=NEWER)
def test_unknown_codes_are_unsupported(damaged, sealed, offset, value):
    data = sealed.read_bytes()
    copy = with_checksum(data[:offset] + bytes([value]) + data[offset + 1 : REGION])
    damaged(copy * 2 + data[BODY:], status=8)


# Bodies.


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("number", range(4))
def test_damaged_chunk_is_named(bulla, ring, damaged, suite, number):
    data = bulla.seal(ring, content(SIZE), "--suite", suite).read_bytes()
    last = ", the last," if number == 3 else ""
    for offset in (0, 50, -1):
        at = CHUNKS + number * CHUNK + offset if offset >= 0 or number < 3 else -1
        if offset < 0 and number < 3:
            at = CHUNKS + (number + 1) * CHUNK - 1
        says = f"chunk {number}{last} does not authenticate"
        damaged(flip(data, at, number), says=says, prefix=number * 16384)


@pytest.mark.parametrize("offset", [BODY, BODY + 23, BODY + 24, CHUNKS - 1])
def test_damaged_salt_or_commitment(damaged, sealed, offset):
    damaged(flip(sealed.read_bytes(), offset), says="the body does not belong to this envelope, or its first 56 bytes")


@pytest.mark.parametrize(
    "order, first_bad",
    [([1, 0, 2, 3], 0), ([0, 2, 1, 3], 1), ([0, 2, 3], 1), ([0, 1, 3], 2), ([1, 2, 3], 0), ([0, 0, 1, 2, 3], 1)]
    + [([0, 1, 2, 2, 3], 3), ([0, 1, 2, 3, 3], 3), ([3], 0), ([3, 0, 1, 2], 0), ([0, 3], 1), ([2, 2, 2, 2], 0)],
    ids=str,
)
def test_moved_chunks(damaged, sealed, order, first_bad):
    says = f"chunk {first_bad}"
    damaged(with_chunks(sealed.read_bytes(), order), says=says, prefix=first_bad * 16384)


@pytest.mark.parametrize("chunks", [0, 1, 2, 3])
def test_cut_between_chunks_is_named(damaged, sealed, chunks):
    data = sealed.read_bytes()[: CHUNKS + chunks * CHUNK]
    damaged(data, says=f"it ends before its last chunk, {chunks}", prefix=chunks * 16384)


def cuts():
    """Lengths around everything that begins or ends somewhere."""
    edges = [0, 8, 24, USED, REGION, BODY, CHUNKS] + [CHUNKS + n * CHUNK for n in (1, 2, 3)]
    end = CHUNKS + 3 * CHUNK + 116
    return sorted({n for e in [*edges, end] for n in (e - 17, e - 16, e - 1, e, e + 1, e + 15, e + 16) if 0 <= n < end})


@pytest.mark.parametrize("size", cuts())
def test_cut_anywhere(damaged, sealed, size):
    damaged(sealed.read_bytes()[:size], prefix=max(0, size - CHUNKS) // CHUNK * 16384)


@pytest.mark.parametrize("more", [b"\0", b"\n", b"\0" * 16, b"\0" * CHUNK, b"\xff" * 100_000], ids=len)
def test_bytes_behind_the_end(damaged, sealed, more):
    damaged(sealed.read_bytes() + more, prefix=3 * 16384)


def test_file_after_file(damaged, sealed):
    damaged(sealed.read_bytes() * 2, prefix=3 * 16384)


@pytest.mark.parametrize("size", [0, 16384, 32768])
def test_last_chunk_of_nothing_may_not_be_missing(bulla, ring, damaged, size):
    """With a plaintext of whole chunks the last chunk holds none, and is needed all the same."""
    data = bulla.seal(ring, content(SIZE)[:size]).read_bytes()
    damaged(data[:-16], prefix=size)


# Parts of different files.


@pytest.fixture
def two(bulla, ring, work):
    """Two files of one run, under one branch key."""
    for name in ("one", "two"):
        (work / name).write_bytes(content(SIZE))
    bulla("encrypt", "-k", ring, "one", "two")
    return [(work / f"{name}.bulla").read_bytes() for name in ("one", "two")]


def test_body_of_another_file(damaged, two):
    says = "the body does not belong to this envelope"
    damaged(two[0][:BODY] + two[1][BODY:], says=says)
    damaged(two[1][:BODY] + two[0][BODY:], says=says)


def test_chunks_of_another_file(damaged, two):
    damaged(two[0][:CHUNKS] + two[1][CHUNKS:], says="chunk 0 does not authenticate")
    damaged(two[0][: CHUNKS + CHUNK] + two[1][CHUNKS + CHUNK :], says="chunk 1 does not authenticate", prefix=16384)


def test_file_of_another_suite(bulla, ring, damaged, sealed):
    chacha = bulla.seal(ring, content(SIZE), "--suite", "chacha20", name="c").read_bytes()
    damaged(sealed.read_bytes()[:BODY] + chacha[BODY:], says="the body does not belong to this envelope")


def test_detached_pairs_mixed(bulla, ring, work):
    for name in ("one", "two"):
        (work / name).write_bytes(content(SIZE))
    bulla("encrypt", "-k", ring, "--detach", "one", "two")
    before = snapshot(work)
    done = bulla("decrypt", "-k", ring, "--envelope", "two.bulla.env", "one.bulla", "-o", "out", status=4)
    assert b"'one.bulla': the body does not belong to this envelope" in done.stderr
    assert snapshot(work) == before
    (work / "one.bulla.env").rename(work / "x")
    (work / "two.bulla.env").rename(work / "one.bulla.env")
    before = snapshot(work)
    assert bulla("decrypt", "-k", ring, "one.bulla", "-o", "-", status=4).stdout == b""
    bulla("verify", "-k", ring, "one.bulla", status=4)
    assert snapshot(work) == before


def test_detached_body_without_its_envelope(bulla, ring, work):
    (work / "f").write_bytes(content(SIZE))
    bulla("encrypt", "-k", ring, "--detach", "f")
    assert (work / "f.bulla").stat().st_size == 56 + 3 * CHUNK + 116
    (work / "f.bulla.env").unlink()
    bulla("decrypt", "-k", ring, "f.bulla", "-o", "out", status=4)
    assert not (work / "out").exists()


CHANGES = {"flipped": lambda d: flip(d, -1), "a byte less": lambda d: d[:-1], "a byte more": lambda d: d + b"\0"}
CHANGES["one chunk"] = lambda d: d[: CHUNK + 56]


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_damaged_detached_body(bulla, ring, work, change):
    (work / "f").write_bytes(content(SIZE))
    bulla("encrypt", "-k", ring, "--detach", "--remove-source", "f")
    body = work / "f.bulla"
    body.write_bytes(change(body.read_bytes()))
    before = snapshot(work)
    bulla("decrypt", "-k", ring, body, status=4)
    assert snapshot(work) == before


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
def test_wrong_key_looks_the_same_whatever_the_reason(bulla, ring, damaged, sealed, wrong):
    data = sealed.read_bytes()
    err = damaged(data, status=5, says="none of the given keys opens it", key=wrong(bulla, ring))
    path = bulla.work / "damaged.bulla"
    assert err.decode() == (
        f"bulla: '{path}': none of the given keys opens it\n"
        "bulla: hint: 'bulla inspect' shows the keys it was sealed to; -k names a key\n"
    )


@pytest.mark.parametrize("offset", [26 + 4, 26 + 20, 100, USED - 33], ids=["file id", "branch id", "data key", "slot"])
def test_forged_envelope_looks_like_a_wrong_key(damaged, sealed, offset):
    """Changed and its checksum made right: nothing but a key can tell, and it says no more than that."""
    data = sealed.read_bytes()
    copy = with_checksum(flip(data[:REGION], offset))
    damaged(copy * 2 + data[BODY:], status=5, says="none of the given keys opens it")
