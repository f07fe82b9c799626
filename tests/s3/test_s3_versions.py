"""What a bucket keeps of objects that were replaced or removed: it still opens with the keys of then."""

import json

import pytest
from store import Object
from test_s3_faults import error
from test_s3_verbs import LARGE, SMALL, rotated

OLD = "2026-01-01T00:00:00Z"
LATER = "2999-01-01T00:00:00Z"


def status(s3, ring, *what, status=0):
    return s3("status", "-r", "--needs", f"{ring}#backup:1", *what, status=status)


@pytest.fixture
def kept(s3, store, ring, url):
    """A versioned bucket, rewrapped: an object, a detached one, and what is left of each."""
    store.versioned = True
    s3("encrypt", "-k", ring, "-o", url + "t/x.bulla", stdin=SMALL)
    s3("encrypt", "-k", ring, "--detach", "-o", url + "t/y.bulla", stdin=SMALL)
    rotated(s3)
    assert b"keeps the old versions of 2 of them" in s3("rewrap", "-k", ring, "-r", url + "t/").stderr
    return store


@pytest.mark.parametrize("page", [1000, 1])
def test_old_versions_count(s3, kept, ring, url, page):
    """A rewrap leaves them behind and says so; they need the old key until they are gone."""
    kept.page = page
    done = status(s3, ring, url + "t/", status=7)
    ids = {name: kept.old[name][0].version for name in ("t/x.bulla", "t/y.bulla.env")}
    assert sorted(done.stdout.decode().splitlines()[:2]) == [f"{url}{name}?versionId={ids[name]}" for name in sorted(ids)]
    assert b"2 files still need" in done.stdout and b"2 of these are old versions" in done.stderr
    assert b"1 file still needs" in status(s3, ring, url + "t/x.bulla", status=7).stdout
    assert b"1 file still needs" in status(s3, ring, url + "t/y.bulla", status=7).stdout, "those of its envelope"
    plain = s3("status", "-r", "--versions", url + "t/").stdout
    assert b"4 files, 4 of them on a single key" in plain and b"2 files, 2 of them" in s3("status", "-r", url + "t/").stdout
    kept.old.clear()
    status(s3, ring, url + "t/")


def test_destroy_looks_at_them(s3, kept, ring, url):
    done = s3("key", "destroy", "--force", "--check", url + "t/", f"{ring}#backup:1", status=7)
    assert b"2 files still need" in done.stderr
    kept.old.clear()
    s3("key", "destroy", "--force", "--check", url + "t/", f"{ring}#backup:1")


def test_removed_objects_are_kept(s3, kept, ring, url):
    """A delete marker hides an object, but removes nothing: what it hides counts, and it is told."""
    s3.environment |= {}
    for name in ("t/x.bulla", "t/y.bulla", "t/y.bulla.env"):
        kept.place(name, None)
    done = status(s3, ring, url + "t/", status=7)
    assert b"2 files still need" in done.stdout and b"3 objects were removed there by a delete marker" in done.stderr


def test_not_looked_at_is_not_none(s3, kept, ring, url):
    """Archived versions, and a list that may not be read, keep the proof from being one."""
    kept.old["t/x.bulla"][0].headers["x-amz-storage-class"] = "DEEP_ARCHIVE"
    del kept.old["t/y.bulla.env"][0]
    assert b"archived" in status(s3, ring, url + "t/", status=3).stderr
    kept.fault("versions", error("AccessDenied", 403), times=9)
    done = status(s3, ring, url + "t/", status=3)
    assert b"s3:ListBucketVersions" in done.stderr and b"0 files" not in done.stdout


def test_versions_of_a_damaged_body_are_told(s3, kept, ring, url):
    """One that has no envelope anywhere is no body of one."""
    kept.old["t/z.bulla"] = [Object(b"", version="v2", marker=True), Object(bytes(9000), version="v1")]
    kept.old.pop("t/x.bulla"), kept.old.pop("t/y.bulla.env")
    assert b"t/z.bulla?versionId=v1" in status(s3, ring, url + "t/", status=(3, 4)).stderr
