"""What the tests know of the format: where things stand in a sealed file, and how to break them. See docs/FORMAT.md."""

import dataclasses
import hashlib
import json
import os
import random
import socket
import stat

import pytest

REGION = 4096  # of a file with a body of SMALL or more, and of a detached envelope
BODY = 2 * REGION
CHUNKS = BODY + 56
CHUNK = 16384 + 16
SMALL = 64 << 10  # a body below it has the smallest region that holds its envelope
SUITES = ["aes", "chacha20"]


@dataclasses.dataclass
class Layout:
    """Where things are in a sealed file: sizes and offsets in bytes, those of the content in copy A."""

    region: int
    body: int
    chunks: int
    core: int
    generation: int
    branch_id: int
    wrapped_key: int
    slots: int  # the number of slots, and then the slots
    tag: int
    end: int  # of the content, where the hash is; zeros follow the hash


def layout(data):
    """The layout of a sealed file, or of an envelope alone, with a good copy A."""
    region = 1 << int.from_bytes(data[10:12], "big")
    end = 24 + int.from_bytes(data[12:16], "big")
    branch_id = 26 + int.from_bytes(data[24:26], "big")
    starts = {"core": 26, "generation": 26 + 2 + 2 + 16 + 8, "branch_id": branch_id, "wrapped_key": branch_id + 32}
    starts |= {"slots": branch_id + 32 + 72, "tag": end - 32, "end": end}
    return Layout(region=region, body=2 * region, chunks=2 * region + 56, **starts)


def copies(data):
    """Copy A and copy B of the envelope."""
    region = layout(data).region
    return data[:region], data[region : 2 * region]


def with_copies(data, a, b=None):
    """A sealed file with these copies of the envelope in place of its own, under the right checksums; B is as A where it is not given."""
    return with_checksum(a) + with_checksum(a if b is None else b) + data[layout(data).body :]


def content(size, seed=0):
    """Bytes that look like nothing and are the same in every run."""
    return random.Random(f"{seed} {size}").randbytes(size)


def flip(data, offset, bit=0):
    offset %= len(data)
    return data[:offset] + bytes([data[offset] ^ 1 << bit]) + data[offset + 1 :]


def with_checksum(copy):
    """An envelope copy with the right checksum under whatever was changed in it."""
    size = 24 + int.from_bytes(copy[12:16], "big")
    return copy[:size] + hashlib.sha256(copy[:size]).digest() + copy[size + 32 :]


def snapshot(directory):
    """All below a directory, with what must not change unless asked: type, mode, mtime, content."""
    found = {}
    for base, directories, files in os.walk(os.fsencode(directory)):
        for name in directories + files:
            path = os.path.join(base, name)
            st = os.lstat(path)
            what = [stat.S_IFMT(st.st_mode), stat.S_IMODE(st.st_mode)]
            if stat.S_ISREG(st.st_mode) and os.access(path, os.R_OK):
                with open(path, "rb") as file:
                    what += [st.st_mtime_ns, hashlib.sha256(file.read()).hexdigest()]
            found[path] = what
    return found


def identity(path):
    """What a file has that is not touched."""
    st = path.stat()
    return st.st_ino, st.st_mtime_ns, st.st_mode, st.st_uid, path.read_bytes()


def make_null(path):
    """A device like /dev/null, which a broken program may spoil; /dev/null itself is never an output in a test."""
    if os.geteuid() != 0:
        pytest.skip("only root makes devices")
    os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 3))


def make_socket(path):
    """A socket that nobody listens at; by way of its directory, for their names may not be long."""
    directory = os.open(path.parent, os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(f"/proc/self/fd/{directory}/{path.name}")
    os.close(directory)


def edit_ring(path, change):
    """Rewrites a keyring: change takes its parsed content and may change it in place or return another."""
    rings = json.loads(path.read_text())
    path.write_text(json.dumps(change(rings) or rings))


def many_keys(bulla, count=30):
    """Makes a keyring of keys with names as long as they may be, more than a region of 4 KiB has room for; returns their references."""
    ring = bulla.new_key("many.ring")
    names = ["n" * 60 + f"{number:04}" for number in range(count)]

    def add(r):
        for name in names:
            key = content(32, name)
            check = hashlib.sha256(b"bulla/v1 key check" + key).hexdigest()[:8]
            version = r["keys"][0]["versions"][0] | {"version": 1, "state": "active", "key": key.hex(), "check": check}
            fresh = {"name": name, "id": hashlib.sha256(name.encode()).hexdigest()[:32], "versions": [version]}
            r["keys"].append(r["keys"][0] | fresh)

    edit_ring(ring, add)
    return [f"{ring}#{name}" for name in names]


def slot_bytes(ring, version, name=None):
    """How a slot of that version begins: the key id and the number."""
    keys = json.loads(ring.read_text())["keys"]
    (key_id,) = [key["id"] for key in keys if name in (None, key["name"])]
    return bytes.fromhex(key_id) + version.to_bytes(4, "big")


def set_state(path, state, version=0):
    """Puts one version of a keyring's first key into another state."""

    def change(ring):
        v = ring["keys"][0]["versions"][version]
        v["state"] = state
        if state == "destroyed":
            del v["key"], v["check"]

    edit_ring(path, change)
