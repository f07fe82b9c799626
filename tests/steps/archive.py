"""An archive with its keyrings, and bulla run on it by commands that can be typed again."""

import hashlib
import json
import os
import pathlib
import shlex
import shutil
import subprocess
import typing

MAIN, DUMP, PARTNER = "keys/a.ring#main", "keys/a.ring#dump", "keys/b.ring#partner"
PUBLIC = "keys/dump.pub"  # to seal to DUMP by
KEYS = {"main": MAIN, "dump": DUMP, "partner": PARTNER}
DIRECTORIES = [f"archive/d{number}" for number in range(12)]
PATIENCE = 120  # seconds for one command, which takes some milliseconds


class Wrong(Exception):
    """The trial found what must not be."""


class File(typing.NamedTuple):
    """A name of a sealed file."""

    label: str  # what its content is made of
    size: int
    readers: frozenset  # the keys that open it
    detached: bool = False


def text(label, size):
    """What `yes LABEL | head -c SIZE` gives."""
    line = label.encode() + b"\n"
    return (line * (size // len(line) + 1))[:size]


def copy_at(data, offset):
    """Sequence number and content of the envelope copy that is whole there, else None."""
    head = data[offset : offset + 24]
    size = int.from_bytes(head[12:16], "big")
    end = offset + 24 + size
    if head[:8] != b"bulla\r\n\0" or hashlib.sha256(data[offset:end]).digest() != data[end : end + 32]:
        return None
    return int.from_bytes(head[16:24], "big"), data[offset + 24 : end]


def slots_in(content):
    """The slots of an envelope's content: method, header and wrap."""
    at = 2 + int.from_bytes(content[:2], "big") + 32 + 72
    slots = []
    for _ in range(int.from_bytes(content[at : at + 2], "big")):
        method, size = content[at + 2 : at + 4], int.from_bytes(content[at + 4 : at + 6], "big")
        header = content[at + 6 : at + 6 + size]
        wrap = int.from_bytes(content[at + 6 + size : at + 8 + size], "big")
        slots.append((int.from_bytes(method, "big"), header, content[at + 8 + size : at + 8 + size + wrap]))
        at += 6 + size + wrap
    return slots


def read_copies(path):
    """The slots of each whole copy in a sealed file, or in a file that is an envelope; those that count come first."""
    with open(path, "rb") as file:
        data = file.read(1 << 19)
    copies = [copy_at(data, offset) for offset in [0, *(1 << e for e in range(9, 19))]]
    return [slots_in(content) for _, content in sorted((copy for copy in copies if copy), key=lambda copy: -copy[0])]


class World:
    """A directory in which everything lies; commands name what is there by relative paths."""

    def __init__(self, program, base):
        self.program, self.base, self.directory = program, pathlib.Path(base), pathlib.Path(base) / "world"
        self.files, self.links = {}, {}  # File by name; target of symbolic links
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(self.base), "LC_ALL": "C"}
        self.environment |= {k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")}
        for name in ("keys", "copies", "exports", "oracle", *DIRECTORIES):
            (self.directory / name).mkdir(parents=True)
        for args in (["new", MAIN], ["new", "--kind", "x25519", DUMP], ["new", PARTNER], ["export-public", "-o", PUBLIC, DUMP]):
            self.bulla("key", args[0], "-q", *args[1:])
        self.ids = {key["id"]: key["name"] for ring in "ab" for key in self.ring(f"keys/{ring}.ring")["keys"]}

    def path(self, name):
        return self.directory / name

    def ring(self, path):
        return json.loads(self.path(path).read_text())

    def versions(self, name, ring="keys/a.ring"):
        """The states of the versions of a key, by number."""
        ring = "keys/b.ring" if name == "partner" else ring
        return {v["version"]: v["state"] for key in self.ring(ring)["keys"] if key["name"] == name for v in key["versions"]}

    def active(self, name, ring="keys/a.ring"):
        return next((number for number, state in self.versions(name, ring).items() if state == "active"), None)

    def destroyed(self):
        """Keys and versions that are gone for ever."""
        return {(key, number) for key in KEYS for number, state in self.versions(key).items() if state == "destroyed"}

    def start(self, args, under=(), stdin=subprocess.DEVNULL):
        pipes = {"stdin": stdin, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen([*under, self.program, *args], cwd=self.directory, env=self.environment, **pipes)

    def bulla(self, *args, status=0):
        """Runs it to its end; returns what it printed."""
        process = self.start(args)
        out, err = process.communicate(timeout=PATIENCE)
        if status is not None and process.returncode != status:
            raise Wrong(f"{self.typed(args)}: exit status {process.returncode}\n{err.decode()}")
        return out

    @staticmethod
    def typed(args, under=()):
        return shlex.join([*under, "bulla", *map(str, args)])

    def copies(self, name):
        """The slots of each envelope copy of a sealed file, or of an exported envelope: names of keys and versions."""
        detached = name in self.files and self.files[name].detached
        copies = read_copies(self.path(f"{name}.env" if detached else name))
        return [{(self.ids[header[:16].hex()], int.from_bytes(header[16:20], "big")) for _, header, _ in slots} for slots in copies]

    def slots(self, name):
        return self.copies(name)[0]

    def check_copies(self):
        """No copy of an envelope is left without a key: it may be the last that is whole one day, or be put back."""
        gone = self.destroyed()
        beside = [f"{name}.env" for name, file in self.files.items() if not file.detached and self.path(f"{name}.env").exists()]
        for name in [*self.files, *beside]:
            if not all(slots - gone for slots in self.copies(name)):
                raise Wrong(f"a copy of the envelope in '{name}' opens with no key")

    def same_inode(self, name):
        """All names of the file of a name, itself included."""
        st = os.stat(self.path(name))
        if st.st_nlink == 1:
            return {name}
        return {other for other in self.files if os.path.samestat(os.stat(self.path(other)), st)}

    def judge(self, lacking=()):
        """Writes the keyrings to judge by: as they are now, with disabled versions allowed, and without those in lacking."""
        ring = self.ring("keys/a.ring")
        for key in ring["keys"]:
            for v in key["versions"]:
                if v["state"] == "disabled":
                    v["state"] = "retired"
                if (key["name"], v["version"]) in lacking:
                    v["state"] = "destroyed"
                if v["state"] == "destroyed":
                    for member in set(v) - {"version", "state", "created"}:
                        del v[member]
        judge = self.path("oracle/a.ring")
        judge.touch(0o600)
        judge.write_text(json.dumps(ring))
        return {"main": "oracle/a.ring#main", "dump": "oracle/a.ring#dump", "partner": PARTNER}

    def verdicts(self, keys, names, *options):
        """The status that one run of verify gives to each file."""
        process = self.begin_verify(keys, names, *options)
        return self.end_verify(process, names)

    def begin_verify(self, keys, names, *options):
        given = [word for key in keys for word in ("-k", key)]
        return self.start(["verify", "-q", "--json", *given, *options, *names])

    @staticmethod
    def end_verify(process, names):
        out, err = process.communicate(timeout=PATIENCE)
        rows = [json.loads(line) for line in out.splitlines()]
        found = {row["file"]: row["status"] for row in rows if "file" in row}
        if set(found) != set(names) or process.returncode < 0:
            raise Wrong(f"verify ended with {process.returncode} and does not tell of {set(names) - set(found)}\n{err.decode()}")
        return found

    def readers(self, names, lacking=()):
        """The keys that open each file, by three runs of verify; any status but those of open and closed is wrong."""
        names, found = sorted(names), {name: set() for name in names}
        if not names:
            return found
        runs = {key: self.begin_verify([reference], names) for key, reference in self.judge(lacking).items()}
        for key, process in runs.items():
            for name, status in self.end_verify(process, names).items():
                if status not in (0, 5):
                    raise Wrong(f"verify -k {key} says {status} of '{name}'")
                if status == 0:
                    found[name].add(key)
        return {name: frozenset(keys) for name, keys in found.items()}

    def check_content(self):
        """Every file opens to what was sealed."""
        out = self.base / "out"
        for key, reference in self.judge().items():
            mine = sorted(name for name, file in self.files.items() if key == min(file.readers))
            if not mine:
                continue
            out.mkdir()
            self.bulla("decrypt", "-q", "--sync", "none", "-k", reference, "-o", out, *mine)
            for name in mine:
                file = self.files[name]
                if (out / pathlib.Path(name).stem).read_bytes() != text(file.label, file.size):
                    raise Wrong(f"'{name}' opens to something else than was sealed")
            shutil.rmtree(out)

    def keep(self, name):
        """A copy of all as it is now, under a name beside it."""
        subprocess.run(["cp", "-a", self.directory, self.base / name], check=True)
