"""The vectors of the kit: how one is written and read. README.md describes the form."""

import hashlib
import pathlib
import sys
import zlib
from dataclasses import dataclass, field

TESTS = pathlib.Path(__file__).parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "decoder")]

import tarball  # noqa: E402
import decode  # noqa: E402

ARCHIVE = pathlib.Path(__file__).with_name("vectors.tar")
STATUS = {"opened": 0, "tag": 0, "envelope": 4, "commitment": 4, "chunk": 4, "truncated": 4, "trailing": 4, "no key": 5, "older keyring": 7,
          "unsupported": 8}


@dataclass
class Vector:
    name: str
    expect: str
    comment: str
    file: bytes
    envelope: bytes = b""  # a separate one
    keys: list[str] = field(default_factory=list)  # METHOD ID VERSION BYTES
    passphrase: str = ""
    plaintext: str = ""  # SIZE SHA-256, of what authenticates
    status: int = 0

    @property
    def released(self):
        return int(self.plaintext.split()[0]) if self.plaintext else 0

    @property
    def is_refused_unread(self):
        """Whether the envelope itself is refused, so that it is not even shown."""
        opens_by_no_known_slot = self.expect == "unsupported" and self.name.startswith("method_")
        return (self.expect in ("envelope", "unsupported") and not opens_by_no_known_slot) or self.name.startswith("trailing_separate")

    def is_plaintext(self, data):
        """Whether this is what authenticates of the file, all of it and no more."""
        return f"{len(data)} {hashlib.sha256(data).hexdigest()}" == (self.plaintext or describe(b""))

    def write(self):
        lines = [("expect", self.expect), ("status", STATUS[self.expect]), ("plaintext", self.plaintext)]
        lines += [*(("key", key) for key in self.keys), ("passphrase", self.passphrase)]
        lines += [("envelope", len(self.envelope) or ""), ("comment", self.comment)]
        header = "".join(f"{name}: {value}\n" for name, value in lines if value != "")
        return header.encode() + b"\n" + zlib.compress(self.envelope + self.file, 9)


def describe(plaintext):
    return f"{len(plaintext)} {hashlib.sha256(plaintext).hexdigest()}"


def read(name, text):
    header, _, packed = text.partition(b"\n\n")
    vector = Vector(name, "", "", b"")
    size, content = 0, zlib.decompress(packed)
    for line in header.decode().splitlines():
        name, _, value = line.partition(": ")
        if name == "key":
            vector.keys.append(value)
        elif name == "envelope":
            size = int(value)
        else:
            setattr(vector, name, int(value) if name == "status" else value)
    vector.envelope, vector.file = content[:size], content[size:]
    return vector


def read_all():
    return [read(name, text) for name, text in tarball.members(ARCHIVE).items()]


def keyring(lines):
    """The keys of a vector as a keyring; versions of one key must be next to each other."""
    keys = {}
    for line in lines:
        method, key_id, version, secret = line.split()
        kind, made = {"keyring-xaes": "symmetric", "keyring-x25519": "x25519"}[method], "2026-11-24T00:00:00Z"
        key = {"name": f"k{len(keys)}", "id": key_id, "kind": kind, "created": made, "versions": []}
        raw = bytes.fromhex(secret)
        row = {"version": int(version), "state": "retired", "created": made, "key": secret}
        row["check"] = decode.sha256(b"bulla/v1 key check" + raw)[:4].hex()
        if kind == "x25519":
            public = decode.x25519_public(raw)
            named = bytes.fromhex(key_id) + int(version).to_bytes(4, "big") + public
            row |= {"public": public.hex(), "public-check": decode.sha256(b"bulla/v1 public key check" + named)[:4].hex()}
        keys.setdefault(key_id, key)["versions"].append(row)
    return {"bulla-keyring": 1, "keys": list(keys.values())}
