"""Seeds that are sealed files, and what somebody made of them; seeds.py calls this."""

import datetime
import hmac
import json
import pathlib
import struct
import sys

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[1] / directory) for directory in ("", "decoder")]
import decode  # noqa: E402
from sealed import layout, with_checksum  # noqa: E402

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from parts import ARN, sized

HERE = pathlib.Path(__file__).resolve().parent
FIXTURES = HERE.parent / "fixtures" / "v2"


def public_keys():
    """DER of public keys by name, and a certificate."""
    keys = {"p256": ec.generate_private_key(ec.SECP256R1()), "p384": ec.generate_private_key(ec.SECP384R1()),
            "p521": ec.generate_private_key(ec.SECP521R1()), "rsa2048": rsa.generate_private_key(65537, 2048),
            "rsa1024": rsa.generate_private_key(65537, 1024)}
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "backup")])
    day = datetime.datetime(2026, 1, 1)
    certificate = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(keys["p256"].public_key())
                   .serial_number(1).not_valid_before(day).not_valid_after(day.replace(year=2030))
                   .sign(keys["p256"], hashes.SHA256()))
    return {n: k.public_key() for n, k in keys.items()}, certificate.public_bytes(serialization.Encoding.DER)


def der(key):
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def pem(key):
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def first_copy(whole):
    return whole[: layout(whole).region]


def content(whole):
    return whole[24 : layout(whole).end]


def broken_copies(whole):
    """Both copies of an envelope with one byte of header or content in turn changed, under a right checksum."""
    whole = first_copy(whole)
    for at in range(8, layout(whole).end):
        for value in (0, 255):
            made = whole[:at] + bytes([value]) + whole[at + 1 :]
            yield (made if 12 <= at < 16 else with_checksum(made)) * 2


def with_content(whole, content, exponent=9):
    """An envelope with another content, in the smallest region from an exponent on."""
    copy = whole[:12] + len(content).to_bytes(4, "big") + whole[16:24] + content + bytes(32)
    while len(copy) > 1 << exponent:
        exponent += 1
    return with_checksum((copy[:10] + struct.pack(">H", exponent) + copy[12:]).ljust(1 << exponent, b"\0")) * 2


def slots_of(whole):
    """Method, header and wrap of each slot."""
    at, slots = layout(whole).slots + 2, []
    while at < layout(whole).tag:
        method, size = struct.unpack_from(">HH", whole, at)
        header, at = whole[at + 4 : at + 4 + size], at + 4 + size
        size = int.from_bytes(whole[at : at + 2], "big")
        slots.append((method, header, whole[at + 2 : at + 2 + size]))
        at += 2 + size
    return slots


def with_slots(whole, slots):
    """An envelope with other slots, as many as there are or as are said, under the tag that it had."""
    count, slots = slots if isinstance(slots, tuple) else (len(slots), slots)
    at = layout(whole)
    made = b"".join(struct.pack(">H", method) + sized(header) + sized(wrap) for method, header, wrap in slots)
    return with_content(whole, whole[24 : at.slots] + struct.pack(">H", count) + made + whole[at.tag : at.end])


def with_sequence(whole, number):
    """Its first copy with another sequence number."""
    copy = first_copy(whole)
    return with_checksum(copy[:16] + number.to_bytes(8, "big") + copy[24:])


def odd_slots():
    """Slots that break a rule of their method by a little, and some that do not."""
    method, header, wrap = 3, bytes(16) + struct.pack(">II", 3, 65536) + sized("hint"), bytes(72)
    key = bytes(16) + struct.pack(">I", 1) + sized("a")
    yield from ([(method, header, wrap)] * count for count in (1, 2, 4, 5, 32))
    yield from ([(method, header + b"x", wrap)], [(method, header[:-1], wrap)])
    yield from ([(method, header, wrap + b"x")], [(method, header, wrap[:-1])], [(method, header, b"")], [(method, b"", wrap)])
    yield from ([(33, sized(ARN) + sized(""), bytes(3000))], [(33, sized(ARN) + sized(""), b"")], [(33, sized(ARN) + sized(""), bytes(6145))])
    for passes, memory in ((2, 65536), (1025, 65536), (3, 65535), (3, 4194305)):
        yield [(method, bytes(16) + struct.pack(">II", passes, memory) + sized("hint"), wrap)]
    for hint in (b"", b"a" * 65, b"\xff"):
        yield [(method, header[:24] + sized(hint), wrap)]
    for label, key_id in ((b"a" * 33, b"1"), (b"a", b""), (b"a", b"1" * 129), (b"a", b"1")):
        yield [(0x15, sized(b"123") + sized(label) + sized("1") + sized("key") + sized(key_id), bytes(60))]
    yield from ((2, [(method, header, wrap)]), (0, []), (33, [(1, key, wrap)] * 33), (65, [(method, header, wrap)]), [(1, key, wrap)] * 32)
    # Of methods that are not known, or not yet in use.
    yield from ([(code, b"any", b"thing")] for code in (0, 5, 7, 0x10, 0x17, 0x1F, 0x20, 0x22, 0x3F, 0x40, 0xFFFF))
    yield from ([(7, b"", b"")], [(7, bytes(1024), bytes(6144))], [(7, bytes(1025), b"")], [(7, b"", bytes(6145))])
    yield from ([(4, key, bytes(1168))], [(4, key, bytes(1167))], [(4, key + b"x", bytes(1168))])
    # Those that are as they must be, with what is not harmless to show.
    yield from ([(1, bytes(16) + struct.pack(">I", 1) + sized(b"a\n\x1b"), wrap)], [(33, sized(ARN + "\n") + sized("m\x1b"), b"w")])


def envelopes(bulla):
    yield "aes", (FIXTURES / "aes.bulla").read_bytes()
    yield "detached", (FIXTURES / "detached.bulla.env").read_bytes()
    bulla("key", "new", "one.ring")
    bulla("key", "new", "two.ring", "--kind", "x25519")
    bulla("key", "export-public", "two.ring", "-o", "two.pub")
    yield "all", bulla("encrypt", "-k", "one.ring", "-k", "two.pub", "--context", "db=prod", "--context", "a=", "--name", "n",
                       "--generation", "7", "--suite", "chacha20", stdin=b"plain")
    yield "passphrase", bulla("encrypt", "-k", "passphrase:hint", stdin=b"")
    for kind, key in public_keys()[0].items():
        if kind in ("p256", "p384", "rsa2048"):
            pathlib.Path(bulla.directory, kind + ".pem").write_bytes(b"Token: t\nSerial: 1\nLabel: l\nCKA_ID: 01\n" + pem(key))
            yield kind, bulla("encrypt", "-k", kind + ".pem", stdin=b"x")
    yield "keys", (FIXTURES / "keys.bulla").read_bytes()
    whole = bulla("encrypt", "-k", "one.ring", stdin=b"")
    yield "also-second", b"\1" + whole[1:]
    yield "cut", whole[:600]
    yield "also-detached-cut", (FIXTURES / "detached.bulla.env").read_bytes()[:6000]
    yield "short", b"bull"
    yield "header", whole[:20]
    for i, made in enumerate(broken_copies(bulla("encrypt", "-k", "passphrase:hint", stdin=b""))):
        yield f"broken-passphrase{i}", made
    for i, made in enumerate(broken_copies((FIXTURES / "aes.bulla").read_bytes())):
        yield f"broken{i}", made
    everything = bulla("encrypt", "-k", "one.ring", "--context", "db=prod", "--context", "a=", "--name", "n", "--generation", "7")
    for i, made in enumerate(broken_copies(everything)):
        yield f"broken-core{i}", made
    for exponent in (9, 12):
        copy = first_copy(with_content(everything, content(everything), exponent))
        for i, at in enumerate((layout(copy).end + 32, len(copy) - 1)):
            yield f"also-padding{exponent}-{i}", (copy[:at] + b"\1" + copy[at + 1 :]) * 2
        yield f"also-b-alone{exponent}", bytes(len(copy)) + copy
    for i, slots in enumerate(odd_slots()):
        yield f"also-slots{i}", with_slots(everything, slots)
    right = content(everything)
    for i, made in enumerate((right + b"x", right[:-1], right[: layout(everything).slots - 24], right[:100], right[:26], b"\0", b"")):
        yield f"content{i}", with_content(everything, made)
    older, newer = first_copy(everything), with_sequence(everything, 2)
    yield "also-stale", newer + older
    yield "newer", older + newer
    yield "also-differs", older + with_checksum(older[:40] + bytes([older[40] ^ 1]) + older[41:])
    for number in (0, (1 << 63) - 1, 1 << 63):
        yield f"sequence{number}", with_sequence(everything, number) * 2
    yield "large", bulla("encrypt", "-k", "one.ring", *(w for i in range(12) for w in ("--context", f"k{i:02}=" + "v" * 400)))


def changed_slots(slots, foreign):
    """What somebody may make of the slots of a file, of which the first is of a keyring and the foreign ones are of another file."""
    method, header, wrap = slots[0]
    current, newer = (header[:16] + struct.pack(">I", version) + header[20:] for version in (2, 3))
    fake = (method, current, bytes(len(wrap)))
    yield from (slots * 2, slots[1:] + slots[:1], slots[:-1], slots + foreign, slots * (32 // len(slots)))
    yield from ([fake] + slots[1:], [fake] + slots, slots + [fake], [(method, newer, wrap)], slots + [(method, newer, wrap)])
    yield from ([(method, header, bytes(len(wrap)))], [(method, header[:-1] + b"x", wrap)], [(7, header, wrap)])
    yield from ([*slots, (7, b"any", b"thing")], [*slots, (4, header, bytes(1168))], [*slots, (33, sized(ARN) + sized(""), b"w")])


def with_own_tag(changed, whole, ring):
    """A changed file with the tag that one who has the branch key of the whole one can give it."""
    branch_key, _ = decode.open_envelope(decode.read_content(content(whole)), decode.Keys(decode.read_keyring(ring.encode(), None)))
    made = decode.read_content(content(changed))
    tag = hmac.digest(decode.derive_branch(branch_key, made.core).tag_key, made.tagged, "sha256")
    return with_content(changed, content(changed)[:-32] + tag, changed[11])


RUNS = {"one": "now#one", "one-old": "old#one", "two": "now#two", "two-old": "old#two", "both": "now#one now#two", "both-old": "old#one old#two",
        "half-old": "now#one old#two", "versions": "old#one now#one", "with-other": "old#one other", "now-with-other": "now#two other", "other": "other"}


def rewraps(bulla):
    """Files that were sealed to the keyring of the harness, as it is or before it was rotated, and what somebody made of them."""
    now = (HERE / "rewrap.ring").read_text()
    old = json.loads(now)
    for key in old["keys"]:
        key["versions"] = [key["versions"][0] | {"state": "active"}]
    for name, text in (("now", now), ("old", json.dumps(old))):
        (bulla.directory / name).touch(mode=0o600)
        (bulla.directory / name).write_text(text)
    bulla("key", "new", "./other")
    made = {}
    for name, keys in RUNS.items():
        for i in range(2):
            (bulla.directory / f"{name}-{i}").write_bytes(b"x")
        bulla("encrypt", *(word for key in keys.split() for word in ("-k", f"./{key}")), "--context", "a=b", f"{name}-0", f"{name}-1")
        made[name] = [(bulla.directory / f"{name}-{i}.bulla").read_bytes() for i in range(2)]
        yield name, made[name][0]
    yield "passphrase", bulla("encrypt", "-k", "./old#one", "-k", "passphrase:hint", stdin=b"")
    for name in ("one", "both-old", "now-with-other"):
        whole, sister = made[name]
        yield f"also-{name}-of-two-files", first_copy(whole) + with_sequence(sister, 2)
        for i, slots in enumerate(changed_slots(slots_of(whole), slots_of(made["one"][0]))):
            odd = with_slots(whole, slots)
            yield f"{name}-slots{i}", odd
            # Beside the other copy, which is as it was.
            yield f"{'' if name == 'one' else 'also-'}{name}-beside{i}", first_copy(with_content(whole, content(whole), odd[11])) + with_sequence(odd, 2)
            if slots:
                yield f"{'also-' if name == 'now-with-other' else ''}{name}-own{i}", with_own_tag(odd, whole, now)
    path = bulla.directory / "both-old-0.bulla"
    older = path.read_bytes()
    bulla("rewrap", "-k", "now#one", "-k", "now#two", path)
    yield "also-stale", first_copy(path.read_bytes()) + first_copy(older)
