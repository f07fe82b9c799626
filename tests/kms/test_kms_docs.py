"""docs/KMS.md keeps its word: its policies are enough, and its way to open a file without bulla works."""

import os
import pathlib
import re
import subprocess
import textwrap

import pytest

from kms_files import CONTENT, arns, decode, opened

DOCS = (pathlib.Path(__file__).parents[2] / "docs" / "KMS.md").read_text()


def section(title):
    return re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", DOCS, re.M | re.S)[1]


def code(text):
    """The first block of code."""
    return textwrap.dedent(re.search(r"^(?:    .*\n|\n)+", text[text.index("\n    ") + 1 :], re.M)[0])


def test_without_bulla(bulla, aws, key, user, authority):
    """The wrap by 'aws kms decrypt' as the document says, the body by the decoder that knows nothing of bulla."""
    sealed = bulla.seal(key.arn, CONTENT, "--context", "db=prod", "--context", "a=", "--context", 'q="\u00fc', name="dump")
    env = {"PATH": f"{os.path.dirname(bulla.program)}:/usr/bin:/bin", "HOME": str(bulla.home), "AWS_CA_BUNDLE": str(authority.bundle),
           "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1", **user.environment()}  # fmt: skip
    script = code(section("Without bulla")).replace("--key-id KEY", f"--key-id {key.arn} --endpoint-url {aws.url}")
    done = subprocess.run(["bash", "-e", "-o", "pipefail", "-c", script], env=env, cwd=bulla.work, capture_output=True)
    assert done.returncode == 0, done.stderr
    branch_key = bytes.fromhex(done.stdout.decode().strip().replace("\n", ""))
    assert len(branch_key) == 32 and aws.calls["Decrypt"] == 1
    raw = sealed.read_bytes()
    envelope = decode.read_envelope(raw)
    core = envelope.copy.content.core
    data_key = decode.open_data_key(envelope.copy.content, branch_key)
    assert decode.open_body(raw, [envelope.size], core.suite, data_key, b"bulla/v1 body" + core.hash) == CONTENT


def allowed():
    """The actions of each policy in the document, with the key of each."""
    found = [code(part) for part in re.split(r"^A host", section("Policies"), flags=re.M)[1:]]
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
    assert '"kms:EncryptionContext:db": "prod"' in section("Policies")
    user = cloud.user("prod")
    cloud.allow(user.arn, "kms:Decrypt", context={"db": "prod"})
    sealed = bulla.seal(key.arn, CONTENT, "--context", f"db={database}", "--context", "x=y")
    done = opened(bulla, key, sealed=sealed, status=status, env=user.environment())
    assert done.stdout == (CONTENT if status == 0 else b"")
