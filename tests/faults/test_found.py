"""What the sweeps found, and what bulla does there now."""

import re
import shutil

import pytest

import calls
from scenarios import MIDDLE, SMALL, both, exported, plain, rings, sealed
from world import ANY, Template, World

K = ("-k", "../keys/a.ring")


@pytest.fixture
def world():
    """A world with two keyrings, and a file both plain and sealed."""
    with World(Template(both(rings, plain(SMALL), sealed(MIDDLE), exported))) as made:
        yield made


@pytest.fixture
def failing(world, tools):
    """The command that runs bulla so that the nth call of a name fails."""
    return lambda name, n, error: [str(tools / "tracer"), str(world.home / "report"), "error",
                                   *map(str, (calls.number(name), n, n, calls.code(error)))]  # fmt: skip


def count(world, tools, name, *args):
    """How often a run makes a call."""
    world(*args, under=[str(tools / "tracer"), str(world.home / "report"), "record"])
    return (world.home / "report").read_text().split().count(str(calls.number(name)))


def allocating(world, tools):
    return {"LD_PRELOAD": str(tools / "failing.so"), "FAILING_REPORT": str(world.home / "report")}


def without(world, tools, n, *args):
    """Runs bulla without its nth allocation."""
    return world(*args, env=allocating(world, tools) | {"FAILING_FIRST": str(n), "FAILING_LAST": str(n)}, status=(0, 1))


def without_each(world, tools, *args):
    """Runs bulla without one allocation, for each but the first, which is for the options, and those of OpenSSL."""
    world(*args, env=allocating(world, tools))
    rows = [line.split() for line in (world.home / "report").read_text().splitlines()]
    for n, by_openssl in rows[1:]:
        if by_openssl == "0":
            yield without(world, tools, int(n), *args)


def test_no_random_bytes_is_told(world, failing):
    """libsodium aborts, from wherever it first needs some."""
    for n in (1, 2, 3, 4):
        done = world("encrypt", *K, "f", "-o", "out", under=failing("getrandom", n, "ENOSYS"), status=(0, 1))
        assert done.returncode == 0 or b"random bytes" in done.stderr
        assert (world.work / "out").exists() == (done.returncode == 0)
        (world.work / "out").unlink(missing_ok=True)


def test_no_descriptor_in_place_of_a_closed_one_is_told(world, failing):
    done = world("verify", *K, "f.bulla", under=failing("fcntl", 1, "EBADF"), status=1)
    assert done.stderr.startswith(b"bulla: cannot open /dev/null in place of a closed descriptor")


def test_a_keyring_that_was_written_and_not_read_back_is_told_to_be_written(world, failing, tools):
    reads = count(world, tools, "read", "key", "retire", "../keys/b.ring")
    (world.keys / "a.ring").rename(world.keys / "kept")
    found = []
    for n in range(1, reads + 1):
        shutil.copy(world.keys / "kept", world.keys / "a.ring")
        done = world("key", "retire", "../keys/a.ring", under=failing("read", n, "EIO"), status=(0, 1))
        if done.returncode == 0:  # what OpenSSL reads for itself
            continue
        found.append(world.read("keys/a.ring") != world.read("keys/kept"))
        assert found[-1] == (b"keyring '../keys/a.ring' was written, but could not be read back" in done.stderr)
    assert True in found and False in found


def test_a_restore_that_was_broken_off_is_run_again(world, tools):
    """At its second sync one copy is written: the file has a newer number, and yet what is to be put in."""
    with open(world.work / "f.bulla", "r+b") as file:
        file.seek(100)
        file.write(b"broken")
    number = calls.number("fdatasync")
    tracer = [str(tools / "tracer"), str(world.home / "report"), "error", str(number), "2", "2", str(calls.code("EIO"))]
    world("envelope", "restore", "f.bulla", under=tracer, status=1)
    world("envelope", "restore", "f.bulla")
    assert world.inspect("f.bulla")[0]["copies"] == ["good", "good"]


def test_a_restored_envelope_that_was_not_read_back_is_told_to_be_written(world, failing, tools):
    (world.work / "g.bulla").write_bytes(world.read("work/f.bulla"))
    (world.work / "g.bulla.env").write_bytes(world.read("work/f.bulla.env"))
    last = count(world, tools, "read", "envelope", "restore", "g.bulla")
    done = world("envelope", "restore", "f.bulla", under=failing("read", last, "EIO"), status=1)
    assert re.match(rb"bulla: the envelope was written, but could not be read back: ", done.stderr)
    assert world("envelope", "restore", "f.bulla", status=ANY).returncode == 0


def test_a_body_in_its_place_keeps_its_envelope(world, failing):
    """The fourth sync is that of the directory, after the body got its name."""
    done = world("encrypt", "--detach", *K, "-o", "out", "f", under=failing("fsync", 4, "EIO"), status=1)
    assert b"'out'; it is in its place but may not be durable" in done.stderr
    assert world.opened("work/out", "keys/a.ring", "work/out.env") == SMALL


def test_a_public_key_is_whole_or_not_written(world, tools):
    """jansson leaves out names in silence when it has no memory for them."""
    world("key", "new", "-q", "--kind", "x25519", "../keys/vault.ring")
    world("key", "export-public", "../keys/vault.ring", "-o", "whole")
    failed = 0
    for done in without_each(world, tools, "key", "export-public", "--force", "../keys/vault.ring", "-o", "again"):
        failed += done.returncode
        assert world.read("work/again") in (None, world.read("work/whole"))
    assert failed > 5


def test_status_without_memory_for_a_name(world, tools):
    """It ended by SIGSEGV, in what it shows of the oldest file."""
    statuses = [done.returncode for done in without_each(world, tools, "status", "f.bulla")]
    assert 0 in statuses and 1 in statuses


def test_key_check_without_memory_leaves_out_nothing(world, tools):
    """The name of the key was missing, with exit status 0."""
    check = ("key", "check", "../keys/a.ring")
    whole = world(*check).stdout
    runs = list(without_each(world, tools, *check))
    assert 0 in [done.returncode for done in runs] and b"cannot write standard output" in b"".join(done.stderr for done in runs)
    assert all(done.stdout == whole for done in runs if done.returncode == 0)


def test_key_check_without_memory_for_its_json(world, tools):
    """It printed what is for people, with exit status 0."""
    check = ("key", "check", "--json", "../keys/a.ring")
    whole = world(*check).stdout
    runs = list(without_each(world, tools, *check))
    assert all(done.stdout == whole for done in runs if done.returncode == 0)
    assert all(done.stdout[:1] == b"{" or not done.stdout.strip() for done in runs)
    assert b"" in [done.stdout for done in runs if done.returncode == 1 and b"out of memory" in done.stderr]


def test_openssl_has_no_memory_for_its_end(world, tools):
    """It waited for itself for ever: an error that it had no place for yet, while it freed its context."""
    check = ("key", "check", "../keys/a.ring")
    world(*check, env=allocating(world, tools))
    last = len((world.home / "report").read_text().splitlines())
    runs = [without(world, tools, n, *check) for n in range(last - 30, last + 1)]
    assert 0 in [done.returncode for done in runs]


def test_a_walk_passes_by_what_a_killed_run_left(world):
    (world.work / "t").mkdir()
    for name in (".bulla-0123456789abcdef", ".bulla-0123456789abcdeg", ".bulla-0123456789abcdef0"):
        (world.work / "t" / name).write_bytes(b"x")
    done = world("encrypt", *K, "-r", "t")
    assert b"skipped 't/.bulla-0123456789abcdef': a temporary file" in done.stderr
    assert b"2 sealed, 1 skipped, 0 failed" in done.stderr
