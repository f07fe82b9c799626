"""What editors and other systems put into a file of a passphrase: nothing of it gets into a new one unseen."""

import pathlib
import sys
import unicodedata

import pytest

from sealed import snapshot
from test_passphrases import NEW, OLD, X, locked, locked_once, new, old, passphrase_of, said, sealed_by_passphrase  # noqa: F401

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "kit"))
from encoder import File, Passphrase, Slot  # noqa: E402

MARK = b"\xef\xbb\xbf"
WINDOWS = {  # what an editor makes of a line
    "CR LF": (OLD.encode() + b"\r\n", "has a line end in it"),
    "CR": (OLD.encode() + b"\r", "has a line end in it"),
    "two line ends": (OLD.encode() + b"\n\n", "has a line end in it"),
    "a second line": (OLD.encode() + b"\nof the backup\n", "has a line end in it"),
    "a line end in front": (b"\n" + OLD.encode(), "has a line end in it"),
    "a byte order mark": (MARK + OLD.encode() + b"\n", "begins with a byte order mark"),
    "both": (MARK + OLD.encode() + b"\r\n", "begins with a byte order mark"),
}
SETS = {
    "new keyring": ["key", "new", "--passphrase", "made.ring"],
    "new slot": ["encrypt", "-k", "passphrase:", "-o", "made", "plain"],
    "one more slot": ["rewrap", "-k", "RING", "--add", "passphrase:", "sealed.bulla"],
    "keyring": ["key", "passphrase", "RING"],
}


@pytest.mark.parametrize("held, says", WINDOWS.values(), ids=WINDOWS)
@pytest.mark.parametrize("command", SETS)
def test_passphrase_that_an_editor_changed_is_not_set(bulla, said, ring, work, command, held, says):
    (work / "plain").write_bytes(X)
    bulla.seal(ring, X, name="sealed")
    (said / "bad").write_bytes(held)
    before = snapshot(bulla.keys), snapshot(work)
    args = [ring if word == "RING" else word for word in SETS[command]]
    done = bulla(*args, env=new(said, "bad"), status=2)
    assert says in done.stderr.decode() and b"hint: a passphrase file has one line, as echo writes it\n" in done.stderr
    assert (snapshot(bulla.keys), snapshot(work)) == before


OTHER_SOURCES = {
    "descriptor": (["--new-passphrase-fd", "0"], {}),
    "command": (["--new-passphrase-command", f"printf '{OLD}\\r\\n'"], {}),
    "credential": ([], {"CREDENTIALS_DIRECTORY": "."}),
}


@pytest.mark.parametrize("args, env", OTHER_SOURCES.values(), ids=OTHER_SOURCES)
def test_other_sources_of_one_that_an_editor_changed(bulla, said, ring, work, args, env):
    held = OLD.encode() + b"\r\n"
    (work / "bulla.new-passphrase").write_bytes(held)
    done = bulla("key", "passphrase", *args, ring, env=env, stdin=held, status=2, start_new_session=True)
    assert b"has a line end in it" in done.stderr and passphrase_of(ring) is None


@pytest.mark.parametrize("held, says", WINDOWS.values(), ids=WINDOWS)
def test_passphrase_that_an_editor_changed_does_not_open(bulla, said, locked, held, says):
    """Which may be why."""
    sealed = sealed_by_passphrase(bulla, said)
    (said / "bad").write_bytes(held)
    assert f"hint: the passphrase {says}\n" in bulla("encrypt", "-k", locked, stdin=X, env=old(said, "bad"), status=5).stderr.decode()
    done = bulla("decrypt", "-k", "passphrase:", "-o", "-", sealed, env=old(said, "bad"), status=5)
    assert f"hint: the passphrase may be wrong: it {says}; it was sealed to" in done.stderr.decode() and done.stdout == b""


def test_odd_passphrase_that_was_set_by_another_program_opens(bulla, said, work):
    """Bytes are bytes."""
    odd = "\ufeff" + OLD + "\r"
    (said / "odd").write_bytes(odd.encode() + b"\n")
    (work / "sealed").write_bytes(File("odd", master=[Slot(Passphrase(odd))], plaintext=X).bytes()[0])
    assert bulla.open("passphrase:", "sealed", env=old(said, "odd")) == X


@pytest.mark.parametrize("text", [OLD + " ", " " + OLD, OLD + "\t", OLD + "\u00a0", "\u200b" + OLD, OLD + "\u3000"], ids=ascii)
@pytest.mark.parametrize("quiet", [[], ["-q"]])
def test_blank_at_an_end_is_told(bulla, said, ring, text, quiet):
    (said / "old").write_text(text + "\n")
    done = bulla("key", "passphrase", *quiet, ring, env=new(said, "old"))
    assert (b"it begins or ends with a blank, which is part of it" in done.stderr) == (quiet == [])
    assert b"blank" not in bulla("encrypt", "-k", ring, stdin=X, env=old(said)).stderr


def test_forms_of_a_letter_are_told_apart(bulla, said, ring):
    """ä in one code point, and as a letter with a mark: nothing is normalised."""
    for name, form in (("one", "NFC"), ("two", "NFD")):
        (said / name).write_text(unicodedata.normalize(form, NEW))
    bulla("key", "passphrase", ring, env=new(said, "one"))
    bulla("encrypt", "-k", ring, stdin=X, env=old(said, "one"))
    bulla("encrypt", "-k", ring, stdin=X, env=old(said, "two"), status=5)
