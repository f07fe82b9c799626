"""The vectors of the kit by the independent decoder alone, without bulla, by every way that it has to open a file."""

import json
import pathlib
import re
import subprocess
import sys

import pytest

from kit import keyring, read_all
from encoder import CHUNK  # and the way to the decoder
from decoding import decode

HERE = pathlib.Path(__file__).parent
VECTORS = {v.name: v for v in read_all()}

SAYS = {
    "opened": "", "tag": "the tag of the envelope does not match", "envelope": "no valid envelope", "no key": "do not open this file",
    "older keyring": "the keyring is older than the file", "commitment": "the commitment of the body does not match",
    "chunk": "does not authenticate", "truncated": "ends too early|cut short", "trailing": "does not authenticate|after the detached envelope",
    "unsupported": "unknown|made by a version before the first release|does not know how to open",
}


def test_vectors_are_what_the_generator_makes():
    done = subprocess.run([sys.executable, HERE / "generate", "--check"], capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_every_expectation_has_vectors():
    assert {v.expect for v in VECTORS.values()} == SAYS.keys()


@pytest.fixture(params=VECTORS)
def vector(request):
    return VECTORS[request.param]


@pytest.fixture
def call(vector, tmp_path):
    """Calls the decoder for the vector, with its keys or without; the file is there too, or comes by standard input."""
    (tmp_path / "file").write_bytes(vector.file)
    named, keys = [], []
    if vector.envelope:
        (tmp_path / "env").write_bytes(vector.envelope)
        named = ["--envelope", tmp_path / "env"]
    if vector.keys:
        (tmp_path / "ring").write_text(json.dumps(keyring(vector.keys)))
        (tmp_path / "ring").chmod(0o600)
        keys += ["--keyring", tmp_path / "ring"]
    if vector.passphrase:
        (tmp_path / "passphrase").write_text(vector.passphrase)
        keys += ["--passphrase-file", tmp_path / "passphrase"]
    return lambda *args, keys=keys, stdin=None: decode(*keys, *named, *args, *([tmp_path / "file"] if stdin is None else []), stdin=stdin or b"")


def test_vector(vector, call, tmp_path):
    """Plaintext comes out as far as it authenticates and no byte more."""
    for stdin in (None, vector.file):
        got = call(stdin=stdin)
        assert got.returncode == vector.status and re.search(SAYS[vector.expect], got.stderr.decode()), got
        assert vector.is_plaintext(got.stdout) and (vector.expect != "opened" or not got.stderr), got
        assert vector.expect != "chunk" or f"chunk {vector.released // CHUNK} " in got.stderr.decode(), got


def test_verify(vector, call):
    got = call("--verify")
    assert (got.returncode, got.stdout) == (4 if vector.expect == "tag" else vector.status, b""), got


def test_salvage(vector, call, tmp_path):
    """What authenticates is at its place in a new file; where nothing does, there is none."""
    out = tmp_path / "out"
    got = call("--salvage", out)
    assert (got.returncode, got.stdout) == (vector.status, b""), got
    if vector.status == 0:
        assert vector.is_plaintext(out.read_bytes())
    elif vector.released:
        assert vector.is_plaintext(out.read_bytes()[: vector.released]) and "missing: bytes" in got.stderr.decode()
    elif vector.expect not in ("chunk", "trailing", "truncated", "commitment"):
        assert not out.exists()


def test_show(vector, call):
    """Each envelope that is valid is shown, whatever its keys and its body."""
    got = call("--show", keys=[])
    assert got.returncode == (vector.status if vector.is_refused_unread else 0), got
    assert got.returncode or json.loads(got.stdout)["slots"]
