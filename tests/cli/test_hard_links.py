"""One sealed file with names in several directories, as snapshots by cp -al have it."""

import json
import os

import pytest

from program import reports
from sealed import content, identity, snapshot
from test_confinement import ABI

CONFINED = {"BULLA_CONFINE": "must" if ABI >= 2 else ""}  # no older kernel lets a confined run make such links
FORMS = {"rewrap": ["rewrap", "-k"], "reencrypt": ["reencrypt", "-k"]}


@pytest.fixture
def names(bulla, ring, work):
    """Three names of a small file, in three directories; the key has moved on."""
    places = [work / directory / "x.bulla" for directory in ("monday", "tuesday/deep", "wednesday")]
    for place in places:
        place.parent.mkdir(parents=True)
    bulla("encrypt", "-k", ring, "-o", places[0], stdin=content(500))
    for place in places[1:]:
        place.hardlink_to(places[0])
    bulla("key", "rotate", ring)
    return places


def versions(bulla, names):
    return {row["slots"][0]["key_version"] for row in bulla.inspect(*names)}


@pytest.mark.parametrize("verb", FORMS)
@pytest.mark.parametrize("operands", [["-r", "."], ["-r", "monday", "tuesday", "wednesday"], ["monday/x.bulla", "tuesday/deep/x.bulla", "wednesday/x.bulla"]])
def test_all_names_stay_one_file(bulla, ring, names, verb, operands):
    before = names[0].stat().st_ino
    bulla(*FORMS[verb], ring, *operands, env=CONFINED)
    (after,) = {name.stat().st_ino for name in names}
    assert after != before and names[0].stat().st_nlink == 3 and versions(bulla, names) == {2}
    assert bulla.open(ring, names[2]) == content(500)


@pytest.mark.parametrize("verb", FORMS)
def test_file_of_which_a_name_is_not_found_stays_as_it_is(bulla, ring, names, work, verb):
    before = names[0].read_bytes()
    done = bulla(*FORMS[verb], ring, "-r", "monday", "tuesday", status=3, env=CONFINED)
    assert b"3" in done.stderr and b"monday/x.bulla" in done.stderr
    assert {name.stat().st_ino for name in names} == {os.stat(names[0]).st_ino} and names[0].read_bytes() == before
    assert not list(work.rglob(".bulla-*"))


@pytest.fixture
def snapshots(bulla, ring, work):
    """Three snapshots of thirty files, small and large; the key has moved on."""
    places = [work / day for day in ("monday", "tuesday", "wednesday")]
    places[0].mkdir()
    for number in range(30):
        (places[0] / str(number)).write_bytes(content(500 if number % 5 else 70_000, number))
    bulla("encrypt", "-k", ring, "-r", "--remove-source", "monday")
    for place in places[1:]:
        place.mkdir()
        for file in places[0].iterdir():
            (place / file.name).hardlink_to(file)
    bulla("key", "rotate", ring)
    return places


def inodes(place):
    return {file.name: (file.stat().st_ino, file.stat().st_nlink) for file in place.iterdir()}


@pytest.mark.parametrize("jobs", ["-j1", "-j4"])
@pytest.mark.parametrize("verb", FORMS)
def test_each_file_of_several_snapshots_is_done_once(bulla, ring, snapshots, work, verb, jobs):
    before, ids = inodes(snapshots[0]), {name["file_id"] for name in bulla.inspect(*snapshots[0].iterdir())}
    done = bulla(*FORMS[verb], ring, "-r", jobs, "--json", ".")
    after = inodes(snapshots[0])
    assert all(inodes(place) == after for place in snapshots) and {links for _, links in after.values()} == {3}
    kept = {name for name in before if before[name] == after[name]}
    assert kept == ({f"{number}.bulla" for number in range(0, 30, 5)} if verb == "rewrap" else set())
    shown = bulla.inspect(*(place / name for place in snapshots for name in after))
    assert {(file["sequence"], file["slots"][0]["key_version"]) for file in shown} == {(2 if verb == "rewrap" else 1, 2)}
    assert len({file["file_id"] for file in shown}) == 30 and ({file["file_id"] for file in shown} == ids) == (verb == "rewrap")
    assert b"90 verified" in bulla("verify", "-k", ring, "-r", ".").stderr and not list(work.rglob(".bulla-*"))
    if verb == "rewrap":
        summary = json.loads(done.stdout.splitlines()[-1])["summary"]
        assert (summary["rewrapped"], summary["current"], summary["unwraps"], summary["wraps"]) == (30, 12, 1, 1)
    else:
        assert [told["status"] for told in reports(done)] == [0] * 90


def test_dry_run_of_several_snapshots(bulla, ring, snapshots, work):
    """A large file counts by each of its names: none of them would wait for the others."""
    before = snapshot(work)
    assert b"42 would be rewrapped" in bulla("rewrap", "-n", "-k", ring, "-r", ".").stderr
    assert snapshot(work) == before and inodes(snapshots[0]) == inodes(snapshots[2])


@pytest.mark.parametrize("verb", FORMS)
def test_one_name_is_one_name_however_it_is_written(bulla, ring, names, verb):
    before = identity(names[0])
    again = ["monday/x.bulla", "./monday/../monday/x.bulla", names[0]]
    done = bulla(*FORMS[verb], ring, "-j1", *again, status=3)
    says = b"'monday/x.bulla' was left as it is: it has 3 names (hard links), and this run found 1 of them\n"
    assert says in done.stderr and done.stderr.count(b"left as it is") == 1 and identity(names[0]) == before


def test_file_that_is_left_is_told_to_scripts(bulla, ring, names):
    """With --quiet too: it is still on the old key."""
    lines = bulla("rewrap", "-q", "--json", "-k", ring, "-r", "monday", "tuesday", status=3).stdout.splitlines()
    told = [json.loads(line) for line in lines]
    left = [(line["file"], line["status"]) for line in told if line.get("outcome") == "left"]
    assert sorted(left) == [("monday/x.bulla", 3), ("tuesday/deep/x.bulla", 3)]
    assert (told[-1]["summary"]["left"], told[-1]["summary"]["rewrapped"]) == (2, 0)


def test_large_file_of_which_a_name_is_not_found_is_written_over(bulla, ring, work):
    """All its names have the new envelope then."""
    (work / "a").mkdir()
    sealed = bulla.seal(ring, content(70_000), name="a/x")
    (work / "y").hardlink_to(sealed)
    bulla("key", "rotate", ring)
    bulla("rewrap", "-k", ring, "-r", "a")
    assert versions(bulla, [work / "y"]) == {2} and (work / "y").samefile(sealed)
    before = identity(sealed)
    assert b"it has 2 names (hard links), and this run found 1 of them" in bulla("reencrypt", "-k", ring, "-r", "a", status=3).stderr
    assert identity(sealed) == before


@pytest.mark.parametrize("size", [500, 70_000], ids=["replaced whole", "changed in place"])
@pytest.mark.parametrize("verb", FORMS)
def test_file_that_is_given_twice(bulla, ring, work, verb, size):
    """Two threads of one run do not take each other for another program."""
    for number in range(12):
        bulla.seal(ring, content(size), name=f"{number:02}")
    bulla("key", "rotate", ring)
    twice = sorted(path.name for path in work.iterdir() for _ in range(2))
    bulla(*FORMS[verb], ring, "-j", "8", *twice)
    assert versions(bulla, sorted(work.iterdir())) == {2}


def test_names_that_are_given_twice(bulla, ring, names):
    """Also while another thread gives the other names the new file."""
    for _ in range(5):
        bulla("rewrap", "-k", ring, "-j", "8", "-r", ".", ".", "monday")
        assert names[0].stat().st_nlink == 3
        bulla("key", "rotate", ring)
