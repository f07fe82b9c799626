"""The independent decoder alone, without bulla, on files that the encoder of the test kit makes: what no vector of the kit can show."""

import base64
import json
import pathlib
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "kit"))
from encoder import File, Keyring, Opaque, Passphrase, Slot, drawn, sized, u32, xaes_seal  # noqa: E402
from kit import keyring  # noqa: E402
from decoding import DECODER, decode, program  # noqa: E402
from sealed import flip  # noqa: E402

KEY = Keyring("alone")
NEWER = Keyring("alone newer", version=2, key_id=KEY.key_id)
PLAINTEXT = drawn("alone", 100_000)
CHUNK = 16384
BODY = 8192


@pytest.fixture
def at(tmp_path):
    """A directory with a sealed file, the keyring of its key, and its branch key."""
    made = sealed()
    (tmp_path / "file").write_bytes(made.bytes()[0])
    ring(tmp_path / "ring", KEY)
    (tmp_path / "branch").write_bytes(made.branch_key)
    return tmp_path


def sealed(**given):
    return File("alone", **{"master": [Slot(KEY)], "plaintext": PLAINTEXT, **given})


def ring(path, *keys, change=lambda versions: None, mode=0o600):
    made = keyring([key.line()[1] for key in keys])
    change(made["keys"][0]["versions"])
    path.write_text(json.dumps(made))
    path.chmod(mode)
    return path


def outcome(*args, **how):
    done = decode(*args, **how)
    return done.returncode, done.stdout


def refused(status, words, *args, **how):
    done = decode(*args, **how)
    assert (done.returncode, done.stdout) == (status, b"") and words in done.stderr.decode(), done
    assert done.stderr.startswith(b"decode.py: ")


# Primitives, by the vectors of their own specifications


@pytest.mark.parametrize("key, aad, ciphertext", [
    (1, b"", "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271"),
    (3, b"c2sp.org/XAES-256-GCM", "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d"),
])  # fmt: skip
def test_xaes_is_that_of_c2sp(key, aad, ciphertext):
    nonce = b"ABCDEFGHIJKLMNOPQRSTUVWX"
    assert program.xaes_open(bytes([key]) * 32, nonce + bytes.fromhex(ciphertext), aad) == b"XAES-256-GCM"
    assert xaes_seal(bytes([key]) * 32, nonce, b"XAES-256-GCM", aad).hex() == nonce.hex() + ciphertext


def test_hpke_is_that_of_rfc_9180():
    private = bytes.fromhex("497b4502664cfea5d5af0b39934dac72242a74f8480451e1aee7d6a53320333d")
    enc = bytes.fromhex("6c93e09869df3402d7bf231bf540fadd35cd56be14f97178f0954db94b7fc256")
    ciphertext = bytes.fromhex(
        "e5d84cd531cfb583096e7cfa9641bd3079cf3a91cda813c52deb5f512be9931980a41de125a925cdad859d5b7a"
    )
    assert program.hpke_open(private, enc + ciphertext, b"Ode on a Grecian Urn", b"Count-0") == b"Beauty is truth, truth beauty"


# As a program


PEAK = """import atexit, re, runpy, sys
atexit.register(lambda: print(re.search("VmHWM:.* (.*) kB", open("/proc/self/status").read())[1], file=sys.stderr))
sys.argv.pop(0)
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def run(*args, stdin):
    """The status, output, and largest memory in KiB, of the program as a process that reads a pipe."""
    done = subprocess.run(["/usr/bin/python3", "-c", PEAK, DECODER, *args], input=stdin, capture_output=True)
    return done.returncode, done.stdout, int(done.stderr.split()[-1])


def test_takes_as_much_memory_for_a_large_file_as_for_a_small_one(at):
    large = 48 * 2**20
    status, output, memory = run("--keyring", at / "ring", stdin=(at / "file").read_bytes())
    assert (status, output) == (0, PLAINTEXT)
    whole = sealed(plaintext=bytes(large)).bytes()[0]
    for given, expected in ((whole, 0), (whole[:-1], 4)):
        status, output, more = run("--keyring", at / "ring", "-", stdin=given)
        assert status == expected and output == bytes(large) and more < memory + 8 * 1024


def test_says_when_the_output_cannot_be_written(at):
    with open("/dev/full", "wb") as full:
        done = subprocess.run(["/usr/bin/python3", DECODER, "--keyring", at / "ring", at / "file"], stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 1 and b"No space left on device" in done.stderr


# Keys


def forms(key):
    return {
        "raw": key, "hex": key.hex().encode(), "HEX": key.hex().upper().encode() + b"\n", "base64": base64.b64encode(key),
        "base64 line": base64.b64encode(key) + b"\n", "od": b" " + key[:16].hex(" ").encode() + b"\n " + key[16:].hex(" ").encode() + b"\n",
    }  # fmt: skip


@pytest.mark.parametrize("form", forms(bytes(32)))
def test_branch_key_in_all_its_forms(at, form):
    given = forms((at / "branch").read_bytes())[form]
    (at / "given").write_bytes(given)
    assert outcome("--branch-key", at / "given", at / "file") == (0, PLAINTEXT)
    assert outcome("--branch-key", "-", at / "file", stdin=given) == (0, PLAINTEXT)


def test_branch_key_as_an_argument(at):
    assert outcome("--branch-key", (at / "branch").read_bytes().hex(), at / "file") == (0, PLAINTEXT)


@pytest.mark.parametrize("given", [b"", bytes(31), bytes(33), b"0" * 63, b"0" * 65, b"g" * 64, base64.b64encode(bytes(31)), base64.b64encode(bytes(33)),
                                   b"-" * 43 + b"=", bytes(64)])  # fmt: skip
def test_what_is_no_branch_key(at, given):
    (at / "given").write_bytes(given)
    refused(1, "the branch key is neither 32 bytes", "--branch-key", at / "given", at / "file")


def test_branch_key_of_other_files(at):
    refused(5, "the branch key is not the one of this file", "--branch-key", "00" * 32, at / "file")
    (at / "file").write_bytes(sealed(pairs=[(b"a", b"b")], branch_id=sealed().branch_id).bytes()[0])
    refused(5, "the branch key is not the one of this file", "--branch-key", at / "branch", at / "file")


def test_branch_key_opens_what_only_a_kms_opens(at):
    """What a person needs to unwrap by hand is shown."""
    arn = "arn:aws:kms:eu-west-1:111122223333:key/1"
    made = sealed(master=[Opaque(0x21, [sized(arn.encode()), sized(b"")], b"blob")], pairs=[(b"db", b"prod")])
    (at / "file").write_bytes(made.bytes()[0])
    refused(5, "slot 1, awskms: its key is not in a keyring: see --show", "--keyring", at / "ring", at / "file")
    shown = json.loads(decode("--show", at / "file").stdout)
    assert shown["branch_id"] == made.branch_id.hex() and shown["context"] == {"db": "prod"}
    (slot,) = shown["slots"]
    assert slot["encryption_context"] == {"bulla-branch": made.branch_id.hex(), "db": "prod"} and "aad" not in slot
    assert bytes.fromhex(slot["wrap"]) == base64.b64decode(slot["wrap_base64"]) == b"blob" and slot["key_arn"] == arn
    assert outcome("--branch-key", at / "branch", at / "file") == (0, PLAINTEXT)


def test_shows_the_aad_of_the_methods_that_have_one(at):
    made = sealed(master=[Slot(KEY)])
    (slot,) = json.loads(decode("--show", at / "file").stdout)["slots"]
    header = b"".join(KEY.header())
    assert slot["aad"] == (b"bulla/v2 branch key" + made.branch_id + b"\x00\x01" + header).hex()
    assert program.xaes_open(KEY.key, bytes.fromhex(slot["wrap"]), bytes.fromhex(slot["aad"])) == made.branch_key


def test_shows_unknown_methods(at):
    (at / "file").write_bytes(sealed(master=[Opaque(0x77, [b"\x01"], b"\x02"), Slot(KEY)]).bytes()[0])
    unknown = json.loads(decode("--show", at / "file").stdout)["slots"][0]
    assert unknown == {"method": "method 0x0077", "code": 0x77, "header": "01", "wrap": "02", "wrap_base64": "Ag=="}
    assert outcome("--keyring", at / "ring", at / "file") == (0, PLAINTEXT)


def test_several_keyrings(at):
    other = ring(at / "other", Keyring("another"))
    refused(5, "slot 1, keyring-xaes: its key is not given", "--keyring", other, at / "file")
    assert outcome("--keyring", other, "--keyring", at / "ring", at / "file") == (0, PLAINTEXT)
    assert outcome("--keyring", at / "ring", "--keyring", other, at / "file") == (0, PLAINTEXT)


def test_an_older_keyring(at):
    (at / "file").write_bytes(sealed(master=[Slot(NEWER)]).bytes()[0])
    newer = ring(at / "newer", KEY, NEWER)
    refused(7, "the keyring is older than the file: it lacks version 2", "--keyring", at / "ring", at / "file")
    assert outcome("--keyring", at / "ring", "--keyring", newer, at / "file") == (0, PLAINTEXT)
    alone = ring(at / "alone", NEWER)
    (at / "file").write_bytes(sealed(master=[Slot(KEY)]).bytes()[0])
    refused(5, "its key is not given", "--keyring", alone, at / "file")


@pytest.mark.parametrize("state, status", [("active", 0), ("retired", 0), ("disabled", 7), ("destroyed", 5)])
def test_states_of_a_version(at, state, status):
    def change(versions):
        versions[0]["state"] = state
        if state == "destroyed":
            del versions[0]["key"], versions[0]["check"]

    ring(at / "ring", KEY, change=change)
    assert outcome("--keyring", at / "ring", at / "file") == (status, b"" if status else PLAINTEXT)


def test_a_keyring_that_others_may_read(at):
    (at / "ring").chmod(0o640)
    refused(7, "others may read or change the keyring", "--keyring", at / "ring", at / "file")


def test_a_keyring_under_a_passphrase(at):
    """The wrong passphrase opens nothing, and none is enough to check it."""
    key, salt = program.argon2id("zwölf".encode(), drawn("salt", 16), 1, 8), drawn("salt", 16)

    def change(versions):
        for v in versions:
            aad = b"bulla/v1 keyring" + KEY.key_id + u32(v["version"])
            v["wrapped"] = xaes_seal(key, drawn("nonce", 24), bytes.fromhex(v.pop("key")), aad).hex()

    ring(at / "ring", KEY, NEWER, change=change)
    locked = json.loads((at / "ring").read_text()) | {"passphrase": {"salt": salt.hex(), "passes": 1, "memory-kib": 8}}
    (at / "ring").write_text(json.dumps(locked))
    (at / "right").write_text("zwölf\n")
    (at / "wrong").write_text("zwolf\n")
    assert outcome("--keyring", at / "ring", "--passphrase-file", at / "right", at / "file") == (0, PLAINTEXT)
    assert outcome("--keyring", at / "ring", "--passphrase-file", "-", at / "file", stdin=b"zw\xc3\xb6lf") == (0, PLAINTEXT)
    refused(5, "its key is not given", "--keyring", at / "ring", "--passphrase-file", at / "wrong", at / "file")
    refused(5, "its key is not given", "--keyring", at / "ring", at / "file")
    locked["keys"][0]["versions"][1]["wrapped"] = 144 * "0"
    (at / "ring").write_text(json.dumps(locked))
    refused(5, "its key is not given", "--keyring", at / "ring", "--passphrase-file", at / "right", at / "file")


@pytest.mark.parametrize("given", [b"", b"\n", b"a\0b", 1025 * b"x"])
def test_what_is_no_passphrase(at, given):
    (at / "given").write_bytes(given)
    refused(1, "a passphrase has 1 to 1024 bytes", "--passphrase-file", at / "given", at / "file")


@pytest.mark.parametrize("size", [1, 1024])
def test_lengths_of_a_passphrase(at, size):
    words = Passphrase(size * "x")
    (at / "file").write_bytes(sealed(master=[Slot(words)]).bytes()[0])
    (at / "given").write_text(words.text)
    assert outcome("--passphrase-file", at / "given", at / "file") == (0, PLAINTEXT)

# Section 8 of the document, rule by rule: what is changed in a good keyring of one x25519 key, and the status

PAIR = Keyring("pair of alone", kind=2)


def public(key, version, value):
    named = bytes.fromhex(key["id"]) + u32(version) + bytes.fromhex(value)
    return {"public": value, "public-check": program.sha256(b"bulla/v1 public key check" + named)[:4].hex()}


KEYRINGS = {
    "nothing": (lambda r, k, v: None, 0),
    "a newer layout": (lambda r, k, v: r.update({"bulla-keyring": 2}), 8),
    "a layout of another type": (lambda r, k, v: r.update({"bulla-keyring": "1"}), 4),
    "a layout with a fraction": (lambda r, k, v: r.update({"bulla-keyring": 1.0}), 4),
    "no layout": (lambda r, k, v: r.pop("bulla-keyring"), 4),
    "a newer kind": (lambda r, k, v: k.update(kind="mlkem768-x25519"), 8),
    "a kind of another type": (lambda r, k, v: k.update(kind=1), 4),
    "no keys": (lambda r, k, v: r.update(keys=[]), 5),
    "1025 keys": (lambda r, k, v: r.update(keys=1025 * [k]), 4),
    "no list of keys": (lambda r, k, v: r.update(keys={}), 4),
    "a key twice": (lambda r, k, v: r["keys"].append(k), 4),
    "a key of the same name": (lambda r, k, v: r["keys"].append(k | {"id": 32 * "0"}), 4),
    "a key of the same id": (lambda r, k, v: r["keys"].append(k | {"name": "other"}), 4),
    "an unknown member": (lambda r, k, v: r.update(note=""), 4),
    "an unknown member of a key": (lambda r, k, v: k.update(note=""), 4),
    "an unknown member of a version": (lambda r, k, v: v.update(note=""), 4),
    "a name with a space": (lambda r, k, v: k.update(name="a b"), 4),
    "a name with a dot first": (lambda r, k, v: k.update(name=".a"), 4),
    "a name of 65": (lambda r, k, v: k.update(name=65 * "a"), 4),
    "a name of 64": (lambda r, k, v: k.update(name=64 * "a"), 0),
    "a name and a line end": (lambda r, k, v: k.update(name="a\n"), 4),
    "an id in capitals": (lambda r, k, v: k.update(id=k["id"].upper()), 4),
    "rotation after no days": (lambda r, k, v: k.update({"rotate-after-days": 0}), 4),
    "rotation after 36500 days": (lambda r, k, v: k.update({"rotate-after-days": 36500}), 0),
    "rotation after true days": (lambda r, k, v: k.update({"rotate-after-days": True}), 4),
    "no versions": (lambda r, k, v: k.update(versions=[]), 4),
    "versions that descend": (lambda r, k, v: k["versions"].append(v | {"version": 1}), 4),
    "two active versions": (lambda r, k, v: (v.update(state="active"), k["versions"].append(v | {"version": 2} | public(k, 2, v["public"]))), 4),
    "the public key of another": (lambda r, k, v: v.update(public(k, 1, "09" + 62 * "0")), 4),
    "version 0": (lambda r, k, v: v.update(version=0), 4),
    "a version that is no object": (lambda r, k, v: k.update(versions=["destroyed"]), 4),
    "an unknown state": (lambda r, k, v: v.update(state="lost"), 4),
    "1969": (lambda r, k, v: v.update(created="1969-12-31T23:59:59Z"), 4),
    "a leap second": (lambda r, k, v: v.update(created="2016-12-31T23:59:60Z"), 4),
    "30 February": (lambda r, k, v: v.update(created="2024-02-30T00:00:00Z"), 4),
    "a month of one digit": (lambda r, k, v: v.update(created="2024-2-20T00:00:00Z"), 4),
    "no time zone": (lambda r, k, v: v.update(created="2024-02-20T00:00:00"), 4),
    "the year 9999": (lambda r, k, v: k.update(created="9999-12-31T23:59:59Z"), 0),
    "a mistyped key": (lambda r, k, v: v.update(key=64 * "0"), 4),
    "a wrong check": (lambda r, k, v: v.update(check="00000000"), 4),
    "a wrong public check": (lambda r, k, v: v.update({"public-check": "00000000"}), 4),
    "no public key": (lambda r, k, v: v.pop("public"), 4),
    "a wrapped key without a passphrase": (lambda r, k, v: (v.pop("key"), v.update(wrapped=144 * "0")), 4),
    "the key of a destroyed version": (lambda r, k, v: v.update(state="destroyed"), 4),
    "a passphrase of no passes": (lambda r, k, v: r.update(passphrase={"salt": 32 * "0", "passes": 0, "memory-kib": 8}), 4),
    "a passphrase and a key": (lambda r, k, v: r.update(passphrase={"salt": 32 * "0", "passes": 1, "memory-kib": 8}), 4),
}


@pytest.mark.parametrize("what", KEYRINGS)
def test_rules_of_a_keyring(at, what):
    change, status = KEYRINGS[what]
    (at / "file").write_bytes(sealed(master=[Slot(PAIR)]).bytes()[0])
    made = keyring([PAIR.line()[1]])
    change(made, made["keys"][0], made["keys"][0]["versions"][0])
    (at / "ring").write_text(json.dumps(made))
    assert outcome("--keyring", at / "ring", at / "file") == (status, b"" if status else PLAINTEXT)


@pytest.mark.parametrize("change", [
    lambda text: "\ufeff" + text, lambda text: text[:-1], lambda text: text + "}", lambda text: text.replace("1,", "1e0,", 1),
    lambda text: text.replace("1,", "NaN,", 1), lambda text: text.replace('"keys"', '"keys": [], "k\\u0065ys"', 1), lambda text: "[" * 100_000,
    lambda text: f"[{text}]", lambda text: text + " " * (256 * 1024 - len(text) + 1),
])  # fmt: skip
def test_what_is_no_keyring(at, change):
    (at / "ring").write_text(change((at / "ring").read_text()))
    refused(4, "keyring", "--keyring", at / "ring", at / "file")


def test_a_keyring_of_the_largest_size(at):
    text = (at / "ring").read_text()
    (at / "ring").write_text(text + " " * (256 * 1024 - len(text)))
    assert outcome("--keyring", at / "ring", at / "file") == (0, PLAINTEXT)


@pytest.mark.parametrize("change, status", [
    ({}, 5), ({"bulla-public-key": 2}, 8), ({"kind": "mlkem768-x25519"}, 8), ({"kind": "symmetric"}, 4), ({"check": "00000000"}, 4), ({"note": ""}, 4),
    ({"version": 0}, 4), ({"public": (2**255 - 19).to_bytes(32, "little").hex()}, 4),
])  # fmt: skip
def test_a_public_key_file_is_checked_and_opens_nothing(at, change, status):
    key = keyring([PAIR.line()[1]])["keys"][0]
    version = key["versions"][0]
    made = {"bulla-public-key": 1, "name": key["name"], "id": key["id"], "kind": "x25519", "version": 1, "created": key["created"],
            "public": version["public"], "check": version["public-check"]}  # fmt: skip
    if "public" in change:
        made["check"] = public(key, 1, change["public"])["public-check"]
    (at / "file").write_bytes(sealed(master=[Slot(PAIR)]).bytes()[0])
    (at / "pub").write_text(json.dumps(made | change))
    assert outcome("--keyring", at / "pub", at / "file") == (status, b"")
    if status == 5:
        (at / "pub").write_text(json.dumps(made).ljust(4096))
        assert outcome("--keyring", at / "pub", at / "file") == (5, b"")
        (at / "pub").write_text(json.dumps(made).ljust(4097))
        refused(4, "the public key file is too large", "--keyring", at / "pub", at / "file")



@pytest.mark.parametrize("args, words", [
    (["file"], "give --keyring"), (["--keyring", "ring", "--branch-key", "branch", "file"], "give --keyring"),
    (["--keyring", "-"], "standard input is named twice"), (["--show", "--verify", "file"], "not allowed with"),
    (["--keyring", "ring", "nowhere"], "No such file"),
])  # fmt: skip
def test_usage(at, args, words, monkeypatch):
    monkeypatch.chdir(at)
    refused(1, words, *args)


# Damaged files


def damaged(at, *offsets, more=b""):
    """Bytes of the sealed file changed, at these offsets of its body."""
    data = (at / "file").read_bytes()
    for offset in offsets:
        data = flip(data, BODY + offset)
    (at / "file").write_bytes(data + more)


def chunk(number):
    return 56 + number * (CHUNK + 16)


def test_salvages_all_that_authenticates(at):
    """Holes are zeros at their place; neighbours are told as one."""
    damaged(at, chunk(1) + 5, chunk(2) + 16399, chunk(4), chunk(6))
    got = decode("--keyring", at / "ring", "--salvage", at / "out", at / "file")
    assert (got.returncode, got.stdout) == (4, b"")
    missing = [line for line in got.stderr.decode().splitlines() if "missing" in line]
    assert missing == [f"decode.py: missing: bytes {CHUNK} to {3 * CHUNK} of the plaintext",
                       f"decode.py: missing: bytes {4 * CHUNK} to {5 * CHUNK} of the plaintext",
                       f"decode.py: missing: bytes {6 * CHUNK} to 100000 of the plaintext, and more if the file was cut short"]  # fmt: skip
    expected = bytearray(PLAINTEXT)
    expected[CHUNK : 3 * CHUNK] = bytes(2 * CHUNK)
    expected[4 * CHUNK : 5 * CHUNK] = bytes(CHUNK)
    expected[6 * CHUNK :] = bytes(100_000 - 6 * CHUNK)
    assert (at / "out").read_bytes() == expected and (at / "out").stat().st_mode & 0o777 == 0o600
    verified = decode("--keyring", at / "ring", "--verify", at / "file")
    assert verified.returncode == 4 and verified.stderr == got.stderr
    plain = decode("--keyring", at / "ring", at / "file")
    assert (plain.returncode, plain.stdout) == (4, PLAINTEXT[:CHUNK]) and b"chunk 1 of the body" in plain.stderr


@pytest.mark.parametrize("size, kept, words", [
    (chunk(3), 3 * CHUNK, f"bytes {3 * CHUNK} to {3 * CHUNK} of the plaintext, and more if the file was cut short"),
    (chunk(3) + 100, 3 * CHUNK, f"bytes {3 * CHUNK} to {3 * CHUNK + 84} of the plaintext, and more"),
])  # fmt: skip
def test_salvages_a_file_that_was_cut_short(at, size, kept, words):
    (at / "file").write_bytes((at / "file").read_bytes()[: BODY + size])
    got = decode("--keyring", at / "ring", "--salvage", at / "out", at / "file")
    assert got.returncode == 4 and words in got.stderr.decode()
    out = (at / "out").read_bytes()
    assert out[:kept] == PLAINTEXT[:kept] and not any(out[kept:])


def test_salvages_in_spite_of_a_damaged_commitment(at):
    damaged(at, 30)
    refused(4, "the commitment of the body does not match", "--keyring", at / "ring", at / "file")
    refused(4, "the commitment of the body does not match", "--keyring", at / "ring", "--salvage", at / "out", at / "file")
    assert (at / "out").read_bytes() == PLAINTEXT


def test_leaves_nothing_where_nothing_authenticates(at):
    damaged(at, 3)  # the salt
    refused(4, "the file is damaged", "--keyring", at / "ring", "--salvage", at / "out", at / "file")
    assert not (at / "out").exists()


def test_salvages_a_whole_file(at):
    assert outcome("--keyring", at / "ring", "--salvage", at / "out", at / "file") == (0, b"")
    assert (at / "out").read_bytes() == PLAINTEXT
    refused(1, "File exists", "--keyring", at / "ring", "--salvage", at / "out", at / "file")
    assert (at / "out").read_bytes() == PLAINTEXT


def test_salvages_an_empty_file(at):
    (at / "file").write_bytes(sealed(plaintext=b"").bytes()[0])
    assert outcome("--keyring", at / "ring", "--salvage", at / "out", at / "file") == (0, b"")
    assert (at / "out").read_bytes() == b""


def test_salvages_with_an_exported_envelope(at):
    """Both copies of the file are gone, and so is a chunk."""
    data = (at / "file").read_bytes()
    (at / "env").write_bytes(data[:BODY])
    (at / "file").write_bytes(bytes(BODY) + flip(data[BODY:], chunk(1)))
    refused(4, "no valid envelope", "--keyring", at / "ring", at / "file")
    got = decode("--keyring", at / "ring", "--envelope", at / "env", "--salvage", at / "out", at / "file")
    assert got.returncode == 4
    assert (at / "out").read_bytes() == PLAINTEXT[:CHUNK] + bytes(CHUNK) + PLAINTEXT[2 * CHUNK :]
