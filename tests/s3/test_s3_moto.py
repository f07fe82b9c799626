"""bulla against moto, which somebody else wrote: TLS, signatures, versions, names; and a server that ignores some conditions."""

import pytest
from certificates import Authority
from moto import Moto, install
from test_s3_verbs import LARGE, NAMES, SMALL, rotated

pytestmark = pytest.mark.xdist_group("moto")  # one moto serves them all
BUCKET, VERSIONS = "of-moto", "of-moto-versions"


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    program, why = install()
    if program is None:
        pytest.skip(why)
    authority = Authority(tmp_path_factory.mktemp("authority"))
    moto = Moto(program, authority.server("localhost", "127.0.0.1"), authority)
    try:
        client = moto.client("s3")
        client.create_bucket(Bucket=BUCKET)
        client.create_multipart_upload(Bucket=BUCKET, Key="left/a b")
        client.create_bucket(Bucket=VERSIONS)
        client.put_bucket_versioning(Bucket=VERSIONS, VersioningConfiguration={"Status": "Enabled"})
        moto.backup = moto.user("backup", "s3:*")
        moto.lock()
        yield moto
    finally:
        moto.close()


@pytest.fixture
def host(bulla, ring, world):
    bulla.environment |= {"AWS_ENDPOINT_URL": world.url, "AWS_CA_BUNDLE": str(world.authority.bundle), "AWS_REGION": "us-east-1",
                          "AWS_EC2_METADATA_DISABLED": "true", **world.backup}  # fmt: skip
    return bulla


def test_there_and_back(host, ring):
    for name, content in (("small", SMALL), ("large", LARGE)):
        if name == "large":
            host("encrypt", "-k", ring, "-o", f"s3://{BUCKET}/back/{name}.bulla", stdin=content, status=7)
        host("encrypt", "-k", ring, "--no-condition", "-o", f"s3://{BUCKET}/back/{name}.bulla", stdin=content)
        host("encrypt", "-k", ring, "-o", f"s3://{BUCKET}/back/{name}.bulla", stdin=content, status=9)
        assert host("decrypt", "-k", ring, "-o", "-", f"s3://{BUCKET}/back/{name}.bulla").stdout == content


def test_names(host, ring):
    names = [name for name in NAMES if "//" not in name]
    for name in names:
        host("encrypt", "-k", ring, "-o", f"s3://{BUCKET}/names/{name}.bulla", stdin=name.encode())
    done = host("verify", "-k", ring, "-r", f"s3://{BUCKET}/names/")
    assert b"%d verified" % len(names) in done.stderr


def test_rewrap(host, ring):
    """A small one goes by a conditional PUT; that conditions at the end of an upload are ignored is found out before anything is changed."""
    for name, content in (("small", SMALL), ("large", LARGE)):
        host("encrypt", "-k", ring, "--no-condition", "-o", f"s3://{BUCKET}/rewrap/{name}.bulla", stdin=content)
    rotated(host)
    host("rewrap", "-k", ring, f"s3://{BUCKET}/rewrap/small.bulla")
    assert b"does not heed conditions" in host("rewrap", "-k", ring, f"s3://{BUCKET}/rewrap/large.bulla", status=7).stderr
    assert host("decrypt", "-k", ring, "-o", "-", f"s3://{BUCKET}/rewrap/large.bulla").stdout == LARGE
    host("status", "--needs", f"{ring}#backup:1", f"s3://{BUCKET}/rewrap/small.bulla")
    listed = host("inspect", "-r", "--json", f"s3://{BUCKET}/rewrap/").stdout
    assert listed.count(b"rewrap/") == 2, "nothing is left of the question"


def test_wrong_secret(host, ring):
    done = host("encrypt", "-k", ring, "-o", f"s3://{BUCKET}/x", stdin=b"x", env={"AWS_SECRET_ACCESS_KEY": "w" * 40}, status=7)
    assert b"SignatureDoesNotMatch" in done.stderr


def test_versions(host, ring):
    """Old versions count, and are purged."""
    url = f"s3://{VERSIONS}/"
    host("encrypt", "-k", ring, "-o", url + "t/x.bulla", stdin=SMALL)
    host("encrypt", "-k", ring, "--detach", "-o", url + "t/y.bulla", stdin=SMALL)
    rotated(host)
    assert b"keeps the old versions of 2 of them" in host("rewrap", "-k", ring, "-r", url).stderr
    needs = ("--needs", f"{ring}#backup:1", url)
    assert b"2 files still need" in host("status", "-r", *needs, status=7).stdout
    assert b"2 old versions" in host("s3", "purge", *needs).stderr
    host("s3", "purge", "--delete", *needs)
    host("status", "-r", *needs)
    assert host("decrypt", "-k", ring, "-o", "-", url + "t/x.bulla").stdout == SMALL


def test_abort(host):
    """moto says of all uploads that they were begun in 2010."""
    assert b"1 upload would be aborted" in host("s3", "abort", "-n", f"s3://{BUCKET}/left/").stderr
    assert b"1 upload was aborted" in host("s3", "abort", f"s3://{BUCKET}/left/").stderr
    assert b"0 uploads were aborted, 0 younger" in host("s3", "abort", f"s3://{BUCKET}/left/").stderr
