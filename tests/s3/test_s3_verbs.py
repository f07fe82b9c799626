"""Every verb that takes s3://BUCKET/KEY, against the stand-in: what comes out, what is asked, what is left behind."""

import dataclasses
import json
import random

import pytest
from program import reports
from store import error_answer

MIB = 1 << 20
SMALL = b"a few bytes\n"
MIDDLE = random.Random(1).randbytes(3 * MIB + 5)
LARGE = random.Random(2).randbytes(11 * MIB + 77)


@pytest.mark.parametrize("content", [b"", SMALL, MIDDLE, LARGE], ids=["empty", "small", "middle", "large"])
@pytest.mark.parametrize("by", ["file", "pipe"])
def test_there_and_back(s3, store, ring, url, content, by):
    """One PUT, or parts of 5 MiB of which nothing is left; ranged GETs held to one ETag on the way back."""
    (s3.work / "plain").write_bytes(content)
    s3("encrypt", "-k", ring, "-o", url + "a/b.bulla", *(["plain"] if by == "file" else []), stdin=content)
    assert list(store.objects) == ["a/b.bulla"] and store.uploads == {}
    assert store.count("create") == (len(content) > 5 * MIB) and store.count("write") == (len(content) < 5 * MIB)
    assert s3("decrypt", "-k", ring, "-o", "-", url + "a/b.bulla").stdout == content
    s3("decrypt", "-k", ring, "-o", "back", url + "a/b.bulla")
    assert (s3.work / "back").read_bytes() == content
    s3("verify", "-k", ring, url + "a/b.bulla")


def test_one_request_to_inspect(s3, store, ring, url):
    s3("encrypt", "-k", ring, "--name", "nightly", "-o", url + "x.bulla", stdin=MIDDLE)
    store.asked.clear()
    (shown,) = s3.inspect(url + "x.bulla")
    assert (shown["file"], shown["name"], shown["bytes"], shown["envelope"]) == (url + "x.bulla", "nightly", len(MIDDLE), "inside")
    assert store.asked == [("get", "x.bulla")]
    (plain,) = s3("status", "--json", url + "x.bulla").stdout.splitlines()[:1]
    assert json.loads(plain)["file"] == url + "x.bulla" and store.count() == 2


def test_connections_are_kept(s3, store, ring, url):
    """One for each thread that sends, not one for each request."""
    for number in range(6):
        s3("encrypt", "-k", ring, "-o", f"{url}t/{number}.bulla", stdin=SMALL)
    store.asked.clear()
    store.connections = 0
    s3("verify", "-k", ring, "-r", "-j1", url + "t/")
    assert store.count() == 7 and store.connections == 1


def test_parts_are_read_only_as_needed(s3, store, ring, url):
    s3("encrypt", "-k", ring, "-o", url + "x.bulla", stdin=LARGE)
    store.moved.clear()
    assert s3("decrypt", "-k", ring, "--offset", "7000000", "--length", "100", "-o", "-", url + "x.bulla").stdout == LARGE[7000000:7000100]
    assert store.moved["down"] < 100_000


def test_detached(s3, store, ring, url):
    s3("encrypt", "-k", ring, "--detach", "-o", url + "x.bulla", stdin=SMALL)
    assert sorted(store.objects) == ["x.bulla", "x.bulla.env"] and len(store.objects["x.bulla.env"].body) == 8192
    assert s3("decrypt", "-k", ring, "-o", "-", url + "x.bulla").stdout == SMALL
    s3("verify", "-k", ring, url + "x.bulla")
    (shown,) = s3.inspect(url + "x.bulla")
    assert shown["envelope"] == "separate" and shown["bytes"] == len(SMALL)
    s3("encrypt", "-k", ring, "--detach", "--force", "-o", url + "x.bulla", stdin=SMALL, status=9)


def test_exists(s3, store, ring, url):
    """9 before anything is read; nothing is replaced without --force."""
    store.put("x.bulla", b"old")
    assert b"'s3://backups/x.bulla' already exists" in s3("encrypt", "-k", ring, "-o", url + "x.bulla", stdin=SMALL, status=9).stderr
    assert store.objects["x.bulla"].body == b"old" and store.count() == 1
    s3("encrypt", "-k", ring, "--force", "-o", url + "x.bulla", stdin=SMALL)
    assert s3("decrypt", "-k", ring, "-o", "-", url + "x.bulla").stdout == SMALL


def test_exists_where_nobody_may_look(s3, store, ring, url):
    """The condition finds out, at the end; without one, nothing is written that --force was not given for."""
    store.put("x.bulla", b"theirs")
    store.allowed = {"write"}
    s3("encrypt", "-k", ring, "-o", url + "x.bulla", stdin=SMALL, status=9)
    done = s3("encrypt", "-k", ring, "--no-condition", "-o", url + "x.bulla", stdin=SMALL, status=7)
    assert b"AccessDenied" in done.stderr and b"--force does without it" in done.stderr
    assert store.objects["x.bulla"].body == b"theirs"
    s3("encrypt", "-k", ring, "--no-condition", "--force", "-o", url + "x.bulla", stdin=SMALL)
    assert store.objects["x.bulla"].body.startswith(b"bulla")


@pytest.mark.parametrize("content", [SMALL, LARGE], ids=["small", "large"])
def test_lost_creation(s3, store, ring, url, content):
    """Somebody else was first, after the look: theirs stays, and no part is left."""
    store.before = lambda operation, key: operation in ("write", "complete") and store.put(key, b"theirs")
    s3("encrypt", "-k", ring, "-o", url + "x.bulla", stdin=content, status=9)
    assert store.objects["x.bulla"].body == b"theirs" and store.uploads == {}


def rotated(s3):
    """A keyring with two versions of its key, of which the first is what was sealed to."""
    ring = s3.keys / "backup.ring"
    s3("key", "rotate", "-q", ring)
    return ring


def needs(s3, ring, *what):
    done = s3("status", "--needs", f"{ring}#backup:1", *what, status=(0, 7))
    return done.returncode == 7


@pytest.mark.parametrize("options", [[], ["--detach"]], ids=["inside", "detached"])
@pytest.mark.parametrize("content", [SMALL, MIDDLE, LARGE], ids=["small", "middle", "large"])
def test_rewrap(s3, store, ring, url, content, options):
    """Only the envelope and at most 5 MiB move; metadata, tags and class stay; the second time is one request."""
    s3("encrypt", "-k", ring, *options, "-o", url + "x.bulla", stdin=content)
    target = "x.bulla.env" if options else "x.bulla"
    store.objects[target].headers |= {"content-type": "text/x", "x-amz-meta-mtime": "1.5", "x-amz-meta-none": "", "x-amz-storage-class": "STANDARD_IA", "cache-control": "no-store"}
    store.objects[target].tags = "a%20b=c%2Fd&e=f"
    before, body = dict(store.objects[target].headers), store.objects["x.bulla"].body
    rotated(s3)
    assert needs(s3, ring, url + "x.bulla")
    store.moved.clear()
    s3("rewrap", "-k", ring, url + "x.bulla")
    assert store.objects[target].headers == before and store.objects[target].tags == "a%20b=c%2Fd&e=f"
    assert store.moved["up"] < min(len(body), 5 * MIB) + 65536 and store.moved["down"] < min(len(body), 5 * MIB) + 65536
    assert store.objects["x.bulla"].body[8192 if content != SMALL and not options else 2048 :][100:] == body[8192 if content != SMALL and not options else 2048 :][100:]
    assert s3("decrypt", "-k", ring, "-o", "-", url + "x.bulla").stdout == content
    assert not needs(s3, ring, url + "x.bulla") and store.uploads == {}
    store.asked.clear()
    s3("rewrap", "-k", ring, url + target)
    assert store.count() == 1


@pytest.mark.parametrize("tags", [b"", b"<Tag><Value>v</Value></Tag>", b"<Tag><Key>k</Key></Tag>", b"<Tag><Key>k</Key><Value>" + b"v" * 1025 + b"</Value></Tag>"], ids=["none", "no key", "no value", "long"])
def test_tags_that_cannot_be_read(s3, store, ring, url, tags):
    """An object that has tags is not put anew without all of them."""
    s3("encrypt", "-k", ring, "-o", url + "x.bulla", stdin=SMALL)
    store.objects["x.bulla"].tags = "k=v"
    before = store.objects["x.bulla"]
    rotated(s3)
    store.fault("tagging", lambda answer: dataclasses.replace(answer, body=b"<Tagging><TagSet>" + tags + b"</TagSet></Tagging>"), times=99)
    assert b"'s3://backups/x.bulla': " in s3("rewrap", "-k", ring, url + "x.bulla", status=6).stderr
    assert store.objects == {"x.bulla": before}


def test_more_metadata_than_is_read(s3, store, ring, url):
    """What comes after the limit of headers is not lost in silence."""
    s3("encrypt", "-k", ring, "-o", url + "x.bulla", stdin=SMALL)
    rotated(s3)
    good = store.get
    many = {f"x-amz-meta-n{n:02}": "v" * 1000 for n in range(40)}
    store.get = lambda request, key: dataclasses.replace(good(request, key), headers=good(request, key).headers | many)
    before = store.objects["x.bulla"]
    assert b"or its headers than 32768" in s3("rewrap", "-k", ring, url + "x.bulla", status=7).stderr
    assert store.objects == {"x.bulla": before}


def test_requests_of_a_detached_rewrap(s3, store, ring, url):
    """GET and PUT, once the server showed that it heeds conditions."""
    for name in "abc":
        s3("encrypt", "-k", ring, "--detach", "-o", f"{url}{name}.bulla", stdin=SMALL)
    rotated(s3)
    store.asked.clear()
    store.probes.clear()
    s3("rewrap", "-k", ring, "-j1", *(f"{url}{name}.bulla.env" for name in "abc"))
    assert [what for what, key in store.asked] == ["get", "tagging", "locking", "ownership", "write"] + ["get", "write"] * 2
    assert store.probes[-1:] == store.probes and not any("probe" in key for key in store.objects)


@pytest.mark.parametrize("content, operation", [(SMALL, "write"), (LARGE, "complete")], ids=["small", "large"])
def test_rewrap_that_loses(s3, store, ring, url, content, operation):
    """Somebody replaced or removed the object meanwhile: status 6, their work stays, nothing is resurrected."""
    s3("encrypt", "-k", ring, "-o", url + "x.bulla", stdin=content)
    rotated(s3)
    store.before = lambda what, key: what == operation and key == "x.bulla" and store.put(key, b"theirs")
    assert b"was replaced by somebody else meanwhile" in s3("rewrap", "-k", ring, url + "x.bulla", status=6).stderr
    assert store.objects["x.bulla"].body == b"theirs" and store.uploads == {}
    store.put("y.bulla", b"")
    s3("encrypt", "-k", ring, "--force", "-o", url + "y.bulla", stdin=content)
    rotated(s3)
    store.before = lambda what, key: what == operation and key == "y.bulla" and store.objects.pop(key, None)
    assert b"was removed by somebody else meanwhile" in s3("rewrap", "-k", ring, url + "y.bulla", status=6).stderr
    assert "y.bulla" not in store.objects and store.uploads == {}


@pytest.mark.parametrize("content", [SMALL, LARGE], ids=["small", "large"])
def test_server_that_ignores_conditions_of_creation(s3, store, ring, url, content):
    """Found out before anything of ours is there; the user may say that nobody else writes."""
    store.heeds = False
    assert b"does not heed conditions" in s3("encrypt", "-k", ring, "-o", url + "x.bulla", stdin=content, status=7).stderr
    assert store.objects == {} and store.uploads == {}
    s3("encrypt", "-k", ring, "--no-condition", "-o", url + "x.bulla", stdin=content)
    s3("encrypt", "-k", ring, "--no-condition", "-o", url + "x.bulla", stdin=content, status=9)
    s3("encrypt", "-k", ring, "--force", "-o", url + "x.bulla", stdin=content)
    rotated(s3)
    s3("rewrap", "-k", ring, "--no-condition", url + "x.bulla")
    s3("reencrypt", "-k", ring, "--no-condition", url + "x.bulla")
    assert s3("decrypt", "-k", ring, "-o", "-", url + "x.bulla").stdout == content and store.uploads == {}


@pytest.mark.parametrize("content", [SMALL, LARGE], ids=["small", "large"])
def test_server_that_ignores_conditions(s3, store, ring, url, content):
    s3("encrypt", "-k", ring, "-o", url + "x.bulla", stdin=content)
    rotated(s3)
    store.heeds, before = False, store.objects["x.bulla"].body
    assert b"does not heed conditions" in s3("rewrap", "-k", ring, url + "x.bulla", status=7).stderr
    assert list(store.objects) == ["x.bulla"] and store.objects["x.bulla"].body == before and store.uploads == {}


NAMES = ["plain", "with blank+plus", "per%20cent", "é/ü", "a//b", "./dot", "x/../y", "-x", "q?&=#", "~*()'!"]


@pytest.mark.parametrize("encodes", [True, False])
def test_tree(s3, store, ring, url, encodes):
    """A tree goes up, is listed page by page whatever the names, and comes back."""
    store.encodes, store.page = encodes, 3
    for number, name in enumerate(NAMES):
        s3("encrypt", "-k", ring, *(["--detach"] if number % 3 == 0 else []), "-o", f"{url}t/{name}.bulla", stdin=name.encode())
    store.put("t/directory/", b"")
    store.put("t/notes.txt", b"no sealed file")
    store.put("other/x.bulla", b"not below the prefix")
    done = s3("verify", "-k", ring, "-r", "--json", url + "t/")
    assert {line["file"] for line in reports(done)} == {f"{url}t/{name}.bulla" for name in NAMES}
    rotated(s3)
    s3("rewrap", "-k", ring, "-r", url + "t/")
    assert not needs(s3, ring, "-r", url + "t/")


def test_tree_comes_back_as_tree(s3, store, ring, url):
    tree = s3.work / "data"
    for name in ("a", "d/b", "d/e/c"):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(name)
    s3("encrypt", "-k", ring, "-r", "-o", url + "up/", "data")
    assert sorted(store.objects) == ["up/a.bulla", "up/d/b.bulla", "up/d/e/c.bulla"]
    (s3.work / "back").mkdir()
    s3("decrypt", "-k", ring, "-r", "-o", "back", url + "up/")
    assert {str(p.relative_to(s3.work / "back")): p.read_text() for p in (s3.work / "back").rglob("*") if p.is_file()} == {
        name: name for name in ("a", "d/b", "d/e/c")}


@pytest.mark.parametrize("name", ["../out", "a/../../out", "/abs", "a//b"])
def test_names_that_lead_out(s3, store, ring, url, name):
    s3("encrypt", "-k", ring, "-o", f"{url}t/{name}.bulla", stdin=SMALL)
    (s3.work / "back").mkdir()
    s3("decrypt", "-k", ring, "-r", "-o", "back", url + "t/", status=3)
    assert not [p for p in s3.work.rglob("*") if p.is_file()]


def test_exported_envelope(s3, store, ring, url):
    """It takes the keys that the object had: status counts it, and a rewrap says that it stays."""
    s3("encrypt", "-k", ring, "-o", url + "t/x.bulla", stdin=MIDDLE)
    store.put("t/x.bulla.env", store.objects["t/x.bulla"].body[:8192])
    rotated(s3)
    assert b"'s3://backups/t/x.bulla.env' is an exported envelope that still has the old slots" in s3("rewrap", "-k", ring, "-r", url + "t/", status=3).stderr
    assert needs(s3, ring, "-r", url + "t/") and not needs(s3, ring, url + "t/x.bulla")
    refused = error_answer("AccessDenied", 403)
    good, store.get = store.get, lambda request, key: refused if key.endswith(".env") else good(request, key)
    assert b"'s3://backups/t/x.bulla.env' cannot be read: it may be an exported envelope" in s3("rewrap", "-k", ring, "-r", url + "t/", status=3).stderr
    store.get = good
    del store.objects["t/x.bulla.env"]
    assert not needs(s3, ring, "-r", url + "t/")


def test_sealed_by_another_name(s3, store, ring, url):
    """What is sealed is found by its bytes; the others are looked at by one request each, and left."""
    s3("encrypt", "-k", ring, "-o", url + "t/backup", stdin=MIDDLE)
    store.put("t/notes", bytes(5000))
    store.put("t/short", b"x")
    store.asked.clear()
    assert len(reports(s3("verify", "-k", ring, "-r", "--json", url + "t/"))) == 1
    assert [key for what, key in store.asked if what == "get"].count("t/notes") == 1 and ("get", "t/short") not in store.asked
    rotated(s3)
    assert needs(s3, ring, "-r", url + "t/")
    (s3.work / "back").mkdir()
    assert b"its name does not end in .bulla" in s3("decrypt", "-k", ring, "-r", "-o", "back", url + "t/", status=3).stderr


def test_shares(s3, store, ring, url):
    """Two runs have all objects between them."""
    for number in range(8):
        s3("encrypt", "-k", ring, "-o", f"{url}t/{number}.bulla", stdin=SMALL)
    done = [{line["file"] for line in reports(s3("verify", "-k", ring, "-r", "--json", "--shard", f"{n}/2", url + "t/"))} for n in (1, 2)]
    assert len(done[0] | done[1]) == 8 and not done[0] & done[1]


def test_archived_objects_are_told(s3, store, ring, url):
    """They are not looked at, so nothing is proved of them."""
    s3("encrypt", "-k", ring, "-o", url + "t/a.bulla", stdin=SMALL)
    s3("encrypt", "-k", ring, "-o", url + "t/b.bulla", stdin=SMALL)
    store.objects["t/b.bulla"].headers["x-amz-storage-class"] = "DEEP_ARCHIVE"
    assert b"archived" in s3("rewrap", "-k", ring, "-r", url + "t/", status=3).stderr
    assert b"restore" in s3("verify", "-k", ring, url + "t/b.bulla", status=7).stderr


REFUSED = [
    (["encrypt", "-k", "RING", "s3://backups/x"], 2, b"plaintext is not read from a bucket"),
    (["decrypt", "-k", "RING", "s3://backups/x.bulla"], 2, b"-o does not say"),
    (["decrypt", "-k", "RING", "-o", "s3://backups/y", "s3://backups/x.bulla"], 2, b"plaintext is not put into a bucket"),
    (["verify", "-k", "RING", "s3://backups/t/"], 1, b"is a prefix"),
    (["verify", "-k", "RING", "s3://arn:aws:s3:eu-west-1:1:accesspoint/x"], 2, b"not the ARN of an access point"),
    (["verify", "-k", "RING", "s3://UPPER/x"], 2, b"not the name of a bucket"),
    (["verify", "-k", "RING", "s3://other-bucket/x"], 10, b"NoSuchBucket"),
    (["verify", "-k", "RING", "s3://backups/none.bulla"], 10, b"does not exist"),
    (["verify", "-k", "RING", "-r", "s3://backups/none/"], 3, b"proves nothing"),
    (["reencrypt", "-k", "RING", "s3://backups/x.bulla"], 10, b"does not exist"),
    (["envelope", "export", "-o", "e", "s3://backups/x.bulla"], 10, b"does not exist"),
]  # fmt: skip


@pytest.mark.parametrize("words, status, message", REFUSED, ids=[" ".join(r[0][:1] + r[0][-1:]) for r in REFUSED])
def test_refused_in_words(s3, store, ring, words, status, message):
    done = s3(*(str(ring) if w == "RING" else w for w in words), status=status)
    assert message in done.stderr and not [p for p in s3.work.iterdir()]
    assert store.objects == {}


ODD = ["new\nline", "tab\tand\rmore", "/lead", "dir/", "a//b", "..", "\u00e9" * 400, "n" * (1024 - len("t/.bulla")), "%2F", "&#10;<x>"]


@pytest.mark.parametrize("encodes", [True, False])
def test_names_that_files_do_not_have(s3, store, ring, url, encodes):
    """All are found by a list, read and moved to another key, whether the list encodes names or not."""
    store.encodes = encodes
    names = [name for name in ODD if encodes or "\r" not in name]  # XML has no other way to say that one
    for name in names:
        s3("encrypt", "-k", ring, "-o", f"{url}t/{name}.bulla", stdin=name.encode())
    store.objects["t/dir/"] = store.objects["t/dir/.bulla"]
    assert b"%d verified" % (len(names) + 1) in s3("verify", "-k", ring, "-r", url + "t/").stderr
    rotated(s3)
    s3("rewrap", "-k", ring, "-r", url + "t/")
    assert not needs(s3, ring, "-r", url + "t/") and all(s3("decrypt", "-k", ring, "-o", "-", f"{url}t/{name}.bulla").stdout == name.encode() for name in names)
    assert b"more than 1024 bytes" in s3("verify", "-k", ring, url + "n" * 1025, status=2).stderr


@pytest.mark.parametrize("more", [-1, 0, 1])
def test_sizes_at_the_bounds_of_a_part(s3, store, ring, url, more):
    """An object of 5 MiB is put as one, also when it is moved to another key; one byte more, and it goes in parts."""
    s3("encrypt", "-k", ring, "-o", url + "x.bulla", stdin=bytes(5 * MIB - 20000))
    content = bytes(5 * MIB - 20000 + 5 * MIB - len(store.objects["x.bulla"].body) + more - 16)  # one chunk more, which has 16 bytes
    s3("encrypt", "-k", ring, "--force", "-o", url + "x.bulla", stdin=content)
    assert len(store.objects["x.bulla"].body) == 5 * MIB + more
    rotated(s3)
    store.asked.clear()
    s3("rewrap", "-k", ring, url + "x.bulla")
    assert store.count("copy") == (more > 0) and s3("decrypt", "-k", ring, "-o", "-", url + "x.bulla").stdout == content
