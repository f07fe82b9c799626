"""One sealed file with names in several directories, as snapshots by cp -al have it."""

import os

import pytest

from sealed import content
from test_confinement import ABI

CONFINED = {"BULLA_CONFINE": "must" if ABI >= 2 else ""}  # no older kernel lets a confined run make such links
FORMS = {"rewrap": ["rewrap", "-k"], "reencrypt": ["reencrypt", "-k"]}


@pytest.fixture
def names(bulla, ring, work):
    """Three names of a small file, in three directories; the key has moved on."""
    places = [work / folder / "x.bulla" for folder in ("monday", "tuesday/deep", "wednesday")]
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
