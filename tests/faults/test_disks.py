"""No room: full disks, limits of file sizes, and standard streams that are full, gone or closed."""

import functools
import itertools
import os
import re
import subprocess

import pytest

from sealed import BODY, REGION, content, edit_ring, flip, many_keys, snapshot
from sweep import Sweep, sample

PLAIN, OTHER = content(100_000), content(90_000, 1)
SAMPLE = 6  # points of a sweep in an ordinary run
PAGE = 4096
FULL = ("No space left on device", "File too large")


SEALED = {"encrypt": "f.bulla", "encrypt by force": "x", "encrypt, detached": "f.bulla", "encrypt, and remove": "f.bulla",
          "encrypt a tree": "t/f.bulla", "encrypt a stream": "out"}  # fmt: skip


def overdue(ring):
    """So that there is a warning to print while files are open."""
    ring["keys"][0]["rotate-after-days"] = 1
    for version in ring["keys"][0]["versions"]:
        version["created"] = "2020-01-01T00:00:00Z"


class Room:
    """A directory with something of each kind, and the verbs that write there; fresh makes it as it was."""

    def __init__(self, bulla, at):
        self.bulla, self.at = bulla, at
        self.ring = bulla.new_key("backup.ring")
        self.seal("x")
        self.seal("y", "--detach")
        self.seal("grows")
        bulla("envelope", "export", "-o", at / "env", at / "x")
        bulla("key", "rotate", self.ring)
        edit_ring(self.ring, overdue)
        bulla("key", "new", "-q", at / "ring")
        (at / "f").write_bytes(OTHER)
        (at / "t").mkdir()
        (at / "t" / "f").write_bytes(PLAIN)
        damaged = (at / "x").read_bytes()
        (at / "damaged").write_bytes(flip(damaged, 100))  # copy A, so that there is a warning to print
        (bulla.home / "passphrase").write_text("the one of the test")
        self.kept = {path: path.read_bytes() for path in at.rglob("*") if path.is_file()}

    def seal(self, name, *options):
        self.bulla("encrypt", "-k", self.ring, *options, "-o", self.at / name, stdin=PLAIN)

    def fresh(self):
        for path in self.at.rglob("*"):
            if path.is_file() and path not in self.kept:
                path.unlink()
        for path, data in self.kept.items():
            if not path.exists() or path.read_bytes() != data:
                path.write_bytes(data)

    @functools.cached_property
    def many_keys(self):
        return [word for key in many_keys(self.bulla) for word in ("--add", key)]

    def command(self, verb):
        at, key = self.at, ["-k", self.ring]
        if verb == "rewrap that grows":
            return ["rewrap", *key, *self.many_keys, at / "grows"]
        return {
            "encrypt": ["encrypt", *key, at / "f"],
            "encrypt by force": ["encrypt", *key, "--force", "-o", at / "x", at / "f"],
            "encrypt, detached": ["encrypt", *key, "--detach", at / "f"],
            "encrypt, and remove": ["encrypt", *key, "--remove-source", at / "f"],
            "encrypt a tree": ["encrypt", *key, "--sync=end", "-r", at / "t"],
            "encrypt a stream": ["encrypt", *key, "-o", at / "out"],
            "decrypt": ["decrypt", *key, "-o", at / "out", at / "damaged"],
            "decrypt by force": ["decrypt", *key, "--force", "-o", at / "f", at / "x"],
            "reencrypt": ["reencrypt", *key, at / "x"],
            "rewrap in place": ["rewrap", *key, at / "damaged"],
            "rewrap, detached": ["rewrap", *key, at / "y"],
            "export": ["envelope", "export", "-o", at / "out", at / "x"],
            "restore": ["envelope", "restore", *key, "--envelope", at / "env", at / "damaged"],
            "new ring": ["key", "new", "-q", at / "new"],
            "new key": ["key", "new", "-q", f"{at}/ring#other"],
            "rotate": ["key", "rotate", at / "ring"],
            "passphrase": ["key", "passphrase", at / "ring"],
        }[verb]

    def run(self, verb, **how):
        env = {"BULLA_NEW_PASSPHRASE_FILE": str(self.bulla.home / "passphrase")}
        return self.bulla(*self.command(verb), env=env, stdin=PLAIN, **how)

    def check(self, verb, done):
        """What is sealed opens, and the ring is one."""
        sealed = ["x", "y", "grows", "damaged"]
        if done.returncode == 0 and verb in SEALED:
            sealed.append(SEALED[verb])
        self.bulla("verify", "-q", "-k", self.ring, *(self.at / name for name in sealed))
        self.bulla("key", "list", self.at / "ring")


VERBS = [*SEALED, "decrypt", "decrypt by force", "reencrypt", "rewrap in place", "rewrap, detached", "rewrap that grows", "export",
         "restore", "new ring", "new key", "rotate", "passphrase"]  # fmt: skip
IN_PLACE = ["rewrap in place", "restore"]  # a copy may be written, and the other not


def content_only(directory):
    """What files hold: a file that was put back has another time."""
    return {path: what[-1] for path, what in snapshot(directory).items()}


def judge(room, verb, done, before):
    """Done, and nothing else said; or said what failed and on what, and all as it was. Returns what it was."""
    room.check(verb, done)
    if done.returncode == 0:
        assert content_only(room.at) != before
        return "done"
    said = done.stderr.decode()
    assert done.returncode in (1, 3) and any(word in said for word in FULL) and str(room.at) in said, said
    if verb in IN_PLACE:
        damaged = os.fsencode(room.at / "damaged")
        before = before | {damaged: content_only(room.at)[damaged]}
    assert content_only(room.at) == before
    return "told, all as it was"


def fill(directory, left):
    """Fills a disk but for some pages."""
    with open(directory / "filler", "wb") as filler:
        free = os.statvfs(directory).f_bavail * os.statvfs(directory).f_frsize
        filler.write(bytes(max(0, free - left * PAGE)))


@pytest.mark.parametrize("verb", VERBS)
def test_full_disk(bulla, small_disk, verb):
    room = Room(bulla, small_disk(3 << 20))
    pages = len(PLAIN) // PAGE + 12
    with Sweep("full disk", verb) as sweep:
        for left in sample(range(pages), SAMPLE):
            room.fresh()
            fill(room.at, left)
            before = content_only(room.at)
            sweep.point(judge(room, verb, room.run(verb, status=(0, 1, 3)), before))
            (room.at / "filler").unlink()
        room.fresh()
        room.run(verb)


def reserved(bulla, at, *command, inject="", trace_as=(), **how):
    """What a run to a disk did of these calls, but for the small reads of the dynamic loader; and the run."""
    trace = bulla.work / "trace"
    options = ["-e", f"inject=fallocate:{inject}"] if inject else []
    done = bulla(*command, "-o", at / "out", under=["strace", "-f", "-e", "trace=fallocate,pread64", "-s0", *options, "-o", trace, *trace_as], **how)
    return re.findall(r"(fallocate|pread64)\(.*\d{5}", trace.read_text()), done


@pytest.mark.parametrize("verb", ["encrypt", "decrypt"])
def test_room_is_looked_for_before_anything_is_read(bulla, ring, work, disk, small_disk, verb):
    """A disk that is too small is told at once, not after the hours of a large backup; nothing of it is taken meanwhile, nor of one in memory."""
    (work / "plain").write_bytes(content(12 << 20))
    bulla("encrypt", "-k", ring, "-o", "sealed", "plain")
    source = {"encrypt": "plain", "decrypt": "sealed"}[verb]
    for at in (disk.at, small_disk(3 << 20)):
        before = os.listdir(at)
        calls, done = reserved(bulla, at, verb, "-k", ring, source, status=1)
        assert calls == [] and f"cannot write '{at}/out': No space left on device\nbulla: hint: it needs 1".encode() in done.stderr
        assert os.listdir(at) == before


def test_sparse_file_that_is_larger_than_the_disk(bulla, ring, work, disk):
    """Its holes are sealed too."""
    with open(work / "plain", "wb") as plain:
        plain.truncate(900 << 30)
    calls, done = reserved(bulla, disk.at, "encrypt", "-k", ring, "plain", status=1)
    assert calls == [] and b"No space left on device" in done.stderr and os.listdir(disk.at) == ["lost+found"]


def test_room_that_only_root_may_take(bulla, ring, work, disk):
    """Another user's run is refused before it takes what is left to all."""
    free = os.statvfs(disk.at)
    subprocess.run(["tune2fs", "-r", str(free.f_blocks // 2), disk.loop], check=True, stdout=subprocess.DEVNULL)
    disk.unmount()
    disk.mount()
    with open(work / "plain", "wb") as plain:
        plain.truncate(free.f_blocks * free.f_frsize * 5 // 8)
    bulla("encrypt", "-k", ring, "-o", disk.at / "out", "plain")
    (disk.at / "out").unlink()
    disk.at.chmod(0o777)
    # All that the other user needs is open; the ring is read by root, and sealed to.
    user = ["setpriv", "--reuid=65534", "--clear-groups", "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    public = work / "public"
    bulla("key", "new", "-q", "--kind", "x25519", work / "vault.ring")
    bulla("key", "export-public", "-q", "-o", public, work / "vault.ring")
    calls, done = reserved(bulla, disk.at, "encrypt", "-k", public, "plain", status=1, trace_as=user)
    assert calls == [] and b"No space left on device" in done.stderr and os.listdir(disk.at) == ["lost+found"]


@pytest.mark.parametrize("size", [262_144, 262_145, 3_000_000])
@pytest.mark.parametrize("command", [["encrypt", "plain"], ["decrypt", "sealed"], ["decrypt", "--offset=5", "--length=262_200", "sealed"]], ids=" ".join)
def test_room_is_taken_for_just_what_is_written(bulla, ring, work, disk, command, size):
    (work / "plain").write_bytes(content(size))
    bulla("encrypt", "-k", ring, "-o", "sealed", "plain")
    reserved(bulla, disk.at, *(word.replace("_", "") for word in command), "-k", ring)
    taken = re.findall(r"fallocate\(\d+, FALLOC_FL_KEEP_SIZE, (\d+), (\d+)\) = 0", (work / "trace").read_text())
    assert [int(begin) + int(count) for begin, count in taken] == [(disk.at / "out").stat().st_size]


@pytest.mark.parametrize("inject", ["error=EOPNOTSUPP", "error=EIO", "error=EINTR:when=1"])
def test_room_that_cannot_be_taken_is_done_without(bulla, ring, work, disk, inject):
    (work / "plain").write_bytes(content(3 << 20))
    calls, _ = reserved(bulla, disk.at, "encrypt", "-k", ring, "plain", inject=inject)
    assert calls.count("fallocate") == (2 if "EINTR" in inject else 1) and "pread64" in calls
    assert bulla("decrypt", "-k", ring, "-o", "-", disk.at / "out").stdout == content(3 << 20)


@pytest.mark.parametrize("verb", VERBS)
def test_file_size_limit(bulla, work, verb):
    """The signal that comes with it does not end the run unheard."""
    room = Room(bulla, work)
    limits = [0, 1, 400, 512, REGION, REGION + 1, BODY, BODY + 1, BODY + 56, *range(2 * BODY, 110_000, 8000)]
    with Sweep("file size limit", verb) as sweep:
        for limit in sample(limits, SAMPLE):
            room.fresh()
            before = content_only(work)
            done = room.run(verb, status=(0, 1, 3), under=["prlimit", f"--fsize={limit}"])
            sweep.point(judge(room, verb, done, before))


# Standard output.

KEY = ["-k", "KEY"]
PRINTS = {
    "help": ["help"], "--help": ["--help"], "encrypt --help": ["encrypt", "--help"], "version": ["version"], "--version": ["--version"],
    "inspect": ["inspect", "x"], "inspect --json": ["inspect", "--json", "x"], "status": ["status", "x"],
    "status --json": ["status", "--json", "x"], "key list": ["key", "list", "KEY"], "key list --json": ["key", "list", "--json", "KEY"],
    "key new": ["key", "new", "KEYS/new"], "key rotate": ["key", "rotate", "KEY"], 
    "key check": ["key", "check", "KEY"], "key check --json": ["key", "check", "--json", "KEY"], "export-public": ["key", "export-public", "PAIR"],
    "encrypt --json": ["encrypt", "--json", *KEY, "f"], "decrypt --json": ["decrypt", "--json", *KEY, "x", "-o", "out"],
    "verify --json": ["verify", "--json", *KEY, "x"], "rewrap --json": ["rewrap", "--json", *KEY, "x"],
    "reencrypt --json": ["reencrypt", "--json", *KEY, "x"], "envelope export": ["envelope", "export", "-o", "-", "x"],
    "encrypt": ["encrypt", *KEY, "f", "-o", "-"], "decrypt": ["decrypt", *KEY, "x", "-o", "-"],
}  # fmt: skip


@pytest.fixture
def prints(bulla, ring, work):
    """Makes what the commands above work on; returns the words of one of them."""
    (work / "f").write_bytes(PLAIN)
    bulla("encrypt", "-k", ring, "-o", "x", "f")
    pair = bulla.keys / "pair.ring"
    bulla("key", "new", "-q", "--kind", "x25519", pair)
    named = {"KEY": str(ring), "KEYS/new": str(bulla.keys / "new"), "PAIR": str(pair)}
    return lambda name: [named.get(word, word) for word in PRINTS[name]]


def full():
    return open("/dev/full", "wb")


def no_reader():
    read, write = os.pipe()
    os.close(read)
    return os.fdopen(write, "wb")


STREAMS = {"full": full, "no reader": no_reader}


@pytest.mark.parametrize("stream", STREAMS)
@pytest.mark.parametrize("name", PRINTS)
def test_standard_output_that_takes_nothing(bulla, work, prints, name, stream):
    command = prints(name)
    says = bulla(*command, stdin=b"").stdout != b""
    for left in ("f.bulla", "out"):
        (work / left).unlink(missing_ok=True)
    (bulla.keys / "new").unlink(missing_ok=True)
    with STREAMS[stream]() as out:
        done = bulla(*command, stdout=out, status=(0, 1))
    assert (done.returncode, b"standard output" in done.stderr) == ((1, True) if says else (0, False))


def test_messages_that_nobody_takes(bulla, work, prints):
    """What was done is done; the words about it are no part of it."""
    for stream in STREAMS.values():
        with stream() as err:
            subprocess.run(bulla.command(prints("verify --json")[:1] + ["-k", str(bulla.keys / "backup.ring"), "x"]),
                           stderr=err, check=True, **bulla.setting())  # fmt: skip


# Descriptors that are closed when bulla starts: what is opened must not take their numbers and have words written into it.

CLOSED = [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)]


def close(closed):
    for fd in closed:
        os.close(fd)


def test_closed_descriptors(bulla, work):
    room = Room(bulla, work)
    with Sweep("closed descriptors", "files") as sweep:
        for verb, closed in itertools.product(VERBS, CLOSED):
            room.fresh()
            done = room.run(verb, preexec_fn=functools.partial(close, closed), status=(0, 1))
            room.check(verb, done)
            sweep.point("done" if done.returncode == 0 else "refused")


@pytest.mark.parametrize("closed", CLOSED, ids=str)
def test_closed_streams(bulla, ring, closed):
    """Standard input and output are needed here."""
    sealed = bulla("encrypt", "-k", ring, stdin=PLAIN).stdout
    for verb, data in (("encrypt", PLAIN), ("decrypt", sealed)):
        done = bulla(verb, "-k", ring, stdin=data, preexec_fn=functools.partial(close, closed), status=0 if closed == (2,) else 1)
        assert done.stdout == b"" or 1 not in closed
