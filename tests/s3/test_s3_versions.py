"""What a bucket keeps of objects that were replaced or removed: it still opens with the keys of then."""

import dataclasses
import json
import re
import time

import pytest
from store import Object, Upload
from test_s3_faults import error, lost
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


@pytest.mark.parametrize("content", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("verb", ["rewrap", "reencrypt"])
def test_what_was_there_before_versions_is_kept_too(s3, store, ring, url, verb, content):
    """It has no version of its own, but what replaces it does; where versions are suspended, nothing stays."""
    for name in "ab":
        s3("encrypt", "-k", ring, "-o", f"{url}t/{name}.bulla", stdin=content)
    rotated(s3)
    store.versioned, store.version_of = True, lambda key: {"x-amz-version-id": "null"}
    assert b"keeps the old versions" not in s3(verb, "-k", ring, url + "t/a.bulla").stderr
    del store.version_of
    store.fault("write" if content == SMALL else "complete", lost)
    assert b"keeps the old versions of 1 of them" in s3(verb, "-k", ring, url + "t/b.bulla").stderr
    assert [o.version for o in store.old["t/b.bulla"]] == ["null"]


def test_one_version_that_is_named(s3, kept, ring, url):
    """It alone counts, by its own name; a purge, which goes by lists, does not take all for it."""
    (old,), now = kept.old["t/x.bulla"], kept.objects["t/x.bulla"].version
    name = f"{url}t/x.bulla?versionId="
    assert status(s3, ring, name + old.version, status=7).stdout.decode().splitlines()[:-1] == [name + old.version]
    status(s3, ring, name + now)
    for version in (old.version, now):
        assert b"is one version of an object" in s3("s3", "purge", "--delete", "--needs", f"{ring}#backup:1", name + version, status=3).stderr
    assert kept.old["t/x.bulla"] == [old]


def test_version_that_is_not_there(s3, kept, ring, url):
    """Gone is 10, whatever of it is gone."""
    for verb in (["inspect"], ["verify", "-k", ring]):
        assert b"does not exist" in s3(*verb, url + "t/x.bulla?versionId=none", status=10).stderr


@pytest.mark.parametrize("prefix", ["", "t/", "t/x.bulla"])
def test_names_of_versions_below_an_empty_one(s3, kept, ring, url, prefix):
    """An empty version means what is current, and is no part of the name of another object."""
    shown = status(s3, ring, f"{url}{prefix}?versionId=", status=7).stdout.decode().splitlines()
    assert f"{url}t/x.bulla?versionId={kept.old['t/x.bulla'][0].version}" in shown and len(shown) == (2 if "x" in prefix else 3)


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


@pytest.mark.parametrize("silent", [False, True])
def test_server_that_gives_another_version(s3, kept, ring, url, silent):
    """It is not taken for the old one that was asked for, nor if the answer does not say which it is."""
    s3("encrypt", "-k", s3.new_key("other.ring"), "--force", "-o", url + "t/x.bulla", stdin=SMALL)
    kept.find = lambda request, key: kept.objects[key]
    if silent:
        kept.fault("get_version", lambda answer: (answer.headers.pop("x-amz-version-id"), answer)[1], times=99)
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


def purge(s3, ring, *what, status=0):
    done = s3("s3", "purge", "--json", "--needs", f"{ring}#backup:1", *what, status=status)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return lines[-1]["summary"], {line["file"].partition("?")[0].rpartition("backups/")[2]: line for line in lines[:-1]}


@pytest.mark.parametrize("page", [1000, 1])
def test_purge(s3, kept, ring, url, page):
    """Dry unless told; then only what still needs the key goes, and the proof holds."""
    kept.page, before = page, {name: list(rows) for name, rows in kept.old.items()}
    summary, lines = purge(s3, ring, url)
    assert (summary["would_delete"], kept.old) == (2, before) and {name: line["would_be"] for name, line in lines.items()} == {"t/x.bulla": "deleted", "t/y.bulla.env": "deleted"}
    assert b"would delete 's3://backups/t/x.bulla?versionId=" in s3("s3", "purge", "--needs", f"{ring}#backup:1", url + "t/x.bulla").stderr
    objects = dict(kept.objects)
    assert purge(s3, ring, "--delete", url)[0]["deleted"] == 2
    assert not any(kept.old.values()) and kept.objects == objects
    status(s3, ring, url + "t/")
    assert s3("decrypt", "-k", ring, "-o", "-", url + "t/y.bulla").stdout == SMALL


def test_purge_of_what_other_keys_open(s3, kept, ring, url):
    rotated(s3)
    s3("rewrap", "-k", ring, "-r", url + "t/")
    summary, _ = purge(s3, ring, "--delete", url)
    assert (summary["deleted"], summary["not_needed"]) == (2, 2) and [len(kept.old[name]) for name in ("t/x.bulla", "t/y.bulla.env")] == [1, 1]


def test_purge_leaves_what_is_locked(s3, kept, ring, url):
    """A date that is over is none. S3 would refuse it too: that is told, and ends in a failure."""
    held, body = kept.old["t/x.bulla"][0], kept.old["t/y.bulla.env"][0]
    held.headers["x-amz-object-lock-retain-until-date"] = LATER
    body.headers["x-amz-object-lock-legal-hold"] = "ON"
    done = s3("s3", "purge", "--delete", "--needs", f"{ring}#backup:1", url, status=3)
    assert b"is kept: it is locked until 2999-01-01" in done.stderr and b"is kept: it has a legal hold" in done.stderr
    assert kept.old["t/x.bulla"] == [held] and kept.old["t/y.bulla.env"] == [body] and not kept.count("delete_version")
    held.headers["x-amz-object-lock-retain-until-date"] = OLD
    assert purge(s3, ring, "--delete", url, status=3)[0]["deleted"] == 1
    kept.fault("get_version", lambda answer: (answer.headers.pop("x-amz-object-lock-legal-hold", None), answer)[1], times=9)
    done = s3("s3", "purge", "--delete", "--needs", f"{ring}#backup:1", url, status=3)
    assert b"AccessDenied" in done.stderr and kept.old["t/y.bulla.env"] == [body]


def test_purge_leaves_the_only_copy(s3, kept, ring, url):
    """Of an object that was removed, or has another content now, unless that is asked for."""
    kept.place("t/x.bulla", None)
    s3("encrypt", "-k", ring, "--force", "-o", url + "t/z.bulla", stdin=LARGE)
    kept.objects["t/z.bulla"], kept.old["t/z.bulla"] = kept.objects["t/z.bulla"], [kept.old["t/x.bulla"][-1]]
    summary, lines = purge(s3, ring, "--delete", url, status=3)
    assert (summary["deleted"], summary["only_copies"], summary["delete_markers"]) == (1, 2, 1)
    assert lines["t/z.bulla"]["outcome"] == "only_copy"
    assert purge(s3, ring, "--delete", "--only-copies", url)[0]["deleted"] == 2
    status(s3, ring, url)


@pytest.mark.parametrize("left", [1024, 1024 + 10, -1])
def test_purge_leaves_the_only_whole_copy(s3, kept, ring, url, left):
    """What is current is an envelope alone, or its body was cut off."""
    now = kept.objects["t/x.bulla"]
    whole, now.body = now.body, now.body[:left]
    assert 1024 <= len(now.body) < len(whole) and whole.startswith(kept.old["t/x.bulla"][0].body[:8])
    summary, lines = purge(s3, ring, "--delete", url + "t/x.bulla", status=3)
    assert (summary["deleted"], summary["only_copies"]) == (0, 1) and lines["t/x.bulla"]["outcome"] == "only_copy"
    assert len(kept.old["t/x.bulla"]) == 1 and not kept.count("delete_version")


def test_purge_of_bodies(s3, kept, ring, url):
    """One that was replaced has no envelope: it opens nothing, and stays."""
    kept.place("t/y.bulla", None)
    summary, lines = purge(s3, ring, "--delete", url)
    assert lines["t/y.bulla"]["outcome"] == "body" and summary["bodies"] == 1 and len(kept.old["t/y.bulla"]) == 2


@pytest.mark.parametrize("words, says", [(["--needs", "RING", "x.bulla"], b"is no object"), (["s3://backups/"], b"--needs does not say"), (["--needs", "RING"], b"takes s3://BUCKET")])
def test_purge_refuses(s3, kept, ring, words, says):
    assert says in s3("s3", "purge", "--delete", *(str(ring) if word == "RING" else word for word in words), status=2).stderr
    assert not kept.count("delete_version")


def begun(store, name, when):
    store.uploads[name] = Upload(name, {}, "", begun=when)


@pytest.mark.parametrize("page", [1000, 1])
def test_abort(s3, store, url, page):
    """What a dead host left goes once it is old; a younger one may be somebody's work."""
    store.page = page
    for name in ("t/a", "t/b", "u/c"):
        begun(store, name, "2020-01-01T00:00:00.000Z")
    begun(store, "t/new", time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(time.time() - 7200)))
    begun(store, "t/odd", "yesterday")
    assert b"2 uploads would be aborted, 2 younger ones are left" in s3("s3", "abort", "-n", url + "t/").stderr and len(store.uploads) == 5
    done = s3("s3", "abort", "--json", url + "t/")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert lines[-1] == {"summary": {"aborted": 2, "young": 2, "failed": 0}} and {line["file"]: line["outcome"] for line in lines[:-1]} == {
        url + "t/a": "aborted", url + "t/b": "aborted", url + "t/new": "young", url + "t/odd": "young"}
    assert sorted(store.uploads) == ["t/new", "t/odd", "u/c"]
    assert b"1 upload was aborted" in s3("s3", "abort", "--older-than", "1h", url + "t/").stderr and "t/new" not in store.uploads
    assert b"1 upload was aborted" in s3("s3", "abort", url + "u/c").stderr


def test_abort_that_fails(s3, store, url):
    begun(store, "a", "2020-01-01T00:00:00.000Z"), begun(store, "b", "2020-01-01T00:00:00.000Z")
    store.fault("abort", error("NoSuchUpload", 404))
    store.fault("abort", error("AccessDenied", 403))
    done = s3("s3", "abort", url, status=3)
    assert b"s3://backups/b" in done.stderr and b"AccessDenied" in done.stderr and b"1 upload was aborted, 0 younger ones are left, 1 failed" in done.stderr
    assert b"--older-than is like 12h" in s3("s3", "abort", "--older-than", "soon", url, status=2).stderr
    assert b"is no object" in s3("s3", "abort", "x", status=2).stderr
