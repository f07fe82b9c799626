"""The program under test, in a world of its own; what it prints is searched for key bytes each time."""

import json
import os
import pathlib
import re
import subprocess

import pytest

from schemas import check_lines

SANITIZED = os.environ.get("BULLA_SANITIZED") == "1"
TIMEOUT = 300  # seconds a test may take, on a machine that is busy with others
HEX_RUN = 24  # digits of a key in a row that may not be printed
COMPLAINTS = re.compile(rb"AddressSanitizer|LeakSanitizer|UndefinedBehaviorSanitizer|runtime error:|stack smashing")

# Root may do everything; without these capabilities it is bound by permissions like anyone else.
BOUND = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []


def pieces(key):
    """Short runs of hex digits, of which any longer run of the key's digits contains at least one."""
    size = HEX_RUN // 2
    return [key[i : i + size] for i in range(0, len(key) - size + 1, size)]


def expect(got, status, stderr):
    """The exit status is the expected one, or one of those."""
    allowed = status if isinstance(status, tuple) else (status,)
    assert got in allowed, f"exit status {got}, not {status}: {stderr}"


def reports(done):
    """What a run with --json told of each file; its other lines are of the run."""
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return [line for line in lines if "file" in line]


class Bulla:
    """Calls bulla; keyrings that it should keep secret lie in self.keys."""

    def __init__(self, tmp):
        self.program = os.environ.get("BULLA", "")
        if not os.path.isabs(self.program) or not os.access(self.program, os.X_OK):
            pytest.exit(f"BULLA must be the absolute path of the program to test, not {self.program!r}", returncode=2)
        self.home, self.keys, self.work = tmp / "home", tmp / "keys", tmp / "work"
        self.secrets, self.started = set(), []
        self.has_schemas = True  # docs/json knows all that it may print
        for directory in (self.home, self.keys, self.work):
            directory.mkdir()
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(self.home), "LC_ALL": "C"}
        self.environment["XDG_CONFIG_HOME"] = str(self.home / "config")
        self.environment |= {k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")}

    def __call__(self, *args, stdin=b"", env=None, status=0, under=(), **how):
        """Runs bulla to its end, in the directory self.work; "under" is a command that runs it."""
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "timeout": TIMEOUT}
        pipes |= {"input": stdin} if "stdin_file" not in how else {"stdin": how.pop("stdin_file")}
        if under and under[0] == "strace":  # a process that is traced cannot look for its leaks
            env = {"ASAN_OPTIONS": "detect_leaks=0"} | (env or {})
        done = subprocess.run([*under, *self.command(args)], **self.setting(env), **{**pipes, **how})
        self.check(done.stdout or b"", done.stderr or b"")
        expect(done.returncode, status, done.stderr)
        if self.has_schemas:
            check_lines(args, done.stdout or b"", done.stderr or b"")
        return done

    def start(self, *args, env=None, under=(), **how):
        """Starts bulla and does not wait; end it with self.finish."""
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        self.started.append(subprocess.Popen([*under, *self.command(args)], **self.setting(env), **{**pipes, **how}))
        return self.started[-1]

    def finish(self, process, stdin=None, status=0):
        """Waits for the end; returns what came out."""
        try:
            out, err = process.communicate(stdin, timeout=TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        self.check(out or b"", err or b"")
        expect(process.returncode, status, err)
        return out, err

    def command(self, args):
        return [self.program, *(os.fsencode(a) for a in args)]

    def setting(self, env=None):
        return {"cwd": self.work, "env": self.environment | (env or {})}

    def check(self, *outputs):
        """No output may hold key bytes, raw or in hex, or a sanitizer's complaint."""
        self.learn()
        for output in outputs:
            assert not COMPLAINTS.search(output), output.decode(errors="replace")
            low = output.lower()
            for key in self.secrets:
                assert bytes.fromhex(key) not in output, "key bytes were printed"
                assert not any(piece.encode() in low for piece in pieces(key)), "hex digits of a key were printed"

    def learn(self):
        for path in self.keys.iterdir():
            if path.is_file() and not path.is_symlink():
                text = path.read_text("latin-1")
                self.secrets |= {key.lower() for key in re.findall(r'"key"\s*:\s*"([0-9a-fA-F]{64})"', text)}

    def new_key(self, reference):
        """Makes a key in the keys directory; returns its reference."""
        path = f"{self.keys}/{reference}"
        self("key", "new", "-q", path)
        return pathlib.Path(path)

    def inspect(self, *args, stdin=b""):
        return [json.loads(line) for line in self("inspect", "--json", *args, stdin=stdin).stdout.splitlines()]

    def list_keys(self, *args, **how):
        return [json.loads(line) for line in self("key", "list", "--json", *args, **how).stdout.splitlines()]

    def seal(self, ring, content, *options, name="plain", **how):
        """Seals content; returns the path of the sealed file. No plain file stays."""
        path = self.work / f"{name}.bulla"
        self("encrypt", "-k", ring, *options, "-o", path, stdin=content, **how)
        return path

    def open(self, key, sealed, *options, **how):
        """What a sealed file opens to."""
        return self("decrypt", "-k", key, *options, "-o", "-", sealed, **how).stdout

    def stop(self):
        """Ends what was started and still runs."""
        for process in self.started:
            process.kill()
            process.wait()
