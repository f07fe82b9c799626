"""Standard input and output: pipes go through, and the exit status tells whether the output is complete."""

import os
import subprocess
import threading

import pytest

from held import wait_until_asleep
from sealed import CHUNK, CHUNKS, SMALL, SUITES, content, flip, layout

LARGE = 150 * 16384 + 100  # more than any buffer between the two ends; from chunk 64 on, other threads help


def sealed_bytes(bulla, ring, size, *options):
    return bulla("encrypt", "-k", ring, *options, stdin=content(size)).stdout


def pipeline(bulla, *stages):
    """Runs commands as a shell would with | between them; returns the last one's output and every status."""
    processes, source = [], subprocess.DEVNULL
    for stage in stages:
        processes.append(subprocess.Popen(stage, stdin=source, stdout=subprocess.PIPE, **bulla.setting()))
        if source != subprocess.DEVNULL:
            source.close()
        source = processes[-1].stdout
    out = source.read()
    return out, [p.wait() for p in processes]


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("size", [0, 1, 16384, LARGE])
@pytest.mark.parametrize("name", [[], ["-"], ["-o", "-"], ["-", "-o", "-"]], ids=["none", "-", "-o -", "- -o -"])
def test_streams_come_back(bulla, ring, size, suite, name):
    sealed = bulla("encrypt", "-k", ring, "--suite", suite, *name, stdin=content(size))
    assert sealed.stderr == b""
    opened = bulla("decrypt", "-k", ring, *name, stdin=sealed.stdout)
    assert (opened.stdout, opened.stderr) == (content(size), b"")


def test_region_is_that_of_a_file_of_this_size(bulla, ring, work):
    """Whether a body is small is known of a pipe after as many bytes."""
    for size in range(SMALL - 200, SMALL + 2, 8):
        (work / "f").write_bytes(content(size))
        file = bulla("encrypt", "-k", ring, "-o", "-", "f").stdout
        assert layout(sealed_bytes(bulla, ring, size)) == layout(file)
        assert layout(file).region == (512 if len(file) - layout(file).body < SMALL else 4096)


@pytest.mark.parametrize("verb", ["encrypt", "decrypt"])
def test_pipes_that_do_not_block_are_waited_for(bulla, ring, verb):
    """As a program leaves them that shares them and polls."""
    size = 3 * 2**20  # more than the buffers of both
    data = content(size) if verb == "encrypt" else sealed_bytes(bulla, ring, size)
    theirs, feed = os.pipe()
    drain, into = os.pipe()
    os.set_blocking(theirs, False)
    os.set_blocking(into, False)
    process = bulla.start(verb, "-k", ring, stdin=theirs, stdout=into)
    os.close(theirs)
    os.close(into)
    wait_until_asleep(process)  # for the first byte
    with os.fdopen(feed, "wb") as pipe:
        writer = threading.Thread(target=lambda: (pipe.write(data), pipe.close()))
        writer.start()
        wait_until_asleep(process)  # for room
        with os.fdopen(drain, "rb") as out:
            made = out.read()
        writer.join()
    bulla.finish(process)
    assert (bulla("decrypt", "-k", ring, stdin=made).stdout if verb == "encrypt" else made) == content(size)


def test_files_and_streams_mix(bulla, ring, work):
    (work / "f").write_bytes(b"from a file")
    sealed = bulla("encrypt", "-k", ring, "f", "-o", "-").stdout
    assert bulla("decrypt", "-k", ring, stdin=sealed).stdout == b"from a file"
    bulla("encrypt", "-k", ring, "-o", "s", stdin=b"from a stream")
    bulla("decrypt", "-k", ring, "-o", "t", stdin=(work / "s").read_bytes())
    assert (work / "t").read_bytes() == b"from a stream"


def test_opened_files_come_out_one_after_another(bulla, ring):
    names = [bulla.seal(ring, name.encode(), name=name) for name in "abc"]
    assert bulla("decrypt", "-k", ring, "-o", "-", *names).stdout == b"abc"


def break_body(sealed):
    """The second chunk of a sealed file does not authenticate."""
    raw = sealed.read_bytes()
    sealed.write_bytes(flip(raw, layout(raw).chunks + CHUNK + 100))


def is_missing(sealed):
    sealed.unlink()


def is_locked(bulla, sealed):
    """Sealed to another key."""
    sealed.unlink()
    bulla.seal(bulla.new_key("other.ring"), content(40_000), name=sealed.stem)


BREAKS = {"damaged": (break_body, 16384), "missing": (is_missing, 0), "not a sealed file": (lambda s: s.write_bytes(bytes(20_000)), 0)}
LISTS = {"operands": lambda names: (names, b""), "a list": lambda names: (["--files-from", "-"], "\n".join(map(str, names)).encode())}


@pytest.mark.parametrize("threads", ["-j1", "-j4"])
@pytest.mark.parametrize("listed", LISTS)
@pytest.mark.parametrize("what", BREAKS)
def test_nothing_follows_a_file_that_failed(bulla, ring, work, what, listed, threads):
    """A reader would take it for the continuation."""
    names = [bulla.seal(ring, content(40_000, seed), name=seed) for seed in "abcd"]
    how, whole = BREAKS[what]
    how(names[1])
    args, stdin = LISTS[listed](names)
    done = bulla("decrypt", threads, "-k", ring, "-o", "-", *args, stdin=stdin, status=3)
    assert done.stdout == content(40_000, "a") + content(40_000, "b")[:whole]
    assert f"'{names[1]}'".encode() in done.stderr
    assert f"'{names[2]}' and what follows it were not opened: standard output ends at the failure".encode() in done.stderr
    assert sorted(work.iterdir()) == sorted(n for n in names if n != names[1] or what != "missing")


def test_nothing_follows_a_list_that_failed(bulla, ring, work):
    """Neither the names after it in the list nor the operands."""
    names = [bulla.seal(ring, content(20_000, seed), name=seed) for seed in "ab"]
    (work / "list").write_text(f"missing.bulla\n{names[0]}\n")
    done = bulla("decrypt", "-k", ring, "-o", "-", "--files-from", "list", names[1], status=3)
    assert done.stdout == b"" and done.stderr.count(b"standard output ends at the failure") == 1


def test_nothing_follows_a_file_of_another_key(bulla, ring, work):
    names = [bulla.seal(ring, content(20_000, seed), name=seed) for seed in "abc"]
    is_locked(bulla, names[1])
    done = bulla("decrypt", "-k", ring, "-o", "-", *names, status=3)
    assert done.stdout == content(20_000, "a") and b"none of the given keys opens it" in done.stderr


def test_the_failure_of_the_last_file_cuts_nothing_off(bulla, ring, work):
    names = [bulla.seal(ring, content(20_000, seed), name=seed) for seed in "ab"]
    break_body(names[1])
    done = bulla("decrypt", "-k", ring, "-o", "-", *names, status=3)
    assert done.stdout == content(20_000, "a") + content(20_000, "b")[:16384] and b"ends at the failure" not in done.stderr


def test_tar_goes_through(bulla, ring, work):
    tree = work / "tree" / "sub"
    tree.mkdir(parents=True)
    for number in range(30):
        (tree / f"f{number}").write_bytes(content(20_000, number))
    encrypt, decrypt = (bulla.command([verb, "-k", ring]) for verb in ("encrypt", "decrypt"))
    out, statuses = pipeline(bulla, ["tar", "c", "tree"], encrypt, decrypt, ["tar", "t"])
    assert statuses == [0, 0, 0, 0]
    assert sorted(out.split()) == sorted([b"tree/", b"tree/sub/"] + [b"tree/sub/f%d" % n for n in range(30)])
    (work / "back").mkdir()
    pipeline(bulla, ["tar", "c", "tree"], encrypt, decrypt, ["tar", "x", "-C", "back"])
    for number in range(30):
        assert (work / "back" / "tree" / "sub" / f"f{number}").read_bytes() == content(20_000, number)


def test_input_in_small_pieces(bulla, ring):
    """Short reads change nothing: pieces of 1000 bytes, as a slow producer writes them."""
    data = sealed_bytes(bulla, ring, LARGE)
    process = bulla.start("decrypt", "-k", ring)

    def feed():
        for at in range(0, len(data), 1000):
            process.stdin.write(data[at : at + 1000])
            process.stdin.flush()
        process.stdin.close()

    feeder = threading.Thread(target=feed)
    feeder.start()
    out = process.stdout.read()
    feeder.join()
    process.stdin = None
    bulla.finish(process)
    assert out == content(LARGE)


def input_for(bulla, ring, verb):
    return content(LARGE) if verb == "encrypt" else sealed_bytes(bulla, ring, LARGE)


@pytest.mark.parametrize("verb", ["encrypt", "decrypt"])
def test_reader_that_goes_away(bulla, ring, verb):
    data = input_for(bulla, ring, verb)
    read, write = os.pipe()
    os.close(read)
    done = bulla(verb, "-k", ring, stdin=data, stdout=write, status=1)
    os.close(write)
    assert done.stderr == b"bulla: cannot write 'standard output': Broken pipe\n"


@pytest.mark.parametrize("verb", ["encrypt", "decrypt"])
@pytest.mark.parametrize("size", [0, 1, LARGE])
def test_full_disk(bulla, ring, verb, size):
    data = content(size) if verb == "encrypt" else sealed_bytes(bulla, ring, size)
    with open("/dev/full", "wb") as full:
        if (verb, size) == ("decrypt", 0):
            bulla(verb, "-k", ring, stdin=data, stdout=full)
            return
        done = bulla(verb, "-k", ring, stdin=data, stdout=full, status=1)
    assert done.stderr == b"bulla: cannot write 'standard output': No space left on device\n"


CUTS = [0, 1, 8191, 8192, CHUNKS - 1, CHUNKS, CHUNKS + 15]
CUTS += [CHUNKS + CHUNK - 1, CHUNKS + CHUNK, CHUNKS + 5 * CHUNK + 1, CHUNKS + 100 * CHUNK, CHUNKS + 130 * CHUNK + 1, -1]


@pytest.mark.parametrize("threads", ["-j1", "-j4"])
@pytest.mark.parametrize("cut", CUTS)
def test_truncated_stream(bulla, ring, cut, threads):
    data = sealed_bytes(bulla, ring, LARGE)
    done = bulla("decrypt", threads, "-k", ring, stdin=data[:cut], status=4 if cut else 11)
    whole_chunks = max(0, len(data[:cut]) - CHUNKS) // CHUNK
    assert done.stdout == content(LARGE)[: whole_chunks * 16384]


def test_truncation_at_a_chunk_is_named(bulla, ring):
    data = sealed_bytes(bulla, ring, LARGE)[: CHUNKS + 3 * CHUNK]
    done = bulla("decrypt", "-k", ring, stdin=data, status=4)
    assert b"'standard input': it ends before its last chunk, 3" in done.stderr


@pytest.mark.parametrize("threads", ["-j1", "-j4"])
@pytest.mark.parametrize("number", [0, 1, 17, 79, 80, 113, 149])
def test_damaged_stream_gives_what_came_before(bulla, ring, number, threads):
    data = flip(sealed_bytes(bulla, ring, LARGE), CHUNKS + number * CHUNK + 100)
    done = bulla("decrypt", threads, "-k", ring, stdin=data, status=4)
    assert done.stdout == content(LARGE)[: number * 16384]
    assert b"'standard input': chunk %d does not authenticate\n" % number in done.stderr


def test_damaged_stream_makes_no_file(bulla, ring, work):
    data = flip(sealed_bytes(bulla, ring, LARGE), -1)
    bulla("decrypt", "-k", ring, "-o", "out", stdin=data, status=4)
    assert os.listdir(work) == []


NOT_SEALED = {"empty": b"", "short": b"not sealed", "zeros": bytes(20_000), "noise": content(20_000)}


@pytest.mark.parametrize("verb", ["decrypt", "verify", "inspect"])
@pytest.mark.parametrize("data", NOT_SEALED.values(), ids=NOT_SEALED)
def test_input_that_is_not_sealed(bulla, ring, verb, data):
    key = ["-k", ring] if verb != "inspect" else []
    done = bulla(verb, *key, stdin=data, status=11)
    assert (done.stdout, done.stderr) == (b"", b"bulla: 'standard input' is not a sealed file\n")


def test_verify_reads_to_the_last_byte(bulla, ring):
    data = sealed_bytes(bulla, ring, LARGE)
    done = bulla("verify", "-k", ring, stdin=data)
    assert done.stdout == b"" and b"'standard input': all %d bytes are authentic" % LARGE in done.stderr
    assert bulla("verify", "-k", ring, stdin=flip(data, -1), status=4).stdout == b""


def test_inspect_reads_a_stream(bulla, ring):
    (shown,) = bulla.inspect(stdin=sealed_bytes(bulla, ring, 5, "--name", "n"))
    assert (shown["file"], shown["name"], shown["bytes"]) == ("-", "n", None)


@pytest.fixture
def long_list(bulla, ring, work):
    """A list of many names, larger than all that is looked at before it is read; only the first needs the old version of the key."""
    names = [f"{number:08}.bulla" for number in range(1500)]
    (work / "f").write_bytes(b"a small file")
    bulla("encrypt", "-k", ring, "-o", names[0], "f")
    bulla("key", "rotate", ring)
    bulla("encrypt", "-k", ring, "-o", names[1], "f")
    for name in names[2:]:
        os.link(work / names[1], work / name)
    return "".join(f"{name}\n" for name in names).encode()


@pytest.mark.parametrize("way", ["-", "pipe", "fifo"])
@pytest.mark.parametrize("verb, status, said", [(["status", "--needs", "RING#backup:1"], 7, b"1 file still needs"), (["verify", "-k", "RING"], 0, b"1500 verified")])
def test_list_that_is_read_once(bulla, ring, work, long_list, verb, status, said, way):
    """A pipe gives each byte once: what was looked at is not lost."""
    path, how, ours = "-", {"stdin": long_list}, None
    if way == "pipe":
        ours, theirs = os.pipe()
        path, how = f"/dev/fd/{ours}", {"pass_fds": [ours]}
    elif way == "fifo":
        os.mkfifo(work / "list", 0o600)
        path, how = "list", {}

    def write():
        with open(theirs if way == "pipe" else work / "list", "wb") as end:
            end.write(long_list)

    writer = threading.Thread(target=write)
    if way != "-":
        writer.start()
    done = bulla(*(word.replace("RING", str(ring)) for word in verb), "--files-from", path, status=status, **how)
    if way != "-":
        writer.join()
    if ours is not None:
        os.close(ours)
    assert said in done.stdout + done.stderr and b"1500 " in done.stderr
