"""s3://BUCKET/KEY wherever a FILE or an OUT may stand."""

import pytest
from program import reports
from test_s3_verbs import LARGE, MIDDLE, SMALL, needs, rotated


@pytest.mark.parametrize("where", ["beside", "named", "file"])
def test_export_and_restore(s3, store, ring, url, where):
    """The envelope goes out and comes back; a body whose own envelope is destroyed opens with it."""
    s3("encrypt", "-k", ring, "-o", url + "x.bulla", stdin=MIDDLE)
    out = {"beside": [], "named": ["-o", url + "kept/e.env"], "file": ["-o", "e.env"]}[where]
    given = {"beside": [], "named": ["--envelope", url + "kept/e.env"], "file": ["--envelope", "e.env"]}[where]
    s3("envelope", "export", *out, url + "x.bulla")
    whole = store.objects["x.bulla"].body
    exported = (s3.work / "e.env").read_bytes() if where == "file" else store.objects["kept/e.env" if where == "named" else "x.bulla.env"].body
    assert exported == whole[:8192]
    s3("envelope", "export", *out, url + "x.bulla", status=9)
    s3("envelope", "export", "--force", *out, url + "x.bulla")
    store.put("x.bulla", bytes(8192) + whole[8192:], {"x-amz-meta-a": "b"})
    if where != "file":
        s3("verify", "-k", ring, *given, url + "x.bulla")
    assert s3("decrypt", "-k", ring, "-o", "-", "--envelope", *(given[1:] or [url + "x.bulla.env"]), url + "x.bulla").stdout == MIDDLE
    assert b"-k KEY proves" in s3("envelope", "restore", *given, url + "x.bulla", status=7).stderr
    s3("envelope", "restore", "-k", ring, *given, url + "x.bulla")
    assert store.objects["x.bulla"].body == whole and store.objects["x.bulla"].headers["x-amz-meta-a"] == "b"


def test_restore_of_a_large_object_moves_its_beginning(s3, store, ring, url):
    """By parts, and not if somebody else was there meanwhile."""
    s3("encrypt", "-k", ring, "-o", url + "x.bulla", stdin=LARGE)
    s3("envelope", "export", url + "x.bulla")
    whole = store.objects["x.bulla"].body
    store.put("x.bulla", bytes(8192) + whole[8192:])
    store.before = lambda operation, key: operation == "complete" and key == "x.bulla" and store.put(key, b"theirs")
    assert b"replaced by somebody else" in s3("envelope", "restore", "-k", ring, url + "x.bulla", status=6).stderr
    assert store.objects["x.bulla"].body == b"theirs" and store.uploads == {}
    store.before = lambda operation, key: None
    store.put("x.bulla", bytes(8192) + whole[8192:])
    s3("envelope", "restore", "-k", ring, url + "x.bulla")
    assert store.objects["x.bulla"].body == whole and store.uploads == {}


def test_envelope_of_another_object(s3, store, ring, url):
    for name in "xy":
        s3("encrypt", "-k", ring, "-o", f"{url}{name}.bulla", stdin=MIDDLE)
    s3("envelope", "export", url + "y.bulla")
    before = store.objects["x.bulla"].body
    assert b"has the envelope of another file" in s3("envelope", "restore", "--envelope", url + "y.bulla.env", url + "x.bulla", status=7).stderr
    assert store.objects["x.bulla"].body == before
    s3("envelope", "export", url + "none.bulla", status=10)
    assert b"is a prefix" in s3("envelope", "export", url, status=2).stderr


def test_envelope_in_a_bucket_of_a_body_here(s3, store, ring, url):
    """Body and envelope each go where they are told; neither stays if the other does not come."""
    s3("encrypt", "-k", ring, "--envelope", url + "e.env", "-o", "x.bulla", stdin=MIDDLE)
    assert list(store.objects) == ["e.env"]
    assert s3("decrypt", "-k", ring, "--envelope", url + "e.env", "-o", "-", "x.bulla").stdout == MIDDLE
    s3("encrypt", "-k", ring, "--envelope", url + "e.env", "-o", "y.bulla", stdin=MIDDLE, status=9)
    assert not (s3.work / "y.bulla").exists()
    (s3.work / "plain").write_bytes(MIDDLE)
    s3("encrypt", "-k", ring, "--envelope", url + "f.env", "-o", url + "z.bulla", "--remove-source", "plain")
    assert not (s3.work / "plain").exists()
    assert s3("decrypt", "-k", ring, "--envelope", url + "f.env", "-o", "-", url + "z.bulla").stdout == MIDDLE
    store.before = lambda operation, key: operation == "write" and key == "w.bulla" and store.put(key, b"theirs")
    s3("encrypt", "-k", ring, "--envelope", url + "g.env", "-o", url + "w.bulla", stdin=MIDDLE, status=9)
    assert "g.env" not in store.objects and store.objects["w.bulla"].body == b"theirs"


@pytest.mark.parametrize("content", [SMALL, LARGE], ids=["small", "large"])
def test_reencrypt(s3, store, ring, url, content):
    """A new data key and a new body, in its place; what goes with the object stays."""
    s3("encrypt", "-k", ring, "--name", "n", "-o", url + "x.bulla", stdin=content)
    store.objects["x.bulla"].headers |= {"x-amz-meta-mtime": "1.5", "x-amz-storage-class": "STANDARD_IA"}
    store.objects["x.bulla"].tags = "a=b"
    old = store.objects["x.bulla"]
    ring = rotated(s3)
    (done,) = reports(s3("reencrypt", "--json", "-k", ring, url + "x.bulla"))
    new = store.objects["x.bulla"]
    assert done["bytes"] == len(content) and store.uploads == {}
    assert new.body[-20:] != old.body[-20:] and new.headers == old.headers and new.tags == "a=b"
    (shown,) = s3.inspect(url + "x.bulla")
    assert shown["name"] == "n" and shown["file_id"] == done["file_id"]
    assert s3("decrypt", "-k", ring, "-o", "-", url + "x.bulla").stdout == content and not needs(s3, ring, url + "x.bulla")


@pytest.mark.parametrize("content, operation", [(SMALL, "write"), (LARGE, "complete")], ids=["small", "large"])
def test_reencrypt_that_loses(s3, store, ring, url, content, operation):
    s3("encrypt", "-k", ring, "-o", url + "x.bulla", stdin=content)
    store.before = lambda what, key: what == operation and key == "x.bulla" and store.put(key, b"theirs")
    assert b"was replaced by somebody else meanwhile" in s3("reencrypt", "-k", ring, url + "x.bulla", status=6).stderr
    assert store.objects["x.bulla"].body == b"theirs" and store.uploads == {}


def test_reencrypt_of_a_damaged_object(s3, store, ring, url):
    """Nothing is changed; nor is a pair, which has no one step."""
    s3("encrypt", "-k", ring, "-o", url + "x.bulla", stdin=LARGE)
    body = store.objects["x.bulla"].body
    store.put("x.bulla", body[:-5] + b"wrong")
    s3("reencrypt", "-k", ring, url + "x.bulla", status=4)
    assert store.objects["x.bulla"].body == body[:-5] + b"wrong" and store.uploads == {}
    s3("encrypt", "-k", ring, "--detach", "-o", url + "y.bulla", stdin=SMALL)
    assert b"cannot be replaced in one step" in s3("reencrypt", "-k", ring, url + "y.bulla", status=1).stderr


@pytest.mark.parametrize("by", ["file", "pipe"])
def test_lists_of_objects(s3, store, ring, url, by):
    """One that begins with an object may name others, and files; any other list is of files."""
    for name in "ab":
        s3("encrypt", "-k", ring, "-o", f"{url}{name}.bulla", stdin=SMALL)
    s3("encrypt", "-k", ring, "-o", "c.bulla", stdin=SMALL)
    names = f"{url}a.bulla\n{url}b.bulla\nc.bulla\n".encode()

    def run(names, *more, **how):
        (s3.work / "list").write_bytes(names)
        return s3("verify", "-k", ring, "--json", *more, "--files-from", "list" if by == "file" else "-", stdin=names, **how)

    assert {line["file"] for line in reports(run(names))} == {url + "a.bulla", url + "b.bulla", "c.bulla"}
    assert {line["file"] for line in reports(run(b"\n\n" + names))} == {url + "a.bulla", url + "b.bulla", "c.bulla"}
    assert b"in a list that does not begin with one" in run(b"c.bulla\n" + names, status=3).stderr
    assert [line["file"] for line in reports(run(b"c.bulla"))] == ["c.bulla"]
    run(b"s3:/", status=3)
    run(b"", status=3)
    run(b"\n\n", status=3)
    zero = names.replace(b"\n", b"\0")
    for before in (b"", b"\0\0"):
        assert len(reports(run(before + zero, "-0"))) == 3
    assert b"in a list that does not begin with one" in run(b"\nc.bulla\0" + zero, "-0", status=3).stderr, "a name may begin with a line end"


def test_remove_source(s3, store, ring, url):
    """After the result was compared with what is there; not what somebody put there meanwhile."""
    for name in ("x", "y", "z"):
        s3("encrypt", "-k", ring, *(["--detach"] if name == "y" else []), "-o", f"{url}{name}.bulla", stdin=LARGE if name == "x" else MIDDLE)
    s3("decrypt", "-k", ring, "--remove-source", "-o", "x", url + "x.bulla")
    assert (s3.work / "x").read_bytes() == LARGE and sorted(store.objects) == ["y.bulla", "y.bulla.env", "z.bulla"]
    s3("decrypt", "-k", ring, "--remove-source", "-o", "y", url + "y.bulla")
    assert (s3.work / "y").read_bytes() == MIDDLE and list(store.objects) == ["z.bulla"]
    store.before = lambda what, key: what == "delete" and store.put(key, b"theirs")
    s3("decrypt", "-k", ring, "--remove-source", "-o", "z", url + "z.bulla", status=6)
    assert store.objects["z.bulla"].body == b"theirs" and (s3.work / "z").read_bytes() == MIDDLE
    store.before = lambda what, key: None
    assert b"read back" in s3("decrypt", "-k", ring, "--remove-source", "-o", "-", url + "z.bulla", status=2).stderr
    assert "z.bulla" in store.objects


def test_remove_source_after_sealing(s3, store, ring, url):
    (s3.work / "plain").write_bytes(LARGE)
    s3("encrypt", "-k", ring, "--remove-source", "-o", url + "x.bulla", "plain")
    assert not (s3.work / "plain").exists() and s3("decrypt", "-k", ring, "-o", "-", url + "x.bulla").stdout == LARGE


def test_versions(s3, store, ring, url):
    """An old one is read by its id, whole or in part, with its own bytes; it is not written."""
    store.versioned = True
    for content in (SMALL, LARGE):
        s3("encrypt", "-k", ring, "--force", "-o", url + "x.bulla", stdin=content)
    (old,) = store.old["x.bulla"]
    assert s3("decrypt", "-k", ring, "-o", "-", url + "x.bulla").stdout == LARGE
    name = f"{url}x.bulla?versionId={old.version}"
    assert s3("decrypt", "-k", ring, "-o", "-", name).stdout == SMALL
    s3("verify", "-k", ring, name)
    assert s3.inspect(name)[0]["bytes"] == len(SMALL)
    assert b"does not exist" in s3("decrypt", "-k", ring, "-o", "-", url + "x.bulla?versionId=none", status=10).stderr
    before = store.objects["x.bulla"].body
    for words in (["encrypt", "--force", "-o", name], ["encrypt", "-o", name]):
        assert b"one version of an object" in s3(*words[:1], "-k", ring, *words[1:], stdin=SMALL, status=2).stderr
    for words in (["reencrypt", "-k", ring], ["rewrap", "-k", ring, "--to", s3.new_key("other")], ["envelope", "restore", "--envelope", url + "x.bulla.env"]):
        if words[0] == "envelope":
            s3("envelope", "export", url + "x.bulla")
        s3(*words, name, status=(2, 7))
    assert store.objects["x.bulla"].body == before and store.old["x.bulla"] == [old]
    assert b"a prefix has no version" in s3("verify", "-k", ring, "-r", url + "?versionId=x", status=3).stderr


def test_server_without_versions(s3, store, ring, url):
    """It answers with the object as it is now, which is not taken for the version that was asked for."""
    s3("encrypt", "-k", ring, "-o", url + "x.bulla", stdin=SMALL)
    store.find = lambda request, key: store.objects[key]
    for words in (["decrypt", "-o", "back"], ["verify"]):
        done = s3(*words, "-k", ring, url + "x.bulla?versionId=7", status=6)
        assert b"of another version than was asked for" in done.stderr and not (s3.work / "back").exists()
    s3("verify", "-k", ring, url + "x.bulla?versionId=null")


def test_names_like_versions(s3, store, ring, url):
    """An object whose own name ends so is named with one more sign."""
    for name in ("a?versionId=b", "a?versionId="):
        s3("encrypt", "-k", ring, "-o", f"{url}{name}?versionId=", stdin=name.encode())
        assert store.objects[name] and s3("decrypt", "-k", ring, "-o", "-", f"{url}{name}?versionId=").stdout == name.encode()
    store.put("a", b"another")
    s3("verify", "-k", ring, url + "a?versionId=b", status=(7, 10))
    assert len(reports(s3("verify", "-k", ring, "--json", "-r", url))) == 2


@pytest.mark.parametrize("how", [["--from-command", "cat plain"], [], ["--detach"]])
def test_rules_choose_by_the_object(s3, ring, url, work, how):
    """What has no path of its own is sealed to the keys of the object's rule, with its context."""
    there = s3.home / "config/bulla"
    there.mkdir(parents=True)
    s3("key", "new", "-q", there / "db.ring")
    (there / "bulla.conf").write_text(f"[keys]\nusual = {ring}\ndb = db.ring\n[defaults]\nkeys = usual\n[rule db]\npath = {url}db/*\nkeys = db\ncontext.env = prod\n")
    (work / "plain").write_bytes(SMALL)
    s3("encrypt", *how, "-o", url + "db/x.bulla", **({} if "--from-command" in how else {"stdin": SMALL}))
    (row,) = s3.inspect(url + "db/x.bulla")
    assert ([slot["key_name"] for slot in row["slots"]], row["context"]) == (["db"], {"env": "prod"})
