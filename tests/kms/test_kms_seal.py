"""Sealing to keys of AWS KMS and opening with them: names, regions, contexts, and how often KMS is asked."""

import json

import pytest

from faults import status
from kms_files import CONTENT, altered, arns, content, context, materials, opened, slots, wraps
from program import SANITIZED

MANY = 300 if SANITIZED else 10_000


@pytest.fixture
def sealed(bulla, key):
    return bulla.seal(key.arn, CONTENT)


def test_round_trip(bulla, aws, key, sealed):
    (slot,) = slots(bulla, sealed)
    assert (slot["method"], slot["key_ARN"]) == ("awskms", key.arn)
    assert aws.calls["Encrypt"] == 1 and aws.calls["Decrypt"] == 0
    assert opened(bulla, key, sealed=sealed).stdout == CONTENT
    assert aws.calls["Encrypt"] == 1 and aws.calls["Decrypt"] == 1
    assert aws.last("Decrypt")["KeyId"] == key.arn


def test_what_kms_wraps_is_the_branch_key(bulla, cloud, aws, key, sealed):
    (branch_key,) = cloud.plaintexts
    assert len(branch_key) == 32
    assert cloud.open(key, wraps(sealed)[0], context(sealed))[0] == branch_key
    assert aws.last("Encrypt")["EncryptionContext"] == context(sealed)


def test_verify(bulla, aws, key, sealed):
    bulla("verify", "-k", key.arn, sealed)
    assert aws.calls["Decrypt"] == 1


def test_pipes(bulla, key):
    sealed = bulla("encrypt", "-k", key.arn, stdin=CONTENT).stdout
    assert bulla("decrypt", "-k", key.arn, stdin=sealed).stdout == CONTENT


def test_inspect_and_status_ask_nobody(bulla, aws, key, sealed):
    before = dict(aws.calls)
    bulla("inspect", sealed)
    assert key.arn.encode() in bulla("status", sealed).stdout
    assert dict(aws.calls) == before


REFERENCES = ["{arn}", "aws-kms://{arn}", "{alias}", "{alias_arn}", "aws-kms://{alias_arn}", "aws-kms://{alias}", "aws-kms://{id}"]


@pytest.mark.parametrize("reference", REFERENCES)
def test_names_of_a_key(bulla, cloud, key, reference):
    """Whatever the name, the slot has the ARN of the key, and any name opens it."""
    alias_arn = cloud.alias("alias/nightly", key)
    name = reference.format(arn=key.arn, alias="alias/nightly", alias_arn=alias_arn, id=key.id)
    sealed = bulla.seal(name, CONTENT)
    assert arns(bulla, sealed) == [key.arn]
    assert opened(bulla, name, sealed=sealed).stdout == CONTENT
    assert opened(bulla, key, sealed=sealed).stdout == CONTENT


def test_alias_that_moved_does_not_open_what_the_old_key_sealed(bulla, cloud, key):
    """The file does not choose the key: the alias means another one now."""
    cloud.alias("alias/nightly", key)
    sealed = bulla.seal("alias/nightly", CONTENT)
    cloud.alias("alias/nightly", cloud.key())
    done = opened(bulla, "alias/nightly", sealed=sealed, status=5)
    assert b"none of the given keys opens it" in done.stderr and done.stdout == b""
    assert opened(bulla, key, sealed=sealed).stdout == CONTENT


def test_key_of_another_account(bulla, cloud):
    key = cloud.key(account="444455556666")
    sealed = bulla.seal(key.arn, CONTENT)
    assert opened(bulla, key, sealed=sealed).stdout == CONTENT


BAD = ["arn:aws:kms:us-east-1:111122223333:key/", "arn:aws:s3:us-east-1:111122223333:key/x", "arn:aws:kms:us-east-1", "alias/",
       "arn:aws:kms:us-east-1/../x:111122223333:key/x", "arn:aws:kms:evil.example/:111122223333:key/x", "aws-kms://", "aws-kms:x",
       "arn:aws:kms:us-east-1:111122223333:key/x\nHost: y", "arn:aws:kms:us-east-1:1:key/x", "arn:aws:kms::111122223333:key/x",
       "alias/" + "x" * 3000, "arn:a@b:kms:us-east-1:111122223333:key/x"]  # fmt: skip


@pytest.mark.parametrize("reference", BAD, ids=range(len(BAD)))
def test_names_that_are_none(bulla, aws, reference):
    bulla("encrypt", "-k", reference, "-o", "out.bulla", stdin=b"x", status=2)
    assert not aws.calls and not (bulla.work / "out.bulla").exists()


def test_region_of_an_alias(bulla, cloud, aws):
    """From the environment, else from the profile; the ARN's own comes first."""
    west = cloud.key(region="eu-west-1")
    cloud.alias("alias/nightly", west)
    for environment in ({"AWS_REGION": "eu-west-1"}, {"AWS_REGION": "", "AWS_DEFAULT_REGION": "eu-west-1"}):
        bulla("encrypt", "-k", "alias/nightly", "-o", "-", stdin=b"x", env=environment)
        assert aws.requests[-1].region == "eu-west-1"
    bulla.config("[profile west]\nregion = eu-west-1\n")
    bulla("encrypt", "-k", "alias/nightly", "-o", "-", stdin=b"x", env={"AWS_REGION": "", "AWS_PROFILE": "west"})
    bulla("encrypt", "-k", west.arn, "-o", "-", stdin=b"x")
    assert aws.requests[-1].region == "eu-west-1"


def test_no_region_is_said(bulla, aws):
    done = bulla("encrypt", "-k", "alias/nightly", "-o", "-", stdin=b"x", env={"AWS_REGION": ""}, status=2)
    assert b"region" in done.stderr and b"AWS_REGION" in done.stderr and not aws.calls


@pytest.mark.parametrize("region", ["us-east-1.evil.example/", "a/b", "x@y", "us-east-1\n"])
def test_region_that_is_none(bulla, aws, region):
    done = bulla("encrypt", "-k", "alias/nightly", "-o", "-", stdin=b"x", env={"AWS_REGION": region}, status=2)
    assert b"is not the name of a region" in done.stderr and not aws.calls


# Contexts.


def test_context_goes_to_kms(bulla, aws, key):
    sealed = bulla.seal(key.arn, CONTENT, "--context", "db=prod", "--context", 'q="\\\u00fc\u2028')
    sent = {"db": "prod", "q": '"\\\u00fc\u2028', "bulla-branch": bulla.inspect(sealed)[0]["branch_id"]}
    assert aws.last("Encrypt")["EncryptionContext"] == sent
    assert opened(bulla, key, sealed=sealed).stdout == CONTENT
    assert aws.last("Decrypt")["EncryptionContext"] == sent


def test_altered_context_is_refused_by_kms(bulla, aws, key):
    sealed = bulla.seal(key.arn, CONTENT, "--context", "db=prod")
    altered(sealed, b"prod", b"test")
    done = opened(bulla, key, sealed=sealed, status=5)
    assert aws.calls["Decrypt"] == 1 and done.stdout == b"" and b"InvalidCiphertext" in done.stderr


def test_altered_arn_is_refused(bulla, cloud, aws, key, sealed):
    """The slot names another key of the user's: KMS does not open it there."""
    other = cloud.key()
    altered(sealed, key.arn.encode(), other.arn.encode())
    done = opened(bulla, other, sealed=sealed, status=5)
    assert b"IncorrectKeyException" in done.stderr and done.stdout == b""
    assert aws.last("Decrypt")["KeyId"] == other.arn


def test_slot_that_names_another_key_than_opens_it(bulla, cloud, key):
    """By an alias, which may mean either: what opens it must be what the slot says."""
    cloud.alias("alias/nightly", key)
    sealed = bulla.seal("alias/nightly", CONTENT)
    altered(sealed, key.arn.encode(), cloud.key().arn.encode())
    done = opened(bulla, "alias/nightly", sealed=sealed, status=7)
    assert f"key '{key.arn}' opened a wrap that names '".encode() in done.stderr and done.stdout == b""


def test_only_named_keys_are_asked(bulla, cloud, aws, sealed):
    other = cloud.key()
    assert b"" == opened(bulla, other, sealed=sealed, status=5).stdout
    assert aws.calls["Decrypt"] == 0


def test_altered_blob(bulla, key, sealed):
    (wrap,) = wraps(sealed)
    altered(sealed, wrap, wrap[:-1] + bytes([wrap[-1] ^ 1]))
    done = opened(bulla, key, sealed=sealed, status=5)
    assert b"InvalidCiphertextException" in done.stderr and done.stdout == b""


def test_longest_context(bulla, key):
    options = [w for n in range(32) for w in ("--context", f"{n:03}{'k' * 125}={'v' * 512}")]
    sealed = bulla.seal(key.arn, CONTENT, *options)
    assert opened(bulla, key, sealed=sealed).stdout == CONTENT


# Several keys and regions.


def test_replica_in_a_second_region(bulla, cloud, aws):
    first = cloud.key(multi_region=True)
    second = cloud.key(region="eu-west-1", replica_of=first)
    sealed = bulla.seal(first.arn, CONTENT)
    assert opened(bulla, second, sealed=sealed).stdout == CONTENT
    assert aws.last("Decrypt")["KeyId"] == second.arn and aws.requests[-1].region == "eu-west-1"


def test_the_first_region_that_answers(bulla, cloud, aws):
    keys = [cloud.key(region=region) for region in ("us-east-1", "eu-west-1")]
    sealed = bulla.seal(keys[0].arn, CONTENT, "-k", keys[1].arn)
    assert aws.calls["Encrypt"] == 2 and arns(bulla, sealed) == [key.arn for key in keys]
    aws.fault("Decrypt", status(503), times=99, region="us-east-1")
    assert opened(bulla, *keys, sealed=sealed).stdout == CONTENT
    assert aws.requests[-1].region == "eu-west-1"
    assert opened(bulla, *keys[::-1], sealed=sealed).stdout == CONTENT


def test_keyring_and_kms(bulla, key, ring):
    sealed = bulla.seal(ring, CONTENT, "-k", key.arn)
    assert opened(bulla, ring, sealed=sealed, env={"AWS_ENDPOINT_URL": "https://127.0.0.1:9"}).stdout == CONTENT
    assert opened(bulla, key, sealed=sealed).stdout == CONTENT


def test_name_of_the_config_file(bulla, key):
    path = bulla.home / "config/bulla/bulla.conf"
    path.parent.mkdir(parents=True)
    path.write_text(f"[keys]\nnightly = {key.arn}\n")
    sealed = bulla.seal("nightly", CONTENT)
    assert opened(bulla, "nightly", sealed=sealed).stdout == CONTENT


# Few calls.


def test_many_files_take_one_call_each_way(bulla, aws, key):
    for directory in ("plain", "sealed"):
        (bulla.work / directory).mkdir()
    for number in range(MANY):
        (bulla.work / "plain" / str(number)).write_bytes(b"%d" % number)
    words = ["-r", "-j", "4", "--json", "-k", key.arn]
    lines = bulla("encrypt", *words, "--sync", "none", "-o", "sealed", "plain").stdout.splitlines()
    assert len(lines) == MANY + 1 and aws.calls["Encrypt"] == 1
    assert json.loads(lines[-1])["key_calls"] == sum(aws.calls.values()) <= 2
    aws.calls.clear()
    lines = bulla("verify", *words, "sealed").stdout.splitlines()
    assert len(lines) == MANY + 1 and aws.calls["Decrypt"] == 1
    assert json.loads(lines[-1])["key_calls"] == sum(aws.calls.values()) == 1


def test_files_of_several_runs_take_a_call_each(bulla, aws, key):
    files = [bulla.seal(key.arn, content(100, n), name=f"f{n}") for n in range(3)]
    aws.calls.clear()
    lines = bulla("decrypt", "--json", "-k", key.arn, *files).stdout.splitlines()
    assert aws.calls["Decrypt"] == 3 and json.loads(lines[-1])["key_calls"] == sum(aws.calls.values())
    assert (bulla.work / "f2").read_bytes() == content(100, 2)


def test_kms_that_reports_no_material(bulla, key):
    key.reports_material = False
    sealed = bulla.seal(key.arn, CONTENT)
    assert materials(bulla, sealed) == [""]
    assert opened(bulla, key, sealed=sealed).stdout == CONTENT
    assert b"0 rewrapped" in bulla("rewrap", "-k", key.arn, sealed).stderr


def test_verbose_tells_each_operation_and_no_secret(bulla, aws, key, work):
    """KmsBulla searches what was told for secret keys, tokens and branch keys."""
    (work / "plain").write_bytes(CONTENT)
    asked = f"key '{key.arn}': asks AWS KMS for kms:{{}}, at {aws.url}"
    done = bulla("encrypt", "-v", "-k", key.arn, "plain")
    assert done.stderr.decode().count(asked.format("Encrypt")) == 1 == aws.calls["Encrypt"]
    done = bulla("verify", "-v", "-k", key.arn, "plain.bulla")
    assert done.stderr.decode().count(asked.format("Decrypt")) == 1 and b": it opens\n" in done.stderr
