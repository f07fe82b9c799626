"""What people see on a terminal and programs do not: colours, sizes, and a line of progress only where it helps."""

import json
import os
import pathlib
import pty
import re
import subprocess
import sys
import time

import pytest

from sealed import content
from terminal import on_terminal

RED, YELLOW, CYAN, END = "\x1b[1;31m", "\x1b[1;33m", "\x1b[36m", "\x1b[0m"
SIZE = 1_234_567


def shown(bulla, *args, term="xterm", status=0, lines=(), **env):
    bulla.environment |= {"TERM": term} | env
    return on_terminal(bulla, *args, lines=list(lines), status=status).decode().replace("\r\n", "\n")


def test_words_in_front_have_colours(bulla, ring, work):
    said = shown(bulla, "encrypt", "-k", ring, "missing", status=10)
    assert said.startswith(f"{RED}bulla:{END} cannot open 'missing'")
    said = shown(bulla, "encrypt", "-k", "./missing", "x", status=10)
    assert f"\nbulla: {CYAN}hint:{END} " in said
    (work / "plain").write_bytes(b"x")
    said = shown(bulla, "config", "check", status=10, BULLA_KEY="x")
    assert said.startswith(RED)
    (bulla.home / "config/bulla").mkdir(parents=True)
    (bulla.home / "config/bulla/bulla.conf").write_text("")
    assert shown(bulla, "config", "check", BULLA_KEY="x").endswith(f"bulla: {YELLOW}warning:{END} BULLA_KEY is set: while it is, the config file chooses no key\n")
    said = shown(bulla, "encrypt", "-v", "-k", ring, "plain")
    assert "bulla: keys come from -k\n" in said and "\x1b" not in said


@pytest.mark.parametrize("term, env", [("xterm", {"NO_COLOR": "1"}), ("dumb", {}), ("", {})], ids=str)
def test_no_colours_for_those_who_do_not_want_them(bulla, ring, term, env):
    said = shown(bulla, "encrypt", "-k", "./missing", "x", term=term, status=10, **env)
    assert said.startswith("bulla: there is no keyring './missing'\nbulla: hint: ") and "\x1b" not in said


def test_an_empty_no_color_is_none(bulla, ring):
    assert shown(bulla, "encrypt", "-k", ring, "missing", status=10, NO_COLOR="").startswith(RED)


def test_no_colours_elsewhere(bulla, ring):
    """In a log, whatever TERM says; nor on standard output."""
    assert b"\x1b" not in bulla("encrypt", "-k", "./missing", "x", env={"TERM": "xterm"}, status=10).stderr
    assert "\x1b" not in shown(bulla, "key", "list", ring) + shown(bulla, "help") + shown(bulla, "help", "encrypt")


def test_what_comes_from_a_name_cannot_colour(bulla, ring):
    assert "\\x1b[31m" in shown(bulla, "encrypt", "-k", ring, "\x1b[31m", status=10)


def test_sizes(bulla, ring, work):
    """For people rounded and exact, for programs exact."""
    sealed = bulla.seal(ring, content(SIZE))
    assert re.search(r"^  size +1\.2 MiB \(1234567 bytes\) of plaintext$", shown(bulla, "inspect", sealed), re.M)
    assert re.search(r"^  size +1234567 bytes of plaintext$", bulla("inspect", sealed).stdout.decode(), re.M)
    assert json.loads(bulla("inspect", "--json", sealed).stdout)["bytes"] == json.loads(bulla("verify", "--json", "-k", ring, sealed).stdout)["bytes"] == SIZE
    assert re.search(r"^  size +4 bytes of plaintext$", shown(bulla, "inspect", bulla.seal(ring, b"four", name="small")), re.M)


def read_all(master):
    said = b""
    while True:
        try:
            got = os.read(master, 65536)
        except OSError:  # the end
            return said
        if not got:
            return said
        said += got


def test_time_in_which_somebody_thinks_is_none_of_the_work(bulla, work):
    """A small file after a long thought shows no progress."""
    (work / "plain").write_bytes(content(SIZE))
    pid, master = pty.fork()
    if pid == 0:
        os.chdir(work)
        os.execve(bulla.program, [bulla.program, "encrypt", "-k", "passphrase:", "plain"], bulla.environment)
    said = b""
    for _ in range(2):
        while not said.endswith(b": "):
            said += os.read(master, 4096)
        time.sleep(1.2)
        os.write(master, b"a long passphrase\n")
        said += b"\n"
    said += read_all(master)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0 and (work / "plain.bulla").exists()
    assert b"plain" not in said.replace(b"passphrase", b"") and b"\x1b" not in said, said


@pytest.mark.parametrize("left, line", [(0.1, False), (0.9, True)])
def test_line_of_a_file_that_is_almost_done_does_not_flash(bulla, ring, work, left, line):
    """The reader of the result takes a part, waits until a line would be shown, and takes the rest."""
    size = 20_000_000
    sealed = bulla.seal(ring, content(size))
    master, slave = pty.openpty()
    process = bulla.start("decrypt", "-k", ring, "-o", "-", "-j1", sealed, stderr=slave)
    os.close(slave)
    got = process.stdout.read(int(size * (1 - left)))
    time.sleep(1.5)
    while piece := process.stdout.read(1 << 20):
        got += piece
        time.sleep(0.05 if line else 0)
    bulla.finish(process)
    said = read_all(master)
    os.close(master)
    assert len(got) == size and (b"\x1b[K" in said) is line, said


def test_picture_in_the_readme(bulla):
    """It shows what the program prints today."""
    script = pathlib.Path(__file__).resolve().parents[2] / "docs" / "draw-terminal"
    done = subprocess.run([sys.executable, script, bulla.program, "--check"], env=bulla.environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
