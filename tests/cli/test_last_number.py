"""A sequence number at its maximum, which anybody may put there, stops neither a rewrap nor a restore."""

import pytest

from sealed import content, with_checksum

LAST = (1 << 63) - 1


def last(sealed, copies=(0, 1)):
    raw = bytearray(sealed.read_bytes())
    region = 1 << raw[11]
    for copy in copies:
        at = copy * region
        changed = raw[at : at + 16] + LAST.to_bytes(8, "big") + raw[at + 24 : at + region]
        raw[at : at + region] = with_checksum(bytes(changed))
    sealed.write_bytes(raw)


@pytest.mark.parametrize("size", [10, 100_000], ids=["small", "large"])
@pytest.mark.parametrize("copies", [(0,), (1,), (0, 1)], ids=["A", "B", "both"])
def test_rewrap_begins_anew(bulla, ring, size, copies):
    sealed = bulla.seal(ring, content(size))
    last(sealed, copies)
    bulla("key", "rotate", "-q", ring)
    bulla("rewrap", "-q", "-k", ring, sealed)
    [shown] = bulla.inspect(sealed)
    assert (shown["sequence"], shown["copies"], shown["slots"][0]["key_version"]) == (1, ["good", "good"], 2)
    assert bulla("decrypt", "-k", ring, "-o", "-", sealed).stdout == content(size)


@pytest.mark.parametrize("size", [10, 100_000], ids=["small", "large"])
def test_restore_begins_anew(bulla, ring, size):
    sealed = bulla.seal(ring, content(size))
    bulla("envelope", "export", sealed)
    last(sealed)
    bulla("envelope", "restore", "--force", sealed)
    [shown] = bulla.inspect(sealed)
    assert (shown["sequence"], shown["copies"]) == (1, ["good", "good"])
    assert bulla("decrypt", "-k", ring, "-o", "-", sealed).stdout == content(size)
