"""Little of what a process is given: descriptors, stack, memory, threads. bulla does with it what can be done, and says what it lacks."""

import os
import pathlib
import shutil
import tempfile

import pytest

from program import BOUND, SANITIZED
from sealed import content

FILES = 60
KIB = 1024
NOBODY = 65534

pytestmark = pytest.mark.skipif(SANITIZED, reason="a sanitizer needs room of its own")


@pytest.fixture
def tree(work):
    """Files in directories of their own, of a size that no thread is through with at once."""
    for number in range(FILES):
        (work / "t" / str(number)).mkdir(parents=True)
        (work / "t" / str(number) / "f").write_bytes(content(70_000, number))
    return work / "t"


def limited(*limits):
    """Runs under limits, soft and hard, that even root cannot raise."""
    return ["prlimit", *(f"--{name}={value}:{value}" for name, value in limits), *BOUND]


def all_verbs(bulla, ring, tree, limits):
    """Each verb that takes several files at once does all of them; returns what was said."""
    (tree.parent / "out").mkdir()
    how = {"under": limits}
    said = bulla("encrypt", "-j16", "-k", ring, "-r", "--detach", "--remove-source", "-o", "out", "t", **how).stderr
    bulla("key", "rotate", "-q", ring, **how)
    said += bulla("rewrap", "-j16", "-k", ring, "-r", "out", **how).stderr
    said += bulla("status", "-r", "out", **how).stderr
    (tree.parent / "back").mkdir()
    said += bulla("decrypt", "-j16", "-k", ring, "-r", "--remove-source", "-o", "back", "out", **how).stderr
    for number in range(FILES):
        assert (tree.parent / "back" / str(number) / "f").read_bytes() == content(70_000, number)
    assert not [name for _, _, names in os.walk(tree.parent / "out") for name in names]
    return said.decode()


@pytest.mark.parametrize("number", [24, 64])
def test_few_descriptors(bulla, ring, tree, number):
    said = all_verbs(bulla, ring, tree, limited(("nofile", number)))
    assert "-j 16 needs more descriptors or memory than the limits allow" in said and " is used" in said


def test_more_descriptors_for_the_asking(bulla, ring, tree):
    """The soft limit is raised, and the programs that bulla starts have 1024 at most."""
    under = ["prlimit", "--nofile=20:4096"]
    assert "-j" not in all_verbs(bulla, ring, tree, under)
    sealed = bulla("encrypt", "-k", ring, "--from-command", "ulimit -n", under=under).stdout
    assert bulla("decrypt", "-k", ring, stdin=sealed).stdout == b"1024\n"


@pytest.mark.parametrize("number, words", [(4, "cannot put standard output aside"), (5, "cannot open keyring")])
def test_too_few_descriptors(bulla, ring, work, number, words):
    done = bulla("encrypt", "-k", ring, "-o", "out", stdin=b"x", under=limited(("nofile", number)), status=1)
    assert words in done.stderr.decode() and b"Too many open files\nbulla: hint: raise the limit of open files" in done.stderr
    assert os.listdir(work) == []


@pytest.mark.parametrize("kib", [32, 64])
def test_small_stack(bulla, ring, tree, kib):
    limits = limited(("stack", kib * KIB))
    all_verbs(bulla, ring, tree, limits)
    bulla("key", "list", ring, under=limits)
    bulla("inspect", "--json", stdin=bulla("encrypt", "-k", ring, stdin=b"x", under=limits).stdout, under=limits)


def test_deep_tree_on_a_small_stack(bulla, ring, work):
    """As deep as a walk goes."""
    here = os.open(work, os.O_RDONLY)
    for _ in range(256):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    with open("leaf", "wb", opener=lambda name, flags: os.open(name, flags, dir_fd=here)) as leaf:
        leaf.write(b"x")
    bulla("encrypt", "-k", ring, "-r", "d", under=limited(("stack", 64 * KIB)))
    assert sorted(os.listdir(here)) == ["leaf", "leaf.bulla"]
    os.close(here)


@pytest.mark.parametrize("mib", [16, 24, 60])
def test_little_memory(bulla, ring, tree, mib):
    """Threads do not take it from each other."""
    said = all_verbs(bulla, ring, tree, limited(("as", mib * KIB * KIB)))
    assert mib == 60 or "-j 16 needs more descriptors or memory than the limits allow" in said


def test_no_memory_is_told_as_that(bulla, ring, work):
    """At whatever step it ends. Below, the system loads no program; above, all is done."""
    met = set()
    for kib in range(7000, 13_000, 100):
        done = bulla("encrypt", "-k", ring, "--force", "-o", "out", stdin=b"x", under=limited(("as", kib * KIB)), status=(0, 1, 127))
        met.add(done.returncode)
        if done.returncode == 1:
            assert b"memory" in done.stderr and b"has no" not in done.stderr, done.stderr
            assert os.listdir(work) in ([], ["out"])
    assert met >= {0, 1}


HTTP = {"AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "x" * 40, "AWS_MAX_ATTEMPTS": "1"}
LATE = {"libcurl": ["-k", "alias/x", "--endpoint", "http://127.0.0.1:9"], "module": ["-k", "pkcs11:token=none;object=x", "--module", "/usr/lib/softhsm/libsofthsm2.so"]}


@pytest.mark.parametrize("name", LATE)
def test_no_memory_for_a_library_is_told_as_that(bulla, work, name):
    """A library that is there is not said to be missing. With enough, the store is not to be had (6)."""
    met = set()
    for kib in range(8000, 40_000, 1000):
        env = HTTP | {"SOFTHSM2_CONF": "/dev/null"}
        done = bulla("encrypt", *LATE[name], "-o", "out", stdin=b"x", env=env, under=limited(("as", kib * KIB)), status=(1, 6, 127))
        met.add(done.returncode)
        assert b"install" not in done.stderr and b"package" not in done.stderr and os.listdir(work) == [], done.stderr
        assert done.returncode != 1 or b"memory" in done.stderr or b"cannot start a thread" in done.stderr, done.stderr
    assert met >= {1, 6}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user, who has no other processes")
def test_no_threads(bulla, ring):
    """The files are done one after the other."""
    program = os.open(bulla.program, os.O_RDONLY)  # nobody may not be able to walk to it
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:
        at = pathlib.Path(directory)
        shutil.copy(ring, at / "ring")
        for number in range(FILES):
            (at / str(number)).write_bytes(content(70_000, number))
        for path in [at, *at.iterdir()]:
            os.chown(path, NOBODY, -1)
        one = ["prlimit", "--nproc=1:1", "setpriv", f"--reuid={NOBODY}", "--clear-groups"]
        started = ["sh", "-c", f'shift; exec /proc/self/fd/{program} "$@"', "-"]
        done = bulla("encrypt", "-j16", "-k", at / "ring", "-r", at, under=[*one, *started], pass_fds=[program])
        assert f"{FILES + 1} sealed".encode() in done.stderr
