"""--json of each verb, done and failed, by the shapes that docs/json says there are; every shape is seen."""

import contextlib
import json
import re

import pytest

from empty_bucket import empty_bucket
from schemas import DIRECTORY, published, shape, validator, verb_of
from sealed import flip

X = b"content"


@pytest.fixture
def world(bulla, work):
    for name in ("ring", "other", "pair"):
        bulla("key", "new", "-q", *(["--kind", "x25519"] if name == "pair" else []), f"{bulla.keys}/{name}")
    ring = f"{bulla.keys}/ring"
    for name in ("a", "b", "two"):
        bulla.seal(ring, X, *(["-k", f"{bulla.keys}/other"] if name == "two" else []), name=name)
    (work / "tree").mkdir()
    (work / "tree/plain").write_bytes(X)
    (work / "tree/link").symlink_to("plain")
    (work / "tree/gone.bulla").symlink_to("nothing")
    (work / "many.bulla").write_bytes((work / "a.bulla").read_bytes())
    (work / "many2.bulla").hardlink_to(work / "many.bulla")
    (work / "bad.bulla").write_bytes(flip((work / "a.bulla").read_bytes(), -1))
    (work / "garbage.bulla").write_bytes(b"garbage" * 1000)
    (bulla.keys / "old").write_bytes((bulla.keys / "ring").read_bytes())
    (bulla.keys / "old").chmod(0o600)
    conf = bulla.home / "config/bulla/bulla.conf"
    conf.parent.mkdir(parents=True)
    conf.write_text(f"[keys]\nring = {ring}\n[rule tree]\npath = */plain\nkeys = ring\ncontext.a = b\n")
    return work


# A command, its exit status, and the shapes of what it prints.
RUNS = {
    "encrypt": [
        ("encrypt -k RING -r tree", 0, {"result", "skipped"}),
        ("encrypt -k RING missing", 10, {"result"}),
        ("encrypt -k RING tree/plain missing", 3, {"result"}),
        ("encrypt -k RING a.bulla", 2, {"result"}),
    ],
    "decrypt": [
        ("decrypt -k RING a.bulla", 0, {"result"}),
        ("decrypt -k OTHER a.bulla -o out", 5, {"result"}),
        ("decrypt -k RING bad.bulla", 4, {"result"}),
        ("decrypt -k RING garbage.bulla", 4, {"result"}),
        ("decrypt -k RING -r tree", 3, {"skipped"}),
    ],
    "verify": [
        ("verify -k RING a.bulla two.bulla", 0, {"result"}),
        ("verify -k RING bad.bulla", 4, {"result"}),
        ("verify -k RING -r tree", 3, {"skipped"}),
    ],
    "inspect": [
        ("inspect a.bulla two.bulla", 0, {"result"}),
        ("inspect garbage.bulla", 4, {"result"}),
        ("inspect -r tree", 3, {"result", "skipped"}),
    ],
    "rewrap": [
        ("rewrap -k RING --to OTHER -n a.bulla", 0, {"result", "summary"}),
        ("rewrap -k RING --to OTHER a.bulla", 0, {"result", "summary"}),
        ("rewrap -k RING --to OTHER a.bulla missing", 3, {"result", "summary"}),
        ("rewrap -k RING --to OTHER many.bulla", 3, {"result", "left", "summary"}),
        ("rewrap -k RING -r tree", 3, {"skipped", "summary"}),
    ],
    "reencrypt": [
        ("reencrypt -k RING b.bulla", 0, {"result"}),
        ("reencrypt -k OTHER b.bulla", 5, {"result"}),
        ("reencrypt -k RING many.bulla", 3, {"result", "left"}),
        ("reencrypt -k RING -r tree", 3, {"skipped"}),
    ],
    "status": [
        ("status b.bulla two.bulla", 0, {"result", "key"}),
        ("status --needs RING b.bulla two.bulla", 7, {"result", "need"}),
        ("status --needs OTHER b.bulla", 0, {"result", "need"}),
        ("status garbage.bulla", 4, {"result"}),
        ("status -r tree", 3, {"skipped"}),
    ],
    "key-new": [("key new KEYS/new", 0, {"version"}), ("key new RING#next --rotate-after 90d", 0, {"version"}), ("key new RING", 9, set())],
    "key-list": [
        ("key list RING PAIR", 0, {"version"}),
        ("key list KEYS/missing", 10, set()),
        ("key list RING OLD", 7, {"version", "older"}, "key rotate -q RING"),
        ("key list RING OLD", 7, {"version", "state"}, "key retire -q RING; copy"),
        ("key list RING OLD", 7, {"version", "state"}, "key retire -q OLD"),
        ("key list RING OLD", 7, {"version", "apart"}, "key rotate -q RING; key rotate -q OLD"),
    ],
    "key-rotate": [("key rotate OTHER", 0, {"version"}), ("key rotate KEYS/missing", 10, set())],
    "key-retire": [("key retire OTHER", 0, {"version"})],
    "key-disable": [("key disable OTHER#other:1", 0, {"version"})],
    "key-enable": [("key enable OTHER#other:1", 0, {"version"}, "key disable -q OTHER#other:1")],
    "key-destroy": [("key destroy --force OTHER#other:1", 0, {"version"}, "key disable -q OTHER#other:1")],
    "key-check": [
        ("key check RING PAIR", 0, {"result"}),
        ("key check KEYS/missing", 10, {"result"}),
        ("key check RING", 7, {"result"}, "key retire -q RING"),
    ],
    "s3-purge": [("s3 purge --needs RING s3://UPPER/", 3, {"result", "summary"}), ("s3 purge --needs RING s3://backups/", 0, {"summary"})],
    "s3-abort": [("s3 abort s3://UPPER/", 2, {"summary"}), ("s3 abort s3://backups/", 0, {"summary"})],
    "config-check": [("config check", 0, {"file"}), ("config check tree/plain a.bulla", 3, {"result"})],
}
# Which only keys on tokens and of services have; their tests are held against the schemas too.
ELSEWHERE = {"calls", "token", "facts"}
IN_BUCKETS = {"s3-purge": {"skipped"}, "s3-abort": {"result"}, "rewrap": {"cost"}}  # and these in tests/s3


def words(bulla, text):
    places = {name: f"{bulla.keys}/{name.lower()}" for name in ("RING", "OTHER", "PAIR", "OLD")} | {"KEYS": str(bulla.keys)}
    return re.sub("|".join(places), lambda match: places[match[0]], text).split()


def prepare(bulla, steps=""):
    for step in filter(None, steps.split("; ")):
        if step == "copy":  # with another state than that of the ring
            (bulla.keys / "old").write_bytes((bulla.keys / "ring").read_bytes())
            bulla("key", "disable", "-q", f"{bulla.keys}/old#ring:1")
        else:
            bulla(*words(bulla, step))


CASES = [(verb, *run) for verb, runs in RUNS.items() for run in runs]


@pytest.mark.parametrize("case", CASES, ids=[f"{case[1]} {case[2]} {number}" for number, case in enumerate(CASES)])
def test_shapes(bulla, world, case):
    verb, text, status, shapes, *before = case
    prepare(bulla, *before)
    args = [*words(bulla, text), "--json"]
    with empty_bucket() if verb.startswith("s3-") else contextlib.nullcontext({}) as env:
        done = bulla(*args, status=status, env=env)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert verb_of(args) == verb and {shape(verb, line) for line in lines} == shapes
    failures = [line for line in lines if line.get("status")]
    assert all(line["error"] in done.stderr.decode() for line in failures if "error" in line)
    assert bool(failures) or status in (0, 7, 9) or not lines or verb in IN_BUCKETS


def test_every_shape_is_seen():
    for verb, runs in RUNS.items():
        shapes = {one["$ref"].rpartition("/")[2] for one in validator(verb).schema["anyOf"]}
        assert shapes - ELSEWHERE - IN_BUCKETS.get(verb, set()) == set().union(*(run[2] for run in runs)), verb
    assert sorted([*RUNS, "progress"]) == sorted(path.name.removesuffix(".schema.json") for path in DIRECTORY.iterdir())


@pytest.mark.parametrize("change", [{"more": 1}, {"status": 12}, {"file": None}, {"bytes": "7"}, {"error": "x"}, {"status": 4}], ids=str)
def test_a_line_that_is_not_as_it_says_is_found(bulla, world, change):
    line = json.loads(bulla("verify", "--json", "-k", bulla.keys / "ring", "a.bulla").stdout)
    assert shape("verify", line) == "result"
    with pytest.raises(AssertionError):
        shape("verify", line | change)
    with pytest.raises(AssertionError):
        shape("verify", {name: value for name, value in line.items() if name != "file_id"})


def test_a_line_of_a_later_version_fits_what_is_published(bulla, world):
    line = json.loads(bulla("verify", "--json", "-k", bulla.keys / "ring", "a.bulla").stdout)
    failed = json.loads(bulla("verify", "--json", "-k", bulla.keys / "ring", "missing", status=10).stdout)
    assert published("verify").is_valid(line | {"more": {"later": [1]}}) and published("verify").is_valid(failed | {"status": 12})
    assert not published("verify").is_valid(line | {"bytes": "7"}) and not published("verify").is_valid(failed | {"status": 256})
