"""Every byte of an envelope changed, and slots planted, dropped, doubled and swapped: no file is believed for another's sake, and no
rewrap makes one worse."""

import json
import random
import shutil

import pytest

from planted import LARGE, PLAIN, Victim, kms_slot, made_by_hand, of_version, slots_of, unknown_slot
from sweep import Sweep, sample

KINDS = ["small", "large", "two recipients", "passphrase", "kms", "unknown method"]
SAMPLE = 40  # of the files that are made of one, in an ordinary run
MODES = {"refresh": [], "refresh of both": ["-k", "b"], "--to": ["--to", "b"], "--add": ["--add", "b"], "--add, shared": ["--add", "b", "--share-branch"],
         "--remove": ["-k", "b", "--remove", "b"], "--to itself": ["-k", "b", "--to", "a"]}  # fmt: skip


class World:
    """Keys a and b, and the passphrase p; files of several runs; a has moved on to version 2."""

    def __init__(self, bulla, late):
        self.bulla, self.work = bulla, bulla.work
        self.rings = {name: bulla.new_key(f"{name}.ring") for name in "ab"}
        bulla.environment |= late()
        a, b = (["-k", ring] for ring in self.rings.values())
        seal = lambda name, *keys, data=PLAIN: bulla.seal(*keys[1:2], data, *keys[2:], name=name).read_bytes()
        self.victims = {"small": seal("small", *a), "large": seal("large", *a, data=LARGE), "two recipients": seal("two", *a, *b)}
        (bulla.home / "phrase").write_bytes(b"correct horse")
        bulla.environment["BULLA_PASSPHRASE_FILE"] = bulla.environment["BULLA_NEW_PASSPHRASE_FILE"] = str(bulla.home / "phrase")
        self.victims["passphrase"] = seal("phrase", *a, "-k", "passphrase:")
        key = json.loads(self.rings["a"].read_text())["keys"][0]
        self.victims |= {"kms": made_by_hand(key, kms_slot(1)), "unknown method": made_by_hand(key, unknown_slot(1))}
        self.good = {"other run": seal("run", *a), "other context": seal("context", *a, "--context", "host=x"), "other key": seal("b", *b)}
        bulla("key", "rotate", "-q", self.rings["a"])
        self.good["next version"] = seal("next", *a)

    def foreign(self):
        """The slots that the attacker has or makes."""
        taken = {f"slot of {name}": slots_of(data)[0] for name, data in self.good.items()}
        own = slots_of(self.victims["small"])[0]
        made = {f"random slot of version {version}": of_version(own, version, "random") for version in (1, 2, 3)}
        made["random slot of b"] = of_version(slots_of(self.good["other key"])[0], 1, "random")
        return {**taken, **made, "a slot of KMS": kms_slot(2).raw, "an unknown slot": unknown_slot(2).raw}

    def lay_out(self, directory, made):
        """The files that were made, between good ones; their names in the archive."""
        directory.mkdir()
        for number, data in enumerate(made):
            (directory / f"m{number:05}.bulla").write_bytes(data)
        for number, data in enumerate([*self.good.values(), *self.victims.values()]):
            for place in ("a", "m00010"):
                (directory / f"{place}-good{number}.bulla").write_bytes(data)
        return sorted(f"{directory.name}/{path.name}" for path in directory.iterdir())

    def rows(self, *args, status=(0, 3, 4, 5, 7, 8)):
        """What --json says of each file."""
        out = self.bulla(*args, "--json", "-q", status=status).stdout
        return {row["file"]: row for row in map(json.loads, out.splitlines()) if "file" in row}

    def keys(self, names):
        return [word for name in names for word in ("-k", self.rings.get(name, "passphrase:"))]

    def opening(self, names):
        """The keys that open each file, to what was sealed."""
        found = {name: set() for name in names}
        for key in "abp":
            out = self.work / "out"
            out.mkdir()
            for name, row in self.rows("decrypt", *self.keys(key), "--sync", "none", "-o", out, *names).items():
                if row["status"] == 0:
                    assert (out / name.split("/")[1].removesuffix(".bulla")).read_bytes() in (PLAIN, LARGE)
                    found[name].add(key)
            shutil.rmtree(out)
        return found


@pytest.fixture
def world(bulla, late):
    return World(bulla, late)


def check_together(world, names, made):
    """In any order and with any number of threads, verify says of each file what it says of it alone."""
    for keys in ("a", "ab"):
        alone = {name: world.rows("verify", *world.keys(keys), name)[name]["status"] for name in names if "good" not in name}
        for number, jobs in enumerate(("-j1", "-j4", "-j1")):
            order = sorted(names, reverse=number == 1)
            if number == 2:
                random.Random(1).shuffle(order)
            together = world.rows("verify", *world.keys(keys), jobs, *order)
            wrong = {made[name]: (status, together[name]["status"]) for name, status in alone.items() if together[name]["status"] != status}
            assert not wrong, f"verify -k {keys} {jobs} says of files alone, and among others: {wrong}"


def fits(mode, before, after, row, same):
    """Whether a file is no worse than it was before the rewrap: it opens with the keys that it had and those it was to have, and no others."""
    if row["status"] != 0:
        return same or before <= after
    if row["outcome"] == "other":
        return same
    kept = before - {"b"} if mode == "--remove" else set() if mode.startswith("--to") else before
    new = {"--to": {"b"}, "--to itself": {"a"}, "--add": {"b"}, "--add, shared": {"b"}}.get(mode, set())
    return kept | new <= after <= before | new and bool(after)


def check_proof(world, names, before, made):
    """What neither status nor 'key destroy --check' names opens without the version, if it opened at all; returns that."""
    reference, ring = f"{world.rings['a']}#a:1", world.rings["a"].read_bytes()
    destroy = lambda files, status: world.bulla("key", "destroy", "--force", *(f"--check={name}" for name in files), reference, status=status)
    asked = destroy(names, (0, 3, 7))
    if asked.returncode == 0:
        world.rings["a"].write_bytes(ring)
    rows = world.rows("status", "--needs", reference, *names)
    proved = [name for name in names if name.encode() not in asked.stderr and rows[name]["status"] == 0 and not rows[name]["needs"]]
    destroy(proved, 0)
    left = world.opening(proved)
    world.rings["a"].write_bytes(ring)
    lost = [made.get(name, name) for name in proved if before[name] and not left[name]]
    assert not lost, f"version 1 was destroyed, and these needed it: {lost}"
    return set(proved)


def check_rewrap(world, names, made, before, mode, sweep):
    kept = {name: (world.work / name).read_bytes() for name in names}
    words = [str(world.rings.get(word, word)) for word in MODES[mode]]
    rows = world.rows("rewrap", *world.keys("a"), *words, "--sync", "none", "-j2", *random.Random(2).sample(names, len(names)))
    after = world.opening(names)
    for name in names:
        same = (world.work / name).read_bytes() == kept[name]
        told = f"{made.get(name, name)}: rewrap ({mode}) said {rows[name]}, and it opens with {after[name]}, before with {before[name]}"
        assert fits(mode, before[name], after[name], rows[name], same), told
        sweep.point(f"{mode}: {'refused' if rows[name]['status'] else rows[name]['outcome']}")
    proved = check_proof(world, names, before, made)
    if mode == "refresh":
        assert {name for name in names if rows[name].get("outcome") == "rewrapped"} <= proved
        assert all(rows[name].get("outcome") in ("rewrapped", "current") for name in names if "good" in name and "a" in before[name])
    for name, data in kept.items():
        (world.work / name).write_bytes(data)


@pytest.mark.parametrize("kind", KINDS)
def test_every_byte_and_every_slot(world, kind):
    variants = sample(Victim(world.victims[kind]).variants(world.foreign()), SAMPLE)
    with Sweep("planted", kind) as sweep:
        names = world.lay_out(world.work / "t", [data for _, data in variants])
        made = dict(zip((name for name in names if "good" not in name), (name for name, _ in variants)))
        check_together(world, names, made)
        before = world.opening(names)
        check_proof(world, names, before, made)
        for mode in MODES:
            check_rewrap(world, names, made, before, mode, sweep)
        assert any(before[name] for name in made) and not all(before[name] for name in made)


@pytest.mark.parametrize("given", ["p.ring", "p.pub"])
@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("copies", ["A", "B", "both"])
def test_key_that_only_a_planted_slot_names_gets_nothing(world, given, version, copies):
    """Whoever owns the key and can write there would read a file that was never sealed to it."""
    bulla, pair = world.bulla, world.bulla.keys / "p.ring"
    bulla("key", "new", "-q", "--kind", "x25519", pair)
    bulla("key", "rotate", "-q", pair)
    bulla("key", "export-public", "-q", pair, "-o", bulla.keys / "p.pub")
    slot = of_version(slots_of(bulla.seal(pair, PLAIN, name="theirs").read_bytes())[0], version, "planted")
    victim = Victim(world.victims["small"])
    path = world.work / "planted.bulla"
    path.write_bytes(victim.with_content(dict(victim.contents({"p": slot}))["p at the end"], copies))
    before = path.read_bytes()
    done = bulla("rewrap", "-k", world.rings["a"], "-k", bulla.keys / given, path, status=4)
    assert f"its slot of p v{version} (".encode() in done.stderr and b"may have been put there by anybody\n" in done.stderr
    assert path.read_bytes() == before
    bulla("decrypt", "-k", pair, "-o", "-", path, status=5)
    bulla("rewrap", "-k", world.rings["a"], "--remove", bulla.keys / given, path)
    bulla("decrypt", "-k", pair, "-o", "-", path, status=5)
    bulla("verify", "-k", world.rings["a"], path)
