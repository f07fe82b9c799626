"""What new objects get besides their bytes, how streams are cut into parts, and what servers make of requests."""

import json
import os
import random
import time

import pytest
from program import SANITIZED
from store import error_answer
from test_s3_faults import PEAK, error
from test_s3_verbs import LARGE, MIB, SMALL, rotated


@pytest.mark.parametrize("content", [SMALL, LARGE], ids=["small", "large"])
def test_options_of_new_objects(s3, store, ring, url, content):
    """All of them, by a PUT and by parts; the envelope beside a body has all but the class."""
    words = ["--storage-class", "DEEP_ARCHIVE", "--sse-kms-key", "alias/backup", "--acl", "bucket-owner-full-control", "--tag", "team=a b/c&d", "--tag", "x=",
             "--metadata", "origin=db 1", "--metadata", "host=h", "--metadata", "none="]  # fmt: skip
    s3("encrypt", "-k", ring, *words, "--detach", "-o", url + "x.bulla", stdin=content)
    body, envelope = store.objects["x.bulla"], store.objects["x.bulla.env"]
    expected = {"content-type": "application/octet-stream", "x-amz-server-side-encryption": "aws:kms", "x-amz-server-side-encryption-aws-kms-key-id": "alias/backup",
                "x-amz-acl": "bucket-owner-full-control", "x-amz-meta-origin": "db 1", "x-amz-meta-host": "h", "x-amz-meta-none": ""}  # fmt: skip
    assert envelope.headers == expected | {"x-amz-meta-bulla-envelope": "apart"} and body.headers == expected | {"x-amz-storage-class": "DEEP_ARCHIVE"}
    assert body.tags == envelope.tags == "team=a%20b%2Fc%26d&x="


WRONG = [
    (["--storage-class", "A B"], b"--storage-class"), (["--acl", "x\ny"], b"--acl"), (["--tag", "x"], b"NAME=VALUE"), (["--tag", "=x"], b"NAME=VALUE"),
    (["--tag", "n" * 129 + "="], b"at most 128 bytes"), (["--tag", "n=" + "v" * 257], b"a value 256"), ([w for n in range(11) for w in ("--tag", f"{n}=")], b"at most 10 tags"),
    (["--metadata", "Upper=x"], b"lower case"), (["--metadata", "a=\r\nx-amz-acl: public-read"], b"printable"), (["--metadata", "a=" + "v" * 2048], b"at most 2048 bytes"),
    (["--metadata", "x"], b"NAME=VALUE"), (["--sse-kms-key", ""], b"--sse-kms-key"),
]  # fmt: skip


@pytest.mark.parametrize("words, message", WRONG, ids=range(len(WRONG)))
def test_options_that_no_object_can_have(s3, store, ring, url, words, message):
    assert message in s3("encrypt", "-k", ring, *words, "-o", url + "x.bulla", stdin=SMALL, status=2).stderr
    assert store.objects == {}


def test_options_of_objects_need_one(s3, ring):
    assert b"need an object for -o" in s3("encrypt", "-k", ring, "--storage-class", "STANDARD_IA", "-o", "x.bulla", stdin=SMALL, status=2).stderr
    assert not list(s3.work.iterdir())


def test_mode_and_time_come_back(s3, store, ring, url):
    """By rclone's names. What others may read is never more than the umask lets them."""
    plain = s3.work / "plain"
    plain.write_bytes(SMALL)
    plain.chmod(0o750)
    os.utime(plain, ns=(1_700_000_000_123456789, 1_700_000_000_123456789))
    s3("encrypt", "-k", ring, "-o", url + "x.bulla", "plain")
    headers = store.objects["x.bulla"].headers
    assert headers["x-amz-meta-mtime"] == "1700000000.123456789" and headers["x-amz-meta-mode"] == "100750"
    s3("decrypt", "-k", ring, "-o", "back", url + "x.bulla")
    st = (s3.work / "back").stat()
    assert st.st_mtime_ns == 1_700_000_000_123456789 and st.st_mode & 0o777 == 0o750 & ~s3_umask()
    headers |= {"x-amz-meta-mode": "104777", "x-amz-meta-mtime": "1.5"}
    s3("decrypt", "-k", ring, "-o", "wide", url + "x.bulla")
    st = (s3.work / "wide").stat()
    assert st.st_mode & 0o7777 == 0o777 & ~s3_umask() and st.st_mtime_ns == 1_500_000_000
    for mtime in ("", "-5", "x", "1e9", "99999999999999999999", "1700000000.1x"):
        headers["x-amz-meta-mtime"] = mtime
        s3("decrypt", "-k", ring, "--force", "-o", "odd", url + "x.bulla")


def s3_umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def whole(parts):
    return b"".join(body for _, body in sorted({number: body for number, body in parts}.items()))


@pytest.mark.parametrize("size, part", [(1, 5), (52_000_000_000, 5), (53_000_000_000, 10), (150_000_000_000, 20), (250_000_000_000, 40)])
def test_expected_size(s3, store, ring, url, size, part):
    """Parts of a size by which 10,000 of them hold it; beyond what memory holds, from a file without a name."""
    content = random.Random(5).randbytes(45 * MIB)
    s3("encrypt", "-k", ring, "--expected-size", str(size), "-o", url + "x.bulla", stdin=content, env={"TMPDIR": str(s3.home)})
    assert max(len(body) for _, body in store.sent) == min(part * MIB, len(store.objects["x.bulla"].body))
    assert s3("decrypt", "-k", ring, "-o", "-", url + "x.bulla").stdout == content
    assert not [name for name in os.listdir(s3.home) if name.startswith("bulla-")]


def test_sizes_that_no_object_has(s3, store, ring, url):
    s3("encrypt", "-k", ring, "--expected-size", str(10_001 * 5 << 30), "-o", url + "x.bulla", stdin=SMALL, status=1)
    assert store.objects == {}
    nowhere = s3("encrypt", "-k", ring, "--expected-size", str(1 << 40), "-o", url + "x.bulla", stdin=SMALL, status=1, env={"TMPDIR": "/nonexistent"})
    assert b"TMPDIR names another directory" in nowhere.stderr and store.objects == {}


@pytest.mark.parametrize("size", [1, 250_000_000_000], ids=["memory", "file"])
def test_parts_that_are_sent_again_are_the_same(s3, store, ring, url, size):
    """Nothing is sealed twice: what the server did not take comes again, byte for byte."""
    store.fault("part", error("InternalError", 500), times=3)
    content = random.Random(6).randbytes(21 * MIB)
    s3("encrypt", "-k", ring, "--expected-size", str(size), "-o", url + "x.bulla", stdin=content)
    first = {}
    for number, body in store.sent:
        assert first.setdefault(number, body) == body
    assert len(store.sent) == len(first) + 3 and whole(store.sent) == store.objects["x.bulla"].body


@pytest.mark.skipif(SANITIZED, reason="the sanitizers take memory of their own")
def test_memory_of_large_parts(s3, store, ring, url):
    """What does not fit is in a file, hashed and sent piece by piece; a new body is made while the old one is read."""

    def peak(*words, **how):
        s3(*words, under=["/usr/bin/python3", "-S", "-c", PEAK, str(s3.home / "peak")], **how)
        return int((s3.home / "peak").read_text()) // 1024

    base = peak("encrypt", "-k", ring, "-o", url + "a.bulla", stdin=SMALL)
    large = peak("encrypt", "-k", ring, "--expected-size", "250000000000", "-o", url + "b.bulla", stdin=bytes(100 * MIB))
    again = peak("reencrypt", "-k", ring, url + "b.bulla")
    assert large - base < 32 and again - base < 32, (base, large, again)


def test_wrong_clock(s3, store, ring, url):
    """Learnt once from the server's Date, for the whole run; a server without one is believed nothing."""
    store.ahead = -7200
    s3("encrypt", "-k", ring, "-o", url + "x.bulla", stdin=LARGE)
    assert [what for what, key in store.asked][:3] == ["get", "get", "create"] and store.count("create") == 1
    store.ahead = 0
    store.fault("get", error("RequestTimeTooSkewed", 403), times=9)
    assert b"set the clock" in s3("verify", "-k", ring, url + "x.bulla", status=7).stderr
    assert [row[2] for row in store.faults] == [7], "one more try, and no further one"


def test_slow_down_is_for_all(s3, store, ring, url):
    """A refusal of one part holds back the others too, and all of them come."""
    store.fault("part", error("SlowDown", 503), times=4)
    s3("encrypt", "-k", ring, "-o", url + "x.bulla", stdin=random.Random(7).randbytes(30 * MIB))
    assert store.uploads == {} and [row[2] for row in store.faults] == [0]


def test_requester_pays(s3, store, ring, url):
    store.payer = True
    assert b"AccessDenied" in s3("encrypt", "-k", ring, "-o", url + "x.bulla", stdin=SMALL, status=7).stderr
    s3("encrypt", "-k", ring, "--requester-pays", "-o", url + "x.bulla", stdin=LARGE)
    assert s3("decrypt", "-k", ring, "--requester-pays", "-o", "-", url + "x.bulla").stdout == LARGE
    s3("verify", "-k", ring, "--requester-pays", "-r", url)


def test_bandwidth(s3, store, ring, url):
    """No more a second than was said, over all requests, up and down."""
    content = random.Random(8).randbytes(3 * MIB)
    for words, stdin in ((["encrypt", "-o", url + "x.bulla"], content), (["verify", url + "x.bulla"], None)):
        begin = time.monotonic()
        s3(words[0], "-k", ring, "--bandwidth", "4096", *words[1:], stdin=stdin)
        assert time.monotonic() - begin > 0.5
    assert s3("decrypt", "-k", ring, "--bandwidth", "1000000", "-o", "-", url + "x.bulla").stdout == content


def test_answer_without_a_date(s3, store, ring, url):
    """Nothing is learnt of it."""

    def refuse(answer):
        refused = error_answer("RequestTimeTooSkewed", 403)
        refused.headers["Date"] = "yesterday"
        return refused

    store.fault("get", refuse)
    assert b"set the clock" in s3("verify", "-k", ring, url + "x.bulla", status=7).stderr


@pytest.mark.skipif(SANITIZED, reason="the sanitizers take memory of their own")
def test_memory_of_many(s3, store, ring, url):
    """64 at once share what one may take: many small objects, and large ones among them, up and down."""

    def peak(*words):
        s3(*words, under=["/usr/bin/python3", "-S", "-c", PEAK, str(s3.home / "peak")])
        return int((s3.home / "peak").read_text()) // 1024

    (s3.work / "data").mkdir()
    for number in range(200):
        (s3.work / f"data/{number}").write_bytes(bytes(300_000 if number % 4 == 0 else 2_000))
    for number in range(3):
        (s3.work / f"data/large{number}").write_bytes(bytes(21 * MIB))
    (s3.work / "back").mkdir()
    base = peak("encrypt", "-k", ring, "-j1", "-o", url + "a.bulla", "data/1")
    up = peak("encrypt", "-k", ring, "-r", "-o", url + "t/", "data")
    looked = peak("verify", "-k", ring, "-r", url + "t/")
    down = peak("decrypt", "-k", ring, "-r", "-o", "back", url + "t/")
    rotated(s3)
    moved = peak("rewrap", "-k", ring, "-r", url + "t/")
    assert len(list((s3.work / "back").iterdir())) == 203 and max(up, looked, down, moved) - base < 32, (base, up, looked, down, moved)
    assert store.connections > 8


def test_progress(s3, store, ring, url):
    """Of an object too: how much of how much."""
    s3("encrypt", "-k", ring, "-o", url + "x.bulla", stdin=LARGE)
    done = s3("decrypt", "-k", ring, "--progress=json", "--bandwidth", "4096", "-o", "back", url + "x.bulla")
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    size = len(store.objects["x.bulla"].body)
    assert lines and all(line["size"] == size and line["bytes"] <= size for line in lines), lines
