"""A world that one fault happens in, and what must hold after any fault."""

import dataclasses
import itertools
import os
import pathlib
import re
import shutil
import stat
import sys
import tempfile
import typing

from program import Bulla, pieces

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "decoder"))
import decode  # noqa: E402
from decoding import open_body  # noqa: E402

ANY = tuple(range(-64, 256))  # exit statuses
OLD, BETWEEN, NEW = "old", "between", "new"
TEMPORARY = re.compile(r"(work|keys)/(.*/)?\.bulla-[0-9a-f]{16}")

# How a run that failed says that what it was to make is there all the same, or is there in part.
SAYS_SO = re.compile(rb"in its place|was written|is not removed|cannot write standard output|may not be durable|cannot sync|envelope of|[1-9]\d* rewrapped")


class World(Bulla):
    """Bulla in a directory of its own, with the files of a template if there is one."""

    def __init__(self, template=None):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="bulla-fault-", dir=fast_directory()))
        super().__init__(self.directory)
        self.template = template
        if template is None:
            return
        self.secrets |= template.secrets
        for path, (content, mode) in template.files.items():
            (self.directory / path).parent.mkdir(exist_ok=True)
            with open(self.directory / path, "wb") as file:
                file.write(content)
                os.fchmod(file.fileno(), mode)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.stop()
        shutil.rmtree(self.directory)

    def read(self, path):
        """The bytes of a file below the directory; None if it is not there."""
        try:
            return (self.directory / path).read_bytes()
        except FileNotFoundError:
            return None

    def old(self, path):
        """The same in the template."""
        return self.template.files.get(path, (None, 0))[0]

    def opened(self, path, ring, envelope=None):
        """The plaintext of a sealed file, by the independent decoder; None if neither the keyring nor the passphrase opens it."""
        return opened(self.read(path), self.read(ring), envelope and self.read(envelope), self.secrets, self.read("keys/passphrase"))

    def files(self):
        """All files below the directory: content and mode."""
        found = {}
        for base in (self.keys, self.work):
            for path in base.rglob("*"):
                if not path.is_dir():
                    found[str(path.relative_to(self.directory))] = (path.read_bytes(), stat.S_IMODE(path.stat().st_mode))
        return found


def fast_directory():
    """Where files are in memory, if there is such a place: a sweep makes thousands of worlds."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


class Template:
    """The files of a world before the run, and the keys that must not get out."""

    def __init__(self, prepare):
        with World() as world:
            prepare(world)
            self.files = world.files()
            world.learn()
            for path, ring in itertools.product(world.work.rglob("*.bulla"), world.keys.glob("*.ring")):
                apart = path.with_name(path.name + ".env")
                for envelope in [None, apart.read_bytes()] if apart.exists() else [None]:
                    try:
                        opened(path.read_bytes(), ring.read_bytes(), envelope, world.secrets)
                    except decode.Failure:  # it has no envelope of its own, or none elsewhere, or is no sealed file at all
                        pass
            self.secrets = world.secrets


def opened(data, ring, envelope=None, secrets=None, passphrase=None):
    """The plaintext, or None; branch key and data key go to the secrets, to be looked for."""
    read = decode.read_detached_envelope(envelope) if envelope is not None else decode.read_envelope(data)
    content = read.copy.content
    try:
        branch_key, data_key = decode.open_envelope(content, decode.Keys(decode.read_keyring(ring, None), passphrase))
    except (decode.NotOpened, decode.Refused, decode.Unsupported):
        return None
    if secrets is not None:
        secrets |= {branch_key.hex(), data_key.hex()}
    return open_body(data, 0 if envelope is not None else read.size, content.core, data_key)


@dataclasses.dataclass(frozen=True)
class Scenario:
    """One run of bulla. Paths are below the world's directory, in which there are keys/ and work/; the run is in work/."""

    name: str  # verb, and a word for the way
    prepare: typing.Callable  # makes the files, given a world
    args: tuple
    state: typing.Callable = None  # of a world after the run: OLD, BETWEEN or NEW, or an AssertionError; None: it makes no file
    makes: tuple = ()  # paths that may be made, changed or removed
    stdin: typing.Union[bytes, str] = b""  # what comes in, or the path of a file of the template that does
    output: typing.Callable = None  # (world, bytes, complete): looks at standard output
    env: dict = dataclasses.field(default_factory=dict)
    named: bool = False  # the file system has no files without a name
    repeats: bool = False  # run again after it was done, it succeeds again
    again: tuple = ()  # options it takes to run again when it was broken off and some of it is there
    by_hand: typing.Callable = lambda world: None  # and what must be done before

    def run(self, world, *more, under=(), env=None):
        given = world.old(self.stdin) if isinstance(self.stdin, str) else self.stdin
        return world(*self.args, *more, stdin=given, env=self.env | (env or {}), status=ANY, under=under)

    def judge(self, world, done, killed=False, mute=False):
        """What came of a run, in a word or two; an AssertionError if it is not allowed. A mute one perhaps could not say a word."""
        assert done.returncode >= 0 or (killed and done.returncode == -9), f"ended by signal {-done.returncode}: {done.stderr}"
        state = self.state(world) if self.state else None
        now = world.files()
        left = self.strangers(world, now)
        if self.output is not None:
            self.output(world, done.stdout, done.returncode == 0)
        world.check(done.stdout, done.stderr)  # again: the keys that the run drew are known only now
        self.no_secrets(world, now)
        if done.returncode < 0:
            assert all(TEMPORARY.fullmatch(path) for path in left), f"left behind: {left}"
            self.complete(world, state, left)
            return f"killed, {state or 'nothing made'}" + (", temporary file left" if left else "")
        assert not left, f"left behind: {left}"
        if done.returncode == 0:
            assert state in (NEW, None), f"exit status 0, but the state is {state}"
            return "done"
        assert mute or done.stderr.startswith(b"bulla: "), f"exit status {done.returncode} and no word why: {done.stderr}"
        if state == NEW:
            assert mute or SAYS_SO.search(done.stderr), f"does not say that the new state is there: {done.stderr}"
        if state == OLD:
            assert now.keys() == world.template.files.keys(), f"not as before: {now.keys()}"
        self.complete(world, state, left)
        return f"failed, {state or 'nothing made'}"

    def complete(self, world, state, left):
        """A run that was broken off is started again, and completes, whatever the first left lying about."""
        if state is None or state == NEW and not self.repeats or state == OLD and not left:
            return
        if state == BETWEEN:
            self.by_hand(world)
        done = self.run(world, *(self.again if state == BETWEEN else ()))
        assert done.returncode == 0, f"run again from {state}: {done.stderr}"
        assert self.state(world) == NEW, "run again, but not completed"
        assert self.strangers(world, world.files()) == left

    def strangers(self, world, now):
        """Files that nobody asked for; the others are as they were."""
        for path, before in world.template.files.items():
            assert path in self.makes or now.get(path) == before, f"{path} changed"
        return {path for path in now if path not in world.template.files and path not in self.makes}

    def no_secrets(self, world, now):
        """No sealed file, no plain one and no file left behind holds a key; what will be a keyring is for its owner only."""
        for path, (content, mode) in now.items():
            if now[path] == world.template.files.get(path):
                continue
            if path.startswith("keys/"):
                assert mode == 0o600, f"{path} is for others to read"
            else:
                low = content.lower()
                for key in world.secrets:
                    assert bytes.fromhex(key) not in content, f"{path} holds a key"
                    assert not any(piece.encode() in low for piece in pieces(key)), f"{path} holds hex digits of a key"
