"""The stand-in itself, by the real 'aws' command and botocore: what it accepts and refuses is what AWS would."""

import base64
import json
import subprocess

import botocore.config
import botocore.exceptions
import botocore.session
import pytest

from cloud import blob_fields


@pytest.fixture
def client(aws, authority, user):
    """A botocore client of a service, with somebody's credentials."""

    def make(service="kms", who=user, region="us-east-1", **how):
        session = botocore.session.Session()
        config = botocore.config.Config(retries={"max_attempts": 0}, proxies={}, connect_timeout=5, read_timeout=5)
        secret = how.pop("secret", who.secret)
        return session.create_client(service, region, endpoint_url=aws.url, verify=str(authority.bundle), config=config,
                                     aws_access_key_id=who.key_id, aws_secret_access_key=secret, aws_session_token=who.token, **how)

    return make


def refused(call, **how):
    with pytest.raises(botocore.exceptions.ClientError) as error:
        call(**how)
    return error.value.response["Error"]["Code"]


def test_round_trip(client, key, aws):
    kms = client()
    made = kms.encrypt(KeyId=key.arn, Plaintext=b"x" * 32, EncryptionContext={"a": "b"})
    got = kms.decrypt(CiphertextBlob=made["CiphertextBlob"], KeyId=key.arn, EncryptionContext={"a": "b"})
    assert got["Plaintext"] == b"x" * 32 and got["KeyId"] == key.arn and aws.calls == {"Encrypt": 1, "Decrypt": 1}


def test_refusals(client, key, cloud):
    kms, other = client(), cloud.key()
    blob = kms.encrypt(KeyId=key.arn, Plaintext=b"x", EncryptionContext={"a": "b"})["CiphertextBlob"]
    assert refused(kms.decrypt, CiphertextBlob=blob, KeyId=key.arn, EncryptionContext={"a": "c"}) == "InvalidCiphertextException"
    assert refused(kms.decrypt, CiphertextBlob=blob, KeyId=other.arn, EncryptionContext={"a": "b"}) == "IncorrectKeyException"
    assert refused(kms.encrypt, KeyId="alias/none", Plaintext=b"x") == "NotFoundException"
    assert refused(client(region="eu-west-1").encrypt, KeyId=key.arn, Plaintext=b"x") == "NotFoundException"
    assert refused(client(secret="wrong").encrypt, KeyId=key.arn, Plaintext=b"x") == "InvalidSignatureException"
    nobody = cloud.user("nobody")
    assert refused(client(who=nobody).encrypt, KeyId=key.arn, Plaintext=b"x") == "AccessDeniedException"
    key.state = "Disabled"
    assert refused(kms.encrypt, KeyId=key.arn, Plaintext=b"x") == "DisabledException"


def test_rotation_and_reencrypt(client, key, cloud):
    kms = client()
    blob = kms.encrypt(KeyId=key.arn, Plaintext=b"x")["CiphertextBlob"]
    key.rotate()
    moved = kms.re_encrypt(CiphertextBlob=blob, SourceKeyId=key.arn, DestinationKeyId=key.arn)["CiphertextBlob"]
    assert [kms.decrypt(CiphertextBlob=b, KeyId=key.arn)["Plaintext"] for b in (blob, moved)] == [b"x", b"x"]
    assert [blob_fields(b)[1] for b in (blob, moved)] == [m.id for m in key.materials]
    only = cloud.user("mover", "kms:ReEncryptFrom", "kms:ReEncryptTo")
    client(who=only).re_encrypt(CiphertextBlob=blob, SourceKeyId=key.arn, DestinationKeyId=key.arn)
    assert refused(client(who=only).decrypt, CiphertextBlob=blob, KeyId=key.arn) == "AccessDeniedException"


def test_replicas(client, cloud):
    first = cloud.key(multi_region=True)
    second = cloud.key(region="eu-west-1", replica_of=first)
    blob = client().encrypt(KeyId=first.arn, Plaintext=b"x")["CiphertextBlob"]
    got = client(region="eu-west-1").decrypt(CiphertextBlob=blob, KeyId=second.arn)
    assert got["Plaintext"] == b"x" and got["KeyId"] == second.arn


def test_sessions(client, cloud, key, user):
    role = cloud.role("mover", "kms:*", trusts=[user.arn])
    given = client("sts").assume_role(RoleArn=role, RoleSessionName="night")["Credentials"]
    session = cloud.principals[given["AccessKeyId"]]
    assert client("sts", session).get_caller_identity()["Arn"].endswith("assumed-role/mover/night")
    client(who=session).encrypt(KeyId=key.arn, Plaintext=b"x")
    session.expires = 0
    assert refused(client(who=session).encrypt, KeyId=key.arn, Plaintext=b"x") == "ExpiredTokenException"
    assert refused(client("sts", cloud.user("x")).assume_role, RoleArn=role, RoleSessionName="night") == "AccessDenied"


def test_the_aws_command(cloud, aws, key, user, authority, tmp_path):
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "AWS_CA_BUNDLE": str(authority.bundle), **user.environment()}
    common = ["/usr/bin/aws", "--region", "us-east-1", "--endpoint-url", aws.url, "--output", "json"]
    cloud.alias("alias/nightly", key)
    plain = base64.b64encode(b"x" * 32).decode()
    words = ["kms", "encrypt", "--key-id", "alias/nightly", "--plaintext", plain, "--encryption-context", "a=b"]
    made = json.loads(subprocess.run([*common, *words], env=environment, check=True, capture_output=True).stdout)
    assert made["KeyId"] == key.arn
    told = subprocess.run([*common, "sts", "get-caller-identity"], env=environment, check=True, capture_output=True).stdout
    assert json.loads(told)["Arn"] == user.arn


def test_the_guard(guard, tmp_path, serve):
    """Nothing but loopback is reached through it."""
    log = tmp_path / "log"
    aim = serve()
    code = "import socket; s = socket.socket(); s.settimeout(5); s.connect((%r, 80))"
    env = {"LD_PRELOAD": str(guard), "LOOPBACK_LOG": str(log), "LOOPBACK_TO": f"192.0.2.1={aim.port}", "PATH": "/usr/bin"}
    runs = [subprocess.run(["/usr/bin/python3", "-c", code % to], env=env, capture_output=True) for to in ("192.0.2.1", "169.254.169.254", "example.org")]
    assert [done.returncode for done in runs] == [0, 1, 1] and b"refused" in runs[1].stderr
    assert log.read_text().split() == ["192.0.2.1", "169.254.169.254", "example.org"]
