"""docs/KMS.md keeps its word: its policies are enough, and its way to open a file without bulla works."""

import re

import pytest

from document import blocks, section
from kms_files import CONTENT, arns, opened, when_bulla_is_gone

POLICIES = section("KMS.md", "Policies")


def test_when_bulla_is_gone(bulla, aws, key, user, authority):
    """The wrap by 'aws kms decrypt' as the document says, and the rest by the decoder that knows nothing of bulla."""
    bulla.seal(key.arn, CONTENT, "--context", "db=prod", "--context", "a=", "--context", 'q="\u00fc', name="dump")
    when_bulla_is_gone(bulla, key.arn, aws.url, authority, user.environment())
    assert aws.calls["Decrypt"] == 1


def allowed():
    """The actions of each policy in the document, with the key of each."""
    found = [blocks(part)[0] for part in re.split(r"^A host", POLICIES, flags=re.M)[1:]]
    return [re.findall(r'"Action": "([^"]+)", "Resource": "([^"]+)"', text) for text in found]


def test_policies(bulla, cloud, key):
    """Each host can do its work, and no other's."""
    makes, restores, moves = allowed()[:3]
    other = cloud.key()
    keys = {"KEY-ARN": key, "OLD-KEY-ARN": key, "NEW-KEY-ARN": other}

    def host(name, rows):
        user = cloud.user(name)
        for action, resource in rows:
            cloud.allow(user.arn, action, key=keys[resource])
        return user.environment()

    maker, restorer, mover = host("maker", makes), host("restorer", restores), host("mover", moves)
    sealed = bulla.work / "x.bulla"
    bulla("encrypt", "-k", key.arn, "-o", sealed, stdin=CONTENT, env=maker)
    for env in (maker, mover):
        assert opened(bulla, key, sealed=sealed, status=7, env=env).stdout == b""
    assert opened(bulla, key, sealed=sealed, env=restorer).stdout == CONTENT
    for env in (maker, restorer):
        bulla("rewrap", "-k", key.arn, "--to", other.arn, sealed, status=7, env=env)
    bulla("rewrap", "-k", key.arn, "--to", other.arn, sealed, env=mover)
    assert arns(bulla, sealed) == [other.arn] and opened(bulla, other, sealed=sealed).stdout == CONTENT


@pytest.mark.parametrize("database, status", [("prod", 0), ("test", 7)])
def test_policy_with_a_context(bulla, cloud, key, database, status):
    """What a file says of its context, KMS checks."""
    assert '"kms:EncryptionContext:db": "prod"' in POLICIES
    user = cloud.user("prod")
    cloud.allow(user.arn, "kms:Decrypt", context={"db": "prod"})
    sealed = bulla.seal(key.arn, CONTENT, "--context", f"db={database}", "--context", "x=y")
    done = opened(bulla, key, sealed=sealed, status=status, env=user.environment())
    assert done.stdout == (CONTENT if status == 0 else b"")
