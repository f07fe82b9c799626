"""Signals end a run in order and leave nothing behind; memory does not grow with the size."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from held import wait_until_asleep
from program import SANITIZED
from sealed import content

MIB = 2**20
LARGE = 512 * MIB if not SANITIZED else 32 * MIB
RSS_MAX = 32 * MIB
INPUT = content(3 * MIB)
SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGXCPU]


def sealed_input(bulla, ring):
    return bulla("encrypt", "-k", ring, stdin=INPUT).stdout


def start_slow(bulla, ring, verb, *args, data):
    """Starts bulla and gives it the first part of its input; returns when that was read and more is waited for."""
    process = bulla.start(verb, "-k", ring, *args)
    process.stdin.write(data[: 2 * MIB])
    process.stdin.flush()
    wait_until_asleep(process)
    return process


def data_for(bulla, ring, verb):
    return INPUT if verb == "encrypt" else sealed_input(bulla, ring)


@pytest.mark.parametrize("number", SIGNALS, ids=lambda s: s.name)
@pytest.mark.parametrize("verb", ["encrypt", "decrypt"])
def test_signal_leaves_no_file(bulla, ring, work, verb, number):
    process = start_slow(bulla, ring, verb, "-o", "out", data=data_for(bulla, ring, verb))
    process.send_signal(number)
    out, err = bulla.finish(process, status=130)
    assert (out, err, os.listdir(work)) == (b"", b"bulla: interrupted\n", [])


@pytest.mark.parametrize("verb", ["encrypt", "decrypt"])
def test_signal_leaves_what_was_there(bulla, ring, work, verb):
    (work / "out").write_bytes(b"old")
    process = start_slow(bulla, ring, verb, "-o", "out", "--force", data=data_for(bulla, ring, verb))
    process.send_signal(signal.SIGINT)
    bulla.finish(process, status=130)
    assert os.listdir(work) == ["out"] and (work / "out").read_bytes() == b"old"


def test_signal_leaves_no_detached_pair(bulla, ring, work):
    process = start_slow(bulla, ring, "encrypt", "-o", "out", "--detach", data=INPUT)
    process.send_signal(signal.SIGTERM)
    bulla.finish(process, status=130)
    assert os.listdir(work) == []


@pytest.mark.parametrize("verb", ["encrypt", "decrypt"])
def test_signal_ends_a_write_that_waits(bulla, ring, verb):
    """Nobody reads what comes out."""
    data = data_for(bulla, ring, verb)
    process = bulla.start(verb, "-k", ring)
    feeder = threading.Thread(target=feed, args=(process.stdin, data), daemon=True)
    feeder.start()
    wait_until_asleep(process)
    process.send_signal(signal.SIGINT)
    process.wait(timeout=30)
    feeder.join(timeout=30)
    process.stdin = None
    out, err = bulla.finish(process, status=130)
    assert err == b"bulla: interrupted\n"
    assert verb == "encrypt" or (len(out) < len(INPUT) and INPUT.startswith(out))


def feed(pipe, data):
    try:
        pipe.write(data)
        pipe.close()
    except BrokenPipeError:
        pass


def test_signal_ends_a_batch(bulla, ring, work):
    """What was done stays, the file in work leaves nothing, the rest is not begun."""
    (work / "out").mkdir()
    for name in ("a", "c"):
        (work / name).write_bytes(b"x")
    os.mkfifo(work / "b")
    process = bulla.start("encrypt", "-k", ring, "-j1", "a", "b", "c", "-o", "out")
    with open(work / "b", "wb") as fifo:
        fifo.write(INPUT[:MIB])
        fifo.flush()
        wait_until_asleep(process)
        process.send_signal(signal.SIGINT)
        _, err = bulla.finish(process, status=130)
    assert b"1 sealed, 0 skipped, 1 failed" in err
    assert os.listdir(work / "out") == ["a.bulla"]
    bulla("verify", "-k", ring, "out/a.bulla")


def test_signal_ends_the_wait_for_a_writer(bulla, ring, work):
    os.mkfifo(work / "fifo")
    process = bulla.start("encrypt", "-k", ring, "fifo")
    wait_until_asleep(process)
    process.send_signal(signal.SIGINT)
    bulla.finish(process, status=130)
    assert os.listdir(work) == ["fifo"]


def unnamed_files(directory):
    try:
        os.close(os.open(directory, os.O_TMPFILE | os.O_RDWR, 0o600))
        return True
    except OSError:
        return False


@pytest.mark.parametrize("verb", ["encrypt", "decrypt"])
@pytest.mark.parametrize("options", [[], ["--force"], ["--detach"]], ids=["", "force", "detach"])
def test_kill_leaves_nothing(bulla, ring, work, verb, options):
    if not unnamed_files(work):
        pytest.skip("the file system has no O_TMPFILE")
    options = [] if (verb, options) == ("decrypt", ["--detach"]) else options
    process = start_slow(bulla, ring, verb, "-o", "out", *options, data=data_for(bulla, ring, verb))
    process.kill()
    bulla.finish(process, status=-signal.SIGKILL)
    assert os.listdir(work) == []


@pytest.mark.plain
def test_signal_just_before_a_read_is_not_lost(bulla, ring, work, late):
    process = bulla.start("encrypt", "-k", ring, "-o", "out", env=late("read"))
    assert process.wait(timeout=30) == 130
    assert os.listdir(work) == []


def test_signal_ends_a_command_that_is_waited_for(bulla, ring, work):
    process = bulla.start("encrypt", "-k", "passphrase:", "--new-passphrase-command", "exec sleep 60", "-o", "out")
    wait_until_asleep(process)
    begun = time.monotonic()
    process.send_signal(signal.SIGTERM)
    _, err = bulla.finish(process, status=130)
    assert time.monotonic() - begun < 30 and b"interrupted" in err
    assert os.listdir(work) == []


def test_hang_up_that_is_ignored_stays_ignored(bulla, ring, work):
    """As nohup starts a program, so that it goes on when its terminal is gone."""

    def nohup():
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    process = bulla.start("encrypt", "-k", ring, "-o", "out", preexec_fn=nohup)
    process.stdin.write(INPUT[:MIB])
    process.stdin.flush()
    wait_until_asleep(process)
    process.send_signal(signal.SIGHUP)
    bulla.finish(process, INPUT[MIB:])
    assert bulla("decrypt", "-k", ring, "out", "-o", "-").stdout == INPUT


# Memory. The child's peak counts what its parent had when it forked, so a small process starts it.

MEASURE = """
import os, resource, subprocess, sys
status = subprocess.call(sys.argv[2:], close_fds=False)
with open(sys.argv[1], "w") as out:
    out.write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024))
sys.exit(status)
"""


def measured(bulla, name, *args):
    return [sys.executable, "-ISc", MEASURE, str(bulla.home / name), *bulla.command(args)]


def assert_small(bulla, *names):
    """The resident memory of the sanitizers is theirs, not bulla's."""
    for name in names:
        rss = int((bulla.home / name).read_text())
        assert SANITIZED or 0 < rss < RSS_MAX, f"{name}: {rss} bytes"


def test_memory_through_pipes(bulla, ring):
    block = content(MIB)
    pipes = {"stdout": subprocess.PIPE, **bulla.setting()}
    seal = subprocess.Popen(measured(bulla, "seal", "encrypt", "-k", ring), stdin=subprocess.PIPE, **pipes)
    unseal = subprocess.Popen(measured(bulla, "open", "decrypt", "-k", ring), stdin=seal.stdout, **pipes)
    seal.stdout.close()

    def write():
        for _ in range(LARGE // MIB):
            seal.stdin.write(block)
        seal.stdin.close()

    writer = threading.Thread(target=write)
    writer.start()
    same = all(unseal.stdout.read(MIB) == block for _ in range(LARGE // MIB))
    rest = unseal.stdout.read()
    writer.join()
    assert (same, rest, seal.wait(), unseal.wait()) == (True, b"", 0, 0)
    assert_small(bulla, "seal", "open")


def zeros(path):
    """Whether the file is LARGE zeros."""
    with open(path, "rb") as file:
        return all(file.read(MIB) == bytes(MIB) for _ in range(LARGE // MIB)) and file.read() == b""


def test_memory_with_a_sparse_file(bulla, ring, work):
    with open(work / "f", "wb") as file:
        file.truncate(LARGE)
    for name, args in (("seal", "encrypt f"), ("open", "decrypt f.bulla -o g"), ("verify", "verify f.bulla")):
        command = measured(bulla, name, *args.split(), "-k", ring)
        subprocess.run(command, **bulla.setting(), check=True, capture_output=True)
    assert zeros(work / "g")
    assert_small(bulla, "seal", "open", "verify")


def test_memory_with_many_files(bulla, ring, work):
    """A run keeps nothing of the files it has done."""
    (work / "t").mkdir()
    for number in range(300):
        (work / "t" / str(number)).write_bytes(content(20_000, number))
    command = measured(bulla, "seal", "encrypt", "-r", "t", "-k", ring)
    subprocess.run(command, **bulla.setting(), check=True, capture_output=True)
    assert_small(bulla, "seal")


def test_memory_with_many_large_files_and_threads(bulla, ring, work):
    """As much as with one: the threads of all files are no more than -j says, and each has its memory once."""
    other, noise = bulla.new_key("other.ring"), os.urandom(9 * MIB)
    (work / "t").mkdir()
    (work / "out").mkdir()
    for number in range(32):
        (work / "t" / str(number)).write_bytes(noise[number : number + 8 * MIB])
    for name, args in {
        "seal": ["encrypt", "--remove-source", "-k", ring, "t"],
        "check": ["verify", "-k", ring, "t"],
        "renew": ["reencrypt", "-k", ring, "--to", other, "t"],
        "open": ["decrypt", "--sync=none", "-k", other, "-o", "out", "t"],
    }.items():
        subprocess.run(measured(bulla, name, *args, "-q", "-r", "-j16"), check=True, **bulla.setting())
    assert_small(bulla, "seal", "check", "renew", "open")
    assert (work / "out" / "31").read_bytes() == noise[31 : 31 + 8 * MIB]


@pytest.mark.parametrize("first", [1, 3])
def test_threads_that_cannot_be_started_are_done_without(bulla, ring, work, first):
    for number in range(6):
        (work / str(number)).write_bytes(content(3 * MIB, number))
    few = ["strace", "-f", "-o", str(work.parent / "trace"), "-e", f"inject=clone3:error=EAGAIN:when={first}+"]
    bulla("encrypt", "-j4", "-k", ring, *map(str, range(6)), under=few)
    assert "EAGAIN" in (work.parent / "trace").read_text()
    assert bulla("decrypt", "-k", ring, "-o", "-", "5.bulla").stdout == content(3 * MIB, 5)


@pytest.mark.parametrize("threads", [1, 16])
def test_memory_with_threads(bulla, ring, work, threads):
    noise = os.urandom(5 * MIB)
    with open(work / "big", "wb") as big:
        for shift in range(LARGE // (4 * MIB)):  # no two chunks are the same
            big.write(noise[shift : shift + 4 * MIB])
    for name, args in {
        "seal": ["encrypt", "-k", ring, f"-j{threads}", "big"],
        "check": ["verify", "-q", "-k", ring, f"-j{threads}", "big.bulla"],
        "renew": ["reencrypt", "-k", ring, f"-j{threads}", "big.bulla"],
        "open": ["decrypt", "-k", ring, f"-j{threads}", "-o", "back", "big.bulla"],
    }.items():
        subprocess.run(measured(bulla, name, *args), check=True, **bulla.setting())
    assert_small(bulla, "seal", "check", "renew", "open")
    assert subprocess.run(["cmp", "big", "back"], cwd=work).returncode == 0


def test_many_threads_work_on_one_file(bulla, ring, work):
    """Or the test above shows nothing. The first write of each is held, or one could do all on a machine that has much to do."""
    held = ["-e", "inject=pwrite64:delay_enter=1000000:when=1"]
    (work / "big").write_bytes(content(64 * MIB))
    trace = work.parent / "trace"
    bulla("encrypt", "-k", ring, "-j4", "big", under=["strace", "-f", "-o", str(trace), "-e", "trace=pwrite64", *held])
    writers = {line.split()[0] for line in trace.read_text().splitlines() if "pwrite64(" in line}
    assert 2 <= len(writers) <= 4


def test_what_threads_make_does_not_depend_on_their_number(bulla, ring, work):
    """A file written at any place and a stream in order, and damage named alike."""
    data = content(9 * MIB + 5)
    path = bulla.seal(ring, data)
    for threads in ("-j1", "-j2", "-j7"):
        assert bulla("decrypt", "-k", ring, threads, stdin=path.read_bytes()).stdout == data
        assert bulla("decrypt", "-k", ring, threads, "--force", "-o", "back", path).returncode == 0
        assert (work / "back").read_bytes() == data
    raw = bytearray(path.read_bytes())
    for chunk in (500, 133, 40):
        raw[8192 + 56 + chunk * 16400 + 9] ^= 4
        path.write_bytes(raw)
        for threads in ("-j1", "-j7"):
            done = bulla("decrypt", "-k", ring, threads, "-o", "-", path, status=4)
            assert f"chunk {chunk} does not authenticate".encode() in done.stderr
            assert done.stdout == data[: chunk * 16384]
            done = bulla("verify", "-k", ring, threads, path, status=4)
            assert f"chunk {chunk} does not authenticate".encode() in done.stderr
