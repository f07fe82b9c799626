"""All that docs/S3.md says, with servers that others wrote."""

import datetime
import os
import subprocess
import time

import pytest
from program import reports
from test_s3_verbs import LARGE, MIB, MIDDLE, SMALL, needs, rotated

SIZES = [0, 1, 8191, 8192, 8193, 5 * MIB - 1, 5 * MIB, 5 * MIB + 1, 23 * MIB]
NAMES = ["plain", "with blank+plus", "per%20cent", "\u00e9/\u00fc", "-x", "q?&=#", "~*()'!", "d/" * 100 + "x", "v?versionId=1?versionId="]


@pytest.mark.parametrize("size", SIZES)
def test_there_and_back(s3, server, bucket, ring, size):
    content = os.urandom(size)
    url = f"s3://{bucket}/a/x.bulla"
    s3("encrypt", "-k", ring, "-o", url, stdin=content)
    s3("encrypt", "-k", ring, "-o", url, stdin=content, status=9)
    assert s3("decrypt", "-k", ring, "-o", "-", url).stdout == content
    s3("verify", "-k", ring, url)
    assert s3.inspect(url)[0]["bytes"] == size
    assert server.client.list_multipart_uploads(Bucket=bucket).get("Uploads", []) == []
    if size > 100:
        assert s3("decrypt", "-k", ring, "--offset", str(size // 2), "--length", "50", "-o", "-", url).stdout == content[size // 2 :][:50]


@pytest.mark.parametrize("content", [SMALL, MIDDLE, LARGE], ids=["small", "middle", "large"])
@pytest.mark.parametrize("options", [[], ["--detach"]], ids=["inside", "detached"])
def test_rewrap(s3, server, bucket, ring, content, options):
    """The body stays byte for byte, and so do metadata and tags."""
    url = f"s3://{bucket}/x.bulla"
    s3("encrypt", "-k", ring, *options, "--metadata", "a=b c", "--tag", "t=v w", "-o", url, stdin=content)
    target = "x.bulla.env" if options else "x.bulla"
    before = server.client.get_object(Bucket=bucket, Key="x.bulla")["Body"].read()
    rotated(s3)
    assert needs(s3, ring, url)
    s3("rewrap", "-k", ring, url)
    assert not needs(s3, ring, url) and s3("decrypt", "-k", ring, "-o", "-", url).stdout == content
    after = server.client.get_object(Bucket=bucket, Key=target)
    assert after["Metadata"]["a"] == "b c" and after["ContentType"] == "application/octet-stream"
    assert server.client.get_object_tagging(Bucket=bucket, Key=target)["TagSet"] == [{"Key": "t", "Value": "v w"}]
    assert server.client.get_object(Bucket=bucket, Key="x.bulla")["Body"].read()[8192:] == before[8192:]
    s3("reencrypt", "-k", ring, url, status=1 if options else 0)
    s3("envelope", "export", "-o", f"s3://{bucket}/e", url)
    if not options:
        s3("envelope", "restore", "--envelope", f"s3://{bucket}/e", url)
    assert s3("decrypt", "-k", ring, "-o", "-", url).stdout == content


@pytest.mark.parametrize("content", [SMALL, LARGE], ids=["small", "large"])
def test_what_was_there_before_versions(s3, server, bucket, ring, content):
    """It is kept when it is replaced, which is told; metadata without a value, and all other headers, go along."""
    url, meta = f"s3://{bucket}/x.bulla", {"empty": "", "blanks": "a  b", "encoded": "=?UTF-8?B?w6k=?="}
    s3("encrypt", "-k", ring, "-o", url, stdin=content)
    body = server.client.get_object(Bucket=bucket, Key="x.bulla")["Body"].read()
    server.client.put_object(Bucket=bucket, Key="x.bulla", Body=body, Metadata=meta, CacheControl="no-store, max-age=0",
                             ContentDisposition='attachment; filename="a b"', ContentLanguage="de")  # fmt: skip
    server.client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    rotated(s3)
    assert b"keeps the old versions of 1 of them" in s3("rewrap", "-k", ring, url).stderr
    after = server.client.get_object(Bucket=bucket, Key="x.bulla")
    assert (after["Metadata"], after["CacheControl"], after["ContentLanguage"]) == (meta, "no-store, max-age=0", "de")
    assert after["ContentDisposition"] == 'attachment; filename="a b"'
    assert f"{url}?versionId=null".encode() in s3("status", "--needs", f"{ring}#backup:1", url, status=7).stdout
    s3("s3", "purge", "--delete", "--needs", f"{ring}#backup:1", url)
    s3("status", "--needs", f"{ring}#backup:1", url)


def test_names(s3, server, bucket, ring):
    for name in NAMES:
        s3("encrypt", "-k", ring, "-o", f"s3://{bucket}/n/{name}.bulla" if "?versionId=" not in name else f"s3://{bucket}/n/{name}", stdin=name.encode())
    listed = {o["Key"] for o in server.client.list_objects_v2(Bucket=bucket)["Contents"]}
    assert len(listed) == len(NAMES)
    assert len(reports(s3("verify", "-k", ring, "-r", "--json", f"s3://{bucket}/n/"))) == len(NAMES)
    rotated(s3)
    s3("rewrap", "-k", ring, "-r", f"s3://{bucket}/n/")
    assert not needs(s3, ring, "-r", f"s3://{bucket}/n/")


def test_tree(s3, server, bucket, ring):
    for number in range(1100):
        path = s3.work / f"data/{number % 7}/{number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"%d" % number)
    s3("encrypt", "-k", ring, "-r", "-o", f"s3://{bucket}/t/", "data")
    (s3.work / "back").mkdir()
    s3("decrypt", "-k", ring, "-r", "-o", "back", f"s3://{bucket}/t/")
    subprocess.run(["diff", "-r", s3.work / "data", s3.work / "back"], check=True)


def test_versions(s3, server, bucket, ring):
    server.client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    url = f"s3://{bucket}/x.bulla"
    for content in (SMALL, LARGE):
        s3("encrypt", "-k", ring, "--force", "-o", url, stdin=content)
    ids = [v["VersionId"] for v in server.client.list_object_versions(Bucket=bucket)["Versions"]]
    assert [s3("decrypt", "-k", ring, "-o", "-", f"{url}?versionId={id}").stdout for id in ids] == [LARGE, SMALL]
    s3("decrypt", "-k", ring, "--remove-source", "-o", "back", url)
    s3("verify", "-k", ring, url, status=10)
    s3("verify", "-k", ring, f"{url}?versionId={ids[0]}")


def test_old_versions(s3, server, bucket, ring):
    """They are told, counted, and deleted once that is asked for; what a delete marker hides counts too."""
    server.client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    url, proof = f"s3://{bucket}/t/", ["status", "-r", "--needs", f"{ring}#backup:1", f"s3://{bucket}/t/"]
    s3("encrypt", "-k", ring, "-o", url + "small.bulla", stdin=SMALL)
    s3("encrypt", "-k", ring, "-o", url + "large.bulla", stdin=LARGE)
    s3("encrypt", "-k", ring, "--detach", "-o", url + "apart.bulla", stdin=MIDDLE)
    rotated(s3)
    assert b"keeps the old versions of 3 of them" in s3("rewrap", "-k", ring, "-r", url).stderr
    assert b"3 files still need" in s3(*proof, status=7).stdout
    purge = ["s3", "purge", "--needs", f"{ring}#backup:1"]
    s3(*purge, url)
    s3(*proof, status=7)
    s3(*purge, "--delete", url)
    s3(*proof)
    for name, content in (("small", SMALL), ("large", LARGE), ("apart", MIDDLE)):
        assert s3("decrypt", "-k", ring, "-o", "-", f"{url}{name}.bulla").stdout == content
    server.client.delete_object(Bucket=bucket, Key="t/small.bulla")
    assert b"removed there by a delete marker" in s3("status", "-r", "--needs", f"{ring}#backup:2", url, status=7).stderr


@pytest.mark.parametrize("content", [SMALL, LARGE], ids=["small", "large"])
def test_locks(s3, server, ring, content):
    """A retention goes with the object, and its old version stays; one that is over does not stop a rewrap."""
    bucket = server.bucket(ObjectLockEnabledForBucket=True)
    url = f"s3://{bucket}/x.bulla"
    s3("encrypt", "-k", ring, "-o", url, stdin=content)

    def retain(seconds):
        until = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
        server.client.put_object_retention(Bucket=bucket, Key="x.bulla", Retention={"Mode": "GOVERNANCE", "RetainUntilDate": until})

    retain(3)
    rotated(s3)
    time.sleep(5)
    s3("rewrap", "-k", ring, url)
    retain(3600)
    rotated(s3)
    s3("rewrap", "-k", ring, url)
    assert server.client.get_object_retention(Bucket=bucket, Key="x.bulla")["Retention"]["Mode"] == "GOVERNANCE"
    done = s3("s3", "purge", "--delete", "--needs", f"{ring}#backup:1", "--needs", f"{ring}#backup:2", f"s3://{bucket}/", status=3)
    locked = {"minio": b"1 are locked", "versitygw": b"AccessDenied"}  # versitygw shows a lock by HEAD alone
    assert b"1 old versions" in done.stderr and locked[server.name] in done.stderr
    assert s3("decrypt", "-k", ring, "-o", "-", url).stdout == content


def test_uploads(s3, server, bucket):
    """Those of others are found, and young ones left."""
    server.client.create_multipart_upload(Bucket=bucket, Key="u/x")
    assert b"1 younger ones are left" in s3("s3", "abort", f"s3://{bucket}/u/x").stderr


def test_lost_to_another_writer(s3, server, bucket, ring):
    """Of two that make a new body at once, at least one wins, and nothing is lost."""
    url = f"s3://{bucket}/x.bulla"
    s3("encrypt", "-k", ring, "-o", url, stdin=LARGE)
    rotated(s3)
    both = [s3.start(verb, "-k", ring, url) for verb in 2 * ["reencrypt"]]
    for process in both:
        s3.finish(process, b"", status=(0, 1, 6))
    assert 0 in {process.returncode for process in both}
    assert s3("decrypt", "-k", ring, "-o", "-", url).stdout == LARGE


@pytest.mark.skipif("BULLA_6_GIB" not in os.environ, reason="takes 6 GiB: BULLA_6_GIB=1")
def test_6_gib_by_pipe(s3, server, bucket, ring):
    """versitygw keeps a list of the parts in an attribute of a file, which on ext4 holds few: it gets larger ones."""
    larger = "--expected-size 250000000000" if server.name == "versitygw" else ""
    seal = f"head -c 6G /dev/zero | {s3.program} encrypt -q -k {ring} {larger} -o s3://{bucket}/x.bulla"
    subprocess.run(["bash", "-ec", seal], check=True, env=s3.environment)
    rotated(s3)
    s3("rewrap", "-k", ring, f"s3://{bucket}/x.bulla")
    check = f"{s3.program} decrypt -q -k {ring} -o - s3://{bucket}/x.bulla | cmp - <(head -c 6G /dev/zero)"
    subprocess.run(["bash", "-ec", check], check=True, env=s3.environment)
