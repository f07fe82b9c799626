"""Which of several keyrings is older than another that has the same key, as 'bulla key list' tells."""

import shutil

import pytest

from sealed import edit_ring, set_state


def old_copy(ring, name="old.ring"):
    """A copy of a keyring, which will be the old one."""
    copy = ring.with_name(name)
    shutil.copy(ring, copy)
    return copy


def rotate(bulla, ring, times=1):
    for _ in range(times):
        bulla("key", "rotate", "-q", ring)


@pytest.fixture
def public(bulla):
    """A ring with a pair of keys, and its public key file."""
    ring, file = bulla.keys / "host.ring", bulla.keys / "host.pub"
    bulla("key", "new", "-q", "--kind", "x25519", ring)
    bulla("key", "export-public", ring, "-o", file)
    return ring, file


def older(bulla, *rings, status=7):
    """What a list of rings says of their ages, and the same from its JSON."""
    done = bulla("key", "list", "-q", *rings, status=status)
    rows = [row for row in bulla.list_keys(*rings, status=status) if "key" not in row]
    return [line.removeprefix("bulla: ") for line in done.stderr.decode().splitlines()], rows


def test_rings_that_agree(bulla, ring, public):
    rotate(bulla, ring)
    copy, other = old_copy(ring), bulla.new_key("other.ring")
    assert older(bulla, ring, copy, other, *public, status=0) == ([], [])


@pytest.mark.parametrize("turned", [False, True])
def test_ring_that_lacks_versions(bulla, ring, turned):
    rotate(bulla, ring)
    old = old_copy(ring)
    rotate(bulla, ring, 2)
    (row,) = bulla.list_keys(f"{ring}#backup:1")
    lines, found = older(bulla, *([old, ring] if turned else [ring, old]))
    assert lines == [f"'{old}' is older than '{ring}': it has key 'backup' up to version 2, not 4"]
    expected = {"older": str(old), "newer": str(ring), "name": "backup", "id": row["id"]}
    assert found == [expected | {"version": 2, "newer_version": 4}]


STATES = ["active", "retired", "disabled", "destroyed"]
FURTHER = [(one, other) for one in STATES for other in STATES if (one, other) not in {("retired", "disabled"), ("disabled", "retired")}]


@pytest.mark.parametrize("one, other", [pair for pair in FURTHER if STATES.index(pair[0]) < STATES.index(pair[1])])
@pytest.mark.parametrize("turned", [False, True])
def test_ring_with_an_earlier_state(bulla, ring, one, other, turned):
    old = old_copy(ring)
    set_state(old, one)
    set_state(ring, other)
    lines, found = older(bulla, *([old, ring] if turned else [ring, old]))
    assert lines == [f"'{old}' is older than '{ring}': it has version 1 of key 'backup' as {one}, not {other}"]
    (found,) = found
    assert (found["older"], found["newer"], found["version"]) == (str(old), str(ring), 1)
    assert (found["state"], found["newer_state"]) == (one, other)


def test_rings_that_differ_and_neither_is_older(bulla, ring):
    """A disabled version may have been enabled, or the other way round."""
    other = old_copy(ring)
    set_state(ring, "retired")
    set_state(other, "disabled")
    lines, found = older(bulla, ring, other)
    assert lines == [f"'{ring}' and '{other}' differ: version 1 of key 'backup' is retired in the first and disabled in the second"]
    (found,) = found
    assert (found["one"], found["other"], found["state"], found["other_state"]) == (str(ring), str(other), "retired", "disabled")


def test_each_key_is_compared(bulla, ring):
    """One ring may be older in one key and newer in another; keys of one ring alone are not compared."""
    bulla.new_key("backup.ring#second")
    other = old_copy(ring)
    bulla.new_key("backup.ring#third")
    rotate(bulla, f"{ring}#backup")
    rotate(bulla, f"{other}#second")
    lines, _ = older(bulla, ring, other)
    assert sorted(lines) == sorted([f"'{other}' is older than '{ring}': it has key 'backup' up to version 1, not 2",
                                    f"'{ring}' is older than '{other}': it has key 'second' up to version 1, not 2"])  # fmt: skip


def test_rings_that_went_apart(bulla, ring):
    """What one lacks does not hide what the other lacks."""
    rotate(bulla, ring)
    other = old_copy(ring)
    rotate(bulla, ring)
    bulla("key", "destroy", "--force", f"{other}#backup:1")
    lines, _ = older(bulla, ring, other)
    assert sorted(lines) == sorted([f"'{other}' is older than '{ring}': it has key 'backup' up to version 2, not 3",
                                    f"'{ring}' is older than '{other}': it has version 1 of key 'backup' as retired, not destroyed"])  # fmt: skip


@pytest.mark.parametrize("kind", ["symmetric", "x25519"])
def test_rings_that_were_rotated_apart(bulla, kind):
    """Both have a version 2, but it is not one key: no copy of one opens what the other sealed."""
    ring = bulla.keys / "apart.ring"
    bulla("key", "new", "-q", "--kind", kind, ring)
    other = old_copy(ring)
    for one in (ring, other):
        rotate(bulla, one)
    lines, found = older(bulla, ring, other)
    assert lines[0] == f"'{ring}' and '{other}' were rotated apart: version 2 of key 'apart' is another key in each"
    assert len(lines) == 2 and lines[1].startswith("hint: what one seals to it the other cannot open: ")
    (found,) = found
    assert (found["one"], found["other"], found["version"], found["same_key"]) == (str(ring), str(other), 2, False)
    if kind == "x25519":
        bulla("key", "export-public", other, "-o", bulla.keys / "apart.pub")
        assert "rotated apart" in older(bulla, ring, bulla.keys / "apart.pub")[0][0]
        assert older(bulla, other, bulla.keys / "apart.pub", status=0) == ([], [])


def test_each_older_ring_is_told_with_the_newest(bulla, ring):
    first = old_copy(ring, "first.ring")
    rotate(bulla, ring)
    second = old_copy(ring, "second.ring")
    rotate(bulla, ring)
    lines, _ = older(bulla, first, ring, second)
    assert lines == [f"'{first}' is older than '{ring}': it has key 'backup' up to version 1, not 3",
                     f"'{second}' is older than '{ring}': it has key 'backup' up to version 2, not 3"]  # fmt: skip


def test_public_key_file_that_is_older_than_the_ring(bulla, public):
    ring, file = public
    rotate(bulla, ring)
    assert older(bulla, file, ring)[0] == [f"'{file}' is older than '{ring}': it has key 'host' up to version 1, not 2"]


def test_key_is_the_same_by_its_id(bulla, ring):
    """Another key of the same name is not; a renamed one is."""
    old = old_copy(ring)
    other = bulla.keys / "sub" / "backup.ring"
    other.parent.mkdir()
    bulla("key", "new", "-q", other)
    rotate(bulla, ring)
    assert older(bulla, ring, other, status=0) == ([], [])
    edit_ring(old, lambda r: r["keys"][0].update(name="renamed"))
    assert older(bulla, ring, old)[0] == [f"'{old}' is older than '{ring}': it has key 'renamed' up to version 1, not 2"]


def test_reference_to_one_version_is_compared_as_its_ring_knows_it(bulla, ring):
    rotate(bulla, ring)
    copy = old_copy(ring)
    assert older(bulla, f"{ring}#backup:1", copy, status=0) == ([], [])


def test_ring_that_cannot_be_read_beside_an_older_one(bulla, ring):
    old = old_copy(ring)
    rotate(bulla, ring)
    done = bulla("key", "list", ring, "missing.ring", old, status=3)
    assert f"'{old}' is older than '{ring}'".encode() in done.stderr and b"there is no keyring 'missing.ring'" in done.stderr
