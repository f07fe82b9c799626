#!/usr/bin/python3
"""An independent decoder for the bulla format, version 1.

It was written from docs/FORMAT.md alone, without sight of bulla's source, and shares nothing with it: it stands here
as the proof that the document is enough to open what bulla sealed. Section numbers below are those of the document.

It opens slots of the methods keyring-xaes, keyring-x25519 and passphrase; slots of all other methods are read and
checked, but not opened. It needs Python 3.11, the package "cryptography" (Debian: python3-cryptography) and, for
passphrases alone, libsodium (Debian: libsodium23).

    decode.py KEYS [--envelope ENV] [FILE|-]         write the plaintext to standard output
    decode.py --inspect [--envelope ENV] [FILE|-]    write the envelope as JSON

KEYS is --keyring RING, --passphrase-file PATH, or both. The passphrase is what the file holds, less one line end, and
is tried on the keyring and on passphrase slots alike.

No plaintext is written before the whole body has authenticated. Exit status: 0 done; 4 damaged or forged; 5 the keys do
not open the file; 8 unsupported version, suite or method; 1 anything else.
"""

import argparse
import ctypes
import hashlib
import hmac
import json
import re
import sys
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NoReturn

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.cmac import CMAC
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


class Unsupported(Failure):
    status = 8


# Section 1: primitives and conventions


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def cmac(key: bytes, message: bytes) -> bytes:
    mac = CMAC(AES(key))
    mac.update(message)
    return mac.finalize()


def xaes_open(key: bytes, sealed: bytes, aad: bytes) -> bytes:
    """XAES-256-GCM; the 24-byte nonce stands in front of the ciphertext. Raises InvalidTag."""
    nonce, ciphertext = sealed[:24], sealed[24:]
    subkey = cmac(key, b"\x00\x01X\x00" + nonce[:12]) + cmac(key, b"\x00\x02X\x00" + nonce[:12])
    return AESGCM(subkey).decrypt(nonce[12:], ciphertext, aad)


def check(condition: bool, rule: str) -> None:
    if not condition:
        raise Damaged(rule)


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


# Section 3.1: core


@dataclass
class Core:
    hash: bytes
    suite: int
    file_id: bytes
    branch_id: bytes
    created: int
    generation: int
    name: str
    context: dict[str, str]


def read_core(data: bytes) -> Core:
    reader = Reader(data)
    if reader.number(2) != 1:
        raise Unsupported("unknown format version in the core")
    suite = reader.number(2)
    if suite not in SUITES:
        raise Unsupported("unknown body suite")
    file_id = reader.take(16)
    branch_id = reader.take(16)
    created = reader.number(8, 0, 253402300799)
    generation = reader.number(8, 0, 2**63 - 1)
    name = reader.text(0, 1024)
    context = read_context(reader)
    reader.end()
    return Core(sha256(data), suite, file_id, branch_id, created, generation, name, context)


def read_context(reader: Reader) -> dict[str, str]:
    context: dict[str, str] = {}
    previous = b""
    for _ in range(reader.number(2, 0, 32)):
        key = reader.text(1, 128)
        raw = key.encode("utf-8")
        check(raw > previous, "the context pairs are not sorted, or a key stands twice")
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
    ("passes", "u32", 1, 1024),
    ("memory", "u32", 8, 4194304),
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

KEYRING_XAES = 0x0001
KEYRING_X25519 = 0x0002
PASSPHRASE = 0x0003

# number: name, header fields, smallest wrap, largest wrap
METHODS: dict[int, tuple[str, list[Field], int, int]] = {
    KEYRING_XAES: ("keyring-xaes", KEYRING_KEY, 72, 72),
    KEYRING_X25519: ("keyring-x25519", KEYRING_KEY, 80, 80),
    PASSPHRASE: ("passphrase", PASSPHRASE_KEY, 72, 72),
    0x0011: ("pkcs11-rsa-oaep-sha256", TOKEN_PUBLIC_KEY, 256, 512),
    0x0012: ("pkcs11-rsa-oaep-sha1", TOKEN_PUBLIC_KEY, 256, 512),
    0x0013: ("pkcs11-p256-hpke", TOKEN_PUBLIC_KEY, 113, 113),
    0x0014: ("pkcs11-p384-hpke", TOKEN_PUBLIC_KEY, 145, 145),
    0x0015: ("pkcs11-aes-gcm", TOKEN_SECRET_KEY, 60, 60),
    0x0016: ("pkcs11-aes-kw", TOKEN_SECRET_KEY, 40, 40),
    0x0021: ("awskms", KMS_KEY, 1, 6144),
}


@dataclass
class Slot:
    method: int
    header: bytes
    fields: dict[str, Any]
    wrap: bytes


def read_slot(reader: Reader) -> Slot:
    method = reader.number(2)
    if method not in METHODS:
        raise Unsupported("unknown slot method")
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
    wrapped_data_key: bytes
    slots: list[Slot]


def read_content(data: bytes) -> Content:
    reader = Reader(data)
    core = read_core(reader.counted(0, 65535))
    wrapped_data_key = reader.take(72)
    slots = [read_slot(reader) for _ in range(reader.number(2, 1, 32))]
    reader.end()
    return Content(core, wrapped_data_key, slots)


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
    if version != 1:
        raise Unsupported("unknown format version")
    check(recorded == exponent, "the exponent of the region differs")
    check(1 <= sequence <= 2**63 - 1, "the sequence number is out of range")
    made = Copy(exponent, sequence, read_content(content), region)
    check(not any(reader.data), "the rest of the region is not zeros")
    return made


def try_copy(data: bytes, start: int, exponent: int) -> "Copy | Failure":
    region = data[start : start + (1 << exponent)]
    try:
        check(len(region) == 1 << exponent, "the file ends inside a copy")
        return read_copy(region, exponent)
    except Failure as failure:
        return failure


def read_envelope(data: bytes) -> Envelope:
    recorded = int.from_bytes(data[10:12], "big")
    a = try_copy(data, 0, recorded if 12 <= recorded <= 18 else 12)
    candidates = [a.exponent] if isinstance(a, Copy) else range(12, 19)
    failures = [a] if isinstance(a, Failure) else []
    for exponent in candidates:
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


# Section 4: data key


def open_data_key(content: Content, branch_key: bytes) -> bytes:
    return xaes_open(branch_key, content.wrapped_data_key, b"bulla/v1 data key" + content.core.hash)


# Section 5: branch key


def argon2id(passphrase: bytes, salt: bytes, passes: int, memory: int) -> bytes:
    """Argon2id (RFC 9106), version 0x13, 1 lane, 32 bytes; memory in KiB."""
    sodium = ctypes.CDLL("libsodium.so.23")
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
    """HPKE (RFC 9180), base mode, single-shot; enc stands in front of the ciphertext. Raises InvalidTag."""
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


def open_branch_key(content: Content, slot: Slot, secret: bytes) -> bytes:
    """The secret is the key of the keyring, or the passphrase. Raises InvalidTag."""
    method = slot.method.to_bytes(2, "big")
    aad = b"bulla/v1 branch key" + content.core.branch_id + method + slot.header
    if slot.method == KEYRING_X25519:
        return hpke_open(secret, slot.wrap, b"bulla/v1 branch key", aad)
    if slot.method == PASSPHRASE:
        secret = argon2id(secret, slot.fields["salt"], slot.fields["passes"], slot.fields["memory"])
    return xaes_open(secret, slot.wrap, aad)


def find_secret(slot: Slot, keyring: "Keyring", passphrase: bytes | None) -> bytes | None:
    if slot.method == PASSPHRASE:
        return passphrase
    if slot.method in (KEYRING_XAES, KEYRING_X25519):
        return keyring.get((slot.method, slot.fields["key_id"], slot.fields["key_version"]))
    return None


def open_envelope(content: Content, keyring: "Keyring", passphrase: bytes | None) -> bytes:
    """The data key, by way of the first slot that yields it."""
    for slot in content.slots:
        secret = find_secret(slot, keyring, passphrase)
        if secret is None:
            continue
        try:
            return open_data_key(content, open_branch_key(content, slot, secret))
        except InvalidTag:
            continue
    raise NotOpened("the given keys do not open this file")


# Section 6: body

SUITES: dict[int, tuple[bytes, Any]] = {
    1: (b"AEAD_AES_256_GCM", AESGCM),
    2: (b"AEAD_CHACHA20_POLY1305", ChaCha20Poly1305),
}
TAG = 16
SEALED_CHUNK = 16384 + TAG


def open_body(data: bytes, offsets: list[int], suite: int, data_key: bytes, context: bytes) -> bytes:
    """Opens the body at the first of the offsets where the commitment matches."""
    check(len(data_key) == 32, "the data key has a wrong size")
    aead, cipher = SUITES[suite]
    for offset in offsets:
        body = memoryview(data)[offset:]
        if len(body) < 56:
            continue
        salt, commitment, chunks = bytes(body[:24]), bytes(body[24:56]), body[56:]
        info = b"c2sp.org/chunked-encryption@v1+" + aead + b"\x00" + salt + context
        derived = HKDFExpand(SHA512(), 76, info).derive(data_key)
        if hmac.compare_digest(derived[44:], commitment):
            return open_chunks(chunks, cipher(derived[:32]), derived[32:44])
    raise Damaged("the body does not belong to this envelope, or is cut short")


def open_chunks(chunks: memoryview, cipher: Any, base_nonce: bytes) -> bytes:
    base = int.from_bytes(base_nonce, "big")
    plaintext = bytearray()
    # The last chunk is always short; a body that ends with a full one yields one more here, of no bytes.
    for k, start in enumerate(range(0, len(chunks) + 1, SEALED_CHUNK)):
        chunk = bytes(chunks[start : start + SEALED_CHUNK])
        check(len(chunk) >= TAG and k < 2**38, "the body is cut short, or too long")
        try:
            plaintext += cipher.decrypt((base ^ k).to_bytes(12, "big"), chunk, None)
        except InvalidTag:
            raise Damaged("a chunk of the body does not authenticate") from None
    return bytes(plaintext)


# Section 8: keyring

# The keys that may unwrap, by slot method, key id and version.
Keyring = dict[tuple[int, bytes, int], bytes]

KINDS = {"symmetric": KEYRING_XAES, "x25519": KEYRING_X25519}


def read_keyring(data: bytes, passphrase: bytes | None) -> Keyring:
    """Without the right passphrase, a keyring that has one is checked as far as it goes and opens nothing."""
    check(len(data) <= 256 * 1024, "the keyring is too large")
    try:
        ring = json.loads(data.decode("utf-8"), object_pairs_hook=read_members, parse_constant=refuse_constant)
    except (ValueError, RecursionError):
        raise Damaged("the keyring is not JSON") from None
    check(isinstance(ring, dict), "the keyring is not an object")
    if "bulla-public-key" in ring:
        check(len(data) <= 4096, "the public key file is too large")
        return read_public_key(ring)
    check_layout(ring, "bulla-keyring")
    check_members(ring, {"bulla-keyring", "keys"}, {"passphrase"})
    wrapping = read_passphrase(ring["passphrase"], passphrase) if "passphrase" in ring else None
    keyring: Keyring = {}
    names: set[str] = set()
    ids: set[str] = set()
    for key in read_list(ring["keys"], 0, 1024):
        keyring.update(read_key(key, wrapping))
        names.add(key["name"])
        ids.add(key["id"])
    check(len(names) == len(ids) == len(ring["keys"]), "two keys have the same name or the same id")
    return {} if wrapping and wrapping.wrong else keyring


def read_public_key(file: dict[str, Any]) -> Keyring:
    check_layout(file, "bulla-public-key")
    check_members(file, {"bulla-public-key", "name", "id", "kind", "version", "created", "public", "check"})
    check_identity(file)
    check(file["kind"] == "x25519", "a public key file is of another kind than x25519")
    check_integer(file["version"], 1, 2**32 - 1)
    check_string(file["public"], "[0-9a-f]{64}")
    check_public(file["id"], file["version"], file["public"], file["check"])
    return {}


def check_public(key_id: str, version: int, public: str, expected: str) -> None:
    key = bytes.fromhex(public)
    check(int.from_bytes(key, "little") < 2**255 - 19, "a public key is not canonical")
    named = bytes.fromhex(key_id) + version.to_bytes(4, "big") + key
    check(sha256(b"bulla/v1 public key check" + named)[:4].hex() == expected, "a public key is mistyped")


def read_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    check(len(members) == len(pairs), "a member of the keyring stands twice")
    return members


def refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


def read_list(value: Any, low: int, high: int) -> list[Any]:
    check(isinstance(value, list) and low <= len(value) <= high, "a list in the keyring has a wrong size")
    return value


def check_layout(file: dict[str, Any], member: str) -> None:
    check(type(file.get(member)) is int, "the keyring has no version")
    if file[member] != 1:
        raise Unsupported("unknown version of the keyring")


def check_members(value: Any, required: set[str], optional: set[str] = frozenset()) -> None:
    check(isinstance(value, dict) and required <= value.keys() <= required | optional,
          "the keyring has a wrong set of members")


def check_integer(value: Any, low: int, high: int) -> None:
    check(type(value) is int and low <= value <= high, "a number in the keyring is not allowed")


def check_string(value: Any, pattern: str) -> None:
    check(isinstance(value, str) and bool(re.fullmatch(pattern, value)), "a value in the keyring is not allowed")


def check_created(value: Any) -> None:
    check_string(value, "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
    try:
        check(datetime.fromisoformat(value).year >= 1970, "a date in the keyring is before 1970")
    except ValueError:
        raise Damaged("a date in the keyring does not exist") from None


def check_identity(key: dict[str, Any]) -> None:
    check_string(key["name"], "[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
    check_string(key["id"], "[0-9a-f]{32}")
    check_string(key["kind"], "|".join(KINDS))
    check_created(key["created"])


@dataclass
class Wrapping:
    key: bytes | None  # None: no passphrase was given
    wrong: bool = False  # one of the keys does not open under it


def read_passphrase(value: Any, passphrase: bytes | None) -> Wrapping:
    check_members(value, {"salt", "passes", "memory-kib"})
    check_string(value["salt"], "[0-9a-f]{32}")
    check_integer(value["passes"], 1, 1024)
    check_integer(value["memory-kib"], 8, 4194304)
    if passphrase is None:
        return Wrapping(None)
    return Wrapping(argon2id(passphrase, bytes.fromhex(value["salt"]), value["passes"], value["memory-kib"]))


def read_key(key: Any, wrapping: Wrapping | None) -> Keyring:
    check_members(key, {"name", "id", "kind", "created", "versions"}, {"rotate-after-days"})
    check_identity(key)
    check_integer(key.get("rotate-after-days", 1), 1, 36500)
    key_id = bytes.fromhex(key["id"])
    usable: Keyring = {}
    previous = active = 0
    for version in read_list(key["versions"], 1, 1024):
        secret = read_version(version, key["kind"], key_id, wrapping)
        check(version["version"] > previous, "the versions of a key are not ascending")
        previous = version["version"]
        active += version["state"] == "active"
        if version["state"] in ("active", "retired") and secret is not None:
            usable[KINDS[key["kind"]], key_id, previous] = secret
    check(active <= 1, "a key has more than one active version")
    return usable


def read_version(version: Any, kind: str, key_id: bytes, wrapping: Wrapping | None) -> bytes | None:
    """The 32 bytes; None if they were destroyed or stay wrapped."""
    members = {"version", "state", "created"}
    if not (isinstance(version, dict) and version.get("state") == "destroyed"):
        members |= {"wrapped" if wrapping else "key", "check"} | ({"public", "public-check"} if kind == "x25519" else set())
    check_members(version, members)
    check_integer(version["version"], 1, 2**32 - 1)
    check_string(version["state"], "active|retired|disabled|destroyed")
    check_created(version["created"])
    if version["state"] == "destroyed":
        return None
    check_string(version["check"], "[0-9a-f]{8}")
    if kind == "x25519":
        check_string(version["public"], "[0-9a-f]{64}")
        check_string(version["public-check"], "[0-9a-f]{8}")
        check_public(key_id.hex(), version["version"], version["public"], version["public-check"])
    if wrapping:
        secret = unwrap(version, key_id, wrapping)
    else:
        check_string(version["key"], "[0-9a-f]{64}")
        secret = bytes.fromhex(version["key"])
    if secret is not None:
        check(sha256(b"bulla/v1 key check" + secret)[:4].hex() == version["check"], "a key is mistyped")
        check(kind != "x25519" or x25519_public(secret).hex() == version["public"], "a public key is of another key")
    return secret


def unwrap(version: dict[str, Any], key_id: bytes, wrapping: Wrapping) -> bytes | None:
    check_string(version["wrapped"], "[0-9a-f]{144}")
    if wrapping.key is None:
        return None
    aad = b"bulla/v1 keyring" + key_id + version["version"].to_bytes(4, "big")
    try:
        return xaes_open(wrapping.key, bytes.fromhex(version["wrapped"]), aad)
    except InvalidTag:
        wrapping.wrong = True
        return None


# The command


def describe(envelope: Envelope) -> dict[str, Any]:
    core = envelope.copy.content.core
    return {
        "format_version": 1,
        "exponent": envelope.copy.exponent,
        "sequence": envelope.copy.sequence,
        "copies": envelope.copies,
        "suite": core.suite,
        "file_id": core.file_id,
        "branch_id": core.branch_id,
        "created": core.created,
        "generation": core.generation,
        "name": core.name,
        "context": core.context,
        "slots": [
            {"method": METHODS[slot.method][0], **slot.fields, "wrap_size": len(slot.wrap)}
            for slot in envelope.copy.content.slots
        ],
    }


def read_file(path: str) -> bytes:
    if path == "-":
        return sys.stdin.buffer.read()
    with open(path, "rb") as file:
        return file.read()


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise Failure(message)


def parse_arguments() -> argparse.Namespace:
    parser = Parser(description="Open a file that bulla sealed with a keyring or a passphrase.")
    parser.add_argument("--keyring", metavar="RING")
    parser.add_argument("--passphrase-file", metavar="PATH", help="for the keyring, and for passphrase slots")
    parser.add_argument("--envelope", metavar="ENV", help="a detached or exported envelope")
    parser.add_argument("--inspect", action="store_true", help="print the envelope as JSON")
    parser.add_argument("file", metavar="FILE", nargs="?", default="-")
    arguments = parser.parse_args()
    if not (arguments.keyring or arguments.passphrase_file or arguments.inspect):
        parser.error("--keyring or --passphrase-file is missing")
    return arguments


def run(arguments: argparse.Namespace) -> bytes:
    if arguments.envelope:
        envelope = read_detached_envelope(read_file(arguments.envelope))
        offsets = [0, envelope.size]
    else:
        data = read_file(arguments.file)
        envelope = read_envelope(data)
        offsets = [envelope.size]
    if arguments.inspect:
        return json.dumps(describe(envelope), indent=2, default=bytes.hex).encode("ascii") + b"\n"
    content = envelope.copy.content
    passphrase = read_file(arguments.passphrase_file).removesuffix(b"\n") if arguments.passphrase_file else None
    keyring = read_keyring(read_file(arguments.keyring), passphrase) if arguments.keyring else {}
    data_key = open_envelope(content, keyring, passphrase)
    if arguments.envelope:
        data = read_file(arguments.file)
    return open_body(data, offsets, content.core.suite, data_key, b"bulla/v1 body" + content.core.hash)


def main() -> int:
    try:
        output = run(parse_arguments())
        sys.stdout.buffer.write(output)
        sys.stdout.buffer.flush()
        return 0
    except (Failure, OSError, MemoryError) as error:
        print(f"decode.py: {error}", file=sys.stderr)
        return error.status if isinstance(error, Failure) else 1


if __name__ == "__main__":
    sys.exit(main())
