"""bulla key check: a key is tried once, and what it can do is said."""

import json


def facts(bulla, *args, **how):
    return json.loads(bulla("key", "check", "--json", *args, **how).stdout.splitlines()[0])


def test_a_keyring_wraps_and_unwraps(bulla, ring):
    assert facts(bulla, ring) == {"key": str(ring), "store": "keyring", "wraps": True, "unwraps": True, "status": 0}
    shown = bulla("key", "check", ring).stdout.decode()
    assert shown.split() == [str(ring), "store", "keyring", "wraps", "yes", "unwraps", "yes"]


def test_a_public_key_only_wraps(bulla, work):
    bulla("key", "new", "--kind", "x25519", f"{bulla.keys}/pair.ring")
    bulla("key", "export-public", "-o", "pair.pub", f"{bulla.keys}/pair.ring")
    told = facts(bulla, "pair.pub")
    assert (told["wraps"], told["unwraps"], told["status"]) == (True, False, 0)
    assert told["unwraps_error"] == "it seals, but does not open" and "wraps_error" not in told
    assert b"it seals, but does not open" in bulla("key", "check", "pair.pub").stdout


def test_a_key_that_cannot_wrap_fails(bulla, ring):
    bulla("key", "retire", ring)
    done = bulla("key", "check", ring, status=7)
    assert b"no active version" in done.stderr
    assert b"no active version" in done.stdout


def test_several_keys_are_told_one_by_one(bulla, ring, work):
    done = bulla("key", "check", "--json", "nowhere.ring", ring, status=3)
    first, second = [json.loads(line) for line in done.stdout.splitlines()]
    assert (first["key"], first["status"]) == ("nowhere.ring", 10)
    assert (second["key"], second["status"]) == (str(ring), 0)
