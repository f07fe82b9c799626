"""What servers and networks do wrong: retried where that helps, told where it does not, and never half."""

import dataclasses
import json
import os
import random
import signal
from xml.sax.saxutils import escape

import pytest
from store import KEY_ID, SECRET, Store, document, error_answer, variables
from test_s3_verbs import LARGE, MIB, MIDDLE, SMALL, rotated
from server import Answer


def error(code, status):
    """Nothing is done."""

    def fault(answer):
        return error_answer(code, status)

    fault.instead = True
    return fault


def lost(answer):
    """All was done, but the answer says nothing of it."""
    return error_answer("InternalError", 500)


def cut(size):
    return lambda answer: dataclasses.replace(answer, cut=size)


def inside(code):
    """An error that came up after the answer was begun with status 200."""
    return lambda answer: dataclasses.replace(error_answer(code, 200), status=200)


def undone(fault):
    """The same, and nothing was done."""

    def instead(answer):
        return fault(answer)

    instead.instead = True
    return instead


def header(**changes):
    return lambda answer: dataclasses.replace(answer, headers=answer.headers | {k.replace("_", "-"): v for k, v in changes.items()})


PASSING = [
    ("write", error("SlowDown", 503), SMALL), ("write", error("ConditionalRequestConflict", 409), SMALL), ("write", lost, SMALL), ("complete", lost, LARGE),
    ("part", error("SlowDown", 503), LARGE), ("part", error("BadDigest", 400), LARGE), ("create", error("ServiceUnavailable", 503), LARGE),
    ("complete", inside("InternalError"), LARGE), ("complete", cut(30), LARGE), ("complete", error("InternalError", 500), LARGE),
    ("get", error("SlowDown", 503), LARGE), ("get", cut(5000), LARGE), ("get", cut(0), SMALL),
    ("write", undone(inside("InternalError")), SMALL), ("part", undone(inside("InternalError")), LARGE), ("write", inside("SlowDown"), SMALL),
    ("write", lambda a: Answer(200, b"", {}), SMALL), ("write", cut(-1), SMALL), ("complete", cut(-1), LARGE), ("part", cut(-1), LARGE),
    ("part", error("XAmzContentSHA256Mismatch", 400), LARGE), ("write", error("IncompleteBody", 400), SMALL),
]  # fmt: skip


@pytest.mark.parametrize("operation, fault, content", PASSING, ids=[f"{o}-{n}" for n, (o, f, c) in enumerate(PASSING)])
def test_what_passes(s3, store, ring, url, operation, fault, content):
    """Once. A write that was carried out although its answer was an error, or never came, counts as one: the envelope is ours."""
    store.fault(operation, fault, after=operation == "get")
    s3("encrypt", "-k", ring, "-o", url + "x.bulla", stdin=content)
    assert s3("decrypt", "-k", ring, "-o", "-", url + "x.bulla").stdout == content
    assert store.uploads == {} and [row[2] for row in store.faults] == [0]


@pytest.mark.parametrize("operation, content", [("write", SMALL), ("copy", LARGE), ("complete", LARGE)], ids=["write", "copy", "complete"])
def test_no_answer_on_a_kept_connection(s3, store, ring, url, operation, content):
    """libcurl sends the request once more by itself: what it did the first time is still not somebody else's."""
    s3("encrypt", "-k", ring, "-o", url + "x.bulla", stdin=content)
    rotated(s3)
    store.asked.clear()
    store.fault(operation, cut(-1))
    s3("rewrap", "-k", ring, url + "x.bulla", env={"AWS_MAX_ATTEMPTS": "2"})  # of our own, where the connection is new after all
    assert store.count(operation) == 2 and store.uploads == {}
    assert s3("decrypt", "-k", ring, "-o", "-", url + "x.bulla").stdout == content


@pytest.mark.parametrize("operation", ["copy", "part", "complete"])
def test_what_passes_in_a_rewrap(s3, store, ring, url, operation):
    s3("encrypt", "-k", ring, "-o", url + "x.bulla", stdin=LARGE)
    rotated(s3)
    store.fault(operation, inside("SlowDown") if operation != "part" else error("SlowDown", 503))
    s3("rewrap", "-k", ring, url + "x.bulla")
    assert s3("decrypt", "-k", ring, "-o", "-", url + "x.bulla").stdout == LARGE and store.uploads == {}
    assert [row[2] for row in store.faults] == [0]


LASTING = [
    ("write", error("SlowDown", 503), SMALL, 6), ("part", error("InternalError", 500), LARGE, 6), ("create", error("AccessDenied", 403), LARGE, 7),
    ("part", lambda a: dataclasses.replace(a, headers={}), LARGE, 6), ("write", error("NotImplemented", 501), SMALL, 8), ("complete", error("EntityTooSmall", 400), LARGE, 7),
]  # fmt: skip


@pytest.mark.parametrize("operation, fault, content, status", LASTING, ids=[f"{o}-{n}" for n, (o, *_) in enumerate(LASTING)])
def test_what_lasts(s3, store, ring, url, operation, fault, content, status):
    """The message names the object and the request; nothing is there, and no part is left."""
    store.fault(operation, fault, times=99)
    done = s3("encrypt", "-k", ring, "-o", url + "x.bulla", stdin=content, status=status, env={"AWS_MAX_ATTEMPTS": "2"})
    assert b"s3://backups/x.bulla" in done.stderr
    assert store.objects == {} and store.uploads == {}


@pytest.mark.parametrize("how", [[], ["--force"], ["--no-condition"]], ids=["new", "force", "no-condition"])
def test_success_that_shows_nothing(s3, store, ring, url, how):
    """Any web server answers 200: only an ETag, or the object itself, shows that something was stored."""
    for operation, content, answer in [("write", SMALL, Answer(200, b"<html>hello</html>", {})), ("write", SMALL, Answer(202, b"", {})), ("part", LARGE, Answer(204, b"", {}))]:
        store.fault(operation, undone(lambda honest, answer=answer: answer), times=9)
        done = s3("encrypt", "-k", ring, *how, "-o", url + "x.bulla", stdin=content, status=6)
        assert b"'s3://backups/x.bulla': the answer has no ETag" in done.stderr
        assert store.objects == {} and store.uploads == {}


READING = [
    ("wrong range", header(Content_Range="bytes 5-8260/99999999"), 6), ("no range", header(Content_Range="none"), 6), ("no ETag", header(ETag=""), 6),
    ("all of it", lambda a: Answer(200, a.body * 2000, {"ETag": '"x"'}), 8), ("not trusted", error("AccessDenied", 403), 7),
    ("expired", error("ExpiredToken", 400), 7), ("redirect", lambda a: Answer(301, b"", {"Location": "http://127.0.0.1:1/x"}), 7),
    ("long error", lambda a: Answer(403, b"<x>" * 400_000, {}), 7),
]  # fmt: skip


@pytest.mark.parametrize("what, fault, status", READING, ids=[r[0] for r in READING])
def test_answers_that_cannot_be_believed(s3, store, ring, url, what, fault, status):
    s3("encrypt", "-k", ring, "-o", url + "x.bulla", stdin=MIDDLE)
    store.fault("get", fault, times=99)
    s3("decrypt", "-k", ring, "-o", "back", url + "x.bulla", status=status, env={"AWS_MAX_ATTEMPTS": "1"})
    assert not (s3.work / "back").exists()


def test_replaced_while_it_is_read(s3, store, ring, url):
    """What was read is of one content, or nothing comes out."""
    s3("encrypt", "-k", ring, "-o", url + "x.bulla", stdin=LARGE)
    s3("encrypt", "-k", ring, "-o", url + "y.bulla", stdin=LARGE)
    gets = iter(range(99))
    store.before = lambda operation, key: operation == "get" and next(gets) == 2 and store.objects.update({"x.bulla": store.objects["y.bulla"]})
    assert s3("decrypt", "-k", ring, "-o", "back", url + "x.bulla", status=1).stderr == b"bulla: 's3://backups/x.bulla' was replaced while it was read\n"
    assert not (s3.work / "back").exists()


def test_replaced_by_nothing_while_it_is_read(s3, store, ring, url):
    """Where the server knows no If-Match, a range that is not there tells it."""
    s3("encrypt", "-k", ring, "-o", url + "x.bulla", stdin=LARGE)
    gets = iter(range(99))
    store.before = lambda operation, key: operation == "get" and next(gets) == 1 and store.put(key, b"", etag=store.objects[key].etag)
    assert s3("verify", "-k", ring, url + "x.bulla", status=1).stderr == b"bulla: 's3://backups/x.bulla' was replaced while it was read\n"


def test_bucket_in_another_region(s3, ring, url):
    """Asked where it is, once; a region that is no name of one is not believed."""
    far = Store(region="ap-south-1")
    try:
        s3.environment |= variables(far.url)
        s3("encrypt", "-k", ring, "-o", url + "x.bulla", stdin=SMALL)
        assert [what for what, key in far.asked] == ["get", "get", "write"]
        far.region = "evil/host"
        s3("verify", "-k", ring, url + "x.bulla", status=7)
    finally:
        far.close()


LISTS = [
    ("no end", lambda a: dataclasses.replace(a, body=b"<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken></ListBucketResult>")),
    ("no token", lambda a: dataclasses.replace(a, body=b"<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>")),
    ("entities", lambda a: dataclasses.replace(a, body=b'<!DOCTYPE r [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><ListBucketResult>&b;</ListBucketResult>')),
    ("deep", lambda a: dataclasses.replace(a, body=b"<ListBucketResult>" + b"<a>" * 100_000)),
    ("foreign name", lambda a: dataclasses.replace(a, body=b"<ListBucketResult><Contents><Key>other/x.bulla</Key><Size>1</Size></Contents></ListBucketResult>")),
    ("cut", lambda a: dataclasses.replace(a, body=a.body[:-30])),
    ("another root", lambda a: dataclasses.replace(a, body=b"<html></html>")),
    ("no word of more", lambda a: dataclasses.replace(a, body=a.body.replace(b"<IsTruncated>false</IsTruncated>", b""))),
    ("an odd word of more", lambda a: dataclasses.replace(a, body=a.body.replace(b"<IsTruncated>false<", b"<IsTruncated>no<"))),
]  # fmt: skip


@pytest.mark.parametrize("what, fault", LISTS, ids=[row[0] for row in LISTS])
def test_lists_that_are_none(s3, store, ring, url, what, fault):
    s3("encrypt", "-k", ring, "-o", url + "t/x.bulla", stdin=SMALL)
    store.fault("list", fault, times=99)
    s3("verify", "-k", ring, "-r", url + "t/", status=(3, 6), env={"AWS_MAX_ATTEMPTS": "1"})


KILLED = [("rewrap", SMALL, [], 6), ("rewrap", SMALL, ["--detach"], 7), ("rewrap", LARGE, [], 12), ("reencrypt", SMALL, [], 3), ("reencrypt", LARGE, [], 3)]


@pytest.mark.parametrize("verb, content, how, requests", KILLED, ids=["small", "detached", "large", "reencrypt-small", "reencrypt-large"])
def test_killed_at_each_request(s3, store, ring, url, verb, content, how, requests):
    """The object is the old one or the new one each time, and another run does the rest."""
    s3("encrypt", "-k", ring, *how, "-o", url + "x.bulla", stdin=content)
    rotated(s3)
    before = dict(store.objects)
    for point in range(1, 99):
        store.objects, store.uploads = dict(before), {}
        asked = iter(range(1, 99))
        store.before = lambda operation, key: next(asked) == point and os.kill(process.pid, signal.SIGKILL)
        process = s3.start(verb, "-k", ring, url + "x.bulla")
        process.communicate()
        with store.lock:  # what was asked last is done by then
            store.before = lambda operation, key: None
        assert s3("decrypt", "-k", ring, "-o", "-", url + "x.bulla").stdout == content
        assert set(store.objects) == set(before) and all(o in (before[k], store.objects[k]) for k, o in store.objects.items())
        if process.returncode == 0:
            break
    assert point > requests
    s3(verb, "-k", ring, url + "x.bulla")


def test_killed_at_each_request_of_a_creation(s3, store, ring, url):
    """There is nothing, or all of it; the parts of what was killed are found by s3 abort."""
    for point in range(1, 99):
        store.objects, store.uploads = {}, {}
        asked = iter(range(1, 99))
        store.before = lambda operation, key: next(asked) == point and os.kill(process.pid, signal.SIGKILL)
        process = s3.start("encrypt", "-k", ring, "-o", url + "x.bulla")
        process.communicate(LARGE)
        with store.lock:
            store.before = lambda operation, key: None
        objects = [key for key in store.objects if "probe" not in key]
        if objects:
            assert s3("decrypt", "-k", ring, "-o", "-", url + "x.bulla").stdout == LARGE
        for upload in store.uploads.values():
            upload.begun = "2020-01-01T00:00:00Z"
        s3("s3", "abort", url)
        assert store.uploads == {}
        if process.returncode == 0:
            break
    assert point > 8 and objects == ["x.bulla"]


def test_every_answer_is_lost(s3, store, ring, url):
    """The upload is complete, and that is found out by a look: it is not told as a failure."""
    store.fault("complete", cut(0))
    s3("encrypt", "-k", ring, "-o", url + "x.bulla", stdin=LARGE, env={"AWS_MAX_ATTEMPTS": "1"})
    rotated(s3)
    store.fault("complete", cut(0))
    s3("rewrap", "-k", ring, url + "x.bulla", env={"AWS_MAX_ATTEMPTS": "1"})
    assert s3("decrypt", "-k", ring, "-o", "-", url + "x.bulla").stdout == LARGE and store.uploads == {}


def test_part_that_comes_after_the_abort(s3, store, ring, url):
    """One that was on its way survives the first abort, as S3 says: there is a second."""
    abort = store.abort
    store.abort = lambda request, key: abort(request, key) if store.count("abort") % 2 == 0 else Answer(204, b"", {})
    store.fault("part", lost, times=99)
    s3("encrypt", "-k", ring, "-o", url + "x.bulla", stdin=LARGE, status=6, env={"AWS_MAX_ATTEMPTS": "1"})
    assert store.uploads == {} and store.objects == {}


def test_conflict_at_the_end_of_a_new_upload(s3, store, ring, url):
    """S3 wants all parts again, which are gone by then: status 6, and nothing is left."""
    store.fault("complete", error("ConditionalRequestConflict", 409))
    assert b"ConditionalRequestConflict" in s3("encrypt", "-k", ring, "-o", url + "x.bulla", stdin=LARGE, status=6).stderr
    assert store.uploads == {} and store.objects == {} and store.count("complete") == 1


@pytest.mark.parametrize("refusals", [0, 2])
def test_interrupted_upload_leaves_nothing(s3, store, ring, url, refusals):
    """An abort that is asked to slow down is sent again, and one that was done is not told to have failed. A second signal would not wait."""
    store.fault("abort", error("SlowDown", 503), times=refusals)
    process = s3.start("encrypt", "-k", ring, "-o", url + "x.bulla")
    signals = iter([signal.SIGTERM])
    store.before = lambda operation, key: operation == "part" and "probe" not in key and [process.send_signal(s) for s in signals]
    out, err = s3.finish(process, random.Random(3).randbytes(30 * MIB), status=130)
    assert err == b"bulla: interrupted\n" and store.objects == {} and store.uploads == {} and [row[2] for row in store.faults] == [0]


@pytest.mark.parametrize("code, http", [("AccessDenied", 403), ("SlowDown", 503)])
def test_parts_that_cannot_be_dropped_are_told(s3, store, ring, url, code, http):
    store.fault("part", error("AccessDenied", 403), after=1, times=9)
    store.fault("abort", error(code, http), times=2)
    done = s3("encrypt", "-k", ring, "-o", url + "x.bulla", stdin=LARGE, status=7, env={"AWS_MAX_ATTEMPTS": "1"})
    assert b"'s3://backups/x.bulla': s3:AbortMultipartUpload: " + code.encode() in done.stderr and b"'bulla s3 abort' drops them" in done.stderr
    assert len(store.uploads) == 1
    s3("s3", "abort", "--older-than", "1h", url)
    store.faults.clear()
    store.fault("part", error("AccessDenied", 403), times=9)
    assert b"s3 abort" not in s3("encrypt", "-k", ring, "-o", url + "x.bulla", stdin=LARGE, status=7).stderr and store.uploads == {}


def test_source_that_changes(s3, store, ring, url):
    """Nothing appears of a file that somebody wrote to meanwhile; more of it is read only when a part is acknowledged."""
    plain = s3.work / "plain"
    plain.write_bytes(bytes(30 * MIB))
    store.before = lambda operation, key: operation == "part" and os.utime(plain, (1, 1))
    assert b"changed while it was read" in s3("encrypt", "-k", ring, "-o", url + "x.bulla", "plain", status=1).stderr
    assert store.objects == {} and store.uploads == {}


@pytest.mark.parametrize("status", [200, 403])
def test_answers_that_repeat_a_secret(s3, store, ring, url, status):
    """Nothing of a session's token is printed, whatever part of an answer has it, also where an error comes with status 200."""
    token = "T0ken" * 12

    def told(answer):
        return Answer(status, document("Error", f"<Code>{token}</Code><Message>{token}</Message>"), {})

    told.instead = True
    store.request_id = lambda: token
    store.fault("complete", told, times=99)
    done = s3("encrypt", "-k", ring, "--verbose", "-o", url + "x.bulla", stdin=LARGE, env={"AWS_SESSION_TOKEN": token, "AWS_MAX_ATTEMPTS": "1"}, status=(6, 7))
    assert b"s3:CompleteMultipartUpload" in done.stderr and b"T0kenT0k" not in done.stdout + done.stderr and store.uploads == {}


def test_wrong_secret(s3, store, ring, url):
    s3("encrypt", "-k", ring, "-o", url + "x.bulla", stdin=SMALL, status=7, env={"AWS_SECRET_ACCESS_KEY": "wrong"})
    assert store.objects == {}


@pytest.mark.parametrize("content, operation, after", [(SMALL, "write", 1), (LARGE, "complete", 0)], ids=["small", "large"])
@pytest.mark.parametrize("came", [True, False])
def test_detached_body_whose_answer_is_lost(s3, store, ring, url, content, operation, after, came):
    """Its envelope goes only where the body did not come, or it would open for nobody."""
    store.fault(operation, lost if came else error("InternalError", 500), times=99, after=after)
    found = came and operation == "complete"  # as the upload is looked for
    s3("encrypt", "-k", ring, "--detach", "-o", url + "x.bulla", stdin=content, env={"AWS_MAX_ATTEMPTS": "1"}, status=0 if found else 6)
    assert sorted(store.objects) == (["x.bulla", "x.bulla.env"] if came else []) and store.uploads == {}
    store.faults.clear()
    if came:
        assert s3("decrypt", "-k", ring, "-o", "-", url + "x.bulla").stdout == content


PEAK = """
import resource, subprocess, sys
status = subprocess.run(sys.argv[2:]).returncode
open(sys.argv[1], "w").write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))
sys.exit(status)
"""


@pytest.mark.plain
def test_memory(s3, store, ring, url):
    """Of 100 MiB, no more is held than 32 MiB beyond what a few bytes take, up and down."""

    def peak(*words, **how):
        done = s3(*words, under=["/usr/bin/python3", "-S", "-c", PEAK, str(s3.home / "peak")], **how)
        return int((s3.home / "peak").read_text()) // 1024, done.stdout

    large = bytes(100 * MIB)
    base, _ = peak("encrypt", "-k", ring, "-o", url + "a.bulla", stdin=SMALL)
    up, _ = peak("encrypt", "-k", ring, "-o", url + "b.bulla", stdin=large)
    down, out = peak("decrypt", "-k", ring, "-o", "-", url + "b.bulla")
    assert out == large and up - base < 32 and down - base < 32, (base, up, down)


@pytest.mark.parametrize("code, http, status", [("NotImplemented", 501, 8), ("MethodNotAllowed", 405, 7)])
def test_server_that_copies_no_parts(s3, store, ring, url, code, http, status):
    """Said by name; the object is what it was, and no upload is left."""
    s3("encrypt", "-k", ring, "-o", url + "x.bulla", stdin=LARGE)
    rotated(s3)
    before = store.objects["x.bulla"]
    store.fault("copy", error(code, http), times=99)
    done = s3("rewrap", "-k", ring, url + "x.bulla", status=status, env={"AWS_MAX_ATTEMPTS": "2"})
    assert b"s3:UploadPartCopy: " + code.encode() in done.stderr and store.objects == {"x.bulla": before} and store.uploads == {}


def test_empty_pages(s3, store, ring, url):
    """A page without entries is not the end of a list, and a token is whatever the server says."""
    s3("encrypt", "-k", ring, "-o", url + "t/x.bulla", stdin=SMALL)
    good, token = store.list, "a+/=&<>\" %2F"

    def empty(request, key):
        if "continuation-token" not in request.query:
            return Answer(200, document("ListBucketResult", f"<IsTruncated>true</IsTruncated><NextContinuationToken>{escape(token)}</NextContinuationToken>"), {})
        assert request.query.pop("continuation-token") == token
        return good(request, key)

    store.list = empty
    assert b"1 verified" in s3("verify", "-k", ring, "-r", url + "t/").stderr and store.count("list") == 2


def test_credentials_that_expire_in_the_middle(s3, store, ring, url):
    """They are got anew, once, and the request goes on with them."""
    printed = {"Version": 1, "AccessKeyId": KEY_ID, "SecretAccessKey": SECRET, "SessionToken": "t", "Expiration": "2999-01-01T00:00:00Z"}
    script = s3.home / "print"
    script.write_text(f"#!/bin/sh\necho x >> {s3.home}/runs\ncat <<'E'\n{json.dumps(printed)}\nE\n")
    script.chmod(0o700)
    (s3.home / "config").write_text(f"[default]\ncredential_process = {script}\n")
    (s3.home / "config").chmod(0o600)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        del s3.environment[name]
    s3.environment["AWS_CONFIG_FILE"] = str(s3.home / "config")
    store.fault("part", error("ExpiredToken", 400), after=1)
    s3("encrypt", "-k", ring, "-o", url + "x.bulla", stdin=LARGE)
    assert (s3.home / "runs").read_text() == "x\n" * 2
    assert s3("decrypt", "-k", ring, "-o", "-", url + "x.bulla").stdout == LARGE
