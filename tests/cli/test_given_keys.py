"""Keys that come by a descriptor, as from a pipe, and systemd credentials."""

import json
import os
import pathlib
import pty
import shutil
import signal
import socket
import subprocess
import tempfile

import pytest

from held import unopened, wait_until_asleep
from sealed import content, edit_ring, snapshot

DATA = b"the data\n"
OTHER = 4711  # a user with nothing of his own
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to others")
MUST = {"BULLA_CONFINE": "must"}


def by_pipe(text):
    """A descriptor from which text can be read once."""
    ours, theirs = os.pipe()
    os.write(theirs, text)
    os.close(theirs)
    return ours


def with_key(bulla, fd, *args, form="fd:{}", **how):
    """Runs bulla with the key of a descriptor, of which every KEY of the arguments is the name."""
    try:
        return bulla(*(form.format(fd) if arg == "KEY" else arg for arg in args), pass_fds=[fd], **how)
    finally:
        os.close(fd)


def in_bash(bulla, command, **how):
    """What a shell makes of a command, in which "bulla" is the program."""
    return bulla(command, under=["bash", "-c", 'bulla() { "$0" "$@"; }; eval "$1"'], **how)


# Read once, used for all that reads.

FORMS = ["fd:{}", "FD:{}", "fd:{}#backup", "fd:{}#backup:1", "/dev/fd/{}", "/proc/self/fd/{}#backup", "file:/dev/fd/{}", "FILE:/proc/thread-self/fd/{}"]


@pytest.mark.parametrize("form", FORMS)
def test_keyring_by_a_pipe(bulla, ring, work, form):
    text = ring.read_bytes()
    sealed = with_key(bulla, by_pipe(text), "encrypt", "-k", "KEY", form=form, stdin=DATA, env=MUST).stdout
    assert bulla("decrypt", "-k", ring, stdin=sealed).stdout == DATA
    assert with_key(bulla, by_pipe(text), "decrypt", "-k", "KEY", form=form, stdin=sealed, env=MUST).stdout == DATA


def test_each_verb_that_reads_a_keyring(bulla, ring, work):
    """Most look at the key more than once; reencrypt opens it for two sessions."""
    text = ring.read_bytes()
    (work / "plain").write_bytes(DATA)
    verbs = [["encrypt", "-k", "KEY", "plain"], ["verify", "-k", "KEY", "plain.bulla"], ["rewrap", "-k", "KEY", "plain.bulla"], ["reencrypt", "-k", "KEY", "plain.bulla"],
             ["status", "--needs", "KEY", "plain.bulla"], ["key", "list", "KEY"], ["key", "check", "KEY"]]  # fmt: skip
    for verb in verbs:
        with_key(bulla, by_pipe(text), *verb, status=7 if verb[0] == "status" else 0)
    with_key(bulla, by_pipe(text), "reencrypt", "-k", ring, "--to", "KEY", "plain.bulla")
    with_key(bulla, by_pipe(text), "rewrap", "-k", ring, "--to", "KEY", "plain.bulla")
    assert bulla.open(ring, work / "plain.bulla") == DATA


@pytest.mark.parametrize("kind", ["file", "socket", "standard input"])
def test_other_descriptors(bulla, ring, work, kind):
    (work / "plain").write_bytes(DATA)
    if kind == "standard input":
        bulla("encrypt", "-k", "fd:0", "plain", stdin=ring.read_bytes())
    elif kind == "socket":
        ours, theirs = socket.socketpair()
        theirs.sendall(ring.read_bytes())
        theirs.close()
        with_key(bulla, ours.detach(), "encrypt", "-k", "KEY", "plain")
    else:
        ring.chmod(0o644)  # who opened it could read it
        with_key(bulla, os.open(ring, os.O_RDONLY), "encrypt", "-k", "KEY", "plain")
        ring.chmod(0o600)
    assert bulla.open(ring, work / "plain.bulla") == DATA


def test_pipes_of_the_shell(bulla, ring, work):
    (work / "plain").write_bytes(DATA)
    text = bulla.keys / "text"
    shutil.copy(ring, text)
    in_bash(bulla, f"bulla encrypt -k <(cat {text}) -k <(cat {text}) plain")
    in_bash(bulla, f"bulla reencrypt -k <(cat {text})  plain.bulla")
    assert in_bash(bulla, f"cat {text} | bulla decrypt -k fd:0 -o - plain.bulla").stdout == DATA
    assert in_bash(bulla, f"bulla decrypt -k fd:7#backup -o - plain.bulla 7<{text}").stdout == DATA


@pytest.mark.parametrize("kind", ["JSON", "PEM"])
def test_public_key_by_a_pipe(bulla, work, kind):
    pair = bulla.keys / "pair"
    if kind == "JSON":
        bulla("key", "new", "-q", "--kind", "x25519", pair)
        text = bulla("key", "export-public", pair).stdout
        assert with_key(bulla, by_pipe(pair.read_bytes()), "key", "export-public", "KEY").stdout == text
    else:
        subprocess.run(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", pair], check=True)
        text = subprocess.run(["openssl", "pkey", "-in", pair, "-pubout"], check=True, capture_output=True).stdout
    sealed = with_key(bulla, by_pipe(text), "encrypt", "-k", "KEY", stdin=DATA, env=MUST).stdout
    if kind == "JSON":
        assert bulla("decrypt", "-k", pair, stdin=sealed).stdout == DATA
    says = with_key(bulla, by_pipe(text), "decrypt", "-k", "KEY", stdin=sealed, status=5).stderr
    assert b"none of the given keys opens it" in says


def test_keyring_with_a_passphrase_by_a_pipe(bulla, work):
    """It is asked for once in a run, whatever opens the key."""
    ring = bulla.keys / "locked"
    bulla("key", "new", "-q", "--passphrase", "--new-passphrase-fd", "0", ring, stdin=b"correct horse\n")
    text = ring.read_bytes()
    (work / "plain").write_bytes(DATA)
    for verb in (["encrypt", "plain"], ["reencrypt", "plain.bulla"], ["verify", "plain.bulla"]):
        with_key(bulla, by_pipe(text), verb[0], "-k", "KEY", "--passphrase-fd", "0", verb[1], stdin=b"correct horse\n")


def test_large_keyring_by_a_pipe(bulla, ring, work):
    """Larger than what a pipe holds, and as large as a keyring may be, within a page or two."""

    def add(rings):
        for number in range(650):
            rings["keys"].append(rings["keys"][0] | {"name": f"n{number}", "id": f"{number:032x}"})

    edit_ring(ring, add)
    assert 150_000 < ring.stat().st_size < 262_144
    sealed = in_bash(bulla, f"bulla encrypt -k <(cat {ring})#n649", stdin=DATA).stdout
    assert bulla("decrypt", "-k", f"{ring}#n649", stdin=sealed).stdout == DATA


# What is none.


@pytest.fixture
def refused(bulla, ring, work):
    """Runs bulla, which fails and changes nothing."""
    (work / "plain").write_bytes(DATA)

    def check(status, says, fd, verb=("encrypt", "-k", "KEY", "-o", "out", "plain"), **how):
        before = snapshot(bulla.work), ring.read_bytes()
        done = with_key(bulla, fd, *verb, status=status, **how)
        assert says in done.stderr.decode() and done.stdout == b"", done
        assert (snapshot(bulla.work), ring.read_bytes()) == before

    return check


def test_terminal(refused):
    ours, theirs = pty.openpty()
    refused(2, f"descriptor {theirs} is neither a file nor a pipe\nbulla: hint: a key comes from a file or a pipe: -k fd:{theirs} {theirs}<FILE\n", theirs)
    os.close(ours)


@pytest.mark.parametrize("path", ["/", "/dev/null", "/dev/zero"])
def test_directory_and_device(refused, path):
    fd = os.open(path, os.O_RDONLY)
    refused(2, f"descriptor {fd} is neither a file nor a pipe\n", fd)


def test_descriptor_for_writing(refused):
    ours, theirs = os.pipe()
    refused(2, f"descriptor {theirs} is not open for reading\nbulla: hint: open it where bulla is started: -k fd:{theirs} {theirs}<FILE\n", theirs)
    os.close(ours)


def test_descriptor_that_is_closed(bulla, work):
    (work / "plain").write_bytes(DATA)
    assert b"descriptor 0 is not open for reading" in in_bash(bulla, "bulla encrypt -k fd:0 plain <&-", status=2).stderr
    assert os.listdir(work) == ["plain"]


def test_empty_pipe(refused):
    """As of a program that failed."""
    fd = by_pipe(b"")
    refused(11, f"no key came through descriptor {fd}: it is empty\nbulla: hint: see whether the program that should write the key failed\n", fd)


def test_what_is_no_key(refused):
    refused(11, "is not a bulla keyring, public key or PEM file", by_pipe(content(1000)))


def test_damaged_keyring(ring, refused):
    text = ring.read_bytes()
    refused(4, "keyring '/dev/fd/", by_pipe(text[:-20]))
    digit = text.index(b'"key": "') + 8
    other = b"1" if text[digit : digit + 1] == b"0" else b"0"
    refused(4, "a key does not match its check value", by_pipe(text[:digit] + other + text[digit + 1 :]))


@pytest.mark.parametrize("head, status, says", [("", 11, "is not a bulla keyring"), ('{"bulla-keyring": 1, "keys": [', 4, "is larger than 262144 bytes")])
def test_endless_pipe(bulla, work, head, status, says):
    (work / "plain").write_bytes(DATA)
    done = in_bash(bulla, f"bulla encrypt -k <(echo '{head}'; exec yes) plain", status=status)
    assert says in done.stderr.decode() and os.listdir(work) == ["plain"]


def test_named_pipe(bulla, ring, work):
    """It is refused, and what somebody waits to write into it is not lost."""
    os.mkfifo(work / "pipe")
    with unopened(work / "pipe"):
        said = bulla("encrypt", "-k", "./pipe", stdin=DATA, status=7).stderr.decode()
    assert "keyring './pipe' is not a regular file\nbulla: hint: open the pipe where bulla is started: -k fd:3 3<'./pipe'\n" in said


def test_interrupted_while_the_key_is_awaited(bulla, work):
    ours, theirs = os.pipe()
    run = bulla.start("encrypt", "-k", f"fd:{ours}", "-o", "out", pass_fds=[ours])
    wait_until_asleep(run)
    run.send_signal(signal.SIGTERM)
    bulla.finish(run, status=130)
    os.close(ours)
    os.close(theirs)
    assert os.listdir(work) == []


@pytest.mark.parametrize("value", ["fd:3", "/dev/fd/3#backup", "file:/dev/stdin"])
def test_config_file_names_no_descriptor(bulla, ring, work, value):
    """Its uses could not be told from those of the command line."""
    (work / "config").write_text(f"[keys]\nnightly = {value}\n")
    done = bulla("encrypt", "-k", "nightly", stdin=ring.read_bytes(), env={"BULLA_CONFIG": str(work / "config")}, status=2)
    assert b"the config file names a descriptor for key 'nightly'\nbulla: hint: a descriptor is known only where bulla is started: give it as -k fd:N\n" in done.stderr


# What changes a keyring.

CHANGES = [["rotate", "KEY"], ["retire", "KEY"], ["disable", "KEY#backup:1"], ["enable", "KEY#backup:1"], ["destroy", "--force", "KEY#backup:1"],
           ["passphrase", "--new-passphrase-command", "echo new", "KEY"], ["new", "KEY"], ["new", "KEY#more"]]  # fmt: skip


@pytest.mark.parametrize("verb", CHANGES, ids=" ".join)
@pytest.mark.parametrize("kind", ["pipe", "file"])
def test_keyring_is_not_changed_through_a_descriptor(ring, refused, verb, kind):
    fd = by_pipe(ring.read_bytes()) if kind == "pipe" else os.open(ring, os.O_RDWR)
    verb = ["key", *(word.replace("KEY", f"fd:{fd}") for word in verb)]
    refused(2, "a keyring that comes through a descriptor can only be read\nbulla: hint: to change it, name the file that it is kept in\n", fd, verb=verb)


def test_key_file_that_was_changed_meanwhile(bulla, ring, work):
    """A file is looked at again; of a pipe, what was read stays."""
    rotate = f"{bulla.program} key rotate -q {ring}; echo x"
    args = ["encrypt", "-k", "KEY", "--from-command", rotate, "-o", "out"]
    fd = os.open(ring, os.O_RDONLY)
    said = with_key(bulla, fd, *args, status=7).stderr.decode()
    assert f"the key file that came through descriptor {fd} was changed meanwhile\nbulla: hint: run it again" in said and os.listdir(work) == []
    with_key(bulla, by_pipe(ring.read_bytes()), *args)
    (slot,) = bulla.inspect(work / "out")[0]["slots"]
    assert slot["key_version"] == 2 and json.loads(ring.read_text())["keys"][0]["versions"][-1]["version"] == 3


def test_key_file_is_not_written_over(bulla, ring, work):
    """It is the key's, by whatever way it came."""
    said = with_key(bulla, os.open(ring, os.O_RDONLY), "encrypt", "-k", "KEY", "--force", "-o", ring, stdin=DATA, status=(1, 7)).stderr
    assert b"'%s' is" % os.fsencode(ring) in said and b'"bulla-keyring"' in ring.read_bytes()


@as_root
def test_no_program_inherits_the_descriptor(bulla, ring, work):
    fd = by_pipe(ring.read_bytes())
    with_key(bulla, fd, "encrypt", "-k", "KEY", "--from-command", f"grep flags: /proc/$PPID/fdinfo/{fd}", "-o", "out")
    flags = int(bulla.open(ring, work / "out").split()[1], 8)
    assert flags & os.O_CLOEXEC


# systemd credentials: files of root in a directory of root, which an access control list opens to the unit's user.


@pytest.fixture
def unit(bulla, tmp_path):
    """The directory of a unit's credentials; adds one. bulla runs in a directory of the unit's user."""
    place = pathlib.Path(tempfile.mkdtemp(prefix="bulla-unit-", dir="/tmp"))
    place.chmod(0o755)
    credentials = place / "credentials"
    credentials.mkdir(mode=0o500)
    bulla.work = place / "work"
    bulla.work.mkdir()
    os.chown(bulla.work, OTHER, OTHER)

    def acl(path, rights):
        subprocess.run(["setfacl", "-m", f"u:{OTHER}:{rights}", path], check=True)

    def add(name, text):
        path = credentials / name
        path.write_bytes(text)
        path.chmod(0o400)
        acl(path, "r")
        return path

    acl(credentials, "rx")
    add.at, add.acl = credentials, acl
    yield add
    shutil.rmtree(place)


def as_unit(bulla, unit, *args, env=None, **how):
    under = ["setpriv", f"--reuid={OTHER}", f"--regid={OTHER}", "--clear-groups"]
    return bulla(*args, under=under, env={"CREDENTIALS_DIRECTORY": str(unit.at)} | (env or {}), **how)


@as_root
def test_keyring_that_is_a_credential(bulla, ring, unit):
    path = unit("ring", ring.read_bytes())
    assert path.stat().st_mode & 0o777 == 0o440  # as the list shows
    sealed = bulla("encrypt", "-k", ring, stdin=DATA).stdout
    (bulla.work / "config").write_text("[keys]\nnightly = credential:ring#backup\n")
    os.chown(bulla.work / "config", OTHER, OTHER)
    for key in ("credential:ring", "Credential:ring#backup", "credential:ring#backup:1", f"{path}", f"file:{path}#backup", "nightly"):
        env = MUST | {"BULLA_CONFIG": str(bulla.work / "config")}
        assert as_unit(bulla, unit, "decrypt", "-k", key, stdin=sealed, env=env).stdout == DATA
    assert as_unit(bulla, unit, "decrypt", stdin=sealed, env={"BULLA_KEY": "credential:ring"}).stdout == DATA
    assert bulla("decrypt", "-k", ring, stdin=as_unit(bulla, unit, "encrypt", "-k", "credential:ring", stdin=DATA).stdout).stdout == DATA


@as_root
def test_public_key_that_is_a_credential(bulla, unit):
    pair = bulla.keys / "pair"
    bulla("key", "new", "-q", "--kind", "x25519", pair)
    unit("pub", bulla("key", "export-public", pair).stdout)
    assert bulla("decrypt", "-k", pair, stdin=as_unit(bulla, unit, "encrypt", "-k", "credential:pub", stdin=DATA, env=MUST).stdout).stdout == DATA


@as_root
def test_only_what_is_in_the_directory_is_a_credential(bulla, ring, unit):
    """Without the variable it is a file of another user; so is what a link or a directory in there leads to."""
    path = unit("ring", ring.read_bytes())
    assert b"belongs to another user" in as_unit(bulla, unit, "encrypt", "-k", path, stdin=DATA, env={"CREDENTIALS_DIRECTORY": ""}, status=7).stderr
    (unit.at / "sub").mkdir()
    for inner in (unit.at / "sub/ring", bulla.work.parent / "ring"):
        inner.write_bytes(ring.read_bytes())
        inner.chmod(0o444)
    (unit.at / "link").symlink_to(bulla.work.parent / "ring")
    for name in ("sub/ring", "link"):
        assert b"belongs to another user" in as_unit(bulla, unit, "encrypt", "-k", unit.at / name, stdin=DATA, status=7).stderr


@as_root
def test_credential_that_the_unit_may_write(bulla, ring, unit):
    """That is not as systemd makes it."""
    unit.acl(unit("ring", ring.read_bytes()), "rw")
    said = as_unit(bulla, unit, "encrypt", "-k", "credential:ring", "-o", "out", stdin=DATA, status=7).stderr
    assert b"may be from somebody else: its group can write file" in said and os.listdir(bulla.work) == []


@as_root
def test_credential_that_is_missing(bulla, ring, unit):
    unit("ring", ring.read_bytes())
    said = as_unit(bulla, unit, "encrypt", "-k", "credential:rong", "-o", "out", stdin=DATA, status=10).stderr.decode()
    assert f"there is no keyring '{unit.at}/rong'\nbulla: hint: keys that exist: '{unit.at}/ring'" in said and os.listdir(bulla.work) == []


@as_root
@pytest.mark.parametrize("verb", [*CHANGES, ["new", "credential:fresh"]], ids=" ".join)
def test_credential_is_not_changed(bulla, ring, unit, verb):
    """Not by root either, who could: it is a copy."""
    unit("ring", ring.read_bytes())
    before = snapshot(unit.at)
    verb = [word.replace("KEY", "credential:ring") for word in verb]
    done = bulla("key", *verb, env={"CREDENTIALS_DIRECTORY": str(unit.at)}, status=9 if verb == ["new", "credential:ring"] else 7)
    assert done.stdout == b"" and snapshot(unit.at) == before
    if verb != ["new", "credential:ring"]:
        assert b"is a credential: a copy that is gone when its unit ends\nbulla: hint: change the file that LoadCredential= of the unit names\n" in done.stderr
