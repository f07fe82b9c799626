"""decrypt --offset and --length: a part of a file, of which only what is needed is read."""

import os
import re

import pytest

from sealed import content

CHUNK, BATCH = 16384, 16 * 16384
SIZES = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, BATCH, 3 * BATCH + 5]


def part(bulla, ring, *options, status=0):
    return bulla("decrypt", "-k", ring, "-o", "-", *options, "plain.bulla", status=status)


@pytest.mark.parametrize("threads", ["-j1", "-j4"])
@pytest.mark.parametrize("size", SIZES)
def test_every_part_is_what_the_whole_has_there(bulla, ring, size, threads):
    data = content(size)
    bulla.seal(ring, data)
    edges = {0, 1, CHUNK - 1, CHUNK, BATCH - 1, BATCH, BATCH + 1, size - 1, size}
    edges = sorted(edge for edge in edges if 0 <= edge <= size)
    for offset in edges:
        assert part(bulla, ring, threads, f"--offset={offset}").stdout == data[offset:]
        assert part(bulla, ring, threads, "--offset", f"-{offset}").stdout == data[size - offset :]
        for length in (1, CHUNK, BATCH + 3):
            got = part(bulla, ring, threads, f"--offset={offset}", f"--length={length}").stdout
            assert got == data[offset : offset + length]


def test_a_part_goes_to_a_file(bulla, ring, work):
    data = content(5 * BATCH)
    bulla.seal(ring, data)
    bulla("decrypt", "-k", ring, "-j4", "--offset=7", "--length", str(4 * BATCH), "-o", "part", "plain.bulla")
    assert (work / "part").read_bytes() == data[7 : 7 + 4 * BATCH]


def test_a_part_by_standard_input_that_is_a_file(bulla, ring, work):
    bulla.seal(ring, content(BATCH))
    with open(work / "plain.bulla", "rb") as sealed:
        done = bulla("decrypt", "-k", ring, "-o", "-", "--offset=-3", stdin_file=sealed)
    assert done.stdout == content(BATCH)[-3:]


def test_a_part_of_a_detached_body(bulla, ring):
    bulla("encrypt", "-k", ring, "--detach", "-o", "plain.bulla", stdin=content(3 * CHUNK))
    assert part(bulla, ring, "--offset=20000", "--length=5").stdout == content(3 * CHUNK)[20000:20005]


REFUSED = [
    (["--offset=16385"], 1, "has only 16384 bytes"),
    (["--offset=-16385"], 1, "has only 16384 bytes"),
    (["--offset=1", "other.bulla"], 2, "need one FILE"),
    (["--offset=1", "-r"], 2, "need one FILE"),
    (["--offset=1", "--remove-source"], 2, "does not go with a part"),
]


@pytest.mark.parametrize("options, status, says", REFUSED)
def test_parts_that_are_refused(bulla, ring, work, options, status, says):
    bulla.seal(ring, content(CHUNK))
    done = part(bulla, ring, *options, status=status)
    assert says in done.stderr.decode() and done.stdout == b""
    assert os.listdir(work) == ["plain.bulla"]


def test_a_part_needs_a_name_of_its_own(bulla, ring, work):
    bulla.seal(ring, b"x")
    assert b"and -o" in bulla("decrypt", "-k", ring, "--offset=0", "plain.bulla", status=2).stderr
    assert os.listdir(work) == ["plain.bulla"]


def test_a_part_of_a_pipe_is_refused(bulla, ring):
    sealed = bulla("encrypt", "-k", ring, stdin=content(CHUNK)).stdout
    done = bulla("decrypt", "-k", ring, "-o", "-", "--offset=1", stdin=sealed, status=2)
    assert b"a part cannot be read from a stream" in done.stderr


def test_a_file_cut_short_is_seen_whatever_the_part(bulla, ring, work):
    path = bulla.seal(ring, content(BATCH + 5))
    for cut in (1, 17, 21, 22, CHUNK):
        raw = path.read_bytes()
        path.write_bytes(raw[:-cut])
        done = part(bulla, ring, "--offset=0", "--length=1", status=4)
        assert done.stdout == b""
        path.write_bytes(raw)


def test_damage_outside_of_the_part_is_not_met_and_inside_it_is(bulla, ring):
    path = bulla.seal(ring, content(BATCH))
    raw = bytearray(path.read_bytes())
    raw[8192 + 56 + 3 * (CHUNK + 16) + 100] ^= 1
    path.write_bytes(raw)
    assert part(bulla, ring, "--offset=0", f"--length={3 * CHUNK}").stdout == content(BATCH)[: 3 * CHUNK]
    done = part(bulla, ring, f"--offset={3 * CHUNK - 1}", "--length=2", status=4)
    assert b"chunk 3 does not authenticate" in done.stderr
    assert done.stdout == content(BATCH)[3 * CHUNK - 1 : 3 * CHUNK]


def test_only_what_is_needed_is_read(bulla, ring, work):
    """The last chunk, and the one that holds the byte."""
    bulla.seal(ring, content(64 * BATCH))
    done = bulla("decrypt", "-k", ring, "-j1", "-o", "-", "--offset=9999999", "--length=1", "plain.bulla",
                 under=["strace", "-f", "-e", "trace=pread64,read", "-o", str(work / "trace")])
    assert done.stdout == content(64 * BATCH)[9999999:10000000]
    calls = re.findall(r"pread64\((\d+).* = (\d+)$", (work / "trace").read_text(), re.M)
    assert [int(size) for _, size in calls][-2:] == [16, CHUNK + 16]
