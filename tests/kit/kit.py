"""The vectors of the kit: how one is written and read. README.md describes the form."""

import hashlib
import pathlib
import zlib
from dataclasses import dataclass, field

FOLDER = pathlib.Path(__file__).with_name("vectors")
STATUS = {"opened": 0, "envelope": 4, "no key": 5, "commitment": 4, "chunk": 4, "truncated": 4, "trailing": 4, "unsupported": 8}


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


def read(path):
    header, _, packed = path.read_bytes().partition(b"\n\n")
    vector = Vector(path.name, "", "", b"")
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
    return [read(path) for path in sorted(FOLDER.iterdir())]
