"""The independent decoder opens what bulla seals, and the two refuse the same files with the same status."""

import hashlib
import json
import os
import pathlib
import random
import subprocess

import pytest

DECODER = pathlib.Path(__file__).with_name("decode.py")
BULLA = os.environ["BULLA"]
REGION = 4096
SIZES = [0, 1, 16383, 16384, 16385, 32768, 100_000]


def run(*args, stdin=b""):
    return subprocess.run([str(a) for a in args], input=stdin, capture_output=True)


def decode(*args):
    return run("/usr/bin/python3", DECODER, *args)


@pytest.fixture(scope="module")
def ring(tmp_path_factory):
    path = tmp_path_factory.mktemp("keys") / "backup.ring"
    assert run(BULLA, "key", "new", "-q", path).returncode == 0
    return path


def seal(ring, folder, content, *options):
    plain = folder / "plain"
    plain.write_bytes(content)
    done = run(BULLA, "encrypt", "-k", ring, *options, plain)
    assert done.returncode == 0, done.stderr
    return folder / "plain.bulla"


@pytest.mark.parametrize("suite", ["aes", "chacha20"])
@pytest.mark.parametrize("detach", [False, True], ids=["whole", "detached"])
@pytest.mark.parametrize("size", SIZES)
def test_opens_what_bulla_seals(ring, tmp_path, size, detach, suite):
    content = random.Random(size).randbytes(size)
    options = ["--suite", suite, "--name", "nightly", "--generation", "3", "--context", "db=prod", "--context", "a="]
    sealed = seal(ring, tmp_path, content, *options, *(["--detach"] if detach else []))
    separate = ["--envelope", f"{sealed}.env"] if detach else []
    got = decode("--keyring", ring, *separate, sealed)
    assert (got.returncode, got.stderr) == (0, b"")
    assert got.stdout == content


def test_reads_the_same_envelope(ring, tmp_path):
    sealed = seal(ring, tmp_path, b"x", "--name", "näm", "--generation", "9", "--context", "k=v")
    theirs = json.loads(decode("--inspect", sealed).stdout)
    ours = json.loads(run(BULLA, "inspect", "--json", sealed).stdout)
    for member in ("file_id", "branch_id", "generation", "name", "context", "sequence", "copies"):
        assert theirs[member] == ours[member], member


def with_checksum(copy):
    """A copy with the right checksum under whatever was changed in it."""
    size = 24 + int.from_bytes(copy[12:16], "big")
    return copy[:size] + hashlib.sha256(copy[:size]).digest() + copy[size + 32 :]


def change(copy, offset, byte):
    return copy[:offset] + bytes([byte]) + copy[offset + 1 :]


def flip_each(sealed):
    """The file with one byte of both envelope copies changed and their checksums made right again, byte by byte."""
    copy, body = sealed[:REGION], sealed[2 * REGION :]
    used = 24 + int.from_bytes(copy[12:16], "big")
    for offset in range(used):
        for value in {0, 0xFF, copy[offset] ^ 1, copy[offset] ^ 0x80} - {copy[offset]}:
            yield f"byte {offset} = {value}", 2 * with_checksum(change(copy, offset, value)) + body


def test_both_refuse_the_same_envelopes(ring, tmp_path):
    """Statuses 4, 5 and 8 must agree for some hundred forged envelopes: a second reader of each rule."""
    sealed = seal(ring, tmp_path, b"content", "--context", "db=prod", "--context", "a=b", "--name", "n").read_bytes()
    differing = []
    statuses = set()
    for index, (what, forged) in enumerate(flip_each(sealed)):
        if index % 7:  # a fixed sample: each is two processes
            continue
        (tmp_path / "forged").write_bytes(forged)
        theirs = decode("--keyring", ring, tmp_path / "forged").returncode
        ours = run(BULLA, "verify", "-q", "-k", ring, tmp_path / "forged").returncode
        statuses.add(ours)
        if theirs != ours:
            differing.append((what, ours, theirs))
    assert not differing
    assert {4, 5, 8} <= statuses


@pytest.mark.parametrize("cut", [0, 1, 4096, 8191, 8192, 8247, 8248, 8263, -1, -17])
def test_both_refuse_truncated_files(ring, tmp_path, cut):
    sealed = seal(ring, tmp_path, b"c" * 20000)
    whole = sealed.read_bytes()
    sealed.write_bytes(whole[:cut])
    got = decode("--keyring", ring, sealed)
    assert (got.returncode, got.stdout) == (4, b"")
    assert run(BULLA, "verify", "-q", "-k", ring, sealed).returncode == 4


def test_the_other_key_does_not_open(ring, tmp_path):
    other = tmp_path / "other.ring"
    assert run(BULLA, "key", "new", "-q", other).returncode == 0
    sealed = seal(ring, tmp_path, b"content")
    assert decode("--keyring", other, sealed).returncode == 5
    assert run(BULLA, "verify", "-q", "-k", other, sealed).returncode == 5
