"""bulla key check: which credentials, who one is, and what is allowed, by KMS's own dry runs."""

import json

import pytest

from faults import error, members


def check(bulla, name, status=0, **env):
    return json.loads(bulla("key", "check", "--json", name, status=status, env=env).stdout.splitlines()[0])


def test_all_is_well(bulla, cloud, aws, key, user):
    cloud.alias("alias/nightly", key)
    told = check(bulla, "alias/nightly")
    assert (told["store"], told["status"], told["wraps"], told["unwraps"]) == ("awskms", 0, True, True)
    assert told["key ARN"] == key.arn and told["identity"] == user.arn and told["credentials"] == "the environment"
    assert [told[f"may {what}"] for what in ("encrypt", "decrypt", "re-encrypt")] == ["yes"] * 3
    assert (told["state"], told["usage"], told["region"]) == ("Enabled", "ENCRYPT_DECRYPT", "us-east-1")
    asked = [(r.operation, r.content.get("DryRun", False)) for r in aws.requests]
    assert asked == [("GetCallerIdentity", False), ("DescribeKey", False), ("Encrypt", True), ("Encrypt", False), ("Decrypt", True), ("ReEncrypt", True),
                     ("Encrypt", False), ("Decrypt", False)]  # fmt: skip


def test_for_people(bulla, key, user):
    shown = bulla("key", "check", key.arn).stdout.decode()
    assert user.arn in shown and key.arn in shown


def test_another_plaintext_than_was_wrapped(bulla, aws, key):
    aws.fault("Decrypt", members(Plaintext=b"x" * 32), times=9)
    told = check(bulla, key.arn, status=1)
    assert (told["wraps"], told["unwraps"], told["status"]) == (True, False, 1)
    assert told["unwraps_error"] == "the awskms key store does not unwrap what it wrapped"


YES, UNKNOWN = "yes", "not known: that takes a wrap to try with"
MAY = {  # actions, exit status, what is said of encrypt, decrypt and re-encrypt: these words, or the action that was denied
    "nothing": ([], 7, ["kms:Encrypt", UNKNOWN, UNKNOWN]),
    "encrypt": (["kms:Encrypt"], 7, [YES, "kms:Decrypt", "kms:ReEncryptFrom"]),
    "decrypt": (["kms:Encrypt", "kms:Decrypt"], 0, [YES, YES, "kms:ReEncryptFrom"]),
    "re-encrypt": (["kms:Encrypt", "kms:ReEncryptFrom", "kms:ReEncryptTo"], 7, [YES, "kms:Decrypt", YES]),
    "decrypt alone": (["kms:Decrypt"], 7, ["kms:Encrypt", UNKNOWN, UNKNOWN]),
}


@pytest.mark.parametrize("what", MAY)
def test_what_is_allowed(bulla, cloud, key, what):
    """The exit status is that of the real Encrypt and Decrypt: 7 where only one of them is allowed."""
    actions, status, said = MAY[what]
    told = check(bulla, key.arn, status, **cloud.user("some", *actions).environment())
    for ability, words in zip(("encrypt", "decrypt", "re-encrypt"), said):
        got = told[f"may {ability}"]
        if words in (YES, UNKNOWN):
            assert got == words
        else:
            assert "AccessDeniedException" in got and f"not authorized to perform: {words} " in got
    assert (told["wraps"], told["unwraps"]) == ("kms:Encrypt" in actions, status == 0)


def test_where_credentials_are_from(imds, anonymous, cloud, key):
    told = check(anonymous, key.arn)
    assert "metadata" in told["credentials"] and "backup-host" in told["credentials"] and "assumed-role/backup-host/" in told["identity"]
    role = cloud.role("night", "kms:*", trusts=["arn:aws:iam::111122223333:role/backup-host"])
    anonymous.config(f"[profile night]\nrole_arn = {role}\ncredential_source = Ec2InstanceMetadata\n")
    told = check(anonymous, key.arn, AWS_PROFILE="night")
    assert role in told["credentials"] and "night" in told["credentials"] and "assumed-role/night/" in told["identity"]


def test_identity_that_is_not_told(bulla, aws, key):
    """A VPC without an endpoint for STS is no reason to fail."""
    aws.fault("GetCallerIdentity", error("AccessDenied", "no", 403), times=9)
    told = check(bulla, key.arn)
    assert "AccessDenied" in told["identity"] and told["status"] == 0


def test_key_that_is_off(bulla, key):
    key.state = "Disabled"
    told = check(bulla, key.arn, status=7)
    assert told["state"] == "Disabled" and told["wraps"] is False


@pytest.mark.parametrize("verb", ["new", "rotate"])
def test_what_aws_does(bulla, aws, key, verb):
    done = bulla("key", verb, key.arn, status=8)
    assert b"aws kms" in done.stderr and not aws.calls
