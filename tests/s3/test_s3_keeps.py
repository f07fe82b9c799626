"""What a replacement keeps of an object, what it may not see, and what a run over a prefix must not pass over."""

import dataclasses
import time

import pytest
from store import ONCE, error_answer
from test_s3_faults import error, lost
from test_s3_verbs import LARGE, SMALL, needs, rotated

PAST, LATER = "2020-01-01T00:00:00Z", "2999-01-01T00:00:00Z"
LOCK = {"x-amz-object-lock-mode": "COMPLIANCE", "x-amz-object-lock-retain-until-date": LATER}


def all_but(store, *operations):
    """Whoever asks may do all that a store does, but for these."""
    names = ("get", "get_version", "head", "list", "versions", "write", "create", "part", "copy", "complete", "abort", "delete", "retention", "hold", *ONCE)
    store.allowed = set(names) - set(operations)


@pytest.mark.parametrize("content", [SMALL, LARGE], ids=["small", "large"])
def test_retention_that_is_over(s3, store, ring, url, content):
    """S3 refuses to give it again: the new object has none, and what else there is."""
    s3("encrypt", "-k", ring, "--metadata", "a=b", "-o", url + "x.bulla", stdin=content)
    store.objects["x.bulla"].headers |= LOCK | {"x-amz-object-lock-retain-until-date": PAST, "x-amz-object-lock-legal-hold": "ON"}
    rotated(s3)
    s3("rewrap", "-k", ring, url + "x.bulla")
    headers = store.objects["x.bulla"].headers
    assert not needs(s3, ring, url + "x.bulla") and headers["x-amz-meta-a"] == "b" and headers["x-amz-object-lock-legal-hold"] == "ON"
    assert not {"x-amz-object-lock-mode", "x-amz-object-lock-retain-until-date"} & set(headers)


@pytest.mark.parametrize("days", [-3, 3])
def test_retention_is_over_by_the_clock_of_the_server(s3, store, ring, url, days):
    """That of this machine may be wrong, and a lock that is in force would be lost."""
    s3("encrypt", "-k", ring, "-o", url + "x.bulla", stdin=SMALL)
    half = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + days * 86400 / 2))
    store.objects["x.bulla"].headers |= LOCK | {"x-amz-object-lock-retain-until-date": half}
    store.ahead, before = days * 86400, store.objects["x.bulla"]
    rotated(s3)
    s3("rewrap", "-k", ring, url + "x.bulla")
    headers = store.objects["x.bulla"].headers
    assert store.objects["x.bulla"] is not before and headers.get("x-amz-object-lock-retain-until-date") == (half if days < 0 else None)


@pytest.mark.parametrize("verb", ["rewrap", "reencrypt"])
@pytest.mark.parametrize("hidden, locks", [("tagging", False), ("retention", True), ("hold", True)])
def test_what_may_not_be_read_is_not_lost(s3, store, ring, url, hidden, locks, verb):
    """An answer without it looks as if there were none: refused, also by a run that only looks, and nothing is changed."""
    store.locks = locks
    s3("encrypt", "-k", ring, "-o", url + "x.bulla", stdin=SMALL)
    o = store.objects["x.bulla"]
    o.tags = "a=b"
    o.headers |= LOCK | {"x-amz-object-lock-legal-hold": "ON"} if locks else {}
    rotated(s3)
    all_but(store, hidden)
    for dry in ([], ["-n"])[: 1 + (verb == "rewrap")]:
        assert b"may have what cannot be seen" in s3(verb, *dry, "-k", ring, url + "x.bulla", status=7).stderr
    assert store.objects == {"x.bulla": o} and store.uploads == {}
    all_but(store)
    s3(verb, "-k", ring, url + "x.bulla")
    new = store.objects["x.bulla"]
    assert new.tags == "a=b" and (not locks or LOCK.items() <= new.headers.items() and new.headers["x-amz-object-lock-legal-hold"] == "ON")


@pytest.mark.parametrize("content", [SMALL, LARGE], ids=["small", "large"])
def test_metadata_and_tags_without_a_value(s3, store, ring, url, content):
    """They are sent and signed as they are, not left out."""
    s3("encrypt", "-k", ring, "--metadata", "a=", "--tag", "b=", "-o", url + "x.bulla", stdin=content)
    o = store.objects["x.bulla"]
    assert (o.headers["x-amz-meta-a"], o.tags) == ("", "b=")
    o.tags = "b=&c=d"
    rotated(s3)
    s3("rewrap", "-k", ring, url + "x.bulla")
    new = store.objects["x.bulla"]
    assert new is not o and (new.headers, new.tags) == (o.headers, o.tags)


@pytest.mark.parametrize("verb", ["rewrap", "reencrypt"])
@pytest.mark.parametrize("missing", ["metadata", "tags"])
def test_what_the_server_keeps_silent_about_is_not_lost(s3, store, ring, url, missing, verb):
    """Metadata that no header can carry, and tags of a server that tells of none: refused, and nothing is changed."""
    s3("encrypt", "-k", ring, "-o", url + "x.bulla", stdin=SMALL)
    o = store.objects["x.bulla"]
    good = store.get

    def silent(request, key):
        answer = good(request, key)
        answer.headers.pop("x-amz-tagging-count", None)
        answer.headers |= {"x-amz-missing-meta": "1"} if missing == "metadata" else {}
        return answer

    o.tags, store.get = "a=b&c=d" if missing == "tags" else "", silent
    rotated(s3)
    for dry in ([], ["-n"])[: 1 + (verb == "rewrap")]:
        assert b"would lose it" in s3(verb, *dry, "-k", ring, url + "x.bulla", status=7).stderr
    assert store.objects == {"x.bulla": o}


@pytest.mark.parametrize("content", [SMALL, LARGE], ids=["small", "large"])
def test_locks_that_only_head_shows(s3, store, ring, url, content):
    """As versitygw does it."""
    store.locks, store.shows_locks = True, False
    for name in "ab":
        s3("encrypt", "-k", ring, "-o", f"{url}t/{name}.bulla", stdin=content)
    store.objects["t/b.bulla"].headers |= LOCK | {"x-amz-object-lock-legal-hold": "ON"}
    rotated(s3)
    s3("rewrap", "-j1", "-k", ring, "-r", url + "t/")
    headers = store.objects["t/b.bulla"].headers
    assert LOCK.items() <= headers.items() and headers["x-amz-object-lock-legal-hold"] == "ON"
    assert not any(name.startswith("x-amz-object-lock") for name in store.objects["t/a.bulla"].headers)


def test_locks_that_may_not_be_asked_for(s3, store, ring, url):
    """A bucket without them is the usual one: a warning, once."""
    for name in "ab":
        s3("encrypt", "-k", ring, "-o", f"{url}t/{name}.bulla", stdin=SMALL)
    rotated(s3)
    all_but(store, "locking")
    assert s3("rewrap", "-k", ring, "-r", url + "t/").stderr.count(b"may not be asked") == 1
    rotated(s3)
    store.allowed = None
    assert b"may not be asked" not in s3("rewrap", "-k", ring, "-r", url + "t/").stderr


@pytest.mark.parametrize("verb", ["rewrap", "reencrypt", "restore"])
def test_losses_are_told_by_all_that_replace(s3, store, ring, url, verb):
    """Once a run, before anything is changed."""
    for name in "ab"[: 1 + (verb != "restore")]:
        s3("encrypt", "-k", ring, "-o", f"{url}t/{name}.bulla", stdin=SMALL)
        store.objects[f"t/{name}.bulla"].headers["x-amz-server-side-encryption"] = "aws:kms"
    store.owner, written = "ObjectWriter", store.write
    all_but(store, "locking")
    if verb == "restore":
        s3("envelope", "export", url + "t/a.bulla")
    rotated(s3)
    store.write = lambda request, key: written(request, key) if ".probe-" in key else error_answer("AccessDenied", 403)
    before = dict(store.objects)
    words = ["envelope", "restore", url + "t/a.bulla"] if verb == "restore" else [verb, "-k", ring, "-r", url + "t/"]
    warned = s3(*words, status=(3, 7)).stderr
    assert [warned.count(what) for what in (b"(ACL)", b"may not be asked", b"encryption context")] == [1] * 3 and store.objects == before
    store.write = written
    s3(*words)
    assert store.objects != before


def test_questions_are_asked_once(s3, store, ring, url):
    """Of a bucket that locks objects, in a run; what the first answer shows need not be asked."""
    store.locks = True
    for number in range(5):
        s3("encrypt", "-k", ring, "-o", f"{url}t/{number}.bulla", stdin=SMALL)
    rotated(s3)
    store.asked.clear()
    s3("rewrap", "-k", ring, "-r", url + "t/")
    assert [store.count(what) for what in (*ONCE, "retention", "hold")] == [1] * 5
    for o in store.objects.values():
        o.tags, o.headers = "a=b", o.headers | LOCK | {"x-amz-object-lock-legal-hold": "ON"}
    rotated(s3)
    store.asked.clear()
    s3("rewrap", "-k", ring, "-r", url + "t/")
    assert [store.count(what) for what in ("tagging", "retention", "hold")] == [5, 0, 0]


def test_envelope_of_an_archived_body(s3, store, ring, url):
    """It is moved to the new key and counted, while the body lies in Deep Archive; one that may not be the body's is told."""
    s3("encrypt", "-k", ring, "--detach", "--storage-class", "DEEP_ARCHIVE", "-o", url + "t/x.bulla", stdin=LARGE)
    rotated(s3)
    body = store.objects["t/x.bulla"]
    assert needs(s3, ring, "-r", url + "t/")
    s3("rewrap", "-k", ring, "-r", url + "t/")
    assert not needs(s3, ring, "-r", url + "t/") and store.objects["t/x.bulla"] is body
    assert b"archived" in s3("verify", "-k", ring, "-r", url + "t/", status=3).stderr
    for spoil in (lambda: setattr(body, "modified", "2026-11-28T10:00:01.000Z"), lambda: store.objects["t/x.bulla.env"].headers.pop("x-amz-meta-bulla-envelope")):
        rotated(s3)
        spoil()
        assert b"archived" in s3("rewrap", "-k", ring, "-r", url + "t/", status=3).stderr
        assert b"archived" in s3("status", "-r", url + "t/", status=3).stderr
        body.modified = "2026-11-28T10:00:00.000Z"


@pytest.mark.parametrize("restored, status", [(LATER, 0), (PAST, 3), ("", 3)])
def test_restored_objects_are_taken(s3, store, ring, url, restored, status):
    s3("encrypt", "-k", ring, "-o", url + "t/x.bulla", stdin=SMALL)
    store.objects["t/x.bulla"].headers["x-amz-storage-class"] = "GLACIER"
    store.objects["t/x.bulla"].restored = restored
    rotated(s3)
    s3("rewrap", "-k", ring, "-r", url + "t/", status=status)
    assert store.objects["t/x.bulla"].headers["x-amz-storage-class"] == "GLACIER"


@pytest.mark.parametrize("content", [SMALL, bytes(5000)], ids=["small", "large"])
def test_pairs_by_another_name(s3, store, ring, url, content):
    """A body that is not named like one is found by the envelope beside it; a file of settings is none."""
    s3("encrypt", "-k", ring, "--detach", "-o", url + "t/backup", stdin=content)
    store.put("t/web", b"x" * 2000)
    store.put("t/web.env", b"PORT=80\n" * 200)
    rotated(s3)
    assert needs(s3, ring, "-r", url + "t/")
    assert b"1 rewrapped" in s3("rewrap", "-k", ring, "-r", url + "t/").stderr
    assert not needs(s3, ring, "-r", url + "t/")
    (s3.work / "back").mkdir()
    assert b"its name does not end in .bulla" in s3("decrypt", "-k", ring, "-r", "-o", "back", url + "t/", status=3).stderr
    refused, good = error_answer("AccessDenied", 403), store.get
    store.get = lambda request, key: refused if key.endswith("backup.env") else good(request, key)
    s3("status", "-r", url + "t/", status=3)


@pytest.mark.parametrize("content, operation", [(SMALL, "write"), (LARGE, "complete")], ids=["small", "large"])
@pytest.mark.parametrize("may_look", [True, False])
def test_envelope_stays_with_a_body_that_may_be_there(s3, store, ring, url, content, operation, may_look):
    """All answers are lost, and the body is there: its envelope is not taken away."""
    s3("encrypt", "-k", ring, "-o", url + "probed.bulla", stdin=SMALL)
    if not may_look:
        all_but(store, "get")
    store.fault(operation, lost, times=99, after=operation == "write")
    s3("encrypt", "-k", ring, "--detach", "-o", url + "x.bulla", stdin=content, status=(0, 6), env={"AWS_MAX_ATTEMPTS": "1"})
    store.faults.clear()
    store.allowed = None
    assert s3("decrypt", "-k", ring, "-o", "-", url + "x.bulla").stdout == content


@pytest.mark.parametrize("may_look, options", [(False, []), (True, ["--storage-class", "DEEP_ARCHIVE"])], ids=["no permission", "archived"])
@pytest.mark.parametrize("content, operation", [(SMALL, "write"), (LARGE, "complete")], ids=["small", "large"])
def test_envelope_stays_with_a_body_that_cannot_be_looked_at(s3, store, ring, url, content, operation, may_look, options):
    """Only the first answer is lost; the second says that the object is there, which is our own."""
    if not may_look:
        all_but(store, "get")

    store.fault(operation, lost, after=operation == "write")
    store.fault(operation, error("PreconditionFailed", 412), after=operation == "write")
    done = s3("encrypt", "-k", ring, "--detach", *options, "-o", url + "x.bulla", stdin=content, status=6)
    assert b"perhaps by a request of this run" in done.stderr
    assert [row[2] for row in store.faults] == [0, 0]
    store.allowed = None
    store.objects["x.bulla"].headers.pop("x-amz-storage-class", None)
    assert s3("decrypt", "-k", ring, "-o", "-", url + "x.bulla").stdout == content


def test_envelope_in_a_file_stays_too(s3, store, ring, url):
    store.fault("write", lost, times=99)
    s3("encrypt", "-k", ring, "--envelope", "x.env", "-o", url + "x.bulla", stdin=SMALL, status=(0, 6), env={"AWS_MAX_ATTEMPTS": "1"})
    store.faults.clear()
    assert s3("decrypt", "-k", ring, "--envelope", "x.env", "-o", "-", url + "x.bulla").stdout == SMALL


def test_envelope_of_a_body_that_did_not_come(s3, store, ring, url):
    """Nothing is left, so that another run is not in its own way."""
    store.fault("write", error("InternalError", 500), times=99, after=1)
    s3("encrypt", "-k", ring, "--detach", "-o", url + "x.bulla", stdin=SMALL, status=6, env={"AWS_MAX_ATTEMPTS": "1"})
    assert store.objects == {}


def test_answer_without_an_object(s3, store, ring, url):
    """It is not taken for one that has nothing in it."""
    s3("encrypt", "-k", ring, "-o", url + "t/backup", stdin=SMALL)
    store.fault("get", lambda answer: dataclasses.replace(answer, status=204, body=b""), times=99)
    done = s3("status", "-r", "--allow-empty", "--needs", ring, url + "t/", status=3)
    assert b"has no object" in done.stderr and b"0 files" not in done.stdout


@pytest.mark.parametrize("status, told", [("COMPLETED", True), ("PENDING", True), ("REPLICA", False), (None, False)])
def test_replicas_are_told(s3, store, ring, url, status, told):
    """They are in other buckets, and what holds for an object here does not hold for them."""
    s3("encrypt", "-k", ring, "-o", url + "t/x.bulla", stdin=SMALL)
    s3("encrypt", "-k", ring, "--detach", "-o", url + "t/y.bulla", stdin=SMALL)
    for key in ("t/x.bulla", "t/y.bulla.env"):
        store.objects[key].headers |= {"x-amz-replication-status": status} if status else {}
    rotated(s3)
    assert (b"other buckets have replicas of 2 of these" in s3("status", "-r", url + "t/").stderr) == told
    assert (b"other buckets have replicas of 2 of them" in s3("rewrap", "-k", ring, "-r", url + "t/").stderr) == told
    assert b"replicas" not in s3("status", "-r", url + "t/").stderr, "a new object has none yet"


@pytest.mark.parametrize("code, status", [("InternalError", 500), ("ServiceUnavailable", 503), ("InvalidArgument", 400)])
@pytest.mark.parametrize("question", ["tagging", "locking", "retention", "hold"])
def test_question_that_gets_no_answer(s3, store, ring, url, question, code, status):
    """It is not known then what would be lost, which is not the same as nothing."""
    store.locks = True
    s3("encrypt", "-k", ring, "-o", url + "x.bulla", stdin=SMALL)
    before = dict(store.objects)
    rotated(s3)
    store.fault(question, error(code, status), times=99)
    done = s3("rewrap", "-k", ring, url + "x.bulla", env={"AWS_MAX_ATTEMPTS": "1"}, status=(1, 6, 7))
    assert store.objects == before and code.encode() in done.stderr


@pytest.mark.parametrize("status", [400, 404])
def test_object_without_a_lock(s3, store, ring, url, status):
    """S3 says so with status 404, MinIO and versitygw with 400."""
    store.locks = True
    s3("encrypt", "-k", ring, "-o", url + "x.bulla", stdin=SMALL)
    rotated(s3)
    for question in ("retention", "hold"):
        store.fault(question, error("NoSuchObjectLockConfiguration", status), times=99)
    s3("rewrap", "-k", ring, url + "x.bulla")
    assert not needs(s3, ring, url + "x.bulla")


@pytest.mark.parametrize("body", [b"", b"<html>all is well</html>", b"<Tagging><TagSet>"])
def test_answer_that_tells_nothing_of_tags(s3, store, ring, url, body):
    """An answer that is none does not say that the object has none."""
    s3("encrypt", "-k", ring, "-o", url + "x.bulla", stdin=SMALL)
    before = dict(store.objects)
    rotated(s3)
    store.fault("tagging", lambda answer: dataclasses.replace(answer, body=body), times=99)
    s3("rewrap", "-k", ring, url + "x.bulla", status=6)
    assert store.objects == before
