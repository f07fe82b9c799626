"""How often master keys are asked, however many runs sealed what is rewrapped, and in whatever order the files come."""

import json

import pytest

BRANCHES, DIRECTORIES = 300, 10


def sealed_by_many_runs(bulla, ring, runs=BRANCHES, directories=DIRECTORIES, context=lambda run: ()):
    """An archive in which each run put one file into each directory, as nightly backups of several hosts do."""
    for number in range(directories):
        (bulla.work / "archive" / str(number)).mkdir(parents=True)
    for run in range(runs):
        names = [f"archive/{number}/{run}" for number in range(directories)]
        for name in names:
            (bulla.work / name).write_text(name)
        bulla("encrypt", "-q", "-k", ring, "--sync=none", *context(run), *names)
        for name in names:
            (bulla.work / name).unlink()
    return bulla.work / "archive"


def rewrap(bulla, *options, archive, **how):
    """The summary of a rewrap."""
    lines = bulla("rewrap", "-r", "--json", "--sync=none", *options, archive, **how).stdout.splitlines()
    return json.loads(lines[-1])["summary"]


def branch_ids(bulla, archive):
    lines = bulla("inspect", "--json", *sorted(archive.rglob("*.bulla"))).stdout.splitlines()
    return {json.loads(line)["branch_id"] for line in lines}


def test_one_wrap_for_a_run_of_rewrap(bulla, ring):
    archive = sealed_by_many_runs(bulla, ring)
    bulla("key", "rotate", "-q", ring)
    expected = {"rewrapped": BRANCHES * DIRECTORIES, "current": 0, "other": 0, "left": 0, "branch_stayed": 0, "forgotten": 0}
    assert rewrap(bulla, "-k", ring, "-j1", archive=archive) == expected | {"unwraps": BRANCHES, "wraps": 1}
    assert len(branch_ids(bulla, archive)) == 1
    expected |= {"rewrapped": 0, "current": BRANCHES * DIRECTORIES}
    assert rewrap(bulla, "-k", ring, archive=archive) == expected | {"unwraps": 1, "wraps": 0}
    bulla("verify", "-r", "-q", "-k", ring, archive)


def test_dry_run_counts_the_same(bulla, ring):
    archive = sealed_by_many_runs(bulla, ring, 3, 2)
    bulla("key", "rotate", "-q", ring)
    dry = rewrap(bulla, "-n", "-k", ring, archive=archive)
    assert dry == rewrap(bulla, "-k", ring, archive=archive)
    assert (dry["rewrapped"], dry["unwraps"], dry["wraps"]) == (6, 3, 1)


def test_each_context_has_a_branch_of_its_own(bulla, ring):
    archive = sealed_by_many_runs(bulla, ring, 6, 2, lambda run: ("--context", f"host={run % 3}"))
    bulla("key", "rotate", "-q", ring)
    done = rewrap(bulla, "-k", ring, archive=archive)
    assert (done["rewrapped"], done["unwraps"], done["wraps"]) == (12, 6, 3)
    assert len(branch_ids(bulla, archive)) == 3


@pytest.mark.parametrize("others", [0, 1], ids=["all keys at hand", "one is not"])
def test_branch_stays_where_a_key_is_not_at_hand(bulla, ring, others):
    partner = bulla.new_key("partner.ring")
    for name in ("a", "b"):
        (bulla.work / name).write_text(name)
    bulla("encrypt", "-q", "-k", ring, "-k", partner, "a", "b")
    before = branch_ids(bulla, bulla.work)
    bulla("key", "rotate", "-q", ring)
    done = rewrap(bulla, "-k", ring, *(() if others else ("-k", partner)), archive=bulla.work)
    assert (done["rewrapped"], done["unwraps"], done["branch_stayed"]) == (2, 1 + (not others), 2 * others)
    assert done["wraps"] == (1 if others else 2)
    assert (branch_ids(bulla, bulla.work) == before) == bool(others)
    for key in (ring, partner):
        bulla("verify", "-q", "-k", key, "a.bulla", "b.bulla")


def test_who_is_added_to_one_file_opens_that_alone(bulla, ring):
    """His slot put into another file of the run opens nothing: that file has another branch."""
    partner = bulla.new_key("partner.ring")
    for name in ("a", "b"):
        (bulla.work / name).write_text(name)
    bulla("encrypt", "-q", "-k", ring, "a", "b")
    bulla("rewrap", "-q", "-k", ring, "--add", partner, "a.bulla")
    a, b = (json.loads(line) for line in bulla("inspect", "--json", "a.bulla", "b.bulla").stdout.splitlines())
    assert a["branch_id"] != b["branch_id"] and len(a["slots"]) == 2 and len(b["slots"]) == 1
    bulla("verify", "-q", "-k", partner, "a.bulla")
    bulla("verify", "-q", "-k", partner, "b.bulla", status=5)


def test_share_branch_must_be_said(bulla, ring):
    partner, third = bulla.new_key("partner.ring"), bulla.new_key("third.ring")
    sealed = bulla.seal(ring, b"x", "-k", partner)
    before = sealed.read_bytes()
    done = bulla("rewrap", "-k", ring, "--add", third, sealed, status=7)
    assert b"would open every file of its branch" in done.stderr and b"--share-branch" in done.stderr
    assert sealed.read_bytes() == before
    done = bulla("rewrap", "-k", ring, "--add", third, "--share-branch", sealed)
    assert b"the branch key stayed the same in 1 of them" in done.stderr
    for key in (ring, partner, third):
        bulla("verify", "-q", "-k", key, sealed)


def test_opened_wherever_the_order_leads(bulla, ring):
    """A file whose own key is gone is opened by no other of its run, whatever the order and the threads."""
    for name in ("a", "b", "c"):
        (bulla.work / name).write_text(name)
    bulla("encrypt", "-q", "-k", ring, "a", "b", "c")
    bulla("key", "rotate", "-q", ring)
    bulla("rewrap", "-q", "-k", ring, "a.bulla", "c.bulla")
    bulla("key", "destroy", "-q", "--force", f"{ring}#backup:1")
    for order in (["a", "b", "c"], ["b", "a", "c"], ["c", "a", "b"]):
        for jobs in ("-j1", "-j4"):
            done = bulla("verify", "--json", jobs, "-k", ring, *(f"{name}.bulla" for name in order), status=3)
            found = {report["file"]: report["status"] for report in map(json.loads, done.stdout.splitlines())}
            assert found == {"a.bulla": 0, "b.bulla": 5, "c.bulla": 0}
    bulla("decrypt", "-k", ring, "-o", "-", "a.bulla", "b.bulla", status=3)
