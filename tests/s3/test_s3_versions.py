"""What a bucket keeps of objects that were replaced or removed: it still opens with the keys of then."""

import dataclasses
import json
import re

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


def without(element):
    return lambda answer: dataclasses.replace(answer, body=re.sub(rb"<%s>.*?</%s>" % (element, element), b"", answer.body))


@pytest.mark.parametrize("operation, element", [("list", b"Size"), ("versions", b"Size"), ("versions", b"IsLatest"), ("versions", b"VersionId")])
def test_lists_that_leave_out_what_counts(s3, kept, ring, url, operation, element):
    """An object without a size could be passed over as small, a version as the current one."""
    other = s3.new_key("other.ring")
    kept.put("t/odd", kept.objects["t/x.bulla"].body)
    s3("encrypt", "-k", other, "--force", "-o", url + "t/x.bulla", stdin=SMALL)
    kept.fault(operation, without(element), times=99)
    done = s3("status", "-r", "--needs", ring, url + "t/", status=(3, 7), env={"AWS_MAX_ATTEMPTS": "1"})
    assert b"cannot be read" in done.stderr and b"0 files still need" not in done.stdout


@pytest.mark.parametrize("size", [b"-1", b"5x", b"1e9", b" 5", b"0x10", b"99999999999999999999", b""])
def test_sizes_that_are_no_numbers(s3, kept, ring, url, size):
    kept.fault("list", lambda answer: dataclasses.replace(answer, body=re.sub(rb"<Size>.*?<", b"<Size>" + size + b"<", answer.body)), times=99)
    assert b"XML that cannot be read" in s3("status", "-r", url + "t/", status=3, env={"AWS_MAX_ATTEMPTS": "1"}).stderr


def test_server_that_gives_another_version(s3, kept, ring, url):
    """It is not taken for the old one that was asked for."""
    s3("encrypt", "-k", s3.new_key("other.ring"), "--force", "-o", url + "t/x.bulla", stdin=SMALL)
    kept.find = lambda request, key: kept.objects[key]
    assert b"of another version than was asked for" in s3("status", "--needs", ring, url + "t/x.bulla", status=(3, 6)).stderr


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
