"""Descriptors with two uses: whoever reads first would take what was meant for the other."""

import os
import subprocess

import pytest

from sealed import content, snapshot

DATA = b"the data\n"


@pytest.fixture
def world(bulla, work):
    bulla("key", "new", "-q", "a.ring")
    (work / "f").write_bytes(content(10))
    bulla("encrypt", "-k", "./a.ring", "-o", "s.bulla", "f")
    os.symlink("/dev/stdin", work / "link")
    return work


def refused(bulla, *args, uses, env=None, **how):
    """Before anything is read or made."""
    before = snapshot(bulla.work)
    read, write = os.pipe()
    os.write(write, DATA)
    os.close(write)
    with open(read, "rb") as pipe:
        done = bulla(*args, stdin_file=pipe, env=env, status=2, start_new_session=True, **how)
        assert pipe.read() == DATA, "something was read"
    says = done.stderr.decode()
    assert uses in says and "hint: give each a file or a descriptor of its own" in says, says
    assert done.stdout == b"" and snapshot(bulla.work) == before


ENCRYPT = ["encrypt", "-k", "./a.ring"]
INPUT = "standard input has two uses: "
TWICE = {
    "data and new passphrase": (["encrypt", "-k", "passphrase:", "--new-passphrase-fd", "0", "-o", "p"], "the data and --new-passphrase-fd"),
    "list and new passphrase": (["encrypt", "-k", "passphrase:", "--new-passphrase-fd", "0", "--files-from", "-"], "--files-from and --new-passphrase-fd"),
    "data and passphrase": (["decrypt", "-k", "./a.ring", "--passphrase-fd", "0"], "the data and --passphrase-fd"),
    "data and PIN": (["verify", "-k", "./a.ring", "--pin-fd", "0"], "the data and --pin-fd"),
    "FILE and passphrase": ([*ENCRYPT, "--passphrase-fd", "0", "-o", "p", "-"], "FILE and --passphrase-fd"),
    "FILE twice": (["verify", "-k", "./a.ring", "-", "-"], "FILE and FILE"),
    "FILE and list": (["verify", "-k", "./a.ring", "--files-from", "-", "-"], "FILE and --files-from"),
    "two passphrases": (["encrypt", "-k", "./a.ring", "-k", "passphrase:", "--passphrase-fd", "0", "--new-passphrase-fd", "0", "f"], "--passphrase-fd and --new-passphrase-fd"),
    "passphrase of a keyring": (["key", "passphrase", "--passphrase-fd", "0", "--new-passphrase-fd", "0", "./a.ring"], "--passphrase-fd and --new-passphrase-fd"),
    "data by its path": ([*ENCRYPT, "-o", "p", "/dev/stdin", "-"], "FILE and FILE"),
    "data by /dev/fd": ([*ENCRYPT, "--passphrase-fd", "0", "-o", "p", "/dev/fd/0"], "FILE and --passphrase-fd"),
    "data by /proc": ([*ENCRYPT, "--passphrase-fd", "0", "-o", "p", "/proc/self/fd/0"], "FILE and --passphrase-fd"),
    "list by its path": ([*ENCRYPT, "--passphrase-fd", "0", "--files-from", "/dev/stdin"], "--files-from and --passphrase-fd"),
    "data and key": (["encrypt", "-k", "/dev/stdin", "-o", "p"], "the data and a key"),
    "data and key by its number": (["encrypt", "-k", "fd:0#a", "-o", "p"], "the data and a key"),
    "key and passphrase": (["verify", "-k", "FD:0", "--passphrase-fd", "0", "s.bulla"], "--passphrase-fd and a key"),
    "two keys by number and path": (["verify", "-k", "fd:0", "-k", "FILE:/dev/fd/0", "s.bulla"], "a key and a key"),
    "two keys": (["verify", "-k", "/dev/stdin", "-k", "file:/dev/fd/0#a", "s.bulla"], "a key and a key"),
    "data and --to": (["reencrypt", "-k", "./a.ring", "--to", "/dev/stdin", "-"], "FILE and a key"),
    "key and new key": (["key", "rotate", "--passphrase-fd", "0", "/dev/stdin"], "--passphrase-fd and a key"),
    "data and pin-source": (["encrypt", "-k", "pkcs11:token=t;object=o?pin-source=file:/dev/stdin&module-path=/m", "-o", "p"], "the data and a key"),
    "data and pin-source, escaped": (["encrypt", "-k", "pkcs11:token=t;object=o?pin-source=file:%2Fdev%2Fstdin", "-o", "p"], "the data and a key"),
    "data and pin-source with a host": (["decrypt", "-k", "pkcs11:token=t?pin-source=file://localhost/dev/stdin"], "the data and a key"),
    "list and pin-source": (["verify", "-k", "pkcs11:token=t?pin-source=file:///dev/stdin", "--files-from", "-"], "--files-from and a key"),
    "data and envelope": (["verify", "-k", "./a.ring", "--envelope", "/dev/stdin"], "the data and --envelope"),
}  # fmt: skip


@pytest.mark.parametrize("what", TWICE)
def test_standard_input_with_two_uses(bulla, world, what):
    args, uses = TWICE[what]
    refused(bulla, *args, uses=INPUT + uses)


READ_BOTH = {
    "data and new passphrase": (["encrypt", "-k", "passphrase:", "--new-passphrase-fd", "0", "-o", "p", "link"], "FILE and --new-passphrase-fd"),
    "FILE twice": (["verify", "-k", "./a.ring", "link", "./link"], "FILE and FILE"),
    "data and FILE": (["verify", "-k", "./a.ring", "-", "link"], "FILE and FILE"),
    "FILE and list": (["verify", "-k", "./a.ring", "--files-from", "-", "link"], "FILE and --files-from"),
    "data and key": (["encrypt", "-k", "./link#a", "-o", "p"], "the data and a key"),
}  # fmt: skip


@pytest.mark.parametrize("what", READ_BOTH)
def test_link_to_standard_input_with_two_uses(bulla, world, what):
    args, uses = READ_BOTH[what]
    before = snapshot(world)
    read, write = os.pipe()
    os.write(write, DATA)
    os.close(write)
    with open(read, "rb") as pipe:
        done = bulla(*args, stdin_file=pipe, status=2)
        assert pipe.read() == DATA, "something was read"
    assert f"{uses} would read the same input" in done.stderr.decode() and snapshot(world) == before


def test_link_to_a_file_that_is_a_secret_too(bulla, world):
    """The file was sealed with its own first line as the passphrase."""
    before = snapshot(world)
    with open(world / "f", "rb") as file:
        done = bulla("encrypt", "-k", "passphrase:", "--new-passphrase-fd", "0", "-o", "p", "link", stdin_file=file, status=2)
    assert b"FILE and --new-passphrase-fd would read the same input" in done.stderr and snapshot(world) == before
    (world / "again").symlink_to("s.bulla")
    bulla("verify", "-k", "./a.ring", "s.bulla", "again")  # each is read by itself


VARIABLES = {
    "passphrase": ("BULLA_PASSPHRASE_FILE", "BULLA_PASSPHRASE_FILE"),
    "new passphrase": ("BULLA_NEW_PASSPHRASE_FILE", "BULLA_NEW_PASSPHRASE_FILE"),
    "PIN": ("BULLA_PIN_FILE", "BULLA_PIN_FILE"),
    "configuration": ("BULLA_CONFIG", "the configuration"),
    **{name: (name, name) for name in ["AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_WEB_IDENTITY_TOKEN_FILE",
                                       "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "AWS_CA_BUNDLE"]},
}  # fmt: skip


@pytest.mark.parametrize("what", VARIABLES)
def test_variable_that_names_standard_input(bulla, world, what):
    variable, shown = VARIABLES[what]
    refused(bulla, *ENCRYPT, "-o", "p", env={variable: "/dev/stdin"}, uses=f"{INPUT}the data and {shown}")


def test_key_of_the_environment(bulla, world):
    refused(bulla, "encrypt", "-o", "p", env={"BULLA_KEY": "/dev/stdin"}, uses=INPUT + "the data and a key")


@pytest.mark.parametrize("given", [["-k", "token"], []])
def test_pin_source_of_the_config_file(bulla, world, given):
    """The sealed data would be tried as a PIN."""
    (world / "conf").write_text("[keys]\ntoken = pkcs11:token=t;object=o?pin-source=/dev/stdin\n[defaults]\nkeys = token\n")
    refused(bulla, "decrypt", *given, env={"BULLA_CONFIG": "conf"}, uses=INPUT + "the data and a key")


def test_other_descriptor(bulla, world):
    with open(world / "f", "rb") as file:
        fd = file.fileno()
        refused(bulla, *ENCRYPT, "--passphrase-fd", str(fd), "-o", "p", f"/dev/fd/{fd}",
                uses=f"descriptor {fd} has two uses: FILE and --passphrase-fd", pass_fds=[fd])  # fmt: skip


@pytest.mark.parametrize("number, name, use", [("1", "output", "what is printed"), ("2", "error", "messages")])
def test_secret_from_where_bulla_writes(bulla, world, number, name, use):
    refused(bulla, "verify", "-k", "./a.ring", "--passphrase-fd", number, "s.bulla", uses=f"standard {name} has two uses: --passphrase-fd and {use}")


def test_one_pipe_under_two_numbers(bulla, world):
    before = snapshot(world)
    read, write = os.pipe()
    os.write(write, DATA)
    os.close(write)
    copy = os.dup(read)
    done = bulla("encrypt", "-k", "passphrase:", "--new-passphrase-fd", str(copy), "-o", "p", stdin_file=read, pass_fds=[copy], status=2)
    assert b"the data and --new-passphrase-fd would read the same input" in done.stderr and snapshot(world) == before
    assert os.read(read, 100) == DATA
    os.close(read)
    os.close(copy)


def test_one_named_pipe_twice(bulla, world):
    os.mkfifo(world / "pipe")
    env = {"BULLA_PASSPHRASE_FILE": "pipe"}
    for args in [["--files-from", "./pipe"], ["./pipe"]]:
        done = bulla("verify", "-k", "./a.ring", *args, env=env, status=2)
        assert b"would read the same input" in done.stderr


def test_uses_of_different_descriptors(bulla, world):
    """What looks like the cases above and is none."""
    (world / "secret").write_text("a passphrase")
    with open(world / "secret", "rb") as secret:
        args = ["encrypt", "-k", "passphrase:", "--new-passphrase-fd", str(secret.fileno()), "-o", "p"]
        bulla(*args, stdin=DATA, pass_fds=[secret.fileno()])
    env = {"BULLA_PASSPHRASE_FILE": "secret"}
    assert bulla("decrypt", "-k", "passphrase:", "-o", "-", "p", env=env).stdout == DATA
    bulla("verify", "-k", "passphrase:", "--passphrase-fd", "0", "p", stdin=b"a passphrase\n")
    bulla("verify", "-k", "./a.ring", "--files-from", "-", stdin=b"s.bulla\n")
    bulla(*ENCRYPT, "-o", "null", env={"BULLA_CONFIG": "/dev/null"}, stdin_file=subprocess.DEVNULL)
    assert bulla("decrypt", "-k", "./a.ring", "-o", "-", "null", "./s.bulla").stdout == content(10)


# Numbers that nobody opened: files of bulla's own would get them.
NOT_OPEN = {
    "new passphrase": (["-k", "passphrase:", "--new-passphrase-fd", "{}"], "--new-passphrase-fd"),
    "passphrase": (["-k", "./a.ring", "--passphrase-fd", "{}"], "--passphrase-fd"),
    "PIN": (["-k", "./a.ring", "--pin-fd", "{}"], "--pin-fd"),
    "key": (["-k", "fd:{}"], "a key"),
    "key by its path": (["-k", "/dev/fd/{}"], "a key"),
    "FILE": (["-k", "./a.ring", "/proc/self/fd/{}"], "FILE"),
    "list": (["-k", "./a.ring", "--files-from", "/dev/fd/{}"], "--files-from"),
    "variable": (["-k", "passphrase:"], "BULLA_NEW_PASSPHRASE_FILE"),
}


@pytest.mark.parametrize("what", NOT_OPEN)
def test_descriptor_that_is_not_open(bulla, world, what):
    """The source that is sealed was taken for the passphrase that it is sealed to. 512 is where standard output is kept."""
    before = snapshot(world)
    args, by = NOT_OPEN[what]
    for fd in [*range(3, 10), 512]:
        env = {by: f"/dev/fd/{fd}"} if what == "variable" else None
        files = [] if by == "--files-from" else ["-o", "p", "f"]
        done = bulla("encrypt", *(arg.format(fd) for arg in args), *files, env=env, status=2, start_new_session=True)
        assert f"bulla: {by}: descriptor {fd} is not open\nbulla: hint: open it where bulla is started" in done.stderr.decode()
    assert snapshot(world) == before


@pytest.mark.parametrize("verb", ["encrypt", "decrypt", "verify", "inspect", "status", "rewrap", "reencrypt"])
@pytest.mark.parametrize("name", ["-", "/dev/stdin", "/dev/fd/0"])
def test_list_names_no_descriptor(bulla, world, verb, name):
    """It would be the rest of the list."""
    (world / "g").write_bytes(b"x")
    bulla(*ENCRYPT, "g")
    before = snapshot(world)
    key = [] if verb in ("inspect", "status") else ["-k", "./a.ring"]
    done = bulla(verb, *key, "--files-from", "-", stdin=f"{name}\nnowhere\n".encode(), status=3)
    assert f"'{name}' is a descriptor, and in a list it could have two uses".encode() in done.stderr
    assert snapshot(world) == before


def test_list_names_a_link_to_itself(bulla, world):
    """The rest of the list was sealed as the data of that name, what it names was not, and the status was 0."""
    read, write = os.pipe()
    run = subprocess.Popen(bulla.command([*ENCRYPT, "--files-from", "-"]), stdin=read, stderr=subprocess.PIPE, **bulla.setting(None))
    os.close(read)
    with open(write, "wb", buffering=0) as rest:
        rest.write(b"f\n" * 4096)  # more than is looked at in one go
        rest.write(b"link\n" + b"f\n" * 4096)
    said = run.communicate()[1].decode()
    assert run.returncode == 3 and not (world / "link.bulla").exists()
    assert "'link' leads to a descriptor, and in a list it could have two uses" in said


@pytest.mark.parametrize("verb", ["encrypt", "decrypt"])
@pytest.mark.parametrize("kind", ["file", "pipe"])
def test_messages_in_the_result(bulla, world, verb, kind):
    """A damaged copy of the envelope is told of, with status 0: the text would be part of the result."""
    source = "f" if verb == "encrypt" else "s.bulla"
    with open(world / source, "rb") as stdin, open(world / "out", "wb") as out:
        where = out if kind == "file" else subprocess.PIPE
        done = subprocess.run(bulla.command([verb, "-k", "./a.ring"]), stdin=stdin, stdout=where, stderr=subprocess.STDOUT,
                              **bulla.setting(None))  # fmt: skip
    said = done.stdout if kind == "pipe" else (world / "out").read_bytes()
    assert done.returncode == 2 and said.startswith(b"bulla: the result and the messages would go to one file") and said.count(b"\n") == 2


def test_messages_beside_a_result_of_a_name(bulla, world):
    done = subprocess.run(bulla.command(["decrypt", "-k", "./a.ring", "-o", "plain", "s.bulla"]), stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, **bulla.setting(None))  # fmt: skip
    assert done.returncode == 0 and (world / "plain").read_bytes() == content(10)


@pytest.mark.parametrize("option", ["--passphrase-command", "--new-passphrase-command", "--pin-command"])
def test_command_does_not_read_the_data(bulla, world, option):
    """It would take what is to be sealed."""
    command = "cat >../eaten; echo a passphrase"
    key = "./locked.ring" if option == "--passphrase-command" else "passphrase:"
    bulla("key", "new", "-q", "--passphrase", "--new-passphrase-fd", "0", "locked.ring", stdin=b"a passphrase\n")
    if option == "--pin-command":
        bulla("encrypt", "-k", "pkcs11:token=t;object=o?module-path=/nowhere", option, command, "-o", "p", stdin=DATA, status=6)
        return
    bulla("encrypt", "-k", key, option, command, "-o", "p", stdin=DATA)
    assert (world.parent / "eaten").read_bytes() == b""
    opened = bulla("decrypt", "-k", key, "--passphrase-command", "echo a passphrase", "-o", "-", "p")
    assert opened.stdout == DATA
