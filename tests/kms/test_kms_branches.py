"""How often KMS is asked in a rewrap: once for a branch where it moves slots by itself, once for a run where the branch is new."""

import json

from kms_files import arns
from sealed import with_checksum

RUNS, DIRECTORIES = 40, 3


def archive_of(bulla, key, runs=RUNS):
    for number in range(DIRECTORIES):
        (bulla.work / "archive" / str(number)).mkdir(parents=True)
    for run in range(runs):
        names = [f"archive/{number}/{run}" for number in range(DIRECTORIES)]
        for name in names:
            (bulla.work / name).write_text(name)
        bulla("encrypt", "-q", "-k", key, "--sync=none", *names)
        for name in names:
            (bulla.work / name).unlink()
    return bulla.work / "archive"


def rewrap(bulla, *options, **how):
    return json.loads(bulla("rewrap", "-r", "--json", "--sync=none", *options, "archive", **how).stdout.splitlines()[-2])["summary"]


def test_inside_kms_once_for_each_branch(bulla, cloud, aws, key):
    """Also the second time, and though the files of a branch lie in many directories."""
    archive, other = archive_of(bulla, key.arn), cloud.key()
    mover = cloud.user("mover", "kms:ReEncryptFrom", "kms:ReEncryptTo", "kms:DescribeKey").environment()
    cloud.plaintexts.clear()
    for source, target in ((key, other), (other, key)):
        aws.calls.clear()
        done = rewrap(bulla, "-k", source.arn, "--to", target.arn, env=mover)
        assert (done["rewrapped"], done["branch_stayed"]) == (RUNS * DIRECTORIES, RUNS * DIRECTORIES)
        assert aws.calls["ReEncrypt"] == RUNS and cloud.plaintexts == []
        assert {arn for path in archive.rglob("*.bulla") for arn in arns(bulla, path)} == {target.arn}


def test_nothing_to_do_is_seen_once_for_each_branch(bulla, aws, key):
    """A slot is current only when KMS has moved it: what names the key may be anybody's bytes."""
    archive_of(bulla, key.arn, 4)
    assert rewrap(bulla, "-k", key.arn)["rewrapped"] == 4 * DIRECTORIES
    aws.calls.clear()
    aws.connections = 0
    done = rewrap(bulla, "-k", key.arn)
    assert (done["rewrapped"], done["current"]) == (0, 4 * DIRECTORIES)
    assert aws.calls["ReEncrypt"] == 4 and aws.calls["Decrypt"] == 0
    assert aws.connections == 1, "a connection is kept for the next call"


def test_from_a_keyring_once_for_a_run(bulla, aws, key):
    ring = bulla.new_key("backup.ring")
    archive_of(bulla, ring)
    aws.calls.clear()
    done = rewrap(bulla, "-k", ring, "--to", key.arn)
    assert (done["rewrapped"], done["branch_stayed"], aws.calls["Encrypt"]) == (RUNS * DIRECTORIES, 0, 1)
    aws.calls.clear()
    bulla("verify", "-r", "-q", "-k", key.arn, "archive")
    assert aws.calls["Decrypt"] == 1


def test_false_slot_of_the_key_is_not_current(bulla, cloud, key, aws):
    """Random bytes under the name of the key are no way into the file."""
    ring = bulla.new_key("backup.ring")
    sealed = bulla.seal(ring, b"x", "-k", key.arn)
    raw = sealed.read_bytes()
    slot = bulla.inspect(sealed)[0]["slots"][1]
    wrap = bytes.fromhex(slot["wrap"])
    assert raw.count(wrap) == 2
    region = 1 << raw[11]
    copy = with_checksum(raw[:region].replace(wrap, bytes(len(wrap))))
    sealed.write_bytes(copy * 2 + raw[2 * region :])
    bulla("decrypt", "-k", key.arn, "-o", "-", sealed, status=5)
    done = bulla("rewrap", "-k", ring, "-k", key.arn, sealed, status=4)
    assert b"does not open it, and may have been put there by anybody" in done.stderr
    done = bulla("rewrap", "-k", ring, "--add", key.arn, sealed)
    assert b"1 rewrapped" in done.stderr
    assert bulla("decrypt", "-k", key.arn, "-o", "-", sealed).stdout == b"x"
