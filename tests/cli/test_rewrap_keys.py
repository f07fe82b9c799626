"""Which keys a rewrap leaves a file with, where one key is named twice, or one name is of two keys."""

import pathlib

import pytest

X = b"what is sealed"


def slots(bulla, sealed):
    return [slot.get("key_name") for slot in bulla.inspect(sealed)[0]["slots"]]


@pytest.fixture
def two(bulla):
    """A keyring of two keys."""
    for name in ("one", "two"):
        ring = str(bulla.new_key(f"two.ring#{name}")).split("#")[0]
    return ring


@pytest.mark.parametrize("others", [[], ["other.ring"]], ids=["alone", "with another"])
def test_refresh_by_a_whole_keyring_drops_none_of_its_keys(bulla, two, others):
    others = [bulla.new_key(other) for other in others]
    sealed = bulla.seal(f"{two}#one", X, "-k", f"{two}#two", *(word for other in others for word in ("-k", other)))
    before = sealed.read_bytes()
    done = bulla("rewrap", "-k", two, sealed)
    assert b"0 rewrapped, 1 were current" in done.stderr and sealed.read_bytes() == before
    assert [bulla.open(key, sealed) for key in (f"{two}#one", f"{two}#two", *others)] == [X] * (2 + len(others))


def test_key_that_opens_and_is_added_has_one_slot(bulla, ring):
    partner = bulla.new_key("partner.ring")
    sealed = bulla.seal(ring, X)
    bulla("rewrap", "-k", ring, "--add", partner, sealed)
    before = sealed.read_bytes()
    done = bulla("rewrap", "-k", ring, "-k", partner, "--add", partner, sealed)
    assert b"0 rewrapped, 1 were current" in done.stderr and sealed.read_bytes() == before
    assert slots(bulla, sealed) == ["backup", "partner"]


@pytest.mark.parametrize("order", [1, -1], ids=["old first", "new first"])
def test_two_versions_of_a_key_that_is_added_become_one_slot(bulla, ring, order):
    before = bulla.keys / "before.ring"
    before.write_bytes(ring.read_bytes())
    before.chmod(0o600)
    bulla("key", "rotate", "-q", ring)
    one, two = (before, ring)[::order]
    sealed = bulla.seal(one, X, "-k", two)
    bulla("rewrap", "-k", ring, "--add", ring, sealed)
    assert slots(bulla, sealed) == ["backup"] and bulla.open(ring, sealed) == X
    assert b"1 were current" in bulla("rewrap", "-k", ring, "--add", ring, sealed).stderr


def test_passphrase_is_added_beside_one_of_the_same_hint(bulla, ring):
    said = {name: bulla.home / name for name in ("first", "second")}
    for name, path in said.items():
        path.write_text(f"{name} passphrase\n")
    sealed = bulla.seal(ring, X, "-k", "passphrase:", env={"BULLA_NEW_PASSPHRASE_FILE": str(said["first"])})
    env = {"BULLA_PASSPHRASE_FILE": str(said["first"]), "BULLA_NEW_PASSPHRASE_FILE": str(said["second"])}
    done = bulla("rewrap", "-k", ring, "--share-branch", "--add", "passphrase:", sealed, env=env)
    assert b"1 rewrapped, 0 were current" in done.stderr
    for path in said.values():
        assert bulla.open("passphrase:", sealed, env={"BULLA_PASSPHRASE_FILE": str(path)}) == X


def test_one_key_by_two_references_is_current_the_second_time(bulla, ring):
    sealed = bulla.seal(ring, X)
    to = ["-k", ring, "--to", ring, "--to", f"{ring}#backup"]
    assert b"1 rewrapped" in bulla("rewrap", *to, sealed).stderr
    before = sealed.read_bytes()
    assert b"1 were current" in bulla("rewrap", *to, sealed).stderr and sealed.read_bytes() == before


def test_removal_by_a_ring_that_is_older_than_the_file(bulla, two):
    """It does not know whose the newer version is, and removes none but what is named."""
    other = bulla.new_key("other.ring")
    old = bulla.keys / "old.ring"
    old.write_bytes(pathlib.Path(two).read_bytes())
    old.chmod(0o600)
    bulla("key", "rotate", "-q", f"{two}#two")
    sealed = bulla.seal(other, X, "-k", f"{two}#two")
    before = sealed.read_bytes()
    for key in ("one:1", "two:1", "two"):
        done = bulla("rewrap", "-k", other, "--remove", f"{old}#{key}", sealed, status=7)
        assert b"the given keyring is older than the file: it lacks two v2" in done.stderr and sealed.read_bytes() == before


def test_slot_of_a_dead_version_that_nobody_named_stays(bulla, two):
    """Neither removed nor taken for one of the version that is named."""
    sealed = bulla.seal(f"{two}#one", X, "-k", f"{two}#two")
    bulla("key", "rotate", "-q", f"{two}#two")
    bulla("key", "destroy", "-q", "--force", f"{two}#two:1")
    before = sealed.read_bytes()
    done = bulla("rewrap", "-k", f"{two}#one:1", sealed)
    assert b"0 rewrapped, 1 were current" in done.stderr and sealed.read_bytes() == before
    other = bulla.new_key("other.ring")
    bulla("rewrap", "-k", f"{two}#one", "--add", other, "--share-branch", sealed)
    bulla("rewrap", "-k", other, "--remove", f"{two}#one:1", sealed)
    assert slots(bulla, sealed) == ["two", "other"]
