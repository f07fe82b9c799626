"""docs/S3.md keeps its word: its recipes run, and its permissions are those that are used."""

import re
import shutil
import subprocess

import pytest
from store import Upload, variables
from test_s3_verbs import LARGE, SMALL, rotated

from document import blocks, section

ACTIONS = {  # of IAM, for each operation of the stand-in
    "get": {"s3:GetObject"}, "head": {"s3:GetObject"}, "list": {"s3:ListBucket"}, "write": {"s3:PutObject"}, "create": {"s3:PutObject"}, "part": {"s3:PutObject"},
    "complete": {"s3:PutObject"}, "copy": {"s3:GetObject", "s3:PutObject"}, "abort": {"s3:AbortMultipartUpload"}, "delete": {"s3:DeleteObject"},
    "tagging": {"s3:GetObjectTagging"}, "versions": {"s3:ListBucketVersions"}, "ownership": {"s3:GetBucketOwnershipControls"}, "uploading": {"s3:ListBucketMultipartUploads"}, "get_version": {"s3:GetObjectVersion"},
    "delete_version": {"s3:DeleteObjectVersion"}, "locking": {"s3:GetBucketObjectLockConfiguration"}, "retention": {"s3:GetObjectRetention"}, "hold": {"s3:GetObjectLegalHold"},
}  # fmt: skip


def test_recipes(s3, store, ring):
    """As they stand, one after the other."""
    shutil.copy(ring, s3.work / "backup.ring")
    (s3.work / "dump.sql").write_bytes(LARGE)
    (s3.work / "archive.tar").write_bytes(SMALL)
    (s3.work / "data/d").mkdir(parents=True)
    (s3.work / "data/d/x").write_bytes(SMALL)
    script = "".join(blocks(section("S3.md", "Recipes")))
    assert script.count("bulla ") == 21
    (s3.work / "bulla").symlink_to(s3.program)
    done = subprocess.run(["sh", "-euc", script], cwd=s3.work, env=s3.environment | {"PATH": f"{s3.work}:/usr/bin:/bin"}, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert (s3.work / "restored.sql").read_bytes() == LARGE and (s3.work / "back/d/x").read_bytes() == SMALL


def policies():
    """The actions of the hosts in the document: seals, restores, proves, rotates, cleans up."""
    found = [set(re.findall(r'"(s3:\w+)"', block)) for block in blocks(section("S3.md", "Permissions"))]
    assert len(found) == 5
    return found


def used(store):
    return set().union(*(ACTIONS[what] for what, key in store.asked))


@pytest.mark.parametrize("content", [SMALL, LARGE], ids=["small", "large"])
def test_permissions(s3, store, ring, url, content):
    """A host with these and no others can do its work; that it may not look, where it seals, is no harm."""
    seals, restores, proves, rotates, cleans = policies()

    def host(allowed):
        store.asked.clear()
        store.allowed = {what for what, actions in ACTIONS.items() if actions <= allowed}

    host(seals)
    s3("encrypt", "-k", ring, "-o", url + "x.bulla", stdin=content)
    s3("encrypt", "-k", ring, "-o", url + "x.bulla", stdin=content, status=9)
    host(restores)
    assert s3("decrypt", "-k", ring, "-o", "-", url + "x.bulla").stdout == content
    s3("verify", "-k", ring, "-r", url)
    assert used(store) == restores
    store.objects["x.bulla"].tags = "a=b"
    rotated(s3)
    host(restores)
    s3("rewrap", "-k", ring, "-r", url, status=3)
    host(rotates)
    s3("rewrap", "-k", ring, "-r", url)
    assert used(store) - {"s3:AbortMultipartUpload"} <= rotates
    s3("status", "--needs", f"{ring}#backup:1", "-r", url, status=3)
    store.versioned = True
    rotated(s3)
    s3("rewrap", "-k", ring, "-r", url)
    host(proves)
    s3("status", "--needs", f"{ring}#backup:2", "-r", url, status=7)
    assert used(store) == proves
    host(cleans)
    store.uploads["left"] = Upload("left", {}, "", begun="2020-01-01T00:00:00Z")
    s3("s3", "purge", "--delete", "--needs", f"{ring}#backup:2", url)
    s3("s3", "abort", url)
    assert used(store) == cleans - {"s3:GetObjectRetention", "s3:GetObjectLegalHold", "s3:ListBucket"} and not store.old["x.bulla"] and not store.uploads


def test_permissions_to_clean_up_what_was_removed(s3, store, ring, url):
    """Without s3:ListBucket, S3 refuses to say that an object is not there."""
    store.versioned = True
    s3("encrypt", "-k", ring, "-o", url + "x.bulla", stdin=SMALL)
    store.place("x.bulla", None)
    store.allowed = {what for what, actions in ACTIONS.items() if actions <= policies()[-1]}
    s3("s3", "purge", "--delete", "--only-copies", "--needs", ring, url)
    assert [o.marker for o in store.old["x.bulla"]] == [True]


def test_settings(s3, ring, store, url):
    """The endpoint of all services counts, and a setting for one goes first."""
    del s3.environment["AWS_ENDPOINT_URL_S3"]
    s3.environment |= {"AWS_ENDPOINT_URL": store.url}
    s3("encrypt", "-k", ring, "-o", url + "x.bulla", stdin=SMALL)
    assert "x.bulla" in store.objects and variables(store.url)["AWS_ENDPOINT_URL_S3"] == store.url
    s3("verify", "-k", ring, url + "x.bulla", status=(2, 6, 7), env={"AWS_ENDPOINT_URL_S3": "http://example.org"})
