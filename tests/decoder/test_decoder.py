"""The independent decoder opens what bulla seals, and the two refuse the same files with the same status."""

import base64
import json
import subprocess

import pytest

from decoding import DECODER, decode, program
from program import Bulla
from sealed import SUITES, content, copies, flip, layout, with_copies

SIZES = [0, 1, 16383, 16384, 16385, 32768, 65535 - 56 - 64, 100_000]


def test_runs_as_a_program(bulla, ring):
    """From a file and from a pipe, with the same outcome as in this process."""
    sealed = bulla.seal(ring, b"content")
    for more, stdin in (([sealed], b""), ([], sealed.read_bytes()), (["-"], sealed.read_bytes()), ([], sealed.read_bytes()[:-1])):
        done = subprocess.run(["/usr/bin/python3", DECODER, "--keyring", ring, *more], input=stdin, capture_output=True)
        cut = len(stdin) not in (0, sealed.stat().st_size)
        assert (done.returncode, done.stdout) == ((4, b"") if cut else (0, b"content"))


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("detach", [False, True], ids=["whole", "detached"])
@pytest.mark.parametrize("size", SIZES)
def test_opens_what_bulla_seals(bulla, ring, size, detach, suite):
    options = ["--suite", suite, "--name", "nightly", "--generation", "3", "--context", "db=prod", "--context", "a="]
    sealed = bulla.seal(ring, content(size), *options, *(["--detach"] if detach else []))
    separate = ["--envelope", f"{sealed}.env"] if detach else []
    got = decode("--keyring", ring, *separate, sealed)
    assert (got.returncode, got.stderr) == (0, b"")
    assert got.stdout == content(size)


def test_reads_the_same_envelope(bulla, ring):
    sealed = bulla.seal(ring, b"x", "--name", "näm", "--generation", "9", "--context", "k=v")
    theirs = json.loads(decode("--show", sealed).stdout)
    (ours,) = bulla.inspect(sealed)
    for member in ("file_id", "branch_id", "generation", "name", "context", "sequence", "copies"):
        assert theirs[member] == ours[member], member
    assert [slot["wrap"] for slot in theirs["slots"]] == [slot["wrap"] for slot in ours["slots"]]


def branch_key(sealed, ring):
    """The branch key, as a person would unwrap it by hand from what --show tells."""
    (slot,) = json.loads(decode("--show", sealed).stdout)["slots"]
    (key,) = json.loads(ring.read_text())["keys"]
    return program.xaes_open(bytes.fromhex(key["versions"][0]["key"]), base64.b64decode(slot["wrap_base64"]), bytes.fromhex(slot["aad"]))


def test_a_branch_key_opens_the_files_of_its_run_and_context(bulla, ring, work):
    for name in ("a", "b"):
        (work / name).write_bytes(CONTENT + name.encode())
    bulla("encrypt", "-q", "-k", ring, "a", "b")
    other = bulla.seal(ring, CONTENT)
    key = branch_key(work / "a.bulla", ring).hex()
    for name in ("a", "b"):
        got = decode("--branch-key", key, work / f"{name}.bulla")
        assert (got.returncode, got.stdout, got.stderr) == (0, CONTENT + name.encode(), b"")
    assert decode("--branch-key", key, other).returncode == 5


def change(copy, offset, byte):
    return copy[:offset] + bytes([byte]) + copy[offset + 1 :]


def flip_each(sealed):
    """The file with one byte of both envelope copies changed and their checksums made right again, byte by byte."""
    copy = copies(sealed)[0]
    used = 24 + int.from_bytes(copy[12:16], "big")
    for offset in range(used):
        for value in {0, 0xFF, copy[offset] ^ 1, copy[offset] ^ 0x80} - {copy[offset]}:
            yield f"byte {offset} = {value}", with_copies(sealed, change(copy, offset, value))


def test_both_refuse_the_same_envelopes(bulla, ring, work):
    """Statuses 0, 4, 5, 7 and 8 must agree for some hundred forged envelopes: a second reader of each rule."""
    sealed = bulla.seal(ring, b"content", "--context", "db=prod", "--context", "a=b", "--name", "n").read_bytes()
    differing = []
    statuses = set()
    for index, (what, forged) in enumerate(flip_each(sealed)):
        if index % 7:  # a fixed sample: each is a process
            continue
        (work / "forged").write_bytes(forged)
        theirs = decode("--keyring", ring, "--verify", work / "forged").returncode
        ours = bulla("verify", "-q", "-k", ring, "forged", status=(0, 4, 5, 7, 8)).returncode
        statuses.add(ours)
        if theirs != ours:
            differing.append((what, ours, theirs))
    assert not differing
    assert {4, 5, 8} <= statuses


def test_both_warn_of_a_tag_that_does_not_match(bulla, ring, work):
    sealed = bulla.seal(ring, CONTENT)
    copy = copies(sealed.read_bytes())[0]
    end = 24 + int.from_bytes(copy[12:16], "big")
    sealed.write_bytes(with_copies(sealed.read_bytes(), flip(copy, end - 1)))
    assert statuses(bulla, ring, sealed) == OPENED
    assert b"the tag of the envelope does not match" in decode("--keyring", ring, sealed).stderr
    assert b"tag" in bulla("decrypt", "-k", ring, "-o", "-", sealed).stderr
    assert decode("--keyring", ring, "--verify", sealed).returncode == bulla("verify", "-k", ring, sealed, status=4).returncode == 4


def test_salvages_what_bulla_refuses(bulla, ring, work):
    """All but the damaged chunk, at its place."""
    sealed = bulla.seal(ring, CONTENT)
    data = sealed.read_bytes()
    sealed.write_bytes(flip(data, layout(data).body + 56 + 16400))
    assert bulla("decrypt", "-k", ring, sealed, "-o", "out", status=4) and not (work / "out").exists()
    assert decode("--keyring", ring, "--salvage", work / "out", sealed).returncode == 4
    assert (work / "out").read_bytes() == CONTENT[:16384] + bytes(16384) + CONTENT[32768:]


def test_opens_by_an_exported_envelope(bulla, ring, work):
    sealed = bulla.seal(ring, CONTENT)
    bulla("envelope", "export", "-q", "-o", "kept.env", sealed)
    data = sealed.read_bytes()
    sealed.write_bytes(bytes(layout(data).body) + data[layout(data).body :])
    assert decode("--keyring", ring, sealed).returncode == 4
    assert decode("--keyring", ring, "--envelope", work / "kept.env", sealed).stdout == CONTENT


def test_the_other_key_does_not_open(bulla, ring):
    other = bulla.new_key("other.ring")
    sealed = bulla.seal(ring, b"content")
    assert decode("--keyring", other, sealed).returncode == 5
    bulla("verify", "-q", "-k", other, sealed, status=5)


# Keys of the kind x25519, and passphrases


def seal_to(bulla, *keys, passphrase=None):
    """A file that is sealed to all of these keys."""
    secret = {f"BULLA_{which}PASSPHRASE_FILE": str(passphrase) for which in ("", "NEW_")} if passphrase else None
    return bulla.seal(keys[0], CONTENT, *(word for key in keys[1:] for word in ("-k", key)), env=secret)


def statuses(bulla, key, sealed, passphrase=None):
    """The exit statuses of bulla and of the decoder; both write the plaintext, or nothing."""
    env = {"BULLA_PASSPHRASE_FILE": str(passphrase)} if passphrase else None
    ours = bulla("decrypt", "-q", "-k", key, "-o", "-", sealed, env=env, status=(0, 4, 5, 7, 8))
    ring = [] if str(key).startswith("passphrase:") else ["--keyring", key]
    theirs = decode(*ring, *(["--passphrase-file", passphrase] if passphrase else []), sealed)
    for done in (ours, theirs):
        assert done.stdout == (b"" if done.returncode else CONTENT)
    return ours.returncode, theirs.returncode


CONTENT = b"content" * 5000
OPENED, REFUSED, DAMAGED, OLDER = (0, 0), (5, 5), (4, 4), (7, 7)


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """host.ring of kind x25519 and its host.pub, locked.ring under a passphrase, and two passphrases."""
    bulla = Bulla(tmp_path_factory.mktemp("keys"))
    directory = bulla.keys
    (directory / "right").write_text("zwölf Boxkämpfer\n")
    (directory / "wrong").write_text("zwölf Boxkampfer\n")
    bulla("key", "new", "-q", "--kind", "x25519", "--rotate-after", "90d", directory / "host.ring")
    bulla("key", "export-public", "-q", "-o", directory / "host.pub", directory / "host.ring")
    bulla("key", "new", "-q", "--passphrase", directory / "locked.ring", env={"BULLA_NEW_PASSPHRASE_FILE": str(directory / "right")})
    return directory


@pytest.mark.parametrize("target", ["host.ring", "host.pub"])
def test_opens_what_is_sealed_to_an_x25519_key(bulla, keys, ring, target):
    sealed = seal_to(bulla, keys / target)
    assert statuses(bulla, keys / "host.ring", sealed) == OPENED
    assert statuses(bulla, keys / "host.pub", sealed) == REFUSED
    assert statuses(bulla, ring, sealed) == REFUSED


def test_opens_what_is_sealed_to_a_keyring_with_a_passphrase(bulla, keys):
    sealed = seal_to(bulla, keys / "locked.ring", passphrase=keys / "right")
    assert statuses(bulla, keys / "locked.ring", sealed, keys / "right") == OPENED
    assert statuses(bulla, keys / "locked.ring", sealed, keys / "wrong") == REFUSED
    assert statuses(bulla, keys / "host.ring", sealed) == REFUSED


def test_opens_an_x25519_key_under_a_passphrase(bulla, keys):
    locked = bulla.keys / "host.ring"
    locked.write_bytes((keys / "host.ring").read_bytes())
    locked.chmod(0o600)
    bulla("key", "passphrase", "-q", locked, env={"BULLA_NEW_PASSPHRASE_FILE": str(keys / "right")})
    sealed = seal_to(bulla, keys / "host.pub")
    assert statuses(bulla, locked, sealed, keys / "right") == OPENED
    assert statuses(bulla, locked, sealed, keys / "wrong") == REFUSED


def test_opens_what_is_sealed_to_a_passphrase(bulla, keys, ring):
    sealed = seal_to(bulla, "passphrase:hint", passphrase=keys / "right")
    assert statuses(bulla, "passphrase:hint", sealed, keys / "right") == OPENED
    assert statuses(bulla, "passphrase:hint", sealed, keys / "wrong") == REFUSED
    assert statuses(bulla, ring, sealed) == REFUSED


def test_either_of_two_keys_opens(bulla, keys, ring):
    sealed = seal_to(bulla, ring, keys / "host.pub", "passphrase:hint", passphrase=keys / "right")
    assert statuses(bulla, ring, sealed) == OPENED
    assert statuses(bulla, keys / "host.ring", sealed) == OPENED
    assert statuses(bulla, "passphrase:hint", sealed, keys / "right") == OPENED
    assert statuses(bulla, keys / "locked.ring", sealed, keys / "wrong") == REFUSED


@pytest.mark.parametrize("kind", ["symmetric", "x25519"])
def test_opens_what_was_rewrapped(bulla, kind):
    rotated, old = bulla.keys / "rotated.ring", bulla.keys / "old.ring"
    bulla("key", "new", "-q", "--kind", kind, rotated)
    sealed = seal_to(bulla, rotated)
    old.write_bytes(rotated.read_bytes())
    old.chmod(0o600)
    bulla("key", "rotate", "-q", rotated)
    assert statuses(bulla, rotated, sealed) == OPENED
    bulla("rewrap", "-q", "-k", rotated, sealed)
    assert json.loads(decode("--show", sealed).stdout)["slots"][0]["key_version"] == 2
    assert statuses(bulla, rotated, sealed) == OPENED
    assert statuses(bulla, old, sealed) == OLDER


def test_opens_what_was_reencrypted(bulla, keys):
    sealed = seal_to(bulla, keys / "host.pub")
    bulla("reencrypt", "-q", "-k", keys / "host.ring", "--suite", "chacha20", sealed)
    assert json.loads(decode("--show", sealed).stdout)["suite"] == 2
    assert statuses(bulla, keys / "host.ring", sealed) == OPENED


@pytest.mark.parametrize("member, value", [
    ("public", None), ("check", "00000000"), ("wrapped", 144 * "0"), ("note", ""), ("created", "1969-12-31T23:59:59Z"),
    ("public", "09" + 62 * "0"), ("public-check", "00000000"),
])
def test_both_refuse_the_same_keyrings(bulla, keys, member, value):
    sealed = seal_to(bulla, keys / "host.pub")
    changed = json.loads((keys / "host.ring").read_text())
    version = changed["keys"][0]["versions"][0]
    version.pop(member, None)
    version.update({member: value} if value is not None else {})
    path = bulla.keys / "changed.ring"
    path.write_text(json.dumps(changed))
    path.chmod(0o600)
    assert statuses(bulla, path, sealed) == DAMAGED
