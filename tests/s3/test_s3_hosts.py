"""Which host is asked for a bucket, and signed: as botocore has it, by a proxy that leads all of them to the stand-in."""

import urllib.parse

import botocore.config
import botocore.session
import pytest
from certificates import Authority
from proxy import Proxy
from store import BUCKET, Store, variables
from test_s3_verbs import LARGE, SMALL

PLACES = [
    ("eu-west-1", "", BUCKET), ("us-east-1", "", BUCKET), ("eu-west-1", "dual", BUCKET), ("us-east-1", "fips", BUCKET), ("us-east-1", "fips dual", BUCKET),
    ("us-gov-west-1", "fips", BUCKET), ("cn-north-1", "", BUCKET), ("cn-north-1", "dual", BUCKET), ("eu-west-1", "", "with.dots.in"),
]  # fmt: skip


def place(region, how, bucket):
    """Host and path of botocore."""
    config = botocore.config.Config(use_fips_endpoint="fips" in how, use_dualstack_endpoint="dual" in how, signature_version="s3v4",
                                    s3={"us_east_1_regional_endpoint": "regional", "addressing_style": "path" if "." in bucket else "virtual"})  # fmt: skip
    client = botocore.session.Session().create_client("s3", region, config=config, aws_access_key_id="x", aws_secret_access_key="x")
    url = urllib.parse.urlsplit(client.generate_presigned_url("get_object", {"Bucket": bucket, "Key": "d/x.bulla"}))
    return url.hostname.replace(".s3.amazonaws.com", f".s3.{region}.amazonaws.com"), url.path  # for presigned URLs it leaves the region out


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.mark.parametrize("region, how, bucket", PLACES)
def test_hosts(bulla, ring, authority, region, how, bucket):
    """A bucket is a part of the name, unless it has a dot; what is signed is what is asked."""
    host, path = place(region, how, bucket)
    store = Store(region=region, tls=authority.server(host), bucket=bucket)
    proxy = Proxy(store)
    try:
        bulla.environment |= variables(store.url) | {"AWS_ENDPOINT_URL_S3": "", "AWS_REGION": region, "HTTPS_PROXY": proxy.url, "AWS_CA_BUNDLE": str(authority.bundle),
                              "AWS_USE_FIPS_ENDPOINT": str("fips" in how).lower(), "AWS_USE_DUALSTACK_ENDPOINT": str("dual" in how).lower()}  # fmt: skip
        bulla("encrypt", "-k", ring, "-o", f"s3://{bucket}/d/x.bulla", stdin=LARGE)
        assert bulla("decrypt", "-k", ring, "-o", "-", f"s3://{bucket}/d/x.bulla").stdout == LARGE
        assert set(proxy.asked) == {host + ":443"} and store.paths[0].partition("?")[0] == path
        assert store.probes == [], "AWS is known to heed conditions"
        bulla("envelope", "export", f"s3://{bucket}/d/x.bulla")
        bulla("verify", "-k", ring, "-r", f"s3://{bucket}/d/")
    finally:
        store.close()
        proxy.server.shutdown()
        proxy.server.server_close()


@pytest.mark.parametrize("name", ["arn:aws:s3:eu-west-1:123456789012:accesspoint/mine", "bucket--use1-az4--x-s3", "mine-abcdefgh123-s3alias", "mine--ol-s3"])
def test_buckets_that_are_none(bulla, ring, name):
    """Access points, by their ARN or alias, and directory buckets: in words, before anything is asked."""
    done = bulla("encrypt", "-k", ring, "-o", f"s3://{name}/x.bulla", stdin=SMALL, status=8)
    assert b"access point or a directory bucket" in done.stderr
