"""Many objects moved to another key: what is proved of their bodies, what gets in the way, and what it takes, by count."""

import json
import urllib.parse

import pytest
from program import SANITIZED, reports
from store import ONCE, Object, Sparse, crc64nvme
from test_s3_faults import PEAK, error
from test_s3_verbs import LARGE, MIB, MIDDLE, SMALL, needs, rotated

LATER = "2999-01-01T00:00:00Z"


@pytest.fixture
def large(s3, store, ring, url):
    """An object that is larger than a part, by little: its checksum is counted in Python."""
    content = LARGE[: 5 * MIB + 3000]
    s3("encrypt", "-k", ring, "-o", url + "x.bulla", stdin=content)
    rotated(s3)
    return content


def test_checksum_agrees(s3, store, ring, url, large):
    store.sums, before = True, crc64nvme(store.objects["x.bulla"].body)
    done = s3("rewrap", "-k", ring, url + "x.bulla")
    assert b"body checksum agrees for 1 " in done.stderr and crc64nvme(store.objects["x.bulla"].body) != before
    assert s3("decrypt", "-k", ring, "-o", "-", url + "x.bulla").stdout == large


def test_checksum_that_no_server_keeps(s3, store, ring, url, large):
    """Two more requests where there is one, one where there is none; nothing is said of what did not move."""
    done = s3("rewrap", "--json", "-k", ring, url + "x.bulla")
    assert b'"body_checksum":"none"' in done.stdout and b"of 1 it keeps none" in done.stderr and store.count("head") == 1
    s3("encrypt", "-k", ring, "-o", url + "small.bulla", stdin=SMALL)
    rotated(s3)
    assert b"checksum" not in s3("rewrap", "-k", ring, url + "small.bulla").stderr


def test_body_that_was_copied_wrong(s3, store, ring, url, large):
    """The server says so by its own checksum: status 4."""
    store.sums = True
    copy = store.copy

    def wrong(request, key):
        answer = copy(request, key)
        ((name, upload),) = store.uploads.items()
        number, (etag, part) = max(upload.parts.items())
        upload.parts[number] = (etag, part[:-1] + bytes([part[-1] ^ 1]))
        return answer

    store.copy = wrong
    assert b"its body is not what it was before" in s3("rewrap", "-k", ring, url + "x.bulla", status=4).stderr


def test_checksum_of_somebody_elses(s3, store, ring, url, large):
    """Replaced after the rewrap: nothing can be said of ours, and nothing is."""
    store.sums = True
    heads = iter(range(9))
    store.before = lambda what, key: what == "head" and next(heads) == 1 and store.put(key, b"theirs")
    assert b"of 1 it keeps none" in s3("rewrap", "-k", ring, url + "x.bulla").stderr and store.objects["x.bulla"].body == b"theirs"


def test_conflict_begins_anew(s3, store, ring, url, large):
    """409 at the end of an upload: all of it again, as S3 wants it, and at most so often."""
    store.fault("complete", error("ConditionalRequestConflict", 409))
    s3("rewrap", "-k", ring, url + "x.bulla")
    assert store.uploads == {} and store.count("create") == 1 + 2 and store.count("abort") == 1
    assert s3("decrypt", "-k", ring, "-o", "-", url + "x.bulla").stdout == large
    rotated(s3)
    store.fault("complete", error("ConditionalRequestConflict", 409), times=99)
    assert b"ConditionalRequestConflict" in s3("rewrap", "-k", ring, url + "x.bulla", status=6).stderr and store.uploads == {}
    store.faults.clear()
    assert s3("decrypt", "-k", ring, "-o", "-", url + "x.bulla").stdout == large


@pytest.mark.parametrize("content", [SMALL, LARGE], ids=["small", "large"])
def test_locks_are_kept(s3, store, ring, url, content):
    """On the new version; the old one stays until its date, which is told."""
    store.versioned = True
    s3("encrypt", "-k", ring, "-o", url + "x.bulla", stdin=content)
    lock = {"x-amz-object-lock-mode": "COMPLIANCE", "x-amz-object-lock-retain-until-date": LATER, "x-amz-object-lock-legal-hold": "ON"}
    store.objects["x.bulla"].headers |= lock
    rotated(s3)
    assert b"keeps the old versions of 1 of them" in s3("rewrap", "-k", ring, url + "x.bulla").stderr
    (old,) = store.old["x.bulla"]
    assert old.locked and lock.items() <= store.objects["x.bulla"].headers.items()
    assert needs(s3, ring, url + "x.bulla")


def test_requests_of_a_large_object(s3, store, ring, url):
    """1 GiB, of which 5 MiB move each way."""
    s3("encrypt", "-k", ring, "-o", url + "x.bulla", stdin=LARGE)
    o = store.objects["x.bulla"]
    store.objects["x.bulla"] = Object(Sparse(o.body, 1 << 30), o.headers, etag='"1"')
    rotated(s3)
    store.moved.clear(), store.asked.clear()
    s3("rewrap", "-k", ring, url + "x.bulla")
    assert max(store.moved.values()) < 6 * MIB and len(store.objects["x.bulla"].body) == 1 << 30
    assert store.count() <= 10 + 3 and store.objects["x.bulla"].body.head[8192:] == o.body[8192:]
    store.asked.clear()
    s3("rewrap", "-k", ring, url + "x.bulla"), s3("inspect", url + "x.bulla")
    assert [what for what, key in store.asked] == ["get", "get"]


def test_dry_run_tells_what_a_run_would_take(s3, store, ring, url):
    """By class, and as it is: the run itself is counted, and moves as much."""
    for name, content, how in (("a", SMALL, []), ("b", MIDDLE, []), ("c", LARGE, []), ("d", SMALL, ["--detach"])):
        s3("encrypt", "-k", ring, *how, "-o", f"{url}t/{name}.bulla", stdin=content)
    store.objects["t/b.bulla"].headers["x-amz-storage-class"] = "STANDARD_IA"
    store.objects["t/c.bulla"].tags = "a=b"
    rotated(s3)
    lines = [json.loads(line) for line in s3("rewrap", "--json", "-n", "-r", "-k", ring, url + "t/").stdout.splitlines()]
    costs = {line["cost"]["class"]: line["cost"] for line in lines if "cost" in line}
    assert not any(store.count(what) for what in ("copy", "complete")) or store.uploads == {}
    assert costs["STANDARD_IA"] == {"class": "STANDARD_IA", "objects": 1, "reads": 2, "writes": 1, "bytes_down": costs["STANDARD_IA"]["bytes_down"],
                                    "bytes_up": len(store.objects["t/b.bulla"].body), "dollars": pytest.approx(2 * 0.01 / 1e4 + 0.01 / 1e3)}
    store.asked.clear(), store.moved.clear()
    s3("rewrap", "-r", "-j1", "-k", ring, url + "t/")
    probes = [(what, key) for what, key in store.asked if "probe" in key or what == "list"]
    reads = store.count("get", "head", "tagging") - 1  # of tags that may not be read, once a run
    writes = store.count("write", "create", "part", "copy", "complete") - sum(what not in ("list", "delete", "abort") for what, key in probes)
    assert (sum(c["reads"] for c in costs.values()) + 1, sum(c["writes"] for c in costs.values())) == (reads + 2, writes)  # no second HEAD here: no checksum is kept
    assert abs(sum(c["bytes_up"] for c in costs.values()) - store.moved["up"]) < 4096
    assert b"at AWS (us-east-1, November 2026) about $" in s3("rewrap", "-n", "-r", "-k", ring, url + "t/").stderr


@pytest.mark.parametrize("kind, write", [("STANDARD", 5), ("STANDARD_IA", 10), ("GLACIER_IR", 20), ("GLACIER", 30), ("DEEP_ARCHIVE", 50)])
def test_cost_by_class(s3, store, ring, url, kind, write):
    """Also of an archived one that was restored: it goes back into its class. Prices of 1,000 writes in tenths of a cent."""
    s3("encrypt", "-k", ring, "--storage-class", kind, "-o", url + "t/x.bulla", stdin=SMALL)
    store.objects["t/x.bulla"].restored = LATER
    rotated(s3)
    lines = [json.loads(line) for line in s3("rewrap", "--json", "-n", "-r", "-k", ring, url + "t/").stdout.splitlines()]
    (cost,) = [line["cost"] for line in lines if "cost" in line]
    assert cost["class"] == kind and 0 < cost["dollars"] - write / 1e6 <= 2 * 10 / 1e6


@pytest.mark.skipif(SANITIZED, reason="the sanitizers take memory of their own")
def test_memory_of_a_long_list(s3, store, ring, url):
    """A million names, of which none is kept."""
    s3("encrypt", "-k", ring, "-o", url + "t/x.bulla", stdin=SMALL)

    def peak(listed):
        store.listed = listed
        s3("status", "-r", "--shard", "1/90000000", url + "t/", under=["/usr/bin/python3", "-S", "-c", PEAK, str(s3.home / "peak")])
        return int((s3.home / "peak").read_text())

    few, many = peak(1000), peak(1_000_000)
    assert many - few < 8 * 1024 and many < 32 * 1024, (few, many)
    assert store.count("list") == 1001


def test_two_requests_for_a_detached_object(s3, store, ring, url):
    """Its envelope says that the body has none, so that one GET and one PUT do, and one GET the second time."""
    names = [f"t/{n}.bulla" for n in range(20)]
    s3("encrypt", "-k", ring, "--detach", "-o", url + names[0], stdin=SMALL)
    for name in names:
        for end in ("", ".env"):
            store.objects[name + end] = store.objects[names[0] + end]
    rotated(s3)
    store.asked.clear()
    s3("rewrap", "-k", ring, "-r", url + "t/")
    assert store.count("get", "write") == 2 * len(names) and store.count() <= 1 + 2 * len(names) + len(ONCE)
    assert not needs(s3, ring, "-r", url + "t/") and s3("decrypt", "-k", ring, "-o", "-", url + names[7]).stdout == SMALL
    store.asked.clear()
    s3("rewrap", "-k", ring, "-r", url + "t/")
    assert store.count() == 1 + len(names)


@pytest.mark.plain
def test_requests_of_ten_thousand_detached_objects(s3, store, ring, url):
    """Two for each, by lists of 1,000, and one where there is nothing to do; the rest is asked once."""
    count, lists = 10_000, 2 * 10_000 // 1000
    s3("encrypt", "-k", ring, "--detach", "-o", url + "t/0.bulla", stdin=SMALL)
    pair = [(end, store.objects[f"t/0.bulla{end}"]) for end in ("", ".env")]
    store.objects = {f"t/{number}.bulla{end}": o for number in range(count) for end, o in pair}
    rotated(s3)
    store.asked.clear(), store.probes.clear()
    s3("rewrap", "-k", ring, "-r", url + "t/")
    assert [store.count(what) for what in ("get", "write", "list", *ONCE)] == [count, count, lists, 1, 1, 1]
    assert store.count() == 2 * count + lists + len(ONCE) and len(store.probes) == 1
    store.asked.clear()
    s3("rewrap", "-k", ring, "-r", url + "t/")
    assert store.count("get") == count and store.count() == count + lists


def test_object_that_was_put_there_after_the_envelope(s3, store, ring, url):
    """It may have an envelope of its own, whatever the one beside it says: both are seen."""
    s3("encrypt", "-k", ring, "--detach", "-o", url + "t/x.bulla", stdin=SMALL)
    envelope = store.objects.pop("t/x.bulla.env")
    s3("encrypt", "-k", ring, "--force", "-o", url + "t/x.bulla", stdin=MIDDLE)
    store.objects["t/x.bulla.env"], store.objects["t/x.bulla"].modified = envelope, "2026-11-28T10:00:01.000Z"
    rotated(s3)
    assert b"is an exported envelope" in s3("rewrap", "-k", ring, "-r", url + "t/", status=3).stderr
    assert not needs(s3, ring, url + "t/x.bulla") and needs(s3, ring, "-r", url + "t/")


def listed(store, names, versions=False):
    """As S3 Inventory writes it: quoted, names encoded."""
    more = ',"v1","true","false"' if versions else ""
    rows = [f'"backups","{urllib.parse.quote(name)}"{more},"{len(store.objects[name].body)}"\n' for name in names]
    return "".join(rows) + ('"backups","t/a%20b.bulla","v0","false","false","9000"\n"backups","t/gone.bulla","v3","true","true",""\n' if versions else "")


@pytest.mark.parametrize("versions", [False, True])
def test_inventory(s3, store, ring, url, versions):
    """A list of a bucket in place of LIST requests."""
    s3("encrypt", "-k", ring, "-o", url + "t/a b.bulla", stdin=SMALL)
    s3("encrypt", "-k", ring, "--detach", "-o", url + "t/é.bulla", stdin=SMALL)
    store.put("t/notes.txt", b"x" * 2000)
    rotated(s3)
    text = listed(store, sorted(store.objects), versions).encode()
    store.asked.clear()
    assert b"2 rewrapped" in s3("rewrap", "-k", ring, "--inventory", "-", stdin=text).stderr
    assert store.count("list") == 0 and store.count("write") == 2 + sum("probe" in key for _, key in store.asked)
    (s3.work / "list.csv").write_bytes(text)
    s3("status", "--needs", f"{ring}#backup:1", "--inventory", "list.csv")
    assert store.count("versions") == 1, "old versions are not in doubt"


def test_inventory_that_is_not_in_order(s3, store, ring, url):
    """An envelope far from its body is told, not worked on twice; one whose body is gone is alone."""
    s3("encrypt", "-k", ring, "--detach", "-o", url + "t/x.bulla", stdin=SMALL)
    rotated(s3)
    text = listed(store, ["t/x.bulla.env", "t/x.bulla"]).encode()
    assert b"the list, which is not in order" in s3("rewrap", "-k", ring, "--inventory", "-", stdin=text, status=3).stderr
    del store.objects["t/x.bulla"]
    rotated(s3)
    assert b"1 rewrapped" in s3("rewrap", "-k", ring, "--inventory", "-", stdin=listed(store, ["t/x.bulla.env"]).encode()).stderr


LISTS = [b"s3://backups/x.bulla\n", b'"backups"\n', b'"backups","a%0"\n', b'"backups","a%00"\n', b'"backups","a% 1"\n', b'"backups","a%+1"\n', b'"backups,"a"\n', b'"","a"\n', b'\x1f\x8b\x08\n', b'"backups","a.bulla"\n"other-one","b.bulla"\n']


@pytest.mark.parametrize("text", LISTS, ids=range(len(LISTS)))
def test_lists_that_are_no_inventory(s3, store, ring, url, text):
    done = s3("status", "--inventory", "-", stdin=text, status=3)
    assert b"S3 Inventory" in done.stderr or b"more than one bucket" in done.stderr


def test_many_at_once(s3, store, ring, url):
    """64 objects, in bounded memory: large ones wait for a buffer."""
    s3("encrypt", "-k", ring, "-o", url + "t/0.bulla", stdin=MIDDLE)
    for number in range(1, 40):
        store.objects[f"t/{number}.bulla"] = store.objects["t/0.bulla"]
    rotated(s3)

    def peak(*words):
        s3("rewrap", "-k", ring, *words, under=["/usr/bin/python3", "-S", "-c", PEAK, str(s3.home / "peak")])
        return int((s3.home / "peak").read_text()) // 1024

    one = peak(url + "t/0.bulla")
    store.connections = 0
    many = peak("-r", url + "t/")
    assert SANITIZED or many - one < 32
    assert store.connections > 4 and not needs(s3, ring, "-r", url + "t/")


def test_many_large_ones_at_once(s3, store, ring, url):
    """Only the part that is sent takes memory: uploads of many objects are on their way at the same time."""
    s3("encrypt", "-k", ring, "-o", url + "t/0.bulla", stdin=LARGE)
    for number in range(1, 24):
        store.objects[f"t/{number}.bulla"] = store.objects["t/0.bulla"]
    rotated(s3)
    open_at_once = []
    store.before = lambda operation, key: open_at_once.append(len(store.uploads))

    def peak(*words):
        s3("rewrap", "-k", ring, *words, under=["/usr/bin/python3", "-S", "-c", PEAK, str(s3.home / "peak")])
        return int((s3.home / "peak").read_text()) // 1024

    one = peak(url + "t/0.bulla")
    open_at_once.clear()
    many = peak("-r", url + "t/")
    assert max(open_at_once) > 4 and (SANITIZED or many - one < 32)
    assert not needs(s3, ring, "-r", url + "t/") and s3("decrypt", "-k", ring, "-o", "-", url + "t/17.bulla").stdout == LARGE


def test_copies_of_one_object_at_once(s3, store, ring, url):
    """Of 6 GiB some pieces are copied at the same time, and all come in their places; one that fails ends the upload."""
    s3("encrypt", "-k", ring, "-o", url + "x.bulla", stdin=LARGE)
    o = store.objects["x.bulla"]
    store.objects["x.bulla"] = Object(Sparse(o.body, 6 << 30), o.headers, etag='"1"')
    rotated(s3)
    store.fault("copy", error("AccessDenied", 403), after=2)
    assert b"s3:UploadPartCopy: AccessDenied" in s3("rewrap", "-k", ring, url + "x.bulla", status=7).stderr and store.uploads == {}
    store.asked.clear()
    store.connections = 0
    s3("rewrap", "-k", ring, url + "x.bulla")
    new = store.objects["x.bulla"].body
    assert store.count("copy") == 6 and store.connections > 2 and len(new) == 6 << 30 and new.head[8192:] == o.body[8192:]


@pytest.mark.parametrize("owner, told", [("BucketOwnerEnforced", False), ("ObjectWriter", True), (None, True)])
def test_what_cannot_be_kept_is_told_before(s3, store, ring, url, owner, told):
    """Once a run, and of a run that would do it too."""
    store.owner = owner
    for name in "ab":
        s3("encrypt", "-k", ring, "-o", f"{url}t/{name}.bulla", stdin=SMALL)
        store.objects[f"t/{name}.bulla"].headers["x-amz-server-side-encryption"] = "aws:kms"
    rotated(s3)
    for dry in (["-n"], []):
        warned = s3("rewrap", *dry, "-k", ring, "-r", url + "t/").stderr
        assert warned.count(b"access rules of their own (ACL)") == told and warned.count(b"encryption context") == 1
    store.asked.clear()
    s3("rewrap", "-k", ring, "-r", url + "t/")
    assert store.count(*ONCE) == 0
