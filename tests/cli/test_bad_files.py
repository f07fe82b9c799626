"""Names, lists, trees and directories that are bad in themselves: a clear line, the right status, and nothing left behind."""

import os
import signal

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from held import wait_until_asleep
from program import BOUND
from sealed import SMALL, content, make_socket, snapshot

# Public keys.


RSA_SIZES = {
    2047: b"an RSA key of 2047 bits, not 2048 to 4096",
    2049: b"an RSA key of 2049 bits, which is not a multiple of 8",
    4095: b"an RSA key of 4095 bits, which is not a multiple of 8",
    4104: b"an RSA key of 4104 bits, not 2048 to 4096",
    16384: b"an RSA key of 16384 bits, not 2048 to 4096",
}


@pytest.mark.parametrize("bits", RSA_SIZES)
def test_rsa_key_of_an_odd_size(bulla, work, bits):
    """It is whole, but not for bulla; what is said of it is what is wrong."""
    (work / "plain").write_bytes(b"x")
    key = rsa.RSAPublicNumbers(65537, 2**bits - 1).public_key()
    (work / "key.pem").write_bytes(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    before = snapshot(work)
    assert RSA_SIZES[bits] in bulla("encrypt", "-k", "./key.pem", "plain", status=8).stderr and snapshot(work) == before


# Lists of files.

LISTS = {
    "zero byte": (b"plain\0plain2\n", [], b"a name in 'list' has a zero byte in it"),
    "no line end": (b"n" * 100_000, [], b"a name in 'list' is longer than 8192 bytes"),
    "no zero byte": (b"plain\n" * 10_000, ["-0"], b"a name in 'list' is longer than 8192 bytes"),
    "too long a name": (b"n" * 300 + b"\n", [], b"File name too long"),
    "too long a path": (b"n/" * 4000 + b"\n", [], b"File name too long"),
}


@pytest.mark.parametrize("text, options, says", LISTS.values(), ids=LISTS)
def test_list_that_is_none(bulla, ring, work, text, options, says):
    (work / "plain").write_bytes(b"x")
    (work / "list").write_bytes(text)
    before = snapshot(work)
    done = bulla("encrypt", "-k", ring, "--files-from", "list", *options, status=3)
    assert says in done.stderr and snapshot(work) == before


def test_endless_list(bulla, ring, work):
    """Of which no more is held than a name may have."""
    limit = ["sh", "-c", 'ulimit -v 400000; exec "$@"', "sh"] if not os.environ.get("BULLA_SANITIZED") else []
    done = bulla("encrypt", "-k", ring, "--files-from", "/dev/zero", "-0", status=130, under=["timeout", "--preserve-status", "-s", "INT", "0.3", *limit])
    assert os.listdir(work) == [] and done.stdout == b""


@pytest.mark.parametrize("what", ["list", "config", "passphrase", "envelope", "file"])
def test_wait_for_a_writer_can_be_interrupted(bulla, ring, work, what):
    """A pipe without a writer is waited for, as by any program, until a signal comes."""
    bulla.seal(ring, b"x", name="sealed")
    os.mkfifo(work / "fifo", 0o600)
    before = snapshot(work)
    command = {
        "list": ["decrypt", "-k", ring, "--files-from", "fifo"],
        "config": ["decrypt", "-k", "nightly", "sealed.bulla"],
        "passphrase": ["rewrap", "-k", ring, "--add", "passphrase:", "sealed.bulla"],
        "envelope": ["decrypt", "-k", ring, "--envelope", "fifo", "sealed.bulla"],
        "file": ["encrypt", "-k", ring, "fifo"],
    }
    variables = {"config": "BULLA_CONFIG", "passphrase": "BULLA_NEW_PASSPHRASE_FILE"}
    process = bulla.start(*command[what], env={variables[what]: "fifo"} if what in variables else {}, stdin=None)
    wait_until_asleep(process)
    process.send_signal(signal.SIGINT)
    _, err = bulla.finish(process, status=130)
    assert err.startswith(b"bulla: ") and snapshot(work) == before


# Long names and deep trees.


@pytest.mark.parametrize("size, options", [(250, []), (255, []), (246, ["--detach"])])
def test_name_without_room_for_its_suffix(bulla, ring, work, size, options):
    """Alone and in a tree, where the other files are done."""
    (work / "t").mkdir()
    for name in ("n" * size, "other"):
        (work / "t" / name).write_bytes(b"x")
    before = snapshot(work)
    assert b"is too long: it has" in bulla("encrypt", "-k", ring, *options, "t/" + "n" * size, status=1).stderr
    assert snapshot(work) == before
    done = bulla("encrypt", "-k", ring, *options, "-r", "t", status=3)
    assert b"is too long: it has" in done.stderr and b"1 sealed, 0 skipped, 1 failed" in done.stderr
    assert len(os.listdir(work / "t")) == 3 + len(options)


def test_longest_name_comes_back(bulla, ring, work):
    name = "n" * 249
    (work / name).write_bytes(b"x")
    bulla("encrypt", "-k", ring, "--remove-source", name)
    bulla("decrypt", "-k", ring, "--remove-source", f"{name}.bulla")
    assert os.listdir(work) == [name] and (work / name).read_bytes() == b"x"


def make_deep(top, name, levels):
    """A file so far down; by descriptors, as no path leads there."""
    top.mkdir()
    here = os.open(top, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir(name, dir_fd=here)
        below = os.open(name, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    with open(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=here), "wb") as file:
        file.write(b"deep")
    os.close(here)


def names_below(top):
    return sorted(name for *_, names, _ in os.fwalk(top) for name in names)


def test_tree_deeper_than_any_path(bulla, ring, work):
    """30 times 255 bytes: each verb walks it, and a message of it says what is the matter to its end."""
    make_deep(work / "t", "n" * 255, 30)
    (work / "out").mkdir()
    assert b"1 sealed" in bulla("encrypt", "-k", ring, "-r", "t").stderr
    for verb in ("verify", "rewrap", "reencrypt"):
        assert b"0 failed" in bulla(verb, "-k", ring, "-r", "t").stderr
    assert b"1 shown, 0 skipped, 1 failed" in bulla("inspect", "-r", "t", status=3).stderr
    assert b"1 file" in bulla("status", "-r", "t").stdout
    assert b"/file' already exists\n" in bulla("decrypt", "-k", ring, "-r", "t", status=3).stderr
    assert b"1 opened" in bulla("decrypt", "-k", ring, "-r", "t", "-o", "out").stderr
    assert names_below(work / "out") == ["file"] and names_below(work / "t") == ["file", "file.bulla"]


def test_tree_that_is_too_deep(bulla, ring, work):
    make_deep(work / "t", "n", 300)
    done = bulla("encrypt", "-k", ring, "-r", "t", status=3)
    assert b"is more than 256 deep" in done.stderr and names_below(work / "t") == ["file"]


def test_links_that_lead_back_are_not_followed(bulla, ring, work):
    (work / "t" / "sub").mkdir(parents=True)
    (work / "t" / "sub" / "up").symlink_to("..")
    (work / "t" / "sub" / "self").symlink_to("self")
    (work / "t" / "f").write_bytes(b"x")
    make_socket(work / "t" / "socket")
    done = bulla("encrypt", "-k", ring, "-r", "t")
    assert b"1 sealed, 3 skipped, 0 failed" in done.stderr
    assert b"skipped 't/sub/up': a symbolic link" in done.stderr and b"skipped 't/socket': not a regular file" in done.stderr


# Directories that may only be read, by somebody who is not root.

WRITERS = {
    "encrypt": (["encrypt", "-k", "./ring", "ro/f"], "cannot create 'ro/f.bulla': Permission denied"),
    "decrypt": (["decrypt", "-k", "./ring", "ro/s.bulla"], "cannot create 'ro/s': Permission denied"),
    "remove the source": (["encrypt", "-k", "./ring", "--remove-source", "ro/f", "-o", "out"], "cannot remove 'ro/f': Permission denied"),
    "reencrypt": (["reencrypt", "-k", "./ring", "ro/s.bulla"], "cannot create 'ro/s.bulla': Permission denied"),
    "detach": (["encrypt", "-k", "./ring", "f", "--envelope", "ro/e"], "cannot create 'ro/e': Permission denied"),
    "export": (["envelope", "export", "ro/s.bulla"], "cannot create 'ro/s.bulla.env': Permission denied"),
    "new": (["key", "new", "ro/new"], "'ro/new': Permission denied"),
    "rotate": (["key", "rotate", "ro/ring"], "'ro/ring': Permission denied"),
    "retire": (["key", "retire", "ro/ring"], "'ro/ring': Permission denied"),
    "passphrase": (["key", "passphrase", "ro/ring", "--new-passphrase-command", "echo x"], "'ro/ring': Permission denied"),
    "public key": (["key", "export-public", "ro/pair", "-o", "ro/public"], "cannot create 'ro/public': Permission denied"),
    "tree": (["encrypt", "-k", "./ring", "-r", "t", "-o", "ro"], "cannot make directory 'ro/sub': Permission denied"),
}


@pytest.mark.parametrize("args, says", WRITERS.values(), ids=WRITERS)
def test_directory_that_may_only_be_read(bulla, work, args, says):
    directory = work / "ro"
    (work / "t" / "sub").mkdir(parents=True)
    directory.mkdir()
    for name in ("./ring", "ro/ring"):
        bulla("key", "new", "-q", name)
    bulla("key", "new", "-q", "--kind", "x25519", "ro/pair")
    bulla("encrypt", "-k", "./ring", "-o", "ro/s.bulla", stdin=b"x")
    for name in ("f", "ro/f", "t/sub/f"):
        (work / name).write_bytes(b"x")
    directory.chmod(0o555)
    before = snapshot(work)
    done = bulla(*args, status=(1, 3), under=BOUND)
    assert says.encode() in done.stderr and set(snapshot(work)) - set(before) <= {os.fsencode(work / "out")}
    directory.chmod(0o755)


def test_large_files_in_a_directory_that_may_only_be_read_are_rewrapped(bulla, ring, work):
    """In place, where only the file is written; a small one would be replaced."""
    other = bulla.new_key("other")
    (work / "ro").mkdir()
    large, small = (bulla.seal(ring, content(size), name=f"ro/{size}") for size in (SMALL, 1))
    before = snapshot(work)
    (work / "ro").chmod(0o555)
    bulla("rewrap", "-k", ring, "--add", other, large, under=BOUND)
    done = bulla("rewrap", "-k", ring, "--add", other, small, under=BOUND, status=1)
    (work / "ro").chmod(0o755)
    assert f"cannot create '{small}': Permission denied".encode() in done.stderr
    assert bulla.open(other, large) == content(SMALL)
    assert {name for name, what in snapshot(work).items() if before.get(name) != what} == {os.fsencode(large)}


def test_files_in_a_directory_that_may_only_be_searched(bulla, work):
    """Who knows their names can work with them."""
    directory, ring = work / "x", "x/ring"
    directory.mkdir()
    bulla("key", "new", "-q", ring)
    bulla("key", "rotate", ring)
    (directory / "f").write_bytes(content(SMALL))
    directory.chmod(0o100)
    bulla("encrypt", "-k", ring, "-o", "s.bulla", "x/f", under=BOUND)
    directory.chmod(0o700)
    (work / "s.bulla").rename(directory / "s.bulla")
    bulla("key", "rotate", ring)
    directory.chmod(0o100)
    bulla("rewrap", "-k", ring, "x/s.bulla", under=BOUND)
    bulla("verify", "-k", ring, "x/s.bulla", under=BOUND)
    bulla("decrypt", "-k", ring, "-o", "back", "x/s.bulla", under=BOUND)
    directory.chmod(0o700)
    assert (work / "back").read_bytes() == content(SMALL) and bulla.inspect("x/s.bulla")[0]["slots"][0]["key_version"] == 3


NEED_TO_READ = [
    (["encrypt", "-k", "./ring", "x/f"], "x/f.bulla"),
    (["encrypt", "-k", "./ring", "--remove-source", "-o", "out", "x/f"], "x/f"),
    (["key", "rotate", "x/ring"], "x/ring"),
    (["key", "new", "x/new"], "x/new"),
]


@pytest.mark.parametrize("args, name", NEED_TO_READ)
def test_change_of_a_directory_that_may_not_be_read(bulla, work, args, name):
    """It could not be made durable: nothing is made or removed there."""
    directory = work / "x"
    directory.mkdir()
    for ring in ("./ring", "x/ring"):
        bulla("key", "new", "-q", ring)
    (directory / "f").write_bytes(b"plain")
    before = snapshot(directory)
    directory.chmod(0o300)
    done = bulla(*args, status=1, under=BOUND)
    directory.chmod(0o700)
    assert f"cannot read the directory of '{name}': Permission denied".encode() in done.stderr and snapshot(directory) == before
