"""What bulla does on file systems that are not like a disk of Linux's own: right, and what was not kept is told; or refused with the way out."""

import concurrent.futures
import errno
import os
import re
import signal
import stat
import subprocess
import threading

import pytest

from held import wait_until_asleep
from mount_kinds import files
from sealed import content, flip

SMALL, LARGE = 20, 300_000
TEMPORARY = re.compile(r"\.bulla-[0-9a-f]{16}$")
MOUNT_OPTION = b"hint: mount it so that its files are yours alone, as with umask=077"


def permissions(path):
    return stat.S_IMODE(path.stat().st_mode)


def told(mount, done, asked, new_name=True):
    """Exactly what a run lost is told, in one line."""
    kind, lines = mount.kind, [line for line in done.stderr.splitlines() if line.startswith(b"bulla: warning: ")]
    lacks = [b"keeps no permissions"] if kind.file_mode and (kind.file_mode ^ asked) & 0o666 else []
    lacks += [b"cannot refuse a name that is taken"] if new_name and kind.takes_names else []
    assert len(lines) == bool(lacks), lines
    for lack in (b"keeps no permissions", b"cannot refuse a name", b"keeps no times", b"cannot sync"):
        assert any(lack in line for line in lines) == any(lack in l for l in lacks), (lack, lines)


def nothing_left(mount, plain, *names):
    """No file but these is there or in the store, and nowhere are bytes of the plaintext."""
    assert sorted(files(mount.here)) == sorted(names)
    mount.settle(mount.here)
    found = mount.searched()
    assert not any(plain[at : at + SMALL] in found for at in range(0, len(plain), LARGE // 3))


@pytest.fixture
def data(request):
    """A plaintext that no other test has."""
    return content(LARGE, request.node.name)


@pytest.fixture
def plain(work, data):
    path = work / "plain"
    path.write_bytes(data)
    return path


@pytest.fixture
def sealed(bulla, ring, plain):
    """A sealed file that everybody may read, on the disk; its plaintext is nowhere."""
    bulla("encrypt", "-k", ring, "-o", "sealed.bulla", plain)
    plain.unlink()
    return bulla.work / "sealed.bulla"


@pytest.fixture
def tree(work, data):
    """Two files, one of them in a directory of its own."""
    for name, part in {"tree/a": data[:SMALL], "tree/d/b": data}.items():
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        (work / name).write_bytes(part)
    return work / "tree"


def test_encrypt(bulla, ring, mount, plain, data):
    at = mount.here / "x.bulla"
    os.utime(plain, (10**9, 10**9))
    told(mount, bulla("encrypt", "-k", ring, "-o", at, plain), 0o644)
    assert b"already exists" in bulla("encrypt", "-k", ring, "-o", at, plain, status=9).stderr
    told(mount, bulla("encrypt", "-k", ring, "-j4", "--force", "-o", at, plain), 0o644, new_name=False)
    assert os.listdir(mount.here) == ["x.bulla"] and abs(at.stat().st_mtime - 10**9) <= 2
    mount.settle(mount.here)
    assert bulla.open(ring, at) == data
    nothing_left(mount, data, "x.bulla")


def test_encrypt_a_tree_and_verify(bulla, ring, mount, tree, data):
    bulla("encrypt", "-k", ring, "-r", "-o", mount.here, tree)
    assert sorted(files(mount.here)) == ["a.bulla", "d/b.bulla"]
    assert b"2 verified, 0 not sealed, 0 skipped, 0 failed" in bulla("verify", "-k", ring, "-r", mount.here).stderr
    bulla("status", "-r", mount.here)
    nothing_left(mount, data, "a.bulla", "d/b.bulla")


@pytest.mark.parametrize("how", ["end", "none"])
def test_encrypt_without_a_sync_of_each(bulla, ring, mount, plain, how, data):
    at = mount.here / how
    at.mkdir()
    bulla("encrypt", "-k", ring, "--sync", how, "-o", at, plain)
    mount.settle(at)
    assert bulla.open(ring, at / "plain.bulla") == data


def test_encrypt_in_two_parts(bulla, ring, mount, plain, data):
    at = mount.here / "x"
    bulla("encrypt", "-k", ring, "--detach", "-o", at, plain)
    assert sorted(os.listdir(mount.here)) == ["x", "x.env"]
    assert bulla.open(ring, at) == data
    bulla("encrypt", "-k", ring, "--detach", "-o", at, plain, status=9)
    nothing_left(mount, data, "x", "x.env")


def test_decrypt(bulla, ring, mount, sealed, data):
    at = mount.here / "out"
    told(mount, bulla("decrypt", "-k", ring, "-o", at, sealed), 0o644)
    assert b"already exists" in bulla("decrypt", "-k", ring, "-o", at, sealed, status=9).stderr
    told(mount, bulla("decrypt", "-k", ring, "-j4", "--force", "-o", at, sealed), 0o644, new_name=False)
    assert os.listdir(mount.here) == ["out"] and at.read_bytes() == data


def test_many_threads(bulla, ring, mount):
    """They write in order where nothing else is taken."""
    large, at = content(4 << 20, "large"), mount.here / "x"
    (bulla.work / "large").write_bytes(large)
    bulla("encrypt", "-q", "-j4", "-k", ring, "-o", at, "large")
    mount.settle(mount.here)
    bulla("decrypt", "-q", "-j4", "-k", ring, "-o", mount.here / "y", at)
    assert (mount.here / "y").read_bytes() == large


def test_decrypt_a_tree_beside_its_files(bulla, ring, mount, tree, data):
    bulla("encrypt", "-k", ring, "-r", "-o", mount.here, tree)
    mount.settle(mount.here)
    bulla("decrypt", "-k", ring, "-r", mount.here)
    assert {name: found for name, found in files(mount.here).items() if not name.endswith(".bulla")} == {"a": data[:SMALL], "d/b": data}


def test_private_plaintext(bulla, ring, mount, sealed, data):
    """It does not come to where others could read it, unless that is asked for."""
    at = mount.here / "out"
    sealed.chmod(0o600)
    if mount.kind.private:
        told(mount, bulla("decrypt", "-k", ring, "-o", at, sealed), 0o600)
        assert at.read_bytes() == data and not permissions(at) & 0o077
    else:
        done = bulla("decrypt", "-k", ring, "-o", at, sealed, status=7)
        assert b"could be read by others: its file system gives it the permissions %03o in place of 600" % mount.kind.file_mode in done.stderr
        assert MOUNT_OPTION in done.stderr and b"--allow-wider" in done.stderr
        nothing_left(mount, data)
        told(mount, bulla("decrypt", "-k", ring, "--allow-wider", "-o", at, sealed), 0o600)
        assert at.read_bytes() == data


def test_private_directory(bulla, ring, mount, tree, data):
    """What lies in it is for its owner alone, whatever the files allow."""
    bulla("encrypt", "-q", "-k", ring, "-r", tree)
    for name in ("a", "d/b"):
        (tree / name).unlink()
    (tree / "d").chmod(0o700)
    if mount.kind.private:
        bulla("decrypt", "-k", ring, "-r", "-o", mount.here, tree)
        assert not permissions(mount.here / "d") & 0o077
    else:
        done = bulla("decrypt", "-k", ring, "-r", "-o", mount.here, tree, status=3)
        assert b"d' could be read by others" in done.stderr and os.listdir(mount.here) == ["a"]
        bulla("decrypt", "-k", ring, "-r", "-o", mount.here, tree, status=3)  # nor does it the second time
        bulla("decrypt", "-k", ring, "-r", "--force", "--allow-wider", "-o", mount.here, tree)
    assert files(mount.here) == {"a": data[:SMALL], "d/b": data}


def test_no_fuse_is_asked_to_exchange_names(bulla, ring, mount, data):
    """Some do not look at what they are asked for, or end at it."""
    at, trace = mount.here / "x.bulla", bulla.home / "trace"
    bulla("encrypt", "-k", ring, "-o", at, stdin=data[:SMALL])
    mount.settle(mount.here)
    bulla("rewrap", "-k", ring, "--to", bulla.new_key("other.ring"), at, under=["strace", "-f", "-o", str(trace), "-e", "trace=renameat2"])
    assert ("RENAME_EXCHANGE" in trace.read_text()) == (not file_system(at).startswith("fuse"))


@pytest.mark.parametrize("size", [SMALL, LARGE], ids=["small", "large"])
def test_rewrap(bulla, ring, mount, size, data):
    other, plain = bulla.new_key("other.ring"), data[:size]
    at = mount.here / f"x{size}.bulla"
    bulla("encrypt", "-k", ring, "-o", at, stdin=plain)
    mount.settle(mount.here)
    done = bulla("rewrap", "-k", ring, "--to", other, at)
    copied = b"its file system cannot change a part of a file: all of it is copied" in done.stderr
    assert copied == (mount.kind.whole_files and size == LARGE)
    assert b"1 rewrapped" in done.stderr
    mount.settle(mount.here)
    bulla("decrypt", "-k", ring, "-o", "-", at, status=5)
    assert bulla.open(other, at) == plain and os.listdir(mount.here)[:1] == [at.name]
    assert not any(TEMPORARY.search(name) for name in files(mount.here))


def test_reencrypt(bulla, ring, mount, plain, data):
    at = mount.here / "x.bulla"
    bulla("encrypt", "-k", ring, "-o", at, plain)
    mount.settle(mount.here)
    old = at.read_bytes()
    bulla("reencrypt", "-k", ring, at)
    mount.settle(mount.here)
    assert at.read_bytes()[-1000:] != old[-1000:] and bulla.open(ring, at) == data
    nothing_left(mount, data, "x.bulla")


def test_remove_source(bulla, ring, mount, data):
    at = mount.here / "x"
    at.write_bytes(data)
    mount.settle(mount.here)
    bulla("encrypt", "-k", ring, "--remove-source", at)
    nothing_left(mount, data, "x.bulla")
    bulla("decrypt", "-k", ring, "--remove-source", "--allow-wider", mount.here / "x.bulla")
    assert files(mount.here) == {"x": data}


def test_keyring(bulla, mount, data):
    """It is its owner's alone, or it is not made."""
    at = mount.here / "new.ring"
    if not mount.kind.private:
        done = bulla("key", "new", at, status=7)
        open_to_all = b"its group and others can write directory"  # seen before the keyring is begun
        readable = b"could be used by others: its file system gives it the permissions %03o" % mount.kind.file_mode
        assert (open_to_all if mount.kind.directory_mode & 0o022 else readable) in done.stderr and b"umask=077" in done.stderr
        return nothing_left(mount, data)
    bulla("key", "new", "--kind", "x25519", at)
    assert not permissions(at) & 0o077
    bulla("key", "new", at, status=9)
    bulla("key", "new", f"{at}#more")
    bulla("key", "rotate", f"{at}#new")
    bulla("key", "disable", f"{at}#new:1")
    bulla("key", "enable", f"{at}#new:1")
    bulla("key", "destroy", "--force", f"{at}#new:1")
    bulla("key", "export-public", f"{at}#new", "-o", mount.here / "public")
    bulla("key", "check", f"{at}#more")
    assert [(key["name"], key["version"], key["state"]) for key in bulla.list_keys(at)] == [
        ("new", 1, "destroyed"),
        ("new", 2, "active"),
        ("more", 1, "active"),
    ]
    sealed = bulla("encrypt", "-k", mount.here / "public", stdin=data[:SMALL]).stdout
    assert bulla("decrypt", "-k", f"{at}#new", "-o", "-", stdin=sealed).stdout == data[:SMALL]
    assert sorted(files(mount.here)) == ["new.ring", "public"]


@pytest.mark.parametrize("size", [SMALL, LARGE], ids=["small", "large"])
def test_envelope(bulla, ring, mount, size, data):
    at, plain = mount.here / f"x{size}.bulla", data[:size]
    bulla("encrypt", "-k", ring, "-o", at, stdin=plain)
    told(mount, bulla("envelope", "export", at), permissions(at) & ~0o022)
    bulla("envelope", "export", at, status=9)
    mount.settle(mount.here)
    whole = at.read_bytes()
    at.write_bytes(bytes(1024) + whole[1024:])
    mount.settle(mount.here)
    bulla("envelope", "restore", "-k", ring, at)
    mount.settle(mount.here)
    assert bulla.open(ring, at) == plain and sorted(os.listdir(mount.here))[:2] == [at.name, f"{at.name}.env"]
    assert not any(TEMPORARY.search(name) for name in files(mount.here))


@pytest.mark.parametrize("chunk", [0, -1], ids=["first", "last"])
@pytest.mark.parametrize("threads", ["-j1", "-j4"])
def test_damaged_file_leaves_nothing(bulla, ring, mount, sealed, chunk, threads, data):
    """Whether or not something was written before the damage was found."""
    offset = -1 if chunk else 8192 + 56
    sealed.write_bytes(flip(sealed.read_bytes(), offset))
    bulla("decrypt", threads, "-k", ring, "-o", mount.here / "out", sealed, status=4)
    nothing_left(mount, data)


def test_interrupted_run_leaves_nothing(bulla, ring, mount, sealed, data):
    run = bulla.start("decrypt", "-j1", "-k", ring, "-o", mount.here / "out")
    run.stdin.write(sealed.read_bytes()[:-1000])
    run.stdin.flush()
    wait_until_asleep(run)
    run.send_signal(signal.SIGTERM)
    bulla.finish(run, status=130)
    nothing_left(mount, data)


def test_runs_that_make_one_file(bulla, ring, mount, data):
    """One does, and the others are told."""
    at = mount.here / "x.bulla"
    runs = [bulla.start("encrypt", "-q", "-k", ring, "-o", at) for _ in range(4)]
    for number, run in enumerate(runs):
        run.stdin.write(b"%d" % number)
        run.stdin.flush()
    for run in runs:
        wait_until_asleep(run)  # it saw that the name is free
    for run in runs:
        run.stdin.close()
    statuses = [run.wait() for run in runs]
    assert sorted(statuses) == [0, 9, 9, 9]
    mount.settle(mount.here)
    assert bulla.open(ring, at) == b"%d" % statuses.index(0)
    nothing_left(mount, data, "x.bulla")


def file_system(path):
    return subprocess.run(["stat", "-f", "-c", "%T", path], check=True, capture_output=True, text=True).stdout.strip()


def read_while(path, alive):
    """Every content that a reader finds there until alive is cleared, and the errors that it gets."""
    contents, errors = set(), set()
    while alive.is_set():
        try:
            contents.add(path.read_bytes())
        except OSError as error:
            errors.add(error.errno)
    return contents, errors


def test_old_file_is_replaced_whole(bulla, ring, mount, data):
    """A reader finds the old file or the new one. Whoever replaces it, a FUSE may lose the name for an instant, and rclone's cache show it empty."""
    versions, at, alive = [data, data[::-1]], mount.here / "x", threading.Event()
    for number, version in enumerate(versions):
        bulla("encrypt", "-k", ring, "-o", f"{number}.bulla", stdin=version)
        (bulla.work / f"{number}.bulla").chmod(0o644)
    bulla("decrypt", "-q", "-k", ring, "-o", at, "0.bulla")
    mount.settle(mount.here)
    alive.set()
    with concurrent.futures.ThreadPoolExecutor() as pool:
        reader = pool.submit(read_while, at, alive)
        try:
            for number in (1, 0, 1, 0, 1):
                bulla("decrypt", "-q", "--force", "-k", ring, "-o", at, f"{number}.bulla")
        finally:
            alive.clear()
        contents, errors = reader.result()
    instants = {b""} if mount.kind.later else set()
    assert contents - instants and contents - instants <= set(versions)
    assert errors <= ({errno.ENOENT, errno.EIO} if file_system(mount.here).startswith("fuse") else set())
    assert at.read_bytes() == versions[1]


def test_results_of_one_name(bulla, ring, mount, work, data):
    """One of a run is not replaced by the next, though --force is given and the numbers of files may change with their names."""
    for directory in "ab":
        (work / directory).mkdir()
        (work / directory / "x").write_text(directory)
    done = bulla("encrypt", "-q", "-k", ring, "--force", "-o", mount.here, "a/x", "b/x", status=3)
    assert b"is another result of this run" in done.stderr
    mount.settle(mount.here)
    nothing_left(mount, data, "x.bulla")


@pytest.mark.parametrize("name", ["a:b", "new\nline"])
def test_name_that_exfat_does_not_have(bulla, ring, mount, plain, data, name):
    """exFAT has fewer names; what is wrong is said, and nothing is left."""
    lacks = mount.kind.needs == "mount.exfat-fuse"
    done = bulla("encrypt", "-k", ring, "-o", mount.here / name, plain, status=1 if lacks else 0)
    assert (b"hint: its file system may not take this name" in done.stderr) == lacks
    mount.settle(mount.here)
    nothing_left(mount, data, *([] if lacks else [name]))
