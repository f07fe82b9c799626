"""Opens what bulla sealed to a key of a token, given the private key itself: from docs/FORMAT.md, RFC 8017, 9180 and 3394.

It shares nothing with bulla. What does not concern tokens is read by the decoder in tests/decoder."""

import hashlib
import hmac
import pathlib
import sys

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "decoder"))
import decode  # noqa: E402
from decoding import open_body  # noqa: E402

INFO = b"bulla/v2 branch key"
RSA_OAEP_SHA256, RSA_OAEP_SHA1, P256_HPKE, P384_HPKE, AES_GCM, AES_KW = range(0x11, 0x17)

# RFC 9180, 7.1: curve, hash and secret size of the KEM, its number, size of enc
KEMS = {
    P256_HPKE: (ec.SECP256R1(), "sha256", 32, 0x0010, 65),
    P384_HPKE: (ec.SECP384R1(), "sha384", 48, 0x0011, 97),
}


def spki_hash(public):
    return hashlib.sha256(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()


def extract(hash, suite, salt, label, material):
    return hmac.digest(salt, b"HPKE-v1" + suite + label + material, hash)


def expand(hash, suite, key, label, info, size):
    """One block of HKDF-Expand is enough for all that is asked here."""
    block = hmac.digest(key, size.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info + b"\x01", hash)
    assert size <= len(block)
    return block[:size]


def hpke_open(method, private, wrap, aad, info=INFO, aead=(2, 32)):
    """RFC 9180 base mode with HKDF-SHA256, single-shot; aead is number and key size. Raises InvalidTag."""
    curve, hash, size, number, point = KEMS[method]
    kem = b"KEM" + number.to_bytes(2, "big")
    suite = b"HPKE" + number.to_bytes(2, "big") + b"\x00\x01" + aead[0].to_bytes(2, "big")
    enc, ciphertext = wrap[:point], wrap[point:]
    shared = private.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(curve, enc))
    mine = private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    prk = extract(hash, kem, b"", b"eae_prk", shared)
    shared_secret = expand(hash, kem, prk, b"shared_secret", enc + mine, size)
    context = b"\x00" + extract("sha256", suite, b"", b"psk_id_hash", b"")
    context += extract("sha256", suite, b"", b"info_hash", info)
    secret = extract("sha256", suite, shared_secret, b"secret", b"")
    key = expand("sha256", suite, secret, b"key", context, aead[1])
    nonce = expand("sha256", suite, secret, b"base_nonce", context, 12)
    return AESGCM(key).decrypt(nonce, ciphertext, aad)


def oaep_open(hash, private, wrap):
    return private.decrypt(wrap, padding.OAEP(mgf=padding.MGF1(hash), algorithm=hash, label=None))


def branch_key(slot, branch_id, private):
    """private is a private key of "cryptography", or the 32 bytes of an AES key."""
    aad = INFO + branch_id + slot.method.to_bytes(2, "big") + slot.header
    if slot.method in KEMS:
        return hpke_open(slot.method, private, slot.wrap, aad)
    if slot.method == RSA_OAEP_SHA256:
        return oaep_open(hashes.SHA256(), private, slot.wrap)
    if slot.method == RSA_OAEP_SHA1:
        return oaep_open(hashes.SHA1(), private, slot.wrap)
    if slot.method == AES_GCM:
        return AESGCM(private).decrypt(slot.wrap[:12], slot.wrap[12:], aad)
    assert slot.method == AES_KW
    return aes_key_unwrap(private, slot.wrap)


def read(path):
    """The content of the envelope, and where the body begins."""
    envelope = decode.read_envelope(path.read_bytes())
    return envelope.copy.content, envelope.size


def opened(path, private, number=0):
    """The plaintext of a sealed file, by way of one of its slots."""
    content, size = read(path)
    key = branch_key(content.slots[number], content.branch_id, private)
    data_key = decode.open_data_key(content, key)
    assert decode.tag_matches(content, key)
    return open_body(path.read_bytes(), size, content.core, data_key)
