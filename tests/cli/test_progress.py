"""Progress: a line on a terminal, JSON for programs, and else none; nothing in the first second."""

import json
import os
import pty
import select
import signal
import time

import pytest

from sealed import content

STEP = 100_000
X = content(6 * STEP)
MEMBERS = ["bytes", "bytes_per_second", "file", "files_done", "seconds_left", "size"]


def feed(out, steps=6, pause=0.25):
    """Writes slowly: the whole takes longer than a second."""
    for number in range(steps):
        out.write(X[number * STEP :][:STEP])
        out.flush()
        time.sleep(pause)


def slowly(bulla, ring, *options, **pace):
    """Seals what comes through a slow pipe, to the file "out"; returns stderr."""
    process = bulla.start("encrypt", "-k", ring, "-o", "out", *options)
    feed(process.stdin, **pace)
    return bulla.finish(process)[1]


def drain(master):
    shown = b""
    while select.select([master], [], [], 0.2)[0]:
        try:
            got = os.read(master, 65536)
        except OSError:  # the end
            break
        if not got:
            break
        shown += got
    os.close(master)
    return shown


def slowly_on_terminal(bulla, ring, *options, stop=None):
    """The same with a terminal for stderr; returns what it showed."""
    master, slave = pty.openpty()
    process = bulla.start("encrypt", "-k", ring, "-o", "out", *options, stderr=slave)
    os.close(slave)
    feed(process.stdin)
    if stop is not None:
        process.send_signal(stop)
    bulla.finish(process, status=0 if stop is None else 130)
    return drain(master)


def assert_sealed(bulla, ring):
    assert bulla("decrypt", "-k", ring, "-o", "-", "out").stdout == X


def test_none_without_a_terminal(bulla, ring):
    err = slowly(bulla, ring)
    assert err == b""
    assert_sealed(bulla, ring)


def test_json_lines_grow(bulla, ring):
    err = slowly(bulla, ring, "--progress=json", pause=0.5)
    lines = [json.loads(line) for line in err.splitlines()]
    assert len(lines) >= 2 and all(sorted(line) == MEMBERS for line in lines)
    read = [line["bytes"] for line in lines]
    assert read == sorted(set(read)) and 0 < read[0] and read[-1] <= len(X)
    assert all(line["file"] == "standard input" and line["size"] == 0 and line["files_done"] <= 1 for line in lines)
    assert all(0 < line["bytes_per_second"] < 10 * STEP for line in lines)
    assert_sealed(bulla, ring)


def test_json_is_not_what_goes_to_standard_output(bulla, ring, work):
    os.mkfifo(work / "fifo")
    process = bulla.start("encrypt", "-k", ring, "fifo", "--json", "--progress", "json")
    with open(work / "fifo", "wb") as fifo:
        feed(fifo)
    out, err = bulla.finish(process)
    (row,) = map(json.loads, out.splitlines())
    assert row["output"] == "fifo.bulla" and row["bytes"] == len(X)
    assert all(sorted(json.loads(line)) == MEMBERS for line in err.splitlines()) and err


def test_files_are_counted(bulla, ring, work):
    for name in "ab":
        os.mkfifo(work / name)
    process = bulla.start("encrypt", "-k", ring, "a", "b", "-j1", "--progress=json", stdin=None)
    for name in "ab":
        with open(work / name, "wb") as fifo:
            feed(fifo, steps=3)
    _, err = bulla.finish(process)
    lines = [json.loads(line) for line in err.splitlines() if line.startswith(b"{")]
    assert [line["files_done"] for line in lines] == sorted(line["files_done"] for line in lines)
    assert lines[-1]["file"] == "b" and lines[-1]["files_done"] in (1, 2)
    assert b"2 sealed, 0 skipped, 0 failed" in err


@pytest.mark.parametrize("how", [[], ["--progress=json"]], ids=["auto", "json"])
def test_short_run_shows_nothing(bulla, ring, how):
    assert bulla("encrypt", "-k", ring, *how, stdin=X).stderr == b""
    master, slave = pty.openpty()
    process = bulla.start("encrypt", "-k", ring, *how, stderr=slave)
    os.close(slave)
    bulla.finish(process, X)
    assert drain(master) == b""


def test_line_on_a_terminal_appears_and_is_cleared(bulla, ring):
    shown = slowly_on_terminal(bulla, ring)
    lines = shown.split(b"\r\x1b[K")
    assert lines[0] == b"" and lines[-1] == b"" and len(lines) > 2 and b"\n" not in shown
    assert all(b"standard input: " in line and b"KiB" in line and b"/s" in line for line in lines[1:-1])
    assert_sealed(bulla, ring)


@pytest.mark.parametrize("options", [["-q"], ["--progress=none"], ["-q", "--progress=auto"]], ids=" ".join)
def test_none_on_a_terminal(bulla, ring, options):
    shown = slowly_on_terminal(bulla, ring, *options)
    assert shown == b""
    assert_sealed(bulla, ring)


def test_message_after_the_line_begins_at_the_left(bulla, ring, work):
    shown = slowly_on_terminal(bulla, ring, stop=signal.SIGINT)
    before, message, after = shown.partition(b"\r\x1b[Kbulla: interrupted\r\n")
    assert b"standard input: " in before and message and (after == b"" or after.endswith(b"\r\x1b[K"))


def test_time_left_of_a_file(bulla, ring, work):
    """A file whose size is known, opened slowly: nobody takes what comes out."""
    (work / "plain").write_bytes(8 * X)
    bulla("encrypt", "-k", ring, "plain")
    process = bulla.start("decrypt", "-k", ring, "plain.bulla", "-o", "-", "--progress=json")
    got = b""
    for _ in range(8):
        got += process.stdout.read(len(X))
        time.sleep(0.25)
    rest, err = bulla.finish(process)
    assert got + rest == 8 * X
    lines = [json.loads(line) for line in err.splitlines()]
    size = (work / "plain.bulla").stat().st_size
    assert lines and all(line["file"] == "plain.bulla" and line["size"] == size for line in lines)
    assert all(line["seconds_left"] >= 0 and line["bytes"] <= size for line in lines)


def test_time_of_a_question_does_not_count(bulla, work):
    """However long somebody takes to answer, the rate is that of the work."""
    asked = 3
    begun = time.monotonic()
    process = bulla.start("encrypt", "-k", "passphrase:", "-o", "out", "--progress=json", "--new-passphrase-command", f"sleep {asked}; touch answered; echo x")
    process.stdin.write(X[:STEP])
    process.stdin.flush()
    while not (work / "answered").exists():
        time.sleep(0.05)
    feed(process.stdin)
    _, err = bulla.finish(process)
    worked = time.monotonic() - begun - asked
    lines = [json.loads(line) for line in err.splitlines()]
    assert lines and all(line["bytes"] / line["bytes_per_second"] <= worked + 0.01 for line in lines), (lines, worked)


def test_name_cannot_steer_the_terminal(bulla, ring, work):
    name = "\x1b[2J\n"
    os.mkfifo(work / name)
    master, slave = pty.openpty()
    process = bulla.start("encrypt", "-k", ring, name, stdin=None, stderr=slave)
    os.close(slave)
    with open(work / name, "wb") as fifo:
        feed(fifo)
    bulla.finish(process)
    shown = drain(master)
    assert b"\x1b[2J" not in shown and b"\n" not in shown and b"\r\x1b[K" in shown
