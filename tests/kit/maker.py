"""Makes a vector, by a file in the making and what is changed on the way; and the master keys of the kit."""

from encoder import File, Keyring, Passphrase, Slot
from kit import STATUS, Vector, describe
from sealed import flip as flip_bit
from sealed import with_checksum

SYMMETRIC = Keyring("symmetric")
SECOND = Keyring("second version", version=2, key_id=SYMMETRIC.key_id)
OTHER = Keyring("other")
PAIR = Keyring("x25519", kind=2)
WORDS = Passphrase("zwölf Boxkämpfer")
MADE = {}


def plain(size):
    return bytes((i * 7 + i // 251) % 256 for i in range(size))


SHORT = plain(43)


def vector(name, expect, comment, /, keys=(SYMMETRIC,), released=None, **file):
    """Adds a vector; released is how many bytes of the plaintext authenticate, where that is not the same for each such file."""
    made = File(name, **{"master": [Slot(SYMMETRIC)], "plaintext": SHORT, **file})
    whole, separate = made.bytes()
    lines = [key.line() for key in keys]
    opens = expect in ("opened", "tag")
    plaintext = made.plaintext if opens else made.plaintext[: released or 0]
    assert name not in MADE and bool(released) <= (expect in ("chunk", "truncated", "trailing"))
    MADE[name] = Vector(
        name, expect, comment, whole, separate, [line for what, line in lines if what == "key"],
        "".join(line for what, line in lines if what == "passphrase"),
        describe(plaintext) if opens or expect in ("chunk", "truncated", "trailing") else "", STATUS[expect])


def flip(at, bit=0):
    return lambda data: flip_bit(data, at, bit)


def put(at, value):
    return lambda data: data[:at] + value + data[at + len(value) :]


def cut(size):
    return lambda data: data[:size]


def add(more):
    return lambda data: data + more


def repairing(change):
    return lambda copy: with_checksum(change(copy))


def gone(copy):
    return bytes(len(copy))
