"""What shells complete: what the program answers, and what real shells make of that on a terminal."""

import os
import pty
import re
import select
import shutil
import signal
import time

import pytest

from held import unopened


@pytest.fixture
def world(bulla, work):
    """A configuration, keyrings and files."""
    config = bulla.home / "config" / "bulla"
    config.mkdir(parents=True)
    (config / "bulla.conf").write_text("[keys]\nnightly = /etc/bulla/nightly.ring\n")
    bulla("key", "new", "-q", "keys.ring#home")
    bulla("key", "new", "-q", "./keys.ring#office")
    bulla("key", "rotate", "-q", "./keys.ring#office")
    (work / "some-backup.bulla").write_bytes(b"")
    return work


def answers(bulla, *words):
    """The words, without what they mean."""
    return [line.partition("\t")[0] for line in bulla("completion", "answer", "--", *words).stdout.decode().splitlines()]


ANSWERS = {
    "verbs": (["en"], ["encrypt", "envelope"]),
    "verb after options": (["-q", "--key", "x", "encr"], ["encrypt"]),
    "verbs of a group": (["key", "r"], ["rotate", "retire"]),
    "option": (["encrypt", "--re"], ["--remove-source", "--recursive", "--requester-pays"]),
    "option of another verb": (["inspect", "--remo"], []),
    "words of a choice": (["encrypt", "--sync", ""], ["each", "end", "none"]),
    "of another verb": (["rewrap", "--sync", ""], ["each", "none"]),
    "after =": (["encrypt", "--suite=a"], ["--suite=aes"]),
    "name of the configuration": (["encrypt", "-k", "night"], ["nightly", ":files"]),
    "scheme": (["encrypt", "-k", "pk"], ["pkcs11:", ":files"]),
    "keys of a ring": (["encrypt", "-k", "./keys.ring#"], ["./keys.ring#home", "./keys.ring#office"]),
    "key of a ring": (["key", "retire", "./keys.ring#o"], ["./keys.ring#office"]),
    "versions": (["key", "retire", "./keys.ring#office:"], ["./keys.ring#office:1", "./keys.ring#office:2"]),
    "after --key=": (["encrypt", "--key=./keys.ring#h"], ["--key=./keys.ring#home"]),
    "files": (["decrypt", "so"], [":files"]),
    "a file for an option": (["encrypt", "-o", ""], [":files"]),
    "behind --": (["decrypt", "--", "--re"], [":files"]),
    "a number": (["encrypt", "-j", ""], []),
    "no such verb": (["shred", ""], []),
    "no such ring": (["encrypt", "-k", "./none.ring#"], []),
    "no ring": (["encrypt", "-k", "./some-backup.bulla#"], []),
}  # fmt: skip


@pytest.mark.parametrize("what", ANSWERS)
@pytest.mark.parametrize("confine", ["no", "must"])
def test_answer(bulla, world, what, confine):
    words, expected = ANSWERS[what]
    bulla.environment["BULLA_CONFINE"] = confine if not os.environ.get("BULLA_SANITIZED") else "no"
    assert answers(bulla, *words) == expected


def test_every_option_of_every_verb(bulla):
    """As the help has them."""
    verbs = [line[2:20].split() for line in bulla("help").stdout.decode().split("\n\n")[2].splitlines()]
    for verb in verbs:
        own, _, folded = bulla(*verb, "--help").stdout.decode().partition("\n'bulla help keys' explains")
        shown = re.findall(r"^  (?:-\w,|   ) (--[\w-]+)", own, re.M) + re.findall(r"--[\w-]+", folded.partition("\nExamples:")[0])
        assert len(shown) > 1 and answers(bulla, *verb, "--") == shown
        assert sorted(set(shown)) == sorted(shown), f"{verb} has an option twice"


def test_keys_of_a_credential(bulla, world):
    bulla.environment["CREDENTIALS_DIRECTORY"] = str(world)
    assert answers(bulla, "encrypt", "-k", "credential:keys.ring#") == ["credential:keys.ring#home", "credential:keys.ring#office"]


@pytest.mark.parametrize("form", ["fd:{}#", "/dev/fd/{}#", "file:/proc/self/fd/{}#b"])
def test_descriptor_is_left_to_its_owner(bulla, ring, form):
    with open(ring, "rb") as file:
        done = bulla("completion", "answer", "--", "encrypt", "-k", form.format(file.fileno()), pass_fds=[file.fileno()])
        assert done.stdout == b"" and file.tell() == os.lseek(file.fileno(), 0, os.SEEK_CUR) == 0


def test_pipe_is_left_to_its_reader(bulla, ring, work):
    """Whoever waits to write a key into it would write to nobody."""
    os.mkfifo(work / "pipe")
    with unopened(work / "pipe"):
        assert answers(bulla, "encrypt", "-k", "./pipe#") == []


def test_locked_ring_is_listed_without_its_passphrase(bulla, world):
    bulla("key", "new", "-q", "--passphrase", "--new-passphrase-fd", "0", "locked.ring#one", stdin=b"a passphrase\n")
    assert answers(bulla, "encrypt", "-k", "./locked.ring#") == ["./locked.ring#one"]


def test_names_of_a_ring_cannot_steer_the_terminal(bulla, world):
    assert b"\x1b" not in bulla("completion", "answer", "--", "encrypt", "-k", "./\x1b[2J#").stdout


@pytest.mark.parametrize("args", [["tcsh"], ["bash", "zsh"]], ids=str)
def test_no_such_shell(bulla, args):
    done = bulla("completion", *args, status=2)
    assert b"takes bash, zsh or fish" in done.stderr and done.stdout == b""


class Shell:
    """A shell on a terminal that has read the completion of bulla."""

    PREPARE = {
        "bash": "PS1='$ '; source <(bulla completion bash)",
        "zsh": "PS1='$ '; autoload -Uz compinit; compinit -u -D; source <(bulla completion zsh)",
        "fish": "function fish_prompt; echo -n '$ '; end; bulla completion fish | source",
    }
    ARGUMENTS = {"bash": ["--norc", "--noprofile", "-i"], "zsh": ["-f", "-i"], "fish": ["--private", "--no-config", "-i"]}

    def __init__(self, name, bulla, directory):
        (directory / "bulla").symlink_to(bulla.program)
        environment = bulla.environment | {"PATH": f"{directory}:{os.environ['PATH']}", "TERM": "xterm", "SHELL": f"/bin/{name}"}
        self.shown = b""
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.chdir(bulla.work)
            os.execve(shutil.which(name), [name, *self.ARGUMENTS[name]], environment)
        self.type(self.PREPARE[name] + "; echo RE''ADY\r")
        self.wait_for(rb"[\r\n]READY")

    def type(self, text):
        os.write(self.terminal, text.encode())

    def wait_for(self, pattern, seconds=20):
        end = time.monotonic() + seconds
        while not (found := re.search(pattern, self.shown)):
            assert time.monotonic() < end, (pattern, self.shown)
            if select.select([self.terminal], [], [], 0.1)[0]:
                self.shown += os.read(self.terminal, 65536)
                if self.shown.endswith(b"\x1b[c"):  # what are you? fish asks
                    self.type("\x1b[?1;2c")
        return found

    def completed(self, line):
        """What a line is after Tab: it is not run, but printed."""
        self.shown = b""
        self.type(line + "\t")
        time.sleep(0.3)  # Tab is at work; what is typed meanwhile is not lost, but fish would take it for the choice of a candidate
        self.type("\x01echo DO''NE \r")
        found = self.wait_for(rb"[\r\n]DONE ([^\r\n]*)")
        return found[1].decode().strip()

    def stop(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.terminal)


@pytest.fixture
def shell(request, bulla, world, tmp_path):
    if shutil.which(request.param) is None:
        pytest.skip(f"there is no {request.param} here")
    directory = tmp_path / "bin"
    directory.mkdir()
    started = Shell(request.param, bulla, directory)
    yield started
    started.stop()


LINES = {
    "bulla encr": "bulla encrypt",
    "bulla key rot": "bulla key rotate",
    "bulla encrypt --recur": "bulla encrypt --recursive",
    "bulla rewrap --sync n": "bulla rewrap --sync none",
    "bulla encrypt -k nigh": "bulla encrypt -k nightly",
    "bulla encrypt -k ./keys.ring#of": "bulla encrypt -k ./keys.ring#office",
    "bulla key retire ./keys.ring#home:": "bulla key retire ./keys.ring#home:1",
    "bulla decrypt some-ba": "bulla decrypt some-backup.bulla",
    "bulla encrypt --suite=ch": "bulla encrypt --suite=chacha20",
}


@pytest.mark.plain
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"], indirect=True)
def test_shell_completes(shell):
    assert {line: shell.completed(line) for line in LINES} == LINES
