"""What the kit holds of slots, tags and keys: each good variety and each defect, once."""

import hmac

from decode import KEYRING_HYBRID, METHODS, x25519_public
from encoder import File, Keyring, Opaque, Passphrase, Slot, drawn, hpke_seal, sha256, sized, u16, u32, xaes_seal
from maker import OTHER, PAIR, SECOND, SYMMETRIC, WORDS, flip, gone, put, vector

# One good header and wrap of each method, at its smallest and at its largest; kept as the rows of section 3.2 say.


def extreme(method, largest):
    _, fields, low_wrap, high_wrap = METHODS[method]
    return [value(field, field[3] if largest else field[2]) for field in fields], bytes(high_wrap if largest else low_wrap)


def value(field, size):
    """A field with this number in it, or this long."""
    name, kind, low, high = field
    return u32(size) if kind == "u32" else bytes(size) if kind == "fixed" else sized(size * b"x")


def slots():
    """Slots of each method; those that break a rule come after one that opens, so that nothing else refuses the file."""
    opens = Slot(SYMMETRIC)
    for largest, size, exponent in ((False, "smallest", 12), (True, "largest", 15)):
        rest = [Opaque(method, *extreme(method, largest)) for method in METHODS]
        vector(f"slots_{size}", "opened", f"a slot of every method, each at its {size}, and one that opens", master=[*rest, opens], exponent=exponent)
        none = [slot for slot in rest if slot.method != KEYRING_HYBRID]
        vector(f"slots_{size}_no_key", "no key", f"a slot of every method but 0x0004, each at its {size}", master=none, exponent=exponent)

    def refused(name, what, method, header, wrap):
        slot = Opaque(method, header, wrap)
        vector(f"slot_{name}", "envelope", what, master=[opens, slot], exponent=12 if len(slot.raw) < 3000 else 17)

    for method, (name, fields, low_wrap, high_wrap) in METHODS.items():
        short = name.replace("pkcs11-", "").replace("-", "_")
        header, wrap = extreme(method, False)
        refused(f"{short}_wrap_{low_wrap - 1}", f"{name}: a wrap of {low_wrap - 1} bytes", method, header, bytes(low_wrap - 1))
        refused(f"{short}_wrap_{high_wrap + 1}", f"{name}: a wrap of {high_wrap + 1} bytes", method, header, bytes(high_wrap + 1))
        if method in (0x12, 0x13, 0x14, 0x16):  # the header is that of 0x11, or of 0x15
            continue
        refused(f"{short}_header_more", f"{name}: a byte after the header's last field", method, [*header, b"\0"], wrap)
        refused(f"{short}_header_cut", f"{name}: the header's last byte is missing", method, [b"".join(header)[:-1]], wrap)
        for i, (what, kind, low, high) in enumerate(fields):
            for number in ([] if kind == "fixed" else [n for n in (low - 1, high + 1) if 0 <= n < 2**32]):
                broken = [*header[:i], value(fields[i], number), *header[i + 1 :]]
                refused(f"{short}_{what}_{number}", f"{name}: {what} {'is' if kind == 'u32' else 'of length'} {number}", method, broken, wrap)
            if kind == "text":
                broken = [*header[:i], sized(b"\xff" * max(low, 1)), *header[i + 1 :]]
                refused(f"{short}_{what}_not_utf8", f"{name}: {what} is not UTF-8", method, broken, wrap)
    header, wrap = extreme(1, False)
    refused("text_zero", "keyring-xaes: a zero byte in the key name", 1, [header[0], header[1], sized(b"\0")], wrap)
    refused("header_65535", "keyring-xaes: a header of 65535 bytes", 1, [bytes(65535)], wrap)
    for count, expect in ((4, "opened"), (5, "envelope")):
        words = [Opaque(WORDS.kind, *extreme(WORDS.kind, False)) for _ in range(count)]
        vector(f"slots_passphrase_{count}", expect, f"{count} slots of a passphrase; 4 are allowed", master=[*words, opens])


def unknown():
    """Slots of methods that version 2 does not know, and those of 0x0004, which it reserves: they are passed over."""
    opens = Slot(SYMMETRIC)
    for method in (0, 5, 0x10, 0x17, 0x20, 0x22, 0x3F, 0x40, 0x101, 0xFFFF):
        vector(f"method_{method:04x}", "opened", f"method {method:04x} before a slot that opens", master=[Opaque(method, [b"?"], b"?"), opens])
        vector(f"method_{method:04x}_alone", "unsupported", f"method {method:04x} alone", master=[Opaque(method, [b"?"], b"?")])
    vector("method_0005_empty", "opened", "an unknown method with an empty header and an empty wrap", master=[opens, Opaque(5)])
    vector("method_0005_empty_alone", "unsupported", "the same alone", master=[Opaque(5)])
    vector("method_0005_other_key", "unsupported", "an unknown method, and a slot of a key that is not given", master=[Slot(OTHER), Opaque(5)])
    vector("method_0005_changed", "unsupported", "an unknown method, and a slot of the given key whose wrap is changed",
           master=[Opaque(5), Slot(SYMMETRIC, wrap=flip(30))])
    vector("method_0005_longest", "opened", "an unknown method with a header of 1024 bytes and a wrap of 6144", exponent=14,
           master=[Opaque(5, [bytes(1024)], bytes(6144)), opens])
    vector("method_0005_header_1025", "envelope", "an unknown method with a header of 1025 bytes", master=[opens, Opaque(5, [bytes(1025)])])
    vector("method_0005_wrap_6145", "envelope", "an unknown method with a wrap of 6145 bytes", exponent=14, master=[opens, Opaque(5, [], bytes(6145))])
    vector("method_0005_31", "opened", "31 slots of unknown methods before the one that opens", exponent=13,
           master=[*(Opaque(0x50 + n, [b"?"], b"?") for n in range(31)), opens])
    hybrid = Opaque(KEYRING_HYBRID, *extreme(KEYRING_HYBRID, False))
    vector("method_0004", "opened", "method 0x0004 before a slot that opens", master=[hybrid, opens])
    vector("method_0004_alone", "unsupported", "method 0x0004 alone", master=[hybrid])
    vector("method_0004_other_key", "unsupported", "method 0x0004, and a slot of a key that is not given", master=[Slot(OTHER), hybrid])
    named = Opaque(KEYRING_HYBRID, SYMMETRIC.header(), bytes(1168))
    vector("method_0004_of_given_key", "unsupported", "method 0x0004 with id and version of the given key", master=[named])


def tags():
    """Slots that were changed by somebody without the branch key: the file opens, and the tag tells."""
    first, second, moved = Slot(SYMMETRIC), Slot(OTHER), kms(b"one", b"wrap")

    def changed(name, expect, what, before, after, **file):
        """The slots are these, under the tag that the file had with those."""
        vector(f"tag_{name}", expect, what, master=after, tag=lambda tag: File(f"tag_{name}", master=before, **file).tag_bytes(), **file)

    for what, at in {"first": 0, "last": 31}.items():
        vector(f"tag_{what}", "tag", f"a bit of the {what} byte of the tag is changed", tag=flip(at, at % 8))
    vector("tag_zero", "tag", "the tag is zeros", tag=gone)
    vector("tag_of_other_branch", "tag", "the tag is made with the tag key of another branch",
           tag=lambda tag: File("tag_of_other_branch", master=[first], branch_key=drawn("another branch", 32)).tag_bytes())
    vector("tag_of_wrap_key", "tag", "the tag is made with the wrap key",
           tag=lambda tag: hmac.digest(made("tag_of_wrap_key").branch[0], made("tag_of_wrap_key").front_bytes([first.bytes(made("tag_of_wrap_key"))]),
                                       "sha256"))
    changed("slot_dropped", "tag", "the second of two slots was dropped", [first, second], [first])
    changed("first_slot_dropped", "tag", "the first of two slots was dropped", [second, first], [first])
    changed("slot_doubled", "tag", "a slot is there twice and was once", [first], [first, first])
    changed("slots_swapped", "tag", "two slots were swapped", [first, second], [second, first])
    changed("slot_added", "tag", "a slot of random bytes was added for another key", [first], [first, Slot(OTHER, wrap=random_like)])
    changed("slot_of_other_run", "tag", "a slot of another run was added",
            [first], [first, Slot(SYMMETRIC, branch_key=drawn("another branch", 32), branch_id=drawn("another id", 32))])
    changed("header_changed", "tag", "the key name in the slot of another key was changed",
            [first, second], [first, Slot(OTHER, header=[*OTHER.header()[:2], sized(b"kiT")])])
    changed("wrap_changed", "tag", "a bit of the wrap of the slot of another key was changed", [first, second], [first, Slot(OTHER, wrap=flip(30))])
    changed("method_changed", "tag", "an unknown method became another", [first, Opaque(5, [b"?"], b"?")], [first, Opaque(6, [b"?"], b"?")])
    changed("unknown_changed", "tag", "the wrap of an unknown method was changed", [first, Opaque(5, [b"?"], b"?")], [first, Opaque(5, [b"?"], b"!")])
    changed("slot_first_changed", "tag", "the slot before the one that opens was changed", [second, first], [Slot(OTHER, wrap=flip(30)), first])
    vector("tag_data_key", "tag", "the data key was wrapped again, under another nonce, and the tag stayed", tag=lambda tag: made("tag_data_key").tag_bytes(),
           wrapped=lambda wrapped: again("tag_data_key"))
    # Methods 0x0020 to 0x003f: a key store moves them without us
    changed("kms_changed", "opened", "the slot of a KMS was moved to another of its keys", [first, moved], [first, kms(b"two", b"another wrap")])
    changed("kms_first_changed", "opened", "the same before the slot that opens", [moved, first], [kms(b"two", b"another wrap"), first])
    changed("kms_swapped", "opened", "two slots of a KMS were swapped", [first, moved, kms(b"two", b"x")], [first, kms(b"two", b"x"), moved])
    changed("kms_dropped", "tag", "the slot of a KMS was dropped", [first, moved], [first])
    changed("kms_added", "tag", "a slot of a KMS was added", [first, moved], [first, moved, kms(b"two", b"x")])
    changed("kms_doubled", "tag", "the slot of a KMS is there twice and was once", [first, moved], [first, moved, moved])
    changed("kms_became_another", "tag", "the slot of a KMS became one of an unknown method", [first, moved], [first, Opaque(0x22, [b"?"], b"?")])
    changed("kms_to_the_front", "tag", "the slot of a KMS was moved before the other", [first, moved], [moved, first])
    for method, expect in {0x1F: "tag", 0x20: "opened", 0x3F: "opened", 0x40: "tag"}.items():
        changed(f"{method:04x}_changed", expect, f"header and wrap of a slot of method {method:04x} were changed",
                [first, Opaque(method, [b"?"], b"?")], [first, Opaque(method, [b"another"], b"wrap")])
    vector("tag_with_kms", "tag", "the tag was made as if the slot of a KMS counted with all its bytes", master=[first, moved],
           tag=lambda tag: whole_tag("tag_with_kms", [first, moved]))
    vector("tag_separate", "tag", "the tag of a separate envelope is zeros", tag=gone, detached=True)
    vector("tag_chunk", "chunk", "the tag is zeros, and the only chunk is changed", tag=gone, chunks=lambda c: [flip(9)(c[0])])
    vector("tag_in_a", "opened", "the tag is zeros in copy A alone, which is stale",
           copy_a=lambda copy: File("tag_in_a", master=[first], tag=gone).copy_bytes(1), sequence_b=2)


def kms(name, wrap):
    return Opaque(0x21, [sized(b"arn:aws:kms:eu-west-1:111122223333:key/" + name), sized(b"")], wrap)


def random_like(wrap):
    return drawn("a slot of random bytes", len(wrap))


def made(name):
    return File(name, master=[Slot(SYMMETRIC)])


def again(name):
    """The data key as another wrap would be."""
    file = made(name)
    aad = b"bulla/v2 data key" + file.branch_id + sha256(file.core_bytes())
    return xaes_seal(file.branch[0], drawn("another nonce", 24), file.data_key, aad)


def whole_tag(name, slots):
    file = File(name, master=slots)
    return hmac.digest(file.branch[2], file.front_bytes([slot.bytes(file) for slot in slots]), "sha256")


def keys():
    """Envelopes that are valid, and whether the given keys open them."""
    pair, words = Slot(PAIR), Slot(WORDS)
    vector("key_x25519", "opened", "a slot of a public key", keys=[PAIR], master=[pair])
    vector("key_passphrase", "opened", "a slot of a passphrase", keys=[WORDS], master=[words])
    vector("key_passphrase_wrong", "no key", "another passphrase", keys=[Passphrase("zwölf Boxkampfer")], master=[words])
    vector("key_passphrase_composed", "no key", "the same passphrase in another normal form", keys=[Passphrase("zwo\u0308lf Boxka\u0308mpfer")],
           master=[words])
    for key, what in {SYMMETRIC: "first", PAIR: "second", WORDS: "third"}.items():
        vector(f"key_{what}_of_three", "opened", f"three slots; the key of the {what} is given", keys=[key], master=[Slot(SYMMETRIC), pair, words])
    vector("key_other", "no key", "the key of another slot", keys=[OTHER])
    vector("key_other_x25519", "no key", "the key of another slot, and the file is to a public key", keys=[SYMMETRIC], master=[pair])
    vector("key_none_of_three", "no key", "three slots; no key of theirs is given", keys=[OTHER, Passphrase("no")],
           master=[Slot(SYMMETRIC), pair, words])
    vector("key_second_version", "opened", "a slot of version 2 of a key; both versions are given", keys=[SYMMETRIC, SECOND], master=[Slot(SECOND)])
    vector("key_second_version_missing", "older keyring", "a slot of version 2 of a key; version 1 is given", master=[Slot(SECOND)])
    vector("key_first_version_missing", "no key", "a slot of version 1 of a key; version 2 is given", keys=[SECOND])
    vector("key_second_version_missing_x25519", "no key", "a slot of version 2 of a key of the other kind with the id of the given one",
           master=[Slot(Keyring("x25519 of the same id", kind=2, version=2, key_id=SYMMETRIC.key_id))])
    vector("key_second_version_missing_then_good", "opened", "a slot of version 2 of a key, of which version 1 is given, and then a good slot",
           keys=[SYMMETRIC, PAIR], master=[Slot(SECOND), Slot(PAIR)])
    vector("key_second_version_missing_and_unknown", "older keyring", "a slot of version 2 of a key, of which version 1 is given, and an unknown method",
           master=[Opaque(5), Slot(SECOND)])
    same_id = Keyring("other bytes", key_id=SYMMETRIC.key_id)
    vector("key_other_bytes", "no key", "the key that is given has the right id and version, and other bytes", keys=[same_id])
    vector("key_twice", "opened", "a slot twice", master=2 * [Slot(SYMMETRIC)])
    vector("key_damaged_then_good", "opened", "a slot whose wrap is changed, and the same slot unchanged",
           master=[Slot(SYMMETRIC, wrap=flip(30)), Slot(SYMMETRIC)])
    wrong = Slot(SYMMETRIC, branch_key=drawn("a branch key of nothing", 32))
    vector("key_wrong_branch_then_good", "opened", "a slot that opens, but to a branch key with another id, and a good one",
           master=[wrong, Slot(SYMMETRIC)])
    vector("key_wrong_branch", "no key", "a slot that opens, but to a branch key with another id", master=[wrong])
    vector("key_of_other_branch", "no key", "a slot with the right branch key that is bound to another branch id",
           master=[Slot(SYMMETRIC, branch_id=bytes(32))])
    for what, branch_id in {"context": made("branch_id_of_other_context").but(pairs=[(b"a", b"b")]).branch_id, "zeros": bytes(32),
                            "wrap_key": made("branch_id_of_other_wrap_key").branch[0]}.items():
        name = f"branch_id_of_other_{what}"
        vector(name, "no key", "slot, data key and tag are made for a branch id that does not follow from the branch key and the context: "
               f"{what.replace('_', ' ')}", branch_id=branch_id)
    for key, what in {SYMMETRIC: "x25519", PAIR: "symmetric"}.items():
        vector(f"key_taken_as_{what}", "no key", f"the slot is of a key of kind {what} with the id and the bytes of the given one of the other kind",
               keys=[key], master=[Slot(Keyring("taken", kind=3 - key.kind, key_id=key.key_id, key=key.key))])
    vector("key_name_need_not_match", "opened", "the key name in the slot is not that of any key",
           master=[Slot(SYMMETRIC, header=[*SYMMETRIC.header()[:2], sized("Schlüssel".encode())])])
    named = SYMMETRIC.header()
    for what, at in {"nonce": 0, "ciphertext": 24, "tag": 71}.items():
        vector(f"key_wrap_{what}", "no key", f"a bit of the {what} of the wrap is changed", master=[Slot(SYMMETRIC, wrap=flip(at))])
        vector(f"data_key_{what}", "no key", f"a bit of the {what} of the wrapped data key is changed", wrapped=flip(at))
    for what, at in {"enc": 0, "ciphertext": 32, "tag": 79}.items():
        vector(f"key_x25519_{what}", "no key", f"a bit of the {what} of the HPKE wrap is changed", keys=[PAIR], master=[Slot(PAIR, wrap=flip(at))])
    for what, point in LOW_ORDER.items():
        vector(f"key_x25519_enc_{what}", "no key", f"HPKE with an enc of low order, sealed as if the all-zero secret counted: {what}", keys=[PAIR],
               master=[Slot(LowOrder(PAIR, point))])
    vector("key_slot_renamed", "no key", "the key name in the slot was changed after it was made",
           content=lambda c: c.replace(b"".join(named), b"".join(named)[:-1] + b"T"))
    core = 2  # the offset of the core in the content
    for what, at in {"file_id": 4, "created": 27, "generation": 35}.items():
        vector(f"core_forged_{what}", "no key", f"the {what.replace('_', ' ')} was changed after sealing", content=flip(core + at, 1))
    vector("core_forged_suite", "no key", "the suite was changed after sealing", content=put(core + 2, u16(2)))
    vector("core_forged_context", "no key", "the value of a context pair was changed after sealing", pairs=[(b"db", b"prod")],
           content=lambda content: content.replace(b"prod", b"test"))
    vector("core_forged_context_dropped", "no key", "the context pair was dropped after sealing", pairs=[(b"db", b"prod")],
           content=lambda content: u16(40) + content[core : core + 38] + bytes(2) + content[core + 50 :])
    for what, at in {"first": 0, "last": 31}.items():
        vector(f"branch_id_forged_{what}", "no key", f"a bit of the {what} byte of the branch id was changed after sealing",
               content=flip(core + 40 + at, at % 8))


LOW_ORDER = {
    "zero": bytes(32), "one": b"\1" + bytes(31),
    "order_8": bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
}


class LowOrder:
    """The slot of a public key, as one who does not have it makes it for readers that take an all-zero shared secret."""

    kind = 2

    def __init__(self, key, enc):
        self.key, self.enc = key, enc

    def header(self):
        return self.key.header()

    def seal(self, file, aad):
        return hpke_seal(x25519_public(self.key.key), file.branch_key, b"bulla/v2 branch key", aad, enc=self.enc, shared=bytes(32))
