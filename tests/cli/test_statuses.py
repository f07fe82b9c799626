"""Statuses that a script tells from failures: the output exists (9), the input does not (10), it is no sealed or key file (11)."""

import json
import os

import pytest

from held import unopened
from sealed import REGION, content, flip, layout, snapshot

X = b"content"
LARGE = content(100_000)


@pytest.fixture
def world(bulla, work):
    """Some of each kind of file, in the directory that bulla runs in."""
    bulla("key", "new", "-q", "a.ring")
    bulla("key", "new", "-q", "--kind", "x25519", "vault.ring")
    bulla("key", "export-public", "-o", "vault.pub", "vault.ring")
    (work / "f").write_bytes(X)
    (work / "taken").write_bytes(b"precious")
    (work / "t").mkdir()
    bulla("encrypt", "-k", "a.ring", "-o", "s.bulla", "f")
    bulla("encrypt", "-k", "a.ring", "-o", "t/s.bulla", "f")
    return work


def refused(bulla, *args, status, says, **how):
    """Nothing changes, and nothing comes out; returns what was said."""
    before = snapshot(bulla.work)
    done = bulla(*args, status=status, **how)
    assert done.stdout == b"" and says in done.stderr.decode(), done
    assert snapshot(bulla.work) == before
    return done.stderr.decode()


EXISTS = {
    "encrypt": ["encrypt", "-k", "a.ring", "-o", "taken", "f"],
    "encrypt, without -o": ["encrypt", "-k", "a.ring", "-o", "t", "s"],
    "encrypt a stream": ["encrypt", "-k", "a.ring", "-o", "taken"],
    "encrypt, detached body": ["encrypt", "-k", "a.ring", "--envelope", "e", "-o", "taken", "f"],
    "encrypt, detached envelope": ["encrypt", "-k", "a.ring", "--envelope", "taken", "-o", "x", "f"],
    "encrypt, detached by force": ["encrypt", "-k", "a.ring", "--force", "--envelope", "taken", "-o", "x", "f"],
    "decrypt": ["decrypt", "-k", "a.ring", "-o", "taken", "s.bulla"],
    "envelope export": ["envelope", "export", "-o", "taken", "s.bulla"],
    "key export-public": ["key", "export-public", "-o", "taken", "vault.ring"],
    "key new": ["key", "new", "a.ring"],
    "key new in a keyring": ["key", "new", "a.ring#a"],
}  # fmt: skip


@pytest.mark.parametrize("what", EXISTS)
def test_output_that_exists(bulla, world, what):
    if what == "encrypt, without -o":
        (world / "s").write_bytes(X)
    refused(bulla, *EXISTS[what], status=9, says="already")


def test_output_that_appears_meanwhile(bulla, world):
    """Here it is known when the result is put in its place."""
    run = bulla.start("encrypt", "-k", "a.ring", "-o", "late")
    run.stdin.write(LARGE)
    run.stdin.flush()
    (world / "late").write_bytes(b"precious")
    bulla.finish(run, status=9)
    assert (world / "late").read_bytes() == b"precious"


MISSING = {
    "encrypt": ["encrypt", "-k", "a.ring", "gone"],
    "decrypt": ["decrypt", "-k", "a.ring", "gone.bulla"],
    "verify": ["verify", "-k", "a.ring", "gone.bulla"],
    "inspect": ["inspect", "gone.bulla"],
    "rewrap": ["rewrap", "-k", "a.ring", "gone.bulla"],
    "reencrypt": ["reencrypt", "-k", "a.ring", "gone.bulla"],
    "status": ["status", "gone.bulla"],
    "envelope export": ["envelope", "export", "gone.bulla"],
    "envelope restore": ["envelope", "restore", "gone.bulla"],
    "envelope restore, envelope": ["envelope", "restore", "s.bulla"],
    "the directory of FILE": ["decrypt", "-k", "a.ring", "gone/s.bulla"],
    "FILE as a directory": ["verify", "-k", "a.ring", "gone/"],
    "a keyring to seal to": ["encrypt", "-k", "./gone", "f"],
    "a name of no config file": ["encrypt", "-k", "gone", "f"],
    "a keyring to open with": ["decrypt", "-k", "gone.ring", "s.bulla"],
    "the directory of a keyring": ["decrypt", "-k", "gone/a.ring", "s.bulla"],
    "--to": ["rewrap", "-k", "a.ring", "--to", "gone.ring", "s.bulla"],
    "key list": ["key", "list", "gone.ring"],
    "key rotate": ["key", "rotate", "gone.ring"],
    "key check": ["key", "check", "gone.ring"],
    "--files-from": ["verify", "-k", "a.ring", "--files-from", "gone"],
    "--files-from, beside a file": ["encrypt", "-k", "a.ring", "--files-from", "gone", "f"],
    "--envelope": ["decrypt", "-k", "a.ring", "--envelope", "gone", "-o", "x", "s.bulla"],
    "BULLA_CONFIG": ["encrypt", "-k", "nightly", "f"],
    "BULLA_PASSPHRASE_FILE": ["encrypt", "-k", "passphrase:", "f"],
    "BULLA_KEY": ["decrypt", "s.bulla"],
}


@pytest.mark.parametrize("what", MISSING)
def test_input_that_is_missing(bulla, world, what):
    env = {what: "gone"} if what.isupper() else {}
    env |= {"BULLA_NEW_PASSPHRASE_FILE": "gone"} if what == "BULLA_PASSPHRASE_FILE" else {}
    refused(bulla, *MISSING[what], env=env, status=10, says="gone" if "restore, envelope" not in what else "s.bulla.env")


OUTPUTS = {
    "encrypt": ["encrypt", "-k", "a.ring", "-o", "gone/x", "f"],
    "encrypt a stream": ["encrypt", "-k", "a.ring", "-o", "gone/x"],
    "encrypt, detached": ["encrypt", "-k", "a.ring", "--envelope", "gone/x", "-o", "x", "f"],
    "decrypt": ["decrypt", "-k", "a.ring", "-o", "gone/x", "s.bulla"],
    "envelope export": ["envelope", "export", "-o", "gone/x", "s.bulla"],
    "key export-public": ["key", "export-public", "-o", "gone/x", "vault.ring"],
    "key new": ["key", "new", "gone/x"],
}


@pytest.mark.parametrize("what", OUTPUTS)
def test_directory_of_an_output_is_no_input(bulla, world, what):
    refused(bulla, *OUTPUTS[what], status=1, says="'gone/x': No such file or directory")


def test_json_has_the_status_of_each(bulla, world):
    (world / "x.bulla").write_bytes(bytes(9000))
    done = bulla("decrypt", "-k", "a.ring", "--json", "-o", "t", "gone.bulla", "f", "x.bulla", "s.bulla", "t/s.bulla", status=3)
    told = {line["file"]: line["status"] for line in map(json.loads, done.stdout.splitlines())}
    assert told["gone.bulla"] == 10 and told["x.bulla"] == 4
    assert sorted((told["s.bulla"], told["t/s.bulla"])) == [0, 9]  # to one place
    done = bulla("verify", "-k", "a.ring", "--json", "f", "s.bulla", status=3)
    assert [json.loads(line)["status"] for line in done.stdout.splitlines()] in ([11, 0], [0, 11])


# No sealed file.

READS = {"decrypt": ["-k", "a.ring", "-o", "x"], "verify": ["-k", "a.ring"], "inspect": [], "rewrap": ["-k", "a.ring"], "reencrypt": ["-k", "a.ring"],
         "status": [], "envelope export": ["-o", "x"]}  # fmt: skip


def body_alone(raw):
    return raw[layout(raw).body :]


NO_ENVELOPE = {
    "text": lambda raw: X, "empty": lambda raw: b"", "zeros": lambda raw: bytes(20_000), "noise": lambda raw: content(20_000),
    "a body": body_alone, "both copies zeroed": lambda raw: bytes(layout(raw).body) + body_alone(raw), "almost the name": lambda raw: b"bulla is the clay",
}  # fmt: skip
REMAINS = {
    "one letter of both": lambda raw: flip(flip(raw, 0), REGION, 3), "the header of both": lambda raw: 2 * (raw[:10] + bytes(REGION - 10)) + body_alone(raw),
    "the second copy": lambda raw: flip(bytes(REGION) + raw[REGION:], REGION + 30), "cut in the first copy": lambda raw: raw[:100],
    "cut in its name": lambda raw: raw[:3], "cut after its name": lambda raw: raw[:8],
}  # fmt: skip


@pytest.mark.parametrize("verb", READS)
@pytest.mark.parametrize("damage", NO_ENVELOPE)
def test_file_that_is_not_sealed(bulla, world, damage, verb):
    """Unless it is called like a sealed file: then something is lost."""
    raw = bulla("encrypt", "-k", "a.ring", stdin=LARGE).stdout
    for name in ("plain", "plain.bulla"):
        (world / name).write_bytes(NO_ENVELOPE[damage](raw))
    refused(bulla, *verb.split(), *READS[verb], "plain", status=11, says="'plain' is not a sealed file\n")
    refused(bulla, *verb.split(), *READS[verb], "plain.bulla", status=4, says="'plain.bulla' is not a sealed file, or both copies of its envelope are damaged")


@pytest.mark.parametrize("verb", READS)
@pytest.mark.parametrize("damage", REMAINS)
def test_what_remains_of_an_envelope_is_damaged(bulla, world, damage, verb):
    """Whatever the name."""
    (world / "plain").write_bytes(REMAINS[damage](bulla("encrypt", "-k", "a.ring", stdin=LARGE).stdout))
    refused(bulla, *verb.split(), *READS[verb], "plain", status=4, says="both copies of the envelope of 'plain' are damaged")


@pytest.mark.parametrize("name, status", [("e", 11), ("e.env", 11), ("e.bulla.env", 4)])
def test_separate_envelope_that_is_none(bulla, world, name, status):
    (world / name).write_bytes(content(9000))
    refused(bulla, "decrypt", "-k", "a.ring", "--envelope", name, "-o", "x", "s.bulla", status=status, says=f"'{name}' is not a sealed file")


# No key file.

NO_KEY = {
    "text": X, "empty": b"", "JSON": b'{"a": 1}', "a sealed file": None, "too large": b'{"a": 1}' + b" " * 2**18,
}  # fmt: skip
REMAINS_OF_A_KEY = {"cut": lambda text: text[:60], "an edit": lambda text: text.replace(b'"active"', b'"alive"')}
KEY_USES = {"encrypt": ["encrypt", "-k", "./k", "f"], "decrypt": ["decrypt", "-k", "./k", "-o", "x", "s.bulla"], "--to": ["rewrap", "-k", "a.ring", "--to", "./k", "s.bulla"],
            "key list": ["key", "list", "./k"], "key rotate": ["key", "rotate", "./k"], "key check": ["key", "check", "./k"]}  # fmt: skip


@pytest.mark.parametrize("use", KEY_USES)
@pytest.mark.parametrize("what", NO_KEY)
def test_key_file_that_is_none(bulla, world, what, use):
    (world / "k").write_bytes(NO_KEY[what] if NO_KEY[what] is not None else (world / "s.bulla").read_bytes())
    (world / "k").chmod(0o600)
    done = bulla(*KEY_USES[use], status=11)
    assert "'./k' is not a bulla keyring, public key or PEM file" in done.stderr.decode() and not (world / "x").exists()


@pytest.mark.parametrize("use", KEY_USES)
@pytest.mark.parametrize("damage", REMAINS_OF_A_KEY)
def test_key_file_that_is_damaged(bulla, world, damage, use):
    (world / "k").write_bytes(REMAINS_OF_A_KEY[damage]((world / "a.ring").read_bytes()))
    (world / "k").chmod(0o600)
    assert b"keyring './k': " in bulla(*KEY_USES[use], status=4).stderr


# What is said of a key that is not there: never to make one of that name, to which then all would be sealed.

HINTS = {
    "a.rin": ["a.ring", "vault.ring", "vault.pub"],
    "vault.pbu": ["vault.pub", "vault.ring", "a.ring"],
    "./a.rimg#a": ["./a.ring", "./vault.ring", "./vault.pub"],
    "file:a.rinn": ["a.ring", "vault.ring", "vault.pub"],
    "nighty": ["nightly", "a.ring", "vault.pub"],
}


def configured(bulla):
    config = bulla.home / "bulla.conf"
    config.write_text("[keys]\nnightly = a.ring\n")
    return {"BULLA_CONFIG": str(config)}


@pytest.mark.parametrize("verb", [["encrypt", "-k"], ["decrypt", "-k"], ["rewrap", "-k", "a.ring", "--to"], ["key", "list"], ["key", "retire"], ["key", "check"]], ids=" ".join)
@pytest.mark.parametrize("given", HINTS)
def test_what_is_there_instead_is_told(bulla, world, given, verb):
    env = configured(bulla) if given == "nighty" else None
    says = "no config file names a key" if given == "nighty" else "there is no keyring"
    said = refused(bulla, *verb, given, *(["s.bulla"] if "-k" in verb else []), status=10, says=says, env=env)
    listed = ", ".join(f"'{name}'" for name in HINTS[given])
    assert f"hint: keys that exist: {listed}; if it was here, bring its copy back\n" in said and "key new" not in said


def test_what_is_no_key_file_is_not_told(bulla, world):
    """Nor what another run left, nor what lies in other directories; and nothing is waited for."""
    (world / "empty").mkdir()
    os.mkfifo(world / "empty/fifo")
    (world / "empty/text").write_bytes(X)
    (world / "empty/.bulla-0123456789abcdef").write_bytes((world / "a.ring").read_bytes())
    said = refused(bulla, "encrypt", "-k", "empty/a.ring", "f", status=10, says="there is no keyring")
    assert "keys that exist" not in said and "hint: bring its copy back" in said


def test_pipe_is_not_opened_for_a_hint(bulla, world):
    """A key may wait in it for its reader."""
    os.mkfifo(world / "fifo")
    with unopened(world / "fifo"):
        refused(bulla, "encrypt", "-k", "./b.ring", "f", status=10, says="there is no keyring")


def test_names_of_keys_are_escaped(bulla, world):
    (world / "a.ring").rename(world / "a.\x1b[2J")
    said = refused(bulla, "encrypt", "-k", "a.rin", "f", status=10, says="there is no keyring")
    assert "'a.\\x1b[2J'" in said and "\x1b" not in said
