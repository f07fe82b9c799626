"""Proofs: 'no file needs this key', 'all files open' and 'all are restored' are said only of what was looked at."""

import json
import os

import pytest

from program import BOUND, SANITIZED
from sealed import flip, layout, make_socket, snapshot, with_copies
from test_status import File, Opaque, sized

X = b"content"
LINK = "a symbolic link that leads elsewhere; --follow follows it"


@pytest.fixture
def old(ring):
    return f"{ring}#backup:1"


@pytest.fixture
def tree(bulla, ring, work):
    """A tree on version 2, with plain files, links and specials in which nothing can hide; beside it, in 'else', files on version 1."""
    (work / "t/deep").mkdir(parents=True)
    (work / "else").mkdir()
    bulla.seal(ring, X, name="else/a")
    bulla.seal(ring, X, "--detach", name="else/b")
    bulla("key", "rotate", "-q", ring)
    bulla.seal(ring, X, name="t/new")
    (work / "t/plain").write_bytes(X)
    (work / "t/inner").symlink_to("new.bulla")
    (work / "t/inner.bulla").symlink_to("deep/../new.bulla")
    (work / "t/deep/up").symlink_to("..")
    (work / "t/nowhere").symlink_to("missing")
    os.mkfifo(work / "t/fifo")
    return work / "t"


# What proves something of a tree t. A proof that is not made changes nothing.
VERBS = {
    "needs": lambda ring: ["status", "--needs", f"{ring}#backup:1", "-r", "t"],
    "status": lambda ring: ["status", "-r", "t"],
    "destroy": lambda ring: ["key", "destroy", "--force", "--check", "t", f"{ring}#backup:1"],
    "verify": lambda ring: ["verify", "-k", ring, "-r", "t"],
    "decrypt": lambda ring: ["decrypt", "-k", ring, "-r", "t", "-o", "out"],
}
MOVES = {"rewrap": lambda ring: ["rewrap", "-k", ring, "-r", "t"], "reencrypt": lambda ring: ["reencrypt", "-k", ring, "-r", "t"]}


def prove(bulla, ring, verb, *more, status, **how):
    (bulla.work / "out").mkdir(exist_ok=True)
    before = snapshot(bulla.keys)
    done = bulla(*(VERBS | MOVES)[verb](ring), *more, status=status, **how)
    assert (snapshot(bulla.keys) == before) == (status != 0 or verb != "destroy")
    assert status == 0 or b"0 files still need" not in done.stdout
    return done


@pytest.mark.parametrize("verb", [*VERBS, *MOVES])
def test_all_was_seen(bulla, ring, tree, verb):
    done = prove(bulla, ring, verb, status=0)
    assert b"not looked at" not in done.stderr and b", 0 failed" in done.stderr and b"1 not sealed" in done.stderr


# Where a file hides that a walk does not see.


def unsupported(work):
    raw = (work / "else/a.bulla").read_bytes()
    (work / "t/hidden.bulla").write_bytes(with_copies(raw, raw[:9] + b"\x09" + raw[10 : layout(raw).region]))


def unreadable(name):
    def hide(work):
        path = work / name
        path.mkdir() if name.endswith("directory") else path.write_bytes((work / "else/a.bulla").read_bytes())
        path.chmod(0)

    return hide


def linked(name, to):
    return lambda work: (work / name).symlink_to(to)


SKIPPED = {
    "a link to a directory": ("t/hidden", LINK, linked("t/hidden", "../else")),
    "a link to a file": ("t/hidden.bulla", LINK, linked("t/hidden.bulla", "../else/a.bulla")),
    "a link of any name": ("t/hidden", LINK, linked("t/hidden", "../else/a.bulla")),
    "a link to a directory beside, with the tree's name in front": ("t/hidden", LINK, lambda work: [(work / "tt").mkdir(), linked("t/hidden", "../tt")(work)]),
    "a link to nothing": ("t/hidden.bulla", "a symbolic link to nothing", linked("t/hidden.bulla", "../missing")),
    "a link to itself": ("t/hidden.bulla.env", "a symbolic link to nothing", linked("t/hidden.bulla.env", "hidden.bulla.env")),
    "a link to a device": ("t/hidden.bulla", "a symbolic link to a special file", linked("t/hidden.bulla", "/dev/null")),
    "a FIFO": ("t/hidden.bulla", "not a regular file", lambda work: os.mkfifo(work / "t/hidden.bulla")),
    "a socket": ("t/hidden.bulla.env", "not a regular file", lambda work: make_socket(work / "t/hidden.bulla.env")),
}  # fmt: skip
FAILED = {
    "another version": ("t/hidden.bulla", unsupported),
    "a file that may not be read": ("t/hidden.bulla", unreadable("t/hidden.bulla")),
    "a directory that may not be read": ("t/hidden.directory", unreadable("t/hidden.directory")),
    "no envelope": ("t/hidden.bulla", lambda work: (work / "t/hidden.bulla").write_bytes(bytes(9000))),
}


@pytest.mark.parametrize("verb", [*VERBS, *MOVES])
@pytest.mark.parametrize("what", SKIPPED)
def test_what_was_skipped_is_not_proved(bulla, ring, tree, work, what, verb):
    name, why, hide = SKIPPED[what]
    hide(work)
    done = prove(bulla, ring, verb, "--quiet", status=3)
    lines = done.stderr.decode().splitlines()
    assert lines[:2] == [f"bulla: '{name}' was not looked at: {why}", "bulla: 1 not looked at, of which nothing is known"]


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("what", FAILED)
def test_what_failed_is_not_proved(bulla, ring, tree, work, what, verb):
    name, hide = FAILED[what]
    hide(work)
    done = prove(bulla, ring, verb, status=3, under=BOUND)
    assert f"'{name}'".encode() in done.stderr and b"1 failed" in done.stderr


@pytest.mark.parametrize("verb", VERBS)
def test_file_of_another_name_that_may_not_be_read(bulla, ring, tree, work, verb):
    unreadable("t/hidden")(work)
    assert b"'t/hidden'" in prove(bulla, ring, verb, status=3, under=BOUND).stderr


def test_the_number_and_the_first_names_are_told(bulla, ring, tree, old):
    for number in range(8):
        (tree / f"hidden{number}").symlink_to("../else")
    done = prove(bulla, ring, "needs", "--json", "--quiet", status=3)
    *named, last = done.stderr.decode().splitlines()
    assert named == [f"bulla: 't/hidden{number}' was not looked at: {LINK}" for number in range(5)]
    assert last == "bulla: 8 not looked at, of which nothing is known; the first are named above"
    *lines, answer = map(json.loads, done.stdout.splitlines())
    missed = {line["file"]: line["skipped"] for line in lines if line.get("status") == 3}
    assert missed == {f"t/hidden{number}": LINK for number in range(8)}
    assert answer == {"key": old, "needed": 0, "all_seen": False}


@pytest.mark.parametrize("verb", VERBS)
def test_link_to_another_operand_is_no_gap(bulla, ring, tree, work, verb):
    """Its target is seen by itself."""
    bulla("rewrap", "-q", "-k", ring, "-r", "else")
    (tree / "directory").symlink_to("../else")
    (tree / "file").symlink_to("../else/a.bulla")
    prove(bulla, ring, verb, *(["--check", "else"] if verb == "destroy" else ["else"]), status=0)


def test_link_to_an_operand_that_is_a_file(bulla, ring, tree, work):
    (tree / "directory").symlink_to("../else")
    (tree / "file").symlink_to("../else/a.bulla")
    done = bulla("status", "--quiet", "-r", "t", "else/a.bulla", status=3)
    assert b"'t/directory'" in done.stderr and b"'t/file'" not in done.stderr


def test_needed_and_not_seen(bulla, ring, tree, work, old):
    """Status 7, and what was not looked at is told all the same."""
    (tree / "hidden").symlink_to("../else")
    (work / "else/a.bulla").rename(tree / "a.bulla")
    done = prove(bulla, ring, "needs", status=7)
    assert done.stdout.decode() == f"t/a.bulla\n1 file still needs {old}\n" and b"1 not looked at" in done.stderr
    done = prove(bulla, ring, "destroy", status=7)
    assert f"1 file still needs {old}".encode() in done.stderr and b"1 not looked at" in done.stderr


def test_shares_see_each_thing_once(bulla, ring, tree, work):
    for number in range(10):
        (tree / f"hidden{number}").symlink_to("../else")
    counts = []
    for share in (1, 2, 3):
        done = bulla("status", "--quiet", "--shard", f"{share}/3", "-r", "t", status=(0, 3))
        counts += [int(line.split()[1]) for line in done.stderr.decode().splitlines() if "of which nothing is known" in line]
    assert sum(counts) == 10


# Sealed files that do not look like it at first.


def first_byte(raw, region):
    return flip(raw, 0)


def first_sector(raw, region):
    return bytes(512) + raw[512:]


def first_copy(raw, region):
    return bytes(region) + raw[region:]


@pytest.mark.parametrize("damage", [first_byte, first_sector, first_copy])
def test_one_copy_is_enough_to_be_seen(bulla, ring, tree, work, old, damage):
    """Whatever the name; the file opens by the other copy."""
    raw = (work / "else/a.bulla").read_bytes()
    (tree / "dump").write_bytes(damage(raw, layout(raw).region))
    assert prove(bulla, ring, "needs", status=7).stdout.decode() == f"t/dump\n1 file still needs {old}\n"
    assert b"1 file still needs" in prove(bulla, ring, "destroy", status=7).stderr
    assert b"2 verified" in prove(bulla, ring, "verify", status=0).stderr
    assert b"'t/dump' was not looked at: sealed, but its name" in prove(bulla, ring, "decrypt", status=3).stderr
    bulla("rewrap", "-k", ring, "-r", "t")
    prove(bulla, ring, "needs", status=0)


@pytest.mark.parametrize("exponent", range(9, 19))
def test_the_other_copy_is_seen_at_any_place(bulla, ring, tree, old, exponent):
    raw = File("seen", master=[Opaque(0x21, [sized(b"arn:aws:kms:x:1:key/1"), sized(b"")], b"x")], exponent=exponent).bytes()[0]
    (tree / "dump").write_bytes(first_copy(raw, 1 << exponent))
    shown = prove(bulla, ring, "status", status=0).stdout
    assert b"1 file on arn:aws:kms:x:1:key/1" in shown


@pytest.mark.parametrize("name", ["dump.bulla", "dump.bulla.env"])
def test_no_copy_but_a_name(bulla, ring, tree, name):
    """Both copies are gone, and the name says that there was something."""
    (tree / name).write_bytes(bytes(9000))
    for verb in VERBS:
        assert f"'t/{name}'".encode() in prove(bulla, ring, verb, status=3).stderr


@pytest.mark.parametrize("verb", VERBS)
def test_name_of_a_temporary_file_hides_nothing(bulla, ring, tree, work, verb):
    (work / "else/a.bulla").rename(tree / ".bulla-0123456789abcdef")
    (tree / ".bulla-0123456789abcdee").write_bytes(X)
    status = {"needs": 7, "destroy": 7, "decrypt": 3}.get(verb, 0)
    done = prove(bulla, ring, verb, status=status)
    assert b"2 not sealed" in done.stderr and (b"2 read" in done.stderr or b"2 verified" in done.stderr or b"1 not looked at" in done.stderr)


@pytest.mark.parametrize("verb", VERBS)
def test_envelope_without_its_body(bulla, ring, tree, work, verb):
    """What opens the envelope is known; the file is not there to be restored."""
    (work / "else/b.bulla.env").rename(tree / "lost.bulla.env")
    done = prove(bulla, ring, verb, status={"needs": 7, "destroy": 7, "status": 0}.get(verb, 3))
    if verb in ("verify", "decrypt"):
        assert b"'t/lost.bulla.env' was not looked at: an envelope without the file that it opens" in done.stderr


def test_envelope_beside_a_link_to_its_body(bulla, ring, tree, work, old):
    """What lies behind the link is no sealed file by itself."""
    (work / "else/b.bulla.env").rename(tree / "b.bulla.env")
    (work / "else/b.bulla").rename(tree / "deep/blob")
    (tree / "b.bulla").symlink_to("deep/blob")
    assert prove(bulla, ring, "needs", status=7).stdout.startswith(b"t/b.bulla.env\n")
    prove(bulla, ring, "verify", status=3)
    bulla("verify", "-k", ring, "t/b.bulla")


def test_exported_envelope_counts(bulla, ring, tree, work, old):
    bulla("envelope", "export", "else/a.bulla", "-o", "t/new.bulla.env")
    assert prove(bulla, ring, "needs", status=7).stdout.decode() == f"t/new.bulla.env\n1 file still needs {old}\n"
    assert b"1 file still needs" in prove(bulla, ring, "destroy", status=7).stderr
    prove(bulla, ring, "verify", status=0)
    bulla("envelope", "export", "--force", "t/new.bulla")
    prove(bulla, ring, "destroy", status=0)


def test_slot_of_an_unknown_method_is_no_other_way(bulla, ring, tree):
    """A later bulla may open the file by it; this one cannot tell."""
    version = bulla.list_keys(ring)[0]
    mine = Opaque(0x01, [bytes.fromhex(version["id"]), (1).to_bytes(4, "big"), sized(b"backup")], bytes(72))
    (tree / "later.bulla").write_bytes(File("later", master=[mine, Opaque(0x7777, [b"?"], b"?")]).bytes()[0])
    for verb in ("needs", "destroy"):
        assert b"'t/later.bulla'" in prove(bulla, ring, verb, status=3).stderr


# Nothing to look at, as in an archive that is not mounted.

EMPTY = {"nothing": lambda t: None, "plain files": lambda t: (t / "f").write_bytes(X), "directories": lambda t: (t / "a/b").mkdir(parents=True)}


@pytest.fixture
def nothing(bulla, ring, work):
    bulla("key", "rotate", "-q", ring)
    (work / "t").mkdir()
    return work / "t"


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("what", EMPTY)
def test_nothing_proves_nothing(bulla, ring, nothing, what, verb):
    EMPTY[what](nothing)
    done = prove(bulla, ring, verb, status=3)
    assert b"bulla: 't' has no sealed files, which proves nothing\n" in done.stderr and b"--allow-empty" in done.stderr
    prove(bulla, ring, verb, "--allow-empty", status=0)


@pytest.mark.parametrize("verb", VERBS)
def test_each_directory_counts_by_itself(bulla, ring, tree, work, verb):
    (work / "unmounted").mkdir()
    more = ["--check", "unmounted"] if verb == "destroy" else ["unmounted"]
    assert b"'unmounted' has no sealed files" in prove(bulla, ring, verb, *more, status=3).stderr


@pytest.mark.parametrize("verb", ["status", "verify", "decrypt"])
@pytest.mark.parametrize("names", [b"", b"\n\n", b"t\n"])
def test_empty_list(bulla, ring, nothing, work, verb, names):
    (work / "list").write_bytes(names)
    (work / "out").mkdir()
    key = [] if verb == "status" else ["-k", ring]
    args = [verb, *key, "-r", "--files-from", "list", *(["-o", "out"] if verb == "decrypt" else [])]
    assert b"no sealed files, which proves nothing" in bulla(*args, status=3).stderr
    bulla(*args, "--allow-empty")


def test_share_of_a_tree_may_be_empty(bulla, ring, tree):
    """The files of the others are there to be seen."""
    for share in range(1, 9):
        bulla("status", "--shard", f"{share}/8", "-r", "t")


def test_rewrap_of_nothing_has_nothing_to_do(bulla, ring, nothing):
    prove(bulla, ring, "rewrap", status=0)


# Links that are followed.


@pytest.fixture
def links(tree, work):
    """Two ways out of the tree, to a file and to a directory, in which a link leads back to its top and one to itself."""
    (work / "far").mkdir()
    (work / "else/a.bulla").rename(work / "far/a.bulla")
    (tree / "file.bulla").symlink_to("../far/a.bulla")
    (tree / "directory").symlink_to("../else")
    (work / "else/up").symlink_to("../else")
    (work / "else/deep").mkdir()
    (work / "else/deep/up").symlink_to("..")
    return tree


# Where the second wall stands, it must let links be followed.
CONFINED = {} if SANITIZED else {"BULLA_CONFINE": "must"}


def test_followed_links_are_seen(bulla, ring, links, work, old):
    """What is behind a link is named by where it is; rewrap changes it there."""
    follow = lambda verb, status: prove(bulla, ring, verb, "--follow", status=status, env=CONFINED)  # noqa: E731
    done = follow("needs", 7)
    *files, last = done.stdout.decode().splitlines()
    assert (files, last) == (["t/directory/b.bulla", str(work / "far/a.bulla")], f"2 files still need {old}")
    assert b"not looked at" not in done.stderr and b"'t/directory/up': a symbolic link to a directory that it is in" in done.stderr
    assert b"2 files still need" in follow("destroy", 7).stderr
    assert b"3 read" in follow("status", 0).stderr and b"3 verified" in follow("verify", 0).stderr
    assert b"2 rewrapped, 1 were current" in follow("rewrap", 0).stderr
    assert (links / "file.bulla").is_symlink() and (links / "directory").is_symlink()
    follow("needs", 0)
    follow("destroy", 0)
    assert b"3 verified" in follow("verify", 0).stderr
    assert bulla.open(ring, work / "far/a.bulla") == X


def test_followed_links_have_results(bulla, ring, links, work):
    """By the names of the links, those that lead inside too; not by those that lead back."""
    (work / "t/inner").unlink()
    done = prove(bulla, ring, "decrypt", "--follow", status=0, env=CONFINED)
    found = sorted(str(path.relative_to(work / "out")) for path in (work / "out").rglob("*") if path.is_file())
    assert found == ["directory/b", "file", "inner", "new"] and b"4 opened" in done.stderr
    assert all((work / "out" / name).read_bytes() == X for name in found)


def test_followed_detached_file(bulla, ring, tree, work, old):
    """Its envelope lies beside it, not beside the link."""
    (tree / "apart.bulla").symlink_to("../else/b.bulla")
    for verb, status in (("needs", 7), ("verify", 0), ("rewrap", 0), ("needs", 0)):
        prove(bulla, ring, verb, "--follow", status=status)


def test_dangling_link_is_not_followed(bulla, ring, tree):
    (tree / "gone.bulla").symlink_to("missing")
    for verb in VERBS:
        assert b"'t/gone.bulla' was not looked at: a symbolic link to nothing" in prove(bulla, ring, verb, "--follow", status=3).stderr


@pytest.mark.parametrize("verb", ["encrypt", "inspect"])
def test_verbs_that_follow_no_links(bulla, ring, tree, verb):
    assert b"--follow does not go with" in bulla(verb, "--follow", "-r", "t", status=2).stderr


# One by one, and several at once.


def test_verify_says_of_each_what_it_says_of_it_alone(bulla, ring, work):
    sealed = [bulla.seal(ring, X, name=name) for name in ("good", "copy", "both", "chunk", "cut")]
    other = bulla.seal(bulla.new_key("other.ring"), X, name="other")
    for path, change in zip(sealed[1:], (lambda raw: flip(raw, 0), lambda raw: flip(flip(raw, 50), layout(raw).region + 50), lambda raw: flip(raw, -1), lambda raw: raw[:-1])):
        path.write_bytes(change(path.read_bytes()))
    paths = [path.name for path in (*sealed, other)] + ["missing.bulla"]
    alone = [json.loads(bulla("verify", "-k", ring, "--json", path, status=tuple(range(11))).stdout) for path in paths]
    assert [line["status"] for line in alone] == [0, 0, 4, 4, 4, 5, 10]
    for order in (paths, paths[::-1]):
        for jobs in ("1", "4"):
            done = bulla("verify", "-k", ring, "--json", "-j", jobs, *order, status=3)
            lines = {line["file"]: line for line in map(json.loads, done.stdout.splitlines())}
            assert [lines[path] for path in paths] == alone
            assert b"2 verified, 0 not sealed, 0 skipped, 5 failed" in done.stderr
