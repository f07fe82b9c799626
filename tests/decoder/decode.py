#!/usr/bin/python3
"""An independent decoder for the bulla format, version 2: it opens what bulla sealed, without bulla.

It was written from docs/FORMAT.md alone and shares nothing with bulla's source: it is the proof that the document is
enough. Section numbers below are those of the document. It needs Python 3.9 or later, the package "cryptography"
(Debian: python3-cryptography) and, for passphrases alone, libsodium (Debian: libsodium23).

    decode.py KEYS [FILE] > OUT            write the plaintext to standard output
    decode.py KEYS --verify [FILE]         write nothing; list all damage
    decode.py KEYS --salvage OUT [FILE]    write all that authenticates to a new file, with zeros where something is missing
    decode.py --show [FILE]                write the envelope as JSON: what is needed to find the key and to unwrap by hand

FILE is a sealed file; without it, or where it is -, standard input. --envelope ENV reads a detached or exported envelope.

KEYS is
    --keyring RING           a keyring file; may be given several times
    --passphrase-file PATH   for passphrase slots and for keyrings that have a passphrase; one line end is not part of it
or  --branch-key KEY         the branch key, unwrapped by a KMS or a token: 64 hex digits, or a file (- for standard input)
                             that holds 32 bytes, 64 hex digits or base64

Every byte that is written has authenticated, but only exit status 0 says that it is all of the file. The others: 4 damaged
or forged; 5 the keys do not open the file; 7 the keyring is too old, is readable by others, or has the key disabled;
8 unknown version, suite or method; 1 anything else.
"""

from __future__ import annotations

import argparse
import base64
import ctypes
import ctypes.util
import hashlib
import hmac
import itertools
import json
import os
import re
import stat
import sys
from dataclasses import dataclass
from datetime import datetime
from typing import Any, BinaryIO, Callable, Iterator, NoReturn

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


# Section 7: refusal; the status is that of the command


class Failure(Exception):
    status = 1


class Damaged(Failure):
    status = 4


class NotOpened(Failure):
    status = 5


class Refused(Failure):
    status = 7


class Unsupported(Failure):
    status = 8


def check(condition: bool, rule: str) -> None:
    if not condition:
        raise Damaged(rule)


def warn(message: str) -> None:
    print(f"decode.py: {message}", file=sys.stderr)


# Section 1: primitives and conventions


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def hkdf_expand(key: bytes, size: int, info: bytes) -> bytes:
    return HKDFExpand(SHA512(), size, info).derive(key)


def xaes_subkey(key: bytes, nonce: bytes) -> bytes:
    block = Cipher(AES(key), ECB()).encryptor().update
    first = int.from_bytes(block(bytes(16)), "big")
    k1 = (first << 1) % 2**128 ^ (0x87 if first >> 127 else 0)
    blocks = [int.from_bytes(start + nonce[:12], "big") for start in (b"\x00\x01X\x00", b"\x00\x02X\x00")]
    return b"".join(block((k1 ^ x).to_bytes(16, "big")) for x in blocks)


def xaes_open(key: bytes, sealed: bytes, aad: bytes) -> bytes:
    """XAES-256-GCM; the 24-byte nonce is in front of the ciphertext. Raises InvalidTag."""
    nonce, ciphertext = sealed[:24], sealed[24:]
    return AESGCM(xaes_subkey(key, nonce)).decrypt(nonce[12:], ciphertext, aad)


class Reader:
    """Takes fields off a byte string, from the front."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def take(self, size: int) -> bytes:
        check(size <= len(self.data), "a field is cut short")
        field, self.data = self.data[:size], self.data[size:]
        return field

    def number(self, size: int, low: int = 0, high: int = 2**64 - 1) -> int:
        value = int.from_bytes(self.take(size), "big")
        check(low <= value <= high, "a number is out of range")
        return value

    def counted(self, low: int, high: int) -> bytes:
        return self.take(self.number(2, low, high))

    def text(self, low: int, high: int) -> str:
        raw = self.counted(low, high)
        check(b"\x00" not in raw, "a text contains a zero byte")
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            raise Damaged("a text is not UTF-8") from None

    def end(self) -> None:
        check(not self.data, "there are bytes after the last field")


def check_version(version: int, what: str) -> None:
    if version == 1:
        raise Unsupported(f"format version 1 in the {what}: made by a version before the first release")
    if version != 2:
        raise Unsupported(f"unknown format version {version} in the {what}")


# Section 3.1: core


@dataclass
class Core:
    hash: bytes
    context_hash: bytes
    suite: int
    file_id: bytes
    created: int
    generation: int
    name: str
    context: dict[str, str]


def read_core(data: bytes) -> Core:
    reader = Reader(data)
    check_version(reader.number(2), "core")
    suite = reader.number(2)
    if suite not in SUITES:
        raise Unsupported(f"unknown body suite {suite}")
    file_id = reader.take(16)
    created = reader.number(8, 0, 253402300799)
    generation = reader.number(8, 0, 2**63 - 1)
    name = reader.text(0, 1024)
    context_hash = sha256(reader.data)
    context = read_context(reader)
    reader.end()
    return Core(sha256(data), context_hash, suite, file_id, created, generation, name, context)


def read_context(reader: Reader) -> dict[str, str]:
    context: dict[str, str] = {}
    previous = b""
    for _ in range(reader.number(2, 0, 32)):
        key = reader.text(1, 128)
        raw = key.encode("utf-8")
        check(raw > previous, "the context pairs are not sorted, or a key is there twice")
        check(not raw.startswith(b"bulla-"), "a context key is reserved")
        context[key] = reader.text(0, 512)
        previous = raw
    return context


# Section 3.2: slot

# A header field is (name, kind, low, high): the bounds of a number or of a length.
Field = tuple[str, str, int, int]

KEYRING_KEY: list[Field] = [
    ("key_id", "fixed", 16, 16),
    ("key_version", "u32", 1, 2**32 - 1),
    ("key_name", "text", 1, 64),
]
PASSPHRASE_KEY: list[Field] = [
    ("salt", "fixed", 16, 16),
    ("passes", "u32", 3, 1024),
    ("memory", "u32", 65536, 4194304),
    ("hint", "text", 0, 64),
]
TOKEN_KEY: list[Field] = [
    ("token_label", "text", 0, 32),
    ("token_serial", "text", 0, 16),
    ("key_label", "text", 0, 128),
]
TOKEN_PUBLIC_KEY: list[Field] = [("spki_hash", "fixed", 32, 32), *TOKEN_KEY, ("cka_id", "bytes", 0, 128)]
TOKEN_SECRET_KEY: list[Field] = [("check_value", "bytes", 0, 8), *TOKEN_KEY, ("cka_id", "bytes", 1, 128)]
KMS_KEY: list[Field] = [("key_arn", "text", 20, 512), ("key_material_id", "text", 0, 128)]

KEYRING_XAES, KEYRING_X25519, PASSPHRASE, KEYRING_HYBRID, AWSKMS = 0x0001, 0x0002, 0x0003, 0x0004, 0x0021

# number: name, header fields, smallest wrap, largest wrap
METHODS: dict[int, tuple[str, list[Field], int, int]] = {
    KEYRING_XAES: ("keyring-xaes", KEYRING_KEY, 72, 72),
    KEYRING_X25519: ("keyring-x25519", KEYRING_KEY, 80, 80),
    PASSPHRASE: ("passphrase", PASSPHRASE_KEY, 72, 72),
    KEYRING_HYBRID: ("keyring-mlkem768-x25519", KEYRING_KEY, 1168, 1168),
    0x0011: ("pkcs11-rsa-oaep-sha256", TOKEN_PUBLIC_KEY, 256, 512),
    0x0012: ("pkcs11-rsa-oaep-sha1", TOKEN_PUBLIC_KEY, 256, 512),
    0x0013: ("pkcs11-p256-hpke", TOKEN_PUBLIC_KEY, 113, 113),
    0x0014: ("pkcs11-p384-hpke", TOKEN_PUBLIC_KEY, 145, 145),
    0x0015: ("pkcs11-aes-gcm", TOKEN_SECRET_KEY, 60, 60),
    0x0016: ("pkcs11-aes-kw", TOKEN_SECRET_KEY, 40, 40),
    AWSKMS: ("awskms", KMS_KEY, 1, 6144),
    0x0041: ("external", [("key_name", "text", 1, 64)], 1, 6144),
}
WITH_AAD = {KEYRING_XAES, KEYRING_X25519, PASSPHRASE, 0x0013, 0x0014, 0x0015}


@dataclass
class Slot:
    method: int
    header: bytes
    fields: dict[str, Any]
    wrap: bytes

    @property
    def name(self) -> str:
        return METHODS[self.method][0] if self.method in METHODS else f"method 0x{self.method:04x}"

    def tagged(self) -> bytes:
        """The slot as the tag has it (section 4)."""
        moved_by_a_key_store = 0x0020 <= self.method <= 0x003F
        parts = [b"", b""] if moved_by_a_key_store else [self.header, self.wrap]
        return self.method.to_bytes(2, "big") + b"".join(len(part).to_bytes(2, "big") + part for part in parts)


def read_slot(reader: Reader) -> Slot:
    method = reader.number(2)
    if method not in METHODS:
        header, wrap = reader.counted(0, 1024), reader.counted(0, 6144)
        return Slot(method, header, {"header": header}, wrap)
    _, fields, smallest, largest = METHODS[method]
    header = reader.counted(0, 65535)
    values = read_header(header, fields)
    return Slot(method, header, values, reader.counted(smallest, largest))


def read_header(header: bytes, fields: list[Field]) -> dict[str, Any]:
    reader = Reader(header)
    values: dict[str, Any] = {}
    for name, kind, low, high in fields:
        if kind == "fixed":
            values[name] = reader.take(high)
        elif kind == "u32":
            values[name] = reader.number(4, low, high)
        elif kind == "bytes":
            values[name] = reader.counted(low, high)
        else:
            values[name] = reader.text(low, high)
    reader.end()
    return values


# Section 3: content


@dataclass
class Content:
    core: Core
    branch_id: bytes
    wrapped_data_key: bytes
    slots: list[Slot]
    tag: bytes
    tagged: bytes  # what the tag authenticates


def read_content(data: bytes) -> Content:
    reader = Reader(data)
    core = read_core(reader.counted(0, 65535))
    branch_id = reader.take(32)
    wrapped_data_key = reader.take(72)
    count = reader.number(2, 1, 32)
    before_slots = data[: len(data) - len(reader.data)]
    slots = [read_slot(reader) for _ in range(count)]
    check(sum(slot.method == PASSPHRASE for slot in slots) <= 4, "there are more than 4 passphrase slots")
    tag = reader.take(32)
    reader.end()
    tagged = before_slots + b"".join(slot.tagged() for slot in slots)
    return Content(core, branch_id, wrapped_data_key, slots, tag, tagged)


# Section 2: envelope copy


@dataclass
class Copy:
    exponent: int
    sequence: int
    content: Content
    region: bytes


@dataclass
class Envelope:
    copy: Copy
    copies: list[str]  # the state of copy A and of copy B

    @property
    def size(self) -> int:
        return 2 << self.copy.exponent


def read_copy(region: bytes, exponent: int) -> Copy:
    reader = Reader(region)
    check(reader.take(8) == b"bulla\r\n\x00", "not an envelope")
    version = reader.number(2)
    recorded = reader.number(2)
    size = reader.number(4, 0, len(region) - 56)
    sequence = reader.number(8)
    content = reader.take(size)
    check(reader.take(32) == sha256(region[: 24 + size]), "the hash of the envelope differs")
    check_version(version, "envelope")
    check(recorded == exponent, "the exponent of the region differs")
    check(1 <= sequence <= 2**63 - 1, "the sequence number is out of range")
    made = Copy(exponent, sequence, read_content(content), region)
    check(not any(reader.data), "the rest of the region is not zeros")
    return made


def try_copy(data: bytes, start: int, exponent: int) -> Copy | Failure:
    region = data[start : start + (1 << exponent)]
    try:
        check(len(region) == 1 << exponent, "the file ends inside a copy")
        return read_copy(region, exponent)
    except Failure as failure:
        return failure


EXPONENTS = range(9, 19)


def read_envelope(data: bytes) -> Envelope:
    recorded = int.from_bytes(data[10:12], "big")
    a = try_copy(data, 0, recorded) if recorded in EXPONENTS else Damaged("the exponent of copy A is not allowed")
    failures = [a] if isinstance(a, Failure) else []
    for exponent in [a.exponent] if isinstance(a, Copy) else EXPONENTS:
        b = try_copy(data, 1 << exponent, exponent)
        valid = [copy for copy in (a, b) if isinstance(copy, Copy)]
        if valid:
            chosen = max(valid, key=lambda copy: copy.sequence)  # the first of equals
            return Envelope(chosen, [state_of(copy, chosen) for copy in (a, b)])
        failures.append(b)
    raise next((f for f in failures if isinstance(f, Unsupported)),
               Damaged("no valid envelope: damaged, or not a sealed file at all"))


def read_detached_envelope(data: bytes) -> Envelope:
    envelope = read_envelope(data)
    check(len(data) <= envelope.size, "there are bytes after the detached envelope")
    return envelope


def state_of(copy: Copy | Failure, chosen: Copy) -> str:
    if isinstance(copy, Failure):
        return "unsupported" if isinstance(copy, Unsupported) else "damaged"
    return "good" if copy.region == chosen.region else "stale"


# Section 4: branch, data key and tag


@dataclass
class Branch:
    wrap_key: bytes
    id: bytes
    tag_key: bytes


def derive_branch(branch_key: bytes, core: Core) -> Branch:
    made = hkdf_expand(branch_key, 96, b"bulla/v2 branch" + core.context_hash)
    return Branch(made[:32], made[32:64], made[64:])


def open_data_key(content: Content, branch_key: bytes) -> bytes:
    branch = derive_branch(branch_key, content.core)
    if branch.id != content.branch_id:
        raise NotOpened("the branch key is not the one of this file")
    try:
        aad = b"bulla/v2 data key" + branch.id + content.core.hash
        return xaes_open(branch.wrap_key, content.wrapped_data_key, aad)
    except InvalidTag:
        raise NotOpened("the branch key does not open the data key") from None


def tag_matches(content: Content, branch_key: bytes) -> bool:
    expected = hmac.digest(derive_branch(branch_key, content.core).tag_key, content.tagged, "sha256")
    return hmac.compare_digest(expected, content.tag)


# Section 5: branch key


def argon2id(passphrase: bytes, salt: bytes, passes: int, memory: int) -> bytes:
    """Argon2id (RFC 9106), version 0x13, 1 lane, 32 bytes; memory in KiB."""
    sodium = ctypes.CDLL(ctypes.util.find_library("sodium") or "libsodium.so.23")
    key = ctypes.create_string_buffer(32)
    wide = ctypes.c_ulonglong
    if sodium.sodium_init() < 0:
        raise OSError("libsodium does not start")
    if sodium.crypto_pwhash(key, wide(32), passphrase, wide(len(passphrase)), salt, wide(passes),
                            ctypes.c_size_t(memory * 1024), ctypes.c_int(2)):
        raise MemoryError("not enough memory for the passphrase")
    return key.raw


def x25519_public(private: bytes) -> bytes:
    key = X25519PrivateKey.from_private_bytes(private).public_key()
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw)


KEM_SUITE = b"KEM\x00\x20"  # DHKEM(X25519, HKDF-SHA256)
HPKE_SUITE = b"HPKE\x00\x20\x00\x01\x00\x02"  # the same, HKDF-SHA256, AES-256-GCM


def labeled_extract(suite: bytes, salt: bytes, label: bytes, material: bytes) -> bytes:
    return hmac.digest(salt, b"HPKE-v1" + suite + label + material, "sha256")


def labeled_expand(suite: bytes, key: bytes, label: bytes, info: bytes, size: int) -> bytes:
    """At most 32 bytes, the first block of HKDF-Expand."""
    labeled = size.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info
    return hmac.digest(key, labeled + b"\x01", "sha256")[:size]


def hpke_open(private: bytes, sealed: bytes, info: bytes, aad: bytes) -> bytes:
    """HPKE (RFC 9180), base mode, single-shot; enc is in front of the ciphertext. Raises InvalidTag."""
    enc, ciphertext = sealed[:32], sealed[32:]
    try:
        shared = X25519PrivateKey.from_private_bytes(private).exchange(X25519PublicKey.from_public_bytes(enc))
    except ValueError:  # RFC 9180, section 7.1.4: the shared secret is all zeros
        raise InvalidTag from None
    # RFC 9180, section 4.1: Decap
    prk = labeled_extract(KEM_SUITE, b"", b"eae_prk", shared)
    shared_secret = labeled_expand(KEM_SUITE, prk, b"shared_secret", enc + x25519_public(private), 32)
    # RFC 9180, section 5.1: KeySchedule, mode 0, with an empty psk and psk_id
    context = b"\x00" + labeled_extract(HPKE_SUITE, b"", b"psk_id_hash", b"")
    context += labeled_extract(HPKE_SUITE, b"", b"info_hash", info)
    secret = labeled_extract(HPKE_SUITE, shared_secret, b"secret", b"")
    key = labeled_expand(HPKE_SUITE, secret, b"key", context, 32)
    base_nonce = labeled_expand(HPKE_SUITE, secret, b"base_nonce", context, 12)
    return AESGCM(key).decrypt(base_nonce, ciphertext, aad)


INFO = b"bulla/v2 branch key"


def slot_aad(content: Content, slot: Slot) -> bytes:
    return INFO + content.branch_id + slot.method.to_bytes(2, "big") + slot.header


@dataclass
class Keys:
    versions: list[KeyVersion]  # of all keyrings
    passphrase: bytes | None = None


def find_secrets(slot: Slot, keys: Keys) -> list[bytes]:
    """The master keys, or the passphrase, that the slot is to be tried with: never none."""
    if slot.method in (KEYRING_XAES, KEYRING_X25519):
        return find_versions(slot, keys.versions)
    if slot.method not in METHODS or slot.method == KEYRING_HYBRID:
        raise Unsupported("this version of the format does not know how to open it")
    if slot.method != PASSPHRASE:
        raise NotOpened("its key is not in a keyring: see --show, unwrap it there and give --branch-key")
    if keys.passphrase is None:
        raise NotOpened("no passphrase is given")
    return [keys.passphrase]


def find_versions(slot: Slot, versions: list[KeyVersion]) -> list[bytes]:
    number = slot.fields["key_version"]
    of_key = [v for v in versions if (v.method, v.key_id) == (slot.method, slot.fields["key_id"])]
    same = [v for v in of_key if v.version == number]
    usable = [v.secret for v in same if v.state in ("active", "retired") and v.secret is not None]
    if of_key and number > max(v.version for v in of_key):
        raise Refused(f"the keyring is older than the file: it lacks version {number} of the key")
    if not usable and any(v.state == "disabled" for v in same):
        raise Refused(f"version {number} of the key is disabled")
    if not usable:
        raise NotOpened("its key is not given, is destroyed, or is under a passphrase that is not given")
    return usable


def open_branch_key(content: Content, slot: Slot, secret: bytes) -> bytes:
    """The secret is a master key, or the passphrase. Raises InvalidTag."""
    aad = slot_aad(content, slot)
    if slot.method == KEYRING_X25519:
        return hpke_open(secret, slot.wrap, INFO, aad)
    if slot.method == PASSPHRASE:
        secret = argon2id(secret, slot.fields["salt"], slot.fields["passes"], slot.fields["memory"])
    return xaes_open(secret, slot.wrap, aad)


def open_slot(content: Content, slot: Slot, keys: Keys) -> tuple[bytes, bytes]:
    """The branch key and the data key, by way of this slot."""
    failure = NotOpened("it does not open under the given key")
    for secret in find_secrets(slot, keys):
        try:
            branch_key = open_branch_key(content, slot, secret)
            return branch_key, open_data_key(content, branch_key)
        except InvalidTag:
            continue
        except NotOpened as other:
            failure = other
    raise failure


def open_envelope(content: Content, keys: Keys) -> tuple[bytes, bytes]:
    """The branch key and the data key, by way of the first slot that opens."""
    failures: list[Failure] = []
    lines = ["the given keys do not open this file"]
    for number, slot in enumerate(content.slots, 1):
        try:
            return open_slot(content, slot, keys)
        except (NotOpened, Refused, Unsupported) as failure:
            failures.append(failure)
            lines.append(f"slot {number}, {slot.name}: {failure}")
    kind = next(kind for kind in (Refused, Unsupported, NotOpened) if any(type(f) is kind for f in failures))
    raise kind("\n  ".join(lines))


# Section 6: body

SUITES: dict[int, tuple[bytes, Any]] = {
    1: (b"AEAD_AES_256_GCM", AESGCM),
    2: (b"AEAD_CHACHA20_POLY1305", ChaCha20Poly1305),
}
TAG = 16
CHUNK = 16384
HEAD = (2 << max(EXPONENTS)) + 56  # the longest envelope, and the start of the body


class Source:
    """A file or a pipe, read once: its first bytes stay at hand, the others go by."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.head = file.read(HEAD)
        self.at = 0

    def read(self, size: int) -> bytes:
        part = self.head[self.at : self.at + size]
        self.at += len(part)
        return part + self.file.read(size - len(part))


@dataclass
class Piece:
    """A chunk of the body, opened."""

    number: int
    size: int  # of the plaintext, as far as the file goes
    plaintext: bytes | None  # None: it does not authenticate


def derive_body(data_key: bytes, core: Core, salt: bytes) -> bytes:
    """Key (32), base nonce (12) and commitment (32)."""
    info = b"c2sp.org/chunked-encryption@v1+" + SUITES[core.suite][0] + b"\x00" + salt + b"bulla/v2 body" + core.hash
    return hkdf_expand(data_key, 76, info)


def find_body(source: Source, offsets: list[int], core: Core, data_key: bytes) -> tuple[bytes, bool]:
    """What derive_body gives at the first of the offsets where the commitment matches, else at the first, and whether it matches.
    The source is left in front of chunk 0."""
    found = []
    for offset in offsets:
        start = source.head[offset : offset + 56]
        derived = derive_body(data_key, core, start[:24])
        found.append((not hmac.compare_digest(derived[44:], start[24:]), offset, derived))
    differs, offset, derived = min(found)
    source.at = offset + 56
    return derived, not differs


def open_chunks(source: Source, suite: int, derived: bytes) -> Iterator[Piece]:
    cipher, base = SUITES[suite][1](derived[:32]), int.from_bytes(derived[32:44], "big")
    for number in range(2**38):
        chunk = source.read(CHUNK + TAG)
        try:
            plaintext = cipher.decrypt((base ^ number).to_bytes(12, "big"), chunk, None) if len(chunk) >= TAG else None
        except InvalidTag:
            plaintext = None
        yield Piece(number, max(len(chunk) - TAG, 0), plaintext)
        if len(chunk) < CHUNK + TAG:  # the last is always short; where a full one ends the file, an empty one is missing
            return
    raise Damaged("the body is too long")


# Section 8: keyring

Rule = Callable[[Any], bool]  # whether a member may have this value


def words(pattern: str) -> Rule:
    return lambda value: isinstance(value, str) and re.fullmatch(pattern, value) is not None


def digits(count: int) -> Rule:
    return words(f"[0-9a-f]{{{count}}}")


def integer(low: int, high: int) -> Rule:
    return lambda value: type(value) is int and low <= value <= high


def items(low: int, high: int) -> Rule:
    return lambda value: isinstance(value, list) and low <= len(value) <= high


def is_time(value: Any) -> bool:
    try:
        exact = words("[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")(value)
        return exact and datetime.strptime(value, "%Y-%m-%dT%H:%M:%SZ").year >= 1970
    except ValueError:
        return False


KINDS = {"symmetric": KEYRING_XAES, "x25519": KEYRING_X25519}
NAME = words("[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
RING = {"bulla-keyring": integer(1, 1), "passphrase": lambda value: isinstance(value, dict), "keys": items(0, 1024)}
WRAPPING = {"salt": digits(32), "passes": integer(1, 1024), "memory-kib": integer(8, 4194304)}
IDENTITY = {"name": NAME, "id": digits(32), "kind": words("|".join(KINDS)), "created": is_time}
KEY = {**IDENTITY, "rotate-after-days": integer(1, 36500), "versions": items(1, 1024)}
DESTROYED = {"version": integer(1, 2**32 - 1), "state": words("active|retired|disabled|destroyed"), "created": is_time}
VERSION = {**DESTROYED, "check": digits(8)}
PUBLIC = {"public": digits(64), "public-check": digits(8)}
PUBLIC_KEY_FILE = {"bulla-public-key": integer(1, 1), **IDENTITY, "version": DESTROYED["version"], "public": digits(64), "check": digits(8)}


def check_object(value: Any, rules: dict[str, Rule], optional: set[str] = frozenset()) -> None:
    check(isinstance(value, dict) and rules.keys() - optional <= value.keys() <= rules.keys(),
          "an object of the keyring has a wrong set of members")
    for name in value:
        check(rules[name](value[name]), f"the keyring has a value of {name!r} that is not allowed")


def check_known(file: dict[str, Any], layout: str, keys: Any) -> None:
    """A newer layout, or a newer kind of key, is no damage."""
    kinds = {key.get("kind") for key in keys if isinstance(key, dict) and isinstance(key.get("kind"), str)} if isinstance(keys, list) else set()
    if (type(file[layout]) is int and file[layout] != 1) or kinds - KINDS.keys():
        raise Unsupported("unknown version of the keyring, or unknown kind of key")


@dataclass
class KeyVersion:
    method: int  # of the slots that it opens
    key_id: bytes
    version: int
    state: str
    secret: bytes | None  # None: destroyed, or wrapped by a passphrase that is not given


@dataclass
class Wrapping:
    key: bytes | None  # None: no passphrase is given
    wrong: bool = False  # one of the keys does not open under it


def read_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    check(len(members) == len(pairs), "a member of the keyring is there twice")
    return members


def refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


def read_keyring(data: bytes, passphrase: bytes | None) -> list[KeyVersion]:
    """Without a passphrase, a keyring that has one is checked as far as it goes; under a wrong one nothing of it is used."""
    check(len(data) <= 256 * 1024, "the keyring is too large")
    try:
        ring = json.loads(data.decode("utf-8"), object_pairs_hook=read_members, parse_constant=refuse_constant)
    except (ValueError, RecursionError):
        raise Damaged("the keyring is not JSON") from None
    check(isinstance(ring, dict), "the keyring is not an object")
    if "bulla-public-key" in ring:
        check(len(data) <= 4096, "the public key file is too large")
        return check_public_key_file(ring)
    check("bulla-keyring" in ring, "the keyring has no version")
    check_known(ring, "bulla-keyring", ring.get("keys"))
    check_object(ring, RING, {"passphrase"})
    wrapping = read_wrapping(ring["passphrase"], passphrase) if "passphrase" in ring else None
    versions = [version for key in ring["keys"] for version in read_key(key, wrapping)]
    for member in ("name", "id"):
        check(len({key[member] for key in ring["keys"]}) == len(ring["keys"]), f"two keys have the same {member}")
    return [] if wrapping and wrapping.wrong else versions


def check_public_key_file(file: dict[str, Any]) -> list[KeyVersion]:
    """It opens nothing."""
    check_known(file, "bulla-public-key", [file])
    check_object(file, PUBLIC_KEY_FILE)
    check(file["kind"] == "x25519", "a public key file is of another kind than x25519")
    check_public(bytes.fromhex(file["id"]), file["version"], file["public"], file["check"])
    return []


def check_public(key_id: bytes, version: int, public: str, expected: str) -> None:
    key = bytes.fromhex(public)
    check(int.from_bytes(key, "little") < 2**255 - 19, "a public key is not canonical")
    named = b"bulla/v1 public key check" + key_id + version.to_bytes(4, "big") + key
    check(sha256(named)[:4].hex() == expected, "a public key is mistyped")


def read_wrapping(value: dict[str, Any], passphrase: bytes | None) -> Wrapping:
    check_object(value, WRAPPING)
    if passphrase is None:
        return Wrapping(None)
    return Wrapping(argon2id(passphrase, bytes.fromhex(value["salt"]), value["passes"], value["memory-kib"]))


def read_key(key: Any, wrapping: Wrapping | None) -> list[KeyVersion]:
    check_object(key, KEY, {"rotate-after-days"})
    made = [read_version(version, key["kind"], bytes.fromhex(key["id"]), wrapping) for version in key["versions"]]
    check(all(a.version < b.version for a, b in zip(made, made[1:])), "the versions of a key are not ascending")
    check(sum(version.state == "active" for version in made) <= 1, "a key has more than one active version")
    return made


def read_version(value: Any, kind: str, key_id: bytes, wrapping: Wrapping | None) -> KeyVersion:
    destroyed = isinstance(value, dict) and value.get("state") == "destroyed"
    secret = {"wrapped": digits(144)} if wrapping else {"key": digits(64)}
    public = PUBLIC if kind == "x25519" else {}
    check_object(value, DESTROYED if destroyed else {**VERSION, **secret, **public})
    made = KeyVersion(KINDS[kind], key_id, value["version"], value["state"], None)
    if destroyed:
        return made
    if public:
        check_public(key_id, value["version"], value["public"], value["public-check"])
    made.secret = unwrap(value, key_id, wrapping) if wrapping else bytes.fromhex(value["key"])
    if made.secret is not None:
        check(sha256(b"bulla/v1 key check" + made.secret)[:4].hex() == value["check"], "a key is mistyped")
        check(not public or x25519_public(made.secret).hex() == value["public"], "a public key is of another key")
    return made


def unwrap(version: dict[str, Any], key_id: bytes, wrapping: Wrapping) -> bytes | None:
    if wrapping.key is None:
        return None
    aad = b"bulla/v1 keyring" + key_id + version["version"].to_bytes(4, "big")
    try:
        return xaes_open(wrapping.key, bytes.fromhex(version["wrapped"]), aad)
    except InvalidTag:
        wrapping.wrong = True
        return None


# The command


def open_file(path: str) -> BinaryIO:
    return sys.stdin.buffer if path == "-" else open(path, "rb")


def read_file(path: str, most: int) -> bytes:
    """The file, or its first bytes, one more than it may have."""
    with open_file(path) as file:
        return file.read(most + 1)


def load_keyring(path: str, passphrase: bytes | None) -> list[KeyVersion]:
    versions = read_keyring(read_file(path, 256 * 1024), passphrase)
    mode = os.stat(path).st_mode if path != "-" else 0
    if versions and stat.S_ISREG(mode) and mode & 0o077:
        raise Refused(f"others may read or change the keyring {path!r}\n  chmod 600 {path}")
    return versions


def load_passphrase(path: str) -> bytes:
    passphrase = read_file(path, 1025)
    passphrase = passphrase[:-1] if passphrase.endswith(b"\n") else passphrase
    if not 1 <= len(passphrase) <= 1024 or b"\x00" in passphrase:
        raise Failure("a passphrase has 1 to 1024 bytes, and none is zero")
    return passphrase


def load_branch_key(value: str) -> bytes:
    raw = value.encode() if re.fullmatch("[0-9a-fA-F]{64}", value) else read_file(value, 1024)
    if len(raw) == 32:
        return raw
    text = b"".join(raw.split())
    if re.fullmatch(b"[0-9a-fA-F]{64}", text):
        return bytes.fromhex(text.decode())
    if re.fullmatch(b"[A-Za-z0-9+/]{43}=", text):
        return base64.b64decode(text)
    raise Failure("the branch key is neither 32 bytes nor 64 hex digits nor 32 bytes as base64")


def describe(envelope: Envelope) -> dict[str, Any]:
    content = envelope.copy.content
    core = content.core
    return {
        "format_version": 2,
        "exponent": envelope.copy.exponent,
        "sequence": envelope.copy.sequence,
        "copies": envelope.copies,
        "suite": core.suite,
        "file_id": core.file_id,
        "branch_id": content.branch_id,
        "created": core.created,
        "generation": core.generation,
        "name": core.name,
        "context": core.context,
        "slots": [describe_slot(content, slot) for slot in content.slots],
        "tag": content.tag,
    }


def describe_slot(content: Content, slot: Slot) -> dict[str, Any]:
    shown = {"method": slot.name, "code": slot.method, **slot.fields}
    shown |= {"wrap": slot.wrap, "wrap_base64": base64.b64encode(slot.wrap).decode()}
    if slot.method in WITH_AAD:
        shown["aad"] = slot_aad(content, slot)
    if slot.method == AWSKMS:
        shown["encryption_context"] = {"bulla-branch": content.branch_id.hex(), **content.core.context}
    return shown


def write_all(pieces: Iterator[Piece]) -> None:
    """Writes the plaintext to standard output, up to the first chunk that does not authenticate."""
    for piece in pieces:
        if piece.plaintext is None:
            raise Damaged(f"chunk {piece.number} of the body does not authenticate, or the file ends too early: the "
                          f"plaintext is not complete after {piece.number * CHUNK} bytes\n  --salvage gives what is left")
        sys.stdout.buffer.write(piece.plaintext)
    sys.stdout.buffer.flush()


def recover(pieces: Iterator[Piece], out: BinaryIO | None) -> tuple[int, bool]:
    """Writes every chunk that authenticates to its place and lists the others. Returns how many did, and if all did."""
    good, whole, end = 0, True, 0
    for lost, run in itertools.groupby(pieces, lambda piece: piece.plaintext is None):
        start = end
        for piece in run:
            end += piece.size
            good += not lost
            if out and not lost:
                out.seek(end - piece.size)
                out.write(piece.plaintext)
        if lost:
            whole = False
            last = piece.size < CHUNK
            warn(f"missing: bytes {start} to {end} of the plaintext" + last * ", and more if the file was cut short")
    if out:
        out.truncate(end)
    return good, whole


def salvage(pieces: Iterator[Piece], path: str) -> bool:
    """What authenticates goes to a new file; where nothing does, there is none."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        good, whole = recover(pieces, out)
        out.flush()
        os.fsync(out.fileno())
    if not good:
        os.unlink(path)
    return whole


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise Failure(message)


def parse_arguments() -> argparse.Namespace:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keyring", metavar="RING", action="append", default=[])
    parser.add_argument("--passphrase-file", metavar="PATH")
    parser.add_argument("--branch-key", metavar="KEY")
    parser.add_argument("--envelope", metavar="ENV", help="a detached or exported envelope")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--show", action="store_true", help="print the envelope as JSON")
    what.add_argument("--verify", action="store_true", help="write nothing, list all damage")
    what.add_argument("--salvage", metavar="OUT", help="write what authenticates to a new file")
    parser.add_argument("file", metavar="FILE", nargs="?", default="-")
    found = parser.parse_args()
    others = bool(found.keyring or found.passphrase_file)
    if not found.show and others == bool(found.branch_key):
        parser.error("give --keyring and --passphrase-file, or --branch-key alone")
    if [found.file, found.passphrase_file, found.branch_key, found.envelope, *found.keyring].count("-") > 1:
        parser.error("standard input is named twice")
    return found


def open_keys(content: Content, arguments: argparse.Namespace) -> tuple[bytes, bytes]:
    """The branch key and the data key."""
    if arguments.branch_key:
        branch_key = load_branch_key(arguments.branch_key)
        return branch_key, open_data_key(content, branch_key)
    passphrase = load_passphrase(arguments.passphrase_file) if arguments.passphrase_file else None
    versions = [version for path in arguments.keyring for version in load_keyring(path, passphrase)]
    return open_envelope(content, Keys(versions, passphrase))


def run(arguments: argparse.Namespace) -> None:
    if arguments.envelope:
        envelope = read_detached_envelope(read_file(arguments.envelope, HEAD))
        offsets = [0, envelope.size]
    else:
        source = Source(open_file(arguments.file))
        envelope = read_envelope(source.head)
        offsets = [envelope.size]
    if arguments.show:
        print(json.dumps(describe(envelope), indent=2, default=bytes.hex))
        return
    content = envelope.copy.content
    branch_key, data_key = open_keys(content, arguments)
    authentic = tag_matches(content, branch_key)
    if not authentic:
        warn("the tag of the envelope does not match: somebody without the branch key changed the slots")
    if arguments.envelope:
        source = Source(open_file(arguments.file))
    open_whole(source, offsets, content.core, data_key, arguments)
    if arguments.verify:
        check(authentic, "the tag of the envelope does not match")


def open_whole(source: Source, offsets: list[int], core: Core, data_key: bytes, arguments: argparse.Namespace) -> None:
    derived, matches = find_body(source, offsets, core, data_key)
    if not matches:
        problem = "the commitment of the body does not match: it is damaged, cut short, or belongs to another envelope"
        check(bool(arguments.salvage), problem)
        warn(problem)
    pieces = open_chunks(source, core.suite, derived)
    if arguments.salvage:
        whole = salvage(pieces, arguments.salvage)
    elif arguments.verify:
        _, whole = recover(pieces, None)
    else:
        whole = write_all(pieces) is None
    check(whole and matches, "the file is damaged: see above")


def main() -> int:
    try:
        run(parse_arguments())
        return 0
    except (Failure, OSError, MemoryError) as error:
        print(f"decode.py: {error}", file=sys.stderr)
        return error.status if isinstance(error, Failure) else 1


if __name__ == "__main__":
    sys.exit(main())
