"""A mount that stores a file when it is closed, whatever became of its name: what failed leaves no plaintext there."""

import os
import re
import shutil
import signal
import subprocess
import time

import pytest

from held import wait_until_asleep
from program import TIMEOUT
from sealed import content, flip

PLAIN = content(500_000)


@pytest.fixture
def mount(tmp_path):
    """The folder of a mount without a cache, and that in which it stores the files."""
    if not os.path.exists("/dev/fuse") or shutil.which("rclone") is None:
        pytest.skip("needs rclone and /dev/fuse")
    at, store = tmp_path / "mount", tmp_path / "store"
    at.mkdir()
    store.mkdir()
    command = ["rclone", "mount", "--config", "/dev/null", "--vfs-cache-mode", "off", f":local:{store}", at]
    server = subprocess.Popen(command, stderr=subprocess.DEVNULL, env=os.environ | {"HOME": str(tmp_path)})
    patience = time.monotonic() + TIMEOUT / 2
    while not os.path.ismount(at):
        if server.poll() is not None:
            pytest.skip("no FUSE mount can be made here")
        assert time.monotonic() < patience
        time.sleep(0.05)
    yield at, store
    subprocess.run(["umount", at], check=True)
    server.wait()


@pytest.fixture
def damaged(bulla, ring, work):
    """Its last chunk does not authenticate."""
    sealed = bulla.seal(ring, PLAIN, name="damaged")
    sealed.write_bytes(flip(sealed.read_bytes(), -1))
    return sealed


def test_what_is_whole_comes_there(bulla, ring, mount):
    at, store = mount
    sealed = bulla.seal(ring, PLAIN)
    bulla("decrypt", "-j1", "-k", ring, "--force", "-o", at / "out", sealed)
    assert {p.name: p.read_bytes() for p in store.iterdir()} == {"out": PLAIN}


@pytest.mark.parametrize("threads", ["-j1", "-j4"])
def test_damaged_file_leaves_nothing(bulla, ring, mount, damaged, threads):
    at, store = mount
    bulla("decrypt", threads, "-k", ring, "--force", "-o", at / "out", damaged, status=(1, 4))
    assert os.listdir(store) == os.listdir(at) == []


def test_interrupted_run_leaves_nothing(bulla, ring, mount):
    at, store = mount
    sealed = bulla.seal(ring, PLAIN).read_bytes()
    run = bulla.start("decrypt", "-j1", "-k", ring, "--force", "-o", at / "out")
    run.stdin.write(sealed[:-1000])
    run.stdin.flush()
    wait_until_asleep(run)
    run.send_signal(signal.SIGTERM)
    bulla.finish(run, status=130)
    assert os.listdir(store) == os.listdir(at) == []


def test_file_that_cannot_get_its_name_leaves_nothing(bulla, ring, mount):
    """Without --force, all is written before it is known that this mount cannot refuse a name that is taken."""
    at, store = mount
    done = bulla("decrypt", "-j1", "-k", ring, "-o", at / "out", bulla.seal(ring, PLAIN), status=1)
    assert b"cannot put '%s' in its place" % os.fsencode(at / "out") in done.stderr
    assert os.listdir(store) == os.listdir(at) == []


def test_keyring_that_cannot_get_its_name_leaves_nothing(bulla, mount):
    """Its keys are no less secret."""
    at, store = mount
    bulla("key", "new", at / "new.ring", status=1)
    assert os.listdir(store) == os.listdir(at) == []


def test_file_is_emptied_and_closed_before_its_name_goes(bulla, ring, work, named_library, damaged):
    """Where bytes are stored at the close as where they go with the name."""
    under = ["strace", "-f", "-o", "calls", "-e", "trace=openat,ftruncate,close,unlinkat"]
    bulla("decrypt", "-j1", "-k", ring, "-o", "out", damaged, status=4, under=[*under, "-E", f"LD_PRELOAD={named_library}"])
    calls = (work / "calls").read_text()
    (fd,) = re.findall(r'openat\(\d+, "\.bulla-[0-9a-f]{16}", .*O_CREAT.* = (\d+)', calls)
    end = re.findall(rf"(ftruncate\({fd}, 0\) += 0|close\({fd}\)|unlinkat\(\d+, \"\.bulla-)", calls[calls.index(".bulla-") :])
    assert [call.split("(")[0] for call in end] == ["ftruncate", "close", "unlinkat"]
    assert sorted(os.listdir(work)) == ["calls", "damaged.bulla"]
