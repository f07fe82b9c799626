"""Envelopes as somebody changes them who has no key but can write: every byte, and slots from wherever he has them."""

import pathlib
import sys

from archive import copy_at, slots_in
from sealed import content, layout, with_copies

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "kit"))
from encoder import File, Keyring, Opaque, Slot  # noqa: E402

PLAIN = content(700)
LARGE = content(70_000)
ARN = b"arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
HEADER = 24  # bytes of a copy before the content


def sized(data):
    return len(data).to_bytes(2, "big") + data


def slot_bytes(method, header, wrap):
    return method.to_bytes(2, "big") + sized(header) + sized(wrap)


def slots_of(data):
    """The slots of copy A, as bytes."""
    return [slot_bytes(*slot) for slot in slots_in(copy_at(data, 0)[1])]


def of_version(slot, version, seed):
    """A keyring slot with the header of another version and a wrap of random bytes."""
    size = int.from_bytes(slot[2:4], "big")
    header = slot[4 : 4 + size]
    header = header[:16] + version.to_bytes(4, "big") + header[20:]
    return slot[:2] + sized(header) + sized(content(int.from_bytes(slot[4 + size : 6 + size], "big"), f"{seed} {version}"))


def made_by_hand(ring_key, *opaque):
    """A file that is sealed to a keyring's key, with slots of other methods that nobody here can open; the tag is right."""
    version = ring_key["versions"][0]
    key = Keyring("made", key_id=bytes.fromhex(ring_key["id"]), key=bytes.fromhex(version["key"]))
    return File(f"by hand {opaque[0].method}", master=[Slot(key), *opaque], plaintext=PLAIN, exponent=10).bytes()[0]


class Victim:
    """A sealed file, and what it can be turned into."""

    def __init__(self, data):
        self.data, self.layout = data, layout(data)
        self.a, self.b = data[: self.layout.region], data[self.layout.region : self.layout.body]

    def with_content(self, made, copies):
        """The file with another content in copy A, in copy B, which is the newer one then, or in both."""
        size = HEADER + len(made)
        copy = (self.a[:12] + len(made).to_bytes(4, "big") + self.a[16:HEADER] + made + bytes(32)).ljust(self.layout.region, b"\0")
        if size + 32 > self.layout.region or len(copy) > self.layout.region:
            return None
        newer = copy[:16] + (int.from_bytes(copy[16:24], "big") + 1).to_bytes(8, "big") + copy[24:]
        return with_copies(self.data, *{"A": (copy, self.b), "B": (self.a, newer), "both": (copy, copy)}[copies])

    def contents(self, foreign):
        """All contents that the attacker makes, each with its name."""
        old = self.a[HEADER : self.layout.end]
        for at in range(len(old)):
            yield f"byte {at}", old[:at] + bytes([old[at] ^ (1 << at % 8)]) + old[at + 1 :]
        front, own, tag = old[: self.layout.slots - HEADER], slots_of(self.data), old[-32:]
        for name, slots in self.slot_lists(own, foreign):
            yield name, front + len(slots).to_bytes(2, "big") + b"".join(slots) + tag

    @staticmethod
    def slot_lists(own, foreign):
        for name, slot in foreign.items():
            yield f"{name} in front", [slot, *own]
            yield f"{name} at the end", [*own, slot]
            for at in range(len(own)):
                yield f"{name} in place of slot {at}", [*own[:at], slot, *own[at + 1 :]]
        for at in range(len(own)):
            yield f"slot {at} doubled", [*own[: at + 1], *own[at:]]
            if len(own) > 1:
                yield f"slot {at} dropped", own[:at] + own[at + 1 :]
        if len(own) > 1:
            yield "slots swapped", own[::-1]

    def variants(self, foreign):
        """All files that the attacker makes, each with its name."""
        for name, made in self.contents(foreign):
            for copies in ("A", "B", "both"):
                changed = self.with_content(made, copies)
                if changed is not None:
                    yield f"{name}, {copies}", changed


def kms_slot(seed):
    return Opaque(0x21, [sized(ARN), sized(b"")], content(180, f"kms {seed}"))


def unknown_slot(seed):
    return Opaque(0x777, [content(20, f"header {seed}")], content(60, f"unknown {seed}"))
