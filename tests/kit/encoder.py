"""Seals as docs/FORMAT.md says, without bulla; whoever wants a file that breaks a rule changes one part of it on the way.

Nothing is random: what should be is drawn from the name of the file, so that each run makes the same bytes.
"""

import functools
import hashlib
import hmac
import pathlib
import sys

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "decoder")]

import decode  # noqa: E402
from decode import x25519_public  # noqa: E402

MAGIC = b"bulla\r\n\x00"
CHUNK = 16384


def drawn(name, size):
    """Bytes that take the place of random ones."""
    return hashlib.shake_256(f"bulla test kit: {name}".encode()).digest(size)


def u16(n):
    return n.to_bytes(2, "big")


def u32(n):
    return n.to_bytes(4, "big")


def u64(n):
    return n.to_bytes(8, "big")


def sized(data):
    return u16(len(data)) + data


def sha256(data):
    return hashlib.sha256(data).digest()


def hkdf_expand(key, size, info):
    return HKDFExpand(SHA512(), size, info).derive(key)


def xaes_seal(key, nonce, plaintext, aad):
    return nonce + AESGCM(decode.xaes_subkey(key, nonce)).encrypt(nonce[12:], plaintext, aad)


def hpke_seal(public, plaintext, info, aad, ephemeral=None, enc=None, shared=None):
    """HPKE base mode to an X25519 key, by an ephemeral key, or by what a defect says that it gives."""
    if ephemeral:
        enc = x25519_public(ephemeral)
        shared = X25519PrivateKey.from_private_bytes(ephemeral).exchange(X25519PublicKey.from_public_bytes(public))
    prk = decode.labeled_extract(decode.KEM_SUITE, b"", b"eae_prk", shared)
    secret = decode.labeled_expand(decode.KEM_SUITE, prk, b"shared_secret", enc + public, 32)
    context = b"\x00" + decode.labeled_extract(decode.HPKE_SUITE, b"", b"psk_id_hash", b"")
    context += decode.labeled_extract(decode.HPKE_SUITE, b"", b"info_hash", info)
    secret = decode.labeled_extract(decode.HPKE_SUITE, secret, b"secret", b"")
    key = decode.labeled_expand(decode.HPKE_SUITE, secret, b"key", context, 32)
    nonce = decode.labeled_expand(decode.HPKE_SUITE, secret, b"base_nonce", context, 12)
    return enc + AESGCM(key).encrypt(nonce, plaintext, aad)


# Master keys, each with the line that a vector has of it and with the slots that it makes.


class Keyring:
    """One version of a key of a keyring; kind is 1 (symmetric) or 2 (x25519), the number of its slots' method."""

    def __init__(self, name, kind=1, version=1, key_id=None, key=None):
        self.kind, self.version = kind, version
        self.key_id, self.key = key_id or drawn(f"{name} id", 16), key or drawn(f"{name} key", 32)

    def line(self):
        return "key", f"{['keyring-xaes', 'keyring-x25519'][self.kind - 1]} {self.key_id.hex()} {self.version} {self.key.hex()}"

    def header(self):
        return [self.key_id, u32(self.version), sized(b"kit")]

    def seal(self, file, aad):
        if self.kind == 1:
            return xaes_seal(self.key, file.drawn("nonce of the slot", 24), file.branch_key, aad)
        return hpke_seal(x25519_public(self.key), file.branch_key, b"bulla/v2 branch key", aad, file.drawn("ephemeral", 32))


@functools.cache
def stretched(text):
    return decode.argon2id(text.encode(), drawn("salt", 16), 3, 65536)


class Passphrase:
    """A passphrase; its cost is as low as it goes."""

    kind = 3

    def __init__(self, text):
        self.text = text

    def line(self):
        return "passphrase", self.text

    def header(self):
        return [drawn("salt", 16), u32(3), u32(65536), sized(b"kit")]

    def seal(self, file, aad):
        return xaes_seal(stretched(self.text), file.drawn("nonce of the slot", 24), file.branch_key, aad)


class Slot:
    """A slot by a master key. A defect gives the fields of its header, the branch key or the branch id, or changes the wrap."""

    def __init__(self, key, header=None, wrap=lambda wrap: wrap, method=None, **instead):
        self.key, self.header, self.wrap, self.instead = key, header, wrap, instead
        self.method = method or key.kind

    def bytes(self, file):
        header = b"".join(self.header or self.key.header())
        branch_id = self.instead.get("branch_id", file.branch_id)
        aad = b"bulla/v2 branch key" + branch_id + u16(self.method) + header
        return u16(self.method) + sized(header) + sized(self.wrap(self.key.seal(file.but(**self.instead), aad)))


class Opaque:
    """A slot as it is: of a method whose keys are elsewhere."""

    def __init__(self, method, header=(), wrap=b""):
        self.method = method
        self.raw = u16(method) + sized(b"".join(header)) + sized(wrap)

    def bytes(self, file):
        return self.raw


class File:
    """A sealed file in the making. Every stage is a method and takes what the stages before it gave, so what was changed early
    is bound and hashed as if it were right: a file breaks the one rule that it is there for."""

    STAGES = ("core", "wrapped", "tag", "content", "copy", "copy_a", "copy_b", "pieces", "chunks", "body", "whole", "separate")

    def __init__(self, label, /, **given):
        self.label = label
        self.given = given
        self.fields = {
            "core_version": 2, "suite": 1, "file_id": self.drawn("file id", 16), "created": 1795460700, "generation": 0, "name": b"",
            "pairs": [], "pair_count": None, "branch_key": self.drawn("branch key", 32), "data_key": self.drawn("data key", 32),
            "slot_count": None, "master": [], "version": 2, "exponent": 12, "recorded": None, "sequence": 1, "sequence_b": None,
            "length": None, "padding": None, "aead": None, "body_key": None, "plaintext": b"", "detached": False,
        }
        self.fields |= {k: v for k, v in given.items() if k not in self.STAGES}

    def __getattr__(self, name):
        try:
            return self.__dict__["fields"][name]
        except KeyError:
            raise AttributeError(name) from None

    def but(self, **given):
        """The same file with something else in it."""
        return File(self.label, **{**self.given, **given})

    def drawn(self, what, size):
        return drawn(f"{self.label} {what}", size)

    def stage(self, name, made):
        """What a stage made, or what the defect makes of it."""
        return self.given.get(name, lambda made: made)(made)

    def context_bytes(self):
        count = len(self.pairs) if self.pair_count is None else self.pair_count
        return u16(count) + b"".join(sized(key) + sized(value) for key, value in self.pairs)

    def core_bytes(self):
        core = u16(self.core_version) + u16(self.suite) + self.file_id + u64(self.created) + u64(self.generation)
        return self.stage("core", core + sized(self.name) + self.context_bytes())

    @property
    def branch(self):
        """Wrap key, branch id and tag key, as they follow from the branch key."""
        made = hkdf_expand(self.branch_key, 96, b"bulla/v2 branch" + sha256(self.context_bytes()))
        return made[:32], made[32:64], made[64:]

    @property
    def branch_id(self):
        return self.fields.get("branch_id", self.branch[1])

    def front_bytes(self, slots):
        """The content before the tag."""
        core = self.core_bytes()
        aad = b"bulla/v2 data key" + self.branch_id + sha256(core)
        wrapped = xaes_seal(self.branch[0], self.drawn("nonce of the data key", 24), self.data_key, aad)
        count = len(self.master) if self.slot_count is None else self.slot_count
        return sized(core) + self.branch_id + self.stage("wrapped", wrapped) + u16(count) + b"".join(slots)

    def tag_bytes(self):
        slots = [u16(slot.method) + bytes(4) if 0x20 <= slot.method <= 0x3F else slot.bytes(self) for slot in self.master]
        return self.stage("tag", hmac.digest(self.branch[2], self.front_bytes(slots), "sha256"))

    def content_bytes(self):
        return self.stage("content", self.front_bytes([slot.bytes(self) for slot in self.master]) + self.tag_bytes())

    def copy_bytes(self, sequence):
        content, region = self.content_bytes(), 1 << self.exponent
        recorded = self.exponent if self.recorded is None else self.recorded
        length = len(content) if self.length is None else self.length
        head = MAGIC + u16(self.version) + u16(recorded) + u32(length) + u64(sequence)
        used = head + content + sha256(head + content)
        assert len(used) <= region, f"{self.label}: the envelope does not fit"
        return self.stage("copy", used + (self.padding or bytes)(region - len(used)))

    def envelope_bytes(self):
        b = self.sequence if self.sequence_b is None else self.sequence_b
        return self.stage("copy_a", self.copy_bytes(self.sequence)) + self.stage("copy_b", self.copy_bytes(b))

    def body_bytes(self):
        aead, cipher = decode.SUITES.get(self.suite, decode.SUITES[1])
        salt, context = self.drawn("salt", 24), b"bulla/v2 body" + sha256(self.core_bytes())
        info = b"c2sp.org/chunked-encryption@v1+" + (self.aead or aead) + b"\x00" + salt + context
        derived = hkdf_expand(self.body_key or self.data_key, 76, info)
        seal, base = cipher(derived[:32]), int.from_bytes(derived[32:44], "big")
        pieces = self.stage("pieces", [self.plaintext[at : at + CHUNK] for at in range(0, len(self.plaintext) + 1, CHUNK)])
        chunks = [seal.encrypt((base ^ k).to_bytes(12, "big"), piece, None) for k, piece in enumerate(pieces)]
        return self.stage("body", salt + derived[44:] + b"".join(self.stage("chunks", chunks)))

    def bytes(self):
        """The file, and the separate envelope or nothing."""
        envelope, body = self.envelope_bytes(), self.body_bytes()
        if self.detached:
            return self.stage("whole", body), self.stage("separate", envelope)
        whole = self.stage("whole", envelope + body)
        return whole, self.given["separate"](envelope) if "separate" in self.given else b""
