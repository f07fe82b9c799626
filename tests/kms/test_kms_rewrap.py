"""Rewrap with KMS: ReEncrypt where both ends are there, so that no key passes through; else by unwrap and wrap."""

import json
import os

import pytest

from faults import error
from kms_files import CONTENT, altered, arns, context, digest, materials, opened, wraps
from sealed import layout


@pytest.fixture
def sealed(bulla, key):
    return bulla.seal(key.arn, CONTENT, "--context", "db=prod")


@pytest.fixture
def mover(bulla, cloud):
    """The environment of a host that may move files and open none."""
    return cloud.user("mover", "kms:ReEncryptFrom", "kms:ReEncryptTo", "kms:DescribeKey").environment()


def calls(aws):
    """What was asked, but for what is public."""
    return {name: count for name, count in aws.calls.items() if name not in ("DescribeKey", "GetCallerIdentity")}


def decrypted(aws):
    """The keys of which Decrypt was asked, in order, since the sealing."""
    return [r.content["KeyId"] for r in aws.requests if r.operation == "Decrypt"]


def body_of(sealed):
    raw = sealed.read_bytes()
    return raw[layout(raw).body :]


def test_to_another_key_by_one_who_cannot_decrypt(bulla, cloud, aws, key, sealed, mover):
    other, body = cloud.key(), body_of(sealed)
    cloud.plaintexts.clear()
    aws.calls.clear()
    bulla("rewrap", "-k", key.arn, "--to", other.arn, sealed, env=mover)
    assert calls(aws) == {"ReEncrypt": 1} and cloud.plaintexts == []
    sent = aws.last("ReEncrypt")
    assert (sent["SourceKeyId"], sent["DestinationKeyId"]) == (key.arn, other.arn)
    assert sent["SourceEncryptionContext"] == sent["DestinationEncryptionContext"] and sent["SourceEncryptionContext"]["db"] == "prod"
    assert arns(bulla, sealed) == [other.arn] and body_of(sealed) == body
    assert opened(bulla, other, sealed=sealed).stdout == CONTENT
    assert opened(bulla, key, sealed=sealed, status=5).stdout == b""
    done = opened(bulla, other, sealed=sealed, env=mover, status=7)
    assert b"kms:Decrypt" in done.stderr and done.stdout == b""


def test_only_from_the_key_that_the_user_named(bulla, cloud, aws, sealed, mover):
    other, third = cloud.key(), cloud.key()
    before = digest(sealed)
    bulla("rewrap", "-k", third.arn, "--to", other.arn, sealed, env=mover, status=5)
    assert digest(sealed) == before and aws.calls["ReEncrypt"] == 0


def test_same_key_after_its_rotation(bulla, aws, key, sealed, mover):
    key.rotate()
    wrap = wraps(sealed)
    aws.calls.clear()
    done = bulla("rewrap", "-k", key.arn, sealed, env=mover)
    assert b"1 rewrapped" in done.stderr and calls(aws) == {"ReEncrypt": 1}
    assert materials(bulla, sealed) == [key.materials[-1].id] and wraps(sealed) != wrap
    assert opened(bulla, key, sealed=sealed).stdout == CONTENT


def test_material_decides(bulla, aws, key, sealed, mover):
    """Encrypt does not report it, ReEncrypt does: a file is moved once, and again only after the next rotation. Each run asks KMS whether the slot is what it says."""
    assert materials(bulla, sealed) == [""]
    rewrap = lambda: bulla("rewrap", "-k", key.arn, sealed, env=mover).stderr  # noqa: E731
    assert b"1 rewrapped" in rewrap() and materials(bulla, sealed) == [key.materials[0].id]
    before = digest(sealed)
    assert b"0 rewrapped, 1 were current" in rewrap() and digest(sealed) == before
    key.rotate()
    assert b"1 rewrapped" in rewrap() and materials(bulla, sealed) == [key.materials[1].id]
    assert aws.calls["ReEncrypt"] == 3 and opened(bulla, key, sealed=sealed).stdout == CONTENT


def test_many_files_of_a_run_take_one_call(bulla, cloud, aws, key):
    other = cloud.key()
    names = [str(n) for n in range(40)]
    for name in names:
        (bulla.work / name).write_bytes(name.encode())
    bulla("encrypt", "-k", key.arn, *names)
    aws.calls.clear()
    done = bulla("rewrap", "--json", "-k", key.arn, "--to", other.arn, *(f"{n}.bulla" for n in names))
    assert calls(aws) == {"ReEncrypt": 1}
    assert json.loads(done.stdout.splitlines()[-1])["key_calls"] == sum(aws.calls.values())
    assert opened(bulla, other, sealed="17.bulla").stdout == b"17"


def test_files_of_two_runs(bulla, cloud, aws, key):
    """A wrap of one branch key must not come into a file of another."""
    other = cloud.key()
    files = [bulla.seal(key.arn, b"%d" % n, name=str(n)) for n in range(2)]
    bulla("rewrap", "-k", key.arn, "--to", other.arn, *files)
    assert [opened(bulla, other, sealed=f).stdout for f in files] == [b"0", b"1"] and aws.calls["ReEncrypt"] == 2


@pytest.mark.parametrize("decrypts", [False, True])
def test_key_that_only_a_planted_slot_names(bulla, cloud, aws, key, mover, decrypts):
    """The tag leaves slots of KMS out, so that anybody can put a key's name there; that gives the key nothing."""
    third, other = cloud.key(), cloud.key()
    sealed = bulla.seal(key.arn, CONTENT, "-k", third.arn)
    altered(sealed, third.arn.encode(), other.arn.encode())
    before = digest(sealed)
    bulla("rewrap", "-k", key.arn, "-k", other.arn, sealed, env=None if decrypts else mover, status=(4, 5))
    assert digest(sealed) == before
    opened(bulla, other, sealed=sealed, status=5)


@pytest.mark.parametrize("order", [1, -1])
def test_same_branch_id_with_another_wrap(bulla, cloud, aws, key, sealed, order):
    """Anybody can seal under the branch id of another: no wrap comes from the one file into the other."""
    other, forged = cloud.key(), bulla.work / "forged.bulla"
    forged.write_bytes(sealed.read_bytes())
    (mine,), theirs = wraps(sealed), b"f" * 32
    altered(forged, mine, cloud.seal(key, theirs, context(sealed)))
    branch_key = cloud.plaintexts[-1]
    bulla("rewrap", "-k", key.arn, "--to", other.arn, *(sealed, forged)[::order])
    assert [cloud.open(other, wraps(f)[0], context(f))[0] for f in (sealed, forged)] == [branch_key, theirs]
    assert aws.calls["ReEncrypt"] == 2 and opened(bulla, other, sealed=sealed).stdout == CONTENT


def test_to_another_region_goes_by_unwrap_and_wrap(bulla, cloud, aws, key, sealed):
    """ReEncrypt works in one region only. The second Decrypt sees that the new slot opens."""
    other = cloud.key(region="eu-west-1")
    aws.calls.clear()
    bulla("rewrap", "-k", key.arn, "--to", other.arn, sealed)
    assert calls(aws) == {"Decrypt": 2, "Encrypt": 1} and decrypted(aws) == [key.arn, other.arn]
    assert opened(bulla, other, sealed=sealed).stdout == CONTENT


def test_add_and_remove(bulla, cloud, aws, key, sealed):
    """A fresh branch each time, so that who is removed has no key of what is sealed afterwards; each of its keys opens it once."""
    other = cloud.key()
    aws.calls.clear()
    bulla("rewrap", "-k", key.arn, "--add", other.arn, sealed)
    assert arns(bulla, sealed) == [key.arn, other.arn] and calls(aws) == {"Decrypt": 3, "Encrypt": 2}
    aws.calls.clear()
    bulla("rewrap", "-k", other.arn, "--remove", key.arn, sealed)
    assert arns(bulla, sealed) == [other.arn] and calls(aws) == {"Decrypt": 2, "Encrypt": 1}
    assert opened(bulla, other, sealed=sealed).stdout == CONTENT


@pytest.mark.parametrize("change", [["--add", "OTHER"], ["--to", "OTHER", "--to", "KEY"], ["--to", "OTHER", "--to", "RING"]], ids=" ".join)
def test_more_keys_take_the_branch_key(bulla, cloud, aws, key, ring, sealed, mover, change):
    """Only that vouches for their number. ReEncrypt is not tried."""
    names, before = {"OTHER": cloud.key().arn, "KEY": key.arn, "RING": ring}, digest(sealed)
    aws.calls.clear()
    change = [names.get(word, word) for word in change]
    done = bulla("rewrap", "-k", key.arn, *change, sealed, env=mover, status=7)
    assert calls(aws) == {"Decrypt": 1} and b"kms:Decrypt" in done.stderr and digest(sealed) == before
    may = cloud.user("may", "kms:Encrypt", "kms:Decrypt", "kms:DescribeKey").environment()
    bulla("rewrap", "-k", key.arn, *change, sealed, env=may)
    assert aws.calls["ReEncrypt"] == 0 and opened(bulla, names["OTHER"], sealed=sealed).stdout == CONTENT


def test_slot_that_nobody_looked_at_is_not_left_alone(bulla, cloud, key, sealed):
    """The tag leaves out what KMS may move."""
    other = cloud.key()
    bulla("rewrap", "-k", key.arn, "--add", other.arn, sealed)
    before = digest(sealed)
    done = bulla("rewrap", "-k", key.arn, "--remove", key.arn, sealed, status=7)
    assert b"no key would be left that was seen to open it" in done.stderr and digest(sealed) == before


def test_keyring_to_kms_and_back(bulla, aws, key, ring):
    sealed = bulla.seal(ring, CONTENT)
    bulla("rewrap", "-k", ring, "--to", key.arn, sealed)
    assert calls(aws) == {"Encrypt": 1, "Decrypt": 1} and arns(bulla, sealed) == [key.arn]
    assert opened(bulla, key, sealed=sealed).stdout == CONTENT
    aws.calls.clear()
    bulla("rewrap", "-k", key.arn, "--to", ring, sealed)
    assert calls(aws) == {"Decrypt": 1}
    assert bulla("decrypt", "-k", ring, "-o", "-", sealed).stdout == CONTENT
    assert opened(bulla, key, sealed=sealed, status=5).stdout == b""


@pytest.mark.parametrize("verb", ["rewrap", "reencrypt"])
def test_no_key_is_taken_that_may_not_decrypt(bulla, cloud, aws, key, ring, verb):
    """What was sealed to it could not be opened by who has the old key here: that goes only once the new one was seen to open."""
    sealed = bulla.seal(ring, CONTENT)
    before = digest(sealed)
    half = cloud.user("half", "kms:Encrypt", "kms:DescribeKey").environment()
    done = bulla(verb, "-k", ring, "--to", key.arn, sealed, env=half, status=7)
    assert b"the new awskms key does not open what is sealed to it" in done.stderr and b"kms:Decrypt" in done.stderr
    assert digest(sealed) == before and os.listdir(bulla.work) == [sealed.name]


def test_the_new_key_opens_once_in_a_run(bulla, aws, key, ring):
    sealed = [bulla.seal(ring, CONTENT, "--context", f"n={n}", name=f"{n}") for n in range(4)]
    bulla("rewrap", "-k", ring, "--to", key.arn, *sealed)
    assert calls(aws) == {"Encrypt": 4, "Decrypt": 1}


def test_to_both_at_once(bulla, cloud, key, ring, sealed):
    other = cloud.key()
    bulla("rewrap", "-k", key.arn, "--to", other.arn, "--to", ring, sealed)
    assert opened(bulla, other, sealed=sealed).stdout == CONTENT
    assert bulla("decrypt", "-k", ring, "-o", "-", sealed).stdout == CONTENT


@pytest.mark.parametrize("end", ["from", "to"])
def test_without_the_permission(bulla, cloud, key, sealed, end):
    other = cloud.key()
    half = cloud.user("half", {"from": "kms:ReEncryptTo", "to": "kms:ReEncryptFrom"}[end], "kms:DescribeKey").environment()
    before = digest(sealed)
    done = bulla("rewrap", "-k", key.arn, "--to", other.arn, sealed, env=half, status=7)
    assert f"kms:ReEncrypt{end.capitalize()}".encode() in done.stderr and digest(sealed) == before


@pytest.mark.parametrize("order", [1, -1])
def test_no_decrypt_where_a_keyring_opens(bulla, cloud, aws, key, ring, order):
    """Who may decrypt too is not made to: the key of the other store opens the file, whichever was named first. The one
    Decrypt is of the new slot."""
    other, sealed = cloud.key(), bulla.seal(key.arn, CONTENT, "-k", ring)
    half = cloud.user("half", "kms:Encrypt", "kms:Decrypt", "kms:DescribeKey").environment()
    named = [word for name in (key.arn, ring)[::order] for word in ("-k", name)]
    aws.calls.clear()
    bulla("rewrap", *named, "--to", other.arn, sealed, env=half)
    assert calls(aws) == {"Encrypt": 1, "Decrypt": 1} and arns(bulla, sealed) == [other.arn] and decrypted(aws) == [other.arn]
    assert opened(bulla, other, sealed=sealed).stdout == CONTENT


@pytest.mark.parametrize("order", [1, -1])
def test_refused_reencrypt_is_said_where_no_other_key_opens(bulla, cloud, aws, key, ring, sealed, order):
    """A keyring that has nothing to do with the file is no reason to decrypt, nor to hide what was refused."""
    other, before = cloud.key(), digest(sealed)
    half = cloud.user("half", "kms:Encrypt", "kms:Decrypt", "kms:DescribeKey").environment()
    named = [word for name in (key.arn, ring)[::order] for word in ("-k", name)]
    aws.calls.clear()
    done = bulla("rewrap", *named, "--to", other.arn, sealed, env=half, status=7)
    assert calls(aws) == {"ReEncrypt": 1} and b"kms:ReEncryptFrom" in done.stderr and digest(sealed) == before


def test_dry_run_changes_nothing(bulla, cloud, key, sealed):
    other, before = cloud.key(), digest(sealed)
    done = bulla("rewrap", "-n", "-k", key.arn, "--to", other.arn, sealed)
    assert b"1 would be rewrapped" in done.stderr and digest(sealed) == before


def test_reencrypt(bulla, cloud, key, sealed):
    """New data key, new body: that takes kms:Decrypt."""
    other, body = cloud.key(), body_of(sealed)
    bulla("reencrypt", "-k", key.arn, "--to", other.arn, sealed)
    assert body_of(sealed) != body and opened(bulla, other, sealed=sealed).stdout == CONTENT


def test_status_shows_files_on_old_material(bulla, key):
    for name in "12":
        bulla("rewrap", "-k", key.arn, bulla.seal(key.arn, name.encode(), name=name))
        key.rotate()
    *lines, last = bulla("status", "1.bulla", "2.bulla").stdout.decode().splitlines()
    for material, name in zip(key.materials, ("1.bulla", "2.bulla")):
        (line,) = [line for line in lines if material.id in line]
        assert line.startswith("1 file on ") and key.arn in line and name in line
    assert len(lines) == 2 and last.startswith("2 files")
    bulla("rewrap", "-k", key.arn, "1.bulla", "2.bulla")
    (line, _) = bulla("status", "1.bulla", "2.bulla").stdout.decode().splitlines()
    assert line.startswith("2 files on ") and key.materials[-1].id in line


def test_status_needs(bulla, cloud, key, sealed):
    other = cloud.key()
    cloud.alias("alias/nightly", key)
    for name in (key.arn, "alias/nightly"):
        assert bulla("status", "--needs", name, sealed, status=7).stdout.startswith(bytes(sealed))
    assert b"0 files still need" in bulla("status", "--needs", other.arn, sealed).stdout


def test_aliases(bulla, cloud, aws, key, sealed, mover):
    """--to, --add and --remove take them too."""
    other = cloud.key()
    cloud.alias("alias/old", key)
    cloud.alias("alias/new", other)
    bulla("rewrap", "-k", "alias/old", "--add", "alias/new", sealed)
    assert arns(bulla, sealed) == [key.arn, other.arn]
    bulla("rewrap", "-k", "alias/new", "--remove", "alias/old", sealed)
    assert arns(bulla, sealed) == [other.arn] and aws.calls["ReEncrypt"] == 0
    bulla("rewrap", "-k", "alias/new", "--to", "alias/old", sealed, env=mover)
    assert arns(bulla, sealed) == [key.arn] and aws.calls["ReEncrypt"] == 1


def test_without_describe_key(bulla, cloud, key, sealed):
    """ReEncrypt alone moves a file to another key."""
    other = cloud.key()
    least = cloud.user("least", "kms:ReEncryptFrom", "kms:ReEncryptTo").environment()
    bulla("rewrap", "-k", key.arn, "--to", other.arn, sealed, env=least)
    assert opened(bulla, other, sealed=sealed).stdout == CONTENT


def test_replica_as_the_source(bulla, cloud, aws):
    """A file of the first region is moved in the second, by the replica there."""
    first = cloud.key(multi_region=True)
    second = cloud.key(region="eu-west-1", replica_of=first)
    other = cloud.key(region="eu-west-1")
    sealed = bulla.seal(first.arn, CONTENT)
    bulla("rewrap", "-k", second.arn, "--to", other.arn, sealed)
    assert aws.last("ReEncrypt")["SourceKeyId"] == second.arn and arns(bulla, sealed) == [other.arn]


def test_slots_of_two_replicas_are_not_made_one(bulla, cloud, aws):
    first = cloud.key(multi_region=True)
    second = cloud.key(region="eu-west-1", replica_of=first)
    both = [first.arn, second.arn]
    sealed = bulla.seal(first.arn, CONTENT, "-k", second.arn)
    bulla("rewrap", "-k", first.arn, *(word for arn in both for word in ("--to", arn)), sealed)
    before = digest(sealed)
    bulla("rewrap", "-k", first.arn, "-k", second.arn, sealed)
    assert arns(bulla, sealed) == both and digest(sealed) == before


def test_interrupted_rewrap_of_a_tree_goes_on(bulla, cloud, aws, key):
    """A run that KMS refused in the middle is finished by the next."""
    other = cloud.key()
    files = [bulla.seal(key.arn, b"%d" % n, name=str(n)) for n in range(4)]
    aws.fault("ReEncrypt", error("AccessDeniedException", "no"), times=9, after=2)
    bulla("rewrap", "-k", key.arn, "--to", other.arn, *files, status=3)
    assert sorted(arns(bulla, f)[0] == other.arn for f in files) == [False, False, True, True]
    aws.faults.clear()
    assert b"2 rewrapped, 2 were current" in bulla("rewrap", "-k", key.arn, "--to", other.arn, *files).stderr
    assert all(arns(bulla, f) == [other.arn] for f in files)
