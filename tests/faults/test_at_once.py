"""Two runs at once: the first is stopped before each of its calls, the second does all it can; nothing is torn, and no status lies.

And one run with several threads."""

import shutil
import subprocess
import time

import pytest

from program import TIMEOUT
from sealed import content, many_keys
from step import Stepped, title
from sweep import Sweep, sample

PLAIN, OTHER = content(300_000), content(200_000, 1)
SAMPLE = 8  # points of a sweep in an ordinary run
PATIENCE = 0.3  # seconds for a second run that may have to wait for the first


class Meeting:
    """Two runs, each a list of commands, and what must be true afterwards."""

    patience = TIMEOUT
    directory = "work"  # or "keys": where the two meet
    unseen = {}  # calls of the first run before which the second is not tried

    def __init__(self, bulla):
        self.bulla, self.work = bulla, bulla.work
        self.ring = bulla.new_key("backup.ring")
        (self.work / "one").write_bytes(PLAIN)
        (self.work / "two").write_bytes(OTHER)
        self.kept = bulla.home / "kept"
        self.prepare()
        for directory in ("work", "keys"):
            shutil.copytree(getattr(bulla, directory), self.kept / directory)

    def fresh(self):
        for directory in ("work", "keys"):
            shutil.rmtree(getattr(self.bulla, directory))
            shutil.copytree(self.kept / directory, getattr(self.bulla, directory))

    def steps(self, run):
        """Stops at the calls that have to do with where they meet."""
        elsewhere = getattr(self.bulla, "keys" if self.directory == "work" else "work")
        inodes = {path.stat().st_ino for path in [elsewhere, *elsewhere.iterdir()]}
        return (call for call in run if call.inode not in inodes and call.name not in self.unseen)

    def prepare(self):
        pass

    def seal(self, *options):
        self.bulla("encrypt", "-k", self.ring, "-o", "x", *options, "one")

    def opened(self, name="x", key=None):
        return self.bulla("decrypt", "-k", key or self.ring, "-o", "-", name).stdout

    def one_wins(self, first, second, why):
        """One is done, the other is not and says why."""
        assert sorted([first[0], second[0]]) == [0, 9]
        assert why in (first[1] if first[0] else second[1])

    def left_over(self, *names):
        """No file but these is there."""
        assert sorted(p.name for p in self.work.iterdir()) == sorted(["one", "two", *names])


class Encrypts(Meeting):
    options = []

    def first(self):
        return ["encrypt", "-k", self.ring, "-o", "x", "one", *self.options]

    def second(self):
        return ["encrypt", "-k", self.ring, "-o", "x", "two", *self.options]

    def judge(self, first, second):
        self.one_wins(first, second, "already exists")
        assert self.opened() == (PLAIN if first[0] == 0 else OTHER)
        self.left_over("x")


class EncryptsDetached(Encrypts):
    options = ["--detach"]

    def left_over(self, *names):
        super().left_over(*names, "x.env")


class EncryptsByForce(Encrypts):
    """The first was the last to come to its end."""

    options = ["--force"]

    def prepare(self):
        (self.work / "x").write_bytes(b"old")

    def judge(self, first, second):
        assert (first[0], second[0]) == (0, 0)
        assert self.opened() in (PLAIN, OTHER)
        self.left_over("x")


class Decrypts(Encrypts):
    def prepare(self):
        for name in ("one", "two"):
            self.bulla("encrypt", "-k", self.ring, name)

    def first(self):
        return ["decrypt", "-k", self.ring, "-o", "x", "one.bulla"]

    def second(self):
        return ["decrypt", "-k", self.ring, "-o", "x", "two.bulla"]

    def judge(self, first, second):
        self.one_wins(first, second, "already exists")
        assert (self.work / "x").read_bytes() == (PLAIN if first[0] == 0 else OTHER)
        self.left_over("x", "one.bulla", "two.bulla")


class Rewraps(Meeting):
    """To another version of the key, and adding another key: both come to be, or one says that it did not."""

    options = []

    def prepare(self):
        self.seal(*self.options)
        self.old = self.bulla.keys / "old.ring"
        shutil.copy(self.ring, self.old)
        self.bulla("key", "rotate", self.ring)
        self.other = self.bulla.new_key("other.ring")

    def first(self):
        return ["rewrap", "-k", self.ring, "x"]

    def second(self):
        return ["rewrap", "-k", self.ring, "--add", self.other, "x"]

    def opens(self, key):
        """A ring that is older than the file says so."""
        return self.bulla("verify", "-q", "-k", key, "x", status=(0, 7 if key == self.old else 5)).returncode == 0

    def judge(self, first, second):
        assert 0 in (first[0], second[0])
        assert all(status == 0 or "another program" in said for status, said in (first, second))
        assert self.opens(self.ring) and self.opens(self.other) == (second[0] == 0)
        assert first[0] != 0 or not self.opens(self.old)
        assert set(self.bulla.inspect("x")[0]["copies"]) == {"good"}


class RewrapsDetached(Rewraps):
    options = ["--detach"]


class RewrapsSmall(Rewraps):
    """Each replaces the file: one that waited for a file that is gone says so."""

    def seal(self):
        (self.work / "one").write_bytes(PLAIN[:1000])
        super().seal()


class RewrapBesideDecrypt(Rewraps):
    """What is opened is authentic, whatever happens to the envelope meanwhile."""

    def second(self):
        return ["decrypt", "-k", self.ring, "-o", "y", "x"]

    def judge(self, first, second):
        assert (first[0], second[0]) == (0, 0)
        assert (self.work / "y").read_bytes() == PLAIN and not self.opens(self.old)


class DecryptBesideRewrap(RewrapBesideDecrypt):
    def first(self):
        return super().second()

    def second(self):
        return super().first()


class RewrapBesideEncrypt(Rewraps):
    """A rewrap that copies the file must not put the old content over what another run has put there."""

    def prepare(self):
        super().prepare()
        self.to = [word for key in [self.ring, *many_keys(self.bulla)] for word in ("--to", key)]

    def first(self):
        return ["rewrap", "-q", "-k", self.ring, *self.to, "x"]

    def second(self):
        return ["encrypt", "-k", self.ring, "--force", "-o", "x", "two"]

    def judge(self, first, second):
        assert second[0] == 0 and self.opened() == OTHER
        assert first[0] == 0 or "was replaced by another program" in first[1] or "changed while it was looked at" in first[1]
        self.left_over("x")


class RewrapBesideANewPair(RewrapBesideEncrypt):
    """Nor does an old envelope come to lie beside a new body, which nothing could open then."""

    options = ["--detach"]

    def second(self):
        encrypt = self.bulla.command(["encrypt", "-k", self.ring, "--detach", "-o", "x", "two"])
        return ["sh", "-c", 'rm x x.env && exec "$@"', "sh", *encrypt]

    def judge(self, first, second):
        assert second[0] == 0 and self.opened() == OTHER
        assert first[0] in (0, 1)
        self.left_over("x", "x.env")


class ReencryptBesideEncrypt(RewrapBesideEncrypt):
    def first(self):
        return ["reencrypt", "-k", self.ring, "x"]


class Reencrypts(Rewraps):
    def first(self):
        return ["reencrypt", "-k", self.ring, "x"]

    def second(self):
        return self.first()

    def judge(self, first, second):
        assert 0 in (first[0], second[0])
        assert all(status == 0 or "another program" in said for status, said in (first, second))
        assert self.opened() == PLAIN
        self.left_over("x")


class ReencryptBesideRewrap(Reencrypts):
    def second(self):
        return ["rewrap", "-k", self.ring, "x"]


class RewrapBesideReencrypt(Reencrypts):
    def first(self):
        return ["rewrap", "-k", self.ring, "x"]

    def second(self):
        return ["reencrypt", "-k", self.ring, "x"]


class ReencryptBesideVerify(Reencrypts):
    def second(self):
        return ["verify", "-q", "-k", self.ring, "x"]

    def judge(self, first, second):
        assert (first[0], second[0]) == (0, 0) and self.opened() == PLAIN
        self.left_over("x")


class VerifyBesideReencrypt(ReencryptBesideVerify):
    def first(self):
        return super().second()

    def second(self):
        return super().first()


class RestoreBesideRewrap(Rewraps):
    def prepare(self):
        super().prepare()
        self.envelope = self.bulla.home / "kept.env"
        self.bulla("envelope", "export", "-o", self.envelope, "x")

    def first(self):
        return ["envelope", "restore", "-k", self.ring, "--envelope", self.envelope, "--force", "x"]

    def second(self):
        return ["rewrap", "-k", self.ring, "x"]

    def judge(self, first, second):
        assert all(status == 0 or "another program" in said for status, said in (first, second))
        assert self.opened() == PLAIN and set(self.bulla.inspect("x")[0]["copies"]) == {"good"}


class Rotates(Meeting):
    patience, directory = PATIENCE, "keys"

    def first(self):
        return ["key", "rotate", self.ring]

    def second(self):
        return ["key", "rotate", self.ring]

    def judge(self, first, second):
        assert (first[0], second[0]) == (0, 0)
        assert self.bulla("key", "list", self.ring).stdout.count(b"retired") == 2
        assert len(list(self.bulla.keys.iterdir())) == 1


class RotateBesideEncrypt(Rotates):
    patience = TIMEOUT

    def second(self):
        return ["encrypt", "-k", self.ring, "-o", "x", "one"]

    def judge(self, first, second):
        assert (first[0], second[0]) == (0, 0) and self.opened() == PLAIN
        assert self.bulla("key", "list", self.ring).stdout.count(b"retired") == 1


class EncryptBesideRotate(RotateBesideEncrypt):
    """Nothing is sealed to a version that was retired meanwhile."""

    def first(self):
        return super().second()

    def second(self):
        return super().first()

    def judge(self, first, second):
        if first[0] == 0:
            super().judge(first, second)
            return
        assert (first[0], second[0]) == (7, 0) and "was rotated meanwhile" in first[1]
        self.left_over()


class NewKeys(Meeting):
    patience, directory = PATIENCE, "keys"

    def first(self):
        return ["key", "new", "-q", self.bulla.keys / "new.ring"]

    def second(self):
        return self.first()

    def judge(self, first, second):
        self.one_wins(first, second, "already exists")
        assert self.bulla("key", "list", self.bulla.keys / "new.ring").stdout.count(b"active") == 1


class NewKeysInOneRing(NewKeys):
    def first(self):
        return ["key", "new", "-q", f"{self.ring}#a"]

    def second(self):
        return ["key", "new", "-q", f"{self.ring}#b"]

    def judge(self, first, second):
        assert (first[0], second[0]) == (0, 0)
        assert self.bulla("key", "list", self.ring).stdout.count(b"active") == 3


MEETINGS = [Encrypts, EncryptsDetached, EncryptsByForce, Decrypts, Rewraps, RewrapsDetached, RewrapsSmall, RewrapBesideDecrypt, DecryptBesideRewrap,
            RewrapBesideEncrypt, RewrapBesideANewPair, ReencryptBesideEncrypt, Reencrypts, ReencryptBesideRewrap, RewrapBesideReencrypt,
            ReencryptBesideVerify, VerifyBesideReencrypt, RestoreBesideRewrap, Rotates, RotateBesideEncrypt, EncryptBesideRotate,
            NewKeys, NewKeysInOneRing]  # fmt: skip


def start_second(meeting):
    command = meeting.second()
    command = command if command[0] == "sh" else meeting.bulla.command(command)
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **meeting.bulla.setting())


def meet(meeting, library, number):
    """Both runs, the second begun when the first comes to that call; returns status and words of each."""
    meeting.fresh()
    first = Stepped(meeting.bulla, library, *meeting.first())
    for n, _ in enumerate(meeting.steps(first)):
        if n == number:
            break
    second = start_second(meeting)
    try:
        second.wait(meeting.patience)
    except subprocess.TimeoutExpired:
        pass
    ended = first.go_on()
    out, err = second.communicate()
    meeting.bulla.check(out, err)
    return ended, (second.returncode, err.decode())


def sweep_meeting(name, m, library):
    m.fresh()
    alone = Stepped(m.bulla, library, *m.first())
    number = sum(1 for _ in m.steps(alone))
    assert alone.end()[0] == 0
    with Sweep("two runs at once", name) as sweep:
        for n in sample(range(number), SAMPLE):
            first, second = meet(m, library, n)
            m.judge(first, second)
            sweep.point("both done" if first[0] == second[0] == 0 else "one done, the other told")


@pytest.mark.parametrize("meeting", MEETINGS, ids=title)
def test_two_at_once(bulla, step_library, meeting):
    sweep_meeting(title(meeting), meeting(bulla), step_library)


def test_two_at_once_without_o_tmpfile(bulla, step_library, named_library):
    """A result has a name of its own from the beginning, and is renamed only where nothing is."""
    bulla.environment["LD_PRELOAD"] = str(named_library)
    sweep_meeting("encrypts, no O_TMPFILE", Encrypts(bulla), f"{step_library}:{named_library}")


@pytest.mark.parametrize("verb", ["encrypt", "decrypt"])
def test_files_of_several_directories_are_done_at_once(bulla, ring, step_library, verb):
    """No file gets its name before each thread has one that is ready to get it; each lies in a directory of its own."""
    threads, work = 3, bulla.work
    for n in range(threads):
        (work / f"t/{n}/in").mkdir(parents=True)
        (work / f"t/{n}/in/f").write_bytes(PLAIN)
    (work / "out").mkdir()
    (work / "back").mkdir()
    where = ["t", "-o", "out"]
    if verb == "decrypt":
        bulla("encrypt", "-k", ring, "-r", *where)
        where = ["out", "-o", "back"]
    run, ready = Stepped(bulla, step_library, verb, f"-j{threads}", "-k", ring, "-r", *where), set()
    patience = time.monotonic() + TIMEOUT / 2  # with a bulla that does them one after the other
    for call in run:
        ready |= {call.inode} if call.name == "linkat" else set()
        run.waits = call.name == "linkat" and len(ready) < threads and time.monotonic() < patience
        if call.name == "linkat" and not run.waits:
            break
    assert len(ready) == threads
    assert run.go_on()[0] == 0


@pytest.mark.parametrize("last", [0, 1])
@pytest.mark.parametrize("order", ["a b", "b a"])
@pytest.mark.parametrize("verb", ["encrypt", "decrypt"])
def test_two_sources_of_one_result(bulla, ring, step_library, verb, order, last):
    """Both results are ready before either is put in the one place; the second is refused, and its source stays."""
    work, plain = bulla.work, {"a": PLAIN, "b": OTHER}
    name = "x" if verb == "encrypt" else "x.bulla"
    for directory, what in plain.items():
        (work / directory).mkdir()
        (work / directory / "x").write_bytes(what)
        if verb == "decrypt":
            bulla("encrypt", "-k", ring, "--remove-source", work / directory / "x")
    (work / "out").mkdir()
    run = Stepped(bulla, step_library, verb, "-j2", "-k", ring, "--force", "--remove-source", "-o", "out", *(f"{o}/{name}" for o in order.split()))
    ready, placed, patience = [], False, time.monotonic() + TIMEOUT / 2
    for call in run:
        if call.name == "fchmod" and call.inode not in ready:
            ready.append(call.inode)
        placed = placed or call.name == "renameat"
        late = len(ready) < 2 or not placed and call.inode == ready[last]
        run.waits = call.name == "fchmod" and late and time.monotonic() < patience
    status, said = run.end()
    assert len(ready) == 2 and status == 3 and "is another result of this run" in said
    (kept,) = (o for o in plain if (work / o / name).exists())
    (won,) = set(plain) - {kept}
    back = bulla("decrypt", "-k", ring, "-o", "-", "out/x.bulla").stdout if verb == "encrypt" else (work / "out/x").read_bytes()
    assert back == plain[won] and len(list((work / "out").iterdir())) == 1
