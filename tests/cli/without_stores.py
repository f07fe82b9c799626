"""A bulla that was built without tokens and without AWS KMS, and does the rest. Run by its name, on such a build."""

import pytest

ARN = "arn:aws:kms:eu-west-1:1:key/x"
OTHER = ["pkcs11:token=x;object=y", f"aws-kms://{ARN}", ARN, "alias/backup"]


@pytest.mark.parametrize("key", OTHER)
def test_key_stores_that_are_left_out(bulla, key):
    for args in (["encrypt", "-k", key], ["decrypt", "-k", key], ["key", "list", "--json", key], ["key", "new", key]):
        done = bulla(*args, stdin=b"x", status=8)
        assert f"key '{key}': this bulla has no".encode() in done.stderr and done.stdout == b""


def test_the_rest_works(bulla, ring):
    sealed = bulla("encrypt", "-k", ring, stdin=b"x").stdout
    assert bulla("decrypt", "-k", ring, stdin=sealed).stdout == b"x"


def test_objects_that_are_left_out(bulla, ring):
    for args in (["verify", "-k", ring, "s3://backups/x"], ["encrypt", "-k", ring, "-o", "s3://backups/x"]):
        assert b"bucket 'backups': this bulla was built without S3" in bulla(*args, stdin=b"x", status=8).stderr
