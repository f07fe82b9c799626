"""encrypt --from-command: what a program prints is sealed if the program ends well, and else nothing is there."""

import hashlib
import os
import re
import resource
import signal
import stat
import time

import pytest

from held import gone
from sealed import content
from terminal import on_terminal

MANY = 100_000_000  # bytes, more than any buffer

# Commands that end badly: what they print is whole in its form, and what is said of them.
BAD = {
    "false": ("false", b"failed with status 1"),
    "late": ("printf 'half a dump'; exit 3", b"failed with status 3"),
    "killed": ("printf 'half a dump'; kill -9 $$", b"failed: killed by signal 9 (SIGKILL)"),
    "closed early": ("printf 'half a dump'; exec >&-; exit 7", b"failed with status 7"),
    "not found": ("/nowhere/pg_dump", b"failed with status 127"),
    "no shell": ("if", b"failed with status 2"),
    "large": (f"head -c {MANY} /dev/zero; false", b"failed with status 1"),
    "pipe": ("false | false", b"failed with status 1"),
}
SINKS = {"file": ["-o", "out"], "detached": ["-o", "out", "--detach"], "apart": ["-o", "out", "--envelope", "env"]}


def said_of(text, how):
    return b"bulla: command '" + text.encode() + b"' " + how + b"\n"


def wait_for(what):
    end = time.monotonic() + 60
    while not what():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize("options", SINKS.values(), ids=SINKS)
def test_what_a_command_prints_is_sealed(bulla, ring, work, options):
    (work / "f").write_bytes(content(200_000))
    done = bulla("encrypt", "-k", ring, "--name", "n", "--context", "a=b", *options, "--from-command", "cat f && echo said >&2")
    assert (done.stdout, done.stderr) == (b"", b"said\n")
    given = ["--envelope", "env"] if "env" in options else []
    wanted = ["--require-name", "n", "--require-context", "a=b"]
    assert bulla("decrypt", "-k", ring, *given, *wanted, "-o", "-", "out").stdout == content(200_000)


def test_what_a_command_prints_goes_to_standard_output(bulla, ring):
    sealed = bulla("encrypt", "-k", ring, "--from-command", "printf abc").stdout
    assert bulla("decrypt", "-k", ring, stdin=sealed).stdout == b"abc"


def test_much_that_a_command_prints_is_sealed(bulla, ring, work):
    bulla("encrypt", "-k", ring, "-o", "out", "--from-command", f"yes | head -c {MANY}")
    opened = bulla("decrypt", "-k", ring, "-o", "-", "out").stdout
    assert hashlib.sha256(opened).digest() == hashlib.sha256(b"y\n" * (MANY // 2)).digest()


@pytest.mark.parametrize("text, how", BAD.values(), ids=BAD)
@pytest.mark.parametrize("options", SINKS.values(), ids=SINKS)
def test_nothing_is_there_when_a_command_fails(bulla, ring, work, text, how, options):
    done = bulla("encrypt", "-q", "-k", ring, *options, "--from-command", text, status=1)
    assert done.stdout == b"" and done.stderr.endswith(said_of(text, how))
    assert b"/bin/sh: " in done.stderr or done.stderr.count(b"\n") == 1
    assert os.listdir(work) == []


@pytest.mark.parametrize("text, how", BAD.values(), ids=BAD)
def test_standard_output_is_not_whole_when_a_command_fails(bulla, ring, work, text, how):
    """Whoever stores it and does not look at the status has no backup that seems good."""
    done = bulla("encrypt", "-k", ring, "--from-command", text, status=1)
    assert done.stderr.endswith(said_of(text, how))
    if done.stdout:
        (work / "stored").write_bytes(done.stdout)
        assert b"it ends before its last chunk" in bulla("verify", "-k", ring, "stored", status=4).stderr
    assert (done.stdout != b"") == ("head" in text)


def test_old_file_stays_when_a_command_fails(bulla, ring, work):
    (work / "out").write_bytes(b"old")
    bulla("encrypt", "-k", ring, "--force", "-o", "out", "--from-command", "printf new; exit 3", status=1)
    assert os.listdir(work) == ["out"] and (work / "out").read_bytes() == b"old"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda s: s.name)
@pytest.mark.parametrize("trap", ["", "trap '' TERM INT;"], ids=["heeds", "ignores"])
def test_signal_ends_the_command_too(bulla, ring, work, number, trap):
    """With all that the shell started, even if it ignores what asks it to stop."""
    pids = bulla.home / "pids"
    text = f"{trap} printf 'half a dump'; sleep 600 & echo $! $$ >{pids}; wait"
    process = bulla.start("encrypt", "-k", ring, "-o", "out", "--from-command", text, start_new_session=True)
    wait_for(lambda: pids.exists() and len(pids.read_text().split()) == 2)
    process.send_signal(number)
    assert bulla.finish(process, status=130) == (b"", b"bulla: interrupted\n")
    assert os.listdir(work) == []
    wait_for(lambda: all(gone(pid) for pid in pids.read_text().split()))


def test_command_has_time_to_put_things_right(bulla, ring, work):
    begun = bulla.home / "begun"
    text = f"trap 'echo right >&2; exit 1' TERM; echo >{begun}; while :; do sleep 0.01; done"
    process = bulla.start("encrypt", "-k", ring, "-o", "out", "--from-command", text)
    wait_for(begun.exists)
    process.send_signal(signal.SIGINT)
    assert bulla.finish(process, status=130)[1].endswith(b"right\nbulla: interrupted\n")
    assert os.listdir(work) == []


def test_command_that_lingers_is_waited_for(bulla, ring, work):
    """It closed its output long before it failed."""
    go = bulla.home / "go"
    text = f"printf 'half a dump'; exec >&-; until [ -e {go} ]; do sleep 0.01; done; exit 9"
    process = bulla.start("encrypt", "-k", ring, "-o", "out", "--from-command", text)
    time.sleep(0.3)
    assert process.poll() is None and os.listdir(work) == []
    go.touch()
    assert bulla.finish(process, status=1)[1] == said_of(text, b"failed with status 9")
    assert os.listdir(work) == []


def test_command_is_stopped_when_there_is_no_room(bulla, ring, work):
    pid = bulla.home / "pid"

    def small():
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))

    text = f"echo $$ >{pid}; exec cat /dev/zero"
    done = bulla("encrypt", "-k", ring, "-o", "out", "--from-command", text, status=1, preexec_fn=small)
    assert b"cannot write 'out': File too large" in done.stderr and b"command" not in done.stderr
    assert os.listdir(work) == [] and gone(int(pid.read_text()))


@pytest.mark.plain
def test_command_has_nothing_to_read(bulla, ring, work, late):
    """Standard input stays for the passphrase."""
    new = ["-k", "passphrase:", "--new-passphrase-fd", "0"]
    bulla("encrypt", *new, "-o", "out", "--from-command", "cat; printf end", stdin=b"correct horse\n", env=late())
    old = ["-k", "passphrase:", "--passphrase-fd", "0"]
    assert bulla("decrypt", *old, "-o", "-", "out", stdin=b"correct horse\n", env=late()).stdout == b"end"


def test_command_gets_no_descriptor_of_ours(bulla, ring, work):
    """Nor one that bulla was given, which may hold a passphrase."""
    given = os.memfd_create("passphrase", 0)
    bulla("encrypt", "-k", ring, "-o", "out", "--from-command", "exec ls -l /proc/self/fd", pass_fds=[given])
    os.close(given)
    shown = dict(re.findall(r" (\d+) -> (.*)", bulla.open(ring, work / "out").decode()))
    assert list(shown) == ["0", "1", "2", "3"]  # the last is that of ls, for the directory
    assert shown["0"] == "/dev/null" and shown["1"] != shown["2"] and shown["3"].startswith("/proc/")


def test_command_works_under_the_usual_umask(bulla, ring, work):
    """What bulla makes is private until it is whole; what the command makes beside is not bulla's."""
    bulla("encrypt", "-k", ring, "-o", "out", "--from-command", "echo >log; umask", preexec_fn=lambda: os.umask(0o027))
    assert [stat.S_IMODE((work / name).stat().st_mode) for name in ("log", "out")] == [0o640, 0o640]
    assert bulla.open(ring, work / "out") == b"0027\n"


def test_command_may_ask_at_the_terminal(bulla, ring, work):
    text = "printf 'password: ' >/dev/tty; read -r word </dev/tty; echo $word"
    on_terminal(bulla, "encrypt", "-k", ring, "-o", "out", "--from-command", text, lines=["from the terminal\n"])
    assert bulla.open(ring, work / "out") == b"from the terminal\n"


WRONG = {
    "file": (["plain"], "--from-command takes no FILE"),
    "standard input": (["-"], "--from-command takes no FILE"),
    "list": (["--files-from", "-"], "--from-command takes no FILE"),
    "directory": (["-o", "."], "--from-command needs a file for -o, not a directory"),
    "source": (["--remove-source"], "--remove-source needs a FILE"),
    "twice": (["--from-command", "true"], "--from-command is given twice"),
    "no key": (["-k", "nowhere.ring"], "nowhere.ring"),
}


@pytest.mark.parametrize("options, says", WRONG.values(), ids=WRONG)
def test_command_is_not_started_in_vain(bulla, ring, work, options, says):
    (work / "plain").write_bytes(b"x")
    output = [] if "-o" in options else ["-o", "out"]
    keys = [] if "-k" in options else ["-k", ring]
    done = bulla("encrypt", *keys, *output, "--from-command", "touch started", *options, status=(1, 2, 10))
    assert says in done.stderr.decode() and os.listdir(work) == ["plain"]
    assert done.returncode == 2 or "-k" in options


def test_command_is_not_started_where_a_file_is_in_the_way(bulla, ring, work):
    (work / "out").write_bytes(b"old")
    done = bulla("encrypt", "-k", ring, "-o", "out", "--from-command", "touch started", status=(1, 9))
    assert b"'out' already exists" in done.stderr
    assert os.listdir(work) == ["out"] and (work / "out").read_bytes() == b"old"


def test_empty_command_is_refused(bulla, ring, work):
    done = bulla("encrypt", "-k", ring, "-o", "out", "--from-command", "", status=2)
    assert b"--from-command is empty" in done.stderr and os.listdir(work) == []


def test_other_verbs_have_no_command(bulla, ring, work):
    for verb in ("decrypt", "verify", "rewrap"):
        done = bulla(verb, "-k", ring, "--from-command", "touch started", status=2)
        assert b"option --from-command does not go with" in done.stderr and os.listdir(work) == []


def test_run_that_must_be_confined_may_start_its_command(bulla, ring, work):
    """As with other programs that the user named."""
    bulla("encrypt", "-k", ring, "-o", "out", "--from-command", "printf abc", env={"BULLA_CONFINE": "must"})
    assert bulla.open(ring, work / "out") == b"abc"
