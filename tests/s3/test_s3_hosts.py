"""Which host is asked for a bucket, and signed: as botocore has it, by a proxy that leads all of them to the stand-in."""

import urllib.parse

import botocore.config
import botocore.session
import pytest
from certificates import Authority
from proxy import Proxy
from store import BUCKET, Store, error_answer, variables
from test_s3_verbs import LARGE, SMALL, rotated

PLACES = [
    ("eu-west-1", "", BUCKET), ("us-east-1", "", BUCKET), ("eu-west-1", "dual", BUCKET), ("us-east-1", "fips", BUCKET), ("us-east-1", "fips dual", BUCKET),
    ("us-gov-west-1", "fips", BUCKET), ("cn-north-1", "", BUCKET), ("cn-north-1", "dual", BUCKET), ("eu-west-1", "", "with.dots.in"),
    ("eu-west-1", "", "mine-abcdefgh123-s3alias"),
]  # fmt: skip
POINTS = [("eu-west-1", "", "aws", "/"), ("eu-west-1", "", "aws", ":"), ("us-east-1", "fips", "aws", "/"), ("us-east-1", "dual", "aws", "/"), ("us-east-1", "fips dual", "aws", "/"),
          ("us-gov-west-1", "fips", "aws-us-gov", "/"), ("cn-north-1", "dual", "aws-cn", "/"), ("eu-west-1", "private", "aws", "/")]  # fmt: skip
PRIVATE = "https://accesspoint.vpce-0123.s3.eu-west-1.vpce.amazonaws.com"
ACCOUNT = "123456789012"


def place(region, how, bucket):
    """Host and path of botocore."""
    config = botocore.config.Config(use_fips_endpoint="fips" in how, use_dualstack_endpoint="dual" in how, signature_version="s3v4",
                                    s3={"us_east_1_regional_endpoint": "regional", "addressing_style": "path" if "." in bucket else "virtual"})  # fmt: skip
    client = botocore.session.Session().create_client("s3", region, config=config, aws_access_key_id="x", aws_secret_access_key="x", endpoint_url=PRIVATE if how == "private" else None)
    url = urllib.parse.urlsplit(client.generate_presigned_url("get_object", {"Bucket": bucket, "Key": "d/x.bulla"}))
    return url.hostname.replace(".s3.amazonaws.com", f".s3.{region}.amazonaws.com"), url.path  # for presigned URLs it leaves the region out


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def reached(bulla, authority):
    """reached(region, how, bucket, name) is the store of a bucket, or an access point, of this name in the user's words, and where it is."""
    opened = []

    def reach(region, how, bucket, name):
        host, path = place(region, how, name)
        store = Store(region=region, tls=authority.server(host), bucket=bucket)
        proxy = Proxy(store)
        opened.append((store, proxy))
        bulla.environment |= variables(store.url) | {"AWS_ENDPOINT_URL_S3": PRIVATE if how == "private" else "", "AWS_REGION": region, "HTTPS_PROXY": proxy.url, "AWS_CA_BUNDLE": str(authority.bundle),
                              "AWS_USE_FIPS_ENDPOINT": str("fips" in how).lower(), "AWS_USE_DUALSTACK_ENDPOINT": str("dual" in how).lower()}  # fmt: skip
        return store, proxy, host, path

    yield reach
    for store, proxy in opened:
        store.close()
        proxy.server.shutdown()
        proxy.server.server_close()


def there_and_back(bulla, ring, name):
    url = f"s3://{name}/d/"
    bulla("encrypt", "-k", ring, "-o", url + "x.bulla", stdin=LARGE)
    assert bulla("decrypt", "-k", ring, "-o", "-", url + "x.bulla").stdout == LARGE
    bulla("envelope", "export", url + "x.bulla")
    bulla("verify", "-k", ring, "-r", url)
    bulla("envelope", "export", "--force", "-o", url + "x.bulla.env", url + "x.bulla")


@pytest.mark.parametrize("region, how, bucket", PLACES)
def test_hosts(bulla, ring, reached, region, how, bucket):
    """A bucket is a part of the name, unless it has a dot; what is signed is what is asked."""
    store, proxy, host, path = reached(region, how, bucket, bucket)
    there_and_back(bulla, ring, bucket)
    assert set(proxy.asked) == {host + ":443"} and store.paths[0].partition("?")[0] == path
    assert store.probes == [], "AWS is known to heed conditions"


@pytest.mark.parametrize("region, how, partition, sign", POINTS)
def test_access_points(bulla, ring, reached, region, how, partition, sign):
    """By their ARN, as the AWS CLI takes it, in the region that it names; a copy names them as its source."""
    arn = f"arn:{partition}:s3:{region}:{ACCOUNT}:accesspoint{sign}mine"
    store, proxy, host, path = reached(region, how, f"mine-{ACCOUNT}", arn)
    store.source = arn + "/object/"
    bulla.environment["AWS_REGION"] = {"aws": "ap-south-1", "aws-cn": "cn-northwest-1", "aws-us-gov": "us-gov-east-1"}[partition]
    store.ownership = store.locking = lambda request, key: error_answer("MethodNotAllowed", 405)
    there_and_back(bulla, ring, arn)
    rotated(bulla)
    del store.objects["d/x.bulla.env"]
    warned = bulla("rewrap", "-k", ring, "-r", f"s3://{arn}/d/").stderr
    assert b"access rules of their own (ACL)" in warned and store.count("copy") == 1 and store.count("retention") == 1
    assert bulla("decrypt", "-k", ring, "-o", "-", f"s3://{arn}/d/x.bulla").stdout == LARGE
    assert set(proxy.asked) == {host + ":443"} and store.paths[0].partition("?")[0] == path


NONE = [
    ("bucket--use1-az4--x-s3", 8, b"is a directory bucket"), ("mine--ol-s3", 8, b"Object Lambda"), ("mine--use1-az4--xa-s3", 8, b"to a directory bucket"),
    (f"arn:aws:s3-object-lambda:eu-west-1:{ACCOUNT}:accesspoint/mine", 8, b"of another service"), (f"arn:aws:s3-outposts:eu-west-1:{ACCOUNT}:outpost/op-1/accesspoint/mine", 8, b"of another service"),
    (f"arn:aws:s3::{ACCOUNT}:accesspoint/mine.mrap", 8, b"several regions"), ("arn:aws:s3:::bucket", 2, b"not the ARN"), ("arn:aws:s3:eu-west-1:1:accesspoint/mine", 2, b"not the ARN"),
    (f"arn:aws:s3:eu-west-1:{ACCOUNT}:accesspoint/Mine", 2, b"not the ARN"), (f"arn:aws:s3:eu-west-1:{ACCOUNT}:accesspoint/{'m' * 51}", 2, b"not the ARN"), (f"arn:aws:s3:eu/west:{ACCOUNT}:accesspoint/mine", 2, b"not the ARN"),
    (f"arn:aws:s3:eu-west-1:{ACCOUNT}:accesspoint/", 2, b"not the ARN"), (f"arn:evil:s3:eu-west-1:{ACCOUNT}:accesspoint/mine", 2, b"not the ARN"), ("arn:aws:s3", 2, b"not the ARN"),
    (f"arn:aws:s3:eu-west-1:{ACCOUNT}:bucket/mine", 2, b"not the ARN"),
]  # fmt: skip


@pytest.mark.parametrize("name, status, says", NONE, ids=range(len(NONE)))
def test_buckets_that_are_none(bulla, ring, name, status, says):
    """In words, with a way out, before anything is asked."""
    done = bulla("encrypt", "-k", ring, "-o", f"s3://{name}/x.bulla", stdin=SMALL, status=status)
    assert says in done.stderr and b"hint: " in done.stderr
