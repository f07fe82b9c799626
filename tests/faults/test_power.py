"""The power is cut before each call that changes the disk, and after the end: what was there is old or new, and new after exit 0."""

import itertools
import os
import random
import shutil

import pytest

from disk import CUTS
from sealed import BODY, REGION, content, flip, layout, many_keys
from step import WRITES, Stepped, title
from sweep import ALL, Sweep, sample

PLAIN, OTHER = content(2_000_000), content(50_000)  # PLAIN has eight batches: from the fifth on, other threads help
IN_PLACE = content(70_000)  # OTHER is smaller: its envelope is not written over, but the file replaced
OLD = 1_000_000_000  # seconds: the time of a directory
SAMPLE = 9  # points of a sweep in an ordinary run


class Scene:
    """What is done on the disk, beginning from what prepare leaves there."""

    def __init__(self, bulla, disk, threads=1):
        self.bulla, self.at, self.j = bulla, disk.at, f"-j{threads}"
        self.ring, self.plain = bulla.new_key("backup.ring"), bulla.work / "plain"
        self.plain.write_bytes(PLAIN)
        self.environment = {}
        self.prepare()
        disk.keep()

    def prepare(self):
        pass

    def command(self):
        """The arguments of bulla."""

    def state(self):
        """Whether the disk has the old or the new state; anything else is an error."""

    def again(self):
        """After a cut the same command is done, where it can be repeated."""

    def seal(self, name, data, *options):
        self.bulla("encrypt", "-k", self.ring, *options, "-o", self.at / name, stdin=data)

    def holds(self, name, *options, key=None):
        """What a sealed file opens to."""
        return self.bulla("decrypt", "-j1", "-k", key or self.ring, *options, "-o", "-", self.at / name).stdout

    def there(self, name):
        return (self.at / name).exists()


class Encrypt(Scene):
    def command(self):
        return ["encrypt", "-k", self.ring, self.j, "-o", self.at / "x", self.plain]

    def state(self):
        if not self.there("x"):
            return "old"
        assert self.holds("x") == PLAIN
        return "new"


class EncryptOver(Encrypt):
    def prepare(self):
        self.seal("x", OTHER)

    def command(self):
        return [*super().command(), "--force"]

    def state(self):
        got = self.holds("x")
        assert got in (OTHER, PLAIN)
        return "old" if got == OTHER else "new"


class EncryptOverAtTheEnd(EncryptOver):
    """--sync=end: what is replaced is durable at once all the same."""

    def command(self):
        return [*super().command(), "--sync=end"]


class EncryptDetached(Encrypt):
    """An envelope alone does no harm; a body is never alone."""

    def command(self):
        return [*super().command(), "--detach"]


class EncryptAndRemove(Scene):
    def prepare(self):
        shutil.copy(self.plain, self.at / "f")

    def command(self):
        return ["encrypt", "-k", self.ring, self.j, "--remove-source", self.at / "f"]

    def state(self):
        if self.there("f"):
            assert (self.at / "f").read_bytes() == PLAIN
            return "old"
        assert self.holds("f.bulla") == PLAIN
        return "new"


class Decrypt(Scene):
    def prepare(self):
        self.seal("x", PLAIN)

    def command(self):
        return ["decrypt", "-k", self.ring, self.j, "-o", self.at / "f", self.at / "x"]

    def state(self):
        assert self.holds("x") == PLAIN
        if not self.there("f"):
            return "old"
        assert (self.at / "f").read_bytes() == PLAIN
        return "new"


class DecryptOver(Decrypt):
    def prepare(self):
        super().prepare()
        (self.at / "f").write_bytes(OTHER)

    def command(self):
        return [*super().command(), "--force"]

    def state(self):
        got = (self.at / "f").read_bytes()
        assert got in (OTHER, PLAIN)
        return "old" if got == OTHER else "new"


class Tree(Scene):
    """--sync=end: the files and directories of a run are sure when it has ended."""

    files = {f"sub/{n}": content(50_000, n) for n in range(4)} | {"sub/large": PLAIN, "top/deep/f": content(50_000, 5)}
    directories = {"sub": 0o750, "top/deep": 0o500, "top": 0o711, "void": 0o555}

    def prepare(self):
        for directory in self.directories:
            (self.bulla.work / "t" / directory).mkdir(parents=True, exist_ok=True)
        for name, data in self.files.items():
            (self.bulla.work / "t" / name).write_bytes(data)
        for directory, mode in self.directories.items():
            (self.bulla.work / "t" / directory).chmod(mode)
            os.utime(self.bulla.work / "t" / directory, (OLD, OLD))
        (self.at / "out").mkdir()

    def directories_are_whole(self):
        """With the looks of those they go with."""
        there = {name: os.stat(self.at / "out" / name) for name in self.directories if self.there(f"out/{name}")}
        return {name: (st.st_mode & 0o7777, st.st_mtime) for name, st in there.items()} == {
            name: (mode, OLD) for name, mode in self.directories.items()}  # fmt: skip

    def command(self):
        return ["encrypt", "-k", self.ring, self.j, "--sync=end", "-r", "-o", self.at / "out", self.bulla.work / "t"]

    def state(self):
        if not all(self.there(f"out/{name}.bulla") for name in self.files):
            return "old"
        done = self.bulla("decrypt", "-k", self.ring, "-o", "-", *(self.at / f"out/{n}.bulla" for n in self.files), status=(0, 3))
        whole = done.stdout == b"".join(self.files.values())
        return "new" if whole and self.directories_are_whole() else "old"


class TreeEach(Tree):
    """--sync=each: each file is whole as soon as it has its name."""

    def command(self):
        return [word for word in super().command() if word != "--sync=end"]

    def state(self):
        there = [name for name in self.files if self.there(f"out/{name}.bulla")]
        for name in there:
            assert self.holds(f"out/{name}.bulla") == self.files[name]
        return "new" if there == list(self.files) and self.directories_are_whole() else "old"


class Rewrap(Scene):
    """Opens by the old version of the key or the new one; and the same rewrap, done again, completes."""

    options, content = [], PLAIN

    def prepare(self):
        self.seal("x", self.content, *self.options)
        self.old = self.bulla.keys / "old.ring"
        shutil.copy(self.ring, self.old)
        self.bulla("key", "rotate", self.ring)

    def command(self):
        return ["rewrap", "-k", self.ring, self.at / "x"]

    def state(self):
        assert self.holds("x") == self.content
        return "old" if self.bulla("verify", "-k", self.old, self.at / "x", status=(0, 7)).returncode == 0 else "new"

    def again(self):
        self.bulla(*self.command())
        assert self.state() == "new"
        assert all(copy == "good" for copy in self.bulla.inspect(self.at / "x")[0]["copies"])


class RewrapSmall(Rewrap):
    content = OTHER


class RewrapNames(RewrapSmall):
    """A file with two names: each opens at any time."""

    def prepare(self):
        super().prepare()
        (self.at / "y").hardlink_to(self.at / "x")

    def command(self):
        return [*super().command(), self.at / "y"]

    def state(self):
        assert self.holds("y") == self.content
        with_old = self.bulla("verify", "-k", self.old, self.at / "y", status=(0, 7)).returncode == 0
        return "old" if super().state() == "old" or with_old else "new"


class RewrapDetached(Rewrap):
    options = ["--detach"]


class RewrapDetachedUnsynced(RewrapDetached):
    """--sync=none: what replaces a file is durable first all the same."""

    def command(self):
        return [*super().command(), "--sync=none"]


class RewrapThatGrows(Rewrap):
    def prepare(self):
        super().prepare()
        self.to = [word for key in [self.ring, *many_keys(self.bulla)] for word in ("--to", key)]

    def command(self):
        return ["rewrap", "-q", "-k", self.ring, *self.to, self.at / "x"]

    def again(self):
        super().again()
        assert self.bulla.inspect(self.at / "x")[0]["region"] > REGION


class Reencrypt(Scene):
    def prepare(self):
        self.seal("x", PLAIN)
        self.before = (self.at / "x").read_bytes()

    def command(self):
        return ["reencrypt", "-k", self.ring, self.j, self.at / "x"]

    def state(self):
        assert self.holds("x") == PLAIN
        return "old" if (self.at / "x").read_bytes() == self.before else "new"

    def again(self):
        self.bulla(*self.command())
        assert self.state() == "new"


class Restore(Scene):
    """An envelope put back where both copies are gone."""

    content = PLAIN

    def prepare(self):
        self.seal("x", self.content)
        self.env = self.bulla.work / "env"
        self.bulla("envelope", "export", "-o", self.env, self.at / "x")
        whole = (self.at / "x").read_bytes()
        (self.at / "x").write_bytes(flip(flip(whole, 100), layout(whole).region + 100))

    def command(self):
        return ["envelope", "restore", "-k", self.ring, "--envelope", self.env, self.at / "x"]

    def state(self):
        assert self.holds("x", "--envelope", self.env) == self.content
        return "new" if self.bulla("verify", "-q", "-k", self.ring, self.at / "x", status=(0, 4)).returncode == 0 else "old"

    def again(self):
        self.bulla(*self.command())
        assert self.state() == "new"


class RestoreSmall(Restore):
    content = OTHER


class Export(Scene):
    def prepare(self):
        self.seal("x", PLAIN)

    def command(self):
        return ["envelope", "export", "-o", self.at / "env", self.at / "x"]

    def state(self):
        if not self.there("env"):
            return "old"
        assert self.holds("x", "--envelope", self.at / "env") == PLAIN
        return "new"


class NewKey(Scene):
    def command(self):
        return ["key", "new", "-q", self.at / "r"]

    def versions(self):
        listed = self.bulla("key", "list", self.at / "r").stdout
        return listed.count(b"active") + listed.count(b"retired")

    def state(self):
        if not self.there("r"):
            return "old"
        assert self.versions() == 1
        return "new"


class Rotate(NewKey):
    def prepare(self):
        self.bulla("key", "new", "-q", self.at / "r")
        self.sealed = self.bulla.seal(self.at / "r", OTHER)

    def command(self):
        return ["key", "rotate", self.at / "r"]

    def state(self):
        assert self.bulla("decrypt", "-k", self.at / "r", "-o", "-", self.sealed).stdout == OTHER
        return "old" if self.versions() == 1 else "new"


class Passphrase(Rotate):
    def prepare(self):
        super().prepare()
        (self.bulla.home / "passphrase").write_text("the one of the test")
        self.environment = {f"BULLA_{which}PASSPHRASE_FILE": str(self.bulla.home / "passphrase") for which in ("", "NEW_")}

    def command(self):
        return ["key", "passphrase", self.at / "r"]

    def state(self):
        done = self.bulla("decrypt", "-k", self.at / "r", "-o", "-", self.sealed, env=self.environment)
        assert done.stdout == OTHER
        return "new" if b'"wrapped"' in (self.at / "r").read_bytes() else "old"


SCENES = [Encrypt, EncryptOver, EncryptOverAtTheEnd, EncryptDetached, EncryptAndRemove, Decrypt, DecryptOver, Tree, TreeEach,
          Rewrap, RewrapSmall, RewrapNames, RewrapDetached, RewrapDetachedUnsynced, RewrapThatGrows, Reencrypt, Restore, RestoreSmall, Export, NewKey, Rotate, Passphrase]  # fmt: skip
BODIES = [Encrypt, EncryptOver, EncryptDetached, EncryptAndRemove, Decrypt, DecryptOver, Tree, TreeEach, Reencrypt]  # that threads share


def done(run):
    status, said = run.end()
    if status != 0:
        raise RuntimeError(f"exit status {status}: {said}")  # no AssertionError: those are faults of what is on the disk


def changes(run, disk):
    """Stops at each call that changes the disk."""
    return (call for call in run if call.device == disk.device and call.name in WRITES)


def cut_at(scene, disk, library, number, how, left_out=None):
    """Cuts the power before that call, or after the end if it is None; returns the state of the disk afterwards."""
    disk.fresh()
    run = Stepped(scene.bulla, library, *scene.command(), env=scene.environment, left_out=left_out)
    for n, _ in enumerate(changes(run, disk)):
        if n == number:
            break
    if number is None:
        done(run)
        disk.cut(how)
    else:
        disk.cut(how)
        run.kill()
    disk.power_on()
    return scene.state()


def count(scene, disk, library):
    disk.fresh()
    run = Stepped(scene.bulla, library, *scene.command(), env=scene.environment)
    number = sum(1 for _ in changes(run, disk))
    done(run)
    return number


RUNS = {title(scene): (scene, 1) for scene in SCENES} | {f"{title(scene)}, 4 threads": (scene, 4) for scene in BODIES}


@pytest.mark.parametrize("name", RUNS)
def test_power_cut(bulla, disk, step_library, name):
    scene, threads = RUNS[name]
    s = scene(bulla, disk, threads)
    assert s.state() == "old"
    with Sweep("power cut", name) as sweep:
        points = itertools.product(range(count(s, disk, step_library)), CUTS)
        for number, how in sample(points, SAMPLE):
            state = cut_at(s, disk, step_library, number, how)
            s.again()
            sweep.point(f"{state} state, whole")
        for how in CUTS:
            assert cut_at(s, disk, step_library, None, how) == "new", "what was done when bulla said so is lost"
            sweep.point("new state after exit 0")


# What the sweep above is worth: a bulla that leaves out a sync is caught by it.

SYNCS = {"fsync", "fdatasync", "syncfs"}
NEW_FILES = [Encrypt, EncryptOver, EncryptDetached, Decrypt, DecryptOver, RewrapSmall, RewrapNames, RewrapDetached, RewrapThatGrows, RestoreSmall, Export, NewKey, Rotate, Passphrase]
READ_BACK = [EncryptAndRemove, Reencrypt]  # the system writes their bytes when they are to be read from the disk again


def faults(scene, disk, library, left_out):
    """How many cuts after the end show a fault."""
    found = 0
    for how in CUTS:
        try:
            found += cut_at(scene, disk, library, None, how, left_out) != "new"
        except AssertionError:
            found += 1
    return found


@pytest.mark.parametrize("scene", [*NEW_FILES, Tree, Rewrap, Restore], ids=title)
def test_missing_sync_of_a_file_is_found(bulla, disk, step_library, scene):
    s = scene(bulla, disk)
    directory = os.stat(disk.at).st_ino
    assert faults(s, disk, step_library, lambda call: call.name in SYNCS and call.inode != directory)


@pytest.mark.parametrize("scene", [*NEW_FILES, *READ_BACK], ids=title)
def test_missing_sync_of_a_directory_is_found(bulla, disk, step_library, scene):
    s = scene(bulla, disk)
    directory = os.stat(disk.at).st_ino
    assert faults(s, disk, step_library, lambda call: call.name in SYNCS and call.inode == directory)


# An envelope that is written over in its place. A disk stores what was not synced sector by sector, in any order: some are new, some old.

SECTOR = 512
MIXES = 4  # of old and new sectors at each step, in an ordinary run
ALL_MIXES = 100


def mixed(old, new, random):
    """Some sectors of the old bytes and some of the new."""
    pick = [random.choice([old, new]) for _ in range(0, len(old), SECTOR)]
    return b"".join(which[n * SECTOR : (n + 1) * SECTOR] for n, which in enumerate(pick))


class Torn:
    """A rewrap in place of a file with several keys, or a restored envelope; each step leaves what the disk may have then."""

    def __init__(self, bulla, damaged):
        self.bulla, self.damaged = bulla, damaged
        self.ring = bulla.new_key("backup.ring")
        self.keys = [self.ring]
        for n in range(6):
            bulla("key", "new", "-q", f"{self.ring}#k{n}")
            self.keys.append(f"{self.ring}#k{n}")
        options = [word for key in self.keys[1:] for word in ("-k", key)]
        self.path = bulla.seal(f"{self.ring}#backup", IN_PLACE, *options)
        self.env = bulla.work / "env"
        bulla("envelope", "export", "-o", self.env, self.path)
        if damaged is not None:
            self.path.write_bytes(flip(self.path.read_bytes(), damaged * REGION + 100))
        for key in ("backup", "k0", "k1"):
            bulla("key", "rotate", f"{self.ring}#{key}")

    def command(self, verb):
        keys = [word for key in ("backup", "k0", "k1") for word in ("-k", f"{self.ring}#{key}")]
        return ["rewrap", *keys, self.path] if verb == "rewrap" else ["envelope", "restore", "--force", "--envelope", self.env, self.path]

    def states(self, library, verb, mixes, left_out=None):
        """What the envelope may be on the disk, at each step of a run and at its end."""
        rng, inode = random.Random(1), os.stat(self.path).st_ino
        durable = now = self.read()
        run = Stepped(self.bulla, library, *self.command(verb), left_out=left_out)
        for call in run:
            now = self.read()
            if call.inode != inode or call.name not in WRITES or now == durable:
                continue
            yield from (mixed(durable, now, rng) for _ in range(mixes))
            if call.name in SYNCS and not run.skips:
                durable = now
        done(run)
        assert self.read() == durable, "it said it was done before it was durable"

    def read(self):
        return self.path.read_bytes()[:BODY]

    def opens(self, state):
        """Whether a key that it had before and has afterwards opens it in that state."""
        torn = self.path.with_name("torn")
        torn.write_bytes(state + self.path.read_bytes()[BODY:])
        done = self.bulla("decrypt", "-q", "-k", f"{self.ring}#k5", "-o", "-", torn, status=(0, 4))
        return done.stdout == IN_PLACE


@pytest.mark.parametrize("damaged", [None, 0, 1], ids=["whole", "A damaged", "B damaged"])
@pytest.mark.parametrize("verb", ["rewrap", "restore"])
def test_torn_envelope_opens(bulla, step_library, verb, damaged):
    torn = Torn(bulla, damaged)
    with Sweep("torn sectors", f"{verb}, {damaged}") as sweep:
        for state in torn.states(step_library, verb, ALL_MIXES if ALL else MIXES):
            assert torn.opens(state)
            sweep.point("opens")


@pytest.mark.parametrize("verb", ["rewrap", "restore"])
def test_missing_sync_between_the_copies_is_found(bulla, step_library, verb):
    torn, seen = Torn(bulla, None), []

    def first_sync(call):
        seen.extend([call] if call.name == "fdatasync" else [])
        return seen == [call]

    assert not all([torn.opens(state) for state in torn.states(step_library, verb, 20, first_sync)])
