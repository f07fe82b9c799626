"""The vectors of the kit, by every way that bulla opens a file: all meet what they expect."""

import functools
import json
import os
import pathlib
import re

import pytest

from kit import keyring, read_all
from program import SANITIZED, Bulla
from sweep import Sweep, sample

HERE = pathlib.Path(__file__).parent
TOP = HERE.parents[1]
VECTORS = read_all()
MAGIC = b"bulla\r\n\0"

# What a refusal says, by what was expected.
SAYS = {
    "opened": "", "tag": "", "envelope": "envelope|is not a sealed file", "no key": "none of the given keys opens it", "older keyring": "older than the file",
    "unsupported": "is not known to this bulla|this bulla does not know|before the first release|this bulla cannot use its slot",
    "commitment": "the body does not belong to this envelope", "chunk": "does not authenticate",
    "truncated": "it ends |cut short", "trailing": "bytes were added|does not authenticate|data after",
}

# The readers, and what they refuse by words that no vector can make them say.
READERS = ["crypto/envelope.c", "crypto/envelope_core.c", "crypto/slot.c", "crypto/cobblestone.c", "crypto/body.c", "keystore/branch.c", "libbulla/open.c"]
UNHEARD = {
    "a data key of %zu bytes": "what a slot and the data key wrap hold has one length",
    "more than 4 PiB in one body": "a file of that size",
    "another key opens it": "of a slot that was just made, which reencrypt and rewrap open",
    "it opens to another branch key": "said as 'none of the given keys opens it'",
    "the branch key does not open the data key": "said as 'none of the given keys opens it'",
}


class Unpacked:
    """All vectors as files, NAME.bulla and where there is one NAME.bulla.env, and the keys that each is to be tried with."""

    def __init__(self, bulla):
        self.bulla = bulla
        self.sets = {}
        for v in VECTORS:
            (bulla.work / f"{v.name}.bulla").write_bytes(v.file)
            if v.envelope:
                (bulla.work / f"{v.name}.bulla.env").write_bytes(v.envelope)
            self.sets.setdefault((tuple(v.keys), v.passphrase), []).append(v)
        for number, (keys, passphrase) in enumerate(self.sets):
            if keys:
                ring = bulla.keys / f"{number}.ring"
                ring.write_text(json.dumps(keyring(keys)))
                ring.chmod(0o600)
            if passphrase:
                (bulla.keys / f"{number}.passphrase").write_text(passphrase)

    def key_files(self, keys, passphrase):
        number = list(self.sets).index((tuple(keys), passphrase))
        return self.bulla.keys / f"{number}.ring" if keys else None, self.bulla.keys / f"{number}.passphrase" if passphrase else None

    def call(self, verb, vector, *args, status=tuple(range(12)), **how):
        ring, words = self.key_files(vector.keys, vector.passphrase)
        keys = [*(["-k", ring] if ring else []), *(["-k", "passphrase:kit"] if words else [])] if verb != "inspect" else []
        return self.bulla(verb, *keys, *args, env={"BULLA_PASSPHRASE_FILE": str(words)} if words else None, status=status, **how)

    @functools.cache
    def reports(self, verb):
        """What is reported of each vector, by name, and said of them all; those of the same keys are done in one run."""
        found, said = {}, ""
        for vectors in self.sets.values():
            files = [f"{v.name}.bulla" for v in vectors]
            done = self.call(verb, vectors[0], "--json", *files)
            found |= {pathlib.Path(line["file"]).stem: line for line in map(json.loads, done.stdout.splitlines())}
            said += done.stderr.decode()
        return found, said


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    return Unpacked(Bulla(tmp_path_factory.mktemp("kit")))


def each(name, vectors, check):
    """Tries each of the vectors and counts them; what does not agree is said together, by name."""
    wrong = []
    with Sweep("vectors", name) as sweep:
        for v in vectors:
            try:
                check(v)
            except AssertionError as error:
                wrong.append(f"{v.name}: {error}")
            sweep.point(v.expect)
        assert not wrong, "\n".join(wrong)


def of_each(number):
    """As many vectors, or all, of each expectation: a process for each is slow, under a sanitizer most of all."""
    return [v for expect in SAYS for v in sample([v for v in VECTORS if v.expect == expect], number)]


def copies_are_equal(v):
    envelope = v.envelope or v.file
    region = 1 << min(int.from_bytes(envelope[10:12], "big"), 18)
    return region >= 512 and envelope[:region] == envelope[region : 2 * region]


def remains(data):
    """Whether an envelope began somewhere, but for two bytes, or the file ends where it would begin."""
    places = [0, *(1 << e for e in range(9, 19))]
    like = max(sum(a == b for a, b in zip(data[at : at + 8], MAGIC)) for at in places)
    return like >= 6 or 0 < len(data) < 8 and MAGIC.startswith(data)


def pipe_status(v):
    """What has no name, and nothing of an envelope, is no sealed file to bulla."""
    return v.status if v.expect != "envelope" or v.envelope or remains(v.file) else 11


def test_pipe(unpacked):
    """No more comes out than what authenticates, and no less. The chunk that fails is named, and of equal copies that are
    damaged the same is said."""

    def check(v):
        separate = ["--envelope", f"{v.name}.bulla.env"] if v.envelope else []
        done = unpacked.call("decrypt", v, *separate, stdin=v.file)
        said = done.stderr.decode()
        assert done.returncode == pipe_status(v) and re.search(SAYS[v.expect], said), f"{done.returncode}: {said}"
        assert v.is_plaintext(done.stdout), f"{len(done.stdout)} bytes came out"
        assert (v.expect == "tag") == ("tag" in said) or v.status, said
        assert v.expect != "chunk" or f"chunk {v.released // 16384}" in said, said
        faults = re.search("damaged: A: (.*); B: (.*)", said)
        assert not faults or not copies_are_equal(v) or faults[1] == faults[2], said

    each("pipe", of_each(4) if SANITIZED else VECTORS, check)


def read_by_range(unpacked, v, *part):
    return unpacked.call("decrypt", v, *part, "-o", "-", f"{v.name}.bulla")


def test_range(unpacked):
    """A part is what the whole has there; of a damaged file, nothing comes out but what the whole would give."""

    def check(v):
        whole = read_by_range(unpacked, v, "--offset=0")
        assert whole.returncode == v.status and re.search(SAYS[v.expect], whole.stderr.decode()), f"{whole.returncode}: {whole.stderr}"
        assert v.is_plaintext(whole.stdout) or (v.status != 0 and whole.stdout == b""), f"{len(whole.stdout)} bytes came out"
        if v.status == 0:
            from_end = min(v.released, 20000)
            got = read_by_range(unpacked, v, f"--offset=-{from_end}", "--length=4000")
            assert got.returncode == 0 and got.stdout == whole.stdout[v.released - from_end :][:4000], f"{-from_end}: {len(got.stdout)} bytes"

    # Parts have a reader of the body alone: of what fails before it, a few are enough.
    few = {v.name for v in of_each(4)}
    each("range", [v for v in VECTORS if v.name in few or (v.plaintext and not SANITIZED)], check)


def test_verify(unpacked):
    def check(v):
        got = unpacked.reports("verify")[0][v.name]
        tag = v.expect == "tag"
        assert got["status"] == (4 if tag else v.status) and re.search("tag" if tag else SAYS[v.expect], got.get("error", "")), got
        assert v.status or tag or got["bytes"] == v.released, got

    each("verify", VECTORS, check)


def test_file(unpacked):
    """A file appears where all of it is authentic, and nothing else does."""
    work = unpacked.bulla.work
    before = set(os.listdir(work))

    def check(v):
        got = unpacked.reports("decrypt")[0][v.name]
        assert got["status"] == v.status and re.search(SAYS[v.expect], got.get("error", "")), got
        assert v.status or v.is_plaintext((work / v.name).read_bytes()), "another plaintext"

    each("file", VECTORS, check)
    assert set(os.listdir(work)) - before == {v.name for v in VECTORS if v.status == 0}


def test_inspect(unpacked):
    """Shows each envelope that is valid, whatever its keys and its body."""

    def check(v):
        got = unpacked.reports("inspect")[0][v.name]
        assert got["status"] == (v.status if v.is_refused_unread else 0), got

    each("inspect", VECTORS, check)


def refusals():
    """The format strings of all that the readers refuse as damaged, unsupported or under another key."""
    found = set()
    for reader in READERS:
        text = (TOP / reader).read_text()
        text = re.sub(r'"\s*PRIu64\s*"', "u", text)
        text = re.sub(r'"\s*PRIu64', 'u"', text)
        text = re.sub(r'"\s*\n\s*"', "", text)
        found |= set(re.findall(r'fail(?:_named)?\([^,;]*,\s*ERR_(?:DAMAGED|UNSUPPORTED|NO_KEY),\s*"([^"]*)"', text)) - {"%s"}
        found |= set(re.findall(r'(?:return|\?) "(\w[^"]* [^"]*)"', text))  # the faults of a name and of a pair
    return found


def as_pattern(refusal):
    """Matches a line in which this is said, alone or of a copy."""
    words = ".+".join(map(re.escape, re.split(r"%[0-9.]*(?:zu|[dsux])", refusal)))
    return re.compile(rf"(?:^|: |\(){words}(?=$|\)|;)", re.M)


def test_every_refusal_has_a_vector(unpacked):
    """What the readers may say is taken from their source: a new refusal needs a vector, and one that went is forgotten."""
    reports, said = unpacked.reports("verify")
    said += "".join(read_by_range(unpacked, v, "--offset=0").stderr.decode() for v in of_each(4))
    found = refusals()
    assert len(found) > 30 and UNHEARD.keys() <= found
    assert {refusal for refusal in found if not as_pattern(refusal).search(said)} == UNHEARD.keys()
    errors = [report["error"] for report in reports.values() if report["status"] != 0]
    assert not [error for error in errors if not any(as_pattern(refusal).search(error) for refusal in found)]
