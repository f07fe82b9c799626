"""What the kit holds: each good variety and each defect of bodies and envelopes, once. A name begins with the part that it is about."""

from encoder import CHUNK, MAGIC, File, Opaque, Slot, drawn, sha256, sized, u16, u32
from maker import MADE, OTHER, SHORT, SYMMETRIC, add, cut, flip, gone, plain, put, repairing, vector
from slot_defects import keys, slots, tags, unknown


def bodies():
    for size, what in {0: "an empty plaintext", 1: "one byte", CHUNK - 1: "one chunk, as long as the last may be"}.items():
        vector(f"body_{size}", "opened", what, plaintext=plain(size))
    for size, what in {CHUNK: "one chunk", 2 * CHUNK: "two chunks"}.items():
        vector(f"body_{size}", "opened", f"exactly {what}: an empty one follows", plaintext=plain(size))
    vector("body_16385", "opened", "two chunks, the last of one byte", plaintext=plain(CHUNK + 1))
    vector("suite_chacha20", "opened", "body suite 2", suite=2)
    vector("suite_chacha20_chunks", "opened", "body suite 2, two chunks and an empty one", suite=2, plaintext=plain(2 * CHUNK))
    for at, what in {0: "salt_first", 23: "salt_last", 24: "commitment_first", 55: "commitment_last"}.items():
        vector(what, "commitment", f"byte {at} of the body is changed", body=flip(at, at % 8))
    vector("commitment_of_other_suite", "commitment", "suite 1, the body made with the name of the AEAD of suite 2",
           aead=b"AEAD_CHACHA20_POLY1305")
    vector("commitment_of_other_key", "commitment", "the body of another data key", body_key=drawn("other data key", 32))
    swapped = File("other", plaintext=SHORT).body_bytes()
    vector("commitment_of_other_file", "commitment", "a whole body, of another file", body=lambda body: swapped)
    vector("commitment_of_core", "commitment", "the body is bound to another core", body=lambda body: File("commitment_of_core",
           generation=1, plaintext=SHORT).body_bytes())
    for number, size, at in ((0, 43, 0), (0, 43, 58), (0, CHUNK + 9, 0), (0, CHUNK + 9, CHUNK + 15), (1, CHUNK + 9, 0), (1, CHUNK + 9, 24)):
        vector(f"chunk_{number}_of_{size // CHUNK + 1}_byte_{at}", "chunk", f"byte {at} of sealed chunk {number} is changed",
               plaintext=plain(size), released=number * CHUNK,
               chunks=lambda c, n=number, at=at: [flip(at, at % 8)(x) if i == n else x for i, x in enumerate(c)])
    vector("chunk_empty_last_changed", "chunk", "the tag of an empty last chunk is changed", plaintext=plain(CHUNK), released=CHUNK,
           chunks=lambda c: [c[0], flip(15)(c[1])])
    orders = {"swapped": [1, 0, 2], "first_dropped": [1, 2], "middle_dropped": [0, 2], "doubled": [0, 0, 1, 2], "last_first": [2, 0, 1],
              "last_twice": [0, 1, 2, 2], "last_alone": [2]}
    for what, order in orders.items():
        good = next(i for i, n in enumerate(order) if n != i or (n == 2 and i < len(order) - 1))
        vector(f"chunks_{what}", "chunk", f"chunks 0, 1, 2 are there as {', '.join(map(str, order))}", plaintext=plain(2 * CHUNK + 9),
               released=good * CHUNK, chunks=lambda c, order=order: [c[n] for n in order])
    other = File("other", plaintext=SHORT).body_bytes()[56:]
    vector("chunks_of_other_file", "chunk", "salt and commitment are right, the chunk is of another file", chunks=lambda c: [other])
    vector("chunk_detached", "chunk", "the only chunk of a detached body is changed", detached=True, chunks=lambda c: [flip(9)(c[0])])
    vector("chunk_short_inside", "chunk", "a first chunk of 43 bytes, and another after it", plaintext=SHORT + plain(9),
           pieces=lambda p: [SHORT, plain(9)])
    vector("chunk_empty_first", "chunk", "an empty first chunk, and another after it", pieces=lambda p: [b"", SHORT])


def ends():
    """Bodies that end too early or too late."""
    for size, what in {0: "the body is missing", 1: "one byte of the salt", 24: "the salt alone", 55: "a byte of the commitment is missing",
                       56: "no chunk", 57: "a byte of a chunk", 71: "a byte less than a tag", 72: "a tag's length", -1: "a byte is missing"}.items():
        vector(f"truncated_{size if size >= 0 else 'last'}", "truncated", f"cut inside the body: {what}", body=cut(size))
    chunk = 56 + CHUNK + 16
    for size, released, what in ((chunk - 1, 0, "a byte of chunk 0 is missing"), (chunk, CHUNK, "chunk 0 is whole, chunk 1 is missing"),
                                 (chunk + 1, CHUNK, "a byte of chunk 1"), (chunk + 16, CHUNK, "a tag's length of chunk 1"),
                                 (2 * chunk - 56, 2 * CHUNK, "two whole chunks, the last is missing")):
        vector(f"truncated_{size}", "truncated", f"cut inside the body: {what}", body=cut(size), plaintext=plain(2 * CHUNK + 9), released=released)
    vector("truncated_empty_last", "truncated", "exactly one chunk, and the empty last chunk is missing", body=cut(chunk),
           plaintext=plain(CHUNK), released=CHUNK)
    vector("truncated_last_is_full", "truncated", "sealed with a full last chunk and none after it: as if that were missing",
           plaintext=plain(CHUNK), pieces=lambda p: p[:1], released=CHUNK)
    vector("truncated_detached", "truncated", "a detached body of 55 bytes", detached=True, body=cut(55))
    vector("truncated_detached_empty", "truncated", "a detached body of no bytes", detached=True, body=cut(0))
    vector("trailing_zero", "trailing", "a zero byte after the body", whole=add(b"\0"))
    vector("trailing_line_end", "trailing", "a line end after the body", whole=add(b"\n"))
    vector("trailing_tag", "trailing", "16 zeros after the body", whole=add(bytes(16)))
    vector("trailing_empty_chunk", "trailing", "a good empty chunk after the last one", pieces=lambda p: [*p, b""])
    vector("trailing_second_empty_chunk", "trailing", "two empty chunks at the end", plaintext=plain(CHUNK), pieces=lambda p: [*p, b""],
           released=CHUNK)
    vector("trailing_chunk", "trailing", "as many zeros as a chunk after a body of two", plaintext=plain(CHUNK + 9), whole=add(bytes(CHUNK + 16)),
           released=CHUNK)
    vector("trailing_file", "trailing", "the whole file twice", whole=lambda whole: 2 * whole)
    vector("trailing_detached", "trailing", "a zero byte after a detached body", detached=True, body=add(b"\0"))
    vector("trailing_separate_byte", "trailing", "a zero byte after a separate envelope", detached=True, separate=add(b"\0"))
    vector("trailing_separate_copy", "trailing", "a third copy in a separate envelope", detached=True, separate=lambda e: e + e[:4096])
    vector("trailing_separate_whole", "trailing", "a whole sealed file in place of a separate envelope", detached=True,
           separate=lambda e: e + File("trailing_separate_whole", plaintext=SHORT).body_bytes())


def copies():
    """The frame of an envelope copy, and which of two counts."""
    both = {
        "magic_first": (flip(0), "the first byte of the magic"),
        "magic_last": (flip(7), "the last byte of the magic"),
        "magic_line_end": (lambda c: MAGIC.replace(b"\r\n", b"\n") + c[8:] + b"\0", "CR LF became LF, as by a transfer as text"),
        "length_too_long": (put(12, u32(4096 - 56 + 1)), "the content ends after the region"),
        "length_huge": (put(12, u32(2**32 - 1)), "the content has 2^32 - 1 bytes"),
        "length_zero": (repairing(put(12, u32(0))), "no content, under a right hash, and then what is not zero"),
        "hash_first": (lambda c: flip(24 + int.from_bytes(c[12:16], "big"))(c), "the first byte of the hash"),
        "hash_last": (lambda c: flip(24 + int.from_bytes(c[12:16], "big") + 31)(c), "the last byte of the hash"),
        "hash_of_content": (flip(100), "a byte of the content, and the hash not"),
        "hash_of_header": (flip(23, 1), "the sequence number, and the hash not"),
        "zeros": (gone, "nothing but zeros"),
        "ones": (lambda c: b"\xff" * len(c), "nothing but ones"),
    }
    for name, (change, what) in both.items():
        vector(f"copy_{name}", "envelope", f"in both copies: {what}", copy=change)
        for letter in "ab":
            if name in ("magic_first", "length_too_long", "hash_of_content", "zeros"):
                vector(f"copy_{letter}_{name}", "opened", f"in copy {letter.upper()} alone: {what}", **{f"copy_{letter}": change})
    for recorded in (0, 8, 13, 18, 19, 65535):
        vector(f"region_recorded_{recorded}", "envelope", f"both copies are in 4 KiB and record the exponent {recorded}", recorded=recorded)
    for recorded in (9, 11):
        vector(f"region_recorded_{recorded}", "commitment", f"both copies are in 4 KiB and record the exponent {recorded}: copy A is valid "
               "there, and the body would begin inside it or in copy B", recorded=recorded)
    for recorded in (11, 13):
        change = repairing(put(10, u16(recorded)))
        vector(f"region_recorded_{recorded}_in_b", "opened", f"copy B records the exponent {recorded}, copy A 12", copy_b=change)
        vector(f"region_recorded_{recorded}_in_b_a_gone", "envelope", f"copy B is at 4096 and records the exponent {recorded}, copy A is gone",
               copy_a=gone, copy_b=change)
    for exponent in (9, 10, 11, *range(13, 19)):
        vector(f"region_{exponent}", "opened", f"copies of 2^{exponent} bytes", exponent=exponent)
        vector(f"region_{exponent}_b_alone", "opened", f"copies of 2^{exponent} bytes, the first gone", exponent=exponent, copy_a=gone)
    for exponent in (9, 10, 11):
        vector(f"region_{exponent}_a_alone", "opened", f"copies of 2^{exponent} bytes, the second gone", exponent=exponent, copy_b=gone)
    vector("region_9_chunks", "opened", "copies of 2^9 bytes before a long body, as no writer makes them", exponent=9, plaintext=plain(CHUNK + 9))
    vector("region_12_b_alone", "opened", "copies of 2^12 bytes, the first gone", copy_a=gone)
    vector("region_8", "envelope", "copies of 2^8 bytes, fewer than is allowed, with an unknown method alone", exponent=8, master=[Opaque(5)])
    vector("region_19", "envelope", "copies of 2^19 bytes: more than is allowed", exponent=19)
    vector("region_18_both_damaged", "envelope", "copies of 2^18 bytes, both changed", exponent=18, copy=flip(100))
    vector("sequence_0", "envelope", "sequence number 0", sequence=0)
    vector("sequence_above", "envelope", "sequence number 2^63", sequence=2**63)
    vector("sequence_last", "opened", "sequence number 2^63 - 1", sequence=2**63 - 1)
    vector("padding_first", "envelope", "the first byte after the hash is not zero", padding=lambda n: b"\1" + bytes(n - 1))
    vector("padding_last", "envelope", "the last byte of the region is not zero", padding=lambda n: bytes(n - 1) + b"\x80")
    vector("padding_last_of_a", "opened", "the last byte of the region is not zero, in copy A alone", copy_a=put(4095, b"\1"))
    for number in (0, 3, 65535):
        vector(f"version_{number}", "unsupported", f"format version {number} of the envelope", version=number)
    vector("version_1", "unsupported", "format version 1 of the envelope: made before the first release", version=1,
           content=lambda content: b"as format 1 had it")
    vector("version_3_in_a", "opened", "format version 3 in copy A alone", copy_a=repairing(put(8, u16(3))))
    vector("version_3_in_b", "opened", "format version 3 in copy B alone", copy_b=repairing(put(8, u16(3))))
    vector("version_3_a_gone", "unsupported", "format version 3, copy A gone", version=3, copy_a=gone)
    vector("version_3_b_gone", "unsupported", "format version 3, copy B gone", version=3, copy_b=gone)
    for exponent in (9, 14):
        vector(f"version_3_region_{exponent}_a_gone", "unsupported", f"format version 3, copies of 2^{exponent} bytes, copy A gone", version=3,
               exponent=exponent, copy_a=gone)
    vector("version_3_damaged", "envelope", "format version 3 and a wrong hash: damaged, whatever the version", version=3, copy=flip(100))
    vector("version_3_length_too_long", "envelope", "format version 3 and a content that ends after the region: damaged, whatever the version",
           version=3, copy=put(12, u32(4096 - 56 + 1)))
    vector("version_3_region_19", "envelope", "format version 3 and an exponent that no version has: damaged, whatever the version", version=3,
           recorded=19, copy_b=gone)
    vector("version_3_other_content", "unsupported", "format version 3 with another content, as a later version may have it", version=3,
           content=lambda content: b"something new")
    vector("version_3_cut", "envelope", "format version 3, and the file ends inside copy A: damaged, whatever the version", version=3, whole=cut(4095))
    vector("version_3_cut_a_gone", "envelope", "format version 3, copy A gone, and the file ends inside copy B", version=3,
           whole=lambda w: bytes(4096) + w[4096:8191])
    vector("version_3_cut_in_b", "unsupported", "format version 3, and the file ends inside copy B: copy A is enough to see it", version=3,
           whole=cut(8191))
    vector("version_3_cut_in_separate", "opened", "a separate envelope whose second copy is of format version 3 and cut short", detached=True,
           copy_b=repairing(put(8, u16(3))), separate=cut(8191))
    cuts = {0: "an empty file", 1: "one byte", 7: "a byte of the magic is missing", 8: "the magic alone", 11: "cut in the exponent",
            24: "the header alone", 100: "cut in the content", 4095: "copy A without its last byte"}
    for size, what in cuts.items():
        vector(f"envelope_cut_{size}", "envelope", f"{what}", whole=cut(size))
    vector("envelope_cut_4096", "truncated", "copy A alone, which is enough of an envelope, and no body", whole=cut(4096))
    vector("envelope_cut_8191", "truncated", "copy B without its last byte, and no body", whole=cut(8191))
    vector("envelope_cut_8192_a_gone", "truncated", "copy B alone, and no body", whole=lambda w: bytes(4096) + w[4096:8192])
    vector("envelope_missing", "envelope", "a body alone", whole=lambda w: w[8192:])
    vector("text", "envelope", "a text", whole=lambda w: b"bulla is the clay envelope\n" * 400)


def choices():
    """Two copies that are valid and differ: one for the key SYMMETRIC, the other for OTHER."""
    cases = {
        "b_newer": (1, 2, OTHER, "copy B is newer"), "b_newer_old_key": (1, 2, SYMMETRIC, "copy B is newer"),
        "a_newer": (2, 1, SYMMETRIC, "copy A is newer"), "a_newer_old_key": (2, 1, OTHER, "copy A is newer"),
        "equal": (7, 7, SYMMETRIC, "of the same number copy A counts"), "equal_other_key": (7, 7, OTHER, "of the same number copy A counts"),
        "wide_numbers": (2**31, 2**63 - 1, OTHER, "copy B is newer, by numbers of 64 bits"),
    }
    for name, (number_a, number_b, key, what) in cases.items():
        name = f"copies_{name}"
        copy_b = File(name, master=[Slot(OTHER)]).copy_bytes(number_b)
        opens = key == (OTHER if number_b > number_a else SYMMETRIC)
        vector(name, "opened" if opens else "no key", f"{what}; the key of {'that' if opens else 'the other'} copy is given", keys=[key],
               sequence=number_a, copy_b=lambda copy, copy_b=copy_b: copy_b)
    other_core = File("copies_of_another_core", master=[Slot(SYMMETRIC)]).copy_bytes(2)
    vector("copies_of_another_core", "commitment", "copy B is newer and is of another file: it counts, and the body is not its own",
           copy_b=lambda copy: other_core, file_id=drawn("file id of copy A", 16))
    vector("copies_b_newer_damaged", "opened", "copy B is newer and damaged", sequence_b=2, copy_b=flip(100))


def inside():
    """A copy of another file inside a slot, where copy B of a smaller region would be."""
    other = File("copy inside", master=[Slot(OTHER)]).copy_bytes(9)
    arn = sized(b"arn:aws:kms:eu-west-1:111122223333:key/0")

    def slots(filler):
        return [Slot(SYMMETRIC), *(Opaque(0x21, [arn, sized(b"")], wrap) for wrap in (bytes(filler), other))]

    at = File("place", exponent=14, master=slots(1)).copy_bytes(1).index(other)
    there = {"exponent": 14, "master": slots(4097 - at)}
    vector("copy_inside_a_slot", "opened", "copies of 2^14 bytes; inside a slot at 4096 is a copy of another file", **there)
    vector("copy_inside_a_slot_a_gone", "no key", "the same without the magic of copy A: the first valid copy counts, which is the other file's",
           copy_a=put(0, bytes(8)), **there)


NOT_UTF8 = {
    "lone": b"\x80", "cut_short": b"a\xc3", "overlong": b"\xc0\xaf", "overlong_3": b"\xe0\x80\xaf", "surrogate": b"\xed\xa0\x80",
    "above": b"\xf4\x90\x80\x80", "ff": b"\xff",
}


def cores():
    """The core, in both copies; keys, hashes and body are right for it, so that nothing else refuses it."""
    longest = [(b"%0128d" % i, 512 * b"v") for i in range(32)]
    good = {
        "name": ({"name": "nächtlich".encode()}, "a name"), "name_1024": ({"name": 1024 * b"n"}, "a name of 1024 bytes"),
        "name_of_controls": ({"name": b"\x1b[2J\r\n\x7f"}, "a name of characters that are escaped where they are shown"),
        "name_of_rare": ({"name": "\ufeff\ufffe\uffff\ufdd0\U0010ffff".encode()}, "a byte order mark and noncharacters are UTF-8 too"),
        "generation": ({"generation": 42}, "a generation"), "generation_last": ({"generation": 2**63 - 1}, "generation 2^63 - 1"),
        "created_0": ({"created": 0}, "made in 1970"), "created_last": ({"created": 253402300799}, "made in 9999"),
        "context": ({"pairs": [(b"db", b"prod"), (b"host", b"a1")]}, "two context pairs"),
        "context_longest": ({"pairs": longest, "exponent": 15}, "32 context pairs, each as long as it may be"),
        "context_empty_value": ({"pairs": [(b"k", b"")]}, "an empty context value"),
        "context_prefix": ({"pairs": [(b"a", b"1"), (b"aa", b"2"), (b"b", b"3")]}, "a key that is a prefix comes first"),
        "context_bytes": ({"pairs": [(b"Z", b""), (b"a", b""), ("é".encode(), b""), ("\ue000".encode(), b""), ("\U00010000".encode(), b"")]},
                          "keys in the order of their bytes: not that of UTF-16, nor of letters"),
        "context_nearly_reserved": ({"pairs": [(b"Bulla-", b""), (b"bulla", b""), (b"bulla_x", b"")]}, "keys that begin nearly as reserved ones"),
    }
    for name, (fields, what) in good.items():
        vector(f"core_{name}", "opened", what, **fields)
    bad = {
        "name_1025": ({"name": 1025 * b"n"}, "a name of 1025 bytes"), "name_zero": ({"name": b"a\0b"}, "a zero byte in the name"),
        "generation_above": ({"generation": 2**63}, "generation 2^63"), "created_above": ({"created": 253402300800}, "made in the year 10000"),
        "context_33": ({"pairs": [(b"%02d" % i, b"") for i in range(33)]}, "33 context pairs"),
        "context_65535": ({"pair_count": 65535}, "a count of 65535 context pairs, and none"),
        "context_one_missing": ({"pairs": [(b"a", b"")], "pair_count": 2}, "a count of 2 context pairs, and one"),
        "context_one_more": ({"pairs": [(b"a", b""), (b"b", b"")], "pair_count": 1}, "a count of 1 context pair, and two"),
        "context_key_empty": ({"pairs": [(b"", b"v")]}, "an empty context key"),
        "context_key_129": ({"pairs": [(129 * b"k", b"v")]}, "a context key of 129 bytes"),
        "context_value_513": ({"pairs": [(b"k", 513 * b"v")]}, "a context value of 513 bytes"),
        "context_key_zero": ({"pairs": [(b"k\0", b"v")]}, "a zero byte in a context key"),
        "context_value_zero": ({"pairs": [(b"k", b"\0")]}, "a zero byte in a context value"),
        "context_key_not_utf8": ({"pairs": [(b"\xff", b"v")]}, "a context key that is not UTF-8"),
        "context_value_not_utf8": ({"pairs": [(b"k", b"\xff")]}, "a context value that is not UTF-8"),
        "context_reserved": ({"pairs": [(b"bulla-branch", b"v")]}, "a reserved context key"),
        "context_reserved_alone": ({"pairs": [(b"bulla-", b"v")]}, "the reserved beginning alone as a context key"),
        "context_unsorted": ({"pairs": [(b"b", b""), (b"a", b"")]}, "context pairs that are not sorted"),
        "context_unsorted_prefix": ({"pairs": [(b"aa", b""), (b"a", b"")]}, "a key after one that it is a prefix of"),
        "context_utf16": ({"pairs": [("\U00010000".encode(), b""), ("\ue000".encode(), b"")]}, "keys in the order of UTF-16"),
        "context_twice": ({"pairs": [(b"a", b"1"), (b"a", b"2")]}, "a context key twice"),
        "context_pair_twice": ({"pairs": [(b"a", b"1"), (b"a", b"1")]}, "a context pair twice"),
        "more": ({"core": add(b"\0")}, "a byte after the last pair"), "cut": ({"core": cut(-1)}, "the last byte is missing"),
        "empty": ({"core": cut(0)}, "a core of no bytes"), "one_byte": ({"core": cut(1)}, "a core of one byte"),
        "cut_in_id": ({"core": cut(10)}, "a core that ends in the file id"),
        "name_too_long": ({"core": put(36, u16(1000))}, "the name ends after the core"),
        "pair_too_long": ({"pairs": [(b"a", b"b")], "core": put(43, u16(500))}, "a context value ends after the core"),
    }
    for what, text in NOT_UTF8.items():
        bad[f"name_utf8_{what}"] = ({"name": text}, f"a name that is not UTF-8: {text.hex(' ')}")
    for name, (fields, what) in bad.items():
        vector(f"core_{name}", "envelope", what, **fields)
    for number in (0, 1, 3, 65535):
        vector(f"core_version_{number}", "unsupported", f"core version {number}", core_version=number)
    for number in (0, 3, 65535):
        vector(f"suite_{number}", "unsupported", f"suite {number}", suite=number)
    vector("suite_3_in_b", "opened", "suite 3 in copy B alone", copy_b=repairing(put(28, u16(3))))
    vector("core_name_in_a", "opened", "a name that is not UTF-8 in copy A alone, under a right hash", name=b"name",
           copy_a=repairing(put(24 + 2 + 38, b"\xff")))


def contents():
    """What is around the core and the slots."""
    vector("content_empty", "envelope", "no content", content=cut(0))
    vector("content_one_byte", "envelope", "a content of one byte", content=cut(1))
    vector("content_core_too_long", "envelope", "the core ends after the content", content=put(0, u16(60000)))
    vector("content_cut_in_branch_id", "envelope", "the content ends in the branch id", content=cut(2 + 40 + 31))
    vector("content_cut_in_data_key", "envelope", "the content ends in the data key", content=cut(2 + 40 + 32 + 71))
    vector("content_cut_in_count", "envelope", "the content ends in the number of slots", content=cut(2 + 40 + 32 + 72 + 1))
    vector("content_cut_in_tag", "envelope", "the content ends in the tag", content=cut(-1))
    vector("content_without_tag", "envelope", "the content ends after the last slot", content=cut(-32))
    vector("content_more", "envelope", "a byte after the tag", content=add(b"\0"))
    vector("content_more_before_tag", "envelope", "a byte between the last slot and the tag", content=lambda c: c[:-32] + b"\0" + c[-32:])
    vector("content_full", "opened", "an envelope that fills its region to the last byte", master=filling(4096))
    vector("content_full_13", "opened", "the same of 2^13 bytes", exponent=13, master=filling(8192))
    vector("content_full_cut", "envelope", "the same without its last byte: the content is one longer than there is room for",
           master=filling(4096), copy=repaired_short)
    vector("slots_0", "envelope", "no slots", master=[])
    vector("slots_32", "opened", "32 slots, of which the last opens", master=[*31 * [Slot(OTHER)], Slot(SYMMETRIC)], exponent=13)
    vector("slots_33", "envelope", "33 slots", master=33 * [Slot(SYMMETRIC)], exponent=13)
    vector("slots_one_more", "envelope", "a count of 1, and two slots", master=2 * [Slot(SYMMETRIC)], slot_count=1)
    vector("slots_one_missing", "envelope", "a count of 2, and one slot", slot_count=2)
    vector("slots_cut_in_method", "envelope", "the content ends in the method of a second slot", slot_count=2, content=lambda c: c[:-32] + b"\0")
    vector("slots_cut_in_header", "envelope", "the content ends in the header of a slot", content=cut(-132))
    vector("slots_cut_in_wrap", "envelope", "the content ends in the wrap of a slot", content=cut(-33))


def filling(region):
    """Slots that make an envelope as long as its region."""
    header = [sized(b"arn:aws:kms:eu-west-1:111122223333:key/0"), sized(b"")]

    def slots(size):
        return [Slot(SYMMETRIC), *(Opaque(0x21, header, bytes(part)) for part in (size // 2, size - size // 2))]

    return slots(region - 56 - len(File("filling", master=slots(0)).content_bytes()))


def repaired_short(copy):
    """The content goes one byte on, over the first byte of the hash, and a right hash would end after the region."""
    size = int.from_bytes(copy[12:16], "big") + 1
    head = copy[:12] + u32(size) + copy[16 : 24 + size]
    return head + sha256(head)[:-1]


def orders():
    """Two rules broken at once: the one that is first is reported, and no later one hides that a file is of a newer version."""
    dirty = {"padding": lambda n: bytes(n - 1) + b"\x80"}
    core = {"core_version": 3}
    unsupported = {
        "version_sequence": ({"version": 3, "sequence": 0}, "format version 3 and sequence number 0"),
        "version_recorded": ({"version": 3, "recorded": 13}, "format version 3 and another exponent than it has"),
        "version_padding": ({"version": 3, **dirty}, "format version 3 and a byte after the hash that is not zero"),
        "core_version_cut": ({**core, "core": cut(2)}, "core version 3 and nothing after it in the core"),
        "core_version_suite": ({**core, "suite": 3, "core": cut(-1)}, "core version 3, suite 3, and the core's last byte is missing"),
        "core_version_content_cut": ({**core, "content": cut(2 + 40)}, "core version 3 and nothing after the core"),
        "core_version_count_cut": ({**core, "content": cut(2 + 40 + 32 + 73)}, "core version 3 and a content that ends in the number of slots"),
        "core_version_slots_0": ({**core, "master": []}, "core version 3 and no slots"),
        "core_version_slots_33": ({**core, "slot_count": 33}, "core version 3 and a count of 33 slots"),
        "core_version_recorded": ({"recorded": 13, **core}, "core version 3 and exponent 13 in 4 KiB: after the hash comes copy B"),
        "core_version_padding": ({**core, **dirty}, "core version 3 and a byte after the hash that is not zero"),
        "core_version_padding_b_gone": ({**core, **dirty, "copy_b": gone}, "the same in copy A, and copy B gone"),
        "core_version_padding_a_gone": ({**core, **dirty, "copy_a": gone}, "the same in copy B, and copy A gone"),
        "core_version_separate_byte": ({**core, "detached": True, "separate": add(b"\0")},
                                       "core version 3 in a separate envelope and a zero byte after that"),
        "suite_name": ({"suite": 3, "name": b"\xff"}, "suite 3 and a name that is not UTF-8"),
        "suite_content_cut": ({"suite": 3, "content": cut(2 + 40)}, "suite 3 and nothing after the core"),
        "suite_slots_0": ({"suite": 3, "master": []}, "suite 3 and no slots"),
        "suite_padding": ({"suite": 3, **dirty}, "suite 3 and a byte after the hash that is not zero"),
    }
    damaged = {
        "sequence_core_version": ({"sequence": 0, **core}, "sequence number 0 and core version 3"),
        "recorded_core_version": ({"recorded": 19, **core}, "an exponent that is not allowed and core version 3"),
        "core_length_core_version": ({"content": put(0, u16(60000)), **core}, "the core ends after the content, and core version 3"),
        "method_cut": ({"slot_count": 2, "content": insert(u16(5))}, "an unknown method and nothing after it"),
        "method_header": ({"slot_count": 2, "content": insert(u16(5) + u16(1024))}, "an unknown method and a header that ends after the content"),
        "method_wrap": ({"slot_count": 2, "content": insert(u16(5) + sized(b"?") + u16(6144))},
                        "an unknown method and a wrap that ends after the content"),
    }
    for name, (fields, what) in unsupported.items():
        vector(f"order_{name}", "unsupported", what, **fields)
    for name, (fields, what) in damaged.items():
        vector(f"order_{name}", "envelope", what, **fields)


def insert(more):
    """In place of the tag."""
    return lambda content: content[:-32] + more


def separates():
    """Envelopes in files of their own."""
    vector("separate", "opened", "a detached body and its envelope", detached=True)
    vector("separate_chacha20", "opened", "the same of body suite 2", detached=True, suite=2)
    vector("separate_chunks", "opened", "the same with a body of two chunks", detached=True, plaintext=plain(CHUNK + 9))
    vector("separate_region_14", "opened", "a detached body and an envelope with copies of 2^14 bytes", detached=True, exponent=14)
    vector("separate_region_9", "opened", "a detached body and an envelope with copies of 2^9 bytes", detached=True, exponent=9)
    vector("separate_a_gone", "opened", "a separate envelope without its first copy", detached=True, copy_a=gone)
    vector("separate_b_missing", "opened", "a separate envelope that ends after its first copy", detached=True, separate=cut(4096))
    vector("separate_b_cut", "opened", "a separate envelope without its last byte", detached=True, separate=cut(8191))
    vector("separate_both_damaged", "envelope", "a separate envelope with both copies changed", detached=True, copy=flip(100))
    vector("separate_cut", "envelope", "a separate envelope that ends in its first copy", detached=True, separate=cut(4095))
    vector("separate_cut_a_gone", "envelope", "a separate envelope with its first copy gone, and its last byte", detached=True,
           separate=lambda e: bytes(4096) + e[4096:-1])
    vector("separate_one_byte", "envelope", "a separate envelope of one byte", detached=True, separate=cut(1))
    vector("separate_zeros", "envelope", "a separate envelope of zeros", detached=True, copy=gone)
    vector("separate_unsupported", "unsupported", "a separate envelope of format version 3", detached=True, version=3)
    other = File("separate_other", master=[Slot(SYMMETRIC)]).envelope_bytes()
    vector("separate_of_other_file", "commitment", "a detached body and the envelope of another", detached=True, separate=lambda e: other)
    vector("separate_for_whole", "opened", "a whole file with both copies gone, and the envelope that was exported from it",
           whole=lambda w: bytes(8192) + w[8192:], separate=lambda e: e)
    vector("separate_for_whole_14", "opened", "the same with copies of 2^14 bytes", exponent=14, whole=lambda w: bytes(2**15) + w[2**15 :],
           separate=lambda e: e)
    vector("separate_for_whole_9", "opened", "the same with copies of 2^9 bytes", exponent=9, whole=lambda w: bytes(2**10) + w[2**10 :],
           separate=lambda e: e)
    vector("separate_for_whole_of_other", "commitment", "a whole file with both copies gone, and the envelope of another",
           whole=lambda w: bytes(8192) + w[8192:], separate=lambda e: other)
    vector("separate_for_whole_chunk", "chunk", "a whole file with both copies gone and its only chunk changed, and its envelope",
           whole=lambda w: bytes(8192) + flip(len(w) - 8193)(w[8192:]), separate=lambda e: e)


def vectors():
    """All of them, by name."""
    for part in (bodies, ends, copies, choices, inside, cores, contents, slots, unknown, tags, orders, keys, separates):
        part()
    return MADE
