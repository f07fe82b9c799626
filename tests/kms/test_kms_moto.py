"""bulla against moto, which somebody else wrote: TLS, signatures and permissions are checked.

What moto gets wrong (disabled keys work, mrk- keys do not decrypt, SourceKeyId does not matter, no KeyMaterialId) is tested with
the server of our own."""

import pytest

from kms_files import CONTENT, altered, arns, opened, when_bulla_is_gone
from moto import Moto, install

pytestmark = pytest.mark.xdist_group("moto")  # one moto serves them all


@pytest.fixture(scope="module")
def world(authority, tls):
    """Keys, an alias, users and a role."""
    program, why = install()
    if program is None:
        pytest.skip(why)
    moto = Moto(program, tls, authority)
    try:
        kms = moto.client("kms")
        moto.keys = [kms.create_key()["KeyMetadata"]["Arn"] for _ in range(2)]
        moto.far = moto.client("kms", "eu-west-1").create_key()["KeyMetadata"]["Arn"]
        kms.create_alias(AliasName="alias/nightly", TargetKeyId=moto.keys[0])
        moto.backup = moto.user("backup", "kms:*", "sts:*")
        moto.mover = moto.user("mover", "kms:ReEncrypt*", "kms:DescribeKey")
        moto.nobody = moto.user("nobody", "s3:*")
        moto.night = moto.role("night", "kms:*")
        moto.lock()
        yield moto
    finally:
        moto.close()


@pytest.fixture
def host(bulla, world):
    """bulla, sent to moto as the user who may do everything."""
    bulla.environment |= {"AWS_ENDPOINT_URL": world.url, **world.backup}
    bulla.cloud.secrets.add(world.backup["AWS_SECRET_ACCESS_KEY"])
    return bulla


@pytest.mark.parametrize("name", ["ARN", "alias/nightly", "aws-kms://ARN"])
def test_seal_and_open(host, world, name):
    name = name.replace("ARN", world.keys[0])
    sealed = host.seal(name, CONTENT, "--context", "db=prod")
    assert arns(host, sealed) == [world.keys[0]]
    assert opened(host, name, sealed=sealed).stdout == CONTENT
    assert opened(host, world.keys[1], sealed=sealed, status=5).stdout == b""


def test_when_bulla_is_gone(host, world, authority):
    host.seal(world.keys[0], CONTENT, "--context", "db=prod", name="dump")
    when_bulla_is_gone(host, world.keys[0], world.url, authority, world.backup)


def test_region_of_the_arn(host, world):
    sealed = host.seal(world.far, CONTENT)
    assert opened(host, world.far, sealed=sealed).stdout == CONTENT


def test_context_mismatch(host, world):
    sealed = host.seal(world.keys[0], CONTENT, "--context", "db=prod")
    altered(sealed, b"prod", b"test")
    done = opened(host, world.keys[0], sealed=sealed, status=5)
    assert done.stdout == b"" and b"InvalidCiphertext" in done.stderr


def test_rewrap_by_one_who_cannot_decrypt(host, world):
    sealed = host.seal(world.keys[0], CONTENT, "--context", "db=prod")
    host("rewrap", "-k", world.keys[0], "--to", world.keys[1], sealed, env=world.mover)
    assert arns(host, sealed) == [world.keys[1]]
    done = opened(host, world.keys[1], sealed=sealed, env=world.mover, status=7)
    assert b"AccessDenied" in done.stderr and b"kms:Decrypt" in done.stderr
    assert opened(host, world.keys[1], sealed=sealed).stdout == CONTENT


def test_who_may_do_nothing(host, world):
    done = host("encrypt", "-k", world.keys[0], "-o", "-", stdin=b"x", env=world.nobody, status=7)
    assert b"kms:Encrypt" in done.stderr


def test_wrong_secret(host, world):
    done = host("encrypt", "-k", world.keys[0], "-o", "-", stdin=b"x", env={"AWS_SECRET_ACCESS_KEY": "w" * 40}, status=7)
    assert b"SignatureDoesNotMatch" in done.stderr


def test_assumed_role(host, world):
    """Signed with a session token that moto gave and checks."""
    keys = f"aws_access_key_id = {world.backup['AWS_ACCESS_KEY_ID']}\naws_secret_access_key = {world.backup['AWS_SECRET_ACCESS_KEY']}\n"
    host.config(f"[profile night]\nrole_arn = {world.night}\nsource_profile = base\n", f"[base]\n{keys}")
    env = {"AWS_PROFILE": "night", "AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}
    sealed = host.work / "x.bulla"
    host("encrypt", "-k", world.keys[0], "-o", sealed, stdin=CONTENT, env=env)
    assert opened(host, world.keys[0], sealed=sealed, env=env).stdout == CONTENT


def test_keyring_and_back(host, world, ring):
    sealed = host.seal(world.keys[0], CONTENT)
    host("rewrap", "-k", world.keys[0], "--to", ring, sealed)
    host("rewrap", "-k", ring, "--to", world.keys[1], sealed)
    assert opened(host, world.keys[1], sealed=sealed).stdout == CONTENT
