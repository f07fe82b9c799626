"""What bulla refuses: each time with the right status, a message that names the matter, and nothing left behind."""

import json
import os
import pathlib
import pty
import re
import select

import pytest

from program import BOUND, TIMEOUT
from sealed import content, edit_ring, make_null, set_state, snapshot

VERBS = ["encrypt", "decrypt"]


@pytest.fixture
def refused(bulla):
    """Calls bulla; nothing below the working directory or beside the keys may change, and nothing comes out."""

    def call(*args, status, says, out=b"", **how):
        before = snapshot(bulla.work), snapshot(bulla.keys)
        done = bulla(*args, status=status, **how)
        assert done.stdout in (out, None)
        assert says.encode() in done.stderr, done.stderr
        assert done.stderr.startswith(b"bulla: ") and done.stderr.endswith(b"\n")
        assert (snapshot(bulla.work), snapshot(bulla.keys)) == before
        return done

    return call


@pytest.fixture
def source(bulla, ring, work):
    """For a verb, the name of a file that it can take."""
    (work / "plain").write_bytes(b"plain")
    bulla.seal(ring, b"sealed", name="sealed")
    return {"encrypt": "plain", "decrypt": "sealed.bulla", "verify": "sealed.bulla"}


# Outputs.


@pytest.mark.parametrize("verb", VERBS)
def test_existing_output_stays(ring, work, refused, source, verb):
    (work / "out").write_bytes(b"precious")
    done = refused(verb, "-k", ring, source[verb], "-o", "out", status=9, says="'out' already exists")
    assert b"hint: --force replaces it, -o names another" in done.stderr


@pytest.mark.parametrize("verb", VERBS)
def test_existing_default_output_stays(ring, work, refused, source, verb):
    default = {"encrypt": "plain.bulla", "decrypt": "sealed"}[verb]
    (work / default).write_bytes(b"precious")
    refused(verb, "-k", ring, source[verb], status=9, says=f"'{default}' already exists")


@pytest.mark.parametrize("verb", VERBS)
def test_force_replaces(bulla, ring, work, source, verb):
    (work / "out").write_bytes(b"old")
    (work / "link").hardlink_to(work / "out")
    bulla(verb, "-k", ring, source[verb], "-o", "out", "--force")
    opened = (work / "out").read_bytes() if verb == "decrypt" else bulla("decrypt", "-k", ring, "out", "-o", "-").stdout
    assert opened == {"encrypt": b"plain", "decrypt": b"sealed"}[verb]
    assert (work / "link").read_bytes() == b"old"
    assert sorted(os.listdir(work)) == ["link", "out", "plain", "sealed.bulla"]


def test_force_keeps_the_old_content_when_opening_fails(bulla, ring, work, refused):
    sealed = bulla.seal(ring, content(50_000))
    sealed.write_bytes(sealed.read_bytes()[:-1])
    (work / "out").write_bytes(b"old")
    refused("decrypt", "-k", ring, sealed, "-o", "out", "--force", status=4, says="does not authenticate")


def make_special(path, what):
    if what == "fifo":
        os.mkfifo(path)
    elif what == "device":
        make_null(path)
    elif what == "dangling link":
        path.symlink_to("nowhere")
    elif what == "link":
        (path.parent / "target").write_bytes(b"precious")
        path.symlink_to("target")


SPECIAL = {"fifo": "is not a regular file", "device": "is not a regular file", "link": "is a symbolic link"}
SPECIAL["dangling link"] = "is a symbolic link"


@pytest.mark.parametrize("force", [[], ["--force"]], ids=["", "force"])
@pytest.mark.parametrize("what", SPECIAL)
@pytest.mark.parametrize("verb", VERBS)
def test_output_that_is_not_a_regular_file(ring, work, refused, source, verb, what, force):
    make_special(work / "out", what)
    says = f"'out' {SPECIAL[what]}"
    refused(verb, "-k", ring, source[verb], "-o", "out", *force, status=1, says=says, timeout=TIMEOUT)


@pytest.mark.parametrize("force", [[], ["--force"]], ids=["", "force"])
@pytest.mark.parametrize("verb", VERBS)
def test_directory_where_the_output_would_be(ring, work, refused, source, verb, force):
    default = {"encrypt": "plain.bulla", "decrypt": "sealed"}[verb]
    (work / default).mkdir()
    done = refused(verb, "-k", ring, source[verb], *force, status=1, says=f"'{default}' is a directory")
    assert b"hint: name a new or a regular file" in done.stderr


def test_standard_input_and_a_directory(ring, work, refused):
    (work / "dir").mkdir()
    refused("encrypt", "-k", ring, "-o", "dir", stdin=b"x", status=2, says="standard input needs a file for -o")


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("directory", ["missing", "plain"])
def test_output_in_what_is_no_directory(ring, refused, source, verb, directory):
    says = f"cannot open the directory of '{directory}/out'"
    refused(verb, "-k", ring, source[verb], "-o", f"{directory}/out", status=1, says=says)


@pytest.mark.parametrize("verb", VERBS)
def test_several_files_need_a_directory(ring, work, refused, source, verb):
    for out, hint in (("out", "mkdir 'out'"), ("plain", "'plain' is none")):
        done = refused(verb, "-k", ring, source[verb], source[verb], "-o", out, status=2, says="several files need a directory")
        assert f"hint: {hint}\n" in done.stderr.decode()


def test_several_sealed_files_do_not_fit_one_stream(ring, refused, source):
    says = "several files cannot be written to standard output"
    refused("encrypt", "-k", ring, "plain", "plain", "-o", "-", status=2, says=says)


# Output = input.


@pytest.mark.parametrize("force", [[], ["--force"]], ids=["", "force"])
@pytest.mark.parametrize("name", ["same", "hard link", "other way to it", "symbolic link"])
@pytest.mark.parametrize("verb", VERBS)
def test_output_that_is_the_input(ring, work, refused, source, verb, name, force):
    out = {"same": source[verb], "other way to it": f"../work/./{source[verb]}"}.get(name, "link")
    if name == "hard link":
        (work / "link").hardlink_to(work / source[verb])
    if name == "symbolic link":
        (work / "link").symlink_to(source[verb])
    says = "is a symbolic link" if name == "symbolic link" else "is the file that is read"
    refused(verb, "-k", ring, source[verb], "-o", out, *force, status=1, says=says)


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("mode", ["r+b", "ab"], ids=["read-write", "append"])
def test_redirections_to_one_file(ring, work, refused, source, verb, mode):
    with open(work / source[verb], "rb") as read, open(work / source[verb], mode) as write:
        says = "standard output is the file that is read"
        refused(verb, "-k", ring, stdin_file=read, stdout=write, status=1, says=says)


@pytest.mark.parametrize("verb", VERBS)
def test_redirection_over_the_named_file(ring, work, refused, source, verb):
    with open(work / source[verb], "ab") as write:
        says = "standard output is the file that is read"
        refused(verb, "-k", ring, source[verb], "-o", "-", stdout=write, status=1, says=says)


@pytest.mark.parametrize("verb", VERBS)
def test_standard_input_is_the_output(ring, work, refused, source, verb):
    with open(work / source[verb], "rb") as read:
        args = [verb, "-k", ring, "-o", source[verb], "--force"]
        refused(*args, stdin_file=read, status=1, says="is the file that is read")


@pytest.mark.parametrize("force", [[], ["--force"]], ids=["", "force"])
def test_output_that_is_the_separate_envelope(bulla, ring, work, refused, force):
    """The envelope is an input as well, and without it the body is lost."""
    (work / "f").write_bytes(b"x")
    bulla("encrypt", "-k", ring, "--detach", "f")
    args = ["decrypt", "-k", ring, "f.bulla", "--envelope", "f.bulla.env", "-o", "f.bulla.env", *force]
    refused(*args, status=(1, 2), says="'f.bulla.env'")


@pytest.mark.parametrize("verb", VERBS)
def test_output_that_is_the_keyring(ring, refused, source, verb):
    """The keyring is an input as well: replaced by what it seals, nothing opens any more."""
    refused(verb, "-k", ring, source[verb], "-o", ring, "--force", status=(1, 2), says=str(ring))


def test_export_over_the_file_itself(ring, refused, source):
    args = ["envelope", "export", "sealed.bulla", "-o", "sealed.bulla", "--force"]
    refused(*args, status=1, says="is the file that is read")


def test_body_and_envelope_in_one_place(ring, refused, source):
    args = ["encrypt", "-k", ring, "plain", "-o", "out", "--envelope", "out"]
    refused(*args, status=(1, 2), says="'out'")


# Detached pairs.


@pytest.mark.parametrize("force", [[], ["--force"]], ids=["", "force"])
def test_detached_pair_is_not_replaced(bulla, ring, refused, source, force):
    bulla("encrypt", "-k", ring, "--detach", "plain")
    done = refused("encrypt", "-k", ring, "--detach", "plain", *force, status=9, says="'plain.bulla' already exists")
    assert b"remove both first" in done.stderr


def test_detached_envelope_in_the_way(ring, work, refused, source):
    (work / "plain.bulla.env").write_bytes(b"precious")
    refused("encrypt", "-k", ring, "--detach", "plain", status=9, says="'plain.bulla.env' already exists")


def test_detach_to_standard_output(ring, refused, source):
    says = "--detach to standard output needs --envelope"
    refused("encrypt", "-k", ring, "--detach", stdin=b"x", status=2, says=says)


def test_one_envelope_for_several_files(ring, refused, source):
    args = ["encrypt", "-k", ring, "--envelope", "e", "plain", "sealed.bulla"]
    refused(*args, status=2, says="--envelope goes with one file")


# Inputs.


@pytest.mark.parametrize("verb", ["encrypt", "decrypt", "verify"])
def test_missing_file(ring, refused, verb):
    refused(verb, "-k", ring, "f.bulla", status=10, says="cannot open 'f.bulla': No such file or directory")


@pytest.mark.parametrize("verb", ["encrypt", "decrypt", "verify", "inspect"])
def test_directory_needs_recursive(ring, work, refused, verb):
    (work / "d.bulla").mkdir()
    key = [] if verb == "inspect" else ["-k", ring]
    refused(verb, *key, "d.bulla", status=(1, 2), says="'d.bulla' is a directory")


@pytest.mark.parametrize("verb", VERBS)
def test_directory_as_standard_input(bulla, ring, work, refused, verb):
    fd = os.open(work, os.O_RDONLY)
    bulla(verb, "-k", ring, stdin_file=fd, status=1)
    refused(verb, "-k", ring, "-o", "out", stdin_file=fd, status=1, says="Is a directory")
    os.close(fd)


def test_empty_name(ring, refused):
    refused("encrypt", "-k", ring, "", status=2, says="an empty file name")


def test_dangling_link(ring, work, refused):
    (work / "link").symlink_to("nowhere")
    refused("encrypt", "-k", ring, "link", status=10, says="cannot open 'link': No such file or directory")


def test_link_loop(ring, work, refused):
    (work / "loop").symlink_to("loop")
    refused("encrypt", "-k", ring, "loop", status=1, says="cannot open 'loop': Too many levels of symbolic links")


def test_names_that_do_not_tell_the_output(bulla, ring, work, refused, source):
    refused("encrypt", "-k", ring, "sealed.bulla", status=2, says="'sealed.bulla' ends in .bulla already")
    refused("decrypt", "-k", ring, "plain", status=2, says="'plain' does not end in .bulla")
    bulla("encrypt", "-k", ring, "sealed.bulla", "-o", "twice")
    assert bulla("decrypt", "-k", ring, "twice", "-o", "-").stdout == (work / "sealed.bulla").read_bytes()


@pytest.mark.parametrize("verb", ["encrypt", "decrypt", "verify", "inspect"])
def test_file_that_may_not_be_read(ring, work, refused, verb):
    (work / "f").write_bytes(b"x")
    (work / "f").chmod(0)
    key = {"inspect": [], "verify": ["-k", ring]}.get(verb, ["-k", ring, "-o", "out"])
    (work / "f").rename(work / "f.bulla")
    refused(verb, *key, "f.bulla", status=1, says="cannot open 'f.bulla': Permission denied", under=BOUND)


@pytest.mark.parametrize("verb", VERBS)
def test_directory_that_may_not_be_written(ring, work, refused, source, verb):
    (work / "out").mkdir()
    (work / "out").chmod(0o555)
    args = [verb, "-k", ring, source[verb], "-o", "out/f"]
    refused(*args, status=1, says="cannot create 'out/f': Permission denied", under=BOUND)


@pytest.mark.parametrize("error", ["EPERM", "ENOSYS", "EOPNOTSUPP"])
@pytest.mark.parametrize("force", [[], ["--force"]], ids=["new", "over"])
def test_file_system_that_names_no_unnamed_file(bulla, ring, work, refused, error, force):
    (work / "f").write_bytes(b"x")
    under = ["strace", "-f", "-o", "/dev/null", "-e", f"inject=linkat:error={error}"]
    refused("encrypt", "-k", ring, *force, "f", status=1, says="bulla: hint: this file system cannot name an unnamed file", under=under)


@pytest.mark.parametrize("what", ["file", "directory"])
def test_part_of_a_tree_that_may_not_be_read(bulla, ring, work, what):
    for name in ("t/a", "t/b", "t/c"):
        (work / name).mkdir(parents=True)
        (work / name / "f").write_bytes(b"x")
    path, name = {"file": (work / "t/b/f", "t/b/f"), "directory": (work / "t/b", "t/b")}[what]
    path.chmod(0)
    done = bulla("encrypt", "-k", ring, "-r", "t", status=3, under=BOUND)
    path.chmod(0o700)
    assert f"'{name}': Permission denied".encode() in done.stderr
    assert b"2 sealed, 0 skipped, 1 failed" in done.stderr
    assert sorted(p.parent.name for p in (work / "t").rglob("*.bulla")) == ["a", "c"]


# Terminals.


def with_terminal(bulla, *args, stdin=None, stdout=None, status):
    """Runs bulla with a terminal for the streams that are not given; returns what the terminal got and stderr."""
    master, slave = pty.openpty()
    how = {"stdin": stdin if stdin is not None else slave, "stdout": stdout if stdout is not None else slave}
    process = bulla.start(*args, **how)
    os.close(slave)
    _, err = bulla.finish(process, status=status)
    shown = b""
    while select.select([master], [], [], 0)[0]:
        try:
            shown += os.read(master, 65536)
        except OSError:  # that is how a terminal without a program ends
            break
    os.close(master)
    return shown, err


@pytest.mark.parametrize("args", [["plain", "-o", "-"], ["-"], []], ids=str)
def test_sealed_data_is_not_written_to_a_terminal(bulla, ring, work, source, args):
    shown, err = with_terminal(bulla, "encrypt", "-k", ring, *args, status=2)
    assert shown == b"" and b"sealed data is not written to a terminal" in err


@pytest.mark.parametrize("verb", ["decrypt", "verify", "inspect"])
def test_sealed_data_is_not_read_from_a_terminal(bulla, ring, verb):
    key = [] if verb == "inspect" else ["-k", ring]
    shown, err = with_terminal(bulla, verb, *key, status=2)
    assert shown == b"" and err == b"bulla: sealed data is not read from a terminal\nbulla: hint: name a FILE\n"


def test_plaintext_goes_to_a_terminal_only_when_told(bulla, ring, work, source):
    with open(work / "sealed.bulla", "rb") as sealed:
        shown, err = with_terminal(bulla, "decrypt", "-k", ring, stdin=sealed, status=2)
    assert shown == b"" and b"plaintext goes to a terminal only with -o -" in err
    shown, _ = with_terminal(bulla, "decrypt", "-k", ring, "sealed.bulla", "-o", "-", status=0)
    assert shown == b"sealed"


def test_envelope_is_not_written_to_a_terminal(bulla, ring, source):
    shown, err = with_terminal(bulla, "envelope", "export", "sealed.bulla", "-o", "-", status=2)
    assert shown == b"" and b"terminal" in err


# Keyrings.


USES = ["encrypt", "decrypt", "key list", "key new"]


def use(verb, ring, source):
    """A command that reads the keyring."""
    if verb == "key new":
        return ["key", "new", f"{ring}#more"]
    return ["key", "list", "--json", ring] if verb == "key list" else [verb, "-k", ring, source[verb]]


def second_version(ring):
    first = ring["keys"][0]["versions"][0]
    ring["keys"][0]["versions"].append(first | {"version": 2})


def first_version(**changes):
    return lambda ring: ring["keys"][0]["versions"][0].update(changes)


def first_key(**changes):
    return lambda ring: ring["keys"][0].update(changes)


def without(member):
    def change(ring):
        del ring["keys"][0]["versions"][0][member]

    return change


def same_key_twice(ring):
    ring["keys"].append(ring["keys"][0] | {"id": "0" * 32})


def same_id_twice(ring):
    ring["keys"].append(ring["keys"][0] | {"name": "other"})


EDITS = {
    "wrong check value": (first_version(check="00000000"), 4, "a key does not match its check value"),
    "two active versions": (second_version, 4, "more than one version is active"),
    "unknown member of a version": (first_version(colour="red"), 4, "unknown"),
    "unknown member of a key": (first_key(colour="red"), 4, "unknown"),
    "unknown member of the ring": (lambda r: r.update(colour="red"), 4, "unknown"),
    "version 0": (first_version(version=0), 4, "out of range"),
    "version 2^32": (first_version(version=2**32), 4, "out of range"),
    "version as text": (first_version(version="1"), 4, "wrong type"),
    "unknown state": (first_version(state="sleeping"), 4, "state"),
    "short key": (first_version(key="00" * 31), 4, "64 lowercase hex digits"),
    "long key": (first_version(key="00" * 33), 4, "64 lowercase hex digits"),
    "key not hex": (first_version(key="zz" * 32), 4, "64 lowercase hex digits"),
    "uppercase key": (first_version(key="AB" * 32), 4, "64 lowercase hex digits"),
    "no key": (without("key"), 4, "no key"),
    "no check": (without("check"), 4, "no check"),
    "destroyed with a key": (first_version(state="destroyed"), 4, "destroyed"),
    "no versions": (first_key(versions=[]), 4, "no versions"),
    "bad time": (first_key(created="yesterday"), 4, "creation time"),
    "bad id": (first_key(id="12"), 4, "id"),
    "bad name": (first_key(name="../x"), 4, "name"),
    "long name": (first_key(name="n" * 65), 4, "name"),
    "one name twice": (same_key_twice, 4, "two keys have one name"),
    "one id twice": (same_id_twice, 4, "two keys have one id"),
    "unknown kind": (first_key(kind="lattice"), 8, "kind"),
    "unknown layout": (lambda r: r.update({"bulla-keyring": 2}), 8, "layout"),
    "layout as text": (lambda r: r.update({"bulla-keyring": "1"}), 4, "not a keyring"),
    "no keys member": (lambda r: r.pop("keys") and None, 4, "no keys"),
    "a list": (lambda r: [r], 4, "not a keyring"),
}


@pytest.mark.parametrize("change, status, says", EDITS.values(), ids=EDITS)
@pytest.mark.parametrize("verb", USES)
def test_keyring_that_breaks_a_rule(bulla, ring, refused, source, verb, change, status, says):
    bulla.learn()
    edit_ring(ring, change)
    done = refused(*use(verb, ring, source), status=status, says=says)
    assert f"keyring '{ring}': ".encode() in done.stderr


# With what is left of a keyring it is a damaged one; else it is none.
TEXTS = {
    "empty": (b"", 11),
    "garbage": (b"\x00\xff" * 100, 11),
    "cut short": (b'{"bulla-keyring": 1, "keys": [', 4),
    "text behind": (b'{"bulla-keyring": 1, "keys": []} x', 4),
    "duplicate member": (b'{"bulla-keyring": 1, "keys": [], "keys": []}', 4),
    "deep": (b"[" * 100_000, 11),
    "another JSON": (b'{"a": 1}', 11),
    "another JSON, too large": (b'{"a": 1}' + b" " * 2**18, 11),
    "a mark that is damaged": (b'{"bulla-keysing": 1, "keys": [{"versions": []}]}', 4),
    "too large": (b'{"bulla-keyring": 1, "keys": []}' + b" " * 2**18, 4),
}


@pytest.mark.parametrize("text, status", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("verb", USES)
def test_keyring_of_no_sense(ring, refused, source, verb, text, status):
    ring.write_bytes(text)
    says = f"keyring '{ring}'" if status == 4 else f"'{ring}' is not a bulla keyring, public key or PEM file"
    refused(*use(verb, ring, source), status=status, says=says)


def test_secret_text_of_a_broken_keyring_is_not_quoted(bulla, ring, refused, source):
    bulla.learn()
    ring.write_text(ring.read_text().replace('"check"', "check"))
    refused("encrypt", "-k", ring, "plain", status=4, says="it is not JSON: line ")


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o620, 0o610, 0o604, 0o602, 0o601, 0o666])
@pytest.mark.parametrize("verb", VERBS)
def test_keyring_that_others_may_use(ring, refused, source, verb, mode):
    ring.chmod(mode)
    done = refused(verb, "-k", ring, source[verb], status=7, says=f"may be used by others (mode {mode:o})")
    assert b"chmod 600" in done.stderr


@pytest.mark.parametrize("text", [b"root:x:0:0::/:/bin/sh\n", b"ssh-ed25519 AAAA\n", b""])
@pytest.mark.parametrize("owner", [0, 12345] if os.geteuid() == 0 else [os.geteuid()])
@pytest.mark.parametrize("verb", VERBS)
def test_other_file_is_not_to_be_changed(work, refused, source, verb, text, owner):
    """As a mode or an owner that others gave it for their reasons."""
    file = work / "passwd"
    file.write_bytes(text)
    file.chmod(0o644)
    os.chown(file, owner, -1)
    done = refused(verb, "-k", file, source[verb], status=11, says=f"'{file}' is not a bulla keyring, public key or PEM file")
    assert b"hint" not in done.stderr


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o700])
def test_keyring_for_the_owner_alone(bulla, ring, source, mode):
    ring.chmod(mode)
    bulla("encrypt", "-k", ring, "plain")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("verb", VERBS)
def test_keyring_of_another_user(ring, refused, source, verb):
    os.chown(ring, 12345, -1)
    refused(verb, "-k", ring, source[verb], status=7, says=f"keyring '{ring}' belongs to another user")


def keyring_as(ring, what):
    real = ring.with_name("real")
    ring.rename(real)
    if what == "link":
        ring.symlink_to(real)
    elif what == "fifo":
        os.mkfifo(ring, 0o600)
    elif what == "directory":
        ring.mkdir(0o700)
    elif what == "device":
        make_null(ring)


KINDS = {"link": (7, "is a symbolic link"), "missing": (10, "there is no keyring")}
KINDS |= {what: (7, "is not a regular file") for what in ("fifo", "directory", "device")}


READ = {k: v for k, v in KINDS.items() if k != "link"}  # which is followed


@pytest.mark.parametrize("what, status, says", [(k, *v) for k, v in READ.items()], ids=READ)
@pytest.mark.parametrize("verb", USES[:3])
def test_keyring_that_is_not_a_file(ring, refused, source, verb, what, status, says):
    keyring_as(ring, what)
    refused(*use(verb, ring, source), status=status, says=says)


@pytest.mark.parametrize("what", ["link", "fifo", "directory", "device"])
def test_key_is_not_added_to_what_is_not_a_file(ring, refused, what):
    keyring_as(ring, what)
    refused("key", "new", f"{ring}#more", status=7, says=KINDS[what][1])


# States of key versions.


def test_active_version_seals_and_opens(bulla, ring, source):
    bulla("encrypt", "-k", ring, "plain")
    bulla("decrypt", "-k", ring, "sealed.bulla")


def test_retired_version_opens_but_does_not_seal(bulla, ring, refused, source):
    set_state(ring, "retired")
    refused("encrypt", "-k", ring, "plain", status=7, says="has no active version")
    assert bulla("decrypt", "-k", ring, "sealed.bulla", "-o", "-").stdout == b"sealed"


def test_disabled_version_does_neither(ring, refused, source):
    set_state(ring, "disabled")
    refused("encrypt", "-k", ring, "plain", status=7, says="has no active version")
    says = f"version 1 of key 'backup' in keyring '{ring}' is disabled"
    refused("decrypt", "-k", ring, "sealed.bulla", status=7, says=says)


def test_destroyed_version_is_gone(ring, refused, source):
    set_state(ring, "destroyed")
    refused("encrypt", "-k", ring, "plain", status=7, says="has no active version")
    refused("decrypt", "-k", ring, "sealed.bulla", status=5, says="none of the given keys opens it")


def test_older_versions_open_what_they_sealed(bulla, ring, source):
    """Version 2 is active, version 1 retired: new files go to 2, old ones open."""
    other = bulla.new_key("other.ring")
    fresh = json.loads(other.read_text())["keys"][0]["versions"][0] | {"version": 2}
    set_state(ring, "retired")
    edit_ring(ring, lambda r: r["keys"][0]["versions"].append(fresh))
    bulla("encrypt", "-k", ring, "plain")
    assert bulla.inspect("plain.bulla")[0]["slots"][0]["key_version"] == 2
    for name, text in (("plain.bulla", b"plain"), ("sealed.bulla", b"sealed")):
        assert bulla("decrypt", "-k", ring, name, "-o", "-").stdout == text


@pytest.mark.parametrize("verb", ["encrypt", "decrypt", "verify", "rewrap", "reencrypt"])
def test_too_many_threads_are_refused_before_a_key_is_opened(refused, verb):
    refused(verb, "-j", "65", "-k", "no-such-ring", "file", status=2, says="--jobs is at most 64")



# Libraries that are loaded when they are needed.

LOADED = {  # a key that needs it, its Debian package, a function of it, what is said
    "libcurl.so.4": ("alias/backup", "libcurl4", "curl_global_init_mem", "HTTPS takes libcurl.so.4"),
    "libp11-kit.so.0": ("pkcs11:token=lab", "libp11-kit0", "p11_kit_uri_new", "tokens take libp11-kit.so.0"),
}


@pytest.mark.parametrize("file", LOADED)
def test_library_that_cannot_be_used(bulla, ring, work, refused, source, tmp_path, file):
    """One that is no library, and one without the functions; what does without them goes on."""
    key, package, function, says = LOADED[file]
    env = {"LD_LIBRARY_PATH": str(tmp_path)}
    (tmp_path / file).write_bytes(b"")
    done = refused("encrypt", "-k", key, "plain", env=env, status=8, says=f"{says}, which cannot be loaded")
    assert f"Debian has it in the package {package}".encode() in done.stderr
    (tmp_path / file).unlink()
    (tmp_path / file).symlink_to(re.search(r"/\S+/libm\.so\.6", pathlib.Path("/proc/self/maps").read_text()).group())
    refused("encrypt", "-k", key, "plain", env=env, status=8, says=f"{file} has no {function}")
    bulla("encrypt", "-k", ring, "plain", env=env)
